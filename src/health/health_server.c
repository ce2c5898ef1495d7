/*-------------------------------------------------------------------------
 *
 * health_server.c
 *	  Findings about what keeps rows and segments of history from being
 *	  removed, and about replication.
 *
 * Dead rows of finished jobs are removed when no snapshot needs them.  A
 * session, a prepared transaction, a replication slot or a standby that holds
 * back the xmin horizon for a long time makes the table of jobs grow and slows
 * down claims.  A segment of history is truncated when nobody has a lock on it.
 *
 * Transactions have a start time; slots and standbys do not, and are judged by
 * how many transactions they are behind.  VACUUM is excluded, since it holds
 * nothing back, as is the transaction that reads the view.
 *
 * Sessions of other roles are not described unless the reader may see them in
 * pg_stat_activity.
 *
 * IDENTIFICATION
 *	  src/health/health_server.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_server.h"

#include "base/extension.h"
#include "base/statement.h"
#include "guc.h"
#include "job/retention.h"
#include "shared/shmem.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

/* Age from which a commit that waits for a standby is reported. */
#define SYNC_WAIT_AGE (10 * USECS_PER_SEC)

/* Columns of the queries of holders. */
enum
{
	COL_OBJECT = 1,
	COL_ROLE,					/* whose it is; null: nobody's */
	COL_WHAT,
	COL_SINCE,
	COL_HINT					/* if the query has it */
};

/* How to end the session a, which may be an executor with the job of slot w. */
#define SESSION_HINT(setting) \
" CASE WHEN w.job_id IS NOT NULL THEN pg_catalog.format(" \
"'Cancel its job with jobq.cancel(%s), or give the queue a timeout.', w.job_id)" \
" ELSE pg_catalog.format('End it, if necessary with pg_terminate_backend(%s)%s.'," \
" a.pid, CASE WHEN a.state OPERATOR(pg_catalog.=) ANY (" \
"'{idle in transaction,idle in transaction (aborted)}')" \
" THEN '" setting "' END) END"

/* The session itself, likewise. */
#define SESSION_WHAT \
"'pid ' || a.pid, a.usesysid," \
" pg_catalog.format('a transaction of role \"%s\", application \"%s\", %s,'," \
" a.usename, a.application_name, CASE WHEN w.job_id IS NOT NULL THEN" \
" pg_catalog.format('job %s', w.job_id) ELSE coalesce(a.state, a.backend_type) END)," \
" a.xact_start,"

/* $1 is the time before which a transaction is old. */
static const char sessions_query[] =
"SELECT " SESSION_WHAT
SESSION_HINT("; see idle_in_transaction_session_timeout")
" FROM pg_catalog.pg_stat_activity AS a"
" LEFT JOIN jobq_store.worker_slots() AS w ON w.pid = a.pid"
" WHERE a.datid = (SELECT d.oid FROM pg_catalog.pg_database AS d"
" WHERE d.datname = pg_catalog.current_database())"
" AND a.pid <> pg_catalog.pg_backend_pid()"
" AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)"
" AND a.xact_start < $1 AND a.backend_start < $1"
" AND a.backend_type <> 'autovacuum worker'"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v"
" WHERE v.pid = a.pid)"
" ORDER BY a.xact_start LIMIT $2";

/* $1 is the number of transactions behind from which a horizon is old. */
static const char slots_query[] =
"SELECT 'slot ' || s.slot_name, NULL::pg_catalog.oid,"
" pg_catalog.format('%s replication slot \"%s\", %s transactions behind,',"
" CASE WHEN s.active THEN 'an active' ELSE 'an inactive' END,"
" s.slot_name, pg_catalog.age(s.xmin)), NULL::timestamptz"
" FROM pg_catalog.pg_replication_slots AS s"
" WHERE pg_catalog.age(s.xmin) >= $1"
" UNION ALL "
"SELECT 'standby ' || r.application_name, r.usesysid,"
" pg_catalog.format('a standby (pid %s, application \"%s\") with"
" hot_standby_feedback, %s transactions behind,',"
" r.pid, r.application_name, pg_catalog.age(r.backend_xmin)),"
" NULL::timestamptz"
" FROM pg_catalog.pg_stat_replication AS r"
" WHERE pg_catalog.age(r.backend_xmin) >= $1"
" LIMIT $2";

