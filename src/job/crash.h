/*-------------------------------------------------------------------------
 *
 * crash.h
 *	  Attempts that ended with their executor, or with the server.
 *
 * IDENTIFICATION
 *	  src/job/crash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRASH_H
#define JOBQ_CRASH_H

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

/* For the coordinator, in a transaction. */
extern bool jobq_attempt_count(const JobqTermination *termination);

/* For both. */
extern void jobq_attempt_note_path(char *path, Oid dboid, int64 job_id,
								   int32 attempt);

/* For retry(). */
extern void jobq_attempt_forget(int64 job_id, int32 attempt);

#endif							/* JOBQ_CRASH_H */
