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

/* Locks that are held; a program with one process has at most one at a time. */
extern int	locks_held;

/* A lock for streams. */
extern LWLock * test_lock;

#endif							/* SERVER_H */