/*
 * Prepared transactions p older than $1, with their roles r; and the condition
 * that p has a lock l on table $3.  A prepared transaction's locks are those of
 * the holder of the lock on its transaction ID.
 */
#define OLD_PREPARED \
" FROM pg_catalog.pg_prepared_xacts AS p" \
" LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = p.owner" \
" WHERE p.database = pg_catalog.current_database() AND p.prepared < $1"

#define PREPARED_HAS_LOCK(condition) \
" EXISTS (SELECT FROM pg_catalog.pg_locks AS l" \
" JOIN pg_catalog.pg_locks AS x ON x.virtualtransaction = l.virtualtransaction" \
" WHERE l.locktype = 'relation' AND l.relation = $3 AND l.pid IS NULL" condition \
" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d" \
" WHERE d.datname = p.database)" \
" AND x.locktype = 'transactionid' AND x.transactionid = p.transaction" \
" AND x.pid IS NULL)"

/*
 * $1 is the time before which a transaction is old, $3 the table of jobs.  A
 * transaction that has only read it has AccessShareLock.
 */
static const char prepared_query[] =
"SELECT p.gid, r.oid, CASE WHEN"
PREPARED_HAS_LOCK(" AND l.mode <> 'AccessShareLock'")
" THEN 'holds jobs, and' END, p.prepared"
OLD_PREPARED
" ORDER BY p.prepared LIMIT $2";

/* The holders of locks on $3, a segment of history; $1 as above. */
static const char lockers_query[] =
"SELECT 'prepared transaction ' || p.gid, r.oid,"
" pg_catalog.format('a prepared transaction of role \"%s\"', p.owner),"
" p.prepared AS since, 'Use COMMIT PREPARED or ROLLBACK PREPARED.'"
OLD_PREPARED " AND" PREPARED_HAS_LOCK("")
" UNION ALL "
"SELECT " SESSION_WHAT
SESSION_HINT("")
" FROM pg_catalog.pg_locks AS l"
" JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid"
" LEFT JOIN jobq_store.worker_slots() AS w ON w.pid = a.pid"
" WHERE l.locktype = 'relation' AND l.relation = $3 AND l.granted"
" AND l.database = a.datid AND a.xact_start < $1"
" ORDER BY since LIMIT $2";

/* Commits that have been waiting for a synchronous standby since before $1. */
static const char sync_query[] =
"SELECT 'synchronous_standby_names', NULL::pg_catalog.oid,"
" pg_catalog.format('%s commits are waiting for a synchronous standby (\"%s\"), and"
" their changes,', pg_catalog.count(*),"
" pg_catalog.current_setting('synchronous_standby_names')),"
" pg_catalog.min(a.xact_start)"
" FROM pg_catalog.pg_stat_activity AS a"
" WHERE a.wait_event = 'SyncRep' AND a.xact_start < $1"
" HAVING pg_catalog.count(*) > 0 LIMIT $2";

/* Publications with tables of the schema of table $3, and subscriptions. */
static const char publications_query[] =
"SELECT p.pubname, NULL::pg_catalog.oid,"
" CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END, NULL::timestamptz"
" FROM pg_catalog.pg_publication AS p, (SELECT t.relnamespace AS oid"
" FROM pg_catalog.pg_class AS t WHERE t.oid = $3) AS n"
" WHERE (p.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel AS r"
" JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid"
" WHERE r.prpubid = p.oid AND c.relnamespace = n.oid)"
" OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace AS s"
" WHERE s.pnpubid = p.oid AND s.pnnspid = n.oid))"
" AND $1 IS NOT NULL ORDER BY 1 LIMIT $2";

static const char subscriptions_query[] =
"SELECT s.subname, NULL::pg_catalog.oid, NULL::text, NULL::timestamptz"
" FROM pg_catalog.pg_subscription AS s"
" WHERE s.oid IN (SELECT r.srsubid FROM pg_catalog.pg_subscription_rel AS r"
" JOIN pg_catalog.pg_class AS c ON c.oid = r.srrelid"
" WHERE c.relnamespace = (SELECT t.relnamespace FROM pg_catalog.pg_class AS t"
" WHERE t.oid = $3)) AND $1 IS NOT NULL ORDER BY 1 LIMIT $2";

