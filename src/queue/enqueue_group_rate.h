/*-------------------------------------------------------------------------
 *
 * enqueue_group_rate.h
 *	  New jobs of groups, where a rate of these limits them.
 *
 * IDENTIFICATION
 *	  src/queue/enqueue_group_rate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENQUEUE_GROUP_RATE_H
#define JOBQ_ENQUEUE_GROUP_RATE_H

#include "queue/group_option.h"

#include "utils/hsearch.h"

/* New jobs of one call, of which something is to be kept in the table. */
typedef struct JobqGroupAdmissions
{
	HTAB	   *groups;			/* NULL: none yet */
	bool		counted;		/* the last job was */
} JobqGroupAdmissions;

/*
 * Counts a new job of the group, until the current (sub)transaction rolls back, and
 * returns whether its rate lets it through: if the group has none, and with `force`, it
 * always does.  Sets *rate if not.  Raises 53200 if shared memory has no room for the
 * queue or the group.
 */
extern bool jobq_enqueue_group_rate_admit(const JobqQueue *queue,
										  const char *group, bool force,
										  JobqGroupAdmissions *admissions,
										  JobqNewJobRate *rate);

/* The last job is not added, since something else has refused it. */
extern void jobq_enqueue_group_rate_undo_last(JobqGroupAdmissions *admissions);

/* At the end of the call: keeps what has been counted for the time after a restart. */
extern void jobq_enqueue_group_rate_keep(const JobqQueue *queue,
										 JobqGroupAdmissions *admissions);

#endif							/* JOBQ_ENQUEUE_GROUP_RATE_H */
