/*-------------------------------------------------------------------------
 *
 * health.h
 *	  The view jobq.health: checks that add findings.
 *
 * A check is a function that looks at one thing and reports what an operator
 * must know about it, as far as the role that reads the view may know it.  It
 * runs as that role, in its transaction, and changes nothing.  It must work on
 * a standby unless health.c's table says that it does not run there.
 *
 * To add a check, write a function like those below, add it to the table in
 * health.c, and document its topic in docs/reference.md.
 *
 * IDENTIFICATION
 *	  src/health/health.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_H
#define JOBQ_HEALTH_H


#endif							/* JOBQ_HEALTH_H */
