/*-------------------------------------------------------------------------
 *
 * applied.h
 *	  Prepared transactions that apply workers may finish.
 *
 * The apply worker of a subscription with two_phase finishes a prepared
 * transaction without a command, so its marks (mark.h) cannot be read just
 * before.  They are kept here, in shared memory, from PREPARE on, until a
 * logical replication worker of the database finds that the transaction has
 * ended: another one may have prepared it.
 *
 * IDENTIFICATION
 *	  src/shared/applied.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_APPLIED_H
#define JOBQ_APPLIED_H

#include "shared/mark.h"

#include "access/transam.h"

/* More marks than these are kept as one of everything. */
#define JOBQ_APPLIED_MARKS 16

/* The marks of a transaction, in the order of their kinds. */
typedef struct JobqApplied
{
	Oid			dboid;			/* InvalidOid: the entry is free */
	FullTransactionId xid;
	int			nmarks;
	JobqMark	marks[JOBQ_APPLIED_MARKS];
} JobqApplied;

/*
 * Keeps marks of a transaction of this database, which runs or is prepared, in
 * place of those that are kept already.  Raises an error if there is no room.
 */
extern void jobq_applied_keep(TransactionId xid, const JobqMark *marks,
							  int nmarks);

/*
 * Takes out a transaction of this database that has ended; false: there is none.
 * For a transaction's time before its commit: may raise an error.
 */
extern bool jobq_applied_take(JobqApplied *applied);

/* Forgets a database that has been dropped. */
extern void jobq_applied_forget_database(Oid dboid);

/* For startup.c: the bytes to request, and making the array. */
extern Size jobq_applied_size(void);
extern void jobq_applied_startup(void);

#endif							/* JOBQ_APPLIED_H */
