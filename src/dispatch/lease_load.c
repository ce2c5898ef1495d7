/*-------------------------------------------------------------------------
 *
 * lease_load.c
 *	  Listing running jobs from the table, and counting them for limits.
 *
 * One pass over the table enters each running job that the registry does not
 * have: when the server has started, when the registry has had no room, and for
 * a queue with a limit whose running jobs are not all known (gate.c).
 *
 * The table may be large, so the coordinator makes a pass in parts, each in a
 * transaction of its own with a newer snapshot.  A row that moves to another
 * block meanwhile may be missed.  Only a claim, which enters the job itself, and
 * a heartbeat move the row of a running job.  What a heartbeat moves it enters as
 * the pass would, before it commits.  Where there is no room for that, the count of
 * the queue's running jobs fails after the commit (lease_note.c).  A new file of
 * the table has the pass begin again.
 *
 * A job may end after the pass has seen it and before it has an entry.  Nothing
 * would remove that entry, and the limit would lose a ticket.  So such an entry is
 * in doubt until the job is looked at again by a newer snapshot; a transaction that
 * ends the job later finds the entry.  This second look is the last stage of a
 * pass, and made in parts, too.
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
#include "shared/lease_doubt.h"
#include "shared/lease_listing.h"
#include "shared/lease_registry.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* When to look again at a part of the table that cannot be read. */
#define UNREADABLE_DELAY (60 * USECS_PER_SEC)

/* After how many blocks, or entries, the clock is looked at. */
#define CHECK_BLOCKS 32
#define CHECK_ENTRIES 64

/* A queue, or a limit that queues share, whose running jobs are being counted. */
typedef struct Counting
{
	int32		queue;			/* or a limit, with the sign of its id changed */
	JobqQueueState *state;		/* these may be another's by now */
	JobqLimitState *limit;
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

typedef enum LoadStage
{
	LOAD_NONE,
	LOAD_LIST,
	LOAD_VERIFY
} LoadStage;

/* The pass that is under way. */
typedef struct Load
{
	LoadStage	stage;
	MemoryContext context;		/* of what follows; reset by the next pass */
	bool		careful;
	Oid			storage;		/* file of the table */
	BlockNumber next;			/* the next block to read, */
	BlockNumber end;			/* and the first one that need not be read */
	Counting   *counting;		/* by queue */
	int			ncounting;
	HTAB	   *batches;		/* of LoadedBatch; NULL: none was seen */
	JobqLeaseId *doubted;		/* to be verified */
	long		ndoubted;
	long		nverified;
} Load;

static Load load;

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
 * The limit that the queue shares, if it does not know all running jobs.  Otherwise
 * a job that has no slot of it started before the queue shared it.
 */
static JobqLimitState *
uncounted_limit(const JobqQueue *queue)
{
	return queue->limit == NULL || jobq_gate_is_counted(&queue->limit->gate) ?
		NULL : queue->limit;
}

/*
 * Describes a running job to the registry.  shared_with: another job of the same
 * batch, or 0.
 */
static JobqLeaseListing
describe(const JobqJob *job, int64 shared_with)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	JobqLeaseListing listing = {
		.id = {.job_id = job->id,.lease = job->lease},
		.until = unlisted_until(job)
	};

	if (queue != NULL)
	{
		listing.role = queue->owner;
		listing.ticket.gates.queue = queue->state;
		listing.ticket.gates.limit = uncounted_limit(queue);
		listing.ticket.shared_with = shared_with;
		listing.group = jobq_job_group(job);
		listing.keep = jobq_queue_keeps_leases(queue);
	}
	return listing;
}

/* Lists the lease; false if there is no room. */
static bool
list(const JobqJob *job, int64 shared_with, bool in_doubt)
{
	JobqLeaseListing listing = describe(job, shared_with);

	listing.in_doubt = in_doubt;
	return jobq_lease_list(&listing);
}

/* See lease_load.h.  Called with the row locked. */
bool
jobq_lease_enter(const JobqJob *job)
{
	return list(job, 0, false);
}

