/*-------------------------------------------------------------------------
 *
 * turn_draw.c
 *	  A claim's turns at the groups in shared memory.
 *
 * roster_pick.c knows whose turn it is.  If it does not know all groups, they are read
 * from the index job_group here.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn_draw.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/turn_draw.h"

#include "dispatch/claim_due.h"
#include "dispatch/claim_stream.h"
#include "queue/group_option.h"
#include "queue/limit_link.h"
#include "queue/queue_wake.h"
#include "queue/start_row.h"
#include "queue/ticket.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/roster_pick.h"
#include "shared/roster_read.h"

#include "miscadmin.h"

/* Reads the groups that follow; returns how many there are. */
static int
read_groups(JobqDispatchScan *scan, const JobqRosterReading *reading,
			JobqGroupRead *groups)
{
	int			n = 0;

	jobq_dispatch_seek_groups(scan, reading->after);
	while (n < reading->room &&
		   jobq_dispatch_walk_groups(scan, groups[n].name, &groups[n].priority))
		n++;
	return n;
}

/*
 * A lap has begun.  If the claim has looked at all that is in memory, and it begins with
 * the first group, it comes to all others.
 */
static void
note_lap(JobqClaimScan *scan, const JobqRosterReading *reading, bool early)
{
	if (reading->after[0] == '\0' && !early)
		scan->laps_left = 1;
}

/*
 * Whether the claim reads on.  At the end of a lap that has not come to all, it does: groups
 * that had no turn in this claim may have been put out before.
 */
static bool
may_read_on(JobqClaimScan *scan, JobqReadResult result)
{
	if (result == JOBQ_READ_TO_END)
		return --scan->laps_left > 0;
	return result == JOBQ_READ_SOME;
}

/*
 * Reads some more groups; whether others may follow.  early: there are groups in memory at
 * which the claim has not looked.
 */
static bool
read_on(JobqClaimScan *scan, bool early)
{
	const JobqQueue *queue = scan->queue;
	static JobqGroupRead groups[JOBQ_ROSTER_READ];
	JobqRosterReading reading;
	JobqReadResult result;
	bool		wake;
	int			nback;
	int			n;

	if (!jobq_roster_read_begin(&reading, queue->state))
	{
		/* others may just have brought in the last ones */
		scan->turns_left += jobq_roster_turns(queue->state);
		return false;
	}
	note_lap(scan, &reading, early);
	jobq_dispatch_refresh(&scan->dispatch);
	n = read_groups(&scan->dispatch, &reading, groups);
	result = jobq_roster_read_end(&reading, groups, n, n < reading.room,
								  scan->now, &nback, &wake);
	if (wake)
		jobq_queue_wake_look(queue->state);
	scan->turns_left += nback;
	return may_read_on(scan, result);
}

/* See turn_draw.h. */
bool
jobq_turn_to_group(JobqClaimScan *scan, const JobqGroupTicket *ticket, bool lent)
{
	const char *name = ticket->group->key.name;

	jobq_ticket_hold_group(ticket, lent);
	if (ticket->is_unread &&
		!jobq_group_rate_reserve_kept(jobq_ticket_of_group(),
									  jobq_start_row_read(scan->queue->id, name)))
	{
		(void) jobq_ticket_put_back_group(DT_NOBEGIN);
		return false;
	}
	jobq_claim_turn_to(scan, &ticket->group->stream, name,
					   ticket->max_running == 1);
	return true;
}

/* See turn_draw.h. */
void
jobq_turn_put_back(JobqClaimScan *scan, TimestampTz until)
{
	if (until == scan->blocked_until && jobq_ticket_has_group())
		until = jobq_claim_blocked_until(scan);
	if (!jobq_ticket_put_back_group(until))
		return;
	scan->turns_left++;
	scan->told = true;
}

/* Reads the options of a group whose turn it is. */
static void
answer(JobqClaimScan *scan, const JobqGroupQuestion *question)
{
	const JobqQueue *queue = scan->queue;
	JobqGroupOptions options = {.weight = JOBQ_DEFAULT_WEIGHT};

	/* what is not committed must not become known */
	if (jobq_group_options_are_own(queue->id, question->name))
	{
		scan->turns_left--;
		jobq_roster_pass_over(queue->state, question);
		return;
	}
	if (queue->has_group_options)
		jobq_group_options_read(queue->id, question->name, &options);
	jobq_roster_answer(queue->state, question, &options,
					   jobq_group_kept_start(queue, question->name,
											 &options));
}

/*
 * See JobqPicking: also the rate, since groups are put off for it as well, all of which
 * are to be judged again when the clock was set back.
 */