/* A row of one of the queries. */
typedef struct Holder
{
	char	   *object;
	char	   *what;			/* NULL: nothing to say */
	char	   *hint;			/* NULL: the query gives none */
	TimestampTz since;
	bool		visible;		/* to the reader */
} Holder;

static Holder
read_holder(const JobqHealth *health, uint64 row)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Holder		holder;
	bool		isnull;
	Datum		datum;

	holder.object = SPI_getvalue(tuple, desc, COL_OBJECT);
	holder.what = SPI_getvalue(tuple, desc, COL_WHAT);
	holder.hint = desc->natts < COL_HINT ? NULL :
		SPI_getvalue(tuple, desc, COL_HINT);
	datum = SPI_getbinval(tuple, desc, COL_SINCE, &isnull);
	holder.since = isnull ? JOBQ_NEVER : DatumGetTimestampTz(datum);
	datum = SPI_getbinval(tuple, desc, COL_ROLE, &isnull);
	holder.visible = health->sees_sessions ||
		(!isnull && has_privs_of_role(health->reader,
									  DatumGetObjectId(datum)));
	return holder;
}

/* Transactions that began before this time, by the server's clock, are old. */
static Datum
old_before(void)
{
	return TimestampTzGetDatum(GetCurrentTimestamp() -
							   jobq_health_transaction_age * USECS_PER_SEC);
}

/*
 * Runs a query with all privileges; it contains nothing of the reader's.  $1 is
 * a timestamptz or an integer, $2 is JOBQ_HEALTH_MAX_OBJECTS, $3 a relation.
 */
static uint64
execute(const char *query, Oid type, Datum limit, Oid relation)
{
	Oid			types[] = {type, INT8OID, OIDOID};
	Datum		values[] = {limit, Int64GetDatum(JOBQ_HEALTH_MAX_OBJECTS),
	ObjectIdGetDatum(relation)};

	return jobq_statement_query(query, OidIsValid(relation) ? 3 : 2, types,
								values);
}

/* Adds one row for the holders that the reader may not see. */
static void
report_hidden(JobqHealth *health, const char *topic, int count,
			  const char *message)
{
	if (count > 0)
		jobq_health_add(health,
						.severity = JOBQ_WARNING,
						.topic = topic,
						.message = message,
						.hint = "Members of pg_read_all_stats can see whose they are.");
}

/*
 * Adds a finding for each row of a query.  `hint` is for rows without one.
 * Returns the number of rows that the reader may not see.
 */
static int
report_holders(JobqHealth *health, const char *topic, uint64 nrows,
			   const char *consequence, const char *hint)
{
	int			hidden = 0;

	for (uint64 i = 0; i < nrows; i++)
	{
		Holder		holder = read_holder(health, i);

		if (holder.visible)
			jobq_health_add(health,
							.severity = JOBQ_WARNING,
							.topic = topic,
							.object = holder.object,
							.message = psprintf("%s %s", holder.what, consequence),
							.hint = holder.hint != NULL ? holder.hint : hint,
							.since = holder.since);
		else
			hidden++;
	}
	return hidden;
}

/* Checks whether the xmin horizon is held back. */
void
jobq_health_check_horizon(JobqHealth *health)
{
	static const char consequence[] =
	"keeps dead rows of finished jobs from being removed";
	int			hidden;
	uint64		nrows;

	SPI_connect();
	nrows = execute(sessions_query, TIMESTAMPTZOID,
					old_before(),
					InvalidOid);
	hidden = report_holders(health, "horizon", nrows, consequence, NULL);
	nrows = execute(slots_query, INT4OID,
					Int32GetDatum(JOBQ_HEALTH_HORIZON_XIDS), InvalidOid);
	hidden += report_holders(health, "horizon", nrows, consequence,
							 "If the consumer of the slot will not come back, drop the slot. For a standby, end its long-running queries or turn off its hot_standby_feedback.");
	report_hidden(health, "horizon", hidden,
				  "transactions, slots or standbys of other roles keep dead rows of finished jobs from being removed");
	SPI_finish();
}

