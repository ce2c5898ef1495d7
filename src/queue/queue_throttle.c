/*-------------------------------------------------------------------------
 *
 * queue_throttle.c
 *	  throttle(): nothing of a queue, or of one of its groups, starts for some time.
 *
 * IDENTIFICATION
 *	  src/queue/queue_throttle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"
#include "compat.h"
#include "queue/queue.h"
#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/queue_state.h"
#include "shared/roster.h"
#include "shared/throttle.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(jobq_throttle);

/* The longest delay: one year. */
#define MAX_DELAY (366 * USECS_PER_DAY)

/* The argument `delay`, in microseconds. */
static int64
get_delay(FunctionCallInfo fcinfo)
{
	int64		delay;

	jobq_require_argument(fcinfo, 1, "delay");
	delay = jobq_duration_argument(fcinfo, 1, "delay", true);
	if (delay > MAX_DELAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delay is too long"),
				 errdetail("At most one year is allowed."),
				 errhint("To stop the queue for longer, use jobq.pause().")));
	return delay;
}

static void
report_no_room(const JobqQueue *queue, const char *group)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 group == NULL ?
			 errmsg("no shared memory left for queue \"%s\"", queue->name) :
			 errmsg("no shared memory left for group \"%s\" of queue \"%s\"",
					group, queue->name),
			 errhint("Increase jobq.shared_memory.")));
}

/*
 * throttle(queue, delay, group_key): raises 42704 and 42501 for the queue, 22023 if the
 * delay is negative or too long or the key is bad, and 53200 if shared memory has no
 * room for the queue or the group.
 */
Datum
jobq_throttle(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	char	   *group;
	const JobqQueue *queue;
	int64		delay;
	bool		done = true;

	jobq_begin_write("jobq.throttle()");
	queue = jobq_queue_require(name, JOBQ_PRIV_CONSUME);
	jobq_queue_check_home(queue);
	delay = get_delay(fcinfo);
	group = PG_ARGISNULL(2) ? NULL :
		jobq_string_argument(fcinfo, 2, "group_key", JOBQ_GROUP_NAME_SIZE - 1);
	if (queue->state == NULL)
		report_no_room(queue, NULL);

	/* the entry of a queue that was just dropped may be another role's */
	if (!jobq_queue_state_pin(queue->state, queue->id))
		jobq_queue_report_missing(name, JOBQ_PRIV_CONSUME);
	if (group == NULL)
		jobq_throttle_set(queue->state, delay);
	else
		done = jobq_roster_throttle(queue->state, group, delay, jobq_now());
	jobq_queue_wake_look(queue->state);
	jobq_queue_state_unpin(queue->state);
	if (!done)
		report_no_room(queue, group);
	PG_RETURN_VOID();
}
