/*-------------------------------------------------------------------------
 *
 * ticket.c
 *	  Tickets of claims: drawing one before a job is looked for.
 *
 * gate.c says what tickets are.  A ticket of a queue that shares a limit is also a
 * slot of that one.  A queue without room in shared memory has no gate: its jobs
 * need no tickets, and if it has a limit none of them starts; nor does one whose
 * limit has no room (queue_room.c).
 *
 * IDENTIFICATION
 *	  src/queue/ticket.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ticket.h"

#include "queue/lease_end.h"
#include "queue/limit_link.h"
#include "queue/queue_wake.h"
#include "queue/start.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/group_rate.h"
#include "shared/lane_refill.h"
#include "shared/limit_state.h"
#include "shared/promise.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/roster_pick.h"
#include "shared/roster_read.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "miscadmin.h"

/*
 * How long until the next look at a group whose first job is locked, and how often
 * that is doubled.
 */
#define BUSY_DELAY USECS_PER_SEC
#define MAX_DOUBLINGS 6

/* A ticket that this process holds for no job yet, and its gates. */
static JobqTicket loose = JOBQ_TICKET_NONE;
static JobqGates loose_gates = {NULL, NULL, NULL};

/* A group of which it holds a ticket for no job yet. */
static JobqGroupTicket loose_group = {NULL};
static bool loose_group_lent = false;

/*
 * This process has cleared the gate's `starved`, or taken the queue out of the list
 * of those that its limit has turned away, and so looks for jobs in their place.
 */
static bool forgot_starved = false;
static bool forgot_turned_away = false;

/* The queue that this process is looking at without a ticket. */
static JobqQueueState *pinned = NULL;

/* Has the coordinator count running jobs that a gate does not know. */
static void
ask_for_count(void)
{
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
}

/*
 * Whether it is known what runs in groups under the limit that the queue shares.  If not,
 * workers of the queue are woken when it is.
 */
static bool
knows_groups_of_limit(const JobqQueue *queue, const JobqQueueNote *note)
{
	if (jobq_limit_knows_groups(queue))
		return true;
	ask_for_count();
	(void) jobq_queue_wake_turn_away(note);
	return jobq_limit_knows_groups(queue);
}

/*
 * Enters the gate of the limit that the queue shares.  If that is shut, workers of
 * the queue are woken when it is not.
 */
static bool
enter_limit(const JobqQueue *queue)
{
	JobqLimitState *limit = queue->limit;
	JobqQueueNote note;

	if (limit == NULL)
		return false;
	jobq_queue_wake_describe(&note, queue);
	if (!knows_groups_of_limit(queue, &note))
		return false;
	do
	{
		switch (jobq_gate_enter(&limit->gate, queue->limit_max_running))
		{
			case JOBQ_GATE_OPEN:
				if (jobq_limit_state_is_of(limit, queue->shared_limit))
					return true;
				/* the entry may be another limit's by now */
				/* FALLTHROUGH */
			case JOBQ_GATE_STALE:
				if (jobq_limit_state_leave(limit, 1))
					jobq_queue_wake_call(limit, 1);
				jobq_queue_wake_look(queue->state);
				return false;
			case JOBQ_GATE_UNCOUNTED:
				ask_for_count();
				break;
			case JOBQ_GATE_FULL:
				break;
		}
	} while (jobq_queue_wake_turn_away(&note));
	return false;
}

/*
 * Whether no group may start a job yet: they have a limit, and it is not known what
 * they run.
 */
static bool
groups_are_uncounted(const JobqQueue *queue)
{
	if (!jobq_queue_limits_groups(queue) ||
		jobq_gate_knows_all(&queue->state->gate))
		return false;
	ask_for_count();
	return true;
}

/* Enters the queue's own gate. */
static bool
enter_queue(const JobqQueue *queue)
{
	JobqGates	gates = {queue->state, NULL, NULL};

	if (groups_are_uncounted(queue))
		return false;
	switch (jobq_gate_enter(&queue->state->gate, queue->max_running))
	{
		case JOBQ_GATE_OPEN:
			break;
		case JOBQ_GATE_STALE:
			jobq_queue_wake_leave(&gates);
			jobq_queue_wake_look(queue->state);
			return false;
		case JOBQ_GATE_UNCOUNTED:
			ask_for_count();
			return false;
		case JOBQ_GATE_FULL:
			return false;
	}

	/* the entry may be another queue's, if this one has been dropped */
	if (jobq_queue_state_is_of(queue->state, queue->id))
		return true;
	jobq_queue_wake_leave(&gates);
	return false;
}

/*
 * Enters both.  If the limit's gate is shut, the limit's list stands for those whom
 * the ticket of the queue's gate has turned away: `starved` is cleared before the
 * queue enters the list, as the next claim that has both may take it out again.
 */
