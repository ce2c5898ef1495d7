/*-------------------------------------------------------------------------
 *
 * fire_place.h
 *	  A place among an owner's schedules.
 *
 * The index on owners has two parts for each of them: schedules that are due at
 * their next_run, and those whose run is due and waits for the end of the
 * previous one's job.  Both are in the order of next_run, then id.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_place.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FIRE_PLACE_H
#define JOBQ_FIRE_PLACE_H

#include "access/genam.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"

/* The parts; the numbers are the values of the column "waits". */
typedef enum JobqFirePart
{
	JOBQ_FIRE_DUE = 0,
	JOBQ_FIRE_WAITING = 1,
	JOBQ_FIRE_PARTS
} JobqFirePart;

/* Columns of the index on owners. */
enum
{
	JOBQ_FIRE_COL_OWNER = 1,
	JOBQ_FIRE_COL_WAITS,
	JOBQ_FIRE_COL_NEXT_RUN,
	JOBQ_FIRE_COL_ID
};

/* The place of an entry; those of one row are in the order of their TIDs. */
typedef struct JobqFirePlace
{
	TimestampTz next_run;
	int64		id;
	ItemPointerData tid;
} JobqFirePlace;

/*
 * The place before all entries of a time: DT_NOBEGIN: before all of them;
 * JOBQ_NEVER: after all that may be due.
 */
extern void jobq_fire_place_before(JobqFirePlace *place, TimestampTz next_run);

/* The place of the entry that an index-only scan has met last. */
extern void jobq_fire_place_read(JobqFirePlace *place, IndexScanDesc scan);

/* Below, at or above 0, as for qsort(). */
extern int	jobq_fire_place_compare(const JobqFirePlace *a,
									const JobqFirePlace *b);

#endif							/* JOBQ_FIRE_PLACE_H */
