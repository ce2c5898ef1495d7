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
 * An orderly exit clears the note.  A note of a job that has ended since is
 * harmless: the job is gone, or at another attempt.
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

#include "common/file_perm.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#define DIRECTORY "pg_jobq"
#define MAGIC 0x4a514e32		/* JQN2 */

/* The content of a file. */
typedef struct Record
{
	uint32		magic;
	Oid			dboid;
	int64		job_id;			/* 0: nothing is being run */
	TimestampTz started_at;
	int32		attempt;
	int32		pid;
	pg_crc32c	crc;			/* of all before it */
} Record;

static int	note_file = -1;
static Oid	note_database = InvalidOid;

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

	make_path(path, dboid, slot);
	note_database = dboid;
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
}

static void
write_record(const Record *record)
{
	static bool complained = false;

	if (note_file < 0)
		return;
	errno = 0;
	if (pg_pwrite(note_file, record, sizeof(*record), 0) ==
		sizeof(*record) || complained)
		return;
	if (errno == 0)
		errno = ENOSPC;
	complained = true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write a note of a running job: %m")));
}

void
jobq_crash_note_write(int64 job_id, int32 attempt, TimestampTz started_at)
{
	Record		record;

	memset(&record, 0, sizeof(record));
	record.magic = MAGIC;
	record.dboid = note_database;
	record.job_id = job_id;
	record.attempt = attempt;
	record.pid = MyProcPid;
	record.started_at = started_at;
	record.crc = checksum(&record);
	write_record(&record);
}

/* No job is being run.  For exit callbacks too. */
void
jobq_crash_note_clear(void)
{
	Record		record;

	memset(&record, 0, sizeof(record));
	write_record(&record);
}

/* Reads a file; false if it says nothing. */
static bool
read_record(const char *path, Oid dboid, Record *record)
{
	int			file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	bool		valid;

	if (file < 0)
		return false;
	valid = read(file, record, sizeof(*record)) == sizeof(*record);
	CloseTransientFile(file);
	return valid && record->magic == MAGIC && record->dboid == dboid &&
		record->crc == checksum(record) && record->job_id != 0;
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
		Record		record;
		JobqCrashNote *note;

		if (file_database != dboid)
			continue;
		make_path(path, dboid, slot);
		if (!read_record(path, dboid, &record))
			continue;
		note = palloc(sizeof(JobqCrashNote));
		note->slot = slot;
		note->job_id = record.job_id;
		note->attempt = record.attempt;
		note->started_at = record.started_at;
		note->pid = record.pid;
		notes = lappend(notes, note);
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
