/*-------------------------------------------------------------------------
 *
 * first_row.c
 *	  A DestReceiver that keeps the first row of a command.
 *
 * A command may give any number of rows; a job has one result.
 *
 * IDENTIFICATION
 *	  bgworker/executor/first_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/first_row.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

typedef struct FirstRow
{
	DestReceiver pub;
	MemoryContext context;
	TupleDesc	desc;			/* with the names that the command gives */
	bool		found;
	Datum		row;
} FirstRow;

static void
start(DestReceiver *self, int operation, TupleDesc desc)
{
	FirstRow   *first = (FirstRow *) self;
	MemoryContext oldcontext = MemoryContextSwitchTo(first->context);

	if (!first->found)
		first->desc = BlessTupleDesc(CreateTupleDescCopy(desc));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * The row in a slot.  That of a scan which needs no projection has the names of
 * the table's columns, or none.
 */
static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	FirstRow   *first = (FirstRow *) self;
	MemoryContext oldcontext;
	HeapTuple	tuple;

	if (first->found)
		return true;
	oldcontext = MemoryContextSwitchTo(first->context);
	slot_getallattrs(slot);
	tuple = heap_form_tuple(first->desc, slot->tts_values, slot->tts_isnull);
	first->row = heap_copy_tuple_as_datum(tuple, first->desc);
	first->found = true;
	MemoryContextSwitchTo(oldcontext);
	return true;
}

static void
shut_down(DestReceiver *self)
{
}

static void
destroy(DestReceiver *self)
{
}

DestReceiver *
jobq_first_row_receiver(MemoryContext context)
{
	FirstRow   *first = MemoryContextAllocZero(context, sizeof(FirstRow));

	first->pub.receiveSlot = receive;
	first->pub.rStartup = start;
	first->pub.rShutdown = shut_down;
	first->pub.rDestroy = destroy;
	first->pub.mydest = DestNone;
	first->context = context;
	return &first->pub;
}

bool
jobq_first_row_as_jsonb(DestReceiver *receiver, MemoryContext context,
						Datum *result)
{
	FirstRow   *first = (FirstRow *) receiver;
	MemoryContext oldcontext;
	Datum		json;

	if (!first->found)
		return false;
	oldcontext = MemoryContextSwitchTo(context);
	json = DirectFunctionCall1(row_to_json, first->row);
	*result = DirectFunctionCall1(jsonb_in,
								  CStringGetDatum(TextDatumGetCString(json)));
	MemoryContextSwitchTo(oldcontext);
	return true;
}
