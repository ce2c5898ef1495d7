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

static JobqXactFollower followers[JOBQ_XACT_NUM_STEPS];
static JobqSubXactFollower sub_followers[JOBQ_XACT_NUM_STEPS];

/* The followers that there are, in the order of their steps. */
static JobqXactFollower present[JOBQ_XACT_NUM_STEPS];
static int	npresent = 0;
static JobqSubXactFollower sub_present[JOBQ_XACT_NUM_STEPS];
static int	nsub_present = 0;

/*
 * The server's callback, at each event of a transaction.  At commit and abort
 * an error would be a PANIC, so the followers must neither fail nor allocate.
 */
static void
at_transaction_end(XactEvent event, void *arg)
{
	for (int i = 0; i < npresent; i++)
		present[i] (event);
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

/*
 * Sets the functions of a step; called by the _init() functions, once per
 * process.  The order of the calls does not matter: that of the steps does.
 */
void
jobq_xact_end_follow(JobqXactStep step, JobqXactFollower follow,
					 JobqSubXactFollower follow_sub)
{
	followers[step] = follow;
	sub_followers[step] = follow_sub;
	npresent = 0;
	nsub_present = 0;
	for (int i = 0; i < JOBQ_XACT_NUM_STEPS; i++)
	{
		if (followers[i] != NULL)
			present[npresent++] = followers[i];
		if (sub_followers[i] != NULL)
			sub_present[nsub_present++] = sub_followers[i];
	}
}

/* Registers the callbacks; called once, by _PG_init. */
void
jobq_xact_end_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
