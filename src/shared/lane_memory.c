/*-------------------------------------------------------------------------
 *
 * lane_memory.c
 *	  The memory of lanes and rings: pools that all streams share.
 *
 * IDENTIFICATION
 *	  src/shared/lane_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/lane_memory.h"

#include "shared/area.h"

/*
 * A role has at most this number of rings for each that it leaves free: alone it can use
 * most of them, which only make claims quicker, and another role still finds some.
 */
#define RINGS_PER_FREE 3

static JobqPool *lane_pool = NULL;
static JobqPool *ring_pools[2] = {NULL, NULL};	/* for queues, for groups */
JobqLane   *jobq_lanes = NULL;

/* Called by startup.c, after the areas are made. */
void
jobq_lane_startup(void)
{
	lane_pool = jobq_area_pool(JOBQ_AREA_LANES);
	ring_pools[false] = jobq_area_pool(JOBQ_AREA_RINGS);
	ring_pools[true] = jobq_area_pool(JOBQ_AREA_GROUP_RINGS);
	jobq_lanes = lane_pool->pieces;
}

/*
 * Takes a lane from the pool; NULL if there is none for the role.  A role gets
 * no more lanes than it leaves free.  The lane is not initialized.
 */
JobqLane *
jobq_lane_allocate(Oid role)
{
	uint32	   *taken = jobq_role_counter(jobq_shared->lane_roles, role);
	JobqLane   *lane = NULL;

	SpinLockAcquire(&jobq_shared->lane_mutex);
	if (*taken < (uint32) lane_pool->nfree)
	{
		lane = jobq_pool_take(lane_pool);
		(*taken)++;
	}
	SpinLockRelease(&jobq_shared->lane_mutex);
	return lane;
}

/* Gives a lane back, which must have been removed from its stream's list. */
void
jobq_lane_free(JobqLane *lane, Oid role)
{
	uint32	   *taken = jobq_role_counter(jobq_shared->lane_roles, role);

	SpinLockAcquire(&jobq_shared->lane_mutex);
	jobq_pool_give(lane_pool, lane);
	(*taken)--;
	SpinLockRelease(&jobq_shared->lane_mutex);
}

/* How many rings of that kind the stream's role has. */
static uint32 *
rings_of(const JobqStream *stream)
{
	return jobq_role_counter(jobq_shared->ring_roles[stream->is_group],
							 stream->role);
}

/*
 * Gives the lane an empty ring unless it has one.  If there is none for its role, the
 * lane stays without a ring, and the next ring that becomes empty is freed.
 */
void
jobq_lane_want_ring(const JobqStream *stream, JobqLane *lane)
{
	JobqPool   *pool = ring_pools[stream->is_group];
	JobqRing   *ring = NULL;
	uint32	   *taken;

	if (lane->ring != NULL)
		return;
	taken = rings_of(stream);
	SpinLockAcquire(&jobq_shared->lane_mutex);
	if (*taken < (uint32) pool->nfree * RINGS_PER_FREE)
	{
		ring = jobq_pool_take(pool);
		(*taken)++;
	}
	SpinLockRelease(&jobq_shared->lane_mutex);
	if (ring == NULL)
	{
		pg_atomic_write_u32(&jobq_shared->rings_wanted[stream->is_group], 1);
		return;
	}
	jobq_ring_init(ring, stream->is_group ? JOBQ_GROUP_CAPACITY :
				   JOBQ_LANE_CAPACITY);
	lane->ring = ring;
}

/*
 * Gives the lane's ring back, if it has one.  Candidates in it are lost: the
 * caller has made sure that there are none, or forgets the lane.
 */
void
jobq_lane_free_ring(const JobqStream *stream, JobqLane *lane)
{
	uint32	   *taken;

	if (lane->ring == NULL)
		return;
	taken = rings_of(stream);
	SpinLockAcquire(&jobq_shared->lane_mutex);
	jobq_pool_give(ring_pools[stream->is_group], lane->ring);
	(*taken)--;
	SpinLockRelease(&jobq_shared->lane_mutex);
	lane->ring = NULL;
	pg_atomic_write_u32(&jobq_shared->rings_wanted[stream->is_group], 0);
}

/* Whether a ring was wanted but not free, and none has been freed since. */
bool
jobq_lanes_lack_rings(bool of_groups)
{
	return pg_atomic_read_u32(&jobq_shared->rings_wanted[of_groups]) != 0;
}
