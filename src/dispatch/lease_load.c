/*-------------------------------------------------------------------------
 *
 * lease_load.c
 *	  Listing running jobs from the table, and counting them for limits.
 *
 * One pass over the table enters each running job that the registry does not
 * have: when the server has started, when the registry has had no room, and for
 * a queue with a limit whose running jobs are not all known (gate.c).
 *
 * A job may end after the pass has seen it and before it has an entry.  Nothing
 * would remove that entry, and the limit would lose a ticket.  So such an entry is
 * in doubt until the job is looked at again by a newer snapshot; a transaction that
 * ends the job later finds the entry.
 *
 * Running jobs of a batch have the same lease and share a ticket (lease_batch.c).
 * A pass remembers one of each, so that the others join it.
 *
 * A prepared transaction may have ended a job, or not: its entry is in doubt,
 * too, and is verified when a prepared transaction has been finished.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease_load.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/lease_load.h"

#include "base/row_holder.h"
#include "base/walk.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_registry.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* When to look again at a part of the table that cannot be read. */
#define UNREADABLE_DELAY (60 * USECS_PER_SEC)

/* A gate whose running jobs are being counted. */
typedef struct Counting
{
	JobqQueueState *state;
	uint32		begun;			/* see jobq_gate_count_begin() */
	bool		failed;			/* a job found no room */
} Counting;

/* A lease of a batch, and the first of its jobs that was listed. */
typedef struct LoadedBatch
{
	struct
	{
		int64		lease;
		int64		queue;
	}			key;
	int64		job_id;
} LoadedBatch;

typedef struct Load
{
	Counting   *counting;		/* by address */
	int			ncounting;
	HTAB	   *batches;		/* of LoadedBatch; NULL: none was seen */
	MemoryContext context;
} Load;

/* See lease_load.h. */
bool
jobq_lease_is_at_home(const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);

	return queue != NULL && queue->at_home;
}

/*
 * Returns when the lease of a running job ends that was not in the registry
 * when the job's row was read.  A session-bound lease has ended: a session
 * enters its lease before it commits, so that session ended with the server.
 */
static TimestampTz
unlisted_until(const JobqJob *job)
{
	return job->lease_until == JOBQ_NEVER ? jobq_now() : job->lease_until;
}

/*
 * Lists the lease; false if there is no room.  shared_with: another job of the
 * same batch, or 0.
 */
static bool
list(const JobqJob *job, int64 shared_with, bool in_doubt)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	JobqLeaseListing listing = {
		.id = {.job_id = job->id,.lease = job->lease},
		.until = unlisted_until(job),.in_doubt = in_doubt
	};

	if (queue != NULL)
	{
		listing.role = queue->owner;
		listing.ticket.gate = queue->state;
		listing.ticket.shared_with = shared_with;
		listing.keep = queue->max_running != JOBQ_UNLIMITED;
	}
	return jobq_lease_list(&listing);
}

/* See lease_load.h.  Called with the row locked. */
bool
jobq_lease_enter(const JobqJob *job)
{
	return list(job, 0, false);
}

static int
compare_counting(const void *a, const void *b)
{
	const JobqQueueState *x = ((const Counting *) a)->state;
	const JobqQueueState *y = ((const Counting *) b)->state;

	return x < y ? -1 : x > y;
}

/* Before the snapshot is taken. */
static void
begin_counting(Load *load)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	load->counting = palloc(Max(n, 1) * sizeof(Counting));
	for (int i = 0; i < n; i++)
	{
		JobqQueueState *state = briefs[i].state;

		if (state == NULL || !briefs[i].at_home ||
			jobq_gate_is_counted(&state->gate))
			continue;
		load->counting[load->ncounting++] = (Counting)
		{
			.state = state,.begun = jobq_gate_count_begin(&state->gate)
		};
	}
	qsort(load->counting, load->ncounting, sizeof(Counting),
		  compare_counting);
}

/* A job of the queue could not be listed. */
static void
fail_counting(Load *load, const JobqJob *job)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	Counting	key = {.state = queue != NULL ? queue->state : NULL};
	Counting   *counting = bsearch(&key, load->counting, load->ncounting,
								   sizeof(Counting), compare_counting);

	if (counting != NULL)
		counting->failed = true;
}

