/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  Finding the extension, its relations and its owner, and its version.
 *
 * OIDs are cached per backend.  The cache is keyed by the OID of schema
 * jobq_store, which DROP EXTENSION and CREATE EXTENSION change, and is dropped
 * when one of the relations changes, or any schema.
 *
 * Until ALTER EXTENSION UPDATE, a new library meets the SQL and the tables of
 * the previous version.  C reads rows by the numbers of schema.h, so nothing
 * may touch tables of another layout.  All access to them goes through
 * jobq_relation_oid(), which raises an error then; functions that need no
 * table work.  SQL functions find C functions by name, so those are never
 * removed or given another meaning; one whose signature changes gets a new
 * name.
 *
 * IDENTIFICATION
 *	  src/base/extension.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/extension.h"

#include "jobq.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * Versions of the extension whose tables are as in schema.h: this library's,
 * and those before it since the last change of the tables.
 */
static const char *const known_versions[] = {JOBQ_VERSION};

static const char *const relation_names[JOBQ_NUM_RELATIONS] = {
	[JOBQ_REL_SERVICE] = "service",
	[JOBQ_REL_QUEUE] = "queue",
	[JOBQ_REL_QUEUE_GRANT] = "queue_grant",
	[JOBQ_REL_LIMIT_DEF] = "limit_def",
	[JOBQ_REL_GONE_QUEUE] = "gone_queue",
	[JOBQ_REL_GROUP_OPTION] = "group_option",
	[JOBQ_REL_GROUP_STOP] = "group_stop",
	[JOBQ_REL_JOB] = "job",
	[JOBQ_REL_CANCEL_REQUEST] = "cancel_request",
	[JOBQ_REL_HISTORY] = "history",
	[JOBQ_REL_HISTORY_0] = "history_0",
	[JOBQ_REL_HISTORY_0 + 1] = "history_1",
	[JOBQ_REL_HISTORY_0 + 2] = "history_2",
	[JOBQ_REL_HISTORY_0 + 3] = "history_3",
	[JOBQ_REL_HISTORY_0 + 4] = "history_4",
	[JOBQ_REL_HISTORY_0 + 5] = "history_5",
	[JOBQ_REL_HISTORY_0 + 6] = "history_6",
	[JOBQ_REL_HISTORY_7] = "history_7",
	[JOBQ_REL_ATTEMPT] = "attempt",
	[JOBQ_REL_SCHEDULE] = "schedule",
	[JOBQ_REL_SCHEDULE_RUN] = "schedule_run",
	[JOBQ_REL_RATE_START] = "rate_start",
	[JOBQ_IDX_SERVICE] = "service_pkey",
	[JOBQ_IDX_QUEUE] = "queue_pkey",
	[JOBQ_IDX_QUEUE_NAME] = "queue_name_key",
	[JOBQ_IDX_QUEUE_OWNER] = "queue_owner",
	[JOBQ_IDX_QUEUE_RUN] = "queue_run",
	[JOBQ_IDX_QUEUE_ON_DEAD] = "queue_on_dead",
	[JOBQ_IDX_QUEUE_SHARED_LIMIT] = "queue_shared_limit",
	[JOBQ_IDX_QUEUE_GRANT] = "queue_grant_pkey",
	[JOBQ_IDX_QUEUE_GRANT_ROLE] = "queue_grant_role",
	[JOBQ_IDX_LIMIT_DEF] = "limit_def_pkey",
	[JOBQ_IDX_LIMIT_DEF_NAME] = "limit_def_name_key",
	[JOBQ_IDX_LIMIT_DEF_OWNER] = "limit_def_owner",
	[JOBQ_IDX_GONE_QUEUE] = "gone_queue_pkey",
	[JOBQ_IDX_GROUP_OPTION] = "group_option_pkey",
	[JOBQ_IDX_GROUP_STOP] = "group_stop_group",
	[JOBQ_IDX_JOB] = "job_pkey",
	[JOBQ_IDX_JOB_DISPATCH] = "job_dispatch",
	[JOBQ_IDX_JOB_GROUP] = "job_group",
	[JOBQ_IDX_JOB_UNIQUE_KEY] = "job_unique_key",
	[JOBQ_IDX_JOB_EXPIRES_AT] = "job_expires_at",
	[JOBQ_IDX_CANCEL_REQUEST] = "cancel_request_pkey",
	[JOBQ_IDX_HISTORY_KEY_0] = "history_0_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 1] = "history_1_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 2] = "history_2_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 3] = "history_3_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 4] = "history_4_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 5] = "history_5_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_0 + 6] = "history_6_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_HISTORY_KEY_7] = "history_7_queue_unique_key_state_finished_at_idx",
	[JOBQ_IDX_SCHEDULE] = "schedule_pkey",
	[JOBQ_IDX_SCHEDULE_NAME] = "schedule_name_key",
	[JOBQ_IDX_SCHEDULE_OWNER] = "schedule_owner",
	[JOBQ_IDX_SCHEDULE_NEXT_RUN] = "schedule_next_run",
	[JOBQ_IDX_SCHEDULE_RUN] = "schedule_run_pkey",
	[JOBQ_IDX_RATE_START] = "rate_start_group",
	[JOBQ_SEQ_QUEUE_ID] = "queue_id_seq",
	[JOBQ_SEQ_LIMIT_ID] = "limit_id_seq",
	[JOBQ_SEQ_JOB_ID] = "job_id_seq",
	[JOBQ_SEQ_SCHEDULE_ID] = "schedule_id_seq",
	[JOBQ_SEQ_LEASE_BLOCK] = "lease_block_seq",
};

