/*-------------------------------------------------------------------------
 *
 * crash_note.c
 *	  Notes about the jobs that executors are about to run.
 *
 * A job that runs inside a transaction leaves no trace in the tables if the
 * server crashes, and a job that crashes the server would do so forever.  So
 * an executor notes what it is about to run in a file of its own, with one
 * write and no fsync, since data in the kernel survives a server crash.
 * (After a crash of the machine the attempt is not counted.)  The file has its
 * full size from the beginning, so that on most file systems a note needs no
 * space when the disk is full.  Without a note no job is run.
 *
 * Jobs that share a transaction are written one after another: those before
 * the last one had finished, and are run again.  The first record of the next
 * transaction invalidates the others.
 *
 * The jobs of a batch run together, in a transaction of their own, and are
 * written at once.  Each gets a file of its own when they are put aside.
 *
 * An executor that exits normally clears its note.  One that is terminated
 * during a job, or cannot record the job's outcome, puts the note aside:
 * renamed after the job's attempt, it is kept across server restarts until the
 * coordinator has seen that the attempt is counted.  The same is done with the
 * note of a job that is locked after a crash.  The note of a job that has
 * ended since is harmless: the job is gone, or at another attempt.
 *
 * IDENTIFICATION
 *	  bgworker/executor/crash_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/crash_note.h"

#include "job/crash_directory.h"
#include "job/crash_file.h"
#include "jobq.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Of an executor's file. */
#define FILE_SIZE (JOBQ_CRASH_NOTE_JOBS * sizeof(JobqCrashRecord))

static int	note_file = -1;
static int	note_errno = 0;		/* why notes cannot be written; 0: they can */
static uint64 note_file_number = 0;
static Oid	note_database = InvalidOid;
static TimeLineID note_timeline = 0;
static uint64 note_transaction = 0;
static bool note_is_standing = false;
static JobqCrashRecord last_record; /* that was written, if one is standing */
static int	last_index = 0;
static JobqCrashRecord *batch_records = NULL;	/* the same of a batch, all of
												 * them */
static int	batch_length = 0;	/* 0: it was not one */
static char note_path[MAXPGPATH];

/* Writes to the executor's file; returns false and sets errno on failure. */
static bool
write_at(const void *data, size_t length, off_t offset)
{
	errno = 0;
	if (pg_pwrite(note_file, data, length, offset) == (ssize_t) length)
		return true;
	if (errno == 0)
		errno = ENOSPC;
	return false;
}

/* Gives the executor's file its full size; like write_at(). */
static bool
lengthen(void)
{
	static const char zeroes[FILE_SIZE];
	struct stat status;

	if (fstat(note_file, &status) != 0)
		return false;
	note_file_number = (uint64) status.st_ino;
	return status.st_size >= FILE_SIZE ||
		write_at(zeroes, FILE_SIZE - status.st_size, status.st_size);
}

static void
close_file(void)
{
	int			save_errno = errno;

	if (note_file >= 0)
		close(note_file);
	note_file = -1;
	errno = save_errno;
}

/*
 * Opens, or creates, the executor's file; like write_at().  A note of another executor
 * that the coordinator could not put aside, and has not counted, is not written over.
 */
static bool
open_file(void)
{
	if (!jobq_crash_file_is_free(note_path, note_database))
		return false;
	note_file = BasicOpenFile(note_path, O_CREAT | O_RDWR | PG_BINARY);
	if (note_file < 0 && errno == ENOENT)
	{
		jobq_crash_directory_make();
		note_file = BasicOpenFile(note_path, O_CREAT | O_RDWR | PG_BINARY);
	}
	if (note_file >= 0 && lengthen())
		return true;
	close_file();
	return false;
}

/* Remembers, and logs, that notes cannot be written because of errno. */
static void
fail(void)
{
	note_errno = errno;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write notes of running jobs to file \"%s\": %m",
					note_path)));
}

/* For the executor in a slot. */
void
jobq_crash_note_open(Oid dboid, int slot)
{
	jobq_crash_file_path(note_path, dboid, slot);
	note_database = dboid;
	note_timeline = GetWALInsertionTimeLine();
	note_transaction = (uint64) GetCurrentTimestamp();
	if (!open_file())
		fail();
}

/* The last error in writing notes, an errno; 0 if they can be written. */
int
jobq_crash_note_error(void)
{
	return note_errno;
}

/*
 * Between transactions, when notes could not be written: whether they can be
 * written now.  Logs the error if not.
 */
bool
jobq_crash_note_try(void)
{
	JobqCrashRecord none = {0};

	if ((note_file < 0 && !open_file()) || !write_at(&none, sizeof(none), 0))
	{
		fail();
		return false;
	}
	note_errno = 0;
	note_is_standing = false;
	return true;
}

/* Returns false, and logs the error, if the record is not written. */
static bool
write_record(const JobqCrashRecord *record, int index)
{
	if (note_file < 0)
		return false;
	if (write_at(record, sizeof(*record), index * sizeof(*record)))
		return true;
	fail();
	return false;
}

