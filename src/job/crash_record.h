/*-------------------------------------------------------------------------
 *
 * crash_record.h
 *	  What the notes of executors contain: records of jobs.
 *
 * IDENTIFICATION
 *	  src/job/crash_record.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_RECORD_H
#define JOBQ_CRASH_RECORD_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "port/pg_crc32c.h"

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

/* Of all of a record but the checksum itself. */
extern pg_crc32c jobq_crash_record_checksum(const JobqCrashRecord *record);

/* Whether a record read from the file with this inode number is valid. */
extern bool jobq_crash_record_is_valid(const JobqCrashRecord *record, Oid dboid,
									   uint64 file);

/* The first of n records that were running when the last one was written. */
extern int	jobq_crash_records_first_running(const JobqCrashRecord *records, int n);

/* What one of n records of a file says, of which some were running. */
extern void jobq_crash_record_fill_note(JobqCrashNote *note,
										const JobqCrashRecord *records, int n, int i,
										int slot);

/* Whether all of n records that were running are settled. */
extern bool jobq_crash_records_are_settled(const JobqCrashRecord *records, int n);

#endif							/* JOBQ_CRASH_RECORD_H */
