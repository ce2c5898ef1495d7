/*-------------------------------------------------------------------------
 *
 * ready_note.c
 *	  What a note of ready or locked jobs says: their queue, place and group.
 *
 * Consecutive notes share the copy of a group's name.
 *
 * IDENTIFICATION
 *	  src/queue/ready_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ready_note.h"

#include "queue/ready_end.h"

#include "utils/memutils.h"

/* A group's name that no note has yet, in TopTransactionContext; NULL: none. */
static char *spare_name = NULL;

/* See ready_note.h. */
void
jobq_ready_note_describe(JobqReadyNote *note, const JobqQueue *queue)
{
	jobq_queue_wake_describe(&note->queue, queue);
	note->njobs = 1;
}

/* See ready_note.h. */
void
jobq_ready_note_set_place(JobqReadyNote *note, const JobqPlace *place, const char *group)
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

/* See ready_note.h.  Notes of tickets only have no group's name. */
const char *
jobq_ready_note_latest_group(void)
{
	int			n;
	const JobqNote *notes = jobq_note_all(&n);

	if (n == 0 || notes[n - 1].kind->mark != jobq_ready_end_mark)
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
	if (group == NULL || is_same_group(jobq_ready_note_latest_group(), group))
		return;
	if (spare_name != NULL && strcmp(spare_name, group) != 0)
	{
		pfree(spare_name);
		spare_name = NULL;
	}
	if (spare_name == NULL)
		spare_name = MemoryContextStrdup(TopTransactionContext, group);
}

/* See ready_note.h. */
const char *
jobq_ready_note_use_name(const char *group)
{
	const char *latest = jobq_ready_note_latest_group();
	const char *result = spare_name;

	if (group == NULL || is_same_group(latest, group))
		return group == NULL ? NULL : latest;
	Assert(result != NULL && strcmp(result, group) == 0);
	spare_name = NULL;
	return result;
}

/* See ready_note.h. */
void
jobq_ready_reserve(const char *group)
{
	jobq_note_reserve();
	reserve_name(group);
}

/* See ready_note.h. */
bool
jobq_ready_note_merge(JobqNote *note, const JobqNote *next)
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

/* See ready_note.h. */
void
jobq_ready_note_return_name(const char *name)
{
	if (name != NULL && name != jobq_ready_note_latest_group() && spare_name == NULL)
		spare_name = unconstify(char *, name);
}

/* See ready_note.h. */
void
jobq_ready_note_end(void)
{
	spare_name = NULL;
}
