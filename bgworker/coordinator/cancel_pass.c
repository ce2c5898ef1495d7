/*-------------------------------------------------------------------------
 *
 * cancel_pass.c
 *	  When the coordinator goes through the cancel requests.
 *
 * Requests that cannot be carried out now are looked at again.  There may be very
 * many, so a pass over the table is made in parts, with other tasks in between,
 * and passes take a bounded share of the time.  If a new request comes during a pass,
 * or before the next one may begin, a pass over new requests only is made first.  Jobs
 * that executors run do not wait for passes: when there is a new request, each of them
 * is looked up among the requests.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/cancel_pass.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/cancel_pass.h"

#include "job/cancel.h"
#include "shared/clock.h"
#include "shared/shmem.h"

/*
 * How often to look at requests that could not be carried out, and the maximum
 * share of the time that looking at all of them takes.  Requests of transactions
 * that commit later than COMMIT_TIME are found then.
 */
#define RETRY_FIRST (50 * INT64CONST(1000))
#define RETRY_MAX (5 * USECS_PER_SEC)
#define SHARE 20
#define COMMIT_TIME (10 * USECS_PER_SEC)

static JobqCancelPass over_all = {.next = InvalidBlockNumber};
static JobqCancelPass over_new = {.next = InvalidBlockNumber};

static bool requested = false;	/* since the latest pass began */
static bool interrupt_wanted = false;	/* the same of running jobs */
static bool has_failed = false; /* carry out each request by itself */
static TimestampTz all_at = DT_NOBEGIN; /* when to look at all again */
static TimestampTz looked_at = DT_NOBEGIN;	/* the last time, */
static int64 cost = 0;			/* what that has taken, */
static int64 delay = 0;			/* and the delay after it */
static TimestampTz begun_at = DT_NOBEGIN;	/* the latest pass of either kind */

static bool
is_running(const JobqCancelPass *pass)
{
	return pass->next != InvalidBlockNumber;
}

void
jobq_cancel_pass_request(void)
{
	requested = true;
	interrupt_wanted = true;
}

static void
begin_pass(JobqCancelPass *pass, TimestampTz since, TimestampTz now)
{
	pass->since = since;
	pass->careful = has_failed;
	pass->any_left = false;
	pass->next = 0;
	begun_at = now;
	requested = false;
}

/* Begins a pass if one is wanted, and may begin. */
static void
begin_wanted(TimestampTz now)
{
	bool		set_back = now < looked_at;

	if (!requested && now < all_at && !set_back)
		return;
	if (!is_running(&over_all) &&
		(set_back || now >= looked_at + cost * SHARE))
	{
		begin_pass(&over_all, DT_NOBEGIN, now);
		looked_at = now;
		cost = 0;
	}
	else if (requested && !is_running(&over_new))
		begin_pass(&over_new, Min(begun_at, now) - COMMIT_TIME, now);
}

/* Decides when to look at all requests again. */
static void
end_pass(const JobqCancelPass *pass)
{
	if (!pass->any_left)
	{
		has_failed = false;
		cost = delay = 0;
		all_at = JOBQ_NEVER;
		return;
	}
	if (pass == &over_all)
		delay = Min(Max(delay * 2, RETRY_FIRST), RETRY_MAX);
	else
		delay = RETRY_FIRST;
	all_at = looked_at + Max(delay, cost * SHARE);
}

TimestampTz
jobq_cancel_pass_run(bool *more)
{
	TimestampTz now = jobq_now();
	JobqCancelPass *pass;

	if (interrupt_wanted)
	{
		jobq_cancel_interrupt();
		interrupt_wanted = false;
	}
	begin_wanted(now);
	pass = is_running(&over_new) ? &over_new : &over_all;
	if (is_running(pass))
	{
		jobq_cancel_requests_process(pass);
		if (pass == &over_all)
			cost += Max(jobq_now() - now, 0);
		if (!is_running(pass))
			end_pass(pass);
	}
	*more = requested || is_running(&over_new) || is_running(&over_all);
	return all_at;
}

void
jobq_cancel_pass_undo(void)
{
	over_all.next = over_new.next = InvalidBlockNumber;
	has_failed = true;
	requested = true;
	cost = 0;
}
