/*-------------------------------------------------------------------------
 *
 * sweep.c
 *	  Finding jobs that are missing from shared memory.
 *
 * The lanes (lane.c) and the registry of leases (lease_registry.c) learn of a
 * job from the callbacks of the transaction that changed it.  Rows changed
 * without these callbacks, by writing to jobq_store directly or by a SELECT
 * ...  FOR UPDATE during a claim, can leave a ready job below the cursor or a
 * running job whose lease never ends.  So the coordinator now and then reads
 * the index from its start.  A job that is missing from shared memory and not
 * locked, now and some time ago, is lost; it is put into its lane or into the
 * registry. jobq.health counts these jobs.
 *
 * The cost is proportional to the number of index entries, which may be large
 * under an old snapshot.  A sweep is done only after jobs were claimed.
 *
 * IDENTIFICATION
 *	  src/dispatch/sweep.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/sweep.h"

#include "base/subtransaction.h"
#include "dispatch/dispatch_scan.h"
#include "dispatch/lease_load.h"
#include "guc.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_registry.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

/* Maximum number of jobs at a time. */
#define MAX_SUSPECTS 1000

/*
 * How long a job must be missing before it is considered lost, in
 * microseconds.
 */
#define GRACE (5 * USECS_PER_SEC)

/* A sweep takes at most this share of the time. */
#define MAX_SHARE 50

typedef struct Suspect
{
	int32		queue;
	JobqPlace	place;
	int64		lease;			/* 0: the job is ready */
	TimestampTz until;			/* its end */
} Suspect;

static Suspect suspects[MAX_SUSPECTS];
static int	nsuspects = 0;

/* Whether shared memory knows of a job that may be ready, or is running. */
static bool
is_known(const JobqQueue *queue, const JobqPlace *place, int64 lease,
		 TimestampTz until)
{
	if (lease != 0)
		return jobq_lease_is_watched(place->key.id, lease, until);
	return jobq_lane_covers(&queue->state->stream, place);
}

/*
 * The lease that holds the job in the row, or 0.  A job made ready by hand may
 * still have a lease in its row.
 */
static int64
row_lease(TupleTableSlot *slot, const JobqHead *head)
{
	bool		isnull;
	Datum		lease = slot_getattr(slot, Anum_job_lease, &isnull);

	return isnull || head->state != JOBQ_STATE_RUNNING ? 0 :
		DatumGetInt64(lease);
}

/* When the lease of the row ends. */
static TimestampTz
row_until(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		until = slot_getattr(slot, Anum_job_lease_until, &isnull);

	return isnull ? JOBQ_NEVER : DatumGetTimestampTz(until);
}

/* Collects the jobs of a queue that are missing from shared memory. */
static void
look_at_queue(JobqTable *jobs, const JobqQueue *queue)
{
	JobqDispatchScan scan;
	JobqHead	head;
	TimestampTz now = jobq_now();

	jobq_lanes_follow_storage(&queue->state->stream, jobq_table_storage(jobs));
	if (queue->state->stream.crowded)
	{
		/* perhaps it is not so any more */
		jobq_lanes_reset(&queue->state->stream);
		return;
	}
	jobq_dispatch_begin(&scan, jobs, queue);
	jobq_dispatch_seek(&scan, PG_INT16_MIN);
	while (nsuspects < MAX_SUSPECTS && jobq_dispatch_next(&scan, &head))
	{
		int64		lease = row_lease(scan.slot, &head);

		if (lease == 0 && head.place.key.run_at > now)
		{
			if (head.place.priority == PG_INT16_MAX)
				break;
			jobq_dispatch_seek(&scan, head.place.priority + 1);
		}
		else if (!is_known(queue, &head.place, lease, row_until(scan.slot)))
		{
			suspects[nsuspects].queue = queue->id;
			suspects[nsuspects].place = head.place;
			suspects[nsuspects].lease = lease;
			suspects[nsuspects].until = row_until(scan.slot);
			nsuspects++;
		}
	}
	jobq_dispatch_end(&scan);
}

