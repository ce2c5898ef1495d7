/*-------------------------------------------------------------------------
 *
 * uncounted.c
 *	  Attempts that have ended and are not counted yet: where they are noted, and
 *	  when that is forgotten.
 *
 * An attempt that has ended with its executor is noted in a file and in shared
 * memory until the coordinator sees that it is counted (crash.c).  retry() gives
 * a job a new life, whose attempts have the same numbers, so those of the former
 * life must be forgotten before others see the job, and only if it commits: after
 * a rollback, they must count.  That is done last before the commit, which fails if
 * a file stays: it would count for the new life.  If the commit fails after all,
 * shared memory gets the attempt back.
 *
 * If shared memory has no room for an attempt, it has a file at least, and a mark of
 * the database says that some are left out (termination.c).  While it stands, a process
 * that does not find an attempt in shared memory looks for the file of this one attempt.
 * If no such file could be made, only the executor's own file tells of the attempt; then
 * (`nameless`) nobody can tell of any attempt that is not found whether it is noted, as if
 * its file could not be read.  The coordinator takes the marks away when it has found room
 * for all.
 *
 * After a start, shared memory knows nothing until the coordinator has read the
 * files, which it does before it starts executors.  Sessions may claim jobs before
 * that, or while there is no coordinator: they read the files themselves (unread_note.c).
 *
 * A process that counts an attempt has locked the job's row by then, and checks
 * again that the attempt is noted: a row of the new life can be locked only when the
 * notes of the former one are gone.
 *
 * IDENTIFICATION
 *	  src/job/uncounted.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/uncounted.h"

#include "job/crash_file.h"
#include "job/unread_note.h"
#include "shared/database.h"
#include "shared/note.h"
#include "shared/termination.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "miscadmin.h"

/* Maximum number of the job's earlier attempts whose files are looked for. */
#define MAX_FORGOTTEN 100

/* A job whose notes are forgotten at commit. */
typedef struct Forgotten
{
	int64		job_id;
	int32		attempt;		/* the last one of its former life */
	bool		has_executors;	/* its queue has */
	bool		taken_out;		/* this one was noted: */
	JobqTermination termination;
} Forgotten;

static void give_back(const JobqNote *note, TimestampTz now);
static void refuse_prepare(const JobqNote *note);

static const JobqNoteKind forgotten_kind = {
	.abort = {[JOBQ_NOTE_LEASES] = give_back},
	.mark = refuse_prepare,
};

/* Whether the transaction has such a note. */
static bool any_forgotten = false;

static bool
has_file(int64 job_id, int32 attempt)
{
	char		path[MAXPGPATH];

	jobq_crash_file_attempt_path(path, MyDatabaseId, job_id, attempt);
	return jobq_crash_file_exists(path);
}

/* See uncounted.h. */
bool
jobq_uncounted_share(const JobqTermination *termination)
{
	char		path[MAXPGPATH];

	jobq_crash_file_attempt_path(path, termination->dboid, termination->job_id,
								 termination->attempt);
	return jobq_termination_note_file(termination, path);
}

/* See uncounted.h. */
bool
jobq_uncounted_is_noted(int64 job_id, int32 attempt)
{
	JobqTermination termination;

	return jobq_termination_take(job_id, attempt, &termination) ||
		has_file(job_id, attempt);
}

/* See uncounted.h. */
void
jobq_uncounted_describe(const JobqCrashNote *note,
						JobqTermination *termination)
{
	memset(termination, 0, sizeof(*termination));
	termination->dboid = MyDatabaseId;
	termination->job_id = note->job_id;
	termination->attempt = note->attempt;
	termination->started_at = note->started_at;
	termination->pid = note->pid;
	termination->crashed = note->ending == JOBQ_NOTE_CRASHED;
	termination->timed_out = note->ending == JOBQ_NOTE_TIMED_OUT;
	termination->unrecorded = note->ending == JOBQ_NOTE_UNRECORDED ?
		note->sqlerrcode : 0;
}

/* Its reverse. */
static void
describe_termination(const JobqTermination *termination, JobqCrashNote *note)
{
	memset(note, 0, sizeof(*note));
	note->slot = JOBQ_NOTE_ASIDE;
	note->job_id = termination->job_id;
	note->attempt = termination->attempt;
	note->started_at = termination->started_at;
	note->pid = termination->pid;
	note->sqlerrcode = termination->unrecorded;
	note->ending = termination->crashed ? JOBQ_NOTE_CRASHED :
		termination->timed_out ? JOBQ_NOTE_TIMED_OUT :
		termination->unrecorded != 0 ? JOBQ_NOTE_UNRECORDED :
		JOBQ_NOTE_TERMINATED;
}

