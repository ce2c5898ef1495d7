/*-------------------------------------------------------------------------
 *
 * sandbox_planner.c
 *	  Keeping the planner from calling functions of a queue's owner.
 *
 * To estimate how many rows a condition leaves, the planner calls the function
 * of the condition's operator with values from the statistics, if the user may
 * read the table.  No hook sees that call, so an operator for
 * pg_advisory_unlock() would do in a sandbox what the function may not
 * (sandbox_rules.c).  Here the planner is told that the user may not read the
 * table: then it calls only leakproof functions, which only a superuser can make.
 * Extended statistics have no such condition, and are hidden.
 *
 * The hooks are set when the library is loaded, before those of libraries that
 * a session loads, and do nothing outside sandboxes.
 *
 * IDENTIFICATION
 *	  src/base/sandbox_planner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/sandbox_planner.h"

#include "optimizer/plancat.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

static int	depth = 0;

static get_relation_stats_hook_type previous_relation_stats = NULL;
static get_index_stats_hook_type previous_index_stats = NULL;
static get_relation_info_hook_type previous_relation_info = NULL;

void
jobq_sandbox_planner_begin(void)
{
	depth++;
}

void
jobq_sandbox_planner_end(void)
{
	depth--;
}

/* Statistics of a column, marked as not readable by the user. */
static void
find_statistics(Oid relid, AttrNumber attnum, bool inherited,
				VariableStatData *vardata)
{
	vardata->statsTuple = SearchSysCache3(STATRELATTINH,
										  ObjectIdGetDatum(relid),
										  Int16GetDatum(attnum),
										  BoolGetDatum(inherited));
	vardata->freefunc = ReleaseSysCache;
}

static bool
relation_stats(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
			   VariableStatData *vardata)
{
	bool		found = previous_relation_stats != NULL &&
	previous_relation_stats(root, rte, attnum, vardata);

	if (depth == 0 || rte->rtekind != RTE_RELATION)
		return found;
	if (!found)
		find_statistics(rte->relid, attnum, rte->inh, vardata);
	vardata->acl_ok = false;
	return true;
}

static bool
index_stats(PlannerInfo *root, Oid index, AttrNumber attnum,
			VariableStatData *vardata)
{
	bool		found = previous_index_stats != NULL &&
	previous_index_stats(root, index, attnum, vardata);

	if (depth == 0)
		return found;
	if (!found)
		find_statistics(index, attnum, false, vardata);
	vardata->acl_ok = false;
	return true;
}

static void
relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (previous_relation_info != NULL)
		previous_relation_info(root, relid, inhparent, rel);
	if (depth > 0)
		rel->statlist = NIL;
}

void
jobq_sandbox_planner_set_up(void)
{
	previous_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = relation_stats;
	previous_index_stats = get_index_stats_hook;
	get_index_stats_hook = index_stats;
	previous_relation_info = get_relation_info_hook;
	get_relation_info_hook = relation_info;
}