/* Whether the job has tickets, or its claim by this transaction brings them. */
static bool
has_tickets(const JobqJob *job)
{
	JobqGates	gates = jobq_lease_gates(job->id, job->lease);
	bool		isnull;
	Datum		xmin;

	if (gates.queue != NULL &&
		(gates.group != NULL || jobq_job_group(job) == NULL))
		return true;
	xmin = slot_getsysattr(job->slot, MinTransactionIdAttributeNumber, &isnull);
	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/*
 * See lease_load.h.  Does what a pass would do that saw the row.  If the transaction is
 * rolled back the entry is right, too: the job runs, by its former lease.
 */
bool
jobq_lease_enter_moved(const JobqJob *job, TimestampTz until)
{
	JobqLeaseListing listing;

	if (has_tickets(job))
		return true;
	listing = describe(job, 0);
	listing.until = until;
	listing.moves = true;
	return jobq_lease_list(&listing);
}

static int
compare_counting(const void *a, const void *b)
{
	int32		x = ((const Counting *) a)->queue;
	int32		y = ((const Counting *) b)->queue;

	return x < y ? -1 : x > y;
}

/* The gate of what is counted; NULL: it is gone. */
static JobqGate *
gate_of(const Counting *counting)
{
	if (counting->limit != NULL)
		return jobq_limit_state_find(-counting->queue) == counting->limit ?
			&counting->limit->gate : NULL;
	return jobq_queue_state_find(counting->queue) == counting->state ?
		&counting->state->gate : NULL;
}

static void
add_counting(int32 queue, JobqQueueState *state, JobqLimitState *limit)
{
	JobqGate   *gate = state != NULL ? &state->gate : &limit->gate;

	if (!jobq_gate_is_counted(gate))
		load.counting[load.ncounting++] = (Counting)
	{
		.queue = queue,.state = state,.limit = limit,
			.begun = jobq_gate_count_begin(gate)
	};
}

/* Before the first snapshot is taken.  Several queues may share a limit. */
static void
begin_counting(void)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);
	int			last = 0;

	load.counting = MemoryContextAllocHuge(load.context,
										   Max(n, 1) * 2 * sizeof(Counting));
	load.ncounting = 0;
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];

		if (brief->at_home && brief->state != NULL)
			add_counting(brief->id, brief->state, NULL);
		if (brief->at_home && brief->limit != NULL)
			add_counting(-brief->shared_limit, NULL, brief->limit);
	}
	qsort(load.counting, load.ncounting, sizeof(Counting), compare_counting);
	for (int i = 1; i < load.ncounting; i++)
	{
		if (load.counting[i].queue != load.counting[last].queue)
			load.counting[++last] = load.counting[i];
	}
	load.ncounting = Min(load.ncounting, last + 1);
}

static void
fail_one(int32 queue)
{
	Counting	key = {.queue = queue};
	Counting   *counting = bsearch(&key, load.counting, load.ncounting,
								   sizeof(Counting), compare_counting);

	if (counting != NULL)
		counting->failed = true;
}

/* A job of the queue could not be listed. */
static void
fail_counting(int32 id)
{
	const JobqQueue *queue = jobq_queue_by_id(id);

	fail_one(id);
	if (queue != NULL && queue->shared_limit != JOBQ_NO_LIMIT)
		fail_one(-queue->shared_limit);
}

/* Some jobs could not be read. */
static void
note_unreadable(void)
{
	jobq_leases_leave_out(jobq_now() + UNREADABLE_DELAY);
	for (int i = 0; i < load.ncounting; i++)
		load.counting[i].failed = true;
}

/*
 * Opens the gates whose running jobs all have tickets.  If others were missed
 * meanwhile, and claims were turned away, has them counted again.
 */
static void
end_counting(void)
{
	for (int i = 0; i < load.ncounting; i++)
	{
		const Counting *counting = &load.counting[i];
		JobqGate   *gate = gate_of(counting);
		bool		counted;

		if (gate == NULL)
			continue;
		counted = !counting->failed &&
			jobq_gate_count_end(gate, counting->begun);
		if (!jobq_gate_is_starved(gate))
			continue;
		if (counted && counting->limit != NULL)
			jobq_queue_wake_call(counting->limit, 1);
		else if (counted)
			jobq_queue_wake_look(counting->state);
		else if (!counting->failed)
			jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
	}
}

/* ---------------------------------------------------------------- listing */

