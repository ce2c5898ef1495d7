/*-------------------------------------------------------------------------
 *
 * visit.h
 *	  Reading all rows that have a value in an indexed column.
 *
 * IDENTIFICATION
 *	  src/base/visit.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_VISIT_H
#define JOBQ_VISIT_H

#include "base/schema.h"

#include "access/attnum.h"

/* Called for each row that was read; the values last until it returns. */
typedef void (*JobqValuesVisitor) (void *arg, const Datum *values,
								   const bool *nulls);

/* Which column has to have the value. */
typedef struct JobqLookup
{
	JobqRelation relation;
	JobqRelation index;			/* the column is its first one */
	AttrNumber	column;			/* its number in the relation */
	RegProcedure equals;		/* function of the type's operator = */
} JobqLookup;

/*
 * All see everything committed and this transaction's own changes, and work
 * in parallel workers.
 */
extern void jobq_visit_rows(const JobqLookup *lookup, Datum value,
							JobqValuesVisitor visit, void *arg);
extern int	jobq_visit_some_rows(const JobqLookup *lookup, Datum value, int max,
								 JobqValuesVisitor visit, void *arg);
extern void jobq_visit_all_rows(JobqRelation relation,
								JobqValuesVisitor visit, void *arg);

#endif							/* JOBQ_VISIT_H */
