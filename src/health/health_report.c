/*-------------------------------------------------------------------------
 *
 * health_report.c
 *	  Queues whose dead jobs are no longer reported to their on_dead queue.
 *
 * A job dies whether it can be reported or not (job/on_dead.c).
 *
 * IDENTIFICATION
 *	  src/health/health_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_report.h"

#include "queue/queue.h"
#include "queue/queue_cache.h"

#include "miscadmin.h"
#include "utils/builtins.h"

/* The on_dead queue of a role's queue if the role may not enqueue into it, or NULL. */
static const JobqQueue *
find_refusing(int32 on_dead, Oid owner)
{
	const JobqQueue *target = on_dead == JOBQ_NO_QUEUE ? NULL :
	jobq_queue_by_id(on_dead);

	return target == NULL ||
		jobq_queue_allows(target, owner, JOBQ_PRIV_ENQUEUE) ? NULL : target;
}

/* See health_report.h. */
bool
jobq_health_lacks_reports(const JobqQueueBrief *brief)
{
	return find_refusing(brief->on_dead, brief->owner) != NULL;
}

/*
 * See health_report.h.  The owner itself may have lost all privileges on the other queue
 * by now, and with them the right to know its name.
 */
bool
jobq_health_find_lacking(const JobqHealth *health, const JobqQueue *queue,
						 JobqFinding *finding)
{
	const JobqQueue *target = find_refusing(queue->on_dead, queue->owner);
	char	   *owner = GetUserNameFromId(queue->owner, true);
	char	   *name = quote_literal_cstr(queue->name);
	bool		may_name;

	if (target == NULL || owner == NULL)
		return false;
	may_name = jobq_queue_may_name(target, health->reader);
	finding->severity = JOBQ_WARNING;
	finding->topic = "on_dead";
	finding->object = queue->name;
	finding->message =
		psprintf("dead jobs are not reported: the queue's owner, \"%s\", has no privilege to enqueue into %s",
				 owner, may_name ?
				 psprintf("queue \"%s\"", target->name) :
				 "the queue of option \"on_dead\"");
	finding->hint = may_name ?
		psprintf("Use jobq.grant_queue(%s, %s, 'enqueue'), or jobq.reset_queue(%s, 'on_dead').",
				 quote_literal_cstr(target->name),
				 quote_literal_cstr(quote_identifier(owner)), name) :
		psprintf("The owner of that queue can grant the privilege with jobq.grant_queue(). Use jobq.reset_queue(%s, 'on_dead') to do without reports.",
				 name);
	return true;
}
