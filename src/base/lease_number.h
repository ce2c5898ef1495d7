/*-------------------------------------------------------------------------
 *
 * lease_number.h
 *	  The numbers of leases, none of which is ever used twice.
 *
 * IDENTIFICATION
 *	  src/base/lease_number.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_NUMBER_H
#define JOBQ_LEASE_NUMBER_H

/* A new lease.  Needs a transaction. */
extern int64 jobq_lease_new(void);

/* The sequence of this database's blocks has been recreated, or copied. */
extern void jobq_lease_blocks_changed(void);

#endif							/* JOBQ_LEASE_NUMBER_H */
