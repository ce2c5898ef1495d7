/*-------------------------------------------------------------------------
 *
 * lease_load.c
 *	  Listing running jobs from the table.
 *
 * One pass over the table enters each running job that the registry does not
 * have: when the server has started, when the registry has had no room, and for
 * a queue with a limit whose running jobs are not all known (counting.c).
 *
 * The table may be large, so the coordinator makes a pass in parts, each in a
 * transaction of its own with a newer snapshot.  A row that moves to another
 * block meanwhile may be missed.  Only a claim, which enters the job itself, and
 * a heartbeat move the row of a running job.  A heartbeat that moves a row enters the
 * job as the pass would, before it commits.  If there is no room, the count of the
 * queue's running jobs fails after the commit (lease_note.c).  If the table gets a new
 * file, the pass begins again.
 *
 * A lease that is over and finds no room is remembered by the coordinator itself, which
 * ends it (lease_unlisted.c), unless its job is locked: the next pass looks again.
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
 * If a prepared transaction has ended a job, its entry is in doubt, too, and is
 * verified when a prepared transaction has been finished.
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
#include "dispatch/counting.h"
#include "dispatch/lease_unlisted.h"
#include "queue/lease_note.h"
#include "queue/queue_cache.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/gate.h"
#include "shared/late.h"
#include "shared/lease_doubt.h"
#include "shared/lease_listing.h"
#include "shared/lease_registry.h"

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

/* When a locked job is looked at again whose lease is not listed. */
#define LOCKED_DELAY USECS_PER_SEC

/* After how many blocks, or entries, the clock is looked at. */
#define CHECK_BLOCKS 32
#define CHECK_ENTRIES 64

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
	bool		ends;			/* the coordinator ends what is over */
	Oid			storage;		/* file of the table */
	BlockNumber next;			/* the next block to read, */
	BlockNumber end;			/* and the first one that need not be read */
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

/*
 * Whether this transaction has claimed the job, and not only written the row, as an
 * earlier heartbeat does.
 */
static bool
is_claimed_here(const JobqJob *job)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(job->slot,
									   MinTransactionIdAttributeNumber,
									   &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)) &&
		jobq_lease_note_claims(job->id, job->lease);
}

/* Whether the job has tickets, or its claim by this transaction brings them. */
static bool
has_tickets(const JobqJob *job)
{
	JobqGates	gates = jobq_lease_gates(job->id, job->lease);

	return (gates.queue != NULL &&
			(gates.group != NULL || jobq_job_group(job) == NULL)) ||
		is_claimed_here(job);
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

/* Some jobs could not be read. */
static void
note_unreadable(void)
{
	jobq_leases_leave_out(jobq_now() + UNREADABLE_DELAY);
	jobq_counting_fail_all();
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

/* A lease was not listed, perhaps for want of room.  If it is over, it ends anyway. */
static void
leave_out(const JobqJob *job, TupleTableSlot *row)
{
	const JobqQueue *queue = jobq_queue_by_id(job->queue);
	JobqLeaseId lease = {.job_id = job->id,.lease = job->lease};
	TimestampTz until = unlisted_until(job);
	TimestampTz now = jobq_now();

	if (!load.ends || until > now ||
		jobq_lease_is_registered(job->id, job->lease))
		return;
	if (jobq_row_is_held(row))
		jobq_late_note_job(until, now + LOCKED_DELAY, jobq_row_holder(row),
						   job->id, job->queue);
	else
		jobq_lease_unlisted_add(&lease,
								queue != NULL ? queue->owner : InvalidOid);
}

/* Lists a row's job if it is running. */
static bool
load_row(JobqTable *jobs, TupleTableSlot *row, Snapshot snapshot, void *arg)
{
	JobqJob		job;

	jobq_job_read(&job, row);
	if (job.state == JOBQ_STATE_RUNNING && jobq_lease_is_at_home(&job) &&
		!list_row(&job, !jobq_row_is_current(row)))
	{
		jobq_counting_fail(job.queue);
		leave_out(&job, row);
	}
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
	jobq_counting_begin(load.context);
	jobq_leases_begin_look();
	jobq_leases_unlisted_clear();
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
	jobq_counting_forget();
}

/* See lease_load.h. */
void
jobq_leases_load_begin(bool careful, bool ends)
{
	JobqTable  *jobs = jobq_table_open(JOBQ_REL_JOB);

	begin_pass();
	load.careful = careful;
	load.ends = ends;
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
	jobq_counting_end();
	load.stage = LOAD_NONE;
	MemoryContextReset(load.context);
	load.batches = NULL;
	jobq_counting_forget();
	return true;
}

/* See lease_load.h. */
void
jobq_leases_load(void)
{
	jobq_leases_load_begin(false, false);
	(void) jobq_leases_load_continue(PG_INT64_MAX);
}
