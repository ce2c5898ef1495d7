/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  The turns of a queue's groups, for claims.
 *
 * roster_pick.c knows whose turn it is.  If it does not know all groups, they are read
 * from the index job_group here.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/turn.h"

#include "dispatch/claim_due.h"
#include "dispatch/claim_stream.h"
#include "dispatch/stream_look.h"
#include "queue/group_option.h"
#include "queue/lease_end.h"
#include "queue/limit_link.h"
#include "queue/queue_wake.h"
#include "queue/start_row.h"
#include "queue/ticket.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/group_rate.h"
#include "shared/limit_state.h"
#include "shared/roster.h"
#include "shared/roster_pick.h"
#include "shared/roster_read.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"

/*
 * A walk over groups of a queue in the order of their names, which begins after the
 * one where a job was found last, and ends with that.
 */
typedef struct Circle
{
	int32		queue;
	bool		wrapped;		/* it has come to the end, and begun anew */
	char		from[JOBQ_GROUP_NAME_SIZE]; /* where it has begun, '': at the
											 * first one */
	char		last[JOBQ_GROUP_NAME_SIZE]; /* where a job was found last */
} Circle;

/* Over groups without room, and over those to which this transaction has added jobs. */
static Circle by_index = {JOBQ_NO_QUEUE};
static Circle own = {JOBQ_NO_QUEUE};

/* See turn.h. */
bool
jobq_turn_is_needed(const JobqQueue *queue)
{
	/* without a coordinator, it does not know leases that are over */
	return queue->state == NULL || jobq_roster_is_active(queue->state) ||
		jobq_database()->coordinator_proc == JOBQ_NO_PROCESS ||
		jobq_ready_next_own_group(queue, NULL) != NULL;
}

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

/* Reads some more groups; whether others may follow. */
static bool
read_on(JobqClaimScan *scan)
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
	jobq_dispatch_refresh(&scan->dispatch);
	n = read_groups(&scan->dispatch, &reading, groups);
	result = jobq_roster_read_end(&reading, groups, n, n < reading.room,
								  scan->now, &nback, &wake);
	if (wake)
		jobq_queue_wake_look(queue->state);
	scan->turns_left += nback;
	return result == JOBQ_READ_SOME;
}

/*
 * Turns to a group, of which a ticket was drawn, or lent by a job that ends.  False, without
 * the ticket, if its rate allows no start, by what is kept of its last one.
 */
static bool
turn_to_group(JobqClaimScan *scan, const JobqGroupTicket *ticket, bool lent)
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

/* Gives back the ticket of the group; it has one more turn if jobs were added. */
static void
put_back(JobqClaimScan *scan, TimestampTz until)
{
	if (until == scan->blocked_until && jobq_ticket_has_group())
		until = jobq_claim_blocked_until(scan);
	if (!jobq_ticket_put_back_group(until))
		return;
	scan->turns_left++;
	scan->told = true;
}

/*
 * Whether the jobs of the stream at hand wait for a full batch, or there are none.  If
 * so, its group takes no turns until they have waited enough, or others are added.
 */
static bool
is_unripe(JobqClaimScan *scan)
{
	TimestampTz ripe_at;

	if (!jobq_queue_gathers(scan->queue))
		return false;
	/* those that the group was told of before the ticket was drawn are seen */
	jobq_dispatch_refresh(&scan->dispatch);
	if (jobq_claim_ripens(scan, &ripe_at))
		return false;
	/* candidates that are gone must not keep the group in turn */
	if (ripe_at == JOBQ_NEVER && jobq_claim_can_use_lanes(scan))
		(void) jobq_stream_look(scan);
	put_back(scan, ripe_at == JOBQ_NEVER ? scan->blocked_until : ripe_at);
	return true;
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

/* Whether jobs of the group may run without a ticket of it. */
static bool
is_unlimited(const JobqClaimScan *scan, const char *name)
{
	JobqGroupLimits limits;

	jobq_group_limits_read(scan->queue, name, &limits);
	return limits.max_running == JOBQ_UNLIMITED && !limits.has_rate;
}

/* Whether no group of the queue may do so. */
static bool
limits_all_groups(const JobqQueue *queue)
{
	return jobq_queue_limits_all_groups(queue) || queue->has_group_rate;
}

/* How to draw a ticket of a certain group. */
static JobqPicking
picking_of(const JobqClaimScan *scan, const JobqGroupLimits *limits)
{
	JobqPicking result = {
		.now = scan->now,.max_running = limits->max_running,
		.no_rates = scan->queue->on_limit != JOBQ_LIMIT_WAIT,
		.rate = limits->has_rate ? &limits->rate : NULL
	};

	jobq_limit_view_of(scan->queue, &result.limit);
	return result;
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

/* Before the first turn.  Others may bring a group back that has no job for us. */
static void
begin_turns(JobqClaimScan *scan)
{
	scan->stage = JOBQ_STAGE_TURNS;
	scan->in_stage = false;
	scan->no_room = false;
	scan->may_read = true;
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

/* Whether a look is to stop. */
static bool
is_time_over(const JobqClaimScan *scan)
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
		scan->may_read = read_on(scan);
		/* the jobs without a group may come first */
		if (scan->turns_left > 0)
			scan->turns_left++;
	}
	return scan->turns_left > 0;
}

/*
 * Turns to the stream whose turn it is; false if there is none, or each had its
 * turn, or the time is over.
 */
static bool
turn_to_next(JobqClaimScan *scan)
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
		if (!first && is_time_over(scan))
			return false;
		picking.may_read = scan->may_read;
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
				return turn_to_group(scan, &ticket, false);
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
				scan->may_read = read_on(scan);
				break;
		}
	}
	return false;
}

