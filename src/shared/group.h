/*-------------------------------------------------------------------------
 *
 * group.h
 *	  The hash table of the groups that are in memory.
 *
 * The caller holds the lock of the queue's stream, exclusively.  Nothing
 * allocates or throws.
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

/* The number of groups for which the queue's role has room. */
extern int	jobq_group_room(const JobqQueueState *queue);

#endif							/* JOBQ_GROUP_H */
