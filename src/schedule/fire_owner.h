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

#include "schedule/fire_place.h"
#include "shared/ended_owner.h"

#include "lib/ilist.h"

/*
 * An owner of schedules that were due at the last look, or wait for their
 * previous job.
 */
typedef struct JobqFireOwner
{
	Oid			owner;			/* key of the hash table */
	dlist_node	node;			/* in the order of turns */
	JobqFirePlace from[JOBQ_FIRE_PARTS];	/* each part has been looked at up
											 * to this place; next_run is
											 * JOBQ_NEVER: all of it */
	TimestampTz left;			/* earliest next_run of those due that were
								 * looked at and cannot be fired yet;
								 * JOBQ_NEVER: none */
	TimestampTz retry_at;		/* when to look again at those */
	int64		nwaiting;		/* waiting ones known since a look at those
								 * began */
	TimestampTz wait_at;		/* when to look at them again, */
	TimestampTz wait_until;		/* but not before */
	TimestampTz behind_since;	/* it has had more due than was fired since;
								 * JOBQ_NEVER: it has not */
	int			nturns;			/* in this batch */
	bool		served;			/* in this batch */
} JobqFireOwner;

/* A due schedule that has its turn in a batch. */
typedef struct JobqFireTurn
{
	JobqFireOwner *owner;
	JobqFirePart part;
	int			number;			/* among those of its owner */
	int			place_in_batch;
	JobqFirePlace place;		/* in the index on owners */
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
 * Makes those schedules due again that are to be looked at again; those that wait
 * for a job only if a job of their owner's schedules has ended.
 */
extern void jobq_fire_owners_begin(TimestampTz now,
								   const JobqEndedOwners *ended);

/* An owner has a schedule that is due from a time on. */
extern void jobq_fire_owner_add(Oid owner, TimestampTz next_run);

/* An owner has a schedule that waits; if that is news, looks at them now. */
extern void jobq_fire_owner_waits(Oid owner);

/* Whether there are schedules of a part to be looked at. */
extern bool jobq_fire_owner_has_more(const JobqFireOwner *owner,
									 JobqFirePart part);

/*
 * Fills an array with up to `max` owners that have schedules to be looked at, in
 * the order of their turns; returns their number.
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
