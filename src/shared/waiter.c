/*-------------------------------------------------------------------------
 *
 * waiter.c
 *	  The sessions in jobq.wait(), in shared memory.
 *
 * JobqQueueState.waiting counts the registered waiters of a queue, including
 * woken ones.  It only saves committing sessions a search of waiters[] when
 * nobody waits.  Only the waiter itself changes it, under JOBQ_LOCK_WAITERS,
 * and only if the entry is still the queue's: entries are freed when a queue
 * is dropped.
 *
 * IDENTIFICATION
 *	  src/shared/waiter.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/waiter.h"

#include "compat.h"
#include "shared/clock.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "miscadmin.h"

/*
 * When the coordinator checks whether woken waiters took their jobs, in
 * microseconds.  Short enough that an idle client does no harm, long enough
 * for a busy one to finish.
 */
#define LOOK_AFTER USECS_PER_SEC

void
jobq_waiters_wake(Oid dboid, int32 queue, int njobs)
{
	bool		others = false;
	JobqQueueState *state;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	for (int i = 0; i < jobq_shared->max_waiters && !others; i++)
	{
		JobqWaiter *waiter = &jobq_shared->waiters[i];

		if (waiter->dboid != dboid || waiter->woken)
			continue;
		for (int j = 0; j < waiter->nqueues; j++)
		{
			if (waiter->queues[j] != queue)
				continue;
			if (njobs > 0)
			{
				waiter->woken = true;
				jobq_wake_process(i);
				njobs--;
			}
			else
				others = true;
			break;
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));

	/* waiters of a queue without room look again by themselves */
	state = others ? jobq_queue_state_find(queue) : NULL;
	if (state != NULL)
		jobq_wake_for_queue_at(state, jobq_now() + LOOK_AFTER);
}

static JobqWaiter *
my_waiter(void)
{
	int			procno = JOBQ_MY_PROC_NUMBER;

	if (procno < 0 || procno >= jobq_shared->max_waiters)
		elog(ERROR, "process number %d is out of range", procno);
	return &jobq_shared->waiters[procno];
}

/* Whether an entry in shared memory is still that of the queue. */
static bool
state_is_of(const JobqQueueState *state, int32 queue)
{
	return state != NULL && state->entry.key.dboid == MyDatabaseId &&
		state->entry.key.id == queue;
}

void
jobq_waiter_register(JobqWaiting *wait)
{
	JobqWaiter *waiter = my_waiter();

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	waiter->woken = false;
	waiter->nqueues = wait->nqueues;
	memcpy(waiter->queues, wait->queues, sizeof(waiter->queues));
	waiter->dboid = MyDatabaseId;
	for (int i = 0; i < wait->nqueues; i++)
	{
		wait->counted[i] = state_is_of(wait->states[i], wait->queues[i]);
		if (wait->counted[i])
			pg_atomic_fetch_add_u32(&wait->states[i]->waiting, 1);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
}

/* Ends the registration, if there is one.  Returns whether it was woken. */
bool
jobq_waiter_unregister(JobqWaiting *wait)
{
	JobqWaiter *waiter = my_waiter();
	bool		woken = false;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	if (OidIsValid(waiter->dboid))
	{
		woken = waiter->woken;
		waiter->dboid = InvalidOid;
		for (int i = 0; i < wait->nqueues; i++)
		{
			JobqQueueState *state = wait->states[i];

			if (wait->counted[i] && state_is_of(state, wait->queues[i]) &&
				pg_atomic_read_u32(&state->waiting) > 0)
				pg_atomic_fetch_sub_u32(&state->waiting, 1);
		}
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
	return woken;
}

/* Whether we were woken. With `clear`, we can be woken again afterwards. */
bool
jobq_waiter_was_woken(bool clear)
{
	JobqWaiter *waiter = my_waiter();
	bool		woken;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WAITERS), LW_EXCLUSIVE);
	woken = waiter->woken;
	if (clear)
		waiter->woken = false;
	LWLockRelease(jobq_lock(JOBQ_LOCK_WAITERS));
	return woken;
}
