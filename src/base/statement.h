/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  SQL statements of jobq's own, by SPI.
 *
 * All need an SPI connection and an active snapshot, take arguments that are not
 * NULL, leave rows in SPI_tuptable, and return their number.  A failure that SPI
 * reports is an internal error.
 *
 * IDENTIFICATION
 *	  src/base/statement.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_STATEMENT_H
#define JOBQ_STATEMENT_H

/* Runs a statement as the current user. */
extern uint64 jobq_statement_run(const char *sql, int nargs, Oid *types,
								 Datum *values);

/*
 * Runs a SELECT that changes nothing as the extension's owner, so that it sees
 * more than the current user may.
 */
extern uint64 jobq_statement_query(const char *sql, int nargs, Oid *types,
								   Datum *values);

#endif							/* JOBQ_STATEMENT_H */
