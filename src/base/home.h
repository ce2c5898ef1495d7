/*-------------------------------------------------------------------------
 *
 * home.h
 *	  Telling an installation from a copy of it.
 *
 * IDENTIFICATION
 *	  src/base/home.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HOME_H
#define JOBQ_HOME_H

#include "executor/tuptable.h"

extern int64 jobq_home_identifier(void);

/*
 * Whether a row is this database's own, and did not come with a copy; from its
 * columns system_identifier and database, or their numbers.
 */
extern bool jobq_home_is(Datum system_identifier, Datum database);
extern bool jobq_row_is_at_home(TupleTableSlot *row, AttrNumber system_identifier,
								AttrNumber database);

#endif							/* JOBQ_HOME_H */