/* Begins the walk of a stage, or goes on from the group at hand, whose name it sets. */
static void
go_on_in_circle(Circle *circle, const JobqClaimScan *scan, char *name)
{
	if (scan->in_stage)
	{
		strlcpy(name, scan->dispatch.group, JOBQ_GROUP_NAME_SIZE);
		return;
	}
	if (circle->queue != scan->queue->id)
		circle->last[0] = '\0';
	circle->queue = scan->queue->id;
	circle->wrapped = false;
	memcpy(circle->from, circle->last, sizeof(circle->from));
	memcpy(name, circle->from, sizeof(circle->from));
}

/* Whether the walk ends with that group. */
static bool
is_closed(const Circle *circle, const char *name)
{
	return circle->wrapped && strcmp(name, circle->from) >= 0;
}

/* Sets the name to that of the next group, '' being before all; false at the end. */
static bool
next_in_circle(Circle *circle, JobqClaimScan *scan, char *name,
			   bool (*next) (JobqClaimScan *scan, char *name))
{
	if (is_closed(circle, name))
		return false;
	while (!next(scan, name))
	{
		if (circle->wrapped || circle->from[0] == '\0')
			return false;
		circle->wrapped = true;
		name[0] = '\0';
	}
	return true;
}

/* For next_in_circle(). */
static bool
next_own(JobqClaimScan *scan, char *name)
{
	const char *next = jobq_ready_next_own_group(scan->queue,
												 name[0] == '\0' ? NULL : name);

	if (next != NULL)
		strlcpy(name, next, JOBQ_GROUP_NAME_SIZE);
	return next != NULL;
}

/* A new snapshot, which sees no old versions of jobs that this call has claimed. */
static void
refresh(JobqClaimScan *scan)
{
	CommandCounterIncrement();
	jobq_dispatch_refresh(&scan->dispatch);
}

/*
 * Turns to the next group in which this transaction has added jobs itself.  One without
 * room in shared memory is searched by the index, if it has no limit.
 */
static bool
turn_to_own(JobqClaimScan *scan)
{
	JobqGroupTicket ticket = {NULL};
	char		name[JOBQ_GROUP_NAME_SIZE];

	go_on_in_circle(&own, scan, name);
	while (next_in_circle(&own, scan, name, next_own))
	{
		JobqGroupLimits limits;
		JobqPicking how;

		jobq_group_limits_read(scan->queue, name, &limits);
		if (limits.max_running == 0)
			continue;
		how = picking_of(scan, &limits);
		if (jobq_roster_enter(scan->queue->state, name, &how, &ticket))
		{
			if (turn_to_group(scan, &ticket, false))
				return true;
			continue;
		}
		if (limits.max_running == JOBQ_UNLIMITED && !limits.has_rate &&
			how.limit.max_running == JOBQ_UNLIMITED &&
			!jobq_roster_has(scan->queue->state, name))
		{
			refresh(scan);
			jobq_claim_turn_to(scan, NULL, name, false);
			return true;
		}
	}
	return false;
}

/*
 * Turns to the next group of which this transaction ends jobs, with their tickets:
 * others cannot get these before the commit.
 */
static bool
turn_to_lent(JobqClaimScan *scan)
{
	JobqGroupLimits limits;
	JobqPicking how;
	JobqGroupTicket ticket = {NULL};
	JobqGroup  *group;

	if (!jobq_queue_limits_groups(scan->queue) ||
		scan->hold > JOBQ_CLAIM_KEPT)
		return false;
	while ((group = jobq_lease_end_lend_group(scan->queue,
											  &scan->lender)) != NULL)
	{
		jobq_group_limits_read(scan->queue, group->key.name, &limits);
		how = picking_of(scan, &limits);
		how.has_own = jobq_ready_has_own_jobs(scan->queue, group->key.name);
		if (how.max_running != 0 &&
			jobq_roster_borrow(group, &how, &ticket, &scan->next_run_at))
		{
			if (turn_to_group(scan, &ticket, true))
				return true;
		}
		else
			jobq_lease_end_unlend_group(group);
	}
	return false;
}

