/*-------------------------------------------------------------------------
 *
 * uncounted.h
 *	  Attempts that have ended and are not counted yet: where they are noted, and
 *	  when that is forgotten.
 *
 * IDENTIFICATION
 *	  src/job/uncounted.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_UNCOUNTED_H
#define JOBQ_UNCOUNTED_H

#include "job/crash_record.h"
#include "job/unread_note.h"
#include "queue/queue_row.h"
#include "shared/termination.h"

/*
 * Enters what the file of an attempt says into shared memory.  Returns false if there is no
 * such file any more.
 */
extern bool jobq_uncounted_share(const JobqTermination *termination);

/* What shared memory would have of a note. */
extern void jobq_uncounted_describe(const JobqCrashNote *note,
									JobqTermination *termination);

/* Whether an attempt of a job of this database is noted, in a file or in memory. */
extern bool jobq_uncounted_is_noted(int64 job_id, int32 attempt);

/*
 * Whether any may be: if not, jobq_uncounted_find() finds none.  Looks where it does, in
 * the same order.
 */
static inline bool
jobq_uncounted_may_exist(void)
{
	return jobq_unread_notes_exist() || jobq_terminations_may_exist();
}

/*
 * The same for a process that has found the job: how the attempt has ended.  Reads
 * the files if the coordinator has not done so since the server was started.  If it returns
 * false, *error is 0, or says why files that may tell of the attempt cannot be read
 * (errno).  Needs a transaction.
 */
extern bool jobq_uncounted_find(int64 job_id, int32 attempt,
								JobqTermination *termination, int *error);

/*
 * Whether a session must not claim jobs of a queue now: executors may have run them, and
 * notes that say so cannot be read.  Needs a transaction.
 */
extern bool jobq_queue_needs_notes(const JobqQueue *queue);

/*
 * Has the notes of a finished job, whose last attempt was `attempt`, forgotten
 * when the transaction commits: the job is about to be revived, and its new
 * attempts have the same numbers.  For the transaction itself, jobq_..._is_forgotten()
 * is true at once.  Its PREPARE fails (0A000) if there is such a note, and its commit
 * (55000) if the file of one cannot be removed.  Raises 55000 if
 * the server has crashed in an attempt, and the coordinator has not read of that yet, or
 * cannot, and executors run such jobs.
 */
extern void jobq_uncounted_forget(int64 job_id, int32 attempt, bool has_executors);
extern bool jobq_uncounted_is_forgotten(int64 job_id);

extern void jobq_uncounted_init(void);

#endif							/* JOBQ_UNCOUNTED_H */
