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

#include "shared/shmem.h"

/* one of them has PG_TEMP_FILE_PREFIX, depending on the version */
#include "common/file_utils.h"
#include "storage/fd.h"

/*
 * Where executors leave notes of the jobs that they run
 * (bgworker/executor/crash_note.c).
 */
#define JOBQ_NOTES_DIRECTORY "pg_jobq"
#define JOBQ_NOTES_PREFIX PG_TEMP_FILE_PREFIX "."

/*
 * The name of the file of an attempt that has ended, of MAXPGPATH bytes.  Does
 * not allocate.
 */
extern void jobq_uncounted_path(char *path, Oid dboid, int64 job_id,
								int32 attempt);

/*
 * Enters what such a file says into shared memory.  Returns false if there is no
 * such file any more.
 */
extern bool jobq_uncounted_share(const JobqTermination *termination);

/* Whether an attempt of a job of this database is noted, in a file or in memory. */
extern bool jobq_uncounted_is_noted(int64 job_id, int32 attempt);

/*
 * Has the notes of a finished job, whose last attempt was `attempt`, forgotten
 * when the transaction commits: the job is about to be revived, and its new
 * attempts have the same numbers.  For the transaction itself, jobq_..._is_forgotten()
 * is true at once.  Its PREPARE fails (0A000) if there is such a note.
 */
extern void jobq_uncounted_forget(int64 job_id, int32 attempt);
extern bool jobq_uncounted_is_forgotten(int64 job_id);

extern void jobq_uncounted_init(void);

#endif							/* JOBQ_UNCOUNTED_H */
