/*-------------------------------------------------------------------------
 *
 * index_place.c
 *	  A place in a btree index on a time.
 *
 * IDENTIFICATION
 *	  src/base/index_place.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/index_place.h"

#include "access/itup.h"
#include "access/relscan.h"
#include "utils/timestamp.h"

void
jobq_index_place_before(JobqIndexPlace *place, TimestampTz at)
{
	place->at = at;
	/* no entry has this TID, and all others come after it */
	ItemPointerSet(&place->tid, 0, 0);
}

void
jobq_index_place_read(JobqIndexPlace *place, IndexScanDesc scan,
					  AttrNumber attnum)
{
	bool		isnull;

	place->at = DatumGetTimestampTz(index_getattr(scan->xs_itup, attnum,
												  scan->xs_itupdesc, &isnull));
	place->tid = scan->xs_heaptid;
}

int
jobq_index_place_compare(const JobqIndexPlace *a, const JobqIndexPlace *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return ItemPointerCompare(unconstify(ItemPointerData *, &a->tid),
							  unconstify(ItemPointerData *, &b->tid));
}
