/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  The turns of a queue's groups, for claims.
 *
 * roster.c knows whose turn it is.  If it does not know all groups, they are read
 * from the index job_group here, with a descent for each.
 *
 * IDENTIFICATION
 *	  src/dispatch/turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/turn.h"

#include "dispatch/claim_stream.h"
#include "queue/group_option.h"
#include "queue/lease_note.h"
#include "queue/queue_wake.h"
#include "queue/ticket.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/roster.h"
#include "shared/wake.h"

#include "access/xact.h"
#include "miscadmin.h"

/* What a step of reading groups has led to. */
typedef enum ReadResult
{
	READ_SOME,
	READ_TO_END,
	READ_NONE
} ReadResult;

/* See turn.h. */
bool
jobq_turn_is_needed(const JobqQueue *queue)
{
	/* without a coordinator, it does not know leases that are over */
	return queue->state == NULL || jobq_roster_is_active(queue->state) ||
		jobq_database()->coordinator_proc == JOBQ_NO_PROCESS ||
		jobq_ready_next_own_group(queue, NULL) != NULL;
}

/* Reads the names of the groups after that one; returns how many there are. */
static int
read_names(JobqDispatchScan *scan, const JobqRosterReading *reading,
		   char names[][JOBQ_GROUP_NAME_SIZE])
{
	int			n;

	for (n = 0; n < reading->room; n++)
	{
		strlcpy(names[n], n == 0 ? reading->after : names[n - 1],
				JOBQ_GROUP_NAME_SIZE);
		if (!jobq_dispatch_next_group(scan, names[n]))
			break;
	}
	return n;
}

/* Reads some more groups. */
static ReadResult
read_on(JobqClaimScan *scan)
{
	const JobqQueue *queue = scan->queue;
	static char names[JOBQ_ROSTER_READ][JOBQ_GROUP_NAME_SIZE];
	const char *list[JOBQ_ROSTER_READ];
	JobqRosterReading reading;
	bool		wake;
	int			brought;
	int			n;

	if (!jobq_roster_read_begin(&reading, queue->state))
		return READ_NONE;
	jobq_dispatch_refresh(&scan->dispatch);
	n = read_names(&scan->dispatch, &reading, names);
	for (int i = 0; i < n; i++)
		list[i] = names[i];
	brought = jobq_roster_read_end(&reading, list, n, n < reading.room,
								   scan->now, &wake);
	if (wake)
		jobq_queue_wake_look(queue->state);
	if (brought == 0 && n > 0)
		return READ_NONE;
	scan->turns_left += brought;
	return n < reading.room && brought == n ? READ_TO_END : READ_SOME;
}

/* Turns to a group, of which a ticket was drawn, or lent by a job that ends. */
static void
turn_to_group(JobqClaimScan *scan, const JobqGroupTicket *ticket, bool lent)
{
	jobq_ticket_hold_group(ticket, lent);
	jobq_claim_turn_to(scan, &ticket->group->stream,
					   jobq_ready_keep_group(ticket->group->key.name),
					   ticket->max_running == 1);
}

/* Gives back the ticket of the group; it has one more turn if jobs were added. */
static void
put_back(JobqClaimScan *scan, TimestampTz until)
{
	if (jobq_ticket_put_back_group(until))
		scan->turns_left++;
}

/*
 * Whether the jobs of the stream at hand wait for a full batch.  If so, its group
 * takes no turns until they have waited enough, or others are added.
 */
static bool
is_unripe(JobqClaimScan *scan)
{
	TimestampTz ripe_at;

	if (!jobq_queue_gathers(scan->queue) ||
		scan->hold == JOBQ_CLAIM_DROPPED)
		return false;
	/* those that the group was told of before the ticket was drawn are seen */
	jobq_dispatch_refresh(&scan->dispatch);
	if (jobq_claim_ripens(scan, &ripe_at))
		return false;
	put_back(scan, ripe_at == JOBQ_NEVER ? DT_NOBEGIN : ripe_at);
	return true;
}

/* Reads the options of a group whose turn it is. */
static void
answer(JobqClaimScan *scan, const JobqGroupQuestion *question)
{
	const JobqQueue *queue = scan->queue;
	JobqGroupOptions options;

	/* what is not committed must not become known */
	if (jobq_group_options_are_own(queue->id, question->name))
	{
		scan->turns_left--;
		jobq_roster_pass_over(queue->state, question);
		return;
	}
	jobq_group_options_read(queue->id, question->name, &options);
	jobq_roster_answer(queue->state, question, &options);
}

/*
 * How many jobs of a group may run, whose options may not be known in memory; 0: it
 * is paused.  For jobs that will not run there is no limit.
 */