/*
 * Whether the group is in memory, where it has its turns, unless it may start no job
 * now: it may be throttled.
 */
static bool
has_room(const JobqClaimScan *scan, const char *name)
{
	return scan->hold != JOBQ_CLAIM_DROPPED && scan->queue->state != NULL &&
		jobq_roster_has(scan->queue->state, name);
}

/* For next_in_circle(). */
static bool
next_by_index(JobqClaimScan *scan, char *name)
{
	return jobq_dispatch_next_group(&scan->dispatch, name);
}

/*
 * Turns to one group after the other, in the index: there is no room for groups in
 * shared memory.  A limit could not be kept.
 */
static bool
turn_by_index(JobqClaimScan *scan)
{
	char		name[JOBQ_GROUP_NAME_SIZE];

	if (limits_all_groups(scan->queue))
		return false;
	if (!scan->in_stage)
		refresh(scan);
	go_on_in_circle(&by_index, scan, name);
	while (next_in_circle(&by_index, scan, name, next_by_index))
	{
		if (has_room(scan, name) || !is_unlimited(scan, name))
			continue;
		jobq_claim_turn_to(scan, NULL, name, false);
		return true;
	}
	return false;
}

/* Turns to the jobs without a group, once in a stage. */
static bool
turn_to_plain(JobqClaimScan *scan)
{
	if (scan->in_stage)
		return false;
	jobq_claim_turn_to(scan, &scan->queue->state->stream, NULL, false);
	return true;
}

/* Whether there may be groups that have no room in shared memory. */
static bool
needs_index(const JobqClaimScan *scan)
{
	return scan->no_room || scan->queue->state == NULL;
}

/* Turns to the next stream of the stage. */
static bool
turn_in_stage(JobqClaimScan *scan)
{
	switch (scan->stage)
	{
		case JOBQ_STAGE_PLAIN:	/* jobq_claim_begin() has turned to it */
			return !scan->in_stage;
		case JOBQ_STAGE_TURNS:
			return turn_to_next(scan);
		case JOBQ_STAGE_OWN_PLAIN:
			return jobq_ready_has_own_jobs(scan->queue, NULL) &&
				turn_to_plain(scan);
		case JOBQ_STAGE_OWN:
			return turn_to_own(scan);
		case JOBQ_STAGE_LENT:
			return turn_to_lent(scan);
		case JOBQ_STAGE_INDEX:
			return needs_index(scan) && turn_by_index(scan);
		case JOBQ_STAGE_OVERDUE:
			return jobq_database()->coordinator_proc == JOBQ_NO_PROCESS &&
				turn_to_plain(scan);
		case JOBQ_STAGE_END:
			break;
	}
	return false;
}

/* The stage has no further stream. */
static void
go_to_next_stage(JobqClaimScan *scan)
{
	JobqClaimStage ended = scan->stage++;

	scan->in_stage = false;
	if (scan->queue->state == NULL)
		scan->stage = ended == JOBQ_STAGE_PLAIN ? JOBQ_STAGE_INDEX :
			JOBQ_STAGE_END;
	else if (ended == JOBQ_STAGE_TURNS)
		scan->told = false;		/* it had one more turn */
}

/*
 * When the group at hand, in which no job was found, has its next turn.  Its lanes do
 * not know what this transaction has claimed of its own jobs there: without a pause each
 * claim would look for them again.  The commit ends it.
 */
static TimestampTz
next_turn(const JobqClaimScan *scan)
{
	if (scan->blocked_until != DT_NOBEGIN || scan->dispatch.group == NULL ||
		!jobq_ready_has_own_jobs(scan->queue, scan->dispatch.group))
		return scan->blocked_until;
	return scan->now + USECS_PER_SEC;
}

/* Turns to the next stream where there may be a job. */
static bool
turn_on(JobqClaimScan *scan)
{
	put_back(scan, next_turn(scan));
	while (scan->stage != JOBQ_STAGE_END)
	{
		if (turn_in_stage(scan))
		{
			scan->in_stage = true;
			return true;
		}
		go_to_next_stage(scan);
	}
	return false;
}

/* Begins to look for a job, in the first stage. */
static void
begin_claim(JobqClaimScan *scan)
{
	if (scan->queue->state != NULL)
	{
		begin_turns(scan);
		return;
	}
	if (scan->stage == JOBQ_STAGE_PLAIN)
		return;
	scan->stage = JOBQ_STAGE_INDEX;
	scan->in_stage = false;
}