static bool
enter(const JobqQueue *queue)
{
	JobqGates	gates = {queue->state, NULL, NULL};
	bool		forgot;

	if (!enter_queue(queue))
		return false;
	if (queue->shared_limit == JOBQ_NO_LIMIT)
		return true;
	forgot = jobq_gate_forget_starved(&queue->state->gate);
	if (enter_limit(queue))
	{
		forgot_starved = forgot_starved || forgot;
		return true;
	}
	jobq_queue_wake_leave(&gates);
	return false;
}

/* Whether a job that ends may lend its ticket to another one of the queue. */
static bool
may_lend(const JobqQueue *queue)
{
	if (!jobq_gate_may_lend(&queue->state->gate, queue->max_running))
		return false;
	if (queue->shared_limit == JOBQ_NO_LIMIT)
		return true;
	return queue->limit != NULL && jobq_limit_knows_groups(queue) &&
		jobq_gate_may_lend(&queue->limit->gate, queue->limit_max_running);
}

/* See ticket.h. */
bool
jobq_ticket_draw(const JobqQueue *queue, bool shared)
{
	bool		limited = jobq_queue_is_limited(queue);

	if (loose != JOBQ_TICKET_NONE)
		return true;
	if (queue->state == NULL)
		return !limited;
	/* without room, groups are left alone if they have a limit */
	if (limited && shared && jobq_ready_has_ticket(queue))
		return queue->limit == NULL || jobq_limit_knows_groups(queue);
	jobq_promise_keep(queue->state);
	if (enter(queue))
		loose = JOBQ_TICKET_OWN;
	else if (limited && !groups_are_uncounted(queue) && may_lend(queue) &&
			 jobq_lease_end_lend(queue))
		loose = JOBQ_TICKET_LENT;
	else
		return false;
	loose_gates = (JobqGates)
	{
		queue->state, queue->limit, NULL
	};
	forgot_starved = jobq_gate_forget_starved(&queue->state->gate) ||
		forgot_starved;
	if (queue->limit != NULL)
		forgot_turned_away =
			jobq_limit_state_take_back(queue->limit, queue->id) ||
			forgot_turned_away;
	return true;
}

/* See ticket.h. */
void
jobq_ticket_give(const JobqQueue *queue, int64 job_id)
{
	JobqTickets tickets = {
		loose, loose_group.group, loose_group_lent
	};

	if (loose == JOBQ_TICKET_NONE && loose_group.group == NULL)
		return;
	jobq_ready_put_tickets(queue, job_id, &tickets);
	loose = JOBQ_TICKET_NONE;
	loose_group.group = NULL;	/* jobq_ticket_withdraw() may set it again */
}

/* See ticket.h. */
void
jobq_ticket_hold_group(const JobqGroupTicket *ticket, bool lent)
{
	Assert(loose_group.group == NULL);
	loose_group = *ticket;
	loose_group_lent = lent;
}

/* See ticket.h. */
JobqGroupTicket *
jobq_ticket_of_group(void)
{
	return loose_group.group == NULL ? NULL : &loose_group;
}

/* See ticket.h. */
bool
jobq_ticket_has_group(void)
{
	return loose_group.group != NULL;
}

/* See ticket.h. */
bool
jobq_ticket_put_back_group(TimestampTz until)
{
	JobqGroupTicket ticket = loose_group;

	loose_group.group = NULL;
	if (ticket.group != NULL && loose_group_lent)
	{
		jobq_group_rate_return(&ticket);
		jobq_lease_end_unlend_group(ticket.group);
		return false;
	}
	return ticket.group != NULL &&
		jobq_queue_state_put_back_group(&ticket, until, jobq_now());
}

/* See ticket.h. */
int64
jobq_ticket_busy_delay(void)
{
	uint32		times = loose_group.group == NULL ? 0 :
	loose_group.group->nblocked;

	return BUSY_DELAY << Min(times, MAX_DOUBLINGS);
}

/* See ticket.h. */
bool
jobq_ticket_withdraw(const JobqQueue *queue)
{
	JobqTickets tickets = jobq_ready_withdraw();

	if (tickets.group != NULL)
	{
		/* what it had been told of when the ticket was drawn is still there */
		loose_group.group = tickets.group;
		loose_group_lent = tickets.group_lent;
	}
	if (tickets.queue == JOBQ_TICKET_NONE)
		return tickets.group != NULL;
	Assert(loose == JOBQ_TICKET_NONE);
	loose = tickets.queue;
	loose_gates = (JobqGates)
	{
		queue->state, queue->limit, NULL
	};
	return true;
}

/*
 * Workers that were turned away must still be woken, since jobs were left.  Returns
 * whether one could start now.
 */
static bool
remember_turned_away(const JobqQueue *queue)
{
	bool		room = false;
	JobqQueueNote note;

	if (queue->state != NULL && forgot_starved)
		room = jobq_gate_remember_starved(&queue->state->gate,
										  queue->max_running);
	if (queue->limit != NULL && forgot_turned_away)
	{
		jobq_queue_wake_describe(&note, queue);
		room = jobq_queue_wake_turn_away(&note) || room;
	}
	return room;
}

