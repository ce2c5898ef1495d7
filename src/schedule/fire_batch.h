/*-------------------------------------------------------------------------
 *
 * fire_batch.h
 *	  A batch of schedules that are fired: how much is left of it, and what
 *	  came of each turn.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_BATCH_H
#define JOBQ_FIRE_BATCH_H

#include "nodes/pg_list.h"
#include "schedule/fire_turn.h"

/* One call of jobq_schedule_fire_due(). */
typedef struct JobqFireBatch
{
	MemoryContext context;		/* lives as long as the batch */
	MemoryContext row_context;	/* reset after each schedule */
	JobqFireTurns turns;		/* whose turn it is, and what came of it */
	JobqFireTurn *turn;			/* now */
	int			limit;
	bool		one_by_one;		/* a subtransaction for each schedule */

	/* results */
	List	   *disabled;		/* to be reported after the batch */
	int			done;			/* what counts towards the limit: jobs */
	int64		bytes;			/* long ones that were copied, */
	List	   *owners;			/* and for whom */
} JobqFireBatch;

extern void jobq_fire_batch_reset(JobqFireBatch *batch);

/*
 * The schedule that has its turn stays due from next_run on: it has its next
 * turn soon, or after a delay (microseconds), since the process `pid` (0: not
 * known) is in the way.
 */
extern void jobq_fire_batch_leave(JobqFireBatch *batch, TimestampTz next_run);
extern void jobq_fire_batch_try_later(JobqFireBatch *batch,
									  TimestampTz next_run, int64 delay);
extern void jobq_fire_batch_put_off(JobqFireBatch *batch, TimestampTz next_run,
									int pid);

/* That many bytes were copied into a job of the owner. */
extern void jobq_fire_batch_count_bytes(JobqFireBatch *batch, Oid owner,
										Size bytes);

/* Whether it is the turn of other tasks, or at least of other owners. */
extern bool jobq_fire_batch_is_full(const JobqFireBatch *batch);
extern bool jobq_fire_batch_has_served(const JobqFireBatch *batch, Oid owner);

/* A schedule was disabled; name is its name, a text. */
extern void jobq_fire_batch_note_disabled(JobqFireBatch *batch, Datum name,
										  const char *problem);
extern void jobq_fire_batch_report_disabled(const JobqFireBatch *batch);

#endif							/* JOBQ_FIRE_BATCH_H */