static int
limit_of_group(const JobqClaimScan *scan, const char *name)
{
	bool		paused;
	int			limit;

	if (scan->hold == JOBQ_CLAIM_DROPPED)
		return JOBQ_UNLIMITED;
	limit = jobq_group_max_running(scan->queue, name, &paused);
	return paused ? 0 : limit;
}

/* See JobqPicking. */
static uint64
gathering_of(const JobqQueue *queue)
{
	return jobq_queue_gathers(queue) ?
		(uint64) queue->batch_wait * 1000003 + queue->batch_size : 0;
}

/* Before the first turn.  Others may bring a group back that has no job for us. */
static void
begin_turns(JobqClaimScan *scan)
{
	scan->turns_left = jobq_roster_turns(scan->queue->state) + 1;
}

/* Whether a look is to stop. */
static bool
is_time_over(const JobqClaimScan *scan)
{
	return scan->hold == JOBQ_CLAIM_LOOK && jobq_stopwatch() >= scan->until;
}

/*
 * Turns to the stream whose turn it is; false if there is none, or each had its
 * turn, or the time is over.  *may_read: groups may be read; is cleared when that would lead no further.
 */
static bool
turn_to_next(JobqClaimScan *scan, bool *may_read)
{
	JobqQueueState *state = scan->queue->state;
	JobqPicking picking = {
		.now = scan->now,.max_running = scan->queue->max_running_per_group,
		.may_read = *may_read,.gathering = gathering_of(scan->queue),
		.has_options = scan->queue->has_group_options
	};
	JobqGroupTicket ticket;
	JobqGroupQuestion question;

	put_back(scan, scan->blocked_until);
	for (bool first = true; scan->turns_left > 0; first = false)
	{
		CHECK_FOR_INTERRUPTS();
		if (!first && is_time_over(scan))
			return false;
		switch (jobq_roster_pick(state, &picking, &ticket, &question,
								 &scan->next_run_at))
		{
			case JOBQ_TURN_PLAIN:
				scan->turns_left--;
				jobq_claim_turn_to(scan, &state->stream, NULL, false);
				if (is_unripe(scan))
					break;
				return true;
			case JOBQ_TURN_GROUP:
				scan->turns_left--;
				turn_to_group(scan, &ticket, false);
				if (is_unripe(scan))
					break;
				return true;
			case JOBQ_TURN_NO_ROOM:
				scan->no_room = true;
				scan->turns_left = 0;
				break;
			case JOBQ_TURN_NOTHING:
				scan->turns_left = 0;
				break;
			case JOBQ_TURN_OPTIONS:
				answer(scan, &question);
				break;
			case JOBQ_TURN_READ_ON:
				if (read_on(scan) != READ_SOME)
					picking.may_read = *may_read = false;
				break;
		}
	}
	return false;
}

/* Looks for a job that this transaction has added itself. */
static bool
claim_own(JobqClaimScan *scan, JobqJob *job)
{
	const JobqQueue *queue = scan->queue;

	if (jobq_ready_has_own_jobs(queue, NULL))
	{
		jobq_claim_turn_to(scan, &queue->state->stream, NULL, false);
		if (!is_unripe(scan) && jobq_claim_of_stream(scan, job))
			return true;
	}
	for (const char *name = jobq_ready_next_own_group(queue, NULL);
		 name != NULL; name = jobq_ready_next_own_group(queue, name))
	{
		int			limit = limit_of_group(scan, name);
		JobqGroupTicket ticket;

		if (limit == 0 ||
			!jobq_roster_enter(queue->state, name, limit, &ticket))
			continue;
		turn_to_group(scan, &ticket, false);
		if (is_unripe(scan))
			continue;
		if (jobq_claim_of_stream(scan, job))
			return true;
		put_back(scan, scan->blocked_until);
	}
	return false;
}

/*
 * Looks for a job in the groups of which this transaction ends jobs, with their
 * tickets: others cannot get these before the commit.
 */
static bool
claim_lent(JobqClaimScan *scan, JobqJob *job)
{
	JobqGroupTicket ticket;
	JobqGroup  *group;
	int			from = -1;

	if (!jobq_queue_limits_groups(scan->queue) ||
		scan->hold > JOBQ_CLAIM_KEPT)
		return false;
	while ((group = jobq_lease_note_lend_group(scan->queue, &from)) != NULL)
	{
		int			limit = limit_of_group(scan, group->key.name);
		bool		may_start = jobq_roster_borrow(group, limit, &ticket) &&
		limit != 0;

		turn_to_group(scan, &ticket, true);
		if (may_start && is_unripe(scan))
			continue;
		if (may_start && jobq_claim_of_stream(scan, job))
			return true;
		put_back(scan, DT_NOBEGIN);
	}
	return false;
}

/*
 * Looks for a job group by group, in the index: there is no room for groups in
 * shared memory.  A limit could not be kept.  Begins after the group where this
 * process has found the last one, so that it does not walk over the same groups
 * for each job.
 */
