/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the PostgreSQL versions that jobq works with,
 *	  15 to 18.  The only place where PG_VERSION_NUM is looked at.
 *
 * Macros, not functions, where the arguments' types would need headers that
 * few files include.
 *
 * IDENTIFICATION
 *	  src/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMPAT_H
#define JOBQ_COMPAT_H

#include "fmgr.h"
#include "storage/proc.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "jobq needs PostgreSQL 15 or later"
#endif

/*
 * The library is built with hidden visibility, so that calls within it are direct
 * ones.  PostgreSQL 15 does not say which functions others look up.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname) \
extern PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS); \
extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_, funcname)(void); \
const Pg_finfo_record * \
CppConcat(pg_finfo_, funcname)(void) \
{ \
	static const Pg_finfo_record my_finfo = {1}; \
	return &my_finfo; \
} \
extern int	no_such_variable
#endif

/* The number of this process's PGPROC. */
#if PG_VERSION_NUM >= 170000
#define JOBQ_MY_PROC_NUMBER MyProcNumber
#else
#define JOBQ_MY_PROC_NUMBER (MyProc->pgprocno)
#endif

/*
 * The PGPROC of the process with a virtual transaction, NULL if there is none.
 */
#if PG_VERSION_NUM >= 170000
#define JOBQ_VXID_PROC(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define JOBQ_VXID_PROC(vxid) BackendIdGetProc((vxid).backendId)
#endif

/* Name and version of the library, where the server has a place for them. */
#if PG_VERSION_NUM >= 180000
#define JOBQ_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "jobq", .version = JOBQ_VERSION)
#else
#define JOBQ_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* Lets a background worker connect as a role that may not log in. */
#if PG_VERSION_NUM >= 170000
#define JOBQ_BYPASS_LOGIN_CHECK BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define JOBQ_BYPASS_LOGIN_CHECK 0
#endif

/* Lets DROP DATABASE and the like end a background worker by themselves. */
#if PG_VERSION_NUM >= 190000
#define JOBQ_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define JOBQ_BGWORKER_INTERRUPTIBLE 0
#endif

/* What pg_stat_activity shows a process to be waiting for. */
#if PG_VERSION_NUM >= 170000
#define JOBQ_WAIT_EVENT_WAIT WaitEventExtensionNew("JobqWait")
#define JOBQ_WAIT_EVENT_LAUNCHER WaitEventExtensionNew("JobqLauncherMain")
#define JOBQ_WAIT_EVENT_COORDINATOR \
	WaitEventExtensionNew("JobqCoordinatorMain")
#define JOBQ_WAIT_EVENT_EXECUTOR WaitEventExtensionNew("JobqExecutorIdle")
#define JOBQ_WAIT_EVENT_WORKERS WaitEventExtensionNew("JobqWorkersLeave")
#else
#define JOBQ_WAIT_EVENT_WAIT PG_WAIT_EXTENSION
#define JOBQ_WAIT_EVENT_LAUNCHER PG_WAIT_EXTENSION
#define JOBQ_WAIT_EVENT_COORDINATOR PG_WAIT_EXTENSION
#define JOBQ_WAIT_EVENT_EXECUTOR PG_WAIT_EXTENSION
#define JOBQ_WAIT_EVENT_WORKERS PG_WAIT_EXTENSION
#endif

/* sequence.h: the relation that a WAL record of a sequence is for */
#if PG_VERSION_NUM >= 160000
#define JOBQ_SET_SEQUENCE_LOCATOR(record, rel) \
	((record).locator = (rel)->rd_locator)
#else
#define JOBQ_SET_SEQUENCE_LOCATOR(record, rel) \
	((record).node = (rel)->rd_node)
#endif

/* genam.h */
#if PG_VERSION_NUM >= 180000
#define jobq_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define jobq_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#endif

/* relcache.h */
#if PG_VERSION_NUM >= 180000
#define jobq_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define jobq_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/*
 * tableam.h, executor.h: which indexes need entries for an updated row.
 */
#if PG_VERSION_NUM >= 160000
#define JobqUpdateIndexes TU_UpdateIndexes
#define jobq_needs_index_insert(indexes) ((indexes) != TU_None)
#define jobq_update_index_tuples(rel, slot, estate, indexes) \
	ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL, \
						  (indexes) == TU_Summarizing)
#define jobq_insert_index_tuples(rel, slot, estate, update, no_dup_error, \
								 conflict, arbiters) \
	ExecInsertIndexTuples(rel, slot, estate, update, no_dup_error, \
						  conflict, arbiters, false)
#else
#define JobqUpdateIndexes bool
#define jobq_needs_index_insert(indexes) (indexes)
#define jobq_update_index_tuples(rel, slot, estate, indexes) \
	ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL)
#define jobq_insert_index_tuples(rel, slot, estate, update, no_dup_error, \
								 conflict, arbiters) \
	ExecInsertIndexTuples(rel, slot, estate, update, no_dup_error, \
						  conflict, arbiters)
#endif

#if PG_VERSION_NUM >= 180000
#define jobq_check_index_constraints(rel, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(rel, slot, estate, conflict, NULL, arbiters)
#else
#define jobq_check_index_constraints(rel, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(rel, slot, estate, conflict, arbiters)
#endif

/* guc_tables.h: all settings, and their number */
#if PG_VERSION_NUM >= 160000
#define jobq_settings(n) get_guc_variables(n)
#else
#define jobq_settings(n) \
	(*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* pquery.h */
#if PG_VERSION_NUM >= 180000
#define jobq_portal_run(portal, count, is_top_level, dest, altdest, qc) \
	PortalRun(portal, count, is_top_level, dest, altdest, qc)
#else
#define jobq_portal_run(portal, count, is_top_level, dest, altdest, qc) \
	PortalRun(portal, count, is_top_level, true, dest, altdest, qc)
#endif

/* acl.h: whether a role may use an object */
#if PG_VERSION_NUM >= 160000
#define jobq_may_execute(function, role) \
	(object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == \
	 ACLCHECK_OK)
#define jobq_may_connect(database, role) \
	(object_aclcheck(DatabaseRelationId, database, role, ACL_CONNECT) == \
	 ACLCHECK_OK)
#define jobq_owns_database(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#else
#define jobq_may_execute(function, role) \
	(pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK)
#define jobq_may_connect(database, role) \
	(pg_database_aclcheck(database, role, ACL_CONNECT) == ACLCHECK_OK)
#define jobq_owns_database(database, role) \
	pg_database_ownercheck(database, role)
#endif

/* acl.h: whether a role may SET ROLE to another */
#if PG_VERSION_NUM >= 160000
#define jobq_may_set_role(member, role) member_can_set_role(member, role)
#else
#define jobq_may_set_role(member, role) is_member_of_role(member, role)
#endif

/* slot.h: drops the temporary replication slots of this session. */
#if PG_VERSION_NUM >= 170000
#define jobq_replication_slots_cleanup() ReplicationSlotCleanup(false)
#else
#define jobq_replication_slots_cleanup() ReplicationSlotCleanup()
#endif

/* A setting that ends transactions, of background workers too. */
#if PG_VERSION_NUM >= 170000
#define jobq_pin_transaction_timeout() \
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE)
#else
#define jobq_pin_transaction_timeout() ((void) 0)
#endif

/* Which of the databases is a wreck that DROP DATABASE left behind. */
#define JOBQ_DATCONNLIMIT_INVALID (-2)

#endif							/* JOBQ_COMPAT_H */
