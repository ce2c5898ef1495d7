/*-------------------------------------------------------------------------
 *
 * undone.h
 *	  Jobs that had finished when the transaction that they shared with others
 *	  was rolled back.
 *
 * IDENTIFICATION
 *	  src/job/undone.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_UNDONE_H
#define JOBQ_UNDONE_H

#include "shared/shmem.h"

/* For executors, exit callbacks included: does not throw or allocate. */
extern void jobq_undone_note(const JobqUndone *jobs, int njobs);

/*
 * For the coordinator, each within a transaction.  With `careful` an error in
 * one job is in no other's way: false if there was one.
 */
extern bool jobq_undone_record_all(bool careful, bool *more);
extern void jobq_undone_by_crash(const JobqUndone *undone);

#endif							/* JOBQ_UNDONE_H */
