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
 * If a file, or the directory, cannot be read, nobody knows which jobs were running.
 * Then notes_read stays 0, the files stay as they are, the coordinator tries again, and
 * starts no executor; and sessions claim nothing from queues whose jobs executors run.
 * Jobs of other queues have no notes, unless their queue has just lost its handler.
 *
 * The same goes, later, for attempts that only files tell of (left_out).  A process that
 * cannot read a file that it needs passes over the job.  unread_since, which the coordinator
 * and executors set and the coordinator clears, has executors wait, and spares claims the
 * search.
 *
 * IDENTIFICATION
 *	  src/job/unread_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/unread_note.h"

#include "job/crash_directory.h"
#include "shared/clock.h"
#include "shared/database.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How soon a session that could not read the files tries again. */
#define AGAIN (1 * USECS_PER_SEC)

/* What executors' own files say, by job and attempt, if it was read. */
static JobqCrashNote *notes = NULL;
static int	nnotes = 0;

/* Otherwise: why they could not be read, an errno, and when that was; 0: not tried. */
static int	failure = 0;
static TimestampTz failed_at = 0;

bool		jobq_unread_notes_known = false;

/* They have been read: what this session knows of them is of no use any more. */
void
jobq_unread_notes_drop(void)
{
	if (notes != NULL)
		pfree(notes);
	notes = NULL;
	failure = 0;
	jobq_unread_notes_known = false;
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

/* Keeps the notes that were read. */
static void
keep(const List *list)
{
	const ListCell *lc;

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
}

/* Whether the coordinator says so.  Without one, nobody would take that back. */
static bool
coordinator_cannot_read(void)
{
	return jobq_unread_since() != 0 &&
		jobq_database()->coordinator_proc != JOBQ_NO_PROCESS;
}

/*
 * Reads the files of executors, if this session has not.  If there are no notes at all,
 * nobody has to do so again.  Returns 0, or the error.
 */
static int
read_files(void)
{
	TimestampTz now;
	bool		any_aside;
	List	   *list;

	if (coordinator_cannot_read())
		return jobq_unread_errno();
	if (notes != NULL)
		return 0;
	jobq_unread_notes_known = true;
	now = GetCurrentTimestamp();
	if (failure != 0 && now >= failed_at && now < failed_at + AGAIN)
		return failure;
	list = jobq_crash_directory_read_slots(MyDatabaseId, &any_aside, &failure);
	failed_at = now;
	if (failure == 0)
		keep(list);
	if (failure == 0 && list == NIL && !any_aside)
		pg_atomic_write_u32(&jobq_database()->notes_read, 1);
	list_free_deep(list);
	return failure;
}

/* See unread_note.h. */
const JobqCrashNote *
jobq_unread_note_find(int64 job_id, int32 attempt, int *error)
{
	JobqCrashNote key = {.job_id = job_id,.attempt = attempt};
	int			low = 0;
	int			high;

	*error = read_files();
	if (*error != 0)
		return NULL;
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

/* See unread_note.h. */
bool
jobq_unread_notes_are_needed(void)
{
	return jobq_unread_notes_exist() ? read_files() != 0 :
		coordinator_cannot_read();
}

/* See unread_note.h. */
void
jobq_unread_note_error(int error)
{
	JobqDatabase *database = jobq_database();
	uint64		none = 0;

	pg_atomic_write_u32(&database->unread_errno, (uint32) error);
	(void) pg_atomic_compare_exchange_u64(&database->unread_since, &none,
										  (uint64) jobq_now());
}

/* See unread_note.h. */
bool
jobq_unread_end(void)
{
	return jobq_unread_since() != 0 &&
		pg_atomic_exchange_u64(&jobq_database()->unread_since, 0) != 0;
}

/* See unread_note.h. */
TimestampTz
jobq_unread_since(void)
{
	return (TimestampTz) pg_atomic_read_u64(&jobq_database()->unread_since);
}

/* See unread_note.h. */
int
jobq_unread_errno(void)
{
	return (int) pg_atomic_read_u32(&jobq_database()->unread_errno);
}
