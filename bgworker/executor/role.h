/*-------------------------------------------------------------------------
 *
 * role.h
 *	  Whether an executor's role may still connect.
 *
 * IDENTIFICATION
 *	  bgworker/executor/role.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROLE_H
#define JOBQ_ROLE_H

extern void jobq_role_set_up(Oid role);

/* Needs a transaction that has just begun. */
extern bool jobq_role_is_shut_out(void);

#endif							/* JOBQ_ROLE_H */
