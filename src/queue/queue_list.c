/*-------------------------------------------------------------------------
 *
 * queue_list.c
 *	  Lists of queues: all of them, those of a role, and those on which a role
 *	  has privileges.
 *
 * The list of all queues is used by the coordinator and for administrators.
 * The coordinator scans it often, so it is kept in an array with the necessary
 * data of each queue, and updated by reading the queues that have changed.
 * The whole table is read again only if more queues have changed than the log
 * has room for.
 *
 * An executor keeps the ids of its role's queues until one of them changes.
 *
 * For other roles, indexes on the owner of queues and the role of grants are
 * used.
 *
 * IDENTIFICATION
 *	  src/queue/queue_list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_list.h"

#include "base/rights.h"
#include "base/visit.h"
#include "queue/queue_cache.h"
#include "queue/queue_id.h"

#include "access/htup_details.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* All queues, in the order of their ids. */
static JobqQueueBrief *briefs = NULL;
static int	nbriefs = 0;
static int	max_briefs = 0;
static bool briefs_valid = false;
static uint64 briefs_position = 0;	/* in the log of changes, of all of them */

/* Queues that have changed since they were read. */
static int32 changed[JOBQ_QUEUE_CHANGES];
static int	nchanged = 0;

/* The queues of the role last asked for in this process. */
static Oid	listed_role = InvalidOid;
static int32 *listed_ids = NULL;
static int	nlisted = 0;
static bool listed_valid = false;
static uint64 list_number = 0;	/* changes when it is out of date */

/* A role, and the queue of its run() commands; a hint. */
static Oid	run_role = InvalidOid;
static int32 run_queue = JOBQ_NO_QUEUE;

static int	history_segment = -1;	/* -1: not known */

/* ----------------------------------------------------------- forgetting */

/* The brief of a queue is out of date. */
static void
forget_brief(int32 queue)
{
	if (!briefs_valid)
		return;
	if (nchanged == lengthof(changed))
		briefs_valid = false;
	else
		changed[nchanged++] = queue;
}

/* So are those of the queues that share a limit. */
static void
forget_sharing(int32 limit)
{
	list_number++;
	for (int i = 0; i < nbriefs && briefs_valid; i++)
	{
		if (briefs[i].shared_limit == limit)
			forget_brief(briefs[i].id);
	}
}

/* See jobq_queue_cache_follow_forgetting(). */
static void
forget_queue(int32 queue, Oid owner)
{
	if (queue == JOBQ_NO_QUEUE)
	{
		history_segment = -1;
		return;
	}
	if (queue < JOBQ_NO_QUEUE)
	{
		forget_sharing(-queue);
		return;
	}
	if (owner == listed_role || !OidIsValid(owner))
	{
		listed_valid = false;
		list_number++;
	}
	forget_brief(queue);
}

static void
forget_all(void)
{
	history_segment = -1;
	listed_valid = false;
	list_number++;
	briefs_valid = false;
}

/* ----------------------------------------------------------- all queues */

