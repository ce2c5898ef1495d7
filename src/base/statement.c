/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  SQL statements of jobq's own, by SPI.
 *
 * IDENTIFICATION
 *	  src/base/statement.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/statement.h"

#include "base/rights.h"

#include "executor/spi.h"

uint64
jobq_statement_run(const char *sql, int nargs, Oid *types, Datum *values)
{
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	return SPI_processed;
}

uint64
jobq_statement_query(const char *sql, int nargs, Oid *types, Datum *values)
{
	JobqElevation elevation;

	jobq_elevate(&elevation);
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, true,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", sql);
	jobq_restore(&elevation);
	return SPI_processed;
}
