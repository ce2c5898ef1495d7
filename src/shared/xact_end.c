/*-------------------------------------------------------------------------
 *
 * xact_end.c
 *	  The end of a transaction: which functions are called, and in which order.
 *
 * The server calls the callbacks of extensions in the reverse order of their
 * registration. jobq registers one, which goes through a table of steps.
 *
 * IDENTIFICATION
 *	  src/shared/xact_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/xact_end.h"

/* What is called at the end of transactions in a step. */
typedef struct Step
{
	uint32		events;
	JobqXactFollower follow;
	JobqSubXactFollower follow_sub;
} Step;

/* The followers of an event, in the order of their steps. */
typedef struct Followers
{
	int			n;
	JobqXactFollower follow[JOBQ_XACT_NUM_STEPS];
} Followers;

#define NUM_EVENTS (XACT_EVENT_PRE_PREPARE + 1)

static Step steps[JOBQ_XACT_NUM_STEPS];

static Followers present[NUM_EVENTS];
static JobqSubXactFollower sub_present[JOBQ_XACT_NUM_STEPS];
static int	nsub_present = 0;

/*
 * The server's callback, at each event of a transaction.  At commit and abort
 * an error would be a PANIC, so the followers must neither fail nor allocate.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	const Followers *followers = &present[event];

	for (int i = 0; i < followers->n; i++)
		followers->follow[i] (event);
}

/*
 * The same at the end of a subtransaction, whose level is still current.  Each
 * job of an executor has some, so its other events are left out early.
 */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	int			level;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	level = GetCurrentTransactionNestLevel();
	for (int i = 0; i < nsub_present; i++)
		sub_present[i] (event, level);
}

static void
list_followers(int event)
{
	Followers  *followers = &present[event];

	followers->n = 0;
	for (int i = 0; i < JOBQ_XACT_NUM_STEPS; i++)
	{
		if (steps[i].events & JOBQ_XACT_AT(event))
			followers->follow[followers->n++] = steps[i].follow;
	}
}

/*
 * Sets the functions of a step; called by the _init() functions, once per
 * process.  The order of the calls does not matter: that of the steps does.
 */
void
jobq_xact_end_follow(JobqXactStep step, uint32 events, JobqXactFollower follow,
					 JobqSubXactFollower follow_sub)
{
	steps[step] = (Step)
	{
		follow == NULL ? 0 : events, follow, follow_sub
	};
	for (int event = 0; event < NUM_EVENTS; event++)
		list_followers(event);
	nsub_present = 0;
	for (int i = 0; i < JOBQ_XACT_NUM_STEPS; i++)
	{
		if (steps[i].follow_sub != NULL)
			sub_present[nsub_present++] = steps[i].follow_sub;
	}
}

/* Registers the callbacks; called once, by _PG_init. */
void
jobq_xact_end_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
