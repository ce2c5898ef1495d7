/*-------------------------------------------------------------------------
 *
 * oldest.c
 *	  The ready jobs of a queue, from the oldest to the newest, whatever their
 *	  groups and priorities.
 *
 * No index has the jobs of all groups in the order of their age.  So a process
 * reads the lanes of the queue once, with a descent of the index for each, and keeps
 * them in a heap: how old the oldest job of a lane may be, and where it is.  The
 * first lane of the heap is looked at.  If its oldest job turns out to be newer, the
 * lane finds its new place; otherwise that is the oldest job of all.
 *
 * Jobs that were enqueued after the lanes were read are newer than all that were
 * there.  So the lanes are read anew only when these are gone, which takes at least
 * as many drops as there were lanes with jobs; and before it is said that there are
 * no more.  A job that comes back to its old place meanwhile (its lease was lost, or
 * a transaction has given it back) may be passed over until then.
 *
 * Of very many lanes the oldest are kept.
 *
 * IDENTIFICATION
 *	  src/dispatch/oldest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/oldest.h"

#include "job/job.h"
#include "shared/xact_end.h"

#include "access/xact.h"
#include "lib/binaryheap.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How many lanes are kept of a queue, and of how many queues. */
#define MOST_LANES 4096
#define NUM_AGES 4

/* Jobs of a stream and priority: those with a mirrored run_at, or those without. */
typedef struct Lane
{
	char	   *group;			/* NULL: those without a group */
	int16		priority;
	bool		mirrored;		/* they are read backward */
	JobqKey		position;		/* where to go on */
} Lane;

/* The lanes of a queue, by the age of their jobs. */
typedef struct JobqAges
{
	int32		queue;
	MemoryContext context;		/* of what follows; NULL: there is nothing */
	binaryheap *heap;
	TimestampTz read_at;		/* jobs that have become ready since may be in
								 * other lanes, too, */
	bool		is_cut;
	JobqKey		cut;			/* and if is_cut, those from this age on */
	bool		moved;			/* by this transaction */
	uint64		used;			/* when it was used last */
} JobqAges;

static JobqAges all_ages[NUM_AGES];
static uint64 nused = 0;

/* How old the oldest job of a lane is at most. */
static JobqKey
age_of(const Lane *lane)
{
	return (JobqKey)
	{
		jobq_run_at_real(lane->position.run_at), lane->position.id
	};
}

/* The oldest first. */
static int
compare_lanes(const Lane *a, const Lane *b)
{
	JobqKey		age = age_of(a);
	JobqKey		other = age_of(b);

	return jobq_key_compare(&age, &other);
}

/* For qsort(). */
static int
compare_in_array(const void *a, const void *b)
{
	return compare_lanes(a, b);
}

/* For the heap, whose first node is the greatest. */
static int
compare_in_heap(Datum a, Datum b, void *arg)
{
	return -compare_lanes((const Lane *) DatumGetPointer(a),
						  (const Lane *) DatumGetPointer(b));
}

static void
forget(JobqAges *ages)
{
	if (ages->context != NULL)
		MemoryContextDelete(ages->context);
	ages->context = NULL;
	ages->heap = NULL;
}

/* The ages of a queue, or else those that have not been used for longest. */
static JobqAges *
find_ages(int32 queue)
{
	JobqAges   *result = &all_ages[0];

	for (int i = 0; i < NUM_AGES && result->queue != queue; i++)
	{
		if (all_ages[i].queue == queue || all_ages[i].used < result->used)
			result = &all_ages[i];
	}
	if (result->queue != queue)
		forget(result);
	result->queue = queue;
	result->used = ++nused;
	return result;
}

/* Lanes while they are read. */
typedef struct Reading
{
	JobqAges   *ages;
	int			most;
	Lane	   *lanes;			/* room for twice as many */
	int			n;
} Reading;

