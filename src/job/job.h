/*-------------------------------------------------------------------------
 *
 * job.h
 *	  Jobs, and every change of a job's state.
 *
 * All transitions follow the table in common/jobstate.  A function that
 * changes a job requires that the caller's transaction has locked it
 * (jobq_job_lock() or the claim functions), and itself notes what must happen
 * at commit (wake-ups, leases).
 *
 * IDENTIFICATION
 *	  src/job/job.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_JOB_H
#define JOBQ_JOB_H

#include "base/table_find.h"
#include "common/jobstate.h"
#include "queue/queue_row.h"
#include "shared/lane.h"

#include "utils/jsonb.h"
#include "utils/snapshot.h"

/*
 * A row of jobq_store.job, locked.  values[] point into the slot, and have
 * NULL where a field has the value that stands for none.
 */
typedef struct JobqJob
{
	int64		id;
	int64		lease;			/* 0: none */
	TimestampTz run_at;			/* may be mirrored, see below */
	TimestampTz enqueued_at;
	TimestampTz lease_until;	/* DT_NOBEGIN: no lease */
	TimestampTz started_at;		/* DT_NOBEGIN: never */
	TimestampTz expires_at;		/* JOBQ_NEVER: not */
	int32		queue;
	int32		attempt;
	int32		max_attempts;	/* 0: the queue's */
	JobqState	state;
	int16		priority;
	TupleTableSlot *slot;
	Datum		values[Natts_job];
	bool		nulls[Natts_job];
} JobqJob;

/*
 * A job of a queue with lifo that may run at once has its run_at mirrored at
 * 2000-01-01, the zero of timestamps: so the newest one comes first, and all of
 * them before those whose run_at is not mirrored.  JobqJob and the table have
 * run_at like this; code that shows it, or computes with it, takes the real one.
 */
static inline TimestampTz
jobq_run_at_mirror(TimestampTz run_at)
{
	return -run_at;
}

static inline bool
jobq_run_at_is_mirrored(TimestampTz run_at)
{
	return run_at < 0;
}

static inline TimestampTz
jobq_run_at_real(TimestampTz run_at)
{
	return jobq_run_at_is_mirrored(run_at) ? jobq_run_at_mirror(run_at) :
		run_at;
}

extern void jobq_job_read(JobqJob *job, TupleTableSlot *slot);

/*
 * Whether a pending job waits to be tried again, and holds the others of its group.
 * lease_until is the time of its next attempt; run_at keeps its place among them.
 */
#define jobq_job_is_held(job, now) \
	((job)->state == JOBQ_STATE_PENDING && (job)->lease_until > (now))

extern bool jobq_job_find(JobqTable *jobs, int64 id, TupleTableSlot *slot,
						  JobqJob *job);

/* The same for several jobs, by one reader (table_find.h). */
extern void jobq_job_reader_begin(JobqReader *reader, JobqTable *jobs);
extern bool jobq_job_find_next(JobqReader *reader, int64 id,
							   TupleTableSlot *slot, JobqJob *job);
extern void jobq_job_set_enqueued_at(Datum *values, bool *nulls,
									 TimestampTz enqueued_at);
extern JobqFindResult jobq_job_lock(JobqTable *jobs, int64 id,
									JobqWaitPolicy wait, JobqJob *job);
extern JobqFindResult jobq_job_lock_for(JobqTable *jobs, int64 id,
										JobqWaitPolicy wait, int privilege,
										const int64 *lease, JobqJob *job);
extern JobqFindResult jobq_job_lock_row(JobqTable *jobs,
										TupleTableSlot *seen,
										Snapshot snapshot,
										TupleTableSlot *locked,
										JobqJob *job);
extern void jobq_job_place(const Datum *values, const bool *nulls,
						   const ItemPointerData *tid, JobqPlace *place);

/* The name of its group, NULL: none. */
extern const char *jobq_job_group(const JobqJob *job);
extern int64 jobq_job_timeout(const JobqJob *job, const JobqQueue *queue);
extern int	jobq_job_max_attempts(const JobqJob *job, const JobqQueue *queue);
extern int	jobq_job_current_attempt(const JobqJob *job);
extern void jobq_job_write_back(JobqJob *job);
extern void jobq_job_name_worker(JobqJob *job, int pid);
extern bool jobq_job_ends_by_timeout(const JobqJob *job,
									 const JobqQueue *queue);

/* Reads a header; false if the job has none of that name. */
extern bool jobq_job_header(const JobqJob *job, const char *name,
							JsonbValue *value);

/*
 * The columns of the job as a jobq.job composite.  They are the job's own, except that
 * what is stored outside of its row is copied here; the second one frees that.
 */
extern void jobq_job_form_row(const JobqJob *job, const JobqQueue *queue,
							  Datum *values, bool *nulls);
extern void jobq_job_free_row(const JobqJob *job, Datum *values);

#endif							/* JOBQ_JOB_H */