static bool
claim_without_room(JobqClaimScan *scan, JobqJob *job)
{
	static int32 last_queue = JOBQ_NO_QUEUE;
	static char last[JOBQ_GROUP_NAME_SIZE];
	const JobqQueue *queue = scan->queue;
	char		name[JOBQ_GROUP_NAME_SIZE];
	bool		wrapped = false;

	if (queue->max_running_per_group != JOBQ_UNLIMITED &&
		scan->hold != JOBQ_CLAIM_DROPPED)
		return false;
	if (last_queue != queue->id)
		last[0] = '\0';
	last_queue = queue->id;
	strlcpy(name, last, sizeof(name));
	/* it must not see old versions of jobs that this call has claimed */
	CommandCounterIncrement();
	jobq_dispatch_refresh(&scan->dispatch);
	for (;;)
	{
		if (!jobq_dispatch_next_group(&scan->dispatch, name))
		{
			if (wrapped || last[0] == '\0')
				return false;
			wrapped = true;
			name[0] = '\0';
			continue;
		}
		jobq_claim_turn_to(scan, NULL, jobq_ready_keep_group(name), false);
		if (limit_of_group(scan, name) == JOBQ_UNLIMITED &&
			!is_unripe(scan) && jobq_claim_of_stream(scan, job))
			break;
		if (wrapped && strcmp(name, last) >= 0)
			return false;
	}
	strlcpy(last, name, sizeof(last));
	/* the job has no ticket of its group */
	if (queue->state != NULL && scan->hold != JOBQ_CLAIM_DROPPED)
		jobq_gate_miss(&queue->state->gate);
	return true;
}

/*
 * The same for a queue without room: those without a group come first.  The scan of
 * these goes on where the job before was found, so that it meets none again that
 * this call has claimed.
 */
static bool
claim_without_queue(JobqClaimScan *scan, JobqJob *job)
{
	bool		is_plain = scan->dispatch.group == NULL;
	bool		has_begun = is_plain && !scan->seeking;

	return (is_plain && (has_begun || !is_unripe(scan)) &&
			jobq_claim_of_stream(scan, job)) ||
		claim_without_room(scan, job);
}

/* Looks for a job in one group after the other. */
static bool
claim_in_turn(JobqClaimScan *scan, JobqJob *job)
{
	bool		may_read = true;
	int			turns_left;

	begin_turns(scan);
	while (turn_to_next(scan, &may_read))
	{
		if (jobq_claim_of_stream(scan, job))
			return true;
	}
	turns_left = scan->turns_left;
	if (claim_own(scan, job) || claim_lent(scan, job) ||
		(scan->no_room && claim_without_room(scan, job)))
		return true;
	if (scan->turns_left > turns_left)
		jobq_queue_wake_look(scan->queue->state);
	/* jobs that no look has seen, in groups that are not `later` */
	if (scan->next_run_at > scan->now && scan->next_run_at != JOBQ_NEVER &&
		!scan->shared)
		jobq_wake_for_queue_at(scan->queue->state, scan->next_run_at);
	return false;
}

/* See turn.h. */
bool
jobq_turn_claim(JobqClaimScan *scan, JobqJob *job)
{
	if (scan->queue->state == NULL)
		return claim_without_queue(scan, job);
	if (claim_in_turn(scan, job))
		return true;
	/* if it will not run, one of a group that may start none will do */
	if (scan->hold == JOBQ_CLAIM_DROPPED &&
		jobq_queue_limits_groups(scan->queue) && claim_without_room(scan, job))
		return true;
	if (jobq_database()->coordinator_proc != JOBQ_NO_PROCESS)
		return false;
	/* leases that are over may be met there */
	jobq_claim_turn_to(scan, &scan->queue->state->stream, NULL, false);
	return !is_unripe(scan) && jobq_claim_of_stream(scan, job);
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
	if (scan->queue->max_running_per_group != JOBQ_UNLIMITED)
		return JOBQ_VISITED_ALL;
	while (jobq_dispatch_next_group(&scan->dispatch, visit->after))
	{
		jobq_claim_turn_to(scan, NULL, jobq_ready_keep_group(visit->after),
						   false);
		if (limit_of_group(scan, visit->after) == JOBQ_UNLIMITED &&
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

	if (!visit->begun)
	{
		begin_turns(scan);
		visit->turns_left = scan->turns_left;
		visit->may_read = true;
		visit->begun = true;
	}
	scan->turns_left = visit->turns_left;
	while (!found && turn_to_next(scan, &visit->may_read))
	{
		found = look(scan);
		if (is_time_over(scan))
			break;
	}
	/* who is woken claims the job that was found */
	if (found)
		(void) jobq_ticket_put_back_turn();
	else
		put_back(scan, scan->blocked_until);
	visit->turns_left = scan->turns_left;
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
