/*-------------------------------------------------------------------------
 *
 * crash_file.c
 *	  The files in which executors note which jobs they run: names, and reading,
 *	  writing and removing one of them.
 *
 * A note counts only where it was written.  So the names of the files begin
 * like those of temporary files, which base backups and pg_rewind leave out.
 * Other copies of the data directory have them, and a backup may be copied over
 * them.  So a note counts only
 *
 * - on the same timeline: not after a promotion, a recovery from a backup, or a
 *	 rewind;
 * - in the same file (inode);
 * - if it was written after the server was last started from a backup, which
 *	 renames the backup's label.
 *
 * A snapshot of the whole file system looks like a crash, and is treated as one.
 *
 * The files are $PGDATA/pg_jobq/pgsql_tmp.<database>.<slot>, and
 * pgsql_tmp.<database>.job<id>.<attempt> for notes put aside, and
 * pgsql_tmp.<database>.undone<id>.<start of the attempt> for jobs that had finished
 * when their transaction was rolled back.  At its start the server removes temporary
 * files elsewhere, but not in this directory.
 *
 * IDENTIFICATION
 *	  src/job/crash_file.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/crash_file.h"

#include "jobq.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "common/file_utils.h"	/* PG_TEMP_FILE_PREFIX in some versions */
#include "storage/fd.h"
#include "utils/timestamp.h"

#define FILE_PREFIX PG_TEMP_FILE_PREFIX "."

/* The most that a file has. */
#define MAX_RECORDS Max(JOBQ_CRASH_NOTE_JOBS, JOBQ_MAX_BATCH)

/* How often to complain about files that cannot be read, written or removed. */
#define COMPLAINT_MS (60 * 1000)

/* See crash_file.h. */
void
jobq_crash_file_path(char *path, Oid dboid, int slot)
{
	snprintf(path, MAXPGPATH, JOBQ_NOTES_DIRECTORY "/" FILE_PREFIX "%u.%d", dboid, slot);
}

/* See crash_file.h. */
void
jobq_crash_file_attempt_path(char *path, Oid dboid, int64 job_id, int32 attempt)
{
	snprintf(path, MAXPGPATH,
			 JOBQ_NOTES_DIRECTORY "/" FILE_PREFIX "%u.job" INT64_FORMAT ".%d",
			 dboid, job_id, attempt);
}

/* The same of a job that had finished. */
static void
undone_path(char *path, Oid dboid, int64 job_id, TimestampTz started_at)
{
	snprintf(path, MAXPGPATH,
			 JOBQ_NOTES_DIRECTORY "/" FILE_PREFIX "%u.undone" INT64_FORMAT "." INT64_FORMAT,
			 dboid, job_id, started_at);
}

/* See crash_file.h. */
bool
jobq_crash_file_parse_name(const char *name, Oid *dboid, int *slot)
{
	unsigned int file_database;
	unsigned long long job_id;
	long long int started_at;
	int			attempt;
	char		rest;

	if (sscanf(name, FILE_PREFIX "%u.job%llu.%d%c",
			   &file_database, &job_id, &attempt, &rest) == 3)
		*slot = JOBQ_NOTE_ASIDE;
	else if (sscanf(name, FILE_PREFIX "%u.undone%llu.%lld%c",
					&file_database, &job_id, &started_at, &rest) == 3)
		*slot = JOBQ_NOTE_UNDONE;
	else if (sscanf(name, FILE_PREFIX "%u.%d%c", &file_database,
					slot, &rest) != 2)
		return false;
	*dboid = file_database;
	return true;
}

/* See crash_file.h. */
void
jobq_crash_file_complain(JobqCrashFailure failure, const char *path)
{
	static TimestampTz logged_at[JOBQ_NUM_CRASH_FAILURES] = {0};
	int			save_errno = errno;
	TimestampTz now = GetCurrentTimestamp();

	errno = save_errno;
	if (!TimestampDifferenceExceeds(logged_at[failure], now, COMPLAINT_MS))
		return;
	logged_at[failure] = now;
	ereport(LOG,
			(errcode_for_file_access(),
			 failure == JOBQ_CRASH_CANNOT_LIST ?
			 errmsg("could not read directory \"%s\": %m", path) :
			 failure == JOBQ_CRASH_CANNOT_READ ?
			 errmsg("could not read file \"%s\": %m", path) :
			 failure == JOBQ_CRASH_CANNOT_WRITE ?
			 errmsg("could not write file \"%s\": %m", path) :
			 errmsg("could not remove file \"%s\": %m", path)));
	errno = save_errno;
}