/* Leaves the oldest lanes. */
static void
cut(Reading *reading)
{
	if (reading->n <= reading->most)
		return;
	qsort(reading->lanes, reading->n, sizeof(Lane), compare_in_array);
	reading->ages->is_cut = true;
	reading->ages->cut = age_of(&reading->lanes[reading->most]);
	while (reading->n > reading->most)
	{
		Lane	   *lane = &reading->lanes[--reading->n];

		if (lane->group != NULL)
			pfree(lane->group);
	}
}

static void
add_lane(Reading *reading, const JobqPlace *place, bool mirrored,
		 JobqKey position)
{
	Lane		lane = {NULL, place->priority, mirrored, position};
	JobqKey		age = age_of(&lane);

	if (reading->ages->is_cut &&
		!jobq_key_is_less(&age, &reading->ages->cut))
		return;
	if (reading->n == 2 * reading->most)
		cut(reading);
	if (place->group != NULL)
		lane.group = MemoryContextStrdup(reading->ages->context, place->group);
	reading->lanes[reading->n++] = lane;
}

/* Adds a lane by its first job, and those with a mirrored run_at as another one. */
static void
add_lanes(Reading *reading, const JobqPlace *first, TimestampTz now)
{
	static const JobqKey first_mirrored = {-1, PG_INT64_MAX};
	static const JobqKey first_other = {0, PG_INT64_MIN};

	if (first->key.run_at > now)
		return;
	if (!jobq_run_at_is_mirrored(first->key.run_at))
	{
		add_lane(reading, first, false, first->key);
		return;
	}
	add_lane(reading, first, true, first_mirrored);
	add_lane(reading, first, false, first_other);
}

/* Reads all lanes of the queue. */
static void
read_lanes(Reading *reading, JobqOldest *scan)
{
	JobqDispatchScan *dispatch = &scan->dispatch;
	char		name[JOBQ_GROUP_NAME_SIZE] = "";
	int			priority = PG_INT16_MIN;
	JobqHead	head;

	jobq_dispatch_turn_to(dispatch, NULL, NULL);
	while (priority <= PG_INT16_MAX)
	{
		jobq_dispatch_seek(dispatch, (int16) priority);
		if (!jobq_dispatch_next(dispatch, &head))
			break;
		add_lanes(reading, &head.place, scan->now);
		priority = head.place.priority + 1;
	}
	priority = PG_INT16_MIN;
	while (jobq_dispatch_next_lane(dispatch, name, (int16) priority, &head))
	{
		add_lanes(reading, &head.place, scan->now);
		priority = head.place.priority;
	}
}

/* Makes the heap of the lanes that were read. */
static void
make_heap(const Reading *reading)
{
	JobqAges   *ages = reading->ages;
	MemoryContext old = MemoryContextSwitchTo(ages->context);
	Lane	   *lanes = palloc(Max(reading->n, 1) * sizeof(Lane));

	ages->heap = binaryheap_allocate(Max(reading->n, 1), compare_in_heap, NULL);
	for (int i = 0; i < reading->n; i++)
	{
		lanes[i] = reading->lanes[i];
		binaryheap_add_unordered(ages->heap, PointerGetDatum(&lanes[i]));
	}
	binaryheap_build(ages->heap);
	MemoryContextSwitchTo(old);
}

/*
 * Reads the lanes anew, and keeps more of them than the scan did before, if that was
 * not enough.
 */
static void
read_anew(JobqOldest *scan)
{
	JobqAges   *ages = scan->ages;
	Reading		reading = {ages, scan->most == 0 ? MOST_LANES : scan->most * 4};

	forget(ages);
	ages->context = AllocSetContextCreate(TopMemoryContext, "jobq ages",
										  ALLOCSET_DEFAULT_SIZES);
	ages->read_at = scan->now;
	ages->is_cut = false;
	reading.lanes = palloc_extended(2 * reading.most * sizeof(Lane),
									MCXT_ALLOC_HUGE);
	/* what this command has changed is to be seen as it is now */
	CommandCounterIncrement();
	jobq_dispatch_refresh(&scan->dispatch);
	read_lanes(&reading, scan);
	cut(&reading);
	make_heap(&reading);
	pfree(reading.lanes);
	scan->most = reading.most;
}