/* Whether a locked job is unchanged since it was first seen. */
static bool
is_unchanged(const JobqJob *job, const Suspect *suspect)
{
	if (suspect->lease != 0)
		return job->state == JOBQ_STATE_RUNNING &&
			job->lease == suspect->lease;
	return job->state == JOBQ_STATE_PENDING && job->queue == suspect->queue &&
		job->priority == suspect->place.priority &&
		job->run_at == suspect->place.key.run_at &&
		ItemPointerEquals(&job->slot->tts_tid,
						  (ItemPointer) &suspect->place.tid);
}

/*
 * Locks a suspect unless another transaction has it locked.  A ready job is
 * not changed; locking it puts it into its lane when this transaction commits.
 */
static void
judge(JobqTable *jobs, const Suspect *suspect)
{
	const JobqQueue *queue = jobq_queue_by_id(suspect->queue);
	JobqJob		job;

	if (queue == NULL || queue->state == NULL ||
		is_known(queue, &suspect->place, suspect->lease, suspect->until) ||
		jobq_job_lock(jobs, suspect->place.key.id, JOBQ_NO_WAIT,
					  &job) != JOBQ_FOUND)
		return;
	if (is_unchanged(&job, suspect))
	{
		if (suspect->lease != 0)
			(void) jobq_lease_enter(&job);
		pg_atomic_fetch_add_u64(&jobq_database()->swept, 1);
		ereport(LOG,
				(errmsg("job " INT64_FORMAT " of queue \"%s\" was missing from shared memory",
						job.id, queue->name),
				 errhint("Change jobs only through jobq's functions.")));
	}
}

/* For jobq_subtransaction(). */
static void
judge_alone(void *arg)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	judge(jobs, arg);
	jobq_table_close(jobs);
}

/* Checks the suspects that were collected some time ago. */
static void
judge_suspects(bool careful)
{
	for (int i = 0; i < nsuspects; i++)
	{
		if (careful)
			(void) jobq_subtransaction_for_job(judge_alone, &suspects[i],
											   "look for",
											   suspects[i].place.key.id);
		else
			judge_alone(&suspects[i]);
	}
	nsuspects = 0;
}

/* For jobq_subtransaction(). */
static void
look_alone(void *arg)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	look_at_queue(jobs, arg);
	jobq_table_close(jobs);
}

/* Looks at a queue, so that an error in that is in no other's way. */
static void
look_carefully(JobqQueue *queue)
{
	ErrorData  *error = jobq_subtransaction(look_alone, queue);
	const JobqQueue *named;

	if (error == NULL)
		return;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	named = jobq_queue_by_id(queue->id);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not look for lost jobs of queue \"%s\": %s",
					named != NULL ? named->name : "", error->message)));
	FreeErrorData(error);
}

static void
look_at_queues(bool careful)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		JobqQueue	queue;

		CHECK_FOR_INTERRUPTS();
		if (!briefs[i].at_home || briefs[i].state == NULL)
			continue;
		jobq_queue_outline(&queue, &briefs[i]);
		if (careful)
			look_carefully(&queue);
		else
			look_alone(&queue);
	}
}

/*
 * Sweeps the database if it is time: collects suspects, and checks them some
 * time later.  Returns when to call it again.
 */
TimestampTz
jobq_sweep(void)
{
	static TimestampTz earliest = DT_NOBEGIN;	/* not earlier than that */
	static bool interrupted = false;	/* by an error */
	JobqDatabase *database = jobq_database();
	TimestampTz now = jobq_now();
	bool		careful;

	if (jobq_sweep_interval == 0 ||
		(nsuspects == 0 && pg_atomic_read_u32(&database->dispatching) == 0))
		return JOBQ_NEVER;
	if (earliest == DT_NOBEGIN)
		earliest = now + jobq_sweep_interval * INT64CONST(1000);
	if (now < earliest)
		return earliest;

	/* in case of an error */
	earliest = now + GRACE;
	careful = interrupted;
	interrupted = true;
	if (nsuspects > 0)
		judge_suspects(careful);
	else
	{
		pg_atomic_write_u32(&database->dispatching, 0);
		look_at_queues(careful);
	}
	interrupted = false;

	if (nsuspects > 0)
		earliest = now + GRACE;
	else
		earliest = now + Max(jobq_sweep_interval * INT64CONST(1000),
							 (jobq_now() - now) * MAX_SHARE);
	return nsuspects > 0 ||
		pg_atomic_read_u32(&database->dispatching) != 0 ?
		earliest : JOBQ_NEVER;
}