static int
compare_briefs(const void *a, const void *b)
{
	const JobqQueueBrief *x = a;
	const JobqQueueBrief *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void
reserve_briefs(int n)
{
	if (n <= max_briefs)
		return;
	n = Max(n, 2 * max_briefs);
	if (briefs == NULL)
		briefs = MemoryContextAllocHuge(TopMemoryContext,
										n * sizeof(JobqQueueBrief));
	else
		briefs = repalloc_huge(briefs, n * sizeof(JobqQueueBrief));
	max_briefs = n;
}

static void
read_all_briefs(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "jobq all queues",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	List	   *all = jobq_queue_read_briefs();
	ListCell   *lc;

	reserve_briefs(Max(list_length(all), 64));
	nbriefs = 0;
	foreach(lc, all)
		briefs[nbriefs++] = *(JobqQueueBrief *) lfirst(lc);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	qsort(briefs, nbriefs, sizeof(JobqQueueBrief), compare_briefs);
	nchanged = 0;
	briefs_valid = true;
}

/* The position of a queue in an array, or where it belongs. */
static int
find_brief(const JobqQueueBrief *all, int n, int32 id)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (all[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Updates the data of a queue, which may exist or not. */
static void
update_brief(int32 id)
{
	JobqQueueBrief brief;
	bool		exists = jobq_queue_read_brief(id, &brief);
	int			place = find_brief(briefs, nbriefs, id);
	bool		known = place < nbriefs && briefs[place].id == id;

	if (exists && !known)
	{
		reserve_briefs(nbriefs + 1);
		memmove(&briefs[place + 1], &briefs[place],
				(nbriefs - place) * sizeof(JobqQueueBrief));
		nbriefs++;
	}
	if (exists)
		briefs[place] = brief;
	else if (known)
	{
		nbriefs--;
		memmove(&briefs[place], &briefs[place + 1],
				(nbriefs - place) * sizeof(JobqQueueBrief));
	}
}

/*
 * Returns all queues, ordered by id.  The array is valid until the next call.
 * For the coordinator and administrators.
 */
const JobqQueueBrief *
jobq_queues_all(int *n)
{
	jobq_queue_cache_follow();
	if (!briefs_valid)
		read_all_briefs();
	while (nchanged > 0)
	{
		update_brief(changed[nchanged - 1]);
		nchanged--;
	}
	briefs_position = jobq_queue_cache_followed();
	*n = nbriefs;
	return briefs;
}

/* A queue in the result of jobq_queues_all(), or NULL. */
const JobqQueueBrief *
jobq_queue_brief_in(const JobqQueueBrief *all, int n, int32 id)
{
	int			place = find_brief(all, n, id);

	return place < n && all[place].id == id ? &all[place] : NULL;
}

/*
 * Makes a JobqQueue from a brief, which is enough to check whether the queue
 * has jobs.  Its handler is not the real one.
 */
void
jobq_queue_outline(JobqQueue *queue, const JobqQueueBrief *brief)
{
	memset(queue, 0, sizeof(JobqQueue));
	queue->id = brief->id;
	queue->owner = brief->owner;
	queue->batch_size = brief->batch_size;
	queue->batch_wait = brief->batch_wait;
	queue->handler = brief->has_executors ? "" : NULL;
	queue->notify = brief->notify;
	queue->at_home = brief->at_home;
	queue->paused = brief->paused;
	queue->state = brief->state;
	queue->max_running = brief->max_running;
	queue->has_rate = brief->has_rate;
	queue->rate = brief->rate;
	queue->shared_limit = brief->shared_limit;
	queue->limit_max_running = brief->limit_max_running;
	queue->limit_max_running_per_group = brief->limit_max_running_per_group;
	queue->limit_has_rate = brief->limit_has_rate;
	queue->limit_rate = brief->limit_rate;
	queue->limit_owner = brief->limit_owner;
	queue->limit = brief->limit;
	queue->position = briefs_position;
	queue->max_running_per_group = brief->max_running_per_group;
	queue->group_on_failure = brief->group_on_failure;
	queue->on_limit = brief->on_limit;
	queue->has_group_rate = brief->has_group_rate;
	queue->group_rate = brief->group_rate;
	queue->has_group_options = brief->has_group_options;
}

/* -------------------------------------------------- queues of executors */

static void
list_queues_of(Oid role)
{
	List	   *ids = jobq_queue_read_owned(role);
	ListCell   *lc;
	int			n = 0;

	listed_valid = false;
	if (listed_ids != NULL)
		pfree(listed_ids);
	listed_ids = NULL;
	listed_ids = MemoryContextAllocHuge(TopMemoryContext,
										Max(list_length(ids), 1) *
										sizeof(int32));
	foreach(lc, ids)
		listed_ids[n++] = lfirst_int(lc);
	list_free(ids);
	nlisted = n;
	listed_role = role;
	listed_valid = true;
}

/*
 * Returns the queues that executors of a role may work now, as a new list of
 * JobqQueue.  Returns none if the role was dropped: DROP ROLE does not
 * terminate its executors, and its jobs must wait for another owner.
 */
List *
jobq_queues_of_executor(Oid role)
{
	List	   *result = NIL;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return NIL;
	jobq_queue_cache_follow();
	if (!listed_valid || listed_role != role)
		list_queues_of(role);
	for (int i = 0; i < nlisted; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(listed_ids[i]);

		if (queue != NULL && jobq_queue_has_executors(queue) &&
			queue->owner == role && queue->at_home && !queue->paused)
			result = lappend(result, unconstify(JobqQueue *, queue));
	}
	return result;
}

/*
 * A number that changes when jobq_queues_of_executor() may return another
 * result for the last role.
 */
uint64
jobq_queues_of_executor_number(void)
{
	jobq_queue_cache_follow();
	return list_number;
}

/* The queue of a role's run() commands, or NULL. */
const JobqQueue *
jobq_queue_find_run(Oid role)
{
	const JobqQueue *queue = NULL;

	if (run_role == role)
		queue = jobq_queue_by_id(run_queue);
	if (queue != NULL && queue->is_run && queue->owner == role)
		return queue;
	run_queue = jobq_queue_read_run(role);
	run_role = role;
	return run_queue != JOBQ_NO_QUEUE ? jobq_queue_by_id(run_queue) : NULL;
}

/* ---------------------------------------------------- queues by privilege */

/* The roles whose privileges a role has: a list of OIDs, its own first. */
List *
jobq_roles_of(Oid role)
{
	List	   *candidates = list_make1_oid(role);
	List	   *result = NIL;
	ListCell   *lc;

	/* the list grows while it is scanned */
	foreach(lc, candidates)
	{
		CatCList   *memberships =
		SearchSysCacheList1(AUTHMEMMEMROLE, ObjectIdGetDatum(lfirst_oid(lc)));

		for (int i = 0; i < memberships->n_members; i++)
		{
			HeapTuple	tuple = &memberships->members[i]->tuple;

			candidates =
				list_append_unique_oid(candidates,
									   ((Form_pg_auth_members) GETSTRUCT(tuple))->roleid);
		}
		ReleaseSysCacheList(memberships);
	}
	candidates = list_append_unique_oid(candidates, ROLE_PG_DATABASE_OWNER);
	foreach(lc, candidates)
	{
		if (has_privs_of_role(role, lfirst_oid(lc)))
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

/* Sorts ids and removes duplicates. */
static List *
sort_ids(List *ids)
{
	List	   *result = NIL;
	ListCell   *lc;

	list_sort(ids, list_int_cmp);
	foreach(lc, ids)
	{
		if (result == NIL || llast_int(result) != lfirst_int(lc))
			result = lappend_int(result, lfirst_int(lc));
	}
	list_free(ids);
	return result;
}

/*
 * The ids of the queues on which a role has any of the privileges (a mask), in
 * order: all that it owns, and those found with the first *max privileges that it was
 * granted, which are subtracted from *max.  The cost is proportional to that, or to the
 * number of all queues for a role that may do, or read, everything.
 */
static List *
find_allowed(Oid role, int privileges, int *max)
{
	List	   *ids = NIL;
	ListCell   *lc;

	if ((privileges & JOBQ_PRIV_READ) != 0 ? jobq_reads_all(role) :
		jobq_is_administrator(role))
	{
		int			n;
		const JobqQueueBrief *all = jobq_queues_all(&n);

		for (int i = 0; i < n; i++)
			ids = lappend_int(ids, all[i].id);
		return ids;
	}
	foreach(lc, jobq_roles_of(role))
	{
		ids = list_concat(ids, jobq_queue_read_owned(lfirst_oid(lc)));
		ids = list_concat(ids, jobq_queue_read_granted(lfirst_oid(lc),
													   privileges, max));
	}
	return sort_ids(ids);
}

/* See queue_list.h. */
List *
jobq_queues_allowed(Oid role, int privileges)
{
	int			max = INT_MAX;

	return find_allowed(role, privileges, &max);
}

/* See queue_list.h. */
List *
jobq_queues_known(Oid role, int max, bool *is_cut)
{
	int			left = max + 1;
	List	   *ids = find_allowed(role, ~0, &left);

	*is_cut = left == 0;
	return ids;
}

/* ------------------------------------------------------------- history */

static void
visit_service(void *arg, const Datum *values, const bool *nulls)
{
	*(int *) arg = DatumGetInt16(values[Anum_service_history_segment - 1]);
}

/* The segment of history to which finished jobs are written. */
int
jobq_history_segment(void)
{
	jobq_queue_cache_follow();
	if (history_segment < 0)
	{
		int			segment = 0;

		jobq_visit_all_rows(JOBQ_REL_SERVICE, visit_service, &segment);
		history_segment = segment;
	}
	return history_segment;
}

/* Called once, by _PG_init. */
void
jobq_queue_list_init(void)
{
	jobq_queue_cache_follow_forgetting(forget_queue, forget_all);
}
