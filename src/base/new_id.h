/*-------------------------------------------------------------------------
 *
 * new_id.h
 *	  Ids of 4 bytes, from a sequence.
 *
 * IDENTIFICATION
 *	  src/base/new_id.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_NEW_ID_H
#define JOBQ_NEW_ID_H

#include "base/schema.h"

/* Where an id is in use: a table, and a unique index of its column. */
typedef struct JobqIdPlace
{
	JobqRelation relation;
	JobqRelation index;
} JobqIdPlace;

/*
 * An id above 0 that is in none of these places.  Does not use nextval(), which
 * would change the caller's lastval().
 */
extern int32 jobq_new_id(JobqRelation sequence, const JobqIdPlace *places,
						 int nplaces);

#endif							/* JOBQ_NEW_ID_H */