/* Returns false, logs the error, and sets errno if that fails. */
bool
jobq_crash_file_move(const char *from, const char *to)
{
	int			error;

	if (rename(from, to) == 0)
		return true;
	error = errno;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not rename file \"%s\" to \"%s\": %m", from, to)));
	errno = error;
	return false;
}

/* See crash_file.h. */
bool
jobq_crash_file_remove_path(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	jobq_crash_file_complain(JOBQ_CRASH_CANNOT_REMOVE, path);
	return false;
}

/*
 * Writes a record to a file of its own.  The same, and sets errno; does not allocate.
 */
static bool
write_record(const char *path, JobqCrashRecord *record)
{
	struct stat status;
	int			file;
	int			error;
	bool		written;

	/* somebody may be reading the same record, if it was written before */
	file = BasicOpenFile(path, O_CREAT | O_RDWR | PG_BINARY);
	written = file >= 0 && fstat(file, &status) == 0;
	if (written)
	{
		record->file = (uint64) status.st_ino;
		record->together = 0;
		record->crc = jobq_crash_record_checksum(record);
		errno = 0;
		written = pg_pwrite(file, record, sizeof(*record), 0) ==
			(ssize_t) sizeof(*record);
		if (!written && errno == 0)
			errno = ENOSPC;
	}
	if (!written)
		jobq_crash_file_complain(JOBQ_CRASH_CANNOT_WRITE, path);
	error = errno;
	/* nobody removes an empty file */
	if (!written && file >= 0 && fstat(file, &status) == 0 &&
		status.st_size == 0)
		(void) unlink(path);
	if (file >= 0)
		close(file);
	errno = error;
	return written;
}

/* See crash_file.h. */
bool
jobq_crash_file_write_aside(JobqCrashRecord *record)
{
	char		path[MAXPGPATH];

	jobq_crash_file_attempt_path(path, record->dboid, record->job_id,
								 record->attempt);
	return write_record(path, record);
}

/* See crash_file.h. */
bool
jobq_crash_file_write_undone(JobqCrashRecord *record)
{
	char		path[MAXPGPATH];

	undone_path(path, record->dboid, record->job_id, record->started_at);
	return write_record(path, record);
}

/*
 * Whether a file was written before the server was last started from a backup, as far
 * as the file system's clock can tell.
 */
static bool
is_restored(const struct stat *file)
{
	const struct timespec *written = &file->st_mtim;
	const struct timespec *restored;
	struct stat label;

	if (stat(BACKUP_LABEL_OLD, &label) != 0)
		return false;
	restored = &label.st_ctim;
	return written->tv_sec < restored->tv_sec ||
		(written->tv_sec == restored->tv_sec &&
		 written->tv_nsec <= restored->tv_nsec);
}

/*
 * Reads the records of a file: the jobs of one transaction, in order.  Returns
 * their number, or -1 and sets errno if the file cannot be read, which is logged, is gone,
 * or is empty (ENOENT).
 */
static int
read_records(const char *path, Oid dboid, JobqCrashRecord *records, int limit)
{
	int			file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat status;
	ssize_t		length = -1;
	int			n = 0;
	int			error;

	if (file >= 0 && fstat(file, &status) == 0)
		length = read(file, records, limit * sizeof(JobqCrashRecord));
	error = errno;
	if (length < 0 && error != ENOENT)
		jobq_crash_file_complain(JOBQ_CRASH_CANNOT_READ, path);
	if (file >= 0)
		CloseTransientFile(file);
	errno = length == 0 ? ENOENT : error;
	if (length <= 0)
		return -1;
	if (is_restored(&status))
		return 0;
	while ((n + 1) * (ssize_t) sizeof(JobqCrashRecord) <= length &&
		   jobq_crash_record_is_valid(&records[n], dboid, (uint64) status.st_ino) &&
		   records[n].transaction == records[0].transaction &&
		   records[n].pid == records[0].pid)
		n++;
	return n;
}

/* See crash_file.h. */
List *
jobq_crash_file_add_notes(List *notes, const char *path, Oid dboid, int slot, int *error)
{
	JobqCrashRecord *records = palloc(MAX_RECORDS * sizeof(JobqCrashRecord));
	int			n = read_records(path, dboid, records, MAX_RECORDS);
	int			running = jobq_crash_records_first_running(records, n);

	if (n < 0 && errno != ENOENT)
		*error = errno;
	if (n == 0 && slot < 0)
		(void) jobq_crash_file_remove_path(path);
	/* those before it have files of their own, or were recorded */
	for (int i = slot < 0 || jobq_crash_records_are_settled(records, n) ? running : 0; i < n; i++)
	{
		JobqCrashNote *note;

		if (records[i].ending == JOBQ_NOTE_SETTLED)
			continue;
		note = palloc(sizeof(JobqCrashNote));
		jobq_crash_record_fill_note(note, records, n, i, slot);
		notes = lappend(notes, note);
	}
	pfree(records);
	return notes;
}

