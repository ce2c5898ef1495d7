/*-------------------------------------------------------------------------
 *
 * large_row.c
 *	  Moving large rows in the coordinator.
 *
 * Nothing limits the size of a payload, and the time to move a row to another table
 * grows with its values.  Those stored out of line are not decompressed, but each
 * byte is read, and written to the table and to WAL.  Others wait meanwhile, so large
 * rows are moved one at a time, with a pause after each that depends on the time it
 * took.  The tasks share the pause.
 *
 * IDENTIFICATION
 *	  src/job/large_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/large_row.h"

#include "shared/clock.h"

#include "access/detoast.h"

/* Rows with more bytes are large. */
#define LARGE_BYTES (1024 * 1024)

/* How much longer the pause is than the move, and its minimum length. */
#define PAUSE_FACTOR 9
#define MIN_PAUSE (10 * INT64CONST(1000))

static bool moving = false;		/* a large row, since */
static int64 began;				/* this time, by jobq_stopwatch() */
static TimestampTz ended = DT_NOBEGIN;	/* the last one */
static TimestampTz pause_ends = DT_NOBEGIN;

Size
jobq_row_bytes(TupleTableSlot *row)
{
	TupleDesc	desc = row->tts_tupleDescriptor;
	Size		bytes = 0;

	slot_getallattrs(row);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attlen == -1 && !row->tts_isnull[i])
			bytes += toast_datum_size(row->tts_values[i]);
	}
	return bytes;
}

bool
jobq_large_row_waits(Size bytes, TimestampTz now, TimestampTz *again)
{
	/* the clock may have been set back */
	if (bytes <= LARGE_BYTES || now >= pause_ends ||
		now < ended - USECS_PER_MINUTE)
		return false;
	*again = pause_ends;
	return true;
}

void
jobq_large_row_begin(Size bytes)
{
	moving = bytes > LARGE_BYTES;
	if (moving)
		began = jobq_stopwatch();
}

void
jobq_large_row_end(void)
{
	if (!moving)
		return;
	ended = jobq_now();
	pause_ends = ended +
		Max((jobq_stopwatch() - began) * PAUSE_FACTOR, MIN_PAUSE);
	moving = false;
}
