/*-------------------------------------------------------------------------
 *
 * group.h
 *	  The hash table of the groups that are in memory.
 *
 * The caller holds the lock of the queue's stream, exclusively, but where it says
 * otherwise.  Nothing allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/group.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GROUP_H
#define JOBQ_GROUP_H

#include "shared/shmem.h"

/* The group of that name, NULL: it is not in memory. */
extern JobqGroup *jobq_group_find(JobqQueueState *queue, const char *name);

/*
 * Makes a group that is not in memory; NULL if there is no room.  All but the key
 * is undefined.
 */
extern JobqGroup *jobq_group_make(JobqQueueState *queue, const char *name);

/* Forgets a group, which is in no list. */
extern void jobq_group_free(JobqGroup *group);

/*
 * An entry of the table that is no group, found or made for a role; NULL if there is no
 * room.  All but the key is undefined then.  The lock need not be a stream's.
 */
extern void *jobq_group_find_or_make_other(const JobqGroupKey *key, Oid role,
										   bool *found);
extern void jobq_group_free_other(const JobqGroupKey *key, Oid role);

/* A key: the name is padded with zeros. */
extern void jobq_group_make_key(JobqGroupKey *key, JobqQueueState *queue,
								const char *name);

/* The number of groups for which the queue has room.  Needs no lock. */
extern int	jobq_group_room(const JobqQueueState *queue);

/*
 * One more group of the queue is throttled, and has to stay in memory; false if as much
 * of the role's room as the queue may have is taken by such groups.  Or it is so no longer.
 */
extern bool jobq_group_note_throttled(JobqQueueState *queue);
extern void jobq_group_forget_throttled(JobqQueueState *queue);

/*
 * A queue of the same role whose groups may make room for one of this queue: some seem
 * to have nothing to do, or with `busy` more of them than this queue has in memory are
 * in turn.  NULL if there is none among the next ones.  Called without a lock; the
 * entry may be another queue's by the time it is returned.
 */
extern JobqQueueState *jobq_group_next_giver(const JobqQueueState *queue,
											 bool busy);

#endif							/* JOBQ_GROUP_H */
