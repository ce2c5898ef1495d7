/*-------------------------------------------------------------------------
 *
 * row_holder.c
 *	  Which transaction has locked a row, or is changing it.
 *
 * IDENTIFICATION
 *	  src/base/row_holder.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/row_holder.h"

#include "compat.h"
#include "shared/shmem.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/subtrans.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

/* The PID of a transaction's process, 0: none, or JOBQ_HOLDER_PREPARED. */
int
jobq_transaction_pid(TransactionId xid)
{
	int			pid;

	if (!TransactionIdIsInProgress(xid))
		return 0;
	xid = SubTransGetTopmostTransaction(xid);
	pid = BackendXidGetPid(xid);
	return pid == 0 && TransactionIdIsInProgress(xid) ?
		JOBQ_HOLDER_PREPARED : pid;
}

/* The transaction that has locked, changed or deleted a row version. */
typedef struct Holder
{
	TransactionId xmax;			/* or a multixact; invalid: nobody */
	uint16		infomask;
} Holder;

/* Reads that from the page, which the slot has pinned. */
static Holder
read_holder(TupleTableSlot *slot)
{
	Buffer		buffer = ((BufferHeapTupleTableSlot *) slot)->buffer;
	HeapTupleHeader header = ((HeapTupleTableSlot *) slot)->tuple->t_data;
	Holder		holder;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	holder.xmax = HeapTupleHeaderGetRawXmax(header);
	holder.infomask = header->t_infomask;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if ((holder.infomask & HEAP_XMAX_INVALID) != 0)
		holder.xmax = InvalidTransactionId;
	return holder;
}

/*
 * Whether a running transaction has the row in the slot locked, or is changing
 * or deleting it.  The slot is one that an index or table scan has filled.
 */
bool
jobq_row_is_held(TupleTableSlot *slot)
{
	Holder		holder;

	Assert(TTS_IS_BUFFERTUPLE(slot));
	holder = read_holder(slot);
	if (!TransactionIdIsValid(holder.xmax))
		return false;
	if ((holder.infomask & HEAP_XMAX_IS_MULTI) != 0)
		return MultiXactIdIsRunning(holder.xmax,
									HEAP_XMAX_IS_LOCKED_ONLY(holder.infomask));
	return TransactionIdIsInProgress(holder.xmax);
}

/* The members of a multixact; returns how many. */
static int
members_of(const Holder *holder, MultiXactMember **members)
{
	int			n = GetMultiXactIdMembers(holder->xmax, members, false,
										  HEAP_XMAX_IS_LOCKED_ONLY(holder->infomask));

	return Max(n, 0);
}

static bool
is_of_others(TransactionId xid)
{
	return !TransactionIdIsCurrentTransactionId(xid) &&
		TransactionIdIsInProgress(xid);
}

/* Whether another transaction that is running has locked or changed the row. */
static bool
is_held_by_others(const Holder *holder)
{
	MultiXactMember *members;
	bool		result = false;
	int			n;

	if ((holder->infomask & HEAP_XMAX_IS_MULTI) == 0)
		return is_of_others(holder->xmax);
	n = members_of(holder, &members);
	for (int i = 0; i < n && !result; i++)
		result = is_of_others(members[i].xid);
	if (n > 0)
		pfree(members);
	return result;
}

/* Whether a transaction that has changed the row has committed, or is this one. */
static bool
has_been_changed_by(TransactionId xid)
{
	return TransactionIdIsCurrentTransactionId(xid) ||
		TransactionIdDidCommit(xid);
}

/* Whether one of those who have locked a row version has changed it. */
static bool
has_been_changed(const Holder *holder)
{
	MultiXactMember *members;
	int			n;
	bool		result = false;

	if ((holder->infomask & HEAP_XMAX_IS_MULTI) == 0)
		return has_been_changed_by(holder->xmax);
	n = members_of(holder, &members);
	for (int i = 0; i < n; i++)
	{
		if (ISUPDATE_from_mxstatus(members[i].status))
			result = has_been_changed_by(members[i].xid);
	}
	if (n > 0)
		pfree(members);
	return result;
}

/*
 * Whether the version of a row in the slot, which a snapshot has shown, is still
 * the latest one, and no other transaction holds it.  This one does so if it has
 * locked the row before it wrote this version.  The slot is as for
 * jobq_row_is_held().
 */
