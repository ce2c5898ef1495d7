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

#include "job/crash_record.h"
#include "shared/database.h"

#define JOBQ_ANY_ATTEMPT 0

/* Whether this session knows of some, or has tried to read them. */
extern bool jobq_unread_notes_known;

extern void jobq_unread_notes_drop(void);

/* Whether there may be any in this database. */
static inline bool
jobq_unread_notes_exist(void)
{
	if (unlikely(pg_atomic_read_u32(&jobq_database()->notes_read) == 0))
		return true;
	if (unlikely(jobq_unread_notes_known))
		jobq_unread_notes_drop();
	return false;
}

/*
 * While they may exist: what an executor's own file says of an attempt of a job, or of
 * any attempt of it; NULL if nothing, or if *error says why that is not known (errno).
 * Needs a transaction.  It may belong to an executor of after the start, unless they
 * still exist then.
 */
extern const JobqCrashNote *jobq_unread_note_find(int64 job_id, int32 attempt,
												  int *error);

/*
 * For sessions that are about to claim jobs that executors may have run: whether they
 * must not, since notes cannot be read.  Needs a transaction.
 */
extern bool jobq_unread_notes_are_needed(void);

/*
 * For the coordinator and executors: notes that are needed cannot be read because of this
 * error, so no job may be started.  jobq_unread_end() takes that back, and returns whether
 * it was so.
 */
extern void jobq_unread_note_error(int error);
extern bool jobq_unread_end(void);

/* Since when that is so, 0 if it is not; and the error. */
extern TimestampTz jobq_unread_since(void);
extern int	jobq_unread_errno(void);

#endif							/* JOBQ_UNREAD_NOTE_H */
