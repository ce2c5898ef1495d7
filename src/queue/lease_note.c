/*-------------------------------------------------------------------------
 *
 * lease_note.c
 *	  Leases that begin and end with the current transaction.
 *
 * The commit of a claim enters its lease in the registry, and the commit of the
 * job's end removes it.  The job's ticket is in the claim's note, and then in the
 * entry.  If the queue has a limit, or only the entry would tell that the session
 * is alive, the claim itself makes the entry.
 *
 * A transaction that ends jobs and claims others, as next() does, needs no second
 * ticket: the lease that ends lends its own.  After a commit the ticket is the new
 * job's; after a rollback it is the old one's again.  Both notes are of one level,
 * so they are kept or forgotten together.  The new job may end in the same
 * transaction, and lend the ticket on.  So a rollback first takes lent tickets
 * back, and then forgets the claims: otherwise an entry that it has removed itself
 * would look like one that another process has removed.  Between the end of the
 * transaction and its callback another process may remove an entry that has lent
 * its ticket.  It does not give the ticket back; the callback does, since it finds
 * no entry.
 *
 * The jobs of a queue with batches that one call claims share a ticket: the first
 * one's claim brings it, and the others name that job.  Their leases can lend it
 * only if all of them end in the transaction.
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
#include "queue/queue_wake.h"
#include "shared/lease_doubt.h"
#include "shared/lease_lend.h"
#include "shared/lease_registry.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "access/xact.h"
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
	JobqGroup  *lent_group;		/* of an end: its ticket of that is another
								 * claim's; NULL: it is not */
	bool		reserved;		/* the entry is made, and has the ticket */
	bool		in_batch;
	bool		lent;			/* of an end: its ticket is another claim's */
} LeaseNote;

/* The note whose lease has lent the ticket of its group last. */
static int	latest_lender = 0;

static const JobqNoteKind claim_kind;
static const JobqNoteKind lease_kind;
static const JobqNoteKind end_kind;

static void
give_back(JobqGates gates, const LeaseNote *noted)
{
	jobq_queue_wake_leave_gates(&gates, 1, &noted->queue);
}

/* The gates of the queue of a note, without its group. */
static JobqGates
gates_of(const LeaseNote *noted)
{
	return (JobqGates)
	{
		noted->queue.state, noted->queue.limit, NULL
	};
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
		ticket.gates = gates_of(noted);
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
			gates = gates_of(noted);
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
		jobq_ready_refuse_limited(&noted->queue, noted->group != NULL);
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
 * A pass over the table that counts running jobs (lease_load.c) may have missed the
 * row where it was before, and where it is now, and there was no room for the job.
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

/* Removes the entry, and gives its ticket back. */
static void
forget_ended(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	give_back(jobq_lease_forget(noted->job_id, noted->lease), noted);
}

/* Whether a note is of the end of a lease that may share a ticket with this. */
static bool
is_end_of_batch(const JobqNote *note, const LeaseNote *end)
{
	const LeaseNote *other = jobq_note_const_data(note, LeaseNote);

	return note->kind == &end_kind && end->in_batch &&
		other->lease == end->lease &&
		other->queue.queue == end->queue.queue;
}

/*
 * Takes back a ticket that was lent, by a function of the registry.  Returns false if
 * none of the jobs that had it has an entry any more.
 */
static bool
unlend(const LeaseNote *lender, bool (*take) (int64 job_id, int64 lease))
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	if (take(lender->job_id, lender->lease))
		return true;
	for (int i = 0; i < n && lender->in_batch; i++)
	{
		const LeaseNote *other = jobq_note_const_data(&notes[i], LeaseNote);

		if (is_end_of_batch(&notes[i], lender) &&
			take(other->job_id, other->lease))
			return true;
	}
	return false;
}

/*
 * Takes back what was lent, since the claim that has it is rolled back, too, or was
 * not made.  Another process may have ended the job meanwhile.
 */
static void
take_back(const LeaseNote *noted)
{
	JobqGates	group = {.group = noted->lent_group};

	if (noted->lent && !unlend(noted, jobq_lease_unlend))
		give_back(gates_of(noted), noted);
	if (group.group != NULL && !unlend(noted, jobq_lease_unlend_group))
		give_back(group, noted);
}

static void
keep_lease(const JobqNote *note, TimestampTz now)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	take_back(noted);
}

/* Only the end of the prepared transaction decides whether the job has ended. */
static void
mark_end(const JobqNote *note)
{
	jobq_mark(JOBQ_MARK_WAKES, JOBQ_WAKE_DOUBT);
}

static void
doubt_ended(const JobqNote *note)
{
	const LeaseNote *noted = jobq_note_const_data(note, LeaseNote);

	take_back(noted);
	jobq_lease_doubt(noted->job_id, noted->lease);
}

static const JobqNoteKind end_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = forget_ended},
	.abort = {[JOBQ_NOTE_LEASES] = keep_lease},
	.mark = mark_end,
	.prepare = doubt_ended
};

