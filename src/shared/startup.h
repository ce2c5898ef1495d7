/*-------------------------------------------------------------------------
 *
 * startup.h
 *	  Making the shared memory of jobq when the server starts.
 *
 * IDENTIFICATION
 *	  src/shared/startup.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_STARTUP_H
#define JOBQ_STARTUP_H

/* Called by _PG_init while the postmaster preloads libraries. */
extern void jobq_startup_init(void);

/*
 * Forgets everything about a database that has been dropped, or in which the
 * extension is created anew: nobody works with jobs there.
 */
extern void jobq_startup_forget_database(Oid dboid);

#endif							/* JOBQ_STARTUP_H */
