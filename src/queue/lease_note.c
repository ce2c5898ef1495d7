/*-------------------------------------------------------------------------
 *
 * lease_note.c
 *	  Leases that begin, or are extended, with the current transaction.
 *
 * The commit of a claim enters its lease in the registry, and the commit of the
 * job's end removes it (lease_end.c).  The job's ticket is in the claim's note, and
 * then in the entry.  If the queue has a limit, or only the entry would tell that the session
 * is alive, the claim itself makes the entry.
 *
 * The jobs of a queue with batches that one call claims share a ticket: the first
 * one's claim brings it, and the others name that job.
 *
 * IDENTIFICATION
 *	  src/queue/lease_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/lease_note.h"

#include "compat.h"
#include "queue/queue_cache.h"
#include "queue/ready_end.h"
#include "queue/queue_wake.h"
#include "shared/lease_registry.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/queue_state.h"

#include "miscadmin.h"

typedef struct LeaseNote
{
	JobqQueueNote queue;
	int64		job_id;
	int64		lease;
	TimestampTz until;
	int			proc;
	Oid			role;			/* that claims */
	JobqTicket	ticket;			/* of a claim */
	bool		shares;			/* it is that of the claim before this one */
	JobqGroup  *group;			/* and that of its group; NULL: none */
	bool		group_lent;		/* which a job that ends has lent */
	bool		reserved;		/* the entry is made, and has the ticket */
} LeaseNote;

static const JobqNoteKind claim_kind;

static void
give_back(JobqGates gates, const LeaseNote *noted)
{
	jobq_queue_wake_leave_gates(&gates, 1, &noted->queue);
}

/* The claim that was noted before this note, or NULL. */
static const LeaseNote *
claim_before(const JobqNote *note)
{
	int			n;
	const JobqNote *first = jobq_note_all(&n);

	for (const JobqNote *before = note; before-- > first;)
	{
		if (before->kind == &claim_kind)
			return jobq_note_const_data(before, LeaseNote);
	}
	return NULL;
}

/* The ticket of a claim, for the registry. */
static JobqLeaseTicket
ticket_of(const JobqNote *note)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);
	JobqLeaseTicket ticket = {0};

	if (noted->ticket != JOBQ_TICKET_NONE)
		ticket.gates = jobq_queue_wake_gates(&noted->queue);
	ticket.gates.group = noted->group;
	if (noted->shares)
		ticket.shared_with = claim_before(note)->job_id;
	return ticket;
}

static void
enter_claim(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);
	JobqLeaseTicket none = {0};

	give_back(jobq_lease_register(noted->job_id, noted->lease, noted->until,
								  noted->proc, noted->role,
								  noted->reserved ? none : ticket_of(note)),
			  noted);
}

static void
forget_claim_of(const LeaseNote *noted)
{
	JobqGates	gates = {NULL, NULL, NULL};

	if (noted->reserved)
		gates = jobq_lease_forget(noted->job_id, noted->lease);
	else if (!noted->shares)
	{
		if (noted->ticket != JOBQ_TICKET_NONE)
			gates = jobq_queue_wake_gates(&noted->queue);
		gates.group = noted->group;
	}
	if (noted->ticket == JOBQ_TICKET_LENT)
		gates.queue = NULL;
	if (noted->group_lent)
		gates.group = NULL;
	give_back(gates, noted);
}

static void
forget_claim(const JobqNote *note, TimestampTz now)
{
	forget_claim_of(jobq_note_const_data(note, LeaseNote));
}

/*
 * The session that finishes the transaction knows neither the lease nor the
 * ticket: the lease is found in time, and the queue's running jobs are counted
 * again.  A claim that is bound to its session cannot be prepared, since only that
 * session could list it.
 */
static void
mark_claim(const JobqNote *note)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	if (noted->until == JOBQ_NEVER)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has claimed a job for the session"),
				 errdetail("The claim of job " INT64_FORMAT " ends with the session, and a prepared transaction does not.",
						   noted->job_id),
				 errhint("Claim the job with session_bound => false.")));
	if (noted->ticket != JOBQ_TICKET_NONE || noted->group != NULL)
		jobq_ready_end_refuse_limited(&noted->queue, noted->group != NULL);
	jobq_mark(JOBQ_MARK_CLAIMED, noted->queue.queue);
	jobq_mark_time(JOBQ_MARK_LEASES, noted->until);
}

static void
forget_prepared_claim(const JobqNote *note)
{
	forget_claim_of(jobq_note_const_data(note, LeaseNote));
}

