/*-------------------------------------------------------------------------
 *
 * lease_pass.c
 *	  When the coordinator lists running jobs from the table.
 *
 * It does so after a start, for limits that do not know all running jobs, and when
 * a lease that is not listed may have run out.  After prepared transactions it
 * only looks at entries in doubt.  Each of that is a pass (lease_load.c), made in
 * parts, with other tasks in between.  Passes take a bounded share of the time,
 * except for the first one, and one that follows it to count what was missed.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/lease_pass.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/coordinator/lease_pass.h"

#include "dispatch/lease_load.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/lease_listing.h"

#include "utils/timestamp.h"

/* A part of a pass takes about this long, in microseconds. */
#define PART_TIME (10 * INT64CONST(1000))

/*
 * The maximum share of the time that passes take, the longest pause after one,
 * and the minimum interval between passes for leases that are not listed.
 */
#define SHARE 20
#define MAX_PAUSE USECS_PER_MINUTE
#define UNLISTED_INTERVAL (100 * INT64CONST(1000))

/*
 * What the last pass could not list was perhaps locked.  The longer that has been due,
 * the later the next one is, up to a limit.
 */
#define OVERDUE_SHARE 4
#define MAX_OVERDUE_INTERVAL USECS_PER_SEC

static bool count_wanted = false;
static bool verify_wanted = false;
static bool restarted = false;	/* since the pass began */

static bool running = false;	/* a pass, */
static bool lists = false;		/* of all running jobs */
static bool first = false;		/* nothing was known before it */
static bool has_failed = false;
static TimestampTz begun_at = DT_NOBEGIN;
static int64 cost = 0;			/* of the pass */
static TimestampTz allowed = DT_NOBEGIN;	/* the next one */

void
jobq_lease_pass_count(void)
{
	count_wanted = true;
}

void
jobq_lease_pass_verify(void)
{
	verify_wanted = true;
}

void
jobq_lease_pass_restart(void)
{
	jobq_database()->leases_loaded = false;
	restarted = true;
	verify_wanted = true;
}

bool
jobq_lease_pass_is_wanted(void)
{
	return !jobq_database()->leases_loaded;
}

/* How long after the last pass one may begin for leases that are due at a time. */
static int64
unlisted_interval(TimestampTz due)
{
	if (due >= begun_at)
		return UNLISTED_INTERVAL;
	/* due may be the least of all times */
	if (due <= begun_at - OVERDUE_SHARE * MAX_OVERDUE_INTERVAL)
		return MAX_OVERDUE_INTERVAL;
	return Max((begun_at - due) / OVERDUE_SHARE, UNLISTED_INTERVAL);
}

/* When a pass for leases that are not listed is to begin. */
static TimestampTz
unlisted_at(TimestampTz now)
{
	TimestampTz due = jobq_leases_unlisted_due();

	/* the clock may have been set back */
	return now < begun_at ? due : Max(due, begun_at + unlisted_interval(due));
}

/* Whether passes have had their share of the time for now. */
static bool
must_pause(TimestampTz now)
{
	/* the clock may have been set back */
	return now < allowed && allowed <= now + MAX_PAUSE;
}

/* Begins a pass if one is wanted, and may begin. */
static void
begin_wanted(TimestampTz now)
{
	first = jobq_lease_pass_is_wanted();
	if (!first && must_pause(now))
		return;
	lists = first || count_wanted || unlisted_at(now) <= now;
	if (lists)
	{
		jobq_leases_load_begin(has_failed, true);
		count_wanted = false;
		restarted = false;
		begun_at = now;
	}
	else if (verify_wanted)
		jobq_leases_verify_begin();
	else
		return;
	verify_wanted = false;
	running = true;
	cost = 0;
}

static void
end_pass(TimestampTz now)
{
	running = false;
	has_failed = false;
	if (lists && !restarted)
		jobq_database()->leases_loaded = true;
	allowed = first ? now : now + Min(cost * SHARE, MAX_PAUSE);
}

/* When the next pass is to begin, as far as is known. */
static TimestampTz
next_pass(TimestampTz now)
{
	TimestampTz next = count_wanted || verify_wanted ? now : unlisted_at(now);

	return must_pause(now) ? Max(next, allowed) : next;
}

TimestampTz
jobq_lease_pass_run(bool *more)
{
	TimestampTz now = jobq_now();
	int64		began = jobq_stopwatch();

	if (!running)
		begin_wanted(now);
	if (running)
	{
		bool		ended = jobq_leases_load_continue(began + PART_TIME);

		cost += jobq_stopwatch() - began;
		if (ended)
			end_pass(jobq_now());
	}
	*more = running || jobq_lease_pass_is_wanted();
	return next_pass(now);
}

/* The pass begins anew. */
void
jobq_lease_pass_undo(void)
{
	count_wanted = count_wanted || (running && lists);
	verify_wanted = verify_wanted || running;
	has_failed = true;
	running = false;
}
