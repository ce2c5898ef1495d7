/*-------------------------------------------------------------------------
 *
 * ready.c
 *	  Jobs that the current transaction holds, and may give back.
 *
 * Notes (note.h) are kept of jobs whose rows are locked, so that others skip them, with
 * the jobs' places and tickets.  When the transaction ends, the jobs that are claimable
 * are put into the lanes and workers are woken for them.
 *
 * A locked job that has been changed is settled: its old version is no longer
 * claimable.  The level of the subtransaction that settled it is kept, since
 * that may roll back.
 *
 * IDENTIFICATION
 *	  src/queue/ready.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ready.h"

#include "queue/ready_end.h"
#include "shared/note.h"
#include "shared/xact_end.h"

#include "access/xact.h"

/* Notes of locked jobs that are not settled. */
static int	nunsettled = 0;

/* The deepest level at which a job locked at an outer level was settled. */
static int	deepest_settled = 0;

static const JobqNoteKind locked_kind;
static const JobqNoteKind ticket_kind;

/* Jobs that are not settled are looked for one by one. */
static bool
merge_locked(JobqNote *note, const JobqNote *next)
{
	return jobq_note_const_data(next, JobqReadyNote)->settled > 0 &&
		jobq_ready_note_merge(note, next);
}

/* See ready.h.  Cannot fail: jobq_ready_reserve() has been called. */
void
jobq_ready_note_locked(const JobqQueue *queue, const JobqPlace *place)
{
	const char *group = jobq_ready_note_use_name(place->group);
	JobqReadyNote *note = jobq_note_data(jobq_note_add_reserved(&locked_kind),
										 JobqReadyNote);

	jobq_ready_note_describe(note, queue);
	jobq_ready_note_set_place(note, place, group);
	nunsettled++;
}

/* The note of a locked job that has not been settled, or NULL. */
static JobqNote *
find_unsettled(int64 job_id)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0 && nunsettled > 0; i--)
	{
		const JobqReadyNote *note = jobq_note_const_data(&notes[i], JobqReadyNote);

		if (notes[i].kind == &locked_kind && note->settled == 0 &&
			note->place.key.id == job_id)
			return &notes[i];
	}
	return NULL;
}

/*
 * Notes the lock of a row that this transaction may have locked before.
 * Returns false if there is such a note already.
 */
bool
jobq_ready_note_locked_again(const JobqQueue *queue, const JobqPlace *place)
{
	if (find_unsettled(place->key.id) != NULL)
		return false;
	jobq_ready_note_locked(queue, place);
	return true;
}

/* Takes the tickets out of the note of one job. */
static JobqTickets
pull_tickets(JobqReadyNote *ready)
{
	JobqTickets result = {
		.queue = ready->tickets > 0 ? JOBQ_TICKET_OWN :
		ready->lent > 0 ? JOBQ_TICKET_LENT : JOBQ_TICKET_NONE,
		.group = ready->group,.group_lent = ready->lent_in_group > 0
	};

	ready->tickets = 0;
	ready->lent = 0;
	ready->in_group = 0;
	ready->lent_in_group = 0;
	ready->group = NULL;
	return result;
}

/*
 * Withdraws the latest note, since the job was not locked.  Returns the job's
 * tickets.  Its name is used again, unless it is that of the note before.
 */
JobqTickets
jobq_ready_withdraw(void)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	JobqReadyNote *ready = jobq_note_data(&notes[n - 1], JobqReadyNote);
	const char *name = ready->place.group;
	JobqTickets tickets = pull_tickets(ready);

	jobq_note_drop_last();
	nunsettled--;
	jobq_ready_note_return_name(name);
	return tickets;
}

/*
 * The current subtransaction has changed a job that it, or an outer one, had
 * locked.  Does nothing if there is no note of that job.
 */
void
jobq_ready_settle(int64 job_id)
{
	JobqNote   *note = find_unsettled(job_id);
	JobqReadyNote *ready;
	JobqNote   *notes;
	int			n;

	if (note == NULL)
		return;
	ready = jobq_note_data(note, JobqReadyNote);
	ready->settled = GetCurrentTransactionNestLevel();
	if (ready->settled > note->level)
		deepest_settled = Max(deepest_settled, ready->settled);
	nunsettled--;
	notes = jobq_note_all(&n);
	if (note == &notes[n - 1])
		jobq_note_merge_last(true);
}

/*
 * See ready.h.  The tickets are put into the note of the locked job, if that is the
 * latest one, and otherwise into a note of their own.
 */
