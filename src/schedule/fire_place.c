/*-------------------------------------------------------------------------
 *
 * fire_place.c
 *	  A place among an owner's schedules.
 *
 * IDENTIFICATION
 *	  src/schedule/fire_place.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/fire_place.h"

#include "access/itup.h"
#include "access/relscan.h"
#include "utils/timestamp.h"

void
jobq_fire_place_before(JobqFirePlace *place, TimestampTz next_run)
{
	place->next_run = next_run;
	place->id = PG_INT64_MIN;
	/* no entry has this TID, and all others come after it */
	ItemPointerSet(&place->tid, 0, 0);
}

static Datum
column(IndexScanDesc scan, AttrNumber attnum)
{
	bool		isnull;

	return index_getattr(scan->xs_itup, attnum, scan->xs_itupdesc, &isnull);
}

void
jobq_fire_place_read(JobqFirePlace *place, IndexScanDesc scan)
{
	place->next_run = DatumGetTimestampTz(column(scan, JOBQ_FIRE_COL_NEXT_RUN));
	place->id = DatumGetInt64(column(scan, JOBQ_FIRE_COL_ID));
	place->tid = scan->xs_heaptid;
}

int
jobq_fire_place_compare(const JobqFirePlace *a, const JobqFirePlace *b)
{
	if (a->next_run != b->next_run)
		return a->next_run < b->next_run ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return ItemPointerCompare(unconstify(ItemPointerData *, &a->tid),
							  unconstify(ItemPointerData *, &b->tid));
}
