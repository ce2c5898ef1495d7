/*-------------------------------------------------------------------------
 *
 * execute.h
 *	  Running a job's own code.
 *
 * IDENTIFICATION
 *	  bgworker/executor/execute.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_EXECUTE_H
#define JOBQ_EXECUTE_H

#include "bgworker/executor/call.h"
#include "bgworker/executor/outcome.h"
#include "shared/slot.h"

/* A job at hand. */
typedef struct JobqRun
{
	JobqOutcome outcome;
	JobqCall	call;
	MemoryContext context;		/* of all that belongs to the job */
	JobqQueueState *state;		/* of its queue; may be NULL */
	ItemPointerData tid;		/* of its row, as it was locked */
	int64		timeout;		/* microseconds, 0: none */
	int64		lease;			/* 0: the row lock is the claim */
	bool		read_only;		/* as the role's settings have it */
	bool		may_share;		/* its transaction, with others after it */
	bool		code_was_run;
	bool		noticed;		/* it left something to its transaction */
	int			nparts;			/* of a batch; 0: it is a job by itself */
	struct JobqRun *parts;		/* its jobs */
	NullableDatum *results;		/* theirs; NULL: none has one */
	ErrorContextCallback callback;
} JobqRun;

/*
 * The run of a batch stands for the call of the handler; its parts are runs of
 * one job each, with the outcomes.  A job by itself is its own only part.
 */
#define jobq_run_is_batch(run) ((run)->nparts > 0)

/* How many parts a run has, and the i-th. */
#define jobq_run_nparts(run) Max((run)->nparts, 1)
#define jobq_run_part(run, i) \
	(jobq_run_is_batch(run) ? &(run)->parts[i] : (run))

extern void jobq_execute_set_up(const JobqWorkerRef *worker);

/* False if it cannot be run in a transaction: nothing has been done then. */
extern bool jobq_execute_in_subtransaction(JobqRun *run);

/* Outside any transaction. */
extern void jobq_execute_at_top_level(JobqRun *run);

/* Around code that runs on behalf of a job, with a time limit. */
extern void jobq_execute_begin_limit(const JobqRun *run, int milliseconds);
extern void jobq_execute_end_limit(void);

/* The job whose code, or code on whose behalf, is running; NULL if none is. */
extern const JobqRun *jobq_execute_running(void);

/* Whether it is not the job's own code. */
extern bool jobq_execute_is_limited(void);

/* Whether it should have ended by now. */
extern bool jobq_execute_is_overdue(void);

/* After an error elsewhere: nothing is running. */
extern void jobq_execute_clean_up(void);

#endif							/* JOBQ_EXECUTE_H */
