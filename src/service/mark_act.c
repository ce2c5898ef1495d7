/*-------------------------------------------------------------------------
 *
 * mark_act.c
 *	  Telling others what a prepared transaction that has ended had changed.
 *
 * IDENTIFICATION
 *	  src/service/mark_act.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/mark_act.h"

#include "queue/limit.h"
#include "queue/queue_gone.h"
#include "queue/queue_wake.h"
#include "shared/database.h"
#include "shared/ended_owner.h"
#include "shared/lane.h"
#include "shared/lease_listing.h"
#include "shared/limit_state.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/roster_memory.h"
#include "shared/wake.h"

#include "miscadmin.h"

/* The marks of a transaction that has ended. */
typedef struct Ended
{
	JobqDatabase *database;
	const JobqMark *marks;
	int			nmarks;
	bool		certain;		/* that it was committed */
} Ended;

/* The value of the first mark of a kind, 0 if there is none. */
static uint32
first_value(const Ended *ended, JobqMarkKind kind)
{
	for (int i = 0; i < ended->nmarks; i++)
	{
		if (ended->marks[i].kind == kind)
			return ended->marks[i].value;
	}
	return 0;
}

/* Makes all processes look at everything again. */
static void
act_on_all(JobqDatabase *database)
{
	jobq_queue_changes_publish_all(database);
	pg_atomic_fetch_add_u32(&database->generation, 1);
	jobq_queue_states_reset_lanes(MyDatabaseId);
	jobq_wake_coordinator(database, JOBQ_WAKE_RESYNC | JOBQ_WAKE_LEASES |
						  JOBQ_WAKE_CONFIG);
}

/* Jobs of the queue have become claimable, or are free again. */
static void
act_on_jobs(int32 queue, bool reset)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (reset && state != NULL)
	{
		jobq_lanes_reset(&state->stream);
		jobq_roster_reset(state);
	}
	jobq_queue_wake_look(state);
}

/* Jobs of the queue are running of which its gate does not know. */
static void
act_on_claims(int32 queue)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (state != NULL)
		jobq_gate_miss(&state->gate);
}

/* The same of a limit. */
static void
act_on_slots(int32 limit)
{
	JobqLimitState *state = jobq_limit_state_find(limit);

	if (state != NULL)
		jobq_gate_miss(&state->gate);
}

/* The number of unfinished jobs of the queue has changed. */
static void
count_again(int32 queue)
{
	JobqQueueState *state = jobq_queue_state_find(queue);

	if (state != NULL)
		jobq_queue_state_forget_count(state);
}

static void
act_on(const JobqMark *mark, const Ended *ended)
{
	JobqDatabase *database = ended->database;
	uint32		value = mark->value;
	TimestampTz when = jobq_mark_to_time(value);

	switch ((JobqMarkKind) mark->kind)
	{
		case JOBQ_MARK_ALL:
			act_on_all(database);
			break;
		case JOBQ_MARK_CHANGED:
			jobq_queue_changes_publish(database, value,
									   first_value(ended, JOBQ_MARK_OWNER));
			break;
		case JOBQ_MARK_OWNER:
			jobq_queue_changes_publish(database,
									   first_value(ended, JOBQ_MARK_CHANGED), value);
			break;
		case JOBQ_MARK_MANY_CHANGED:
			jobq_queue_changes_publish_all(database);
			break;
		case JOBQ_MARK_GONE:
		case JOBQ_MARK_RENAMED:
			jobq_queue_gone_now(value, mark->kind == JOBQ_MARK_RENAMED ||
								!ended->certain);
			break;
		case JOBQ_MARK_JOBS:
		case JOBQ_MARK_LOOK:
			act_on_jobs(value, mark->kind == JOBQ_MARK_JOBS);
			break;
		case JOBQ_MARK_LEASES:
			jobq_leases_leave_out(when);
			break;
		case JOBQ_MARK_EXPIRY:
			jobq_wake_for_expiry(when);
			break;
		case JOBQ_MARK_SCHEDULE:
			jobq_wake_for_schedule(when);
			break;
		case JOBQ_MARK_COUNT:
			count_again(value);
			break;
		case JOBQ_MARK_WAKES:
			jobq_wake_coordinator(database, value);
			break;
		case JOBQ_MARK_WAITING:
			jobq_ended_owner_act_on_mark(value);
			break;
		case JOBQ_MARK_CLAIMED:
			act_on_claims(value);
			break;
		case JOBQ_MARK_LIMIT:
			jobq_limit_look_now(value);
			break;
		case JOBQ_MARK_LIMIT_GONE:
			jobq_limit_state_forget(value);
			break;
		case JOBQ_MARK_LIMIT_CLAIMED:
			act_on_slots(value);
			break;
	}
}

/* See mark_act.h. */
void
jobq_marks_act(const JobqMark *marks, int nmarks, JobqMarkEnd end)
{
	Ended		ended = {
		.database = jobq_database_find(MyDatabaseId),.marks = marks,
		.nmarks = nmarks,.certain = end == JOBQ_MARKS_COMMITTED
	};

	if (ended.database == NULL)
		return;
	for (int i = 0; i < nmarks; i++)
	{
		if (end != JOBQ_MARKS_ROLLED_BACK || marks[i].kind == JOBQ_MARK_ALL ||
			marks[i].kind == JOBQ_MARK_JOBS)
			act_on(&marks[i], &ended);
	}
}