bool
jobq_row_is_current(TupleTableSlot *slot)
{
	Holder		holder = read_holder(slot);

	/* this first: what has ended by then has committed or not */
	if (TransactionIdIsValid(holder.xmax) && is_held_by_others(&holder))
		return false;
	holder = read_holder(slot);
	return !TransactionIdIsValid(holder.xmax) ||
		HEAP_XMAX_IS_LOCKED_ONLY(holder.infomask) ||
		!has_been_changed(&holder);
}

/* Reads the header of a row version from the page, which the slot has pinned. */
static void
read_header(TupleTableSlot *slot, HeapTupleHeader header)
{
	Buffer		buffer = ((BufferHeapTupleTableSlot *) slot)->buffer;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(header, ((HeapTupleTableSlot *) slot)->tuple->t_data,
		   SizeofHeapTupleHeader);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}

/*
 * Whether the transaction that has the row in the slot, which was found busy,
 * is deleting it, perhaps after it has changed it.  `version` is another slot of
 * the relation.
 */
bool
jobq_row_is_going(Relation rel, TupleTableSlot *slot, TupleTableSlot *version)
{
	ItemPointerData tid = ((HeapTupleTableSlot *) slot)->tuple->t_self;
	TransactionId xid = InvalidTransactionId;

	while (table_tuple_fetch_row_version(rel, &tid, SnapshotAny, version))
	{
		HeapTupleHeaderData header;

		read_header(version, &header);
		/* the place of what was rolled back may have been taken by another */
		if (TransactionIdIsValid(xid) &&
			!TransactionIdEquals(HeapTupleHeaderGetXmin(&header), xid))
			return false;
		if ((header.t_infomask & HEAP_XMAX_INVALID) != 0 ||
			HEAP_XMAX_IS_LOCKED_ONLY(header.t_infomask))
			return false;
		xid = HeapTupleHeaderGetUpdateXid(&header);
		if (!TransactionIdIsInProgress(xid))
			return false;
		if (ItemPointerEquals(&header.t_ctid, &tid))
			return true;
		tid = header.t_ctid;
	}
	return false;
}

/*
 * The PID of the process that has locked the row in the slot, or is changing or
 * deleting it; 0 if that is not known.  The slot may have a copy of the row.
 */
int
jobq_row_holder(TupleTableSlot *slot)
{
	HeapTupleHeader header;
	TransactionId xmax;
	MultiXactMember *members;
	int			nmembers;
	int			pid = 0;

	if (TTS_EMPTY(slot))
		return 0;
	header = ((HeapTupleTableSlot *) slot)->tuple->t_data;
	xmax = HeapTupleHeaderGetRawXmax(header);
	if ((header->t_infomask & HEAP_XMAX_INVALID) != 0 ||
		!TransactionIdIsValid(xmax))
		return 0;
	if ((header->t_infomask & HEAP_XMAX_IS_MULTI) == 0)
		return jobq_transaction_pid(xmax);
	nmembers = GetMultiXactIdMembers(xmax, &members, false,
									 HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask));
	for (int i = 0; i < nmembers && pid == 0; i++)
		pid = jobq_transaction_pid(members[i].xid);
	if (nmembers > 0)
		pfree(members);
	return pid;
}

/*
 * Whether this transaction is the only running member of a multixact: it
 * has a lock, and a savepoint that changed the row was rolled back.
 */
static bool
is_mine_alone(MultiXactId multi, bool only_locked)
{
	MultiXactMember *members;
	int			nmembers = GetMultiXactIdMembers(multi, &members, false,
												 only_locked);
	bool		mine = false;
	bool		others = false;

	for (int i = 0; i < nmembers; i++)
	{
		if (TransactionIdIsCurrentTransactionId(members[i].xid))
			mine = true;
		else if (TransactionIdIsInProgress(members[i].xid))
			others = true;
	}
	if (nmembers > 0)
		pfree(members);
	return mine && !others;
}

/*
 * Whether this transaction itself has locked the row in the slot.  If the
 * caller does not want to wait, the table access method reports that lock like
 * another transaction's.
 */
bool
jobq_row_is_locked_by_me(TupleTableSlot *slot)
{
	Holder		holder;

	/* the slot has a copy of a row that was locked */
	if (!TTS_IS_BUFFERTUPLE(slot) ||
		!BufferIsValid(((BufferHeapTupleTableSlot *) slot)->buffer))
		return true;
	holder = read_holder(slot);
	if (!TransactionIdIsValid(holder.xmax))
		return false;
	if ((holder.infomask & HEAP_XMAX_IS_MULTI) != 0)
		return is_mine_alone(holder.xmax,
							 HEAP_XMAX_IS_LOCKED_ONLY(holder.infomask));
	return TransactionIdIsCurrentTransactionId(holder.xmax);
}
