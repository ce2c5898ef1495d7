/*-------------------------------------------------------------------------
 *
 * server.c
 *	  As much of a server as src/shared needs in a test program.
 *
 * There is one process, so locks are counted and nothing else.
 *
 * IDENTIFICATION
 *	  test/unit/server.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "server.h"

#include "shared/area.h"
#include "shared/lane.h"

#include "check.h"

JobqShared *jobq_shared = NULL;
int			locks_held = 0;
LWLock	   *test_lock = NULL;

static JobqPool lane_pool;
static JobqPool ring_pool;

void
start_server(int nlanes, int nrings)
{
	static LWLock lock;

	test_lock = &lock;
	free(jobq_shared);
	free(lane_pool.pieces);
	free(ring_pool.pieces);
	jobq_shared = calloc(1, sizeof(JobqShared));
	SpinLockInit(&jobq_shared->lane_mutex);
	jobq_pool_init(&lane_pool, malloc(nlanes * sizeof(JobqLane)), nlanes,
				   sizeof(JobqLane));
	jobq_pool_init(&ring_pool,
				   malloc(nrings * JOBQ_RING_BYTES(JOBQ_LANE_CAPACITY)),
				   nrings, JOBQ_RING_BYTES(JOBQ_LANE_CAPACITY));
	jobq_lane_startup();
}

JobqPool *
jobq_area_pool(JobqArea area)
{
	return area == JOBQ_AREA_LANES ? &lane_pool : &ring_pool;
}

uint32 *
jobq_role_counter(uint32 * counters, Oid role)
{
	return &counters[role % JOBQ_ROLE_COUNTERS];
}

bool
LWLockAcquire(LWLock * lock, LWLockMode mode)
{
	CHECK(locks_held == 0, "a lock is taken under another one");
	locks_held++;
	return true;
}

void
LWLockRelease(LWLock * lock)
{
	CHECK(locks_held == 1, "a lock is released that is not held");
	locks_held--;
}

int
s_lock(volatile slock_t * lock, const char *file, int line, const char *func)
{
	CHECK(false, "%s:%d: a spinlock is held", file, line);
	abort();
}

bool
ItemPointerEquals(ItemPointer a, ItemPointer b)
{
	return ItemPointerGetBlockNumberNoCheck(a) == ItemPointerGetBlockNumberNoCheck(b) &&
		ItemPointerGetOffsetNumberNoCheck(a) == ItemPointerGetOffsetNumberNoCheck(b);
}
