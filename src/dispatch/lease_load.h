/*-------------------------------------------------------------------------
 *
 * lease_load.h
 *	  Listing running jobs from the table.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease_load.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_LOAD_H
#define JOBQ_LEASE_LOAD_H

#include "job/job.h"
#include "shared/lease_entry.h"

/* Jobs of a copied database are left alone until start(). */
extern bool jobq_lease_is_at_home(const JobqJob *job);

/* Lists the lease of a running job, on the account of its queue's owner. */
extern bool jobq_lease_enter(const JobqJob *job);

/*
 * The same for a job whose row this transaction is moving to another block, unless it
 * has tickets.  Until now its lease ends at `until`.  False if it still lacks a ticket,
 * for want of room.
 */
extern bool jobq_lease_enter_moved(const JobqJob *job, TimestampTz until);

/*
 * A pass that lists all running jobs, and opens the gates that were not counted.
 * `careful`: a block that raises an error is in no other's way.  `ends`: this is the
 * coordinator, which ends what is over though there is no room to list it.
 */
extern void jobq_leases_load_begin(bool careful, bool ends);

/* One that only looks again at entries in doubt, and removes wrong ones. */
extern void jobq_leases_verify_begin(void);

/*
 * Goes on with the pass until that time of jobq_stopwatch().  Returns whether it has
 * ended; if not, this is called again, in this transaction or in another one.  After
 * an error the next pass begins from the start.
 */
extern bool jobq_leases_load_continue(int64 until);

/* A whole pass at once, for a session without a coordinator. */
extern void jobq_leases_load(void);

#endif							/* JOBQ_LEASE_LOAD_H */
