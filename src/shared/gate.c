/*-------------------------------------------------------------------------
 *
 * gate.c
 *	  Gates, which limit how many jobs run at the same time.
 *
 * A claim draws a ticket before it looks for a job, and gives it back if it
 * finds none.  The ticket of a job is in one place at a time: in the claiming
 * process, in a note of its transaction, or in the job's entry in the lease
 * registry.  It is given back when it is removed from that place, which can
 * happen only once, so no ticket is given back twice and none is lost.
 *
 * Jobs of a queue without a limit have tickets, too, so that a limit that is set
 * later counts the jobs that are running by then.  A gate that is not `counted`
 * does not know all running jobs, because the server has started, or because a
 * job of a queue without a limit found no room in the registry.  If the queue has
 * a limit, its gate is shut until the coordinator has counted (lease_load.c).
 *
 * A worker that was turned away must not sleep while the gate is open.  A claim
 * that finds the gate shut sets `starved` and looks again; a process that gives a
 * ticket back reads `starved` afterwards.  Each has a barrier in between, so one
 * of them sees what the other did.  A claim with a ticket clears the flag before
 * it looks for jobs, since it sees what those that set it have committed; if it
 * leaves jobs behind, it sets the flag again, and wakes a worker if there is room.
 * There is none in what others have promised to claim themselves (promise.c).
 *
 * Nothing here allocates or throws, or takes a lock.
 *
 * IDENTIFICATION
 *	  src/shared/gate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/gate.h"

/*
 * Resets a gate for another queue.  A process with an old pointer may have drawn
 * a ticket that it is about to give back, and a promise may not have ended, so
 * `running` and `promised` stay as they are; and one
 * may be counting for the old queue, which fails when `known` moves on.  Shared
 * memory begins with zeros.
 */
void
jobq_gate_reset(JobqGate *gate)
{
	jobq_gate_miss(gate);
	pg_atomic_write_u32(&gate->starved, 0);
}

/* Whether one more job may run now; max_running is a limit. */
static JobqGatePass
state_of(JobqGate *gate, int max_running)
{
	if (!jobq_gate_is_counted(gate))
		return JOBQ_GATE_UNCOUNTED;
	return pg_atomic_read_u32(&gate->running) < (uint32) max_running ?
		JOBQ_GATE_OPEN : JOBQ_GATE_FULL;
}

/* The same; if the gate is shut, the next ticket given back wakes a worker. */
static JobqGatePass
knock(JobqGate *gate, int max_running)
{
	if (state_of(gate, max_running) == JOBQ_GATE_OPEN)
		return JOBQ_GATE_OPEN;
	pg_atomic_write_u32(&gate->starved, 1);
	pg_memory_barrier();
	return state_of(gate, max_running);
}

/*
 * Draws a ticket unless the gate is shut.  Between the look at the gate and the
 * ticket, a job may have given its own back while it was running, and even have
 * been counted again.
 */
JobqGatePass
jobq_gate_enter(JobqGate *gate, int max_running)
{
	if (max_running == JOBQ_UNLIMITED)
	{
		(void) pg_atomic_fetch_add_u32(&gate->running, 1);
		return JOBQ_GATE_OPEN;
	}
	for (;;)
	{
		uint32		known = jobq_gate_count_begin(gate);
		JobqGatePass pass = knock(gate, max_running);
		uint32		running;

		if (pass != JOBQ_GATE_OPEN)
			return pass;
		running = pg_atomic_read_u32(&gate->running);
		if (running < (uint32) max_running &&
			pg_atomic_compare_exchange_u32(&gate->running, &running,
										   running + 1))
			return pg_atomic_read_u32(&gate->known) == known ?
				JOBQ_GATE_OPEN : JOBQ_GATE_STALE;
	}
}

/*
 * Called by the holder of a ticket before it looks for jobs: it will find those
 * for which others were turned away.  Returns whether any were.
 */
bool
jobq_gate_forget_starved(JobqGate *gate)
{
	return pg_atomic_read_u32(&gate->starved) != 0 &&
		pg_atomic_exchange_u32(&gate->starved, 0) != 0;
}

/*
 * How many more jobs may run now, without those for which somebody comes anyway;
 * max_running is a limit.
 */
static uint32
room_of(JobqGate *gate, int max_running)
{
	uint32		taken = pg_atomic_read_u32(&gate->running) +
	pg_atomic_read_u32(&gate->promised);

	if (!jobq_gate_is_counted(gate) || taken >= (uint32) max_running)
		return 0;
	return (uint32) max_running - taken;
}

