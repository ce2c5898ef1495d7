/*-------------------------------------------------------------------------
 *
 * fire_owner.h
 *	  The owners that have schedules to be fired, who take turns.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_owner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_OWNER_H
#define JOBQ_FIRE_OWNER_H

#include "base/index_place.h"

#include "lib/ilist.h"

/* An owner of schedules that were due at the last look. */
typedef struct JobqFireOwner
{
	Oid			owner;			/* key of the hash table */
	dlist_node	node;			/* in the order of turns */
	JobqIndexPlace from;		/* its due schedules have been looked at up to
								 * this place; JOBQ_NEVER: all of them */
	TimestampTz left;			/* earliest next_run of those that were looked
								 * at and cannot be fired yet; JOBQ_NEVER:
								 * none */
	TimestampTz retry_at;		/* when to look again at those */
	int			nwaiting;		/* of which wait for their previous job */
	TimestampTz wait_until;		/* do not look at those before */
	TimestampTz behind_since;	/* it has had more due than was fired since;
								 * JOBQ_NEVER: it has not */
	int			nturns;			/* in this batch */
	bool		served;			/* in this batch */
} JobqFireOwner;

/* A due schedule that has its turn in a batch. */
typedef struct JobqFireTurn
{
	JobqFireOwner *owner;
	int			number;			/* among those of its owner */
	int			place_in_batch;
	JobqIndexPlace place;		/* in the index on owners */
	ItemPointerData tid;
	TimestampTz next_run;

	/* what came of it */
	TimestampTz left;			/* it is still due, from then on; JOBQ_NEVER:
								 * it is not */
	TimestampTz retry_at;		/* when to look again; DT_NOBEGIN: at once */
	bool		reached;
	bool		waits;			/* for its previous job */
} JobqFireTurn;

/* All of this is forgotten: what is due will be found by a full scan. */
extern void jobq_fire_owners_forget(void);

/*
 * Makes those schedules due again that are to be looked at again; those that
 * wait for a job if one has ended.
 */
extern void jobq_fire_owners_begin(TimestampTz now, bool job_ended);

/* An owner has a schedule that is due from a time on. */
extern void jobq_fire_owner_add(Oid owner, TimestampTz next_run);

/*
 * Fills an array with the owners that have schedules which are due and not
 * looked at, up to `max`, in the order of their turns; returns their number.
 */
extern int	jobq_fire_owners_due(JobqFireOwner **owners, int max);

/* Records what came of the turns of a batch.  Owners that had one go last. */
extern void jobq_fire_owners_settle(const JobqFireTurn *turns, int nturns,
									TimestampTz now);

/* When to come again; DT_NOBEGIN: at once. */
extern TimestampTz jobq_fire_owners_next(void);

/* Whether any schedule waits for its previous job. */
extern bool jobq_fire_owners_wait(void);

#endif							/* JOBQ_FIRE_OWNER_H */