/* The first listed job of a batch; *found is false if there is none yet. */
static LoadedBatch *
batch_of(const JobqJob *job, bool *found)
{
	LoadedBatch key = {{.lease = job->lease,.queue = job->queue}};

	if (load.batches == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(key.key);
		control.entrysize = sizeof(LoadedBatch);
		control.hcxt = load.context;
		load.batches = hash_create("jobq batches", 64, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return hash_search(load.batches, &key.key, HASH_ENTER, found);
}

/* The same as list() for a row of the pass. */
static bool
list_row(const JobqJob *job, bool in_doubt)
{
	LoadedBatch *batch;
	bool		found;

	if (job->nulls[Anum_job_in_batch - 1])
		return list(job, 0, in_doubt);
	batch = batch_of(job, &found);
	/* it may have ended since an earlier part */
	if (!found || !jobq_lease_is_registered(batch->job_id, job->lease))
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
	JobqJob		job;

	jobq_job_read(&job, row);
	if (job.state == JOBQ_STATE_RUNNING && jobq_lease_is_at_home(&job) &&
		!list_row(&job, !jobq_row_is_current(row)))
		fail_counting(job.queue);
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

/* Begins, or begins again with another file of the table. */
static void
begin_listing(JobqTable *jobs)
{
	MemoryContextReset(load.context);
	load.batches = NULL;
	begin_counting();
	jobq_leases_begin_look();
	load.storage = jobq_table_storage(jobs);
	load.next = 0;
	load.end = RelationGetNumberOfBlocks(jobs->rel);
}

/* Lists what is running by one snapshot.  Returns whether that was the rest. */
static bool
continue_listing(int64 until)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	JobqWalk	walk = {
		.relation = JOBQ_REL_JOB,.visit = load_rows,
		.careful = load.careful,.repeatable = true
	};

	if (jobq_table_storage(jobs) != load.storage)
		begin_listing(jobs);
	PushActiveSnapshot(GetLatestSnapshot());
	while (load.next < load.end)
	{
		load.next = jobq_walk(&walk, load.next,
							  Min(CHECK_BLOCKS, load.end - load.next));
		if (walk.failed != InvalidBlockNumber)
			note_unreadable();
		if (jobq_stopwatch() >= until)
			break;
	}
	PopActiveSnapshot();
	jobq_table_close(jobs);
	return load.next >= load.end;
}

/* -------------------------------------------------------------- verifying */

static void
begin_verifying(void)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(load.context);

	load.doubted = jobq_leases_in_doubt(&load.ndoubted);
	load.nverified = 0;
	load.stage = LOAD_VERIFY;
	MemoryContextSwitchTo(oldcontext);
}

/* Looks again at the job of an entry in doubt; removes the entry if it is wrong. */
static void
verify(JobqTable *jobs, TupleTableSlot *slot, const JobqLeaseId *lease)
{
	JobqJob		job;
	JobqGates	gates;

	/* first: a transaction that prepares the job's end now sets it again */
	jobq_lease_trust(lease->job_id, lease->lease);
	if (jobq_job_find(jobs, lease->job_id, slot, &job) &&
		job.state == JOBQ_STATE_RUNNING && job.lease == lease->lease)
	{
		/* or a prepared transaction that has ended it has just been committed */
		if (!jobq_row_is_current(slot))
			jobq_lease_doubt(lease->job_id, lease->lease);
		return;
	}
	gates = jobq_lease_forget(lease->job_id, lease->lease);
	jobq_queue_wake_leave(&gates);
}

/* Verifies entries.  Returns whether these were the rest. */
static bool
continue_verifying(int64 until)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);
	TupleTableSlot *slot = jobq_table_slot(jobs);

	while (load.nverified < load.ndoubted)
	{
		CHECK_FOR_INTERRUPTS();
		verify(jobs, slot, &load.doubted[load.nverified++]);
		if (load.nverified % CHECK_ENTRIES == 0 &&
			jobq_stopwatch() >= until)
			break;
	}
	ExecClearTuple(slot);
	jobq_table_close(jobs);
	return load.nverified >= load.ndoubted;
}

/* ------------------------------------------------------------------ passes */

/* What is left of a pass that has failed is forgotten. */
static void
begin_pass(void)
{
	if (load.context == NULL)
		load.context = AllocSetContextCreate(TopMemoryContext,
											 "jobq running jobs",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(load.context);
	load.batches = NULL;
	load.ncounting = 0;
}

/* See lease_load.h. */
void
jobq_leases_load_begin(bool careful)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	begin_pass();
	load.careful = careful;
	begin_listing(jobs);
	load.stage = LOAD_LIST;
	jobq_table_close(jobs);
}

/* See lease_load.h. */
void
jobq_leases_verify_begin(void)
{
	begin_pass();
	begin_verifying();
}

/* See lease_load.h. */
bool
jobq_leases_load_continue(int64 until)
{
	if (load.stage == LOAD_LIST)
	{
		if (!continue_listing(until))
			return false;
		jobq_leases_end_look();
		begin_verifying();
	}
	if (!continue_verifying(until))
		return false;
	end_counting();
	load.stage = LOAD_NONE;
	MemoryContextReset(load.context);
	load.batches = NULL;
	load.ncounting = 0;
	return true;
}

/* See lease_load.h. */
void
jobq_leases_load(void)
{
	jobq_leases_load_begin(false);
	(void) jobq_leases_load_continue(PG_INT64_MAX);
}