/* Looks for a note that was put aside; like jobq_uncounted_find(). */
static bool
find_file(int64 job_id, int32 attempt, JobqTermination *termination, int *error)
{
	JobqCrashNote note;

	if (!jobq_crash_file_read_attempt(MyDatabaseId, job_id, attempt, &note, error))
		return false;
	jobq_uncounted_describe(&note, termination);
	return true;
}

/* Looks for an attempt in the files of before the start; like jobq_uncounted_find(). */
static bool
find_unread(int64 job_id, int32 attempt, JobqTermination *termination, int *error)
{
	const JobqCrashNote *note = jobq_unread_note_find(job_id, attempt, error);

	if (note == NULL)
		return *error == 0 && find_file(job_id, attempt, termination, error);
	jobq_uncounted_describe(note, termination);
	return true;
}

/* See uncounted.h. */
bool
jobq_uncounted_find(int64 job_id, int32 attempt, JobqTermination *termination,
					int *error)
{
	bool		found;
	bool		some_left_out;
	uint64		nameless;

	if (jobq_unread_notes_exist())
	{
		found = find_unread(job_id, attempt, termination, error);

		/*
		 * no executor has begun another attempt if the coordinator has not
		 * read the files by now either
		 */
		if ((found || *error != 0) && jobq_unread_notes_exist())
			return found;
	}
	*error = 0;
	/* what was left out is entered before the mark is taken away */
	pg_read_barrier();
	some_left_out = jobq_terminations_left_out() != 0;
	nameless = some_left_out ? jobq_terminations_nameless() : 0;
	found = jobq_termination_take(job_id, attempt, termination) ||
		(some_left_out && find_file(job_id, attempt, termination, error));
	if (!found && *error == 0)
		*error = (int) (uint32) nameless;
	return found;
}

/* See uncounted.h. */
bool
jobq_queue_needs_notes(const JobqQueue *queue)
{
	return jobq_queue_has_executors(queue) && jobq_unread_notes_are_needed();
}

/* The numbers that the attempts of the former life may have: down from this. */
static int32
highest_attempt(const Forgotten *forgotten)
{
	/* the last one may have been noted and not counted */
	return forgotten->attempt + 1;
}

static int32
lowest_attempt(const Forgotten *forgotten)
{
	return Max(1, highest_attempt(forgotten) - MAX_FORGOTTEN + 1);
}

/* Raises 55000: the job has, or may have, notes that nobody has read. */
static void
report_unread(int64 job_id, int error)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " cannot be revived yet", job_id),
			 error == 0 ?
			 errdetail("The server has crashed while it was running, and that attempt is not counted yet.") :
			 errdetail("Its last attempt may not be counted yet, and notes of such attempts cannot be read or copied: %s.",
					   strerror(error)),
			 error == 0 ?
			 errhint("Try again when the coordinator of the database has started; see jobq.health.") :
			 errhint("Try again when files in \"%s\" can be read and written; see jobq.health.",
					 JOBQ_NOTES_DIRECTORY)));
}

/*
 * Fails if the server has crashed in an attempt of the job and the coordinator has not
 * read of that yet, or may have to: an executor's own file cannot be forgotten.
 */
static void
require_read(const Forgotten *forgotten, bool has_executors)
{
	int64		job_id = forgotten->job_id;
	bool		noted;
	int			error = (int) (uint32) jobq_terminations_nameless();

	if (error != 0 && has_executors)
		report_unread(job_id, error);
	if (!jobq_unread_notes_exist())
		return;
	noted = jobq_unread_note_find(job_id, JOBQ_ANY_ATTEMPT, &error) != NULL;
	if (error != 0 && !has_executors)
		return;
	for (int32 i = highest_attempt(forgotten);
		 i >= lowest_attempt(forgotten) && !noted && error == 0; i--)
		noted = has_file(job_id, i);
	if ((noted || error != 0) && jobq_unread_notes_exist())
		report_unread(job_id, error);
}

/* See uncounted.h. */
void
jobq_uncounted_forget(int64 job_id, int32 attempt, bool has_executors)
{
	Forgotten	forgotten = {
		.job_id = job_id,.attempt = attempt,.has_executors = has_executors
	};
	JobqNote   *note;

	require_read(&forgotten, has_executors);
	note = jobq_note_add(&forgotten_kind);
	*jobq_note_data(note, Forgotten) = forgotten;
	any_forgotten = true;
}

