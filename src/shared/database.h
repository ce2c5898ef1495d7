/*-------------------------------------------------------------------------
 *
 * database.h
 *	  The databases in which jobq is used, in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/database.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_DATABASE_H
#define JOBQ_DATABASE_H

#include "nodes/pg_list.h"

#include "shared/shmem.h"

#include "miscadmin.h"

/*
 * Raises 55000 if the library was not preloaded.  Commit callbacks may use
 * jobq_database() after it.
 */
extern void jobq_require_shmem(void);

/*
 * This session's database.  Throws at the first call only, so that commit
 * callbacks can use it.
 */
extern JobqDatabase *jobq_database_mine;	/* the one found last */
extern JobqDatabase *jobq_database_find_mine(void);

static inline JobqDatabase *
jobq_database(void)
{
	if (likely(jobq_database_mine != NULL &&
			   jobq_database_mine->dboid == MyDatabaseId))
		return jobq_database_mine;
	return jobq_database_find_mine();
}

extern JobqDatabase *jobq_database_find(Oid dboid);
extern JobqDatabase *jobq_database_allocate(Oid dboid);
extern JobqDatabase *jobq_database_hold(Oid dboid, uint64 *tenancy);
extern bool jobq_database_release(JobqDatabase *database, uint64 tenancy);
extern List *jobq_databases_known(void);

/* For startup.c. */
extern void jobq_database_initialize(JobqDatabase *database);
extern void jobq_database_reset(JobqDatabase *database, Oid dboid);

#endif							/* JOBQ_DATABASE_H */
