/*-------------------------------------------------------------------------
 *
 * replication.h
 *	  Replication slots, origins and backups that a job leaves behind.
 *
 * IDENTIFICATION
 *	  bgworker/executor/replication.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_REPLICATION_H
#define JOBQ_REPLICATION_H

/* A job may be about to create a temporary slot. */
extern void jobq_replication_note_slot(void);

extern void jobq_replication_reset(void);

/* Whether the session is in backup mode, which only its end undoes. */
extern bool jobq_replication_is_backup(void);

#endif							/* JOBQ_REPLICATION_H */
