/*-------------------------------------------------------------------------
 *
 * prepared.c
 *	  What prepared transactions have to do with jobq.
 *
 * Who finishes one that has changed jobs or queues has others look at
 * everything (hooks.c), which takes time.  One that has not must not do that:
 * anybody can prepare such transactions, a thousand in a second.
 *
 * IDENTIFICATION
 *	  src/service/prepared.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "service/prepared.h"

#include "base/extension.h"
#include "base/statement.h"
#include "jobq.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/*
 * The locks of the prepared transaction $1 are those of who has the lock on its
 * number.  Who only reads has AccessShareLock.
 */
static const char written_query[] =
"SELECT FROM pg_catalog.pg_prepared_xacts AS p"
" JOIN pg_catalog.pg_locks AS x ON x.locktype = 'transactionid'"
" AND x.transactionid = p.transaction AND x.pid IS NULL"
" JOIN pg_catalog.pg_locks AS l ON l.virtualtransaction = x.virtualtransaction"
" AND l.pid IS NULL AND l.locktype = 'relation' AND l.mode <> 'AccessShareLock'"
" JOIN pg_catalog.pg_class AS c ON c.oid = l.relation"
" JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
" WHERE p.gid = $1 AND p.database = pg_catalog.current_database()"
" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d"
" WHERE d.datname = p.database)"
" AND n.nspname = '" JOBQ_STORE_SCHEMA "' LIMIT 1";

/*
 * Whether a prepared transaction of this database has written to the tables of
 * jobq, or locked rows there: then it has locks on them.  Needs a transaction.
 *
 * Should somebody finish it right now, and prepare another one of this name,
 * what that has done is found by the sweep.
 */
bool
jobq_prepared_has_written(const char *gid)
{
	Oid			type = TEXTOID;
	Datum		value;
	bool		result;

	/* nobody knows; there are no lanes then */
	if (!jobq_is_installed())
		return true;
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	value = CStringGetTextDatum(gid);
	result = jobq_statement_query(written_query, 1, &type, &value) > 0;
	SPI_finish();
	PopActiveSnapshot();
	return result;
}
