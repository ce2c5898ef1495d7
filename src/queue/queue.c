/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  Queues by name, with a privilege, and locked against being dropped.
 *
 * Queues are looked up in a cache (queue_cache.c).  jobq_queue_lock_shared()
 * keeps drop_queue() out.
 *
 * IDENTIFICATION
 *	  src/queue/queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue.h"

#include "base/arguments.h"
#include "base/closest.h"
#include "base/extension.h"
#include "base/home.h"
#include "base/new_id.h"
#include "base/rights.h"
#include "base/table.h"
#include "base/table_find.h"
#include "compat.h"
#include "jobq.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "shared/clock.h"
#include "shared/queue_change.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

/* Maximum number of names compared with one that does not exist. */
#define MAX_NAMES_COMPARED 1000

/*
 * The name most similar to the given one among those the user may see, or
 * NULL.
 */
static const char *
closest_queue(const char *name)
{
	JobqClosest closest;
	bool		is_cut;
	ListCell   *lc;

	if (!jobq_closest_begin(&closest, name))
		return NULL;
	foreach(lc, jobq_queues_known(GetUserId(), MAX_NAMES_COMPARED, &is_cut))
	{
		const JobqQueue *queue = jobq_queue_by_id(lfirst_int(lc));

		CHECK_FOR_INTERRUPTS();
		if (foreach_current_index(lc) >= MAX_NAMES_COMPARED)
			break;
		if (queue != NULL && !queue->is_run)
			jobq_closest_consider(&closest, queue->name);
	}
	return closest.name;
}

/* Whether a name is that of a queue of jobq.run(). */
bool
jobq_queue_is_run_name(const char *name)
{
	return strncmp(name, JOBQ_RUN_PREFIX, strlen(JOBQ_RUN_PREFIX)) == 0;
}

/*
 * Raises 42704 for a queue that does not exist.  The hint depends on the
 * privilege (0: any) that the user wanted: it suggests creating the queue, or
 * another name.
 */
void
jobq_queue_report_missing(const char *name, int privilege)
{
	const char *closest = closest_queue(name);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("queue \"%s\" does not exist", name),
			 closest != NULL ?
			 errhint("Perhaps you meant the queue \"%s\".", closest) :
			 privilege == JOBQ_PRIV_OWNER || privilege == JOBQ_PRIV_MANAGE ?
			 errhint("The view jobq.queues lists those that you may see.") :
			 jobq_queue_is_run_name(name) ?
			 errhint("Such queues belong to jobq.run().") :
			 !jobq_is_name(name) ?
			 errhint("The name of a queue has 1 to %d bytes and no control characters.",
					 JOBQ_MAX_NAME_LENGTH) :
			 jobq_may_call("create_queue", GetUserId()) ?
			 errhint("Create it with jobq.create_queue(%s).",
					 quote_literal_cstr(name)) :
			 errhint("A role that may create queues can create it with jobq.create_queue(%s).",
					 quote_literal_cstr(name))));
}

/* Raises 42704 if there is none, with a HINT. */
const JobqQueue *
jobq_queue_by_name(const char *name)
{
	const JobqQueue *queue = jobq_queue_find(name);

	if (queue == NULL)
		jobq_queue_report_missing(name, 0);
	return queue;
}

/*
 * Whether a role has one of the privileges (a mask) on a queue: as its owner,
 * as a member of a role that has it, or as a role that may do, or read,
 * everything.
 */
bool
jobq_queue_allows(const JobqQueue *queue, Oid role, int privilege)
{
	if (role == queue->owner || has_privs_of_role(role, queue->owner))
		return true;
	for (int i = 0; i < queue->ngrants; i++)
	{
		if ((queue->grants[i].privileges & privilege) != 0 &&
			has_privs_of_role(role, queue->grants[i].role))
			return true;
	}
	return (privilege & JOBQ_PRIV_READ) != 0 ? jobq_reads_all(role) :
		jobq_is_administrator(role);
}

/*
 * Whether a role may learn the name of a queue that it has not named itself,
 * which any privilege allows.
 */
bool
jobq_queue_may_name(const JobqQueue *queue, Oid role)
{
	return jobq_queue_allows(queue, role, ~0);
}

/* Raises 42501 unless the current user has the privilege (one bit). */
void
jobq_queue_check_privilege(const JobqQueue *queue, int privilege)
{
	const char *needed;

	if (jobq_queue_allows(queue, GetUserId(), privilege))
		return;
	needed = privilege == JOBQ_PRIV_ENQUEUE ? "enqueue" :
		privilege == JOBQ_PRIV_CONSUME ? "consume" :
		privilege == JOBQ_PRIV_MANAGE ? "manage" : "read";
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 privilege == JOBQ_PRIV_OWNER ?
			 errmsg("must be owner of queue \"%s\"", queue->name) :
			 errmsg("permission denied for queue \"%s\"", queue->name),
			 privilege == JOBQ_PRIV_OWNER ?
			 errhint("Its owner, members of that role and superusers can do that.") :
			 errhint("Its owner can grant the privilege with jobq.grant_queue(%s, %s, '%s').",
					 quote_literal_cstr(queue->name),
					 quote_literal_cstr(quote_identifier(GetUserNameFromId(GetUserId(), false))),
					 needed)));
}

/*
 * The same for a user who has named a job.  Does not reveal the queue's name,
 * since ids are easily guessed.
 */
