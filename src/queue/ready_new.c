/*-------------------------------------------------------------------------
 *
 * ready_new.c
 *	  Jobs that the current transaction makes claimable.
 *
 * Notes (note.h) are kept of them.  When the transaction commits, they are put into the
 * lanes and workers are woken for them.  Before that, only the transaction itself can
 * claim them, and has them in order (own_jobs.h).
 *
 * IDENTIFICATION
 *	  src/queue/ready_new.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ready_new.h"

#include "queue/own_jobs.h"
#include "queue/ready_note.h"

/* Notes of ready jobs. */
static int	nready = 0;

/*
 * As many of all notes, from the first one on, have been looked through for new jobs.
 */
static int	nseen = 0;
static bool saw_all = false;	/* when a subtransaction began to commit */

static const JobqNoteKind new_kind;

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

	if (!jobq_ready_note_merge(note, next))
		return false;
	nready--;
	if (jobq_key_compare(&before,
						 &jobq_note_data(note, JobqReadyNote)->place.key) != 0)
		forget_own();
	return true;
}

/* See ready_new.h.  May raise an error (out of memory). */
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
	group = jobq_ready_note_use_name(first->group);
	note = jobq_note_data(jobq_note_add_reserved(&new_kind), JobqReadyNote);
	jobq_ready_note_describe(note, queue);
	jobq_ready_note_set_place(note, first, group);
	note->njobs = njobs;
	if (njobs > 1)
		ItemPointerSetInvalid(&note->place.tid);
	nready++;
	jobq_note_merge_last(false);
}

/* See ready_new.h. */
void
jobq_at_commit_ready(const JobqQueue *queue, const JobqPlace *place)
{
	jobq_at_commit_ready_many(queue, place, 1);
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

/* See ready_new.h. */
bool
jobq_ready_has_own_jobs(const JobqQueue *queue, const char *group)
{
	see_own();
	return nready > 0 &&
		jobq_own_jobs_first(queue->id, group, PG_INT16_MIN - 1) != NULL;
}

/* See ready_new.h. */
const char *
jobq_ready_next_own_group(const JobqQueue *queue, const char *after)
{
	see_own();
	return nready == 0 ? NULL : jobq_own_jobs_next_group(queue->id, after);
}

/* See ready_new.h. */
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

static const JobqNoteKind new_kind = {
	.commit = {[JOBQ_NOTE_LANES] = jobq_ready_end_lower,
	[JOBQ_NOTE_WAKES] = jobq_ready_end_wake},
	.abort = {[JOBQ_NOTE_LANES] = forget_new},
	.mark = jobq_ready_end_mark,
	.merge = merge_new
};

/* See ready_new.h. */
void
jobq_ready_new_before_notes(void)
{
	int			n;

	(void) jobq_note_all(&n);
	saw_all = nseen >= n;
}

/* See ready_new.h. */
void
jobq_ready_new_after_notes(void)
{
	int			n;

	if (nseen == 0)
		return;
	(void) jobq_note_all(&n);
	if (saw_all)
		nseen = n;
	else
		forget_own();
}

/* See ready_new.h. */
void
jobq_ready_new_end(void)
{
	nready = 0;
	nseen = 0;
	jobq_own_jobs_end();
}
