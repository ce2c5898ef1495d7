/*-------------------------------------------------------------------------
 *
 * make_room.c
 *	  Dropping jobs of a full queue, to make room for new ones.
 *
 * They are found like jobs to run, through the lanes, so that the index entries
 * of jobs that are gone cost nothing.  A lifo queue runs its oldest jobs last, so
 * there the index is read from both ends of each lane's ready jobs, in one group
 * after the other.
 *
 * IDENTIFICATION
 *	  src/dispatch/make_room.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/make_room.h"

#include "dispatch/claim.h"
#include "job/admission.h"
#include "job/current_job.h"
#include "job/transition.h"
#include "queue/ticket.h"
#include "shared/clock.h"

#include "access/xact.h"
#include "utils/timestamp.h"

#define DROPPED "dropped: the queue is full"

/* Which jobs are to be dropped. */
typedef struct Drop
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	TimestampTz now;
	int64		wanted;
	int64		spared;
	int64		dropped;
	const char *group;			/* whose jobs are dropped; NULL: those without */
} Drop;

/* The jobs of a lane with a mirrored run_at, or those without. */
typedef struct Side
{
	JobqDispatchScan scan;
	bool		mirrored;
	bool		more;			/* `head` is a job */
	JobqHead	head;
} Side;

/*
 * Cancels the first `wanted` ready jobs that nobody holds, except `spared`, which
 * this transaction has just inserted.  Returns how many those were.  Waits for
 * nobody.
 */
static int64
drop_first(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	JobqClaimScan scan;
	JobqJob		job;
	int64		dropped = 0;

	if (!jobq_ticket_pin(queue))
		return 0;
	jobq_claim_begin(&scan, jobs, queue, JOBQ_CLAIM_DROPPED, JOBQ_NEVER);
	while (dropped < wanted && jobq_claim_next(&scan, &job))
	{
		if (job.id == spared)
		{
			jobq_claim_lost(&scan);
			continue;
		}
		/* it has not been started */
		job.started_at = DT_NOBEGIN;
		jobq_job_cancel(jobs, &job, queue, DROPPED);
		dropped++;
	}
	jobq_claim_end(&scan);
	jobq_ticket_unpin();
	return dropped;
}

/* Goes on to the next ready job of a side, from the oldest to the newest. */
static void
advance(Side *side, TimestampTz now)
{
	side->more = side->mirrored ?
		jobq_dispatch_previous(&side->scan, &side->head) :
		jobq_dispatch_next(&side->scan, &side->head) &&
		side->head.place.key.run_at <= now;
}

/*
 * Begins with the oldest ready job of a priority, of those with a mirrored run_at
 * or of those without.
 */
static void
begin_side(Side *side, const Drop *drop, int16 priority, bool mirrored)
{
	JobqKey		first = {0, PG_INT64_MIN};

	jobq_dispatch_begin(&side->scan, drop->jobs, drop->queue);
	jobq_dispatch_turn_to(&side->scan, NULL, drop->group);
	side->mirrored = mirrored;
	if (mirrored)
		jobq_dispatch_seek_mirrored(&side->scan, priority);
	else
		jobq_dispatch_seek_lane(&side->scan, priority, &first);
	advance(side, drop->now);
}

/* Cancels a job if nobody holds it. */
static void
drop_one(Drop *drop, const JobqHead *head)
{
	JobqJob		job;

	if (head->state != JOBQ_STATE_PENDING ||
		head->place.key.id == drop->spared ||
		jobq_current_job_is(head->place.key.id) ||
		jobq_job_lock(drop->jobs, head->place.key.id, JOBQ_NO_WAIT,
					  &job) != JOBQ_FOUND ||
		job.state != JOBQ_STATE_PENDING || job.run_at > drop->now ||
		jobq_job_is_held(&job, drop->now))
		return;
	jobq_job_cancel(drop->jobs, &job, drop->queue, DROPPED);
	drop->dropped++;
}

/* Drops jobs of one priority, the oldest first. */
static void
drop_of_lane(Drop *drop, int16 priority)
{
	Side		newest_first;
	Side		oldest_first;

	begin_side(&newest_first, drop, priority, true);
	begin_side(&oldest_first, drop, priority, false);
	while (drop->dropped < drop->wanted &&
		   (newest_first.more || oldest_first.more))
	{
		bool		mirrored = newest_first.more &&
		(!oldest_first.more ||
		 jobq_run_at_real(newest_first.head.place.key.run_at) <=
		 oldest_first.head.place.key.run_at);
		Side	   *side = mirrored ? &newest_first : &oldest_first;

		drop_one(drop, &side->head);
		advance(side, drop->now);
	}
	jobq_dispatch_end(&newest_first.scan);
	jobq_dispatch_end(&oldest_first.scan);
}

/* Drops jobs of a group, or of those without one; the most urgent priority first. */
static void
drop_of_group(Drop *drop)
{
	JobqDispatchScan lanes;
	JobqHead	head;
	int			priority = PG_INT16_MIN;

	jobq_dispatch_begin(&lanes, drop->jobs, drop->queue);
	jobq_dispatch_turn_to(&lanes, NULL, drop->group);
	while (drop->dropped < drop->wanted && priority <= PG_INT16_MAX)
	{
		jobq_dispatch_seek(&lanes, (int16) priority);
		if (!jobq_dispatch_next(&lanes, &head))
			break;
		drop_of_lane(drop, head.place.priority);
		priority = head.place.priority + 1;
	}
	jobq_dispatch_end(&lanes);
}

/*
 * The same as drop_first() for a lifo queue.  Begins after the group where this
 * process has dropped a job last, so that groups take turns; those without a group
 * come before all groups.
 */
static int64
drop_last(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	static int32 last_queue = JOBQ_NO_QUEUE;
	static char last[JOBQ_GROUP_NAME_SIZE];
	Drop		drop = {jobs, queue, jobq_now(), wanted, spared};
	JobqDispatchScan groups;
	char		name[JOBQ_GROUP_NAME_SIZE];
	bool		wrapped = false;

	if (last_queue != queue->id)
		last[0] = '\0';
	strlcpy(name, last, sizeof(name));
	CommandCounterIncrement();
	jobq_dispatch_begin(&groups, jobs, queue);
	do
	{
		if (!jobq_dispatch_next_group(&groups, name))
		{
			if (wrapped)
				break;
			wrapped = true;
			name[0] = '\0';
		}
		drop.group = name[0] == '\0' ? NULL : name;
		drop_of_group(&drop);
	} while (drop.dropped < wanted && (!wrapped || strcmp(name, last) < 0));
	jobq_dispatch_end(&groups);
	last_queue = queue->id;
	strlcpy(last, name, sizeof(last));
	return drop.dropped;
}

static int64
make_room(JobqTable *jobs, const JobqQueue *queue, int64 wanted, int64 spared)
{
	return queue->lifo ? drop_last(jobs, queue, wanted, spared) :
		drop_first(jobs, queue, wanted, spared);
}

/* Called once, by _PG_init. */
void
jobq_make_room_init(void)
{
	jobq_admission_follow(make_room);
}
