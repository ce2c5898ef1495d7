/*-------------------------------------------------------------------------
 *
 * crash_file.c
 *	  The files that executors note in which jobs they run: their format and
 *	  names, and reading and removing them.
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
#include "common/file_perm.h"
#include "common/file_utils.h"	/* PG_TEMP_FILE_PREFIX in some versions */
#include "storage/fd.h"
#include "utils/timestamp.h"

#define DIRECTORY JOBQ_NOTES_DIRECTORY
#define FILE_PREFIX PG_TEMP_FILE_PREFIX "."

/* The most that a file has. */
#define MAX_RECORDS Max(JOBQ_CRASH_NOTE_JOBS, JOBQ_MAX_BATCH)

/* How often to complain about files that cannot be read, written or removed. */
#define COMPLAINT_MS (60 * 1000)

/* See crash_file.h. */
void
jobq_crash_file_path(char *path, Oid dboid, int slot)
{
	snprintf(path, MAXPGPATH, DIRECTORY "/" FILE_PREFIX "%u.%d", dboid, slot);
}

/* See crash_file.h. */
void
jobq_crash_file_attempt_path(char *path, Oid dboid, int64 job_id, int32 attempt)
{
	snprintf(path, MAXPGPATH,
			 DIRECTORY "/" FILE_PREFIX "%u.job" INT64_FORMAT ".%d",
			 dboid, job_id, attempt);
}

/* The same of a job that had finished. */
static void
undone_path(char *path, Oid dboid, int64 job_id, TimestampTz started_at)
{
	snprintf(path, MAXPGPATH,
			 DIRECTORY "/" FILE_PREFIX "%u.undone" INT64_FORMAT "." INT64_FORMAT,
			 dboid, job_id, started_at);
}

/* Of all of a record but the checksum itself. */
pg_crc32c
jobq_crash_record_checksum(const JobqCrashRecord *record)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record, offsetof(JobqCrashRecord, crc));
	FIN_CRC32C(crc);
	return crc;
}

void
jobq_crash_files_make_directory(void)
{
	if (mkdir(DIRECTORY, pg_dir_create_mode) != 0 && errno != EEXIST)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", DIRECTORY)));
}

/* What this process may fail to do with a file, again and again. */
typedef enum Failure
{
	CANNOT_LIST,
	CANNOT_READ,
	CANNOT_WRITE,
	CANNOT_REMOVE,
	NUM_FAILURES
} Failure;

/*
 * Logs an error, errno says which, unless the same was logged a moment ago.  Keeps errno.
 */
