/*-------------------------------------------------------------------------
 *
 * health.h
 *	  What is behind the view jobq.health: checks that add findings.
 *
 * A check is a function that looks at one thing and says what an operator
 * must know of it, to the role that reads the view and as far as that role may
 * know it.  It runs as that role, in its transaction, and changes nothing; it
 * must work on a standby unless health.c's table says that it is not run there.
 *
 * To add a check, write a function like those below, put it into the table in
 * health.c, and its topic into docs/reference.md.
 *
 * IDENTIFICATION
 *	  src/health/health.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_H
#define JOBQ_HEALTH_H

#include "nodes/pg_list.h"

#endif							/* JOBQ_HEALTH_H */
