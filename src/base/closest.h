/*-------------------------------------------------------------------------
 *
 * closest.h
 *	  The name most similar to one that does not exist, for hints.
 *
 * IDENTIFICATION
 *	  src/base/closest.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CLOSEST_H
#define JOBQ_CLOSEST_H

/* The search for it. */
typedef struct JobqClosest
{
	const char *wanted;
	int			distance;		/* of names from here on: not similar */
	const char *name;			/* the result; NULL: none is similar */
} JobqClosest;

/* Begins to look for a name; false if it is too long to be compared. */
extern bool jobq_closest_begin(JobqClosest *closest, const char *wanted);

/* Considers a name, and copies it if it is the most similar one so far. */
extern void jobq_closest_consider(JobqClosest *closest, const char *name);

#endif							/* JOBQ_CLOSEST_H */
