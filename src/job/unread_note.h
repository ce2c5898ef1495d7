/*-------------------------------------------------------------------------
 *
 * unread_note.h
 *	  Executors' notes of before the start, until the coordinator has read them.
 *
 * IDENTIFICATION
 *	  src/job/unread_note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_UNREAD_NOTE_H
#define JOBQ_UNREAD_NOTE_H

#include "job/crash_file.h"

#define JOBQ_ANY_ATTEMPT 0

/* Whether there may be any in this database. */
extern bool jobq_unread_notes_exist(void);

/*
 * While they may exist: what an executor's own file says of an attempt of a job, or of
 * any attempt of it; NULL if nothing.  Needs a transaction.  It may belong to an executor
 * of after the start, unless they still exist then.
 */
extern const JobqCrashNote *jobq_unread_note_find(int64 job_id, int32 attempt);

#endif							/* JOBQ_UNREAD_NOTE_H */
