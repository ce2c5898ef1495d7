/*-------------------------------------------------------------------------
 *
 * attempt_count.c
 *	  Counting the attempts that ended with an executor, or with the server, by
 *	  the coordinator.
 *
 * It knows these attempts from the executors' notes and from shared memory,
 * which lists those that ended since the server was started.  It forgets
 * counted attempts when that is committed.  A locked job is looked at again
 * later; until then its attempt stays in shared memory, so that the process
 * that finds the job next counts it first.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/attempt_count.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/attempt_count.h"

#include "base/subtransaction.h"
#include "job/crash.h"
#include "job/crash_directory.h"
#include "job/crash_file.h"
#include "job/uncounted.h"
#include "job/undone.h"
#include "job/unread_note.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/late.h"
#include "shared/termination.h"
#include "shared/wake.h"

#include "miscadmin.h"

/*
 * Maximum number of attempts counted in one transaction, including those of
 * the slots.
 */
#define BATCH 256

/*
 * Initial and maximum delay before looking again at a locked job, and the
 * maximum share of the time that this takes.
 */
#define RETRY_FIRST (100 * INT64CONST(1000))
#define RETRY_MAX (5 * USECS_PER_SEC)
#define SHARE 20

/* The same if notes that are needed cannot be read. */
#define UNREAD_DELAY (1 * USECS_PER_SEC)

/* The same if to count an attempt has raised an error, or a file stays. */
#define FAILED_DELAY (60 * USECS_PER_SEC)

/* What to do after the transaction has committed. */
typedef struct Settled
{
	int			slot;			/* of the note, or JOBQ_NOTE_ASIDE */
	int			index;			/* of the note in the slot's file */
	bool		in_batch;		/* which has other notes that count */
	int64		job_id;
	int32		attempt;
	bool		counted;		/* else the note is to be kept */
} Settled;

/* An attempt that is counted in a subtransaction. */
typedef struct Counting
{
	const JobqTermination *termination;
	bool		counted;
} Counting;

/* Since when files have stayed that are to be moved or removed; 0: they do not. */
static TimestampTz stay_since = 0;

static Settled settled[BATCH + JOBQ_MAX_WORKER_SLOTS];
static int	nsettled = 0;

/*
 * An error has rolled the last transaction back, or was one attempt's: a
 * subtransaction for each, so that none is in the others' way.
 */
static bool careful = false;
static bool any_failed = false;

/*
 * Whether a note, or NULL, is the only one in a slot's file that counts: the file is moved or
 * removed.
 */
static bool
is_single(const JobqCrashNote *note)
{
	return note != NULL && note->slot != JOBQ_NOTE_ASIDE && !note->in_batch;
}

/* Whether a note is of an executor of this database that is alive. */
static bool
is_alive(const JobqCrashNote *note)
{
	int			slot = note->slot;
	bool		result;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	result = slot >= 0 && slot < JOBQ_MAX_WORKER_SLOTS &&
		jobq_shared->workers[slot].dboid == MyDatabaseId &&
		jobq_shared->workers[slot].pid == note->pid;
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return result;
}

/* Records that a finished job was rolled back. */
static void
record_undone(const JobqCrashNote *note)
{
	JobqUndone	undone = {0};

	undone.job_id = note->job_id;
	undone.attempt = note->attempt;
	undone.started_at = note->started_at;
	undone.cause = note->cause;
	undone.pid = note->pid;
	jobq_undone_by_crash(&undone);
}

/* For jobq_subtransaction(). */
static void
count_alone(void *arg)
{
	Counting   *counting = arg;

	counting->counted = jobq_attempt_count(counting->termination);
}

/*
 * Counts an attempt, and notes what to do when that is committed; `note` is the one
 * that says so, or NULL.  Returns false if the job must be looked at again.
 */
static bool
count(const JobqTermination *termination, const JobqCrashNote *note)
{
	Counting	counting = {termination, false};
	bool		counted;
	Settled    *entry;

	if (!careful)
		count_alone(&counting);
	else if (!jobq_subtransaction_for_job(count_alone, &counting,
										  "count an attempt of",
										  termination->job_id))
	{
		any_failed = true;
		counting.counted = false;
	}
	counted = counting.counted;

	if (!counted && !is_single(note))
		return false;
	entry = &settled[nsettled++];
	entry->slot = note != NULL ? note->slot : JOBQ_NOTE_ASIDE;
	entry->index = note != NULL ? note->index : 0;
	entry->in_batch = note != NULL && note->in_batch;
	entry->job_id = termination->job_id;
	entry->attempt = termination->attempt;
	entry->counted = counted;
	return counted;
}

/* Sees to the note of an attempt; returns false if that has failed. */
static bool
settle_note(const Settled *entry)
{
	bool		all = true;

	if (!entry->counted)
		return jobq_crash_file_put_aside(MyDatabaseId, entry->slot,
										 entry->job_id, entry->attempt);
	if (entry->slot == JOBQ_NOTE_ASIDE || entry->in_batch)
		all = jobq_crash_file_remove_attempt(MyDatabaseId, entry->job_id,
											 entry->attempt);
	if (entry->slot != JOBQ_NOTE_ASIDE &&
		(entry->in_batch || !jobq_crash_file_remove(MyDatabaseId, entry->slot)))
		all = jobq_crash_file_settle(MyDatabaseId, entry->slot, entry->index,
									 entry->job_id, entry->attempt) && all;
	return all;
}

