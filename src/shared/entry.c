/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  How an entry of a queue, or of a limit, lives in shared memory.
 *
 * The first process that needs an entry makes it; it lives until what it stands for
 * is dropped, and the last ticket and pin are given back.  Otherwise another queue
 * could get the entry: its gate would be wrong, and processes that look for jobs of
 * the first one would remove its candidates.
 *
 * A pointer that is kept too long may point to another one's entry.  So a process
 * that has drawn a ticket, or has pinned the entry, asks jobq_entry_is_of()
 * afterwards.
 *
 * IDENTIFICATION
 *	  src/shared/entry.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/entry.h"

#include "shared/rate.h"

static JobqEntries *
entries_of(const JobqEntryKind *kind)
{
	return (JobqEntries *) ((char *) jobq_shared + kind->entries);
}

static void
lock(const JobqEntryKind *kind, LWLockMode mode)
{
	LWLockAcquire(jobq_lock(kind->lock), mode);
}

static void
unlock(const JobqEntryKind *kind)
{
	LWLockRelease(jobq_lock(kind->lock));
}

/* Looks up an entry, or makes one, under the lock. */
static JobqEntry *
search(const JobqEntryKind *kind, const JobqEntryKey *key, HASHACTION action,
	   bool *found)
{
	return hash_search(jobq_area_table(kind->area), key, action, found);
}

static JobqEntryKey
key_of(int32 id)
{
	return (JobqEntryKey)
	{
		.dboid = MyDatabaseId,.id = id
	};
}

/* Whether a role may have one more entry; under the lock. */
static bool
has_room(const JobqEntryKind *kind, Oid role)
{
	long		left = jobq_area_room(kind->area) -
	hash_get_num_entries(jobq_area_table(kind->area));

	return left > 0 && *jobq_role_counter(entries_of(kind)->roles, role) < left;
}

/* See entry.h. */
JobqEntry *
jobq_entry_find(const JobqEntryKind *kind, int32 id)
{
	JobqEntryKey key = key_of(id);
	JobqEntry  *entry;

	lock(kind, LW_SHARED);
	entry = search(kind, &key, HASH_FIND, NULL);
	unlock(kind);
	return entry;
}

/* See entry.h. */
JobqEntry *
jobq_entry_find_or_make(const JobqEntryKind *kind, int32 id, Oid owner)
{
	JobqEntryKey key = key_of(id);
	JobqEntry  *entry = jobq_entry_find(kind, id);
	bool		found;

	if (entry != NULL)
		return entry;
	lock(kind, LW_EXCLUSIVE);
	entry = search(kind, &key,
				   has_room(kind, owner) ? HASH_ENTER_NULL : HASH_FIND, &found);
	if (entry != NULL && !found)
	{
		entry->role = owner;
		(*jobq_role_counter(entries_of(kind)->roles, owner))++;
		kind->make(entry);
		entry->dropped = false;
	}
	entries_of(kind)->lack_room = entry == NULL;
	unlock(kind);
	return entry;
}

/* See entry.h. */
bool
jobq_entry_may_be_made(const JobqEntryKind *kind, int32 id, Oid owner)
{
	JobqEntryKey key = key_of(id);
	bool		result;

	lock(kind, LW_SHARED);
	result = has_room(kind, owner) ||
		search(kind, &key, HASH_FIND, NULL) != NULL;
	unlock(kind);
	return result;
}

/* See entry.h. */
void
jobq_entry_open_gates(JobqGate *gate, JobqRate *rate)
{
	jobq_rate_learn(rate, 0);
	if (jobq_gate_is_empty(gate))
		(void) jobq_gate_count_end(gate, jobq_gate_count_begin(gate));
}

/* Whether an entry that is gone can be removed. */
static bool
is_unused(const JobqEntryKind *kind, JobqEntry *entry)
{
	return kind->is_unused(entry) && pg_atomic_read_u32(&entry->pins) == 0;
}

/* Removes an entry that is gone and unused; under the lock. */
static void
remove_entry(const JobqEntryKind *kind, JobqEntry *entry)
{
	Assert(entry->dropped);
	(*jobq_role_counter(entries_of(kind)->roles, entry->role))--;
	entries_of(kind)->lack_room = false;
	(void) search(kind, &entry->key, HASH_REMOVE, NULL);
}

/*
 * What the entry stands for is gone; under the lock.  Gives it a key that no other
 * has, since after CREATE EXTENSION a queue or limit may get this id again.  The key is
 * changed before `dropped` is set, for the process that gives back the last ticket.
 */
static void
end_entry(const JobqEntryKind *kind, JobqEntry *entry)
{
	JobqEntryKey key = entry->key;

	if (kind->end != NULL)
		kind->end(entry);
	do
		key.ended = ++entries_of(kind)->ended;
	while (key.ended == 0 ||
		   !hash_update_hash_key(jobq_area_table(kind->area), entry, &key));
	pg_write_barrier();
	entry->dropped = true;
	pg_memory_barrier();
	if (is_unused(kind, entry))
		remove_entry(kind, entry);
}

/* See entry.h. */
void
jobq_entry_forget(const JobqEntryKind *kind, int32 id)
{
	JobqEntryKey key = key_of(id);
	JobqEntry  *entry;

	lock(kind, LW_EXCLUSIVE);
	entry = search(kind, &key, HASH_FIND, NULL);
	if (entry != NULL)
		end_entry(kind, entry);
	unlock(kind);
}

/* See entry.h. */
void
jobq_entries_forget(const JobqEntryKind *kind, Oid dboid)
{
	HASH_SEQ_STATUS status;
	JobqEntry  *entry;

	lock(kind, LW_EXCLUSIVE);
	hash_seq_init(&status, jobq_area_table(kind->area));
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.dboid == dboid && !entry->dropped)
			end_entry(kind, entry);
		else if (entry->key.dboid == dboid && is_unused(kind, entry))
			remove_entry(kind, entry);
	}
	unlock(kind);
}

/*
 * See entry.h.  Another process may have done that already, and the entry may be
 * another one's.
 */
void
jobq_entry_remove_if_unused(const JobqEntryKind *kind, const JobqEntry *seen)
{
	JobqEntryKey key;
	JobqEntry  *entry;

	lock(kind, LW_EXCLUSIVE);
	key = seen->key;
	entry = search(kind, &key, HASH_FIND, NULL);
	if (entry == seen && entry->dropped && is_unused(kind, entry))
		remove_entry(kind, entry);
	unlock(kind);
}
