/*-------------------------------------------------------------------------
 *
 * crash_note.c
 *	  Notes that executors leave of the jobs they are about to run.
 *
 * A job that runs inside a transaction leaves no trace in the tables if the
 * server crashes, and one that crashes the server would do so for ever.  So
 * an executor writes down what it is about to run, in a file of its own:
 * one write, no fsync, since a crash of the server leaves what the kernel has.
 * (After a crash of the machine the attempt is not counted.)
 *
 * Jobs that share a transaction are written one behind the other: those before
 * the last one were through, and are run again.  The first record of the next
 * transaction makes the others void.
 *
 * An orderly exit clears the note.  A note of a job that has ended since is
 * harmless: the job is gone, or at another attempt.
 *
 * Files are copied with the data directory.  A note counts only where it was
 * written: on the timeline on which it was, so not after a promotion or a
 * recovery from a backup, nor on a server that was rewound, and in the very
 * file, which a copy does not have.  A snapshot of the whole file system is
 * what a crash leaves, and is treated as one.
 *
 * Files are $PGDATA/pg_jobq/<database>.<slot>.
 *
 * IDENTIFICATION
 *	  bgworker/crash_note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_note.h"

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#define DIRECTORY "pg_jobq"
#define MAGIC 0x4a514e33		/* JQN3 */

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
	pg_crc32c	crc;			/* of all before it */
} Record;

static int	note_file = -1;
static uint64 note_file_number = 0;
static Oid	note_database = InvalidOid;
static TimeLineID note_timeline = 0;
static uint64 note_transaction = 0;
static bool note_is_standing = false;

static void
make_path(char *path, Oid dboid, int slot)
{
	snprintf(path, MAXPGPATH, DIRECTORY "/%u.%d", dboid, slot);
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

/*
 * Opens the file of a slot.  Without it jobs run all the same; then attempts
 * that crash the server are not counted.
 */
void
jobq_crash_note_open(Oid dboid, int slot)
{
	char		path[MAXPGPATH];
	struct stat status;

	make_path(path, dboid, slot);
	note_database = dboid;
	note_timeline = GetWALInsertionTimeLine();
	note_transaction = (uint64) GetCurrentTimestamp();
	note_file = BasicOpenFile(path, O_CREAT | O_RDWR | PG_BINARY);
	if (note_file < 0 && errno == ENOENT)
	{
		jobq_crash_note_make_directory();
		note_file = BasicOpenFile(path, O_CREAT | O_RDWR | PG_BINARY);
	}
	if (note_file < 0)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	else if (fstat(note_file, &status) == 0)
		note_file_number = (uint64) status.st_ino;
}

static void
write_record(const Record *record, int index)
{
	static bool complained = false;

	if (note_file < 0)
		return;
	errno = 0;
	if (pg_pwrite(note_file, record, sizeof(*record),
				  index * sizeof(*record)) == sizeof(*record) || complained)
		return;
	if (errno == 0)
		errno = ENOSPC;
	complained = true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write a note of a running job: %m")));
}

/* A job is about to be run, after `index` others in its transaction. */
void
jobq_crash_note_write(int index, int64 job_id, int32 attempt,
					  TimestampTz started_at)
{
	Record		record;

	if (index == 0)
		note_transaction++;
	memset(&record, 0, sizeof(record));
	record.magic = MAGIC;
	record.dboid = note_database;
	record.file = note_file_number;
	record.transaction = note_transaction;
	record.job_id = job_id;
	record.started_at = started_at;
	record.timeline = note_timeline;
	record.attempt = attempt;
	record.pid = MyProcPid;
	record.crc = checksum(&record);
	write_record(&record, index);
	note_is_standing = true;
}

/* No job is being run.  For exit callbacks too. */
void
jobq_crash_note_clear(void)
{
	Record		record;

	if (!note_is_standing)
		return;
	memset(&record, 0, sizeof(record));
	write_record(&record, 0);
	note_is_standing = false;
}

/* Whether a record that was read from a file of this number counts. */
static bool
is_valid(const Record *record, Oid dboid, uint64 file)
{
	return record->magic == MAGIC && record->crc == checksum(record) &&
		record->dboid == dboid && record->file == file &&
		record->timeline == GetWALInsertionTimeLine() && record->job_id != 0;
}

/*
 * Reads the records of a file: the jobs of one transaction, in their order.
 * Returns how many.
 */
static int
read_records(const char *path, Oid dboid, Record *records, int limit)
{
	int			file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat status;
	ssize_t		length = -1;
	int			n = 0;

	if (file < 0)
		return 0;
	if (fstat(file, &status) == 0)
		length = read(file, records, limit * sizeof(Record));
	CloseTransientFile(file);
	while ((n + 1) * (ssize_t) sizeof(Record) <= length &&
		   is_valid(&records[n], dboid, (uint64) status.st_ino) &&
		   records[n].transaction == records[0].transaction &&
		   records[n].pid == records[0].pid)
		n++;
	return n;
}

/* The next file of a directory, of which the name says whose it is. */
static bool
next_file(DIR *directory, Oid *dboid, int *slot)
{
	struct dirent *entry;

	while ((entry = ReadDirExtended(directory, DIRECTORY, LOG)) != NULL)
	{
		unsigned int file_database;
		char		rest;

		if (sscanf(entry->d_name, "%u.%d%c", &file_database, slot,
				   &rest) == 2)
		{
			*dboid = file_database;
			return true;
		}
	}
	return false;
}

/* Needs a transaction. */
List *
jobq_crash_notes_read(Oid dboid)
{
	List	   *notes = NIL;
	DIR		   *directory = AllocateDir(DIRECTORY);
	Oid			file_database;
	int			slot;

	if (directory == NULL)
		return NIL;
	while (next_file(directory, &file_database, &slot))
	{
		char		path[MAXPGPATH];
		Record		records[JOBQ_CRASH_NOTE_JOBS];
		int			n;

		if (file_database != dboid)
			continue;
		make_path(path, dboid, slot);
		n = read_records(path, dboid, records, lengthof(records));
		for (int i = 0; i < n; i++)
		{
			JobqCrashNote *note = palloc(sizeof(JobqCrashNote));

			note->slot = slot;
			note->job_id = records[i].job_id;
			note->attempt = records[i].attempt;
			note->started_at = records[i].started_at;
			note->pid = records[i].pid;
			note->cause = i < n - 1 ? records[n - 1].job_id : 0;
			notes = lappend(notes, note);
		}
	}
	FreeDir(directory);
	return notes;
}

void
jobq_crash_note_remove(Oid dboid, int slot)
{
	char		path[MAXPGPATH];

	make_path(path, dboid, slot);
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path)));
}

void
jobq_crash_notes_prune(List *databases)
{
	DIR		   *directory = AllocateDir(DIRECTORY);
	Oid			dboid;
	int			slot;

	if (directory == NULL)
		return;
	while (next_file(directory, &dboid, &slot))
	{
		if (!list_member_oid(databases, dboid))
			jobq_crash_note_remove(dboid, slot);
	}
	FreeDir(directory);
}
