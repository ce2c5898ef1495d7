/*-------------------------------------------------------------------------
 *
 * entry.h
 *	  Entries of shared memory of which tickets are drawn: queues, and the limits
 *	  that they share.
 *
 * entry.c says how an entry lives.  Nothing here allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/entry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ENTRY_H
#define JOBQ_ENTRY_H

#include "shared/area.h"
#include "shared/shmem.h"

#include "miscadmin.h"

/* Queues, or limits.  The functions are called under the lock of the kind. */
typedef struct JobqEntryKind
{
	JobqArea	area;			/* a hash table; its entries begin with a
								 * JobqEntry */
	int			lock;			/* of the table */
	Size		entries;		/* where their JobqEntries is in JobqShared */

	/*
	 * Prepares a new entry.  A process with an old pointer may have a ticket
	 * that it is about to give back.
	 */
	void		(*make) (JobqEntry *entry);
	void		(*end) (JobqEntry *entry);	/* it is gone; NULL: nothing to do */
	bool		(*is_unused) (JobqEntry *entry);	/* no ticket is out */
} JobqEntryKind;

/* The entry of this database with that id; NULL if there is none. */
extern JobqEntry *jobq_entry_find(const JobqEntryKind *kind, int32 id);

/*
 * The same, which is made if necessary; NULL if there is no room.  A role gets at
 * most as many entries as are free, so that one alone gets half of them, and a role
 * without entries finds room.
 */
extern JobqEntry *jobq_entry_find_or_make(const JobqEntryKind *kind, int32 id,
										  Oid owner);

/* Whether that would find an entry by now, or make one; a hint. */
extern bool jobq_entry_may_be_made(const JobqEntryKind *kind, int32 id,
								   Oid owner);

/*
 * What the entry stands for is gone.  If tickets are out, or it is pinned, it stays
 * until the last of them is given back.
 */
extern void jobq_entry_forget(const JobqEntryKind *kind, int32 id);

/* The same of all in a database that was dropped, or gets the extension anew. */
extern void jobq_entries_forget(const JobqEntryKind *kind, Oid dboid);

/* After something was given back: removes an entry that is gone and unused. */
extern void jobq_entry_remove_if_unused(const JobqEntryKind *kind,
										const JobqEntry *seen);

/* For an entry of which no job runs or has started: its gates need no count. */
extern void jobq_entry_open_gates(JobqGate *gate, JobqRate *rate);

/* Whether an entry of which the caller has a ticket, or a pin, is still that one. */
static inline bool
jobq_entry_is_of(const JobqEntry *entry, int32 id)
{
	return entry->key.id == id && entry->key.dboid == MyDatabaseId &&
		!entry->dropped;
}

static inline void
jobq_entry_unpin(const JobqEntryKind *kind, JobqEntry *entry)
{
	if (pg_atomic_fetch_sub_u32(&entry->pins, 1) == 1 && entry->dropped)
		jobq_entry_remove_if_unused(kind, entry);
}

/*
 * Keeps the entry from being reused; false if that has happened already, or what it
 * stood for is gone.
 */
static inline bool
jobq_entry_pin(const JobqEntryKind *kind, JobqEntry *entry, int32 id)
{
	(void) pg_atomic_fetch_add_u32(&entry->pins, 1);
	if (jobq_entry_is_of(entry, id))
		return true;
	jobq_entry_unpin(kind, entry);
	return false;
}

/*
 * Gives back tickets of the entry's gate.  Returns whether somebody was turned away
 * for want of them, and is to be woken.
 */
static inline bool
jobq_entry_leave(const JobqEntryKind *kind, JobqEntry *entry, JobqGate *gate,
				 uint32 tickets)
{
	bool		empty;
	bool		starved = jobq_gate_leave(gate, tickets, &empty);

	/* from here on the entry may be another one's */
	if (!empty || !entry->dropped)
		return starved;
	jobq_entry_remove_if_unused(kind, entry);
	return false;
}

#endif							/* JOBQ_ENTRY_H */