/* Whether prepared transactions have been forgotten. */
void
jobq_health_check_prepared(JobqHealth *health)
{
	static const char topic[] = "prepared transaction";
	int			hidden = 0;
	uint64		nrows;

	SPI_connect();
	nrows = execute(prepared_query, TIMESTAMPTZOID,
					old_before(),
					jobq_relation_oid(JOBQ_REL_JOB));
	for (uint64 i = 0; i < nrows; i++)
	{
		Holder		holder = read_holder(health, i);

		if (holder.visible)
			jobq_health_add(health,
							.severity = JOBQ_WARNING,
							.topic = topic,
							.object = holder.object,
							.message = psprintf("the transaction is prepared, %s keeps dead rows from being removed",
												holder.what != NULL ? holder.what : "and"),
							.hint = "Use COMMIT PREPARED or ROLLBACK PREPARED.",
							.since = holder.since);
		else
			hidden++;
	}
	report_hidden(health, topic, hidden,
				  "prepared transactions of other roles keep dead rows from being removed");
	SPI_finish();
}

/* Whether commits hang because no synchronous standby answers. */
void
jobq_health_check_sync_replication(JobqHealth *health)
{
	TimestampTz before = GetCurrentTimestamp() - SYNC_WAIT_AGE;
	uint64		nrows;

	SPI_connect();
	nrows = execute(sync_query, TIMESTAMPTZOID, TimestampTzGetDatum(before),
					InvalidOid);
	for (uint64 i = 0; i < nrows; i++)
	{
		Holder		holder = read_holder(health, i);

		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "synchronous replication",
						.object = holder.object,
						.message = psprintf("%s including jobs added or finished, are not visible yet",
											holder.what),
						.hint = "Bring the standby back, or take it out of synchronous_standby_names and reload the configuration.",
						.since = holder.since);
	}
	SPI_finish();
}

/* Whether the tables of jobq are in logical replication. */
void
jobq_health_check_logical(JobqHealth *health)
{
	Oid			relation = jobq_relation_oid(JOBQ_REL_JOB);
	Datum		now = TimestampTzGetDatum(health->now);
	uint64		nrows;

	SPI_connect();
	nrows = execute(subscriptions_query, TIMESTAMPTZOID, now, relation);
	for (uint64 i = 0; i < nrows; i++)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "logical replication",
						.object = read_holder(health, i).object,
						.message = "the subscription writes to the tables of jobq, so jobs of this database will fail or be lost",
						.hint = "Remove schema jobq_store from the publication and use ALTER SUBSCRIPTION ... REFRESH PUBLICATION.");
	nrows = execute(publications_query, TIMESTAMPTZOID, now, relation);
	for (uint64 i = 0; i < nrows; i++)
	{
		Holder		holder = read_holder(health, i);

		if (holder.what != NULL)
			jobq_health_add(health,
							.severity = JOBQ_INFO,
							.topic = "logical replication",
							.object = holder.object,
							.message = "the publication is for all tables, including those of jobq: a subscriber that has jobq must not subscribe to it",
							.hint = "Publish only the tables or schemas of applications.");
		else
			jobq_health_add(health,
							.severity = JOBQ_WARNING,
							.topic = "logical replication",
							.object = holder.object,
							.message = "the publication includes tables of jobq, which are useless to a subscriber and damage its own jobs",
							.hint = "Remove the tables of schema jobq_store from it.");
	}
	SPI_finish();
}

/*
 * Whether a transaction keeps the oldest segment of history from being
 * emptied.
 */
void
jobq_health_check_history(JobqHealth *health)
{
	static const char consequence[] =
	"keeps the oldest segment of history from being emptied";
	int			segment;

	SPI_connect();
	segment = jobq_history_overdue_segment(health->now);
	if (segment >= 0)
	{
		uint64		nrows;
		int			hidden;

		nrows = execute(lockers_query, TIMESTAMPTZOID,
						old_before(),
						jobq_relation_oid(JOBQ_REL_HISTORY_0 + segment));
		hidden = report_holders(health, "history", nrows, consequence, NULL);
		report_hidden(health, "history", hidden,
					  "transactions of other roles keep the oldest segment of history from being emptied");
	}
	SPI_finish();
}
