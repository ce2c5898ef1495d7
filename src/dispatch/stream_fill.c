/*-------------------------------------------------------------------------
 *
 * stream_fill.c
 *	  Reading what the lanes of a stream have to know from the index.
 *
 * lane.c has the rules.
 *
 * IDENTIFICATION
 *	  src/dispatch/stream_fill.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/stream_fill.h"

#include "shared/lane_refill.h"

/* Above all priorities and no int16. */
#define AFTER_ALL_PRIORITIES (PG_INT16_MAX + 1)

/* What was read of a lane. */
typedef struct Reading
{
	JobqPlace	candidates[JOBQ_LANE_CAPACITY];
	int			n;				/* of them */
	JobqKey		upto;			/* there are no others below */
	int			priority;		/* of the row at which the reading has stopped */
} Reading;

static Reading reading;			/* by the refill under way */

/* The smallest key greater than a job's. */
static JobqKey
key_after(const JobqKey *key)
{
	JobqKey		result = *key;

	if (result.id < PG_INT64_MAX)
		result.id++;
	return result;
}

/*
 * Reads candidates of a lane from the scan, which has come to the lane, up to the first
 * row that belongs to another lane, is ahead, or does not fit in.
 */
static void
read_lane(JobqDispatchScan *scan, const JobqRefill *refill, TimestampTz now)
{
	JobqHead	head;

	reading.n = 0;
	reading.upto = jobq_last_key;
	while (jobq_dispatch_next(scan, &head))
	{
		reading.priority = head.place.priority;
		if (head.place.priority != refill->priority)
			return;
		if (head.place.key.run_at > now ||
			(head.state == JOBQ_STATE_PENDING && reading.n == refill->room))
		{
			reading.upto = head.place.key;
			return;
		}
		if (head.state != JOBQ_STATE_PENDING)
			continue;
		reading.candidates[reading.n++] = head.place;
		if (reading.n == refill->room)
		{
			reading.upto = key_after(&head.place.key);
			return;
		}
	}
	reading.priority = AFTER_ALL_PRIORITIES;
}

/* Ends the scan, and the refill that has read it. */
static void
end_refill(JobqDispatchScan *scan, const JobqRefill *refill)
{
	jobq_dispatch_stop(scan);
	jobq_lane_refill_end(refill, reading.candidates, reading.n, &reading.upto);
}

/*
 * Takes a snapshot to find out about the priorities, and fills the lane of a group that is
 * there already by the same scan: most groups have jobs of one priority, and few of them.
 * Returns the first priority that the scan may not have seen.
 */
static int
fill_first_lane(JobqDispatchScan *scan, TimestampTz now)
{
	JobqRefill	refill;
	bool		fills = scan->stream->is_group &&
	jobq_lane_fill_begin(&refill, scan->stream);

	jobq_dispatch_refresh(scan);
	if (!fills)
		return PG_INT16_MIN;
	jobq_dispatch_seek(scan, PG_INT16_MIN);
	read_lane(scan, &refill, now);
	/* not if the scan has stopped before the lane */
	if (reading.priority < refill.priority)
		reading.upto = refill.from;
	end_refill(scan, &refill);
	return reading.priority == refill.priority ? refill.priority + 1 : reading.priority;
}

/* See stream_fill.h.  Two index descents per priority. */
void
jobq_stream_discover(JobqDispatchScan *scan, TimestampTz now)
{
	uint64		resets = jobq_lanes_discover_begin(scan->stream);
	int			priority = fill_first_lane(scan, now);
	JobqHead	head;

	while (priority <= PG_INT16_MAX)
	{
		jobq_dispatch_seek(scan, (int16) priority);
		if (scan->stream->crowded || !jobq_dispatch_next(scan, &head))
			break;
		jobq_lanes_discover(scan->stream, resets, head.place.priority);
		priority = head.place.priority + 1;
	}
	jobq_dispatch_stop(scan);
	jobq_lanes_discover_end(scan->stream, resets);
}

/* See stream_fill.h. */
bool
jobq_stream_refill(JobqDispatchScan *scan, int16 priority, TimestampTz now)
{
	JobqRefill	refill;

	if (!jobq_lane_refill_begin(&refill, scan->stream, priority))
		return false;
	jobq_dispatch_refresh(scan);
	jobq_dispatch_seek_lane(scan, priority, &refill.from);
	read_lane(scan, &refill, now);
	end_refill(scan, &refill);
	return refill.room > 0;
}
