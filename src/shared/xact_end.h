/*-------------------------------------------------------------------------
 *
 * xact_end.h
 *	  The end of a transaction: which functions are called, and in which order.
 *
 * The order of the steps matters, and is defined only here.
 *
 * IDENTIFICATION
 *	  src/shared/xact_end.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_XACT_END_H
#define JOBQ_XACT_END_H

#include "access/xact.h"

typedef enum JobqXactStep
{
	JOBQ_XACT_ASYNC_COMMIT,		/* WAL that must be on disk is flushed, before
								 * anybody learns of it */
	JOBQ_XACT_CATALOG_CHANGES,	/* others' caches of the catalogs become
								 * outdated: before anybody sees a job */
	JOBQ_XACT_STOP,				/* a stop() ends, or becomes durable */
	JOBQ_XACT_QUEUE_CHANGES,	/* others' caches of queues become outdated:
								 * before anybody is woken */
	JOBQ_XACT_QUEUE_DROPS,		/* queues are gone, or stay after all */
	JOBQ_XACT_READINGS,			/* a claim that was not finished gives up what
								 * it was reading: its ticket keeps that in
								 * memory */
	JOBQ_XACT_COUNTS,			/* how many jobs queues have */
	JOBQ_XACT_SETTLED,			/* which locked jobs are claimable again */
	JOBQ_XACT_FORGOTTEN,		/* before the commit: attempts of a job's
								 * former life are forgotten */
	JOBQ_XACT_NOTES,			/* everything that was noted (note.h) */
	JOBQ_XACT_TICKETS,			/* a claim that was not finished gives back
								 * its ticket: its job is in the lane again,
								 * so that none of the group overtakes it */
	JOBQ_XACT_READY,			/* which jobs are new or locked is forgotten */
	JOBQ_XACT_WAKES,			/* workers are woken for the jobs noted */
	JOBQ_XACT_OLDEST,			/* jobs that were dropped may come back */
	JOBQ_XACT_EXPIRE,			/* a coordinator's task has done its work, or
								 * has failed: these three */
	JOBQ_XACT_RETENTION,
	JOBQ_XACT_SCHEDULES,
	JOBQ_XACT_PREPARED,			/* marks are kept, or acted upon (mark.h) */
	JOBQ_XACT_NUM_STEPS
} JobqXactStep;

/*
 * The events of a transaction at which a step does something: those that end it here
 * (PREPARE does, too), and those before them.
 */
#define JOBQ_XACT_AT(event) (1U << (event))
#define JOBQ_XACT_AT_END \
	(JOBQ_XACT_AT(XACT_EVENT_COMMIT) | JOBQ_XACT_AT(XACT_EVENT_ABORT) | \
	 JOBQ_XACT_AT(XACT_EVENT_PREPARE))
#define JOBQ_XACT_BEFORE_COMMIT JOBQ_XACT_AT(XACT_EVENT_PRE_COMMIT)
#define JOBQ_XACT_BEFORE_PREPARE JOBQ_XACT_AT(XACT_EVENT_PRE_PREPARE)

/*
 * Called at these events; a commit has become visible by then, and no lock has been
 * given back.  At commit and abort it must not fail, nor allocate.
 */
typedef void (*JobqXactFollower) (XactEvent event);

/*
 * The same for subtransactions, but called when one has been committed or
 * aborted only; the level is the one that ends, from 2.
 */
typedef void (*JobqSubXactFollower) (SubXactEvent event, int level);

/*
 * Has functions called from now on, the first one at these events, in place of those
 * that the step had; each may be NULL.
 */
extern void jobq_xact_end_follow(JobqXactStep step, uint32 events,
								 JobqXactFollower follow,
								 JobqSubXactFollower follow_sub);
extern void jobq_xact_end_init(void);

#endif							/* JOBQ_XACT_END_H */