/* The next one that the transaction forgets, from notes[*i] on; NULL if none. */
static Forgotten *
next_forgotten(int *i)
{
	int			n;
	JobqNote   *notes = jobq_note_all(&n);

	while (*i < n)
	{
		JobqNote   *note = &notes[(*i)++];

		if (note->kind == &forgotten_kind)
			return jobq_note_data(note, Forgotten);
	}
	return NULL;
}

/* See uncounted.h. */
bool
jobq_uncounted_is_forgotten(int64 job_id)
{
	Forgotten  *forgotten;

	for (int i = 0; any_forgotten && (forgotten = next_forgotten(&i)) != NULL;)
	{
		if (forgotten->job_id == job_id)
			return true;
	}
	return false;
}

/* Reads the file of the last attempt that has one, if only files may tell of it. */
static void
read_file(Forgotten *forgotten)
{
	int			error;

	if (jobq_terminations_left_out() == 0)
		return;
	for (int32 i = highest_attempt(forgotten);
		 i >= lowest_attempt(forgotten) && !forgotten->taken_out; i--)
		forgotten->taken_out = find_file(forgotten->job_id, i,
										 &forgotten->termination, &error);
}

/*
 * Whether a file that could not be removed, errno says why, may tell of an attempt.  If
 * the directory cannot be searched, it may for jobs that executors run.
 */
static bool
may_tell(const Forgotten *forgotten, int32 attempt)
{
	char		path[MAXPGPATH];

	jobq_crash_file_attempt_path(path, MyDatabaseId, forgotten->job_id, attempt);
	return access(path, F_OK) == 0 ||
		(forgotten->has_executors && errno != ENOENT);
}

/* Raises 55000 if a file stays. */
static void
remove_files(const Forgotten *forgotten)
{
	for (int32 i = highest_attempt(forgotten); i >= lowest_attempt(forgotten); i--)
	{
		int			error;

		if (jobq_crash_file_remove_attempt(MyDatabaseId, forgotten->job_id, i))
			continue;
		error = errno;
		if (may_tell(forgotten, i))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("job " INT64_FORMAT " cannot be revived yet",
							forgotten->job_id),
					 errdetail("The note of an attempt of its former life cannot be removed, and would count for the new one: %s.",
							   strerror(error)),
					 errhint("Try again when files in \"%s\" can be removed.",
							 JOBQ_NOTES_DIRECTORY)));
	}
}

/*
 * Forgets.  The files go first: what has a file is entered into shared memory
 * under the lock that jobq_termination_take_out() needs.  If one of them stays, what is
 * in memory stays, too.
 */
static void
forget(Forgotten *forgotten)
{
	JobqTermination termination;

	read_file(forgotten);
	remove_files(forgotten);
	if (!jobq_termination_take_out(forgotten->job_id, &termination))
		return;
	forgotten->taken_out = true;
	forgotten->termination = termination;
}

/* Abort: the attempt counts, of the job that was not revived. */
static void
give_back(const JobqNote *note, TimestampTz now)
{
	const Forgotten *forgotten = jobq_note_const_data(note, Forgotten);
	JobqCrashNote in_file;

	if (!forgotten->taken_out)
		return;
	if (!jobq_termination_note(&forgotten->termination) &&
		!forgotten->termination.leased)
	{
		describe_termination(&forgotten->termination, &in_file);
		jobq_termination_leave_out(jobq_crash_file_copy_aside(MyDatabaseId, &in_file) ?
								   0 : errno);
	}
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_NOTES);
}

/*
 * The session that commits a prepared transaction could not forget the attempt, and
 * one that rolls it back must not.
 */
static void
refuse_prepare(const JobqNote *note)
{
	const Forgotten *forgotten = jobq_note_const_data(note, Forgotten);
	bool		noted = false;

	for (int32 i = highest_attempt(forgotten);
		 i >= lowest_attempt(forgotten) && !noted; i--)
		noted = jobq_uncounted_is_noted(forgotten->job_id, i);
	if (noted)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has revived job " INT64_FORMAT " now",
						forgotten->job_id),
				 errdetail("An attempt that ended with its background worker is not counted yet."),
				 errhint("Roll back, and try again a moment later.")));
}

/* For jobq_xact_end_follow(). */
static void
at_transaction_end(XactEvent event)
{
	Forgotten  *forgotten;

	if (!any_forgotten)
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		for (int i = 0; (forgotten = next_forgotten(&i)) != NULL;)
			forget(forgotten);
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
			 event == XACT_EVENT_PREPARE)
		any_forgotten = false;
}

void
jobq_uncounted_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_FORGOTTEN,
						 JOBQ_XACT_BEFORE_COMMIT | JOBQ_XACT_AT_END,
						 at_transaction_end, NULL);
}
