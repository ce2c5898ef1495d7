/*-------------------------------------------------------------------------
 *
 * sequence.c
 *	  Consecutive numbers from a sequence.
 *
 * nextval() gives one number at a time, and looks up, opens and checks the
 * sequence for each, which would make enqueue_many() a seventh slower.  This
 * does the same to the sequence's page (nextval_internal() in
 * commands/sequence.c) for any number of values at once.  Both may be used on
 * the same sequence at the same time: the lock on the page's buffer keeps them
 * apart, and the page keeps the count of numbers covered by WAL in the same
 * way.
 *
 * IDENTIFICATION
 *	  src/base/sequence.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/sequence.h"

#include "compat.h"
#include "shared/note.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/*
 * One WAL record covers this many numbers beyond those that are taken.  A
 * crash skips at most this many.
 */
#define LOGGED_AHEAD 256

/* Writes a sequence's tuple to the WAL, in the state for after a crash. */
static void
log_sequence(Relation rel, Buffer buffer, const void *tuple, int length)
{
	xl_seq_rec	record;
	XLogRecPtr	lsn;

	JOBQ_SET_SEQUENCE_LOCATOR(record, rel);
	XLogBeginInsert();
	XLogRegisterBuffer(0, buffer, REGBUF_WILL_INIT);
	XLogRegisterData((char *) &record, sizeof(record));
	XLogRegisterData((char *) tuple, length);
	lsn = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
	PageSetLSN(BufferGetPage(buffer), lsn);
}

int64
jobq_sequence_take(Oid relid, int count)
{
	/* kept to the end of the transaction, as by nextval() */
	Relation	rel = relation_open(relid, RowExclusiveLock);
	Buffer		buffer = ReadBuffer(rel, 0);
	Page		page = BufferGetPage(buffer);
	ItemId		item;
	HeapTupleHeader tuple;
	Form_pg_sequence_data data;
	int64		first;
	int64		last;
	int64		ahead;
	bool		logged;

	Assert(count > 0);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	item = PageGetItemId(page, FirstOffsetNumber);
	tuple = (HeapTupleHeader) PageGetItem(page, item);
	data = (Form_pg_sequence_data) ((char *) tuple + tuple->t_hoff);
	first = data->last_value + (data->is_called ? 1 : 0);
	if (first > PG_INT64_MAX - LOGGED_AHEAD - count)
		ereport(ERROR,
				(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
				 errmsg("sequence \"%s\" is exhausted",
						RelationGetRelationName(rel))));
	last = first + count - 1;

	/*
	 * After a checkpoint the page is logged again: recovery may begin after
	 * the record that covers its numbers.
	 */
	logged = data->is_called && data->log_cnt >= count &&
		PageGetLSN(page) > GetRedoRecPtr();
	ahead = logged ? data->log_cnt - count : LOGGED_AHEAD;
	if (!logged && RelationNeedsWAL(rel))
	{
		/*
		 * the commit of a transaction that uses the numbers flushes the
		 * record
		 */
		GetTopTransactionId();
	}

	START_CRIT_SECTION();
	MarkBufferDirty(buffer);
	data->is_called = true;
	if (!logged && RelationNeedsWAL(rel))
	{
		data->last_value = last + ahead;
		data->log_cnt = 0;
		log_sequence(rel, buffer, tuple, ItemIdGetLength(item));
	}
	data->last_value = last;
	data->log_cnt = ahead;
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	return first;
}
