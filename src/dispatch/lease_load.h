/*-------------------------------------------------------------------------
 *
 * lease_load.h
 *	  Listing running jobs from the table, and counting them for limits.
 *
 * IDENTIFICATION
 *	  src/dispatch/lease_load.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LEASE_LOAD_H
#define JOBQ_LEASE_LOAD_H

#include "job/job.h"

/* Jobs of a copied database are left alone until start(). */
extern bool jobq_lease_is_at_home(const JobqJob *job);

/* Lists the lease of a running job, on the account of its queue's owner. */
extern bool jobq_lease_enter(const JobqJob *job);

/*
 * Lists all running jobs, and opens the gates that were not counted.  Needs a
 * transaction; reads the whole table of jobs.
 */
extern void jobq_leases_load(void);

/* Looks again at the jobs of entries in doubt, and removes wrong entries. */
extern void jobq_leases_verify(void);

#endif							/* JOBQ_LEASE_LOAD_H */
