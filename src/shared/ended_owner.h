/*-------------------------------------------------------------------------
 *
 * ended_owner.h
 *	  Owners of schedules of which a job has ended.
 *
 * A schedule may wait for the end of its previous job.  Transactions that end
 * such jobs tell the coordinator whose schedules to look at.
 *
 * IDENTIFICATION
 *	  src/shared/ended_owner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENDED_OWNER_H
#define JOBQ_ENDED_OWNER_H

#include "shared/shmem.h"

/* The owners that were told of, as the coordinator has read them. */
typedef struct JobqEndedOwners
{
	bool		all;
	uint32		owner[JOBQ_LATE_OWNERS];	/* as in JobqDatabase */
} JobqEndedOwners;

/* At the commit: a job of a schedule of this owner has ended. */
extern void jobq_at_commit_scheduled_job_end(Oid owner);

/* At once, for a mark (JOBQ_MARK_WAITING).  For callbacks. */
extern void jobq_ended_owner_act_on_mark(uint32 value);

/* Reads whose jobs have ended, and forgets them.  A full memory barrier. */
extern void jobq_ended_owners_take(JobqEndedOwners *ended);

/* Whether an owner is among them, or may be. */
extern bool jobq_ended_owners_have(const JobqEndedOwners *ended, Oid owner);

#endif							/* JOBQ_ENDED_OWNER_H */
