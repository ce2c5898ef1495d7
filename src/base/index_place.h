/*-------------------------------------------------------------------------
 *
 * index_place.h
 *	  A place in a btree index on a time.
 *
 * A scan that stops for now continues there.  Entries of one time are in the
 * order of their TIDs, so that none is met twice.
 *
 * IDENTIFICATION
 *	  src/base/index_place.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_INDEX_PLACE_H
#define JOBQ_INDEX_PLACE_H

#include "access/genam.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"

typedef struct JobqIndexPlace
{
	TimestampTz at;
	ItemPointerData tid;
} JobqIndexPlace;

/* The place before all entries of a time. */
extern void jobq_index_place_before(JobqIndexPlace *place, TimestampTz at);

/*
 * The place of the entry that an index-only scan has met last; the time is the
 * index's column `attnum`.
 */
extern void jobq_index_place_read(JobqIndexPlace *place, IndexScanDesc scan,
								  AttrNumber attnum);

/* Below, at or above 0, as for qsort(). */
extern int	jobq_index_place_compare(const JobqIndexPlace *a,
									 const JobqIndexPlace *b);

#endif							/* JOBQ_INDEX_PLACE_H */
