/*-------------------------------------------------------------------------
 *
 * crash_note.h
 *	  Notes about the jobs that executors are about to run.
 *
 * IDENTIFICATION
 *	  bgworker/crash_note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_NOTE_H
#define JOBQ_CRASH_NOTE_H

#include "nodes/pg_list.h"
#include "datatype/timestamp.h"

/* Maximum number of jobs noted for a transaction. */
#define JOBQ_CRASH_NOTE_JOBS 64

/* How an attempt has ended; an unchanged note means a crash. */
typedef enum JobqNoteEnding
{
	JOBQ_NOTE_CRASHED,
	JOBQ_NOTE_TERMINATED,
	JOBQ_NOTE_TIMED_OUT,
	JOBQ_NOTE_UNRECORDED		/* the outcome could not be recorded */
} JobqNoteEnding;

/* In place of a slot: a note that was put aside. */
#define JOBQ_NOTE_ASIDE (-1)

/* Contents of a note about a job. */
typedef struct JobqCrashNote
{
	int			slot;
	int64		job_id;
	int32		attempt;
	TimestampTz started_at;
	int			pid;			/* of the executor */
	JobqNoteEnding ending;
	int			sqlerrcode;		/* if it is JOBQ_NOTE_UNRECORDED */
	int64		cause;			/* the job had finished when this one was run
								 * in its transaction; 0: it was running */
} JobqCrashNote;

extern void jobq_crash_note_make_directory(void);

/* For the executor in a slot. */
extern void jobq_crash_note_open(Oid dboid, int slot);
extern int	jobq_crash_note_error(void);
extern bool jobq_crash_note_try(void);
extern bool jobq_crash_note_write(int index, int64 job_id, int32 attempt,
								  TimestampTz started_at);
extern void jobq_crash_note_clear(void);
extern void jobq_crash_note_keep(JobqNoteEnding ending, int sqlerrcode);

/* For coordinators: a list of JobqCrashNote, in the current context. */
extern List *jobq_crash_notes_read(Oid dboid);
extern bool jobq_crash_note_put_aside(Oid dboid, int slot, int64 job_id,
									  int32 attempt);
extern bool jobq_crash_note_remove(Oid dboid, int slot);
extern bool jobq_crash_note_remove_attempt(Oid dboid, int64 job_id,
										   int32 attempt);

/* For the launcher: removes files of databases that are not in the list. */
extern void jobq_crash_notes_prune(List *databases);

#endif							/* JOBQ_CRASH_NOTE_H */
