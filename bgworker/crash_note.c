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
 * An executor that exits normally clears its note.  One that is terminated
 * during a job, or cannot record the job's outcome, puts the note aside:
 * renamed after the job's attempt, it is kept across server restarts until the
 * coordinator has seen that the attempt is counted.  The same is done with the
 * note of a job that is locked after a crash.  The note of a job that has
 * ended since is harmless: the job is gone, or at another attempt.
 *
 * A note counts only where it was written.  So the names of the files begin
 * like those of temporary files, which base backups and pg_rewind leave out.
 * Other copies of the data directory have them, and a backup may be copied over
 * them: a note counts only on the same timeline, so not after a promotion, a
 * recovery from a backup or a rewind, in the same file (inode), and if it was
 * written after the server was last started from a backup, which renames the
 * backup's label.  A snapshot of the whole file system looks like a crash, and
 * is treated as one.
 *
 * The files are $PGDATA/pg_jobq/pgsql_tmp.<database>.<slot>, and
 * pgsql_tmp.<database>.job<id>.<attempt> for notes put aside.  At its start
 * the server removes temporary files elsewhere, but not in this directory.
 *
 * IDENTIFICATION
 *	  bgworker/crash_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/crash_note.h"

#include "job/crash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#define DIRECTORY JOBQ_NOTES_DIRECTORY
#define FILE_PREFIX JOBQ_NOTES_PREFIX
#define MAGIC 0x4a514e35		/* JQN5 */

/* A file has one for each job of a transaction. */
typedef struct Record
{
	uint32		magic;
	Oid			dboid;
	uint64		file;			/* that it was written to: number of the inode */
	uint64		transaction;	/* the same for all jobs of one */
	int64		job_id;			/* 0: nothing is being run */
	TimestampTz started_at;
	TimeLineID	timeline;
	int32		attempt;
	int32		pid;
	int32		ending;			/* JobqNoteEnding */
	int32		sqlerrcode;		/* see JobqCrashNote */
	pg_crc32c	crc;			/* of all before it */
} Record;

/* Of an executor's file. */
#define FILE_SIZE (JOBQ_CRASH_NOTE_JOBS * sizeof(Record))

static int	note_file = -1;
static int	note_errno = 0;		/* why notes cannot be written; 0: they can */
static uint64 note_file_number = 0;
static Oid	note_database = InvalidOid;
static TimeLineID note_timeline = 0;
static uint64 note_transaction = 0;
static bool note_is_standing = false;
static Record last_record;		/* that was written, if one is standing */
static int	last_index = 0;
static char note_path[MAXPGPATH];

static void
make_path(char *path, Oid dboid, int slot)
{
	snprintf(path, MAXPGPATH, DIRECTORY "/" FILE_PREFIX "%u.%d", dboid, slot);
}

static pg_crc32c
checksum(const Record *record)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record, offsetof(Record, crc));
	FIN_CRC32C(crc);
	return crc;
}

void
jobq_crash_note_make_directory(void)
{
	if (mkdir(DIRECTORY, pg_dir_create_mode) != 0 && errno != EEXIST)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", DIRECTORY)));
}

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

/* Opens, or creates, the executor's file; like write_at(). */
static bool
open_file(void)
{
	note_file = BasicOpenFile(note_path, O_CREAT | O_RDWR | PG_BINARY);
	if (note_file < 0 && errno == ENOENT)
	{
		jobq_crash_note_make_directory();
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
	make_path(note_path, dboid, slot);
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
	Record		none = {0};

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
write_record(const Record *record, int index)
{
	if (note_file < 0)
		return false;
	if (write_at(record, sizeof(*record), index * sizeof(*record)))
		return true;
	fail();
	return false;
}

/* Returns false, and logs the error, if that fails. */
static bool
move_file(const char *from, const char *to)
{
	if (rename(from, to) == 0)
		return true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not rename file \"%s\" to \"%s\": %m", from, to)));
	return false;
}

/* The same; it need not be there. */
static bool
remove_file(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not remove file \"%s\": %m", path)));
	return false;
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
	Record	   *record = &last_record;

	if (index == 0)
		note_transaction++;
	memset(record, 0, sizeof(*record));
	record->magic = MAGIC;
	record->dboid = note_database;
	record->file = note_file_number;
	record->transaction = note_transaction;
	record->job_id = job_id;
	record->started_at = started_at;
	record->timeline = note_timeline;
	record->attempt = attempt;
	record->pid = MyProcPid;
	record->ending = JOBQ_NOTE_CRASHED;
	record->crc = checksum(record);
	if (!write_record(record, index))
		return false;
	last_index = index;
	note_is_standing = true;
	return true;
}

/*
 * Puts the last note aside, to be kept until the attempt is counted, when the
 * process is terminated during the job or cannot record its outcome.  May be
 * called in exit callbacks.
 */
void
jobq_crash_note_keep(JobqNoteEnding ending, int sqlerrcode)
{
	char		path[MAXPGPATH];

	if (!note_is_standing || note_file < 0)
		return;
	last_record.ending = ending;
	last_record.sqlerrcode = sqlerrcode;
	last_record.crc = checksum(&last_record);
	(void) write_record(&last_record, last_index);
	jobq_attempt_note_path(path, note_database, last_record.job_id,
						   last_record.attempt);
	(void) move_file(note_path, path);
	close_file();
	note_is_standing = false;
}

