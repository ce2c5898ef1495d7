/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Rings of tables from which old rows are removed a table at a time.
 *
 * IDENTIFICATION
 *	  src/job/segment.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SEGMENT_H
#define JOBQ_SEGMENT_H

#include "base/table.h"

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "storage/block.h"

/* What a ring has to know about its rows, and about where it is written. */
typedef struct JobqSegmentKind
{
	JobqRelation first;			/* of the tables, which follow on each other */
	int			count;			/* of the tables */
	/* whether a row must outlive the turn of its segment */
	bool		(*is_kept) (TupleTableSlot *row);
	/* inserts such a row, all of it read, into another segment */
	void		(*copy) (TupleTableSlot *row, JobqTable *table, int segment);
	/* locks the number of the current segment; false if that would wait */
	bool		(*lock_current) (void);
	/* changes that number */
	void		(*set_current) (int segment, TimestampTz now);
} JobqSegmentKind;

/* Progress of emptying a segment. */
typedef struct JobqSegmentSweep
{
	int			segment;		/* -1: none is being emptied */
	BlockNumber next_block;		/* InvalidBlockNumber: the end was reached */
	BlockNumber nblocks;		/* when it was */
	BlockNumber left_block;		/* the first one with rows that were locked */
	TimestampTz left_since;		/* when such rows were first found */
	bool		failed;			/* some could not be moved */
	FullTransactionId moved_by; /* the last transaction that moved rows, if a
								 * snapshot may be in use that does not see
								 * that */
} JobqSegmentSweep;

typedef struct JobqSegmentRing
{
	const JobqSegmentKind *kind;
	JobqSegmentSweep sweep;
} JobqSegmentRing;

/* Forgets the progress, after a transaction that was rolled back. */
extern void jobq_segment_forget(JobqSegmentRing *ring);

/* The segment that is emptied next, and becomes current. */
extern int	jobq_segment_next(const JobqSegmentRing *ring, int current);

/* Whether no segment has a block. */
extern bool jobq_segments_are_empty(const JobqSegmentRing *ring);

/*
 * Does part of the work of making the next segment current, as the extension's
 * owner, with an SPI connection and an active snapshot.  With `careful` a row
 * that raises an error is in no other's way; the segment is not emptied then.
 * Returns when to continue, or JOBQ_NEVER when that is done.
 */
extern TimestampTz jobq_segment_turn(JobqSegmentRing *ring, int current,
									 TimestampTz now, bool careful);

#endif							/* JOBQ_SEGMENT_H */
