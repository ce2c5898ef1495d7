/*-------------------------------------------------------------------------
 *
 * limit_link.c
 *	  Queues whose shared limit counts groups: linking them to it.
 *
 * limit_group.c says what links are.  Here is who may make them: a process that knows
 * the queue, and its limit, as they were committed last.
 *
 * IDENTIFICATION
 *	  src/queue/limit_link.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/limit_link.h"

#include "queue/queue_cache.h"
#include "shared/limit_state.h"
#include "shared/queue_change.h"

/* Whether this transaction has changed the queue, or its limit. */
static bool
is_own(const JobqQueue *queue)
{
	return jobq_queue_change_is_own(queue->id) ||
		(queue->shared_limit != JOBQ_NO_LIMIT &&
		 jobq_queue_change_is_own(-queue->shared_limit));
}

/* See limit_link.h. */
void
jobq_limit_view_of(const JobqQueue *queue, JobqLimitView *view)
{
	JobqLimitState *limit = queue->limit;

	view->number = limit != NULL && jobq_limit_state_counts_groups(limit) ?
		limit->number : 0;
	view->max_running = queue->limit_max_running_per_group;
	view->position = jobq_queue_cache_position(queue);
	view->is_own = is_own(queue);
}

/* Whether others have changed the queue, or its limit, since. */
static bool
has_changed(const JobqQueue *queue, uint64 position)
{
	return jobq_queue_changed_since(queue->id, position) ||
		(queue->shared_limit != JOBQ_NO_LIMIT &&
		 jobq_queue_changed_since(-queue->shared_limit, position));
}

/* See limit_link.h.  A pin keeps the limit's entry from being another one's. */
JobqLinkResult
jobq_limit_link_queue(const JobqQueue *queue, JobqLimitView *view)
{
	uint64		position = jobq_queue_changes_position();
	JobqLinkResult result;

	if (has_changed(queue, view->position))
		return JOBQ_LINK_OUTDATED;
	view->position = position;
	if (view->number == 0)
		return jobq_limit_link(queue->state, NULL, view);
	if (!jobq_limit_state_pin(queue->limit, queue->shared_limit))
		return JOBQ_LINK_OUTDATED;
	view->number = queue->limit->number;
	result = jobq_limit_link(queue->state, queue->limit, view);
	jobq_limit_state_unpin(queue->limit);
	return result;
}

/* See limit_link.h.  What is not committed must not shut the gate for others. */
bool
jobq_limit_knows_groups(const JobqQueue *queue)
{
	JobqLimitState *limit = queue->limit;

	if (queue->limit_max_running_per_group == JOBQ_UNLIMITED)
		return true;
	if (!jobq_limit_state_counts_groups(limit))
	{
		if (is_own(queue) ||
			!jobq_limit_state_pin(limit, queue->shared_limit))
			return false;
		jobq_limit_state_count_groups(limit);
		jobq_limit_state_unpin(limit);
	}
	return jobq_limit_state_knows_groups(limit);
}