/*
 * Does what had to wait for the commit of the last transaction.  Returns false
 * if a file stays where it was: it will be found again.
 */
static bool
settle(void)
{
	bool		result = true;

	while (nsettled > 0)
	{
		const Settled *entry = &settled[--nsettled];

		result = settle_note(entry) && result;
		if (entry->counted)
			jobq_termination_forget(entry->job_id, entry->attempt);
	}
	return result;
}

/* Whether there is room for another action after the commit. */
static bool
has_room(const JobqCrashNote *note)
{
	/* the notes of slots are handled at once */
	return nsettled < (is_single(note) ? lengthof(settled) : BATCH);
}

static int
compare_attempts(const ListCell *left, const ListCell *right)
{
	int32		attempts[] = {((const JobqCrashNote *) lfirst(left))->attempt,
	((const JobqCrashNote *) lfirst(right))->attempt};

	return (attempts[0] > attempts[1]) - (attempts[0] < attempts[1]);
}

/*
 * Gives each job of a batch, notes[first] to notes[end - 1], a note of its own, since some
 * may be counted later than others, and removes the file.  If that fails, as on a full
 * disk, they stay there, those that are counted are marked, and an errno is returned.
 */
static int
separate_batch(List *notes, int first, int end)
{
	bool		all = true;
	int			error;

	for (int i = first; i < end && all; i++)
		all = jobq_crash_file_copy_aside(MyDatabaseId, list_nth(notes, i));
	all = all &&
		jobq_crash_file_remove(MyDatabaseId,
							   ((JobqCrashNote *) list_nth(notes, first))->slot);
	error = all ? 0 : errno;
	for (int i = first; i < end && all; i++)
		((JobqCrashNote *) list_nth(notes, i))->slot = JOBQ_NOTE_ASIDE;
	return error;
}

/* The same for all batches whose executors are gone. */
static int
separate_batches(List *notes)
{
	int			error = 0;
	int			end;

	for (int first = 0; first < list_length(notes); first = end)
	{
		const JobqCrashNote *note = list_nth(notes, first);

		end = first + 1;
		while (end < list_length(notes) &&
			   ((JobqCrashNote *) list_nth(notes, end))->slot == note->slot)
			end++;
		if (note->in_batch && note->slot != JOBQ_NOTE_ASIDE)
		{
			int			failure = separate_batch(notes, first, end);

			error = failure == 0 ? error : failure;
		}
	}
	return error;
}

/* Whether the note's file has the number of the job, so that retry() can remove it. */
static bool
is_by_job(const JobqCrashNote *note)
{
	return note->slot == JOBQ_NOTE_ASIDE && !note->in_batch;
}

/*
 * Enters the note of an executor's file into shared memory.  If there is no room, it gets
 * a file of its own, where other processes look for it; that of a batch gets one by
 * separate_batches(), which has returned `error`.  Returns 0, or an errno if it has
 * neither.
 */
static int
share_note(const JobqCrashNote *note, const JobqTermination *termination, int error)
{
	if (jobq_termination_note(termination))
		return 0;
	if (!note->in_batch)
		error = jobq_crash_file_copy_aside(MyDatabaseId, note) ? 0 : errno;
	else if (note->slot == JOBQ_NOTE_ASIDE)
		error = 0;
	jobq_termination_leave_out(error);
	return error;
}

/*
 * Enters notes into shared memory.  If somebody has removed the file of one since it was
 * read, the note is taken out of the list.  Those of slots are only entered at first: what
 * shared memory does not have later was counted, or forgotten by retry().  One that is
 * neither in shared memory nor in a file of its own is not counted yet: it is taken out,
 * too, and *nameless is set to an errno.  See share_note() for `error`.
 */
static List *
share_notes(List *notes, bool first, int error, int *nameless)
{
	ListCell   *lc;

	foreach(lc, notes)
	{
		const JobqCrashNote *note = lfirst(lc);
		JobqTermination termination;

		if (note->cause != 0)
			continue;
		jobq_uncounted_describe(note, &termination);
		if (!is_by_job(note))
		{
			int			failure = first ? share_note(note, &termination, error) : 0;

			if (failure != 0)
			{
				*nameless = failure;
				notes = foreach_delete_current(notes, lc);
			}
		}
		else if (!jobq_uncounted_share(&termination))
			notes = foreach_delete_current(notes, lc);
	}
	return notes;
}

/* The notes of executors that are gone. */
static List *
select_gone(const List *notes)
{
	List	   *result = NIL;
	const ListCell *lc;

	foreach(lc, notes)
	{
		JobqCrashNote *note = lfirst(lc);

		if (!is_alive(note))
			result = lappend(result, note);
	}
	return result;
}

/*
 * Jobs may be started; clients, too, may have found none until now.  Other files may not
 * have been readable either.
 */