/* InvalidOid: it and the relations must be looked up. */
static Oid	cached_schema = InvalidOid;
static Oid	cached_relations[JOBQ_NUM_RELATIONS];
static uint64 waits = 0;		/* see jobq_relation_waits() */
static bool version_is_checked = false;

/* Invalidation callbacks */

static void
forget_relations(Datum arg, Oid relid)
{
	int			i;

	if (!OidIsValid(cached_schema))
		return;
	for (i = 0; i < JOBQ_NUM_RELATIONS; i++)
	{
		if (!OidIsValid(relid) || cached_relations[i] == relid)
		{
			cached_schema = InvalidOid;
			return;
		}
	}
}

static void
forget_schema(Datum arg, int cacheid, uint32 hashvalue)
{
	cached_schema = InvalidOid;
}

/*
 * A role has got or lost memberships, is a superuser or is none any more, inherits or
 * does not; or a database has another owner, who is its pg_database_owner.
 */
static void
note_rights(Datum arg, int cacheid, uint32 hashvalue)
{
	waits++;
}

/* Raises 55000: jobq is not, or no longer, in this database. */
void
jobq_report_not_installed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" is not installed in this database",
					JOBQ_EXTENSION),
			 errhint("Run CREATE EXTENSION %s.", JOBQ_EXTENSION)));
}

/*
 * Reads the extension's row in pg_extension.  InvalidOid if there is none;
 * else its OID, and sets *version (palloc'd) if that is not NULL.
 */
static Oid
read_extension(char **version)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(JOBQ_EXTENSION));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->oid;
	if (OidIsValid(result) && version != NULL)
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		*version = isnull ? pstrdup("") : TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Reads a number and the dot behind it, if there are any. */
static long
next_number(const char **version)
{
	char	   *end;
	long		number = strtol(*version, &end, 10);

	*version = *end == '.' ? end + 1 : end;
	return number;
}

/*
 * Whether a version, numbers with dots between them, is later than the
 * library's.
 */
static bool
is_newer(const char *version)
{
	const char *library = JOBQ_VERSION;

	while (*version != '\0' || *library != '\0')
	{
		const char *start = version;
		long		theirs = next_number(&version);
		long		mine = next_number(&library);

		if (theirs != mine)
			return theirs > mine;
		if (version == start && *version != '\0')
			return false;		/* no number: a name for tests */
	}
	return false;
}

/* What to do where the extension's version is not the library's; palloc'd. */
char *
jobq_version_hint(void)
{
	char	   *version = "";

	(void) read_extension(&version);
	if (is_newer(version))
		return psprintf("Install the library of version %s, or a later one, and restart the server.",
						version);
	return psprintf("Run ALTER EXTENSION %s UPDATE.", JOBQ_EXTENSION);
}

/*
 * Raises 55000 unless the tables are those that this library was made for.
 */
static void
check_version(void)
{
	char	   *version;

	if (!OidIsValid(read_extension(&version)))
		jobq_report_not_installed();
	for (int i = 0; i < lengthof(known_versions); i++)
	{
		if (strcmp(version, known_versions[i]) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" has version %s in this database, but the library has version %s",
					JOBQ_EXTENSION, version, JOBQ_VERSION),
			 errhint("%s", jobq_version_hint())));
}