static const JobqNoteKind claim_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = enter_claim},
	.abort = {[JOBQ_NOTE_TICKETS] = forget_claim},
	.mark = mark_claim,
	.prepare = forget_prepared_claim
};

/* See lease_note.h. */
bool
jobq_at_commit_claim(const JobqQueue *queue, int64 job_id, int64 lease,
					 TimestampTz until, const JobqTickets *tickets)
{
	JobqNote   *added = jobq_note_add(&claim_kind);
	LeaseNote  *note = jobq_note_data(added, LeaseNote);
	const LeaseNote *before;
	bool		bound = until == JOBQ_NEVER;

	jobq_queue_wake_describe(&note->queue, queue);
	note->job_id = job_id;
	note->lease = lease;
	note->until = until;
	note->proc = bound ? JOBQ_MY_PROC_NUMBER : JOBQ_NO_PROCESS;
	note->role = GetUserId();
	note->ticket = tickets->queue;
	note->group = tickets->group;
	note->group_lent = tickets->group_lent;
	if (tickets->queue == JOBQ_TICKET_NONE && tickets->group == NULL &&
		jobq_queue_has_batches(queue) &&
		(before = claim_before(added)) != NULL && before->lease == lease &&
		before->queue.queue == queue->id)
	{
		note->ticket = before->ticket;
		note->group = before->group;
		note->group_lent = before->group_lent;
		note->shares = note->ticket != JOBQ_TICKET_NONE || note->group != NULL;
	}
	if (!bound && ((note->ticket == JOBQ_TICKET_NONE && note->group == NULL) ||
				   !jobq_queue_keeps_leases(queue)))
		return true;
	note->reserved = jobq_lease_reserve(job_id, lease, bound,
										ticket_of(added));
	return note->reserved;
}

/*
 * There was no room for a job whose row has moved.  A pass over the table that counts
 * running jobs (lease_load.c) may have missed the row in both places.
 */
static void
tell_of_move(const LeaseNote *noted)
{
	JobqQueueState *state = jobq_queue_state_find(noted->queue.queue);
	JobqGates	gates = jobq_lease_gates(noted->job_id, noted->lease);

	if (state != NULL && gates.queue == NULL)
		jobq_gate_miss(&state->gate);
	if (noted->queue.limit != NULL && gates.limit == NULL)
		jobq_gate_miss(&noted->queue.limit->gate);
}

static void
update_lease(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);
	JobqLeaseTicket none = {0};

	give_back(jobq_lease_register(noted->job_id, noted->lease, noted->until,
								  JOBQ_NO_PROCESS, noted->role, none), noted);
	if (noted->queue.queue != JOBQ_NO_QUEUE)
		tell_of_move(noted);
}

static void
mark_lease(const JobqNote *note)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	jobq_mark_time(JOBQ_MARK_LEASES, noted->until);
	if (noted->queue.queue != JOBQ_NO_QUEUE)
		jobq_mark(JOBQ_MARK_CLAIMED, noted->queue.queue);
	if (noted->queue.shared_limit != JOBQ_NO_LIMIT)
		jobq_mark(JOBQ_MARK_LIMIT_CLAIMED, noted->queue.shared_limit);
}

static const JobqNoteKind lease_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = update_lease},
	.mark = mark_lease
};

/* See lease_note.h. */
void
jobq_at_commit_lease(int64 job_id, int64 lease, TimestampTz until,
					 int32 moved_in)
{
	LeaseNote  *note = jobq_note_data(jobq_note_add(&lease_kind), LeaseNote);

	note->queue.queue = moved_in;
	if (moved_in != JOBQ_NO_QUEUE)
	{
		const JobqQueue *queue = jobq_queue_by_id(moved_in);

		if (queue != NULL)
		{
			note->queue.limit = queue->limit;
			note->queue.shared_limit = queue->shared_limit;
		}
	}
	note->job_id = job_id;
	note->lease = lease;
	note->until = until;
	note->role = GetUserId();
}

/* See lease_note.h; walks over all notes. */
bool
jobq_lease_note_any(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (notes[i].kind == &claim_kind)
			return true;
	}
	return false;
}

/* See lease_note.h. */
bool
jobq_lease_note_claims(int64 job_id, int64 lease)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = 0; i < n; i++)
	{
		const LeaseNote *noted = jobq_note_const_data(&notes[i], LeaseNote);

		if (notes[i].kind == &claim_kind && noted->job_id == job_id &&
			noted->lease == lease)
			return true;
	}
	return false;
}
