/*-------------------------------------------------------------------------
 *
 * mark_act.h
 *	  Telling others what a prepared transaction that has ended had changed.
 *
 * IDENTIFICATION
 *	  src/service/mark_act.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_MARK_ACT_H
#define JOBQ_MARK_ACT_H

#include "shared/mark.h"

/* How the transaction has ended, as far as is known. */
typedef enum JobqMarkEnd
{
	JOBQ_MARKS_COMMITTED,
	JOBQ_MARKS_UNCERTAIN,		/* maybe committed: others look for themselves */
	JOBQ_MARKS_ROLLED_BACK		/* only marks about locks count */
} JobqMarkEnd;

/*
 * Acts on the marks of a transaction of this database, which are in the order of
 * their kinds.  For commit callbacks, too: neither fails nor allocates.
 */
extern void jobq_marks_act(const JobqMark *marks, int nmarks, JobqMarkEnd end);

#endif							/* JOBQ_MARK_ACT_H */