/*
 * Raises 55000: a relation is missing, or its schema (`schema` is invalid
 * then).  Says which, unless the whole extension is missing.
 */
static void
report_missing(Oid schema, JobqRelation relation)
{
	if (!OidIsValid(read_extension(NULL)))
		jobq_report_not_installed();
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 OidIsValid(schema) ?
			 errmsg("relation \"%s.%s\" of extension \"%s\" does not exist",
					JOBQ_STORE_SCHEMA, relation_names[relation],
					JOBQ_EXTENSION) :
			 errmsg("schema \"%s\" of extension \"%s\" does not exist",
					JOBQ_STORE_SCHEMA, JOBQ_EXTENSION),
			 errhint("It was renamed, moved or dropped. Restore its name and schema, or restore the database from a backup.")));
}

/* Looks a relation up, and its schema; InvalidOid if there is none. */
static Oid
look_up(JobqRelation relation, Oid *schema)
{
	*schema = get_namespace_oid(JOBQ_STORE_SCHEMA, true);
	return OidIsValid(*schema) ?
		get_relname_relid(relation_names[relation], *schema) : InvalidOid;
}

/*
 * The OID of a relation of jobq_store.  Raises 55000 if the extension is not
 * installed in this database, or in a version that this library does not
 * serve, or the relation is not there.  Needs a transaction.
 */
Oid
jobq_relation_oid(JobqRelation relation)
{
	static bool registered = false;
	Oid			schema;
	Oid			relid;

	if (OidIsValid(cached_schema) && OidIsValid(cached_relations[relation]))
		return cached_relations[relation];

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_relations, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_schema, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, note_rights, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, note_rights, (Datum) 0);
		CacheRegisterSyscacheCallback(DATABASEOID, note_rights, (Datum) 0);
		registered = true;
	}
	relid = look_up(relation, &schema);
	/* the extension may have been created a moment ago */
	if (!OidIsValid(relid) && OidIsValid(read_extension(NULL)))
		relid = look_up(relation, &schema);
	if (schema != cached_schema)
	{
		memset(cached_relations, 0, sizeof(cached_relations));
		version_is_checked = false;
		cached_schema = schema;
	}
	if (!OidIsValid(relid))
		report_missing(schema, relation);
	if (!version_is_checked)
	{
		check_version();
		version_is_checked = true;
	}
	cached_relations[relation] = relid;
	return relid;
}

/*
 * Opens one of the tables and locks it until the end of the transaction, unless
 * the caller releases the lock.  A process that waits for the
 * lock may be waiting for DROP EXTENSION, hence not table_open(), which would
 * report the missing table as an internal error.
 */
Relation
jobq_relation_open_oid(Oid relid, LOCKMODE mode)
{
	Relation	rel;

	if (!ConditionalLockRelationOid(relid, mode))
	{
		waits++;
		LockRelationOid(relid, mode);
	}
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		jobq_report_not_installed();
	return rel;
}

/* Opens one of the tables for reading. */
Relation
jobq_relation_open(JobqRelation relation)
{
	return jobq_relation_open_oid(jobq_relation_oid(relation), AccessShareLock);
}

/*
 * How often this process has waited for the lock of a table, or learned that roles,
 * their memberships or owners of databases have changed: a privilege that was checked
 * before has to be checked again.
 */
uint64
jobq_relation_waits(void)
{
	return waits;
}

/* The extension's OID, InvalidOid if it is not there.  Needs a transaction. */
Oid
jobq_extension_oid(void)
{
	return read_extension(NULL);
}

bool
jobq_is_installed(void)
{
	return OidIsValid(jobq_extension_oid());
}

/*
 * The extension's OID, and whether it is of the version this library serves.
 * InvalidOid if it is not there.  Needs a transaction.
 */
Oid
jobq_extension_read(bool *version_matches)
{
	char	   *version;
	Oid			extension = read_extension(&version);

	*version_matches = OidIsValid(extension) &&
		strcmp(version, JOBQ_VERSION) == 0;
	return extension;
}

/* Whether the installed extension is of the version this library serves. */
bool
jobq_version_matches(void)
{
	bool		matches;

	(void) jobq_extension_read(&matches);
	return matches;
}

/* The role that owns jobq_store, and with it the extension's objects. */
Oid
jobq_extension_owner(void)
{
	Oid			schema = get_namespace_oid(JOBQ_STORE_SCHEMA, false);
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for namespace %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}
