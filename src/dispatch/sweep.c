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
 * under an old snapshot.  A sweep is done only after jobs were claimed, and in
 * parts, each in a transaction of its own.
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
#include "queue/group_option.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_row.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lane_look.h"
#include "shared/lease_registry.h"
#include "shared/roster.h"

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

/*
 * A part of a sweep takes about this long, in microseconds; after how many index
 * entries the clock is looked at.
 */
#define PART_TIME (10 * INT64CONST(1000))
#define CHECK_ENTRIES 64

typedef struct Suspect
{
	int32		queue;
	JobqPlace	place;
	char		group[JOBQ_GROUP_NAME_SIZE];	/* its group, '': none */
	int64		lease;			/* 0: the job is ready */
	TimestampTz until;			/* its end */
} Suspect;

static Suspect suspects[MAX_SUSPECTS];
static int	nsuspects = 0;

/* The sweep that is under way. */
typedef struct Sweep
{
	bool		running;
	bool		careful;		/* an error at a queue is in no other's way */
	int32		queue;			/* the next one to look at, */
	bool		in_groups;		/* after the jobs without a group, */
	char		group[JOBQ_GROUP_NAME_SIZE];	/* and after this one; */
	bool		in_paused;		/* the group at hand is paused */
	char		begun_group[JOBQ_GROUP_NAME_SIZE];	/* in this one, if it is
													 * next, */
	bool		begun;			/* in a priority that was begun, */
	int16		priority;		/* namely this one, */
	JobqKey		from;			/* from this key on */
	int64		until;			/* when the part at hand ends, by
								 * jobq_stopwatch() */
	int64		cost;			/* so far, in microseconds */
} Sweep;

static Sweep sweep;

/* Whether shared memory knows of a job that may be ready, or is running. */
static bool
is_known(const JobqQueue *queue, const JobqPlace *place, int64 lease,
		 TimestampTz until)
{
	if (lease != 0)
		return jobq_lease_is_watched(place->key.id, lease, until);
	return place->group != NULL ? jobq_roster_covers(queue->state, place) :
		jobq_lane_covers(&queue->state->stream, place);
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

/* Whether a group is paused: shared memory need not know its ready jobs. */
static bool
is_paused(const JobqQueue *queue, const char *group)
{
	bool		paused;

	(void) jobq_group_max_running(queue, group, &paused);
	return paused;
}

/* Collects the row read last if its job is missing from shared memory. */
static void
collect(const JobqQueue *queue, TupleTableSlot *row, const JobqHead *head)
{
	int64		lease = row_lease(row, head);

	if ((lease == 0 && sweep.in_paused) ||
		is_known(queue, &head->place, lease, row_until(row)))
		return;
	suspects[nsuspects] = (Suspect)
	{
		.queue = queue->id,.place = head->place,.lease = lease,
			.until = row_until(row)
	};
	if (head->place.group != NULL)
		strlcpy(suspects[nsuspects].group, head->place.group,
				JOBQ_GROUP_NAME_SIZE);
	nsuspects++;
}

/* Goes on where the sweep has stopped in the queue, or begins. */
static void
seek(JobqDispatchScan *scan)
{
	if (sweep.begun)
		jobq_dispatch_seek_lane(scan, sweep.priority, &sweep.from);
	else
		jobq_dispatch_seek(scan, PG_INT16_MIN);
}

/* Goes on after a priority; false if that is the last one. */
static bool
seek_after(JobqDispatchScan *scan, int16 priority)
{
	sweep.begun = false;
	if (priority == PG_INT16_MAX)
		return false;
	jobq_dispatch_seek(scan, priority + 1);
	return true;
}

/* Reads the next entry; after the priority that was begun come the others. */
static bool
next_entry(JobqDispatchScan *scan, JobqHead *head, bool *visible)
{
	return jobq_dispatch_step(scan, head, visible) ||
		(sweep.begun && seek_after(scan, sweep.priority) &&
		 jobq_dispatch_step(scan, head, visible));
}

/* The next part begins behind that place. */
static void
stop_behind(const JobqPlace *place)
{
	sweep.begun = true;
	sweep.priority = place->priority;
	sweep.from = place->key;
	sweep.from.id++;
}

/*
 * Collects the jobs of a queue that are missing from shared memory, until the part
 * ends.  Returns whether all have been looked at.
 */
static bool
look_at_jobs(JobqDispatchScan *scan, const JobqQueue *queue)
{
	TimestampTz now = jobq_now();
	JobqHead	head;
	bool		visible;
	int			n = 0;

	seek(scan);
	while (nsuspects < MAX_SUSPECTS && next_entry(scan, &head, &visible))
	{
		bool		later = visible && head.place.key.run_at > now &&
		row_lease(scan->slot, &head) == 0;

		if (visible && !later)
			collect(queue, scan->slot, &head);
		if (++n % CHECK_ENTRIES == 0 && jobq_stopwatch() >= sweep.until)
		{
			stop_behind(&head.place);
			return false;
		}
		if (later && !seek_after(scan, head.place.priority))
			break;
	}
	return true;
}

/* The same for the jobs of all groups, from the one after sweep.group on. */
static bool
look_at_groups(JobqDispatchScan *scan, const JobqQueue *queue)
{
	char		name[JOBQ_GROUP_NAME_SIZE];

	strlcpy(name, sweep.group, sizeof(name));
	while (nsuspects < MAX_SUSPECTS && jobq_dispatch_next_group(scan, name))
	{
		/* the group that was begun may be gone, or another one come first */
		if (strcmp(name, sweep.begun_group) != 0)
			sweep.begun = false;
		strlcpy(sweep.begun_group, name, sizeof(sweep.begun_group));
		jobq_dispatch_turn_to(scan, NULL, name);
		sweep.in_paused = is_paused(queue, name);
		if (!look_at_jobs(scan, queue))
			return false;
		sweep.begun = false;
		strlcpy(sweep.group, name, sizeof(sweep.group));
		if (jobq_stopwatch() >= sweep.until)
			return false;
	}
	return true;
}

/* The same for all jobs: first those without a group. */
static bool
look_at_all(JobqDispatchScan *scan, const JobqQueue *queue)
{
	if (!sweep.in_groups)
	{
		sweep.in_paused = false;
		if (!look_at_jobs(scan, queue))
			return false;
		sweep.in_groups = true;
		sweep.begun = false;
		sweep.group[0] = '\0';
		sweep.begun_group[0] = '\0';
	}
	return look_at_groups(scan, queue);
}

/* A look at a queue, or the next part of it. */
typedef struct Look
{
	JobqQueue	queue;
	bool		ended;
} Look;

/* For jobq_subtransaction(). */
static void
look_at_queue(void *arg)
{
	Look	   *look = arg;
	JobqStream *stream = &look->queue.state->stream;
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqDispatchScan scan;

	look->ended = true;
	jobq_lanes_follow_storage(stream, jobq_table_storage(jobs));
	if (stream->crowded)
	{
		/* perhaps it is not so any more */
		jobq_lanes_reset(stream);
	}
	else
	{
		jobq_dispatch_begin(&scan, jobs, &look->queue);
		scan.by_entry = true;
		look->ended = look_at_all(&scan, &look->queue);
		jobq_dispatch_end(&scan);
	}
	jobq_table_close(jobs);
}

/* The same so that an error is in no other queue's way. */
static void
look_carefully(Look *look)
{
	ErrorData  *error = jobq_subtransaction(look_at_queue, look);
	const JobqQueue *named;

	if (error == NULL)
		return;
	if (jobq_error_is_of_server(error))
		ReThrowError(error);
	named = jobq_queue_by_id(look->queue.id);
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not look for lost jobs of queue \"%s\": %s",
					named != NULL ? named->name : "", error->message)));
	FreeErrorData(error);
	look->ended = true;
}

