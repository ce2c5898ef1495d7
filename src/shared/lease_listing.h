/*-------------------------------------------------------------------------
 *
 * lease_listing.h
 *	  Leases that are listed from the table, and those that are left out.
 *
 * IDENTIFICATION
 *	  src/shared/lease_listing.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_LISTING_H
#define JOBQ_LEASE_LISTING_H

#include "shared/lease_entry.h"

/* Leases that end later are not listed yet. */
#define JOBQ_LEASE_LISTED_AHEAD (USECS_PER_HOUR)

/* A lease that was found in the table. */
typedef struct JobqLeaseListing
{
	JobqLeaseId id;
	TimestampTz until;
	Oid			role;			/* for which it is counted */
	JobqLeaseTicket ticket;		/* the job gets it if it has none */
	const char *group;			/* the name of its group, NULL: none */
	bool		keep;			/* list it even if it ends late, */
	bool		moves;			/* or just until its new end is listed */
	bool		in_doubt;		/* an open transaction may have ended the job */
} JobqLeaseListing;

/*
 * For lease.c, which lists leases from the table. begin: collects the ends
 * of leases that are left out from now on; end: exactly those left out
 * since then are not listed.
 */
extern void jobq_leases_begin_look(void);
extern void jobq_leases_end_look(void);
extern bool jobq_lease_list(const JobqLeaseListing *lease);

/*
 * Leases have become visible that are not listed, the first of which ends at
 * that time.  For callbacks.
 */
extern void jobq_leases_leave_out(TimestampTz until);

/* The least end of a lease that is not listed. */
extern TimestampTz jobq_leases_unlisted_due(void);

/* A lease that is over will not be found again before that time. */
extern void jobq_lease_put_off(int64 job_id, int64 lease, TimestampTz until);

/* Notes that a lease is not listed; under the lock.  far: it need not be. */
extern void jobq_lease_note_unlisted(TimestampTz until, bool far);

#endif							/* JOBQ_LEASE_LISTING_H */
