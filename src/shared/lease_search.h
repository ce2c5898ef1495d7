/*-------------------------------------------------------------------------
 *
 * lease_search.h
 *	  Looking through the registry of leases.
 *
 * IDENTIFICATION
 *	  src/shared/lease_search.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_SEARCH_H
#define JOBQ_LEASE_SEARCH_H

#include "shared/lease_entry.h"

#include "datatype/timestamp.h"

/* Roles are told apart by a hash with this many values. */
#define JOBQ_LEASE_ROLE_SHARES 64

/*
 * Of the leases ended in one transaction, each role first gets this part; the
 * rest goes to all.
 */
#define JOBQ_LEASE_LIMIT_SHARE 8

/* A search for leases that are over. */
typedef struct JobqLeaseSearch
{
	TimestampTz now;
	const JobqQueueState *gate; /* only leases with a ticket of this gate;
								 * NULL: all */
	TimestampTz next;			/* when to look again */
	JobqLeaseId *found;
	int			nfound;
	JobqLeaseId *spare;			/* beyond the share of their role */
	int			nspare;
	int			limit;
	int			taken[JOBQ_LEASE_ROLE_SHARES];	/* of those found, by role */
} JobqLeaseSearch;

/* Looks through the registry. */
extern void jobq_leases_find_over(JobqLeaseSearch *search);

/* The leases that hold a slot of a limit, one of each batch; palloc'd. */
extern JobqLeaseId *jobq_leases_of_limit(const JobqLimitState *limit, long *n);

/* How many claims of this database are listed that are not committed yet. */
extern long jobq_leases_count_open(void);

/* The role with the most entries in the registry. */
typedef struct JobqLeaseUse
{
	Oid			role;
	long		entries;		/* of that role */
	long		total;
	long		room;
} JobqLeaseUse;

/*
 * Whether there was no room for leases of this database that end soon; then
 * *use says which role has most entries in all databases.
 */
extern bool jobq_leases_find_no_room(JobqLeaseUse *use);

#endif							/* JOBQ_LEASE_SEARCH_H */
