/*-------------------------------------------------------------------------
 *
 * area.h
 *	  The areas of memory that share jobq.shared_memory.
 *
 * Each area has room for a number of pieces of one size: the entries of a hash
 * table, or the pieces of a pool.  area.c has the table of the areas and their
 * shares.  Each module deals with an area that is full.
 *
 * IDENTIFICATION
 *	  src/shared/area.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_AREA_H
#define JOBQ_AREA_H

#include "shared/pool.h"

#include "utils/hsearch.h"

typedef enum JobqArea
{
	JOBQ_AREA_QUEUES,			/* hash table of JobqQueueState */
	JOBQ_AREA_LANES,			/* pool of JobqLane */
	JOBQ_AREA_RINGS,			/* pool of JobqRing */
	JOBQ_AREA_LEASES,			/* hash table of JobqLeaseEntry */
	JOBQ_AREA_LIMITS,			/* hash table of JobqLimitState */
	JOBQ_AREA_GROUPS,			/* hash table of JobqGroup */
	JOBQ_AREA_GROUP_RINGS,		/* pool of JobqRing, small ones */
	JOBQ_NUM_AREAS
} JobqArea;

/* How much of an area is in use. */
typedef struct JobqAreaUse
{
	const char *name;			/* what the area has room for, in a word */
	long		used;			/* pieces */
	long		total;
} JobqAreaUse;

/* For startup.c: the bytes to request, and making the areas. */
extern Size jobq_areas_size(void);
extern void jobq_areas_startup(void);

/* The number of pieces that an area has room for. */
extern long jobq_area_room(JobqArea area);

/* The hash table or the pool of an area. */
extern HTAB *jobq_area_table(JobqArea area);
extern JobqPool *jobq_area_pool(JobqArea area);

/* Takes no lock, so that the number of pieces used is a hint. */
extern void jobq_area_use(JobqArea area, JobqAreaUse *use);
extern bool jobq_area_is_full(JobqArea area);

#endif							/* JOBQ_AREA_H */
