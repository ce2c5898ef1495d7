/*-------------------------------------------------------------------------
 *
 * late.h
 *	  What the coordinator has put off, and who is in its way.
 *
 * The coordinator waits for no lock that a user's transaction can hold: it
 * skips what is locked, and comes back.  This module keeps for jobq.health how
 * long that has been so, and whose transaction it is.
 *
 * IDENTIFICATION
 *	  src/shared/late.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LATE_H
#define JOBQ_LATE_H

#include "shared/shmem.h"

#include "datatype/timestamp.h"

/* The hash of an owner, below JOBQ_LATE_OWNERS; InvalidOid: nobody. */
extern int	jobq_late_owner(Oid owner);

/*
 * When to look again at a thing of an owner that was due at that time and is locked:
 * within a second, or later if the owner has thousands of them.
 */
extern TimestampTz jobq_late_retry(Oid owner, TimestampTz due,
								   TimestampTz now);

/*
 * Something that was due at a time is put off until another.  `pid` is in the
 * way, 0: it is not known who.
 */
extern void jobq_late_note(TimestampTz due, TimestampTz until, int pid);

/* The same of a job of a queue. */
extern void jobq_late_note_job(TimestampTz due, TimestampTz until, int pid,
							   int64 job_id, int32 queue);

/* For the coordinator: a task begins; it has ended. */
extern void jobq_late_begin(void);
extern void jobq_late_publish(JobqTask task);

/* What a task does, in a word or two. */
extern const char *jobq_late_task_name(JobqTask task);

#endif							/* JOBQ_LATE_H */