void
jobq_ready_put_tickets(const JobqQueue *queue, int64 job_id,
					   const JobqTickets *tickets)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	JobqNote   *note = n > 0 ? &notes[n - 1] : NULL;
	JobqReadyNote *ready;

	if (note == NULL || note->kind != &locked_kind ||
		jobq_note_data(note, JobqReadyNote)->settled > 0 ||
		jobq_note_data(note, JobqReadyNote)->place.key.id != job_id)
	{
		note = jobq_note_add(&ticket_kind);
		ready = jobq_note_data(note, JobqReadyNote);
		jobq_ready_note_describe(ready, queue);
		ready->place.key.id = job_id;
	}
	ready = jobq_note_data(note, JobqReadyNote);
	ready->tickets = tickets->queue == JOBQ_TICKET_OWN ? 1 : 0;
	ready->lent = tickets->queue == JOBQ_TICKET_LENT ? 1 : 0;
	ready->in_group = tickets->group != NULL && !tickets->group_lent ? 1 : 0;
	ready->lent_in_group = tickets->group != NULL && tickets->group_lent ? 1 : 0;
	ready->group = tickets->group;
}

/* See ready.h. */
JobqTickets
jobq_ready_pull_tickets(int64 job_id)
{
	static const JobqTickets none = {JOBQ_TICKET_NONE};
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0; i--)
	{
		JobqReadyNote *ready = jobq_note_data(&notes[i], JobqReadyNote);

		if ((notes[i].kind == &ticket_kind ||
			 (notes[i].kind == &locked_kind && ready->settled == 0)) &&
			ready->place.key.id == job_id)
			return pull_tickets(ready);
	}
	return none;
}

/* Whether a note has a ticket of its queue. */
static bool
has_ticket(const JobqNote *note)
{
	const JobqReadyNote *ready = jobq_note_const_data(note, JobqReadyNote);

	return (note->kind == &locked_kind || note->kind == &ticket_kind) &&
		ready->tickets + ready->lent > 0;
}

/* See ready.h; walks over all notes. */
bool
jobq_ready_has_ticket(const JobqQueue *queue)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	for (int i = 0; i < n; i++)
	{
		const JobqQueueNote *note =
		&jobq_note_const_data(&notes[i], JobqReadyNote)->queue;

		if (has_ticket(&notes[i]) && note->queue == queue->id &&
			note->limit == queue->limit)
			return true;
	}
	return false;
}

/* Abort: announces a job that is free again, whatever was done to it. */
static void
give_back(const JobqNote *note, TimestampTz now)
{
	if (!jobq_ready_end_is_settled(note))
		nunsettled--;
	jobq_ready_end_lower(note, now);
}

static const JobqNoteKind locked_kind = {
	.commit = {[JOBQ_NOTE_LANES] = jobq_ready_end_lower_locked,
		[JOBQ_NOTE_TICKETS] = jobq_ready_end_leave,
	[JOBQ_NOTE_WAKES] = jobq_ready_end_wake_locked},
	.abort = {[JOBQ_NOTE_LANES] = give_back,
		[JOBQ_NOTE_TICKETS] = jobq_ready_end_leave_claimed,
	[JOBQ_NOTE_WAKES] = jobq_ready_end_wake},
	.mark = jobq_ready_end_mark,
	.prepare = jobq_ready_end_leave_prepared,
	.merge = merge_locked
};

static const JobqNoteKind ticket_kind = {
	.commit = {[JOBQ_NOTE_TICKETS] = jobq_ready_end_leave},
	.abort = {[JOBQ_NOTE_TICKETS] = jobq_ready_end_leave_claimed},
	.mark = jobq_ready_end_mark,
	.prepare = jobq_ready_end_leave_prepared
};

/*
 * The subtransaction at this level has rolled back: what it settled is not
 * settled.
 */
static void
unsettle(int level)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = 0; i < n && deepest_settled >= level; i++)
	{
		JobqReadyNote *ready = jobq_note_data(&notes[i], JobqReadyNote);

		if (notes[i].kind == &locked_kind && notes[i].level < level &&
			ready->settled >= level)
		{
			ready->settled = 0;
			nunsettled++;
		}
	}
	deepest_settled = Min(deepest_settled, level - 1);
}

/*
 * The subtransaction at this level has committed: its parent has settled what
 * it settled.
 */
static void
hand_up(int level)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= 0; i--)
	{
		JobqReadyNote *ready = jobq_note_data(&notes[i], JobqReadyNote);

		if (notes[i].level < level && deepest_settled < level)
			break;
		if (notes[i].kind == &locked_kind)
			ready->settled = Min(ready->settled, level - 1);
	}
	deepest_settled = Min(deepest_settled, level - 1);
}

/*
 * Called before the notes of a subtransaction are processed: a rollback takes back
 * what it has settled.
 */
static void
before_sub_notes(SubXactEvent event, int level)
{
	jobq_ready_new_before_notes();
	if (event == SUBXACT_EVENT_ABORT_SUB)
		unsettle(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_up(level);
}

/* Called after the notes of a subtransaction are processed. */
static void
after_sub_notes(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		jobq_ready_new_after_notes();
}

/* Called after the notes are processed. */
static void
after_notes(XactEvent event)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		jobq_ready_new_end();
		jobq_ready_note_end();
		nunsettled = 0;
		deepest_settled = 0;
	}
}

/* Called once, by _PG_init. */
void
jobq_ready_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_SETTLED, 0, NULL, before_sub_notes);
	jobq_xact_end_follow(JOBQ_XACT_READY,
						 JOBQ_XACT_AT_END, after_notes, after_sub_notes);
}