static void
complain(Failure failure, const char *path)
{
	static TimestampTz logged_at[NUM_FAILURES] = {0};
	int			save_errno = errno;
	TimestampTz now = GetCurrentTimestamp();

	errno = save_errno;
	if (!TimestampDifferenceExceeds(logged_at[failure], now, COMPLAINT_MS))
		return;
	logged_at[failure] = now;
	ereport(LOG,
			(errcode_for_file_access(),
			 failure == CANNOT_LIST ?
			 errmsg("could not read directory \"%s\": %m", path) :
			 failure == CANNOT_READ ?
			 errmsg("could not read file \"%s\": %m", path) :
			 failure == CANNOT_WRITE ?
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

/* The same; it need not be there. */
static bool
remove_file(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	complain(CANNOT_REMOVE, path);
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
		complain(CANNOT_WRITE, path);
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

/* Whether a record read from the file with this inode number is valid. */
static bool
is_valid(const JobqCrashRecord *record, Oid dboid, uint64 file)
{
	return record->magic == JOBQ_CRASH_RECORD_MAGIC &&
		record->crc == jobq_crash_record_checksum(record) &&
		record->dboid == dboid && record->file == file &&
		record->timeline == GetWALInsertionTimeLine() && record->job_id != 0;
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
		complain(CANNOT_READ, path);
	if (file >= 0)
		CloseTransientFile(file);
	errno = length == 0 ? ENOENT : error;
	if (length <= 0)
		return -1;
	if (is_restored(&status))
		return 0;
	while ((n + 1) * (ssize_t) sizeof(JobqCrashRecord) <= length &&
		   is_valid(&records[n], dboid, (uint64) status.st_ino) &&
		   records[n].transaction == records[0].transaction &&
		   records[n].pid == records[0].pid)
		n++;
	return n;
}

/* The next entry of the directory; NULL if there is none, or if *error is not 0. */
static struct dirent *
next_entry(DIR *directory, int *error)
{
	struct dirent *result;

	errno = 0;
	result = readdir(directory);
	*error = result == NULL ? errno : 0;
	if (*error != 0)
		complain(CANNOT_LIST, DIRECTORY);
	return result;
}

/*
 * Opens the directory.  If that fails, returns NULL and sets *error, unless there is no
 * such directory.
 */
static DIR *
open_directory(int *error)
{
	DIR		   *result = AllocateDir(DIRECTORY);

	*error = result == NULL && errno != ENOENT ? errno : 0;
	if (*error != 0)
		complain(CANNOT_LIST, DIRECTORY);
	return result;
}

/*
 * Returns the next note in a directory, with what its name says.  The slot is
 * JOBQ_NOTE_ASIDE or JOBQ_NOTE_UNDONE if the file is not an executor's own.
 * Sets *error if the directory cannot be read to its end.
 */
static bool
next_file(DIR *directory, Oid *dboid, int *slot, char *path, int *error)
{
	struct dirent *entry;

	while ((entry = next_entry(directory, error)) != NULL)
	{
		unsigned int file_database;
		unsigned long long job_id;
		long long int started_at;
		int			attempt;
		char		rest;

		if (sscanf(entry->d_name, FILE_PREFIX "%u.job%llu.%d%c",
				   &file_database, &job_id, &attempt, &rest) == 3)
			*slot = JOBQ_NOTE_ASIDE;
		else if (sscanf(entry->d_name, FILE_PREFIX "%u.undone%llu.%lld%c",
						&file_database, &job_id, &started_at, &rest) == 3)
			*slot = JOBQ_NOTE_UNDONE;
		else if (sscanf(entry->d_name, FILE_PREFIX "%u.%d%c", &file_database,
						slot, &rest) != 2)
			continue;
		*dboid = file_database;
		snprintf(path, MAXPGPATH, DIRECTORY "/%s", entry->d_name);
		return true;
	}
	return false;
}

/* The first of n records that were running when the last one was written. */
static int
first_running(const JobqCrashRecord *records, int n)
{
	return n > 0 ? n - 1 - records[n - 1].together : 0;
}

/* What one of n records of a file says, of which some were running. */
static void
fill_note(JobqCrashNote *note, const JobqCrashRecord *records, int n, int i,
		  int slot)
{
	int			running = first_running(records, n);

	note->slot = slot;
	note->index = i;
	note->job_id = records[i].job_id;
	note->attempt = records[i].attempt;
	note->started_at = records[i].started_at;
	note->pid = records[i].pid;
	note->ending = (JobqNoteEnding) records[i].ending;
	note->sqlerrcode = records[i].sqlerrcode;
	note->queue = records[i].queue;
	note->cause = i < running ? records[n - 1].job_id : records[i].cause;
	note->in_batch = i >= running && running < n - 1;
}

/* Whether all of n records that were running are settled. */
static bool
is_settled(const JobqCrashRecord *records, int n)
{
	for (int i = first_running(records, n); i < n; i++)
	{
		if (records[i].ending != JOBQ_NOTE_SETTLED)
			return false;
	}
	return true;
}

/*
 * Appends the contents of a file, or sets *error if it cannot be read.  Removes a file that
 * is not valid here, unless it is empty: it may be about to be written.
 */
static List *
add_notes(List *notes, const char *path, Oid dboid, int slot, int *error)
{
	JobqCrashRecord *records = palloc(MAX_RECORDS * sizeof(JobqCrashRecord));
	int			n = read_records(path, dboid, records, MAX_RECORDS);
	int			running = first_running(records, n);

	if (n < 0 && errno != ENOENT)
		*error = errno;
	if (n == 0 && slot < 0)
		(void) remove_file(path);
	/* those before it have files of their own, or were recorded */
	for (int i = slot < 0 || is_settled(records, n) ? running : 0; i < n; i++)
	{
		JobqCrashNote *note;

		if (records[i].ending == JOBQ_NOTE_SETTLED)
			continue;
		note = palloc(sizeof(JobqCrashNote));
		fill_note(note, records, n, i, slot);
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
	int			error = n < 0 ? errno : is_settled(records, n) ? 0 : EEXIST;

	pfree(records);
	errno = error;
	return error == 0 || error == ENOENT;
}

/* Of files, by the slot that next_file() returns */
#define OF_SLOTS	0x1
#define OF_ASIDE	0x2
#define OF_UNDONE	0x4

/*
 * Reads the files of some kinds; returns in *seen of which kinds there are any.  If some
 * cannot be read, *error says why, else it is 0.
 */
static List *
read_files(Oid dboid, int kinds, int *seen, int *error)
{
	List	   *notes = NIL;
	DIR		   *directory = open_directory(error);
	int			file_error = 0;
	char		path[MAXPGPATH];
	Oid			file_database;
	int			slot;

	*seen = 0;
	if (directory == NULL)
		return NIL;
	while (next_file(directory, &file_database, &slot, path, error))
	{
		int			kind = slot == JOBQ_NOTE_ASIDE ? OF_ASIDE :
		slot == JOBQ_NOTE_UNDONE ? OF_UNDONE : OF_SLOTS;

		if (file_database != dboid)
			continue;
		*seen |= kind;
		if (kinds & kind)
			notes = add_notes(notes, path, dboid, slot, &file_error);
	}
	FreeDir(directory);
	if (*error == 0)
		*error = file_error;
	return notes;
}

/* See crash_file.h. */
List *
jobq_crash_files_read(Oid dboid, int *error)
{
	int			seen;

	return read_files(dboid, OF_SLOTS | OF_ASIDE, &seen, error);
}

/* See crash_file.h. */
List *
jobq_crash_files_read_slots(Oid dboid, bool *any_aside, int *error)
{
	int			seen;
	List	   *notes = read_files(dboid, OF_SLOTS, &seen, error);

	*any_aside = (seen & OF_ASIDE) != 0;
	return notes;
}

/* See crash_file.h. */
List *
jobq_crash_files_read_undone(Oid dboid, int *error)
{
	int			seen;

	return read_files(dboid, OF_UNDONE, &seen, error);
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
		fill_note(note, records, n, n - 1, JOBQ_NOTE_ASIDE);
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
	return remove_file(path);
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
		complain(CANNOT_WRITE, path);
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
	return remove_file(path);
}

/* See crash_file.h. */
bool
jobq_crash_file_remove_undone(Oid dboid, int64 job_id, TimestampTz started_at)
{
	char		path[MAXPGPATH];

	undone_path(path, dboid, job_id, started_at);
	return remove_file(path);
}

void
jobq_crash_files_prune(List *databases)
{
	int			error;
	DIR		   *directory = open_directory(&error);
	char		path[MAXPGPATH];
	Oid			dboid;
	int			slot;

	if (directory == NULL)
		return;
	while (next_file(directory, &dboid, &slot, path, &error))
	{
		if (!list_member_oid(databases, dboid))
			(void) remove_file(path);
	}
	FreeDir(directory);
}