/* See oldest.h. */
void
jobq_oldest_begin(JobqOldest *scan, JobqTable *jobs, const JobqQueue *queue,
				  TimestampTz now)
{
	scan->ages = find_ages(queue->id);
	scan->now = now;
	scan->most = 0;
	/* after an error while it was made, or the clock was set back */
	if (scan->ages->heap == NULL || scan->ages->read_at > now)
		forget(scan->ages);
	scan->ages->moved = true;
	CommandCounterIncrement();
	jobq_dispatch_begin(&scan->dispatch, jobs, queue);
}

/* See oldest.h. */
void
jobq_oldest_end(JobqOldest *scan)
{
	jobq_dispatch_end(&scan->dispatch);
}

/* Whether there may be older jobs than the lane's in lanes that are not known. */
static bool
is_beyond(const JobqAges *ages, const Lane *lane)
{
	JobqKey		age = age_of(lane);

	return age.run_at > ages->read_at ||
		(ages->is_cut && !jobq_key_is_less(&age, &ages->cut));
}

/* The lane whose oldest job may be the oldest of all; NULL: it is in none of them. */
static Lane *
first_lane(const JobqAges *ages)
{
	Lane	   *lane;

	if (ages->heap == NULL || binaryheap_empty(ages->heap))
		return NULL;
	lane = (Lane *) DatumGetPointer(binaryheap_first(ages->heap));
	return is_beyond(ages, lane) ? NULL : lane;
}

/* Finds the oldest pending job of a lane; false if none is due. */
static bool
read_first(JobqOldest *scan, const Lane *lane, JobqHead *head)
{
	JobqDispatchScan *dispatch = &scan->dispatch;

	jobq_dispatch_turn_to(dispatch, NULL, lane->group);
	if (lane->mirrored)
		jobq_dispatch_seek_back(dispatch, lane->priority, &lane->position);
	else
		jobq_dispatch_seek_lane(dispatch, lane->priority, &lane->position);
	while (lane->mirrored ? jobq_dispatch_previous(dispatch, head) :
		   jobq_dispatch_next(dispatch, head))
	{
		if (jobq_run_at_real(head->place.key.run_at) > scan->now)
			break;
		if (head->state == JOBQ_STATE_PENDING)
			return true;
	}
	return false;
}

/* The lane's first job is at the key, or has been given: passed. */
static void
move_lane(JobqAges *ages, Lane *lane, const JobqKey *key, bool passed)
{
	lane->position = *key;
	if (passed && lane->mirrored && key->id > PG_INT64_MIN)
		lane->position.id--;
	else if (passed && !lane->mirrored && key->id < PG_INT64_MAX)
		lane->position.id++;
	binaryheap_replace_first(ages->heap, PointerGetDatum(lane));
}

/* See oldest.h. */
bool
jobq_oldest_next(JobqOldest *scan, JobqHead *head)
{
	JobqAges   *ages = scan->ages;

	for (;;)
	{
		Lane	   *lane = first_lane(ages);

		if (lane == NULL)
		{
			if (scan->most > 0 && !ages->is_cut)
				return false;
			read_anew(scan);
			continue;
		}
		if (!read_first(scan, lane, head))
		{
			(void) binaryheap_remove_first(ages->heap);
			continue;
		}
		move_lane(ages, lane, &head->place.key, false);
		if (first_lane(ages) != lane)
			continue;
		move_lane(ages, lane, &head->place.key, true);
		return true;
	}
}

/* Jobs that were dropped come back, to where the lanes have passed. */
static void
note_rollback(void)
{
	for (int i = 0; i < NUM_AGES; i++)
	{
		if (all_ages[i].moved)
			all_ages[i].heap = NULL;
	}
}

static void
at_transaction_end(XactEvent event)
{
	if (event == XACT_EVENT_ABORT)
		note_rollback();
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT &&
		event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < NUM_AGES; i++)
		all_ages[i].moved = false;
}

static void
at_subtransaction_end(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		note_rollback();
}

/* See oldest.h. */
void
jobq_oldest_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_OLDEST,
						 JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
}
