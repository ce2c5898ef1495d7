/*-------------------------------------------------------------------------
 *
 * applied.c
 *	  Prepared transactions that apply workers may finish.
 *
 * There are no more entries in use than prepared transactions, but for those
 * that have just ended, so twice max_prepared_transactions is room enough.
 *
 * IDENTIFICATION
 *	  src/shared/applied.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/applied.h"

#include "shared/shmem.h"

#include "access/twophase.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/procarray.h"
#include "storage/shmem.h"

typedef struct AppliedArray
{
	pg_atomic_uint32 nused;		/* read without the lock by those who only ask
								 * whether there is anything */
	JobqApplied entries[FLEXIBLE_ARRAY_MEMBER];
} AppliedArray;

static AppliedArray *applied_array = NULL;

static int
max_entries(void)
{
	return 2 * max_prepared_xacts;
}

/* See applied.h. */
Size
jobq_applied_size(void)
{
	return add_size(offsetof(AppliedArray, entries),
					mul_size(max_entries(), sizeof(JobqApplied)));
}

/* See applied.h. */
void
jobq_applied_startup(void)
{
	bool		found;

	applied_array = ShmemInitStruct("jobq applied", jobq_applied_size(),
									&found);
	if (found)
		return;
	memset(applied_array, 0, jobq_applied_size());
	pg_atomic_init_u32(&applied_array->nused, 0);
}

/* The XID of a transaction that has not ended, with its epoch. */
static FullTransactionId
widen(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		age = XidFromFullTransactionId(next) - xid;

	return FullTransactionIdFromU64(U64FromFullTransactionId(next) - age);
}

/* Nobody may have looked for billions of transactions, if no worker has run. */
static bool
is_in_progress(FullTransactionId xid)
{
	uint64		age = U64FromFullTransactionId(ReadNextFullTransactionId()) -
	U64FromFullTransactionId(xid);

	return age < PG_INT32_MAX &&
		TransactionIdIsInProgress(XidFromFullTransactionId(xid));
}

/* The entry of a transaction, or else a free one, or NULL.  Under the lock. */
static JobqApplied *
find_place(FullTransactionId xid)
{
	JobqApplied *place = NULL;

	for (int i = 0; i < max_entries(); i++)
	{
		JobqApplied *entry = &applied_array->entries[i];

		if (entry->dboid == MyDatabaseId &&
			FullTransactionIdEquals(entry->xid, xid))
			return entry;
		if (place == NULL && !OidIsValid(entry->dboid))
			place = entry;
	}
	return place;
}

static int
compare_kinds(const void *a, const void *b)
{
	return ((const JobqMark *) a)->kind - ((const JobqMark *) b)->kind;
}

static void
fill(JobqApplied *entry, FullTransactionId xid, const JobqMark *marks, int nmarks)
{
	if (!OidIsValid(entry->dboid))
		pg_atomic_fetch_add_u32(&applied_array->nused, 1);
	entry->dboid = MyDatabaseId;
	entry->xid = xid;
	if (nmarks <= JOBQ_APPLIED_MARKS)
	{
		memcpy(entry->marks, marks, nmarks * sizeof(JobqMark));
		entry->nmarks = nmarks;
		qsort(entry->marks, nmarks, sizeof(JobqMark), compare_kinds);
		return;
	}
	entry->marks[0] = (JobqMark)
	{
		.kind = JOBQ_MARK_ALL
	};
	entry->nmarks = 1;
}

/* See applied.h. */
void
jobq_applied_keep(TransactionId xid, const JobqMark *marks, int nmarks)
{
	FullTransactionId full = widen(xid);
	JobqApplied *place;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_APPLIED), LW_EXCLUSIVE);
	place = find_place(full);
	if (place != NULL)
		fill(place, full, marks, nmarks);
	LWLockRelease(jobq_lock(JOBQ_LOCK_APPLIED));
	if (place == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("too many prepared transactions of subscriptions use jobq"),
				 errhint("Try again, or set max_prepared_transactions higher.")));
}

/* Copies an entry; false: it is not one of this database. */
static bool
read_entry(int i, JobqApplied *copy)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_APPLIED), LW_SHARED);
	*copy = applied_array->entries[i];
	LWLockRelease(jobq_lock(JOBQ_LOCK_APPLIED));
	return copy->dboid == MyDatabaseId;
}

/* Empties an entry, if it still is what the copy shows. */
static bool
remove_entry(int i, const JobqApplied *copy)
{
	JobqApplied *entry = &applied_array->entries[i];
	bool		same;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_APPLIED), LW_EXCLUSIVE);
	same = entry->dboid == copy->dboid &&
		FullTransactionIdEquals(entry->xid, copy->xid);
	if (same)
	{
		entry->dboid = InvalidOid;
		pg_atomic_fetch_sub_u32(&applied_array->nused, 1);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_APPLIED));
	return same;
}

/* See applied.h. */
bool
jobq_applied_take(JobqApplied *applied)
{
	if (pg_atomic_read_u32(&applied_array->nused) == 0)
		return false;
	for (int i = 0; i < max_entries(); i++)
	{
		if (read_entry(i, applied) &&
			!is_in_progress(applied->xid) &&
			remove_entry(i, applied))
			return true;
	}
	return false;
}

/* See applied.h. */
void
jobq_applied_forget_database(Oid dboid)
{
	LWLockAcquire(jobq_lock(JOBQ_LOCK_APPLIED), LW_EXCLUSIVE);
	for (int i = 0; i < max_entries(); i++)
	{
		if (applied_array->entries[i].dboid != dboid)
			continue;
		applied_array->entries[i].dboid = InvalidOid;
		pg_atomic_fetch_sub_u32(&applied_array->nused, 1);
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_APPLIED));
}
