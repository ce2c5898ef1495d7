/*-------------------------------------------------------------------------
 *
 * ready.c
 *	  Jobs that the current transaction makes claimable, or gives back.
 *
 * Notes (note.h) are kept of new jobs, and of jobs whose rows are locked, so
 * that others skip them, with the jobs' places and tickets.  When the
 * transaction ends, the jobs that are claimable are put into the lanes and
 * workers are woken for them.
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

#include "queue/own_jobs.h"
#include "queue/ready_end.h"
#include "shared/lane.h"
#include "shared/note.h"
#include "shared/xact_end.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* Notes of ready jobs, and of locked ones that are not settled. */
static int	nready = 0;
static int	nunsettled = 0;

/*
 * As many of the notes, from the first one on, have been looked through for new jobs
 * (own_jobs.h).
 */
static int	nseen = 0;
static bool saw_all = false;	/* when a subtransaction began to commit */

/* The deepest level at which a job locked at an outer level was settled. */
static int	deepest_settled = 0;

/* A group's name that no note has yet, in TopTransactionContext; NULL: none. */
static char *spare_name = NULL;

static const JobqNoteKind new_kind;
static const JobqNoteKind locked_kind;
static const JobqNoteKind ticket_kind;

/* Fills in what a note says of its queue, for one job. */
static void
describe_queue(JobqReadyNote *note, const JobqQueue *queue)
{
	jobq_queue_wake_describe(&note->queue, queue);
	note->njobs = 1;
}

/* Fills in where the note's jobs are; `group` is its own copy of the name. */
static void
set_place(JobqReadyNote *note, const JobqPlace *place, const char *group)
{
	note->place = *place;
	note->place.group = group;
	note->last_run_at = place->key.run_at;
}

