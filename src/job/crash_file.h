/*-------------------------------------------------------------------------
 *
 * crash_file.h
 *	  The files that executors note in which jobs they run: their format and
 *	  names, and reading and removing them.
 *
 * IDENTIFICATION
 *	  src/job/crash_file.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_FILE_H
#define JOBQ_CRASH_FILE_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "port/pg_crc32c.h"

/* Where executors leave notes of the jobs that they run (crash_note.c). */
#define JOBQ_NOTES_DIRECTORY "pg_jobq"

/* The number of jobs for which a file has room from the beginning. */
#define JOBQ_CRASH_NOTE_JOBS 64

/* How an attempt has ended; an unchanged note means a crash. */
typedef enum JobqNoteEnding
{
	JOBQ_NOTE_CRASHED,
	JOBQ_NOTE_TERMINATED,
	JOBQ_NOTE_TIMED_OUT,
	JOBQ_NOTE_UNRECORDED,		/* the outcome could not be recorded */
	JOBQ_NOTE_SETTLED			/* nothing is left to do for it */
} JobqNoteEnding;

/*
 * In place of a slot: a note that was put aside, or one of a job that had finished when
 * its transaction was rolled back (undone.c).
 */
#define JOBQ_NOTE_ASIDE (-1)
#define JOBQ_NOTE_UNDONE (-2)

/* Contents of a note about a job. */
typedef struct JobqCrashNote
{
	int			slot;
	int			index;			/* in the file */
	int64		job_id;
	int32		attempt;
	TimestampTz started_at;
	int			pid;			/* of the executor */
	JobqNoteEnding ending;
	int			sqlerrcode;		/* if it is JOBQ_NOTE_UNRECORDED */
	int64		cause;			/* the job had finished when this one was run
								 * in its transaction; 0: it was running */
	bool		in_batch;		/* the file has others that were running */
	int32		queue;			/* of JOBQ_NOTE_UNDONE only */
} JobqCrashNote;

#define JOBQ_CRASH_RECORD_MAGIC 0x4a514e37	/* JQN7 */

/* A file has one for each job of a transaction. */
typedef struct JobqCrashRecord
{
	uint32		magic;
	Oid			dboid;
	uint64		file;			/* that it was written to: number of the inode */
	uint64		transaction;	/* the same for all jobs of one */
	int64		job_id;			/* 0: nothing is being run */
	TimestampTz started_at;
	int64		cause;			/* this and queue: of JOBQ_NOTE_UNDONE only,
								 * and like those of JobqUndone */
	TimeLineID	timeline;
	int32		attempt;
	int32		pid;
	int32		ending;			/* JobqNoteEnding */
	int32		sqlerrcode;		/* see JobqCrashNote */
	int32		together;		/* jobs of a batch before this one */
	int32		queue;
	pg_crc32c	crc;			/* of all before it */
} JobqCrashRecord;

extern void jobq_crash_files_make_directory(void);

/* The path of an executor's file, MAXPGPATH bytes. */
extern void jobq_crash_file_path(char *path, Oid dboid, int slot);

/* The same of an attempt whose note was put aside.  Neither allocates. */
extern void jobq_crash_file_attempt_path(char *path, Oid dboid, int64 job_id,
										 int32 attempt);

extern pg_crc32c jobq_crash_record_checksum(const JobqCrashRecord *record);

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
 * A list of JobqCrashNote, in the current context.  Needs a transaction.  *error is 0, or
 * says why some files, or the directory, cannot be read (errno): then there may be others.
 */
extern List *jobq_crash_files_read(Oid dboid, int *error);

/* The same of executors' own files, and whether there are any notes put aside. */
extern List *jobq_crash_files_read_slots(Oid dboid, bool *any_aside, int *error);

/* Only those of jobs that had finished, which the others leave out. */
extern List *jobq_crash_files_read_undone(Oid dboid, int *error);

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

/* For the launcher: removes files of databases that are not in the list. */
extern void jobq_crash_files_prune(List *databases);

#endif							/* JOBQ_CRASH_FILE_H */