/* See crash_file.h. */
bool
jobq_crash_file_is_free(const char *path, Oid dboid)
{
	JobqCrashRecord *records = palloc(MAX_RECORDS * sizeof(JobqCrashRecord));
	int			n = read_records(path, dboid, records, MAX_RECORDS);
	int			error = n < 0 ? errno : jobq_crash_records_are_settled(records, n) ? 0 : EEXIST;

	pfree(records);
	errno = error;
	return error == 0 || error == ENOENT;
}

/* See crash_file.h. */
bool
jobq_crash_file_read_attempt(Oid dboid, int64 job_id, int32 attempt,
							 JobqCrashNote *note, int *error)
{
	JobqCrashRecord *records = palloc(MAX_RECORDS * sizeof(JobqCrashRecord));
	char		path[MAXPGPATH];
	int			n;

	jobq_crash_file_attempt_path(path, dboid, job_id, attempt);
	n = read_records(path, dboid, records, MAX_RECORDS);
	*error = n < 0 && errno != ENOENT ? errno : 0;
	if (n > 0)
		jobq_crash_record_fill_note(note, records, n, n - 1, JOBQ_NOTE_ASIDE);
	pfree(records);
	return n > 0 && note->job_id == job_id && note->attempt == attempt;
}

/* See crash_file.h. */
bool
jobq_crash_file_exists(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

/*
 * The note of a slot is not counted yet, and must not be written over.  Returns
 * false, and logs the error, if the file stays; the following do so, too.
 */
bool
jobq_crash_file_put_aside(Oid dboid, int slot, int64 job_id, int32 attempt)
{
	char		from[MAXPGPATH];
	char		to[MAXPGPATH];

	jobq_crash_file_path(from, dboid, slot);
	jobq_crash_file_attempt_path(to, dboid, job_id, attempt);
	return jobq_crash_file_move(from, to);
}

/* The note is one of a batch: writes a copy of it to a file of its own. */
bool
jobq_crash_file_copy_aside(Oid dboid, const JobqCrashNote *note)
{
	JobqCrashRecord record = {0};

	record.magic = JOBQ_CRASH_RECORD_MAGIC;
	record.dboid = dboid;
	record.job_id = note->job_id;
	record.started_at = note->started_at;
	record.timeline = GetWALInsertionTimeLine();
	record.attempt = note->attempt;
	record.pid = note->pid;
	record.ending = note->ending;
	record.sqlerrcode = note->sqlerrcode;
	return jobq_crash_file_write_aside(&record);
}

bool
jobq_crash_file_remove(Oid dboid, int slot)
{
	char		path[MAXPGPATH];

	jobq_crash_file_path(path, dboid, slot);
	return jobq_crash_file_remove_path(path);
}

/* See crash_file.h. */
bool
jobq_crash_file_settle(Oid dboid, int slot, int index, int64 job_id, int32 attempt)
{
	char		path[MAXPGPATH];
	JobqCrashRecord record;
	off_t		offset = index * sizeof(record);
	int			file;
	bool		written;

	jobq_crash_file_path(path, dboid, slot);
	file = BasicOpenFile(path, O_RDWR | PG_BINARY);
	if (file < 0 && errno == ENOENT)
		return true;
	written = file >= 0 &&
		pg_pread(file, &record, sizeof(record), offset) == sizeof(record);
	if (written && record.job_id == job_id && record.attempt == attempt)
	{
		record.ending = JOBQ_NOTE_SETTLED;
		record.crc = jobq_crash_record_checksum(&record);
		written = pg_pwrite(file, &record, sizeof(record), offset) == sizeof(record);
	}
	if (!written)
		jobq_crash_file_complain(JOBQ_CRASH_CANNOT_WRITE, path);
	if (file >= 0)
		close(file);
	return written;
}

/* The same of a note that was put aside. */
bool
jobq_crash_file_remove_attempt(Oid dboid, int64 job_id, int32 attempt)
{
	char		path[MAXPGPATH];

	jobq_crash_file_attempt_path(path, dboid, job_id, attempt);
	return jobq_crash_file_remove_path(path);
}

/* See crash_file.h. */
bool
jobq_crash_file_remove_undone(Oid dboid, int64 job_id, TimestampTz started_at)
{
	char		path[MAXPGPATH];

	undone_path(path, dboid, job_id, started_at);
	return jobq_crash_file_remove_path(path);
}