/* The sweep has come to another queue. */
static void
begin_queue(void)
{
	sweep.begun = false;
	sweep.in_groups = false;
}

/* Looks at queues until the part ends.  Returns whether these were the rest. */
static bool
look_at_queues(void)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		Look		look;

		CHECK_FOR_INTERRUPTS();
		if (briefs[i].id < sweep.queue || !briefs[i].at_home ||
			briefs[i].state == NULL)
			continue;
		if (jobq_stopwatch() >= sweep.until)
			return false;
		if (briefs[i].id > sweep.queue)
			begin_queue();
		sweep.queue = briefs[i].id;
		jobq_queue_outline(&look.queue, &briefs[i]);
		if (sweep.careful)
			look_carefully(&look);
		else
			look_at_queue(&look);
		if (!look.ended)
			return false;
		sweep.queue++;
		begin_queue();
	}
	return true;
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
judge(JobqTable *jobs, Suspect *suspect)
{
	const JobqQueue *queue = jobq_queue_by_id(suspect->queue);
	JobqJob		job;

	suspect->place.group = suspect->group[0] == '\0' ? NULL : suspect->group;
	if (queue == NULL || queue->state == NULL ||
		is_known(queue, &suspect->place, suspect->lease, suspect->until) ||
		(suspect->lease == 0 && suspect->place.group != NULL &&
		 is_paused(queue, suspect->place.group)) ||
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

static void
begin_sweep(bool careful)
{
	nsuspects = 0;
	memset(&sweep, 0, sizeof(sweep));
	sweep.running = true;
	sweep.careful = careful;
	pg_atomic_write_u32(&jobq_database()->dispatching, 0);
}

/* Looks at queues; what it has found is judged when all have been looked at. */
static void
continue_sweep(void)
{
	int64		began = jobq_stopwatch();

	sweep.until = began + PART_TIME;
	sweep.running = !look_at_queues() && nsuspects < MAX_SUSPECTS;
	sweep.cost += jobq_stopwatch() - began;
}

/* When there is something to do after the sweep, or after suspects are judged. */
static TimestampTz
next_sweep(TimestampTz now)
{
	if (nsuspects > 0)
		return now + GRACE;
	return now + Max(jobq_sweep_interval * INT64CONST(1000),
					 sweep.cost * MAX_SHARE);
}

/* See sweep.h. */
TimestampTz
jobq_sweep(bool *more)
{
	static TimestampTz earliest = DT_NOBEGIN;	/* not earlier than that */
	static bool interrupted = false;	/* by an error */
	JobqDatabase *database = jobq_database();
	TimestampTz now = jobq_now();
	bool		careful;

	if (jobq_sweep_interval == 0 ||
		(!sweep.running && nsuspects == 0 &&
		 pg_atomic_read_u32(&database->dispatching) == 0))
		return JOBQ_NEVER;
	if (earliest == DT_NOBEGIN)
		earliest = now + jobq_sweep_interval * INT64CONST(1000);
	if (now < earliest && !sweep.running)
		return earliest;

	/* in case of an error, after which it begins again */
	earliest = now + GRACE;
	careful = interrupted;
	interrupted = true;
	if (!sweep.running && nsuspects > 0)
		judge_suspects(careful);
	else
	{
		if (!sweep.running || careful)
			begin_sweep(careful);
		continue_sweep();
	}
	interrupted = false;
	*more = sweep.running;
	earliest = next_sweep(now);
	return sweep.running || nsuspects > 0 ||
		pg_atomic_read_u32(&database->dispatching) != 0 ?
		earliest : JOBQ_NEVER;
}