/* Fills in a record of this process, but for its checksum. */
static void
fill_record(JobqCrashRecord *record, int64 job_id, int32 attempt,
			TimestampTz started_at)
{
	memset(record, 0, sizeof(*record));
	record->magic = JOBQ_CRASH_RECORD_MAGIC;
	record->dboid = note_database;
	record->file = note_file_number;
	record->transaction = note_transaction;
	record->job_id = job_id;
	record->started_at = started_at;
	record->timeline = note_timeline;
	record->attempt = attempt;
	record->pid = MyProcPid;
	record->ending = JOBQ_NOTE_CRASHED;
}

/*
 * A job is about to be run, after `index` others in its transaction.  Returns
 * false if that could not be noted (jobq_crash_note_error()): then a crash would
 * leave no trace of the attempt.
 */
bool
jobq_crash_note_write(int index, int64 job_id, int32 attempt,
					  TimestampTz started_at)
{
	if (index == 0)
		note_transaction++;
	fill_record(&last_record, job_id, attempt, started_at);
	last_record.crc = jobq_crash_record_checksum(&last_record);
	if (!write_record(&last_record, index))
		return false;
	last_index = index;
	batch_length = 0;
	note_is_standing = true;
	return true;
}

/*
 * The same for the jobs of a batch, which is alone in its transaction.  The
 * file may have to become longer.
 */
bool
jobq_crash_note_write_batch(const JobqNotedJob *jobs, int njobs)
{
	size_t		length = njobs * sizeof(JobqCrashRecord);

	Assert(njobs <= JOBQ_MAX_BATCH);
	if (note_file < 0)
		return false;
	if (batch_records == NULL)
		batch_records = MemoryContextAlloc(TopMemoryContext,
										   JOBQ_MAX_BATCH * sizeof(JobqCrashRecord));
	note_transaction++;
	for (int i = 0; i < njobs; i++)
	{
		JobqCrashRecord *record = &batch_records[i];

		fill_record(record, jobs[i].job_id, jobs[i].attempt,
					jobs[i].started_at);
		record->together = i;
		record->crc = jobq_crash_record_checksum(record);
	}
	batch_length = njobs;
	note_is_standing = true;
	if (write_at(batch_records, length, 0))
		return true;
	fail();
	jobq_crash_note_clear();
	return false;
}

/*
 * Gives each job of a batch a file of its own; returns 0, or an errno if one cannot be
 * written, which is logged.
 */
static int
write_batch_aside(JobqNoteEnding ending, int sqlerrcode)
{
	int			error = 0;

	for (int i = 0; i < batch_length; i++)
	{
		batch_records[i].ending = ending;
		batch_records[i].sqlerrcode = sqlerrcode;
		if (!jobq_crash_file_write_aside(&batch_records[i]))
			error = errno;
	}
	return error;
}

/*
 * Puts the notes of a batch aside, as jobq_crash_note_keep() does.  If that
 * fails, the executor's own file stays as it is: the jobs count as crashed.
 */
static int
keep_batch(JobqNoteEnding ending, int sqlerrcode)
{
	int			error = write_batch_aside(ending, sqlerrcode);

	if (error == 0)
		jobq_crash_note_clear();
	note_is_standing = false;
	return error;
}

/*
 * Puts the last note aside, to be kept until the attempt is counted, when the
 * process is terminated during the job or cannot record its outcome.  May be
 * called in exit callbacks.  Returns 0, or an errno if it has stayed in the executor's
 * own file.
 */
int
jobq_crash_note_keep(JobqNoteEnding ending, int sqlerrcode)
{
	char		path[MAXPGPATH];
	int			error;

	if (!note_is_standing || note_file < 0)
		return 0;
	if (batch_length > 0)
		return keep_batch(ending, sqlerrcode);
	last_record.ending = ending;
	last_record.sqlerrcode = sqlerrcode;
	last_record.crc = jobq_crash_record_checksum(&last_record);
	(void) write_record(&last_record, last_index);
	jobq_crash_file_attempt_path(path, note_database, last_record.job_id,
								 last_record.attempt);
	error = jobq_crash_file_move(note_path, path) ? 0 : errno;
	close_file();
	note_is_standing = false;
	return error;
}

/*
 * Writes the last note to a file of its own, too, as if it were put aside: the process
 * lives on, and has yet to find out whether it can record the outcome.  Returns 0, or an
 * errno.
 */
int
jobq_crash_note_copy(JobqNoteEnding ending, int sqlerrcode)
{
	JobqCrashRecord record = last_record;

	if (!note_is_standing)
		return 0;
	if (batch_length > 0)
		return write_batch_aside(ending, sqlerrcode);
	record.ending = ending;
	record.sqlerrcode = sqlerrcode;
	return jobq_crash_file_write_aside(&record) ? 0 : errno;
}

/* Notes that no job is running.  May be called in exit callbacks. */
void
jobq_crash_note_clear(void)
{
	JobqCrashRecord record;

	if (!note_is_standing)
		return;
	memset(&record, 0, sizeof(record));
	(void) write_record(&record, 0);
	note_is_standing = false;
}