static void
end_unread(void)
{
	if (jobq_unread_end())
		jobq_wake_coordinator(jobq_database(),
							  JOBQ_WAKE_RESYNC | JOBQ_WAKE_UNDONE);
}

/*
 * Reads the files.  If an attempt cannot be counted now, the process that
 * finds the job next counts it; shared memory has only the last attempt of
 * each job.  Files that cannot be read do not matter if shared memory has what they say:
 * then they are of after the start, or were read before, and none was left out.  Otherwise
 * no job is started, and *unread is set: read them again.  Before the first time that all
 * can be read, none is touched.  If there is no room in shared memory for an attempt, and
 * no file can be made for it, *unread is set, too: there is room when others are counted.
 */
static List *
read_notes(bool *unread)
{
	List	   *notes;
	uint32		left_out = jobq_terminations_left_out();
	bool		first = jobq_unread_notes_exist();
	uint64		were_nameless = jobq_terminations_nameless();
	int			nameless = 0;
	int			error;

	notes = select_gone(jobq_crash_directory_read(MyDatabaseId, &error));
	*unread = error != 0 && (first || left_out != 0);
	if (*unread)
		jobq_unread_note_error(error);
	if (*unread && first)
		return NIL;
	first = first || left_out != 0;
	/* sessions that read the files may miss what is moved, and look here then */
	notes = share_notes(notes, first, 0, &nameless);
	error = separate_batches(notes);
	/* the last attempt of a job is what stays */
	list_sort(notes, compare_attempts);
	notes = share_notes(notes, first, error, &nameless);
	if (nameless != 0)
	{
		*unread = true;
		jobq_unread_note_error(nameless);
		return notes;
	}
	pg_atomic_write_u32(&jobq_database()->notes_read, 1);
	if (*unread)
		return notes;
	jobq_terminations_name(were_nameless);
	jobq_terminations_complete(left_out);
	end_unread();
	return notes;
}

/* Counts the attempts in the files; returns whether any is left.  See read_notes(). */
static bool
count_notes(bool *more, bool *unread)
{
	bool		left = false;
	ListCell   *lc;

	foreach(lc, read_notes(unread))
	{
		const JobqCrashNote *note = lfirst(lc);
		JobqTermination termination;

		if (note->cause != 0)
		{
			record_undone(note);
			continue;
		}
		if (!has_room(note))
		{
			*more = true;
			continue;
		}

		/*
		 * shared memory knows better how one that could not be put aside has
		 * ended
		 */
		if (!jobq_termination_take(note->job_id, note->attempt, &termination))
			jobq_uncounted_describe(note, &termination);
		if (!count(&termination, note))
			left = true;
	}
	return left;
}

/* Whether there was a note of an attempt, which was counted. */
static bool
is_settled(const JobqTermination *termination)
{
	for (int i = 0; i < nsettled; i++)
	{
		if (settled[i].job_id == termination->job_id &&
			settled[i].attempt == termination->attempt)
			return true;
	}
	return false;
}

/*
 * Counts the attempts that only shared memory has; returns whether any is
 * left.
 */
static bool
count_terminations(bool *more)
{
	static JobqTermination terminations[JOBQ_MAX_TERMINATIONS];
	int			n = jobq_terminations_all(terminations);
	bool		left = false;

	for (int i = 0; i < n; i++)
	{
		if (is_settled(&terminations[i]))
			continue;
		if (!has_room(NULL))
			*more = true;
		else if (!count(&terminations[i], NULL))
			left = true;
	}
	return left;
}

/* The transaction of the last call was rolled back. */
void
jobq_attempt_count_undo(void)
{
	careful = true;
	nsettled = 0;
}

/*
 * The time of the next run, if `left` jobs are locked, files stay or are unread; `start` is
 * that of this run.
 */
static TimestampTz
next_run(TimestampTz start, bool left, bool files_stay, bool unread)
{
	static int64 delay = 0;
	TimestampTz now = jobq_now();
	TimestampTz result = JOBQ_NEVER;

	delay = left ? Min(Max(delay * 2, RETRY_FIRST), RETRY_MAX) : 0;
	if (files_stay || (left && any_failed))
		result = now + FAILED_DELAY;
	else if (left)
		result = now + Max(delay, (now - start) * SHARE);
	return unread ? Min(result, now + UNREAD_DELAY) : result;
}

/*
 * Counts the attempts that ended with an executor, or with the server.
 * Returns when to look again at locked jobs.  If *more is set, call it again
 * after the commit, before any executor writes another note.
 */
TimestampTz
jobq_attempt_count_run(bool *more)
{
	TimestampTz start = jobq_now();
	bool		files_stay = !settle();
	bool		left;
	bool		unread;

	any_failed = false;
	left = count_notes(more, &unread);
	left = count_terminations(more) || left;
	if (files_stay)
	{
		nsettled = 0;
		*more = false;
		if (stay_since == 0)
			stay_since = start;
		jobq_late_note(stay_since, start + FAILED_DELAY, JOBQ_TASK_FAILS);
	}
	else if (nsettled > 0)
		*more = true;
	else
		stay_since = 0;
	careful = any_failed;
	return next_run(start, left, files_stay, unread);
}