/* See lease_note.h. */
void
jobq_at_commit_lease_end(const JobqQueue *queue, int64 job_id, int64 lease,
						 bool in_batch)
{
	LeaseNote  *note = jobq_note_data(jobq_note_add(&end_kind), LeaseNote);

	if (queue != NULL)
		jobq_queue_wake_describe(&note->queue, queue);
	note->job_id = job_id;
	note->lease = lease;
	note->in_batch = in_batch;
}

/* See lease_note.h; walks over all notes. */
bool
jobq_lease_note_any(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (notes[i].kind == &claim_kind || notes[i].kind == &end_kind)
			return true;
	}
	return false;
}

/*
 * The lease that the latest of these notes ends, and those of its batch, which may
 * have ended at outer levels.
 */
static JobqLeaseId *
ended_with(JobqNote *notes, int n, int *number)
{
	const LeaseNote *lender = jobq_note_data(&notes[n - 1], LeaseNote);
	JobqLeaseId *leases;
	int			nleases = 1;

	leases = palloc((lender->in_batch ? n : 1) * sizeof(JobqLeaseId));
	leases[0].job_id = lender->job_id;
	leases[0].lease = lender->lease;
	for (int i = n - 2; i >= 0 && lender->in_batch; i--)
	{
		if (!is_end_of_batch(&notes[i], lender))
			continue;
		leases[nleases].job_id =
			jobq_note_data(&notes[i], LeaseNote)->job_id;
		leases[nleases++].lease = lender->lease;
	}
	*number = nleases;
	return leases;
}

/* Lends the ticket of the lease that the latest of these notes ends. */
static bool
lend(JobqNote *notes, int n, const JobqGates *gates)
{
	LeaseNote  *lender = jobq_note_data(&notes[n - 1], LeaseNote);
	int			nleases;
	JobqLeaseId *leases = ended_with(notes, n, &nleases);

	lender->lent = jobq_lease_lend(leases, nleases, gates);
	pfree(leases);

	/* the queue may have been changed since the job was ended */
	if (lender->lent)
		lender->queue.limit = gates->limit;
	return lender->lent;
}

/* See lease_note.h.  Asks for the ticket of a batch once. */
bool
jobq_lease_note_lend(const JobqQueue *queue)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	int64		asked = 0;		/* the lease of a batch */
	const JobqGates gates = {queue->state, queue->limit, NULL};

	for (int i = n - 1; i >= 0 && notes[i].level == level; i--)
	{
		LeaseNote  *end = jobq_note_data(&notes[i], LeaseNote);

		if (notes[i].kind != &end_kind || end->lent ||
			end->queue.queue != queue->id ||
			(end->in_batch && end->lease == asked))
			continue;
		if (lend(notes, i + 1, &gates))
			return true;
		asked = end->in_batch ? end->lease : asked;
	}
	return false;
}

/* See lease_note.h.  All tickets of a gate are alike: any lent one will do. */
void
jobq_lease_note_unlend(const JobqQueue *queue)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0 && notes[i].level == level; i--)
	{
		LeaseNote  *end = jobq_note_data(&notes[i], LeaseNote);

		if (notes[i].kind != &end_kind || !end->lent ||
			end->queue.queue != queue->id ||
			end->queue.limit != queue->limit)
			continue;
		end->lent = false;
		if (!unlend(end, jobq_lease_unlend))
		{
			JobqGates	gates = gates_of(end);

			jobq_queue_wake_leave(&gates);
		}
		return;
	}
}

/* See lease_note.h. */
JobqGroup *
jobq_lease_note_lend_group(const JobqQueue *queue, int *from)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = (*from < 0 ? n : *from) - 1;
		 i >= 0 && notes[i].level == level; i--)
	{
		LeaseNote  *end = jobq_note_data(&notes[i], LeaseNote);
		JobqLeaseId *leases;
		int			nleases;

		if (notes[i].kind != &end_kind || end->lent_group != NULL ||
			end->queue.queue != queue->id)
			continue;
		leases = ended_with(notes, i + 1, &nleases);
		end->lent_group = jobq_lease_lend_group(leases, nleases, queue->state);
		pfree(leases);
		*from = i;
		latest_lender = i;
		if (end->lent_group != NULL)
			return end->lent_group;
	}
	return NULL;
}

/* Whether a note is of a lease that has lent its ticket of the group. */
static bool
has_lent(const JobqNote *note, const JobqGroup *group)
{
	return note->kind == &end_kind &&
		jobq_note_const_data(note, LeaseNote)->lent_group == group;
}

/* See lease_note.h.  All tickets of a group are alike; the latest is found at once. */
void
jobq_lease_note_unlend_group(JobqGroup *group)
{
	JobqGates	gates = {.group = group};
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	int			i = n - 1;
	LeaseNote  *end;

	if (latest_lender < n && notes[latest_lender].level == level &&
		has_lent(&notes[latest_lender], group))
		i = latest_lender;
	while (i >= 0 && notes[i].level == level && !has_lent(&notes[i], group))
		i--;
	if (i < 0 || notes[i].level != level)
		return;
	end = jobq_note_data(&notes[i], LeaseNote);
	end->lent_group = NULL;
	if (!unlend(end, jobq_lease_unlend_group))
		jobq_queue_wake_leave(&gates);
}