void
jobq_queue_check_job_privilege(const JobqQueue *queue, int privilege,
							   int64 job_id)
{
	if (jobq_queue_may_name(queue, GetUserId()))
		jobq_queue_check_privilege(queue, privilege);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for job " INT64_FORMAT, job_id),
				 errhint("The owner of its queue can grant privileges with jobq.grant_queue().")));
}

/* By name and with a privilege; raises 42704 and 42501. */
const JobqQueue *
jobq_queue_require(const char *name, int privilege)
{
	const JobqQueue *queue = jobq_queue_find(name);

	if (queue == NULL)
		jobq_queue_report_missing(name, privilege);
	jobq_queue_check_privilege(queue, privilege);
	return queue;
}

/*
 * Raises 55000 if the queue came with a copy of another database: its jobs
 * must not run here before start().
 */
void
jobq_queue_check_home(const JobqQueue *queue)
{
	if (queue->at_home)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("queue \"%s\" belongs to another database", queue->name),
			 errdetail("This database was copied or restored, and the jobs that came with it may be running in the original."),
			 errhint("Use jobq.start() to make the queues this database's own.")));
}

/*
 * Returns the id of a new queue: not that of a dropped one whose finished jobs are
 * still to be removed.
 */
int32
jobq_queue_new_id(void)
{
	static const JobqIdPlace places[] = {
		{JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE},
		{JOBQ_REL_GONE_QUEUE, JOBQ_IDX_GONE_QUEUE}
	};

	return jobq_new_id(JOBQ_SEQ_QUEUE_ID, places, lengthof(places));
}

/*
 * The queue of a role's run() commands, created if it does not exist.  Waits
 * for another transaction that is creating it.
 */
const JobqQueue *
jobq_queue_run_of(Oid role)
{
	const JobqQueue *queue = jobq_queue_find_run(role);
	char	   *name;
	int			tries = 0;

	if (queue != NULL)
		return queue;

	name = psprintf(JOBQ_RUN_PREFIX "%s", GetUserNameFromId(role, false));
	for (;;)
	{
		JobqTable  *table = jobq_table_open(JOBQ_REL_QUEUE);
		Datum		values[Natts_queue] = {0};
		bool		nulls[Natts_queue];
		ItemPointerData conflict;
		int32		id;

		memset(nulls, true, sizeof(nulls));
		memset(nulls, false, Anum_queue_database * sizeof(bool));
		nulls[Anum_queue_handler - 1] = true;
		id = jobq_queue_new_id();
		jobq_at_rollback_forget_queue(id);
		values[Anum_queue_id - 1] = Int32GetDatum(id);
		values[Anum_queue_name - 1] = CStringGetTextDatum(name);
		values[Anum_queue_is_run - 1] = BoolGetDatum(true);
		values[Anum_queue_owner - 1] = ObjectIdGetDatum(role);
		values[Anum_queue_paused - 1] = BoolGetDatum(false);
		values[Anum_queue_draining - 1] = BoolGetDatum(false);
		values[Anum_queue_has_group_options - 1] = BoolGetDatum(false);
		values[Anum_queue_created_at - 1] = TimestampTzGetDatum(jobq_now());
		values[Anum_queue_system_identifier - 1] =
			Int64GetDatum(jobq_home_identifier());
		values[Anum_queue_database - 1] = ObjectIdGetDatum(MyDatabaseId);
		if (jobq_table_insert_unique(table,
									 jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
									 values, nulls, &conflict))
		{
			jobq_queue_state_new(id, role);
			jobq_at_commit_queue_changed(id, role);
			jobq_at_commit_wake(JOBQ_WAKE_WORK);	/* as create_queue() */
		}
		jobq_table_close(table);

		queue = jobq_queue_find_run(role);
		if (queue != NULL)
			return queue;
		/* the name belongs to a role that was renamed, or is free now */
		name = psprintf(JOBQ_RUN_PREFIX "%s:%u",
						GetUserNameFromId(role, false), role);
		if (tries++ > 0)
			name = psprintf("%s:%d", name, tries);
	}
}

/*
 * Whether jobq_queue_run_of() might have to wait for another transaction; *pid
 * is that session's PID, or 0 if unknown.
 */
bool
jobq_queue_run_is_busy(Oid role, int *pid)
{
	char	   *role_name = GetUserNameFromId(role, true);
	JobqTable  *table;
	ScanKeyData key;
	bool		result;

	if (role_name == NULL || jobq_queue_find_run(role) != NULL)
		return false;
	table = jobq_table_open(JOBQ_REL_QUEUE);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(psprintf(JOBQ_RUN_PREFIX "%s", role_name)));
	result = jobq_key_is_busy(table, jobq_relation_oid(JOBQ_IDX_QUEUE_NAME),
							  &key, 1, pid);
	jobq_table_close(table);
	return result;
}

/*
 * Why a role cannot run the jobs of its queues, that is, why no executor could
 * connect as that role; NULL if it can.
 */
const char *
jobq_queue_owner_problem(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may_log_in;

	if (!HeapTupleIsValid(tuple))
		return "it does not exist";
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin ||
		JOBQ_BYPASS_LOGIN_CHECK != 0;
	ReleaseSysCache(tuple);
	if (!may_log_in)
		return "it is not permitted to log in";
	if (!jobq_may_connect(MyDatabaseId, role))
		return "it has no CONNECT privilege on the database";
	return NULL;
}