/* The first listed job of a batch; *found is false if there is none yet. */
static LoadedBatch *
batch_of(Load *load, const JobqJob *job, bool *found)
{
	LoadedBatch key = {{.lease = job->lease,.queue = job->queue}};

	if (load->batches == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(key.key);
		control.entrysize = sizeof(LoadedBatch);
		control.hcxt = load->context;
		load->batches = hash_create("jobq batches", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return hash_search(load->batches, &key.key, HASH_ENTER, found);
}

/* The same as list() for a row of the pass. */
static bool
list_row(Load *load, const JobqJob *job, bool in_doubt)
{
	LoadedBatch *batch;
	bool		found;

	if (job->nulls[Anum_job_in_batch - 1])
		return list(job, 0, in_doubt);
	batch = batch_of(load, job, &found);
	if (!found)
		batch->job_id = 0;
	if (!list(job, batch->job_id, in_doubt))
		return false;
	if (batch->job_id == 0)
		batch->job_id = job->id;
	return true;
}

/* Lists a row's job if it is running. */
static bool
load_row(JobqTable *jobs, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	Load	   *load = arg;
	JobqJob		job;

	jobq_job_read(&job, row);
	if (job.state == JOBQ_STATE_RUNNING && jobq_lease_is_at_home(&job) &&
		!list_row(load, &job, jobq_row_is_held(row)))
		fail_counting(load, &job);
	return true;
}

/* For jobq_walk(). */
static BlockNumber
load_rows(ItemPointer from, ItemPointer to, void *arg)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	BlockNumber stopped = jobq_walk_rows(jobs, from, to, load_row, arg);

	jobq_table_close(jobs);
	return stopped;
}

/* Lists what is running by one snapshot; a part that cannot be read is left out. */
static void
list_running(Load *load, bool careful)
{
	JobqWalk	walk = {
		.relation = JOBQ_REL_JOB,.visit = load_rows,.arg = load,
		.careful = careful,.repeatable = true
	};
	BlockNumber next = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	while (next != InvalidBlockNumber)
	{
		next = jobq_walk(&walk, next, InvalidBlockNumber);
		if (walk.failed == InvalidBlockNumber)
			continue;
		jobq_leases_leave_out(jobq_now() + UNREADABLE_DELAY);
		for (int i = 0; i < load->ncounting; i++)
			load->counting[i].failed = true;
	}
	PopActiveSnapshot();
}

/*
 * Opens the gates whose running jobs all have tickets.  If others were missed
 * meanwhile, and claims were turned away, has them counted again.
 */
static void
end_counting(const Load *load)
{
	for (int i = 0; i < load->ncounting; i++)
	{
		const Counting *counting = &load->counting[i];
		JobqGate   *gate = &counting->state->gate;
		bool		counted = !counting->failed &&
		jobq_gate_count_end(gate, counting->begun);

		if (!jobq_gate_is_starved(gate))
			continue;
		if (counted)
			jobq_queue_wake_look(counting->state);
		else if (!counting->failed)
			jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
	}
}

/* See lease_load.h. */
void
jobq_leases_load(void)
{
	static bool interrupted = false;	/* by an error */
	bool		careful = interrupted;
	Load		load = {.context = CurrentMemoryContext};

	interrupted = true;
	begin_counting(&load);
	jobq_leases_begin_look();
	list_running(&load, careful);
	jobq_leases_end_look();
	jobq_leases_verify();
	end_counting(&load);
	if (load.batches != NULL)
		hash_destroy(load.batches);
	interrupted = false;
}

/* See lease_load.h. */
void
jobq_leases_verify(void)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);
	long		n;
	JobqLeaseId *leases = jobq_leases_in_doubt(&n);

	for (long i = 0; i < n; i++)
	{
		JobqJob		job;
		JobqQueueState *gate;

		CHECK_FOR_INTERRUPTS();
		/* first: a transaction that prepares the job's end now sets it again */
		jobq_lease_trust(leases[i].job_id, leases[i].lease);
		if (jobq_job_find(jobs, leases[i].job_id, slot, &job) &&
			job.state == JOBQ_STATE_RUNNING && job.lease == leases[i].lease)
		{
			if (jobq_row_is_held(slot))
				jobq_lease_doubt(leases[i].job_id, leases[i].lease);
			continue;
		}
		gate = jobq_lease_forget(leases[i].job_id, leases[i].lease);
		if (gate != NULL && jobq_queue_state_leave(gate, 1))
			jobq_queue_wake_look(gate);
	}
	ExecClearTuple(slot);
	jobq_table_close(jobs);
}
