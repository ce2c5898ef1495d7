/*-------------------------------------------------------------------------
 *
 * group_stop.h
 *	  Groups that are paused since a job of them died.
 *
 * IDENTIFICATION
 *	  src/queue/group_stop.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GROUP_STOP_H
#define JOBQ_GROUP_STOP_H

/*
 * Pauses the group of a job that dies, from the commit on.  Waits for nobody.  The
 * caller also calls jobq_at_commit_group_changed().
 */
extern void jobq_group_stop(int32 queue, const char *name, int64 job_id);

/* Whether a job that died pauses the group, by a snapshot taken now. */
extern bool jobq_group_is_stopped(int32 queue, const char *name);

/* Ends that; the same, by a caller that has locked the queue's row. */
extern void jobq_group_stop_end(int32 queue, const char *name);

#endif							/* JOBQ_GROUP_STOP_H */
