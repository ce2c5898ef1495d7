/*-------------------------------------------------------------------------
 *
 * lease_end.c
 *	  Leases that end with the current transaction, and lend their tickets.
 *
 * The commit of a job's end removes the entry of its lease, and gives its ticket
 * back.
 *
 * A transaction that ends jobs and claims others, as next() does, needs no second
 * ticket: the lease that ends lends its own.  After a commit the ticket is the new
 * job's; after a rollback it is the old one's again.  Both notes are of one level,
 * so they are kept or forgotten together.  The new job may end in the same
 * transaction, and lend the ticket on.  So a rollback first takes lent tickets
 * back, and then forgets the claims (lease_note.c): otherwise an entry that it has
 * removed itself would look like one that another process has removed.  Between the
 * end of the transaction and its callback another process may remove an entry that
 * has lent its ticket.  It does not give the ticket back; the callback does, since
 * it finds no entry.
 *
 * Jobs that share a ticket can lend it only if all of them end in the transaction.
 *
 * IDENTIFICATION
 *	  src/queue/lease_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/lease_end.h"

#include "queue/queue_wake.h"
#include "shared/lease_doubt.h"
#include "shared/lease_lend.h"
#include "shared/lease_registry.h"
#include "shared/mark.h"
#include "shared/note.h"
#include "shared/wake.h"

#include "access/xact.h"

typedef struct EndNote
{
	JobqQueueNote queue;
	int64		job_id;
	int64		lease;
	bool		in_batch;
	bool		lent;			/* the ticket is a claim's of this transaction */
	JobqGroup  *lent_group;		/* so is that of the group; NULL: it is not */
} EndNote;

/* The note whose lease has lent the ticket of its group last. */
static int	latest_lender = 0;

static const JobqNoteKind end_kind;

/* Gives back tickets of the job that a note is about. */
static void
give_back(JobqGates gates, const EndNote *noted)
{
	jobq_queue_wake_leave_gates(&gates, 1, &noted->queue);
}

/* Removes the entry, and gives its ticket back. */
static void
forget_ended(const JobqNote *note, TimestampTz now)
{
	const EndNote *noted = jobq_note_const_data(note, EndNote);

	give_back(jobq_lease_forget(noted->job_id, noted->lease), noted);
}

/* Whether a note is of the end of a lease that may share a ticket with this. */
static bool
is_end_of_batch(const JobqNote *note, const EndNote *end)
{
	const EndNote *other = jobq_note_const_data(note, EndNote);

	return note->kind == &end_kind && end->in_batch &&
		other->lease == end->lease &&
		other->queue.queue == end->queue.queue;
}

/*
 * Takes back a ticket that was lent, by a function of the registry.  Returns false if
 * none of the jobs that had it has an entry any more.
 */
static bool
unlend(const EndNote *lender, bool (*take) (int64 job_id, int64 lease))
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	if (take(lender->job_id, lender->lease))
		return true;
	for (int i = 0; i < n && lender->in_batch; i++)
	{
		const EndNote *other = jobq_note_const_data(&notes[i], EndNote);

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
take_back(const EndNote *noted)
{
	JobqGates	group = {.group = noted->lent_group};

	if (noted->lent && !unlend(noted, jobq_lease_unlend))
		give_back(jobq_queue_wake_gates(&noted->queue), noted);
	if (group.group != NULL && !unlend(noted, jobq_lease_unlend_group))
		give_back(group, noted);
}

static void
keep_lease(const JobqNote *note, TimestampTz now)
{
	const EndNote *noted = jobq_note_const_data(note, EndNote);

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
	const EndNote *noted = jobq_note_const_data(note, EndNote);

	take_back(noted);
	jobq_lease_doubt(noted->job_id, noted->lease);
}

static const JobqNoteKind end_kind = {
	.commit = {[JOBQ_NOTE_LEASES] = forget_ended},
	.abort = {[JOBQ_NOTE_LEASES] = keep_lease},
	.mark = mark_end,
	.prepare = doubt_ended
};

/* See lease_end.h. */
void
jobq_at_commit_lease_end(const JobqQueue *queue, int64 job_id, int64 lease,
						 bool in_batch)
{
	EndNote    *note = jobq_note_data(jobq_note_add(&end_kind), EndNote);

	if (queue != NULL)
		jobq_queue_wake_describe(&note->queue, queue);
	note->job_id = job_id;
	note->lease = lease;
	note->in_batch = in_batch;
}

/* See lease_end.h; walks over all notes. */
bool
jobq_lease_end_any(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = 0; i < n; i++)
	{
		if (notes[i].kind == &end_kind)
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
	const EndNote *lender = jobq_note_data(&notes[n - 1], EndNote);
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
			jobq_note_data(&notes[i], EndNote)->job_id;
		leases[nleases++].lease = lender->lease;
	}
	*number = nleases;
	return leases;
}

/* Lends the ticket of the lease that the latest of these notes ends. */
static bool
lend(JobqNote *notes, int n, const JobqGates *gates)
{
	EndNote    *lender = jobq_note_data(&notes[n - 1], EndNote);
	int			nleases;
	JobqLeaseId *leases = ended_with(notes, n, &nleases);

	lender->lent = jobq_lease_lend(leases, nleases, gates);
	pfree(leases);

	/* the queue may have been changed since the job was ended */
	if (lender->lent)
		lender->queue.limit = gates->limit;
	return lender->lent;
}

/* See lease_end.h.  Asks for the ticket of a batch once. */
bool
jobq_lease_end_lend(const JobqQueue *queue)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	int64		asked = 0;		/* the lease of a batch */
	const JobqGates gates = {queue->state, queue->limit, NULL};

	for (int i = n - 1; i >= 0 && notes[i].level == level; i--)
	{
		EndNote    *end = jobq_note_data(&notes[i], EndNote);

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

/* See lease_end.h.  All tickets of a gate are alike: any lent one will do. */
void
jobq_lease_end_unlend(const JobqQueue *queue)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0 && notes[i].level == level; i--)
	{
		EndNote    *end = jobq_note_data(&notes[i], EndNote);

		if (notes[i].kind != &end_kind || !end->lent ||
			end->queue.queue != queue->id ||
			end->queue.limit != queue->limit)
			continue;
		end->lent = false;
		if (!unlend(end, jobq_lease_unlend))
		{
			JobqGates	gates = jobq_queue_wake_gates(&end->queue);

			jobq_queue_wake_leave(&gates);
		}
		return;
	}
}

/* See lease_end.h. */
JobqGroup *
jobq_lease_end_lend_group(const JobqQueue *queue, int *from)
{
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = (*from < 0 ? n : *from) - 1;
		 i >= 0 && notes[i].level == level; i--)
	{
		EndNote    *end = jobq_note_data(&notes[i], EndNote);
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
		jobq_note_const_data(note, EndNote)->lent_group == group;
}

/* See lease_end.h.  All tickets of a group are alike; the latest is found at once. */
void
jobq_lease_end_unlend_group(JobqGroup *group)
{
	JobqGates	gates = {.group = group};
	int			level = GetCurrentTransactionNestLevel();
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	int			i = n - 1;
	EndNote    *end;

	if (latest_lender < n && notes[latest_lender].level == level &&
		has_lent(&notes[latest_lender], group))
		i = latest_lender;
	while (i >= 0 && notes[i].level == level && !has_lent(&notes[i], group))
		i--;
	if (i < 0 || notes[i].level != level)
		return;
	end = jobq_note_data(&notes[i], EndNote);
	end->lent_group = NULL;
	if (!unlend(end, jobq_lease_unlend_group))
		jobq_queue_wake_leave(&gates);
}
