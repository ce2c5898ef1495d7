/*-------------------------------------------------------------------------
 *
 * lease_number.c
 *	  The numbers of leases, none of which is ever used twice.
 *
 * Numbers come in blocks of LEASES_PER_BLOCK.  A block is a value of the
 * sequence lease_block_seq; it is used only after the WAL of the sequence's
 * page has been flushed, since a claim may be handed out before it is durable,
 * and after a crash the same number must not be given out again.
 *
 * A flush on this server says nothing about a standby that lags, a backup that
 * is recovered to an earlier point in time, or a copy of the data directory:
 * there the sequence is behind numbers that have been given out already.  So
 *
 * - the first block that a server takes after its start or promotion begins at
 * the current time (in seconds, times TIMELINES) if the sequence is behind it.
 * A second's claims do not use up a block, so the sequence runs slower than the
 * time, and every block taken before, here or where this server's data comes
 * from, is lower;
 *
 * - a block's number, modulo TIMELINES, is that of the server's timeline.  So a
 * promoted server and the one that it has replaced never share a block,
 * whatever their clocks say, and even if both keep running;
 *
 * - numbers begin at random within a block, for copies that are started on the
 *   same timeline in the same second.
 *
 * Until the year 2242, numbers stay below 2^53, so that a double holds them
 * exactly.
 *
 * IDENTIFICATION
 *	  src/base/lease_number.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/lease_number.h"

#include "base/extension.h"
#include "base/rights.h"
#include "shared/database.h"

#include "access/relation.h"
#include "access/xlog.h"
#include "commands/sequence.h"
#include "common/pg_prng.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define LEASES_PER_BLOCK (INT64CONST(1) << 16)
#define TIMELINES 16

/* A clock further ahead than this is ignored. */
#define MAX_SECONDS (INT64CONST(1) << 33)

/* The least block that may be the first one taken since the start. */
static int64
block_of_present_time(void)
{
	int64		seconds = (int64) timestamptz_to_time_t(GetCurrentTimestamp());

	return seconds > 0 && seconds < MAX_SECONDS ? seconds * TIMELINES : 0;
}

/* The least block of this timeline from `block` on. */
static int64
block_of_timeline(int64 block)
{
	int64		wanted = GetWALInsertionTimeLine() % TIMELINES;

	return block + (wanted - block % TIMELINES + TIMELINES) % TIMELINES;
}

/*
 * A block whose allocation is on disk, `least` or a higher one.
 *
 * nextval() alone writes WAL only for every 32nd value, and none at all for
 * the first ones after CREATE DATABASE ... TEMPLATE has copied the sequence's
 * page, so that a crash would make it start again where the copy was.
 * setval() always does.  The lock keeps others from getting a value between
 * the two calls.
 */
static int64
allocate_block(int64 least)
{
	Oid			relid = jobq_relation_oid(JOBQ_SEQ_LEASE_BLOCK);
	JobqElevation elevation;
	Relation	rel;
	Buffer		buffer;
	XLogRecPtr	lsn;
	int64		block;

	LockRelationOid(relid, ShareUpdateExclusiveLock);
	block = block_of_timeline(Max(nextval_internal(relid, false), least));
	jobq_elevate(&elevation);
	(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(relid),
							   Int64GetDatum(block));
	jobq_restore(&elevation);

	rel = relation_open(relid, NoLock);
	buffer = ReadBuffer(rel, 0);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	lsn = PageGetLSN(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	XLogFlush(lsn);
	UnlockRelationOid(relid, ShareUpdateExclusiveLock);
	return block;
}

int64
jobq_lease_new(void)
{
	JobqDatabase *database = jobq_database();
	int64		lease = 0;
	int64		least;
	int64		block;
	bool		known;

	SpinLockAcquire(&database->mutex);
	if (database->lease_next < database->lease_end)
		lease = database->lease_next++;
	known = database->lease_block_known;
	least = database->lease_block + 1;
	SpinLockRelease(&database->mutex);
	if (lease != 0)
		return lease;

	if (!known)
		least = Max(least, block_of_present_time());
	block = allocate_block(least);
	lease = block * LEASES_PER_BLOCK +
		(int64) pg_prng_uint64_range(&pg_global_prng_state, 0,
									 LEASES_PER_BLOCK / 2);
	SpinLockAcquire(&database->mutex);
	database->lease_block_known = true;
	database->lease_block = Max(database->lease_block, block);
	database->lease_next = lease + 1;
	database->lease_end = (block + 1) * LEASES_PER_BLOCK;
	SpinLockRelease(&database->mutex);
	return lease;
}

/*
 * Gives up the block in use.  The next one is above it, even if the
 * extension is dropped and created again within a second.
 */
void
jobq_lease_blocks_changed(void)
{
	JobqDatabase *database = jobq_database();

	SpinLockAcquire(&database->mutex);
	database->lease_block_known = false;
	database->lease_next = 0;
	database->lease_end = 0;
	SpinLockRelease(&database->mutex);
}