static uint64
patience_of(const JobqQueue *queue)
{
	const JobqGcra *rate = &queue->group_rate;
	uint64		result = jobq_queue_gathers(queue) ?
	(uint64) queue->batch_wait * 1000003 + queue->batch_size : 0;

	result += (uint64) pg_atomic_read_u32(&jobq_database()->clock_steps) * 998244353;
	if (queue->has_group_rate)
		result += ((uint64) rate->interval.usec + rate->interval.frac +
				   (uint64) rate->tolerance.usec * 31) * 1000000007;
	return result * 8 + (queue->max_running_per_group == 1 ? 1 : 0) +
		(queue->group_on_failure == JOBQ_FAILED_SKIP ? 2 : 0) +
		(queue->on_limit == JOBQ_LIMIT_WAIT ? 4 : 0);
}

/* See turn_draw.h. */
void
jobq_turns_begin(JobqClaimScan *scan)
{
	scan->stage = JOBQ_STAGE_TURNS;
	scan->in_stage = false;
	scan->no_room = false;
	scan->has_drawn = false;
	scan->may_read = true;
	scan->laps_left = 2;
	scan->turns_left = jobq_roster_turns(scan->queue->state) + 1;
	scan->lender = -1;
}

/*
 * Has the queue's groups counted by the limit that it shares.  If that cannot be, their
 * turns are over: somebody looks again later.
 */
static bool
link_to_limit(JobqClaimScan *scan, JobqLimitView *view)
{
	switch (jobq_limit_link_queue(scan->queue, view))
	{
		case JOBQ_LINKED:
			return true;
		case JOBQ_LINK_OUTDATED:
			if (!view->is_own)
				jobq_queue_wake_look(scan->queue->state);
			break;
		case JOBQ_LINK_NO_ROOM:
			scan->next_run_at = Min(scan->next_run_at,
									scan->now + JOBQ_ROSTER_LOOK_DELAY);
			break;
	}
	scan->turns_left = 0;
	scan->may_read = false;
	return false;
}

/* See turn_draw.h. */
bool
jobq_turn_is_time_over(const JobqClaimScan *scan)
{
	return scan->hold == JOBQ_CLAIM_LOOK && jobq_stopwatch() >= scan->until;
}

/*
 * Whether there are turns left.  If there are none, as another process is reading groups,
 * this one reads them, too: it does not wait.
 */
static bool
has_turns(JobqClaimScan *scan)
{
	while (scan->turns_left == 0 && scan->may_read &&
		   jobq_roster_may_read(scan->queue->state, scan->now))
	{
		CHECK_FOR_INTERRUPTS();
		scan->may_read = read_on(scan, false);
		/* the jobs without a group may come first */
		if (scan->turns_left > 0)
			scan->turns_left++;
	}
	return scan->turns_left > 0;
}

/* See turn_draw.h. */
bool
jobq_turn_to_next(JobqClaimScan *scan)
{
	JobqQueueState *state = scan->queue->state;
	JobqPicking picking = {
		.now = scan->now,.max_running = scan->queue->max_running_per_group,
		.patience = patience_of(scan->queue),
		.has_options = scan->queue->has_group_options,
		.is_look = scan->hold == JOBQ_CLAIM_LOOK,
		.no_rates = scan->queue->on_limit != JOBQ_LIMIT_WAIT,
		.rate = scan->queue->has_group_rate ? &scan->queue->group_rate : NULL
	};
	JobqGroupTicket ticket;
	JobqGroupQuestion question;

	jobq_limit_view_of(scan->queue, &picking.limit);
	for (bool first = true; has_turns(scan); first = false)
	{
		JobqTurn	turn;

		CHECK_FOR_INTERRUPTS();
		if (!first && jobq_turn_is_time_over(scan))
			return false;
		picking.may_read = scan->may_read;
		picking.is_first = !scan->has_drawn;
		scan->has_drawn = true;
		turn = jobq_roster_pick(state, &picking, &ticket, &question,
								&scan->next_run_at);
		scan->turns_left += ticket.nback;
		switch (turn)
		{
			case JOBQ_TURN_PLAIN:
				scan->turns_left--;
				jobq_claim_turn_to(scan, &state->stream, NULL, false);
				return true;
			case JOBQ_TURN_GROUP:
				scan->turns_left--;
				return jobq_turn_to_group(scan, &ticket, false);
			case JOBQ_TURN_NO_ROOM:
				scan->no_room = true;
				scan->turns_left = 0;
				return false;
			case JOBQ_TURN_NOTHING:
				scan->turns_left = 0;
				return false;
			case JOBQ_TURN_LINK:
				if (link_to_limit(scan, &picking.limit))
					break;
				jobq_claim_turn_to(scan, &state->stream, NULL, false);
				return true;
			case JOBQ_TURN_OPTIONS:
				answer(scan, &question);
				break;
			case JOBQ_TURN_READ_ON:
				scan->may_read = read_on(scan, picking.is_first &&
										 jobq_roster_turns(state) > 1);
				break;
		}
	}
	return false;
}