/* A job has been found in a group without room, and runs without a ticket of it. */
static void
miss_ticket(const JobqClaimScan *scan)
{
	const JobqQueue *queue = scan->queue;

	if (queue->state == NULL || scan->hold == JOBQ_CLAIM_DROPPED)
		return;
	jobq_gate_miss(&queue->state->gate);
	/* which may be given a limit for groups later */
	if (queue->limit != NULL && jobq_limit_state_counts_groups(queue->limit))
		jobq_gate_miss(&queue->limit->gate);
}

/* A job has been found where the scan is. */
static void
note_found(JobqClaimScan *scan)
{
	const char *group = scan->dispatch.group;

	switch (scan->stage)
	{
		case JOBQ_STAGE_PLAIN:
			/* a new scan would meet the jobs that this call has claimed */
			scan->goes_on = true;
			break;
		case JOBQ_STAGE_OWN:
			strlcpy(own.last, group, sizeof(own.last));
			if (scan->dispatch.stream == NULL)
				miss_ticket(scan);
			break;
		case JOBQ_STAGE_INDEX:
			strlcpy(by_index.last, group, sizeof(by_index.last));
			/* no other group has jobs */
			scan->goes_on = is_closed(&by_index, group);
			miss_ticket(scan);
			break;
		default:
			break;
	}
}

/* See turn.h. */
bool
jobq_turn_claim(JobqClaimScan *scan, JobqJob *job)
{
	bool		found = false;

	if (scan->goes_on)
		found = jobq_claim_of_stream(scan, job);
	else
		begin_claim(scan);
	while (!found && turn_on(scan))
		found = !is_unripe(scan) && jobq_claim_of_stream(scan, job);

	scan->goes_on = false;
	if (found)
		note_found(scan);
	/* jobs that no look has seen, in groups that are not `later` */
	else if (scan->queue->state != NULL && !scan->shared &&
			 scan->next_run_at > scan->now && scan->next_run_at != JOBQ_NEVER)
		jobq_wake_for_queue_at(scan->queue->state, scan->next_run_at);
	return found;
}

/* See turn.h. */
bool
jobq_turn_sees_more(JobqClaimScan *scan)
{
	return scan->queue->state != NULL &&
		jobq_roster_sees_more(scan->queue->state, scan->now);
}

/* See turn.h. */
TimestampTz
jobq_turn_next_due(const JobqClaimScan *scan, bool all_visited)
{
	return scan->queue->state == NULL ? JOBQ_NEVER :
		jobq_roster_next_due(scan->queue->state, all_visited, scan->now);
}

/* Visits groups that have no room in memory, in the order of the index. */
static JobqVisited
visit_by_index(JobqClaimScan *scan, JobqVisit *visit,
			   bool (*look) (JobqClaimScan *scan))
{
	if (limits_all_groups(scan->queue))
		return JOBQ_VISITED_ALL;
	while (jobq_dispatch_next_group(&scan->dispatch, visit->after))
	{
		jobq_claim_turn_to(scan, NULL, visit->after, false);
		if (!has_room(scan, visit->after) &&
			is_unlimited(scan, visit->after) &&
			!is_unripe(scan) && look(scan))
			return JOBQ_VISIT_FOUND;
		if (is_time_over(scan))
			return JOBQ_VISITED_SOME;
	}
	return JOBQ_VISITED_ALL;
}

/* Visits groups in memory, and brings others in. */
static JobqVisited
visit_in_turn(JobqClaimScan *scan, JobqVisit *visit,
			  bool (*look) (JobqClaimScan *scan))
{
	bool		found = false;

	begin_turns(scan);
	if (visit->begun)
	{
		scan->turns_left = visit->turns_left;
		scan->may_read = visit->may_read;
	}
	while (turn_to_next(scan))
	{
		found = !is_unripe(scan) && look(scan);
		if (found || is_time_over(scan))
			break;
		put_back(scan, scan->blocked_until);
	}
	/* if it gives more turns, there are turns left */
	put_back(scan, scan->blocked_until);
	scan->told = false;
	visit->begun = true;
	visit->turns_left = scan->turns_left;
	visit->may_read = scan->may_read;
	if (found)
		return JOBQ_VISIT_FOUND;
	return visit->turns_left > 0 ? JOBQ_VISITED_SOME : JOBQ_VISITED_ALL;
}

/* See turn.h. */
JobqVisited
jobq_turn_visit(JobqClaimScan *scan, JobqVisit *visit, int64 until,
				bool (*look) (JobqClaimScan *scan))
{
	scan->until = until;
	if (scan->queue->state != NULL && !visit->by_index)
	{
		JobqVisited result = visit_in_turn(scan, visit, look);

		if (result != JOBQ_VISITED_ALL || !scan->no_room)
			return result;
	}
	visit->by_index = true;
	return visit_by_index(scan, visit, look);
}
