/*-------------------------------------------------------------------------
 *
 * queue_room.c
 *	  Queues with limits for which shared memory has no room.
 *
 * What limits a queue is counted in shared memory, so a job that is limited cannot
 * start without an entry there.  Claims and looks seek room for one.
 *
 * IDENTIFICATION
 *	  src/queue/queue_room.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_room.h"

#include "queue/queue_wake.h"
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/limit_state.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

/* How long until the coordinator seeks room for a limit again. */
#define NO_ROOM_DELAY USECS_PER_SEC

/* See queue_room.h. */
void
jobq_queue_seek_room(const JobqQueue *queue)
{
	bool		found = queue->state == NULL &&
	jobq_queue_state_may_be_made(queue->id, queue->owner);

	if (queue->limit == NULL && queue->shared_limit != JOBQ_NO_LIMIT &&
		jobq_limit_state(queue->shared_limit, queue->limit_owner) != NULL)
		found = true;
	if (found)
		jobq_queue_changes_publish(jobq_database(), queue->id, queue->owner);

	/* queues without an entry are looked at in any case */
	if (queue->state != NULL)
		jobq_wake_for_queue_at(queue->state, jobq_now() + NO_ROOM_DELAY);
}

/* There is none for the queue: no job of it starts, or none of a group. */
static void
report_no_room(const JobqQueue *queue)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("no shared memory left for queue \"%s\", which has a limit",
					queue->name),
			 jobq_queue_is_limited(queue) || queue->has_rate ?
			 errdetail("None of its jobs can start.") :
			 errdetail("None of its jobs with a group can start."),
			 errhint("Increase jobq.shared_memory.")));
}

/* See queue_room.h. */
void
jobq_queue_require_room(const JobqQueue *queue)
{
	if (queue->state == NULL && jobq_queue_state_find(queue->id) == NULL)
		report_no_room(queue);
	if (queue->limit == NULL && queue->shared_limit != JOBQ_NO_LIMIT &&
		jobq_limit_state_find(queue->shared_limit) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no shared memory left for the limit that queue \"%s\" shares",
						queue->name),
				 errdetail("None of its jobs can start."),
				 errhint("Increase jobq.shared_memory.")));
}
