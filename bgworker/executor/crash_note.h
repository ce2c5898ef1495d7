/*-------------------------------------------------------------------------
 *
 * crash_note.h
 *	  Notes about the jobs that executors are about to run.
 *
 * IDENTIFICATION
 *	  bgworker/executor/crash_note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_NOTE_H
#define JOBQ_CRASH_NOTE_H

#include "job/crash_record.h"

/* A job that is about to be run. */
typedef struct JobqNotedJob
{
	int64		job_id;
	int32		attempt;
	TimestampTz started_at;
} JobqNotedJob;

/* For the executor in a slot. */
extern void jobq_crash_note_open(Oid dboid, int slot);
extern int	jobq_crash_note_error(void);
extern bool jobq_crash_note_try(void);
extern bool jobq_crash_note_write(int index, int64 job_id, int32 attempt,
								  TimestampTz started_at);
extern bool jobq_crash_note_write_batch(const JobqNotedJob *jobs, int njobs);
extern void jobq_crash_note_clear(void);
extern int	jobq_crash_note_keep(JobqNoteEnding ending, int sqlerrcode);
extern int	jobq_crash_note_copy(JobqNoteEnding ending, int sqlerrcode);

#endif							/* JOBQ_CRASH_NOTE_H */