/* See ticket.h. */
void
jobq_ticket_return(const JobqQueue *queue, bool left_some)
{
	JobqTicket	ticket = loose;
	bool		wake;

	wake = jobq_ticket_put_back_group(DT_NOBEGIN);
	loose = JOBQ_TICKET_NONE;
	if (left_some)
		wake = remember_turned_away(queue) || wake;
	forgot_starved = false;
	forgot_turned_away = false;
	if (ticket == JOBQ_TICKET_LENT)
		jobq_lease_end_unlend(queue);
	if (ticket == JOBQ_TICKET_OWN)
		wake = jobq_queue_wake_return(&loose_gates) || wake;
	if (wake && !queue->paused)
		jobq_queue_wake_now(queue->state, queue->id,
							jobq_queue_has_executors(queue) ? queue->owner :
							InvalidOid, queue->notify, 1);
}

/* Whether the limit that the queue shares has a slot left. */
static bool
limit_has_room(const JobqQueue *queue)
{
	JobqQueueNote note;

	if (queue->limit == NULL)
		return false;
	jobq_queue_wake_describe(&note, queue);
	if (!knows_groups_of_limit(queue, &note))
		return false;
	if (jobq_gate_room(&queue->limit->gate, queue->limit_max_running, 1) > 0)
		return true;
	if (!jobq_gate_is_counted(&queue->limit->gate))
		ask_for_count();
	return jobq_queue_wake_turn_away(&note);
}

/* See ticket.h. */
bool
jobq_ticket_is_left(const JobqQueue *queue)
{
	if (queue->state != NULL && groups_are_uncounted(queue))
		return false;
	if (!jobq_queue_is_limited(queue))
		return true;
	if (queue->state == NULL)
		return false;
	if (jobq_gate_room(&queue->state->gate, queue->max_running, 1) > 0)
		return queue->shared_limit == JOBQ_NO_LIMIT || limit_has_room(queue);
	if (!jobq_gate_is_counted(&queue->state->gate))
		ask_for_count();
	return false;
}

/* See ticket.h. */
bool
jobq_ticket_pin(const JobqQueue *queue)
{
	Assert(pinned == NULL);
	if (queue->state == NULL)
		return true;
	if (!jobq_queue_state_pin(queue->state, queue->id))
		return false;
	pinned = queue->state;
	return true;
}

/* See ticket.h. */
void
jobq_ticket_unpin(void)
{
	if (pinned != NULL)
		jobq_queue_state_unpin(pinned);
	pinned = NULL;
}

/* A rollback: no job of the group was claimed with its ticket. */
static void
drop_loose_group(void)
{
	JobqGroupTicket ticket = loose_group;
	JobqQueueState *queue;
	bool		look;

	loose_group.group = NULL;
	if (ticket.group != NULL)
		jobq_group_rate_return(&ticket);
	/* one that was lent is taken back by the note of its lender */
	if (ticket.group == NULL || loose_group_lent)
		return;
	queue = ticket.group->key.queue;
	look = ticket.is_look ?
		jobq_queue_state_put_back_group(&ticket, DT_NOBEGIN, jobq_now()) :
		jobq_queue_state_leave_group(ticket.group, 1, jobq_now());
	if (look)
		jobq_queue_wake_look(queue);
}

/* A rollback: the jobs that were looked for are not claimed. */
static void
drop_loose(void)
{
	JobqTicket	ticket = loose;
	bool		look = forgot_starved || forgot_turned_away;

	drop_loose_group();
	loose = JOBQ_TICKET_NONE;
	forgot_starved = false;
	forgot_turned_away = false;
	if (ticket == JOBQ_TICKET_OWN)
		look = jobq_queue_wake_return(&loose_gates) || look;
	if (look)
		jobq_queue_wake_look(loose_gates.queue);
}

/*
 * Ends what the process was reading when the rollback began.  Its tickets and pin have
 * kept that in memory.
 */
static void
give_up_reading(void)
{
	JobqQueueState *queue;

	jobq_lane_refill_abandon();
	queue = jobq_roster_read_abandon();
	if (queue != NULL)
		jobq_queue_wake_look(queue);
	jobq_start_return();
}

/* Called before the notes are processed. */
static void
before_notes(XactEvent event)
{
	if (event == XACT_EVENT_ABORT)
		give_up_reading();
}

/* The same for a subtransaction. */
static void
before_sub_notes(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		give_up_reading();
}

/* Gives back what is held for a claim that was not finished. */
static void
give_up_tickets(void)
{
	drop_loose();
	jobq_ticket_unpin();
}

/* Called after the notes were processed. */
static void
after_notes(XactEvent event)
{
	if (event == XACT_EVENT_ABORT)
		give_up_tickets();
}

/* The same for a subtransaction. */
static void
after_sub_notes(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		give_up_tickets();
}

/* Called once, by _PG_init. */
void
jobq_ticket_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_READINGS,
						 JOBQ_XACT_AT(XACT_EVENT_ABORT),
						 before_notes, before_sub_notes);
	jobq_xact_end_follow(JOBQ_XACT_TICKETS,
						 JOBQ_XACT_AT(XACT_EVENT_ABORT),
						 after_notes, after_sub_notes);
}
