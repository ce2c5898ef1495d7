/*-------------------------------------------------------------------------
 *
 * unread_note.c
 *	  Executors' notes of before the start, until the coordinator has read them.
 *
 * The coordinator reads them before it starts executors, so until then the
 * executors' own files do not change.  If sessions find jobs before that, or while
 * there is no coordinator, each reads these files once.  Notes that were put aside
 * are found by the names of their files, since some may be removed.
 *
 * IDENTIFICATION
 *	  src/job/unread_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/unread_note.h"

#include "shared/database.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* What executors' own files say, by job and attempt, if it was read. */
static JobqCrashNote *notes = NULL;
static int	nnotes = 0;

/* See unread_note.h. */
bool
jobq_unread_notes_exist(void)
{
	if (likely(pg_atomic_read_u32(&jobq_database()->notes_read) == 0))
		return true;
	if (notes != NULL)
		pfree(notes);
	notes = NULL;
	return false;
}

static int
compare_notes(const void *left, const void *right)
{
	const JobqCrashNote *a = left;
	const JobqCrashNote *b = right;

	if (a->job_id != b->job_id)
		return a->job_id < b->job_id ? -1 : 1;
	return (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

/* Reads the files of executors.  If there are no notes at all, nobody has to do so again. */
static void
read_files(void)
{
	bool		any_aside;
	List	   *list = jobq_crash_files_read_slots(MyDatabaseId, &any_aside);
	ListCell   *lc;

	notes = MemoryContextAlloc(TopMemoryContext,
							   Max(list_length(list), 1) * sizeof(JobqCrashNote));
	nnotes = 0;
	foreach(lc, list)
	{
		const JobqCrashNote *note = lfirst(lc);

		/* the others had finished */
		if (note->cause == 0)
			notes[nnotes++] = *note;
	}
	qsort(notes, nnotes, sizeof(JobqCrashNote), compare_notes);
	if (list == NIL && !any_aside)
		pg_atomic_write_u32(&jobq_database()->notes_read, 1);
	list_free_deep(list);
}

/* See unread_note.h. */
const JobqCrashNote *
jobq_unread_note_find(int64 job_id, int32 attempt)
{
	JobqCrashNote key = {.job_id = job_id,.attempt = attempt};
	int			low = 0;
	int			high;

	if (notes == NULL)
		read_files();
	high = nnotes;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_notes(&notes[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == nnotes || notes[low].job_id != job_id ||
		(attempt != JOBQ_ANY_ATTEMPT && notes[low].attempt != attempt))
		return NULL;
	return &notes[low];
}
