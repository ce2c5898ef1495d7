/*-------------------------------------------------------------------------
 *
 * server.h
 *	  As much of a server as src/shared needs in a test program.
 *
 * IDENTIFICATION
 *	  test/unit/server.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SERVER_H
#define SERVER_H

#include "shared/shmem.h"

/* Make shared memory with pools of that many lanes and rings, and no other. */
extern void start_server(int nlanes, int nrings);

/* The same for groups: room for that many, and for that many of their rings. */
extern void start_groups(int ngroups, int nrings);

/*
 * Locks that are held: at most one at a time, that of a limit under it, and that of
 * groups under these.
 */
extern int	locks_held;

/* What the clock says. */
extern TimestampTz test_now;

/* A lock for streams. */
extern LWLock * test_lock;

/* The lock of a limit. */
extern LWLock * test_limit_lock;

/* What another process does as soon as no lock is held, once; NULL: nothing. */
extern void (*at_release) (void);

#endif							/* SERVER_H */