/*
 * Called after that if the look may have left jobs behind.  Returns whether there
 * is room, so that the caller must wake a worker.
 */
bool
jobq_gate_remember_starved(JobqGate *gate, int max_running)
{
	pg_atomic_write_u32(&gate->starved, 1);
	pg_memory_barrier();
	return max_running == JOBQ_UNLIMITED || room_of(gate, max_running) > 0;
}

/*
 * How many jobs could be claimed at this moment, at most `jobs`.  If it is fewer,
 * tickets that are given back wake workers for the others.
 */
uint32
jobq_gate_room(JobqGate *gate, int max_running, uint32 jobs)
{
	if (max_running == JOBQ_UNLIMITED)
		return jobs;
	if (room_of(gate, max_running) < jobs)
	{
		pg_atomic_write_u32(&gate->starved, 1);
		pg_memory_barrier();
	}
	return Min(room_of(gate, max_running), jobs);
}

/* See gate.h; sets *empty if these were the last ones. */
bool
jobq_gate_leave(JobqGate *gate, uint32 tickets, bool *empty)
{
	uint32		before = pg_atomic_fetch_sub_u32(&gate->running, tickets);

	Assert(before >= tickets);
	*empty = before == tickets;
	return pg_atomic_read_u32(&gate->starved) != 0;
}

/* See gate.h. */
void
jobq_gate_promise(JobqGate *gate)
{
	(void) pg_atomic_fetch_add_u32(&gate->promised, 1);
}

/* See gate.h. */
bool
jobq_gate_end_promise(JobqGate *gate)
{
	uint32		before PG_USED_FOR_ASSERTS_ONLY =
	pg_atomic_fetch_sub_u32(&gate->promised, 1);

	Assert(before > 0);
	return pg_atomic_read_u32(&gate->starved) != 0;
}

/*
 * Whether the ticket of a job that ends may be lent to one that starts: not while
 * more jobs are running than may, or may be running.
 */
bool
jobq_gate_may_lend(JobqGate *gate, int max_running)
{
	return max_running == JOBQ_UNLIMITED ||
		(jobq_gate_is_counted(gate) &&
		 pg_atomic_read_u32(&gate->running) <= (uint32) max_running);
}

bool
jobq_gate_is_empty(JobqGate *gate)
{
	return pg_atomic_read_u32(&gate->running) == 0;
}

/* Whether a worker must be woken when the gate opens. */
bool
jobq_gate_is_starved(JobqGate *gate)
{
	return pg_atomic_read_u32(&gate->starved) != 0;
}

/* A ticket for a job that runs already, whatever the limit. */
void
jobq_gate_join(JobqGate *gate)
{
	(void) pg_atomic_fetch_add_u32(&gate->running, 1);
}

/*
 * Called before the ticket of a job that is still running is given back: the gate
 * must be counted again.
 */
void
jobq_gate_miss(JobqGate *gate)
{
	uint32		known = pg_atomic_read_u32(&gate->known);

	/* to the next even number */
	while (!pg_atomic_compare_exchange_u32(&gate->known, &known,
										   (known | 1) + 1))
		;
}

/* Called before the snapshot by which running jobs are counted is taken. */
uint32
jobq_gate_count_begin(JobqGate *gate)
{
	uint32		known = pg_atomic_read_u32(&gate->known);

	pg_memory_barrier();
	return known;
}

/*
 * Called when each of them has a ticket.  Returns false if others were missed
 * meanwhile, so that the count must be repeated.
 */
bool
jobq_gate_count_end(JobqGate *gate, uint32 begun)
{
	uint32		known = begun;

	/* another process may have ended such a count */
	return pg_atomic_compare_exchange_u32(&gate->known, &known, begun | 1) ||
		known == (begun | 1);
}

bool
jobq_gate_is_counted(JobqGate *gate)
{
	return (pg_atomic_read_u32(&gate->known) & 1) != 0;
}

/*
 * The same for a claim: if it is not counted, a worker is woken when it is.
 */
bool
jobq_gate_knows_all(JobqGate *gate)
{
	if (jobq_gate_is_counted(gate))
		return true;
	pg_atomic_write_u32(&gate->starved, 1);
	pg_memory_barrier();
	return jobq_gate_is_counted(gate);
}

uint32
jobq_gate_running(JobqGate *gate)
{
	return pg_atomic_read_u32(&gate->running);
}
