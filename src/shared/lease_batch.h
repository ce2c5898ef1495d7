/*-------------------------------------------------------------------------
 *
 * lease_batch.h
 *	  Entries of the lease registry that share a ticket, since their jobs were
 *	  claimed as a batch.
 *
 * All functions are called with the registry locked.
 *
 * IDENTIFICATION
 *	  src/shared/lease_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_BATCH_H
#define JOBQ_LEASE_BATCH_H

#include "shared/shmem.h"

/* Whether an entry shares its ticket with no other. */
#define jobq_lease_batch_is_alone(entry) ((entry)->next == (entry))

extern void jobq_lease_batch_init(JobqLeaseEntry *entry);

/*
 * Has the entry, and those with which it shares a ticket, share that of another
 * entry, in whose batch it is not yet.
 */
extern void jobq_lease_batch_join(JobqLeaseEntry *entry,
								  JobqLeaseEntry *other);

/*
 * The entry is removed, or loses its ticket.  Returns whether the ticket was not
 * shared: the last one gives it back.
 */
extern bool jobq_lease_batch_leave(JobqLeaseEntry *entry);

/* Of the entries that share the ticket: whether all `ends`, and whether one is there. */
extern bool jobq_lease_batch_ends(const JobqLeaseEntry *entry);
extern bool jobq_lease_batch_has(const JobqLeaseEntry *entry,
								 const JobqLeaseEntry *other);

/* Sets or clears the mark of all that share the ticket that it is lent. */
extern void jobq_lease_batch_set_lent(JobqLeaseEntry *entry, bool lent);
extern void jobq_lease_batch_set_group_lent(JobqLeaseEntry *entry, bool lent);

#endif							/* JOBQ_LEASE_BATCH_H */