/* Whether both are names of the same group, or none is. */
static bool
is_same_group(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The group of the latest note, if that is of jobs; NULL: none. */
static const char *
latest_group(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	if (n == 0 || (notes[n - 1].kind != &new_kind &&
				   notes[n - 1].kind != &locked_kind))
		return NULL;
	return jobq_note_const_data(&notes[n - 1], JobqReadyNote)->place.group;
}

/*
 * Gets memory for the name of the next note's group (NULL: none), unless the latest
 * note has that name, which is often so.
 */
static void
reserve_name(const char *group)
{
	if (group == NULL || is_same_group(latest_group(), group))
		return;
	if (spare_name != NULL && strcmp(spare_name, group) != 0)
	{
		pfree(spare_name);
		spare_name = NULL;
	}
	if (spare_name == NULL)
		spare_name = MemoryContextStrdup(TopTransactionContext, group);
}

/* The name for the next note; reserve_name() has been called. */
static const char *
use_name(const char *group)
{
	const char *latest = latest_group();
	const char *result = spare_name;

	if (group == NULL || is_same_group(latest, group))
		return group == NULL ? NULL : latest;
	Assert(result != NULL && strcmp(result, group) == 0);
	spare_name = NULL;
	return result;
}

/* See ready.h. */
void
jobq_ready_reserve(const char *group)
{
	jobq_note_reserve();
	reserve_name(group);
}

/*
 * Merges two notes about jobs of one group and priority.  Jobs settled at an inner level
 * may have to be separated again and are not merged.
 */
static bool
merge_jobs(JobqNote *note, const JobqNote *next)
{
	JobqReadyNote *mine = jobq_note_data(note, JobqReadyNote);
	const JobqReadyNote *other = jobq_note_const_data(next, JobqReadyNote);

	if (!jobq_queue_wake_is_same(&mine->queue, &other->queue) ||
		mine->place.priority != other->place.priority ||
		!is_same_group(mine->place.group, other->place.group) ||
		(mine->group != other->group && other->group != NULL &&
		 mine->group != NULL) ||
		mine->settled != other->settled || mine->settled > note->level)
		return false;
	mine->njobs += other->njobs;
	mine->tickets += other->tickets;
	mine->lent += other->lent;
	mine->in_group += other->in_group;
	mine->lent_in_group += other->lent_in_group;
	if (mine->group == NULL)
		mine->group = other->group;
	mine->queue.position = Min(mine->queue.position, other->queue.position);
	if (jobq_key_compare(&other->place.key, &mine->place.key) < 0)
		mine->place.key = other->place.key;
	mine->last_run_at = Max(mine->last_run_at, other->last_run_at);
	ItemPointerSetInvalid(&mine->place.tid);
	return true;
}

/* Forgets what was seen of new jobs: it is no longer so. */
static void
forget_own(void)
{
	if (nseen == 0)
		return;
	jobq_own_jobs_forget();
	nseen = 0;
}

/* For notes of new jobs, which are counted in nready. */
static bool
merge_new(JobqNote *note, const JobqNote *next)
{
	JobqKey		before = jobq_note_data(note, JobqReadyNote)->place.key;

	if (!merge_jobs(note, next))
		return false;
	nready--;
	if (jobq_key_compare(&before,
						 &jobq_note_data(note, JobqReadyNote)->place.key) != 0)
		forget_own();
	return true;
}

/* Jobs that are not settled are looked for one by one. */
static bool
merge_locked(JobqNote *note, const JobqNote *next)
{
	return jobq_note_const_data(next, JobqReadyNote)->settled > 0 &&
		merge_jobs(note, next);
}

/* See ready.h.  May raise an error (out of memory). */
void
jobq_at_commit_ready_many(const JobqQueue *queue, const JobqPlace *first,
						  int njobs)
{
	JobqReadyNote *note;
	const char *group;
	int			n;

	/* the place of a note that is gone is used again */
	(void) jobq_note_all(&n);
	nseen = Min(nseen, n);
	jobq_ready_reserve(first->group);
	group = use_name(first->group);
	note = jobq_note_data(jobq_note_add_reserved(&new_kind), JobqReadyNote);
	describe_queue(note, queue);
	set_place(note, first, group);
	note->njobs = njobs;
	if (njobs > 1)
		ItemPointerSetInvalid(&note->place.tid);
	nready++;
	jobq_note_merge_last(false);
}

/* See ready.h. */
void
jobq_at_commit_ready(const JobqQueue *queue, const JobqPlace *place)
{
	jobq_at_commit_ready_many(queue, place, 1);
}

/* See ready.h.  Cannot fail: jobq_ready_reserve() has been called. */
void
jobq_ready_note_locked(const JobqQueue *queue, const JobqPlace *place)
{
	const char *group = use_name(place->group);
	JobqReadyNote *note = jobq_note_data(jobq_note_add_reserved(&locked_kind),
										 JobqReadyNote);

	describe_queue(note, queue);
	set_place(note, place, group);
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
	if (name != NULL && name != latest_group() && spare_name == NULL)
		spare_name = unconstify(char *, name);
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
		describe_queue(ready, queue);
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

/*
 * Looks through the notes that were added since the last call.  Later ones may be gone:
 * those were of locked jobs.
 */
static void
see_own(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	if (nready == 0)
		return;
	for (nseen = Min(nseen, n); nseen < n; nseen++)
	{
		const JobqReadyNote *note = jobq_note_const_data(&notes[nseen], JobqReadyNote);

		if (notes[nseen].kind == &new_kind)
			jobq_own_jobs_add(note->queue.queue, &note->place);
	}
}

/* See ready.h. */
bool
jobq_ready_has_own_jobs(const JobqQueue *queue, const char *group)
{
	see_own();
	return nready > 0 &&
		jobq_own_jobs_first(queue->id, group, PG_INT16_MIN - 1) != NULL;
}

/* See ready.h. */
const char *
jobq_ready_next_own_group(const JobqQueue *queue, const char *after)
{
	see_own();
	return nready == 0 ? NULL : jobq_own_jobs_next_group(queue->id, after);
}

/* See ready.h. */
bool
jobq_ready_next_own_job(const JobqQueue *queue, const char *group, int after,
						JobqPlace *place)
{
	const JobqPlace *own;

	see_own();
	own = nready == 0 ? NULL :
		jobq_own_jobs_first(queue->id, group, after);
	if (own != NULL)
		*place = *own;
	return own != NULL;
}

/* Withdraws jobs that were announced but do not exist. */
static void
forget_new(const JobqNote *note, TimestampTz now)
{
	nready--;
	forget_own();
}

/* Abort: announces a job that is free again, whatever was done to it. */
static void
give_back(const JobqNote *note, TimestampTz now)
{
	if (!jobq_ready_end_is_settled(note))
		nunsettled--;
	jobq_ready_end_lower(note, now);
}

static const JobqNoteKind new_kind = {
	.commit = {[JOBQ_NOTE_LANES] = jobq_ready_end_lower,
	[JOBQ_NOTE_WAKES] = jobq_ready_end_wake},
	.abort = {[JOBQ_NOTE_LANES] = forget_new},
	.mark = jobq_ready_end_mark,
	.merge = merge_new
};

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
	int			n;

	(void) jobq_note_all(&n);
	saw_all = nseen >= n;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		unsettle(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_up(level);
}

/*
 * Called after the notes of a subtransaction are processed: if it was committed, they
 * may have moved.
 */
static void
after_sub_notes(SubXactEvent event, int level)
{
	int			n;

	if (event != SUBXACT_EVENT_COMMIT_SUB || nseen == 0)
		return;
	(void) jobq_note_all(&n);
	if (saw_all)
		nseen = n;
	else
		forget_own();
}

/* Called after the notes are processed. */
static void
after_notes(XactEvent event)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		nready = 0;
		nunsettled = 0;
		nseen = 0;
		jobq_own_jobs_end();
		deepest_settled = 0;
		spare_name = NULL;
	}
}

/* Called once, by _PG_init. */
void
jobq_ready_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_SETTLED, NULL, before_sub_notes);
	jobq_xact_end_follow(JOBQ_XACT_READY, after_notes, after_sub_notes);
}
