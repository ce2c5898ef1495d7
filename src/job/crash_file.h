/*-------------------------------------------------------------------------
 *
 * crash_file.h
 *	  The files in which executors note which jobs they run: names, and reading,
 *	  writing and removing one of them.
 *
 * IDENTIFICATION
 *	  src/job/crash_file.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_FILE_H
#define JOBQ_CRASH_FILE_H

#include "job/crash_record.h"

#include "nodes/pg_list.h"

/* Where executors leave notes of the jobs that they run (crash_note.c). */
#define JOBQ_NOTES_DIRECTORY "pg_jobq"

/* What a process may fail to do with files, again and again. */
typedef enum JobqCrashFailure
{
	JOBQ_CRASH_CANNOT_LIST,
	JOBQ_CRASH_CANNOT_READ,
	JOBQ_CRASH_CANNOT_WRITE,
	JOBQ_CRASH_CANNOT_REMOVE,
	JOBQ_NUM_CRASH_FAILURES
} JobqCrashFailure;

/* The path of an executor's file, MAXPGPATH bytes. */
extern void jobq_crash_file_path(char *path, Oid dboid, int slot);

/* The same of an attempt whose note was put aside.  Neither allocates. */
extern void jobq_crash_file_attempt_path(char *path, Oid dboid, int64 job_id,
										 int32 attempt);

/*
 * Whether a file of this name in the directory is a note: of which database, and of which
 * slot, or JOBQ_NOTE_ASIDE or JOBQ_NOTE_UNDONE if it is not an executor's own.
 */
extern bool jobq_crash_file_parse_name(const char *name, Oid *dboid, int *slot);

/*
 * Logs an error, errno says which, unless the same was logged a moment ago.  Keeps errno.
 */
extern void jobq_crash_file_complain(JobqCrashFailure failure, const char *path);

/* Renames a file.  Returns false, and logs the error, if that fails. */
extern bool jobq_crash_file_move(const char *from, const char *to);

/*
 * Writes a record to a file of its own, where notes are put aside.  The same
 * holds; does not allocate.
 */
extern bool jobq_crash_file_write_aside(JobqCrashRecord *record);

/* The same for a job that had finished. */
extern bool jobq_crash_file_write_undone(JobqCrashRecord *record);

/*
 * Whether an executor may write to the file at this path, since it has no note of another
 * one that is to be counted.  If not, sets errno.
 */
extern bool jobq_crash_file_is_free(const char *path, Oid dboid);

/*
 * Appends the notes in a file to a list of JobqCrashNote, or sets *error (errno) if it
 * cannot be read.  Removes a file that is not valid here, unless it is empty: it may be
 * about to be written.  Needs a transaction.
 */
extern List *jobq_crash_file_add_notes(List *notes, const char *path, Oid dboid, int slot,
									   int *error);

/*
 * Reads the note of an attempt that was put aside, in a transaction.  Returns false if
 * there is none that is valid here, or if *error says why that is not known.
 */
extern bool jobq_crash_file_read_attempt(Oid dboid, int64 job_id, int32 attempt,
										 JobqCrashNote *note, int *error);

/* Whether a file is there, or may be, since the directory cannot be searched. */
extern bool jobq_crash_file_exists(const char *path);
extern bool jobq_crash_file_put_aside(Oid dboid, int slot, int64 job_id,
									  int32 attempt);
extern bool jobq_crash_file_copy_aside(Oid dboid, const JobqCrashNote *note);

/* Removes a file, which need not be there.  Logs the error if that fails. */
extern bool jobq_crash_file_remove_path(const char *path);
extern bool jobq_crash_file_remove(Oid dboid, int slot);

/*
 * Marks a note in the file of a slot, so that it is not read again: where the file has
 * others, or cannot be removed.  Needs no space on the disk.
 */
extern bool jobq_crash_file_settle(Oid dboid, int slot, int index, int64 job_id,
								   int32 attempt);
extern bool jobq_crash_file_remove_attempt(Oid dboid, int64 job_id,
										   int32 attempt);

extern bool jobq_crash_file_remove_undone(Oid dboid, int64 job_id,
										  TimestampTz started_at);

#endif							/* JOBQ_CRASH_FILE_H */
