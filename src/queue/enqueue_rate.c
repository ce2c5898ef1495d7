/*-------------------------------------------------------------------------
 *
 * enqueue_rate.c
 *	  New jobs, where a queue's rate limits them.
 *
 * The gate is the one by which starts are limited otherwise (rate.c).  A
 * rollback takes back what it has counted, unless others have come after it.
 *
 * IDENTIFICATION
 *	  src/queue/enqueue_rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/enqueue_rate.h"

#include "queue/start.h"
#include "shared/note.h"
#include "shared/queue_state.h"
#include "shared/rate.h"

#include "access/xact.h"

/* How many jobs are counted under one lock. */
#define JOBS_AT_ONCE 64

/* Jobs of a queue that a (sub)transaction has added one after the other. */
typedef struct AdmittedNote
{
	JobqStart	start;			/* for all of them */
	bool		undone;
} AdmittedNote;

static void undo_from(const JobqNote *first, TimestampTz now);

static const JobqNoteKind admitted_kind = {
	.abort = {[JOBQ_NOTE_TICKETS] = undo_from}
};

/* The place of the latest note; it may be gone, or another one. */
static int	latest = -1;

/*
 * Rollback: undoes what all notes from this one on have counted, the latest
 * first, since only the latest of all can be undone.
 */
static void
undo_from(const JobqNote *first, TimestampTz now)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	for (int i = n - 1; i >= first - notes; i--)
	{
		AdmittedNote *admitted = jobq_note_data(&notes[i], AdmittedNote);

		if (notes[i].kind == &admitted_kind && !admitted->undone)
			jobq_start_undo(&admitted->start);
		if (notes[i].kind == &admitted_kind)
			admitted->undone = true;
	}
}

/* Adds what has been counted to the latest note, if that is of this queue. */
static void
note_admitted(const JobqStart *start)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);
	JobqNote   *note = latest >= 0 && latest < n ? &notes[latest] : NULL;
	JobqStart  *noted;

	if (note == NULL || note->kind != &admitted_kind ||
		note->level != GetCurrentTransactionNestLevel() ||
		jobq_note_data(note, AdmittedNote)->start.queue != start->queue)
	{
		note = jobq_note_add_reserved(&admitted_kind);
		(void) jobq_note_all(&n);
		latest = n - 1;
	}
	noted = &jobq_note_data(note, AdmittedNote)->start;

	/*
	 * if others have added jobs meanwhile, only those after them can be
	 * undone
	 */
	if (noted->state != NULL &&
		jobq_gcra_is_same(noted->take.after, start->take.before))
		noted->take.after = start->take.after;
	else
		*noted = *start;
}

/* Counts some of the jobs, or all, and returns how many it has counted. */
static int
admit_some(const JobqQueue *queue, int njobs, bool force, JobqStart *start)
{
	int			admitted;

	jobq_note_reserve();
	if (!jobq_start_pin(queue))
		return 0;
	start->state = queue->state;
	start->queue = queue->id;
	admitted = jobq_rate_admit(&queue->state->rate, &queue->rate,
							   Min(njobs, JOBS_AT_ONCE), force,
							   &start->take);
	jobq_queue_state_unpin(queue->state);
	if (admitted > 0)
		note_admitted(start);
	return admitted;
}

/* See enqueue_rate.h. */
int
jobq_enqueue_rate_admit(const JobqQueue *queue, int njobs, bool force)
{
	JobqStart	start = {0};
	int			admitted = 0;
	int			more;

	if (!queue->admits_by_rate || (queue->state == NULL && force))
		return njobs;
	if (queue->state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no shared memory left for the rate of queue \"%s\"",
						queue->name),
				 errhint("Increase jobq.shared_memory.")));
	do
	{
		more = admit_some(queue, njobs - admitted, force, &start);
		admitted += more;
	} while (more > 0 && admitted < njobs);
	if (admitted > 0)
		jobq_start_keep_new(&start, queue);
	return force ? njobs : admitted;
}
