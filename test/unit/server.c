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
#include "shared/clock.h"
#include "shared/database.h"
#include "shared/group.h"
#include "shared/lane_memory.h"
#include "shared/limit_state.h"
#include "shared/rate.h"
#include "shared/wake.h"

#include "miscadmin.h"

#include "check.h"

Oid			MyDatabaseId = InvalidOid;
JobqShared *jobq_shared = NULL;
int			locks_held = 0;
LWLock	   *test_lock = NULL;
static LWLock limit_lock;
LWLock	   *test_limit_lock = &limit_lock;
TimestampTz test_now = 1000;
void		(*at_release) (void) = NULL;

HTAB	   *jobq_shared_groups = NULL;

static JobqPool lane_pool;
static JobqPool ring_pool;
static JobqPool group_ring_pool;
static LWLock group_lock;
static bool group_lock_is_held = false;

/* In place of a hash table. */
static JobqGroup *groups = NULL;
static bool *group_used = NULL;
static int	max_groups = 0;
static int	ngroups = 0;

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

void
start_groups(int room, int nrings)
{
	free(groups);
	free(group_used);
	free(group_ring_pool.pieces);
	groups = calloc(room, sizeof(JobqGroup));
	group_used = calloc(room, sizeof(bool));
	max_groups = room;
	ngroups = 0;
	jobq_pool_init(&group_ring_pool,
				   malloc((nrings + 1) * JOBQ_RING_BYTES(JOBQ_GROUP_CAPACITY)),
				   nrings, JOBQ_RING_BYTES(JOBQ_GROUP_CAPACITY));
}

TimestampTz
jobq_now(void)
{
	return test_now;
}

/* For rates of groups. */
TimestampTz
jobq_rates_since(TimestampTz now)
{
	return 0;
}

TimestampTz
jobq_rate_start(const JobqRateStart *starts, int n)
{
	return test_now;
}

JobqPool *
jobq_area_pool(JobqArea area)
{
	return area == JOBQ_AREA_LANES ? &lane_pool :
		area == JOBQ_AREA_RINGS ? &ring_pool : &group_ring_pool;
}

long
jobq_area_room(JobqArea area)
{
	return max_groups;
}

long
hash_get_num_entries(HTAB * table)
{
	return ngroups;
}

void *
hash_search(HTAB * table, const void *key, HASHACTION action, bool *found)
{
	int			unused = -1;
	bool		ignored;

	if (found == NULL)
		found = &ignored;
	*found = false;
	CHECK(locks_held >= 2, "groups are looked for without the locks");
	for (int i = 0; i < max_groups; i++)
	{
		if (!group_used[i])
			unused = i;
		else if (memcmp(&groups[i].key, key, sizeof(JobqGroupKey)) == 0)
		{
			if (action == HASH_REMOVE)
			{
				group_used[i] = false;
				ngroups--;
			}
			*found = true;
			return &groups[i];
		}
	}
	if (action != HASH_ENTER_NULL || unused < 0)
		return NULL;
	memset(&groups[unused], 0xee, sizeof(JobqGroup));
	memcpy(&groups[unused].key, key, sizeof(JobqGroupKey));
	group_used[unused] = true;
	ngroups++;
	return &groups[unused];
}

LWLock *
jobq_lock(int which)
{
	return &group_lock;
}

uint32 *
jobq_role_counter(uint32 * counters, Oid role)
{
	return &counters[role % JOBQ_ROLE_COUNTERS];
}

void
jobq_wake_for_queue_at(JobqQueueState *state, TimestampTz when)
{
	CHECK(locks_held == 0, "the coordinator is woken under a lock");
	if (when < (TimestampTz) pg_atomic_read_u64(&state->next_look))
		pg_atomic_write_u64(&state->next_look, (uint64) when);
}

/* No limit is shared here: these are not called. */
JobqDatabase *jobq_database_mine = NULL;

JobqDatabase *
jobq_database_find_mine(void)
{
	abort();
}

void
jobq_wake_at(JobqDatabase *database, TimestampTz when)
{
	abort();
}

bool
jobq_wake_lower_time(pg_atomic_uint64 * time, TimestampTz when)
{
	abort();
}

LWLock *
jobq_limit_state_lock(const JobqLimitState *state)
{
	return test_limit_lock;
}

bool
LWLockAcquire(LWLock * lock, LWLockMode mode)
{
	CHECK(locks_held == 0 || (locks_held == 1 && lock == test_limit_lock) ||
		  (!group_lock_is_held && lock == &group_lock),
		  "a lock is taken under another one");
	locks_held++;
	group_lock_is_held = lock == &group_lock;
	return true;
}

void
LWLockRelease(LWLock * lock)
{
	CHECK(locks_held > 0 && group_lock_is_held == (lock == &group_lock),
		  "a lock is released that is not held");
	locks_held--;
	group_lock_is_held = false;
	if (locks_held == 0 && at_release != NULL)
	{
		void		(*other_process) (void) = at_release;

		at_release = NULL;
		other_process();
	}
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
