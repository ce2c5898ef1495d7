/*-------------------------------------------------------------------------
 *
 * area.c
 *	  The areas of memory that share jobq.shared_memory.
 *
 * IDENTIFICATION
 *	  src/shared/area.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/area.h"

#include "guc.h"
#include "shared/shmem.h"

#include "common/hashfn.h"
#include "storage/shmem.h"

/* Shares are parts of jobq.shared_memory, of which it has this many. */
#define SHARES 64

typedef struct Area
{
	const char *name;			/* what it has room for */
	const char *memory;			/* its name in pg_shmem_allocations */
	int			share;
	Size		size;			/* of what a piece holds */
	Size		key_size;		/* of a hash table; 0: the area is a pool */
	HashValueFunc hash;			/* of keys; NULL: of all their bytes */
} Area;

/* Most names are much shorter than the room for them. */
static uint32
hash_group_key(const void *key, Size size)
{
	const JobqGroupKey *group = key;

	return hash_combine(hash_bytes((const unsigned char *) &group->queue,
								   sizeof(group->queue)),
						hash_bytes((const unsigned char *) group->name,
								   strlen(group->name)));
}

/* What the shares leave is for what hash tables need beside their entries. */
static const Area areas[JOBQ_NUM_AREAS] = {
	[JOBQ_AREA_QUEUES] = {
		"queues", "jobq queues", 11,
		sizeof(JobqQueueState), sizeof(JobqEntryKey)
	},
	[JOBQ_AREA_LANES] = {
		"priorities", "jobq lanes", 4, sizeof(JobqLane)
	},
	[JOBQ_AREA_RINGS] = {
		"candidates", "jobq rings", 13, JOBQ_RING_BYTES(JOBQ_LANE_CAPACITY)
	},
	[JOBQ_AREA_LEASES] = {
		"leases", "jobq leases", 20,
		sizeof(JobqLeaseEntry), sizeof(JobqLeaseKey)
	},
	[JOBQ_AREA_LIMITS] = {
		"limits", "jobq limits", 2,
		sizeof(JobqLimitState), sizeof(JobqEntryKey)
	},
	[JOBQ_AREA_GROUPS] = {
		"groups", "jobq groups", 9, sizeof(JobqGroup), sizeof(JobqGroupKey),
		hash_group_key
	},
	[JOBQ_AREA_GROUP_RINGS] = {
		"candidates of groups", "jobq group rings", 4,
		JOBQ_RING_BYTES(JOBQ_GROUP_CAPACITY)
	},
};

/* An area in shared memory. */
static struct
{
	long		room;
	HTAB	   *table;			/* NULL: it is a pool */
	JobqPool   *pool;			/* NULL: it is a hash table */
}			memory[JOBQ_NUM_AREAS];

/* The bytes that a piece takes. */
static Size
piece_size(const Area *area)
{
	return area->key_size > 0 ? area->size + 2 * sizeof(HASHELEMENT) :
		jobq_pool_piece_size(area->size);
}

/* The number of pieces, by the settings. */
static long
count_pieces(const Area *area)
{
	return (Size) jobq_shared_memory * 1024 / SHARES * area->share /
		piece_size(area);
}

/* The bytes of shared memory that an area takes. */
static Size
area_size(const Area *area)
{
	long		n = count_pieces(area);

	if (area->key_size > 0)
		return hash_estimate_size(n, area->size);
	return add_size(MAXALIGN(sizeof(JobqPool)), mul_size(n, piece_size(area)));
}

/* See area.h. */
Size
jobq_areas_size(void)
{
	Size		size = 0;

	for (int i = 0; i < JOBQ_NUM_AREAS; i++)
		size = add_size(size, area_size(&areas[i]));
	return size;
}

static HTAB *
make_table(const Area *area)
{
	HASHCTL		info;

	memset(&info, 0, sizeof(info));
	info.keysize = area->key_size;
	info.entrysize = area->size;
	info.hash = area->hash;
	return ShmemInitHash(area->memory, count_pieces(area), count_pieces(area),
						 &info, HASH_ELEM | HASH_FIXED_SIZE |
						 (area->hash == NULL ? HASH_BLOBS : HASH_FUNCTION));
}

static JobqPool *
make_pool(const Area *area)
{
	bool		found;
	JobqPool   *pool = ShmemInitStruct(area->memory, area_size(area), &found);

	if (!found)
		jobq_pool_init(pool, (char *) pool + MAXALIGN(sizeof(JobqPool)),
					   count_pieces(area), area->size);
	return pool;
}

/* See area.h.  Called with AddinShmemInitLock held. */
void
jobq_areas_startup(void)
{
	memset(memory, 0, sizeof(memory));
	for (int i = 0; i < JOBQ_NUM_AREAS; i++)
	{
		memory[i].room = count_pieces(&areas[i]);
		if (areas[i].key_size > 0)
			memory[i].table = make_table(&areas[i]);
		else
			memory[i].pool = make_pool(&areas[i]);
	}
}

/* See area.h. */
long
jobq_area_room(JobqArea area)
{
	return memory[area].room;
}

/* See area.h. */
HTAB *
jobq_area_table(JobqArea area)
{
	return memory[area].table;
}

/* See area.h. */
JobqPool *
jobq_area_pool(JobqArea area)
{
	return memory[area].pool;
}

/* See area.h. */
void
jobq_area_use(JobqArea area, JobqAreaUse *use)
{
	use->name = areas[area].name;
	use->total = memory[area].room;
	use->used = memory[area].table != NULL ?
		hash_get_num_entries(memory[area].table) :
		jobq_pool_used(memory[area].pool);
}

/* See area.h. */
bool
jobq_area_is_full(JobqArea area)
{
	JobqAreaUse use;

	jobq_area_use(area, &use);
	return use.used >= use.total;
}
