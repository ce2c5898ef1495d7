/*-------------------------------------------------------------------------
 *
 * ticket.c
 *	  Tickets of claims: drawing one before a job is looked for.
 *
 * gate.c says what tickets are.  A queue without room in shared memory has no
 * gate: its jobs need no tickets, and if it has a limit none of them starts.
 *
 * IDENTIFICATION
 *	  src/queue/ticket.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/ticket.h"

#include "queue/lease_note.h"
#include "queue/queue_wake.h"
#include "queue/start.h"
#include "shared/database.h"
#include "shared/queue_state.h"
#include "shared/wake.h"
#include "shared/xact_end.h"

#include "miscadmin.h"

/* A ticket that this process holds for no job yet, and its gate. */
static JobqTicket loose = JOBQ_TICKET_NONE;
static JobqQueueState *loose_gate = NULL;

/*
 * This process has cleared the gate's `starved`, and so looks for those that were
 * turned away.
 */
static bool forgot_starved = false;

/* The queue that this process is looking at without a ticket. */
static JobqQueueState *pinned = NULL;

/* Has the coordinator count running jobs that a gate does not know. */
static void
ask_for_count(void)
{
	jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
}

/* Enters the queue's gate. */
static bool
enter(const JobqQueue *queue)
{
	JobqQueueState *state = queue->state;

	switch (jobq_gate_enter(&state->gate, queue->max_running))
	{
		case JOBQ_GATE_OPEN:
			break;
		case JOBQ_GATE_UNCOUNTED:
			ask_for_count();
			return false;
		case JOBQ_GATE_FULL:
			return false;
	}

	/* the entry may be another queue's, if this one has been dropped */
	if (!jobq_queue_state_is_of(state, queue->id))
	{
		if (jobq_queue_state_leave(state, 1) &&
			state->key.dboid == MyDatabaseId)
			jobq_queue_wake_look(state);
		return false;
	}
	return true;
}

/* See ticket.h. */
bool
jobq_ticket_draw(const JobqQueue *queue, bool shared)
{
	bool		limited = queue->max_running != JOBQ_UNLIMITED;

	if (loose != JOBQ_TICKET_NONE)
		return true;
	if (queue->state == NULL)
		return !limited;
	if (limited && shared && jobq_ready_has_ticket(queue))
		return true;
	if (enter(queue))
		loose = JOBQ_TICKET_OWN;
	else if (limited &&
			 jobq_gate_may_lend(&queue->state->gate, queue->max_running) &&
			 jobq_lease_note_lend(queue))
		loose = JOBQ_TICKET_LENT;
	else
		return false;
	loose_gate = queue->state;
	forgot_starved = jobq_gate_forget_starved(&loose_gate->gate) ||
		forgot_starved;
	return true;
}

/* See ticket.h. */
void
jobq_ticket_give(const JobqQueue *queue, int64 job_id)
{
	if (loose == JOBQ_TICKET_NONE)
		return;
	jobq_ready_put_ticket(queue, job_id, loose);
	loose = JOBQ_TICKET_NONE;
}

/* See ticket.h. */
bool
jobq_ticket_withdraw(const JobqQueue *queue)
{
	JobqTicket	ticket = jobq_ready_withdraw();

	if (ticket == JOBQ_TICKET_NONE)
		return false;
	Assert(loose == JOBQ_TICKET_NONE);
	loose = ticket;
	loose_gate = queue->state;
	return true;
}

/* See ticket.h. */
void
jobq_ticket_return(const JobqQueue *queue, bool left_some)
{
	JobqTicket	ticket = loose;
	bool		wake = false;

	loose = JOBQ_TICKET_NONE;
	if (forgot_starved && left_some && queue->state != NULL)
		wake = jobq_gate_remember_starved(&queue->state->gate,
										  queue->max_running);
	forgot_starved = false;
	if (ticket == JOBQ_TICKET_LENT)
		jobq_lease_note_unlend(queue);
	if (ticket == JOBQ_TICKET_OWN &&
		jobq_queue_state_leave(loose_gate, 1))
		wake = true;
	if (wake && !queue->paused)
		jobq_queue_wake_now(queue->state, queue->id,
							jobq_queue_has_executors(queue) ? queue->owner :
							InvalidOid, queue->notify, 1);
}

/* See ticket.h. */
bool
jobq_ticket_is_left(const JobqQueue *queue)
{
	if (queue->max_running == JOBQ_UNLIMITED)
		return true;
	if (queue->state == NULL)
		return false;
	if (jobq_gate_room(&queue->state->gate, queue->max_running, 1) > 0)
		return true;
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

/* A rollback: the jobs that were looked for are not claimed. */
static void
drop_loose(void)
{
	JobqTicket	ticket = loose;
	bool		wake = forgot_starved;

	loose = JOBQ_TICKET_NONE;
	forgot_starved = false;
	if (ticket == JOBQ_TICKET_OWN && jobq_queue_state_leave(loose_gate, 1))
		wake = true;
	if (wake)
		jobq_queue_wake_look(loose_gate);
}

/* Called before the notes are processed. */
static void
before_notes(XactEvent event)
{
	if (event != XACT_EVENT_ABORT)
		return;
	jobq_start_return();
	drop_loose();
	jobq_ticket_unpin();
}

/* The same for a subtransaction. */
static void
before_sub_notes(SubXactEvent event, int level)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	jobq_start_return();
	drop_loose();
	jobq_ticket_unpin();
}

/* Called once, by _PG_init. */
void
jobq_ticket_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_TICKETS, before_notes, before_sub_notes);
}