/* Notes that no job is running.  May be called in exit callbacks. */
void
jobq_crash_note_clear(void)
{
	Record		record;

	if (!note_is_standing)
		return;
	memset(&record, 0, sizeof(record));
	(void) write_record(&record, 0);
	note_is_standing = false;
}

/* When the server was started from a backup; 0 if it was not. */
static time_t
restored_at(void)
{
	struct stat label;

	return stat(BACKUP_LABEL_OLD, &label) == 0 ? label.st_ctime : 0;
}

/* Whether a record read from the file with this inode number is valid. */
static bool
is_valid(const Record *record, Oid dboid, uint64 file)
{
	return record->magic == MAGIC && record->crc == checksum(record) &&
		record->dboid == dboid && record->file == file &&
		record->timeline == GetWALInsertionTimeLine() && record->job_id != 0;
}

/*
 * Reads the records of a file: the jobs of one transaction, in order.  Returns
 * their number, or -1 if the file cannot be read.
 */
static int
read_records(const char *path, Oid dboid, Record *records, int limit)
{
	int			file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat status;
	ssize_t		length = -1;
	int			n = 0;

	if (file < 0)
		return -1;
	if (fstat(file, &status) == 0)
		length = read(file, records, limit * sizeof(Record));
	CloseTransientFile(file);
	if (length > 0 && status.st_mtime < restored_at())
		return 0;
	if (length < 0)
		return -1;
	while ((n + 1) * (ssize_t) sizeof(Record) <= length &&
		   is_valid(&records[n], dboid, (uint64) status.st_ino) &&
		   records[n].transaction == records[0].transaction &&
		   records[n].pid == records[0].pid)
		n++;
	return n;
}

/*
 * Returns the next note in a directory, with what its name says.  The slot is
 * JOBQ_NOTE_ASIDE if the note was put aside.
 */
static bool
next_file(DIR *directory, Oid *dboid, int *slot, char *path)
{
	struct dirent *entry;

	while ((entry = ReadDirExtended(directory, DIRECTORY, LOG)) != NULL)
	{
		unsigned int file_database;
		unsigned long long job_id;
		int			attempt;
		char		rest;

		if (sscanf(entry->d_name, FILE_PREFIX "%u.job%llu.%d%c",
				   &file_database, &job_id, &attempt, &rest) == 3)
			*slot = JOBQ_NOTE_ASIDE;
		else if (sscanf(entry->d_name, FILE_PREFIX "%u.%d%c", &file_database,
						slot, &rest) != 2)
			continue;
		*dboid = file_database;
		snprintf(path, MAXPGPATH, DIRECTORY "/%s", entry->d_name);
		return true;
	}
	return false;
}

/* Appends the contents of a file.  Removes a file that is not valid here. */
static List *
add_notes(List *notes, const char *path, Oid dboid, int slot)
{
	Record		records[JOBQ_CRASH_NOTE_JOBS];
	int			n = read_records(path, dboid, records, lengthof(records));

	if (n == 0 && slot == JOBQ_NOTE_ASIDE)
		(void) remove_file(path);
	/* those before the last one were recorded when it was put aside */
	for (int i = slot == JOBQ_NOTE_ASIDE ? Max(n - 1, 0) : 0; i < n; i++)
	{
		JobqCrashNote *note = palloc(sizeof(JobqCrashNote));

		note->slot = slot;
		note->job_id = records[i].job_id;
		note->attempt = records[i].attempt;
		note->started_at = records[i].started_at;
		note->pid = records[i].pid;
		note->ending = (JobqNoteEnding) records[i].ending;
		note->sqlerrcode = records[i].sqlerrcode;
		note->cause = i < n - 1 ? records[n - 1].job_id : 0;
		notes = lappend(notes, note);
	}
	return notes;
}

/* Needs a transaction. */
List *
jobq_crash_notes_read(Oid dboid)
{
	List	   *notes = NIL;
	DIR		   *directory = AllocateDir(DIRECTORY);
	char		path[MAXPGPATH];
	Oid			file_database;
	int			slot;

	if (directory == NULL)
		return NIL;
	while (next_file(directory, &file_database, &slot, path))
	{
		if (file_database == dboid)
			notes = add_notes(notes, path, dboid, slot);
	}
	FreeDir(directory);
	return notes;
}

/*
 * The note of a slot is not counted yet, and must not be written over.  Returns
 * false, and logs the error, if the file stays; the following do so, too.
 */
bool
jobq_crash_note_put_aside(Oid dboid, int slot, int64 job_id, int32 attempt)
{
	char		from[MAXPGPATH];
	char		to[MAXPGPATH];

	make_path(from, dboid, slot);
	jobq_attempt_note_path(to, dboid, job_id, attempt);
	return move_file(from, to);
}

bool
jobq_crash_note_remove(Oid dboid, int slot)
{
	char		path[MAXPGPATH];

	make_path(path, dboid, slot);
	return remove_file(path);
}

/* The same of a note that was put aside. */
bool
jobq_crash_note_remove_attempt(Oid dboid, int64 job_id, int32 attempt)
{
	char		path[MAXPGPATH];

	jobq_attempt_note_path(path, dboid, job_id, attempt);
	return remove_file(path);
}

void
jobq_crash_notes_prune(List *databases)
{
	DIR		   *directory = AllocateDir(DIRECTORY);
	char		path[MAXPGPATH];
	Oid			dboid;
	int			slot;

	if (directory == NULL)
		return;
	while (next_file(directory, &dboid, &slot, path))
	{
		if (!list_member_oid(databases, dboid))
			(void) remove_file(path);
	}
	FreeDir(directory);
}
