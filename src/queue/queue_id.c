/*-------------------------------------------------------------------------
 *
 * queue_id.c
 *	  The ids of queues, by what their rows say.
 *
 * IDENTIFICATION
 *	  src/queue/queue_id.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/queue_id.h"

#include "base/visit.h"
#include "shared/shmem.h"

#include "utils/builtins.h"
#include "utils/fmgroids.h"

static const JobqLookup by_name = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_NAME, Anum_queue_name, F_TEXTEQ
};
static const JobqLookup run_by_owner = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_RUN, Anum_queue_owner, F_OIDEQ
};
static const JobqLookup by_owner = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_OWNER, Anum_queue_owner, F_OIDEQ
};
static const JobqLookup by_on_dead = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_ON_DEAD, Anum_queue_on_dead, F_INT4EQ
};
static const JobqLookup by_shared_limit = {
	JOBQ_REL_QUEUE, JOBQ_IDX_QUEUE_SHARED_LIMIT, Anum_queue_shared_limit, F_INT4EQ
};
static const JobqLookup granted_to = {
	JOBQ_REL_QUEUE_GRANT, JOBQ_IDX_QUEUE_GRANT_ROLE, Anum_queue_grant_role, F_OIDEQ
};

static void
visit_id(void *arg, const Datum *values, const bool *nulls)
{
	*(int32 *) arg = DatumGetInt32(values[Anum_queue_id - 1]);
}

int32
jobq_queue_read_name(const char *name)
{
	int32		id = JOBQ_NO_QUEUE;

	jobq_visit_rows(&by_name, CStringGetTextDatum(name), visit_id, &id);
	return id;
}

static void
visit_run(void *arg, const Datum *values, const bool *nulls)
{
	if (DatumGetBool(values[Anum_queue_is_run - 1]))
		visit_id(arg, values, nulls);
}

int32
jobq_queue_read_run(Oid owner)
{
	int32		id = JOBQ_NO_QUEUE;

	jobq_visit_rows(&run_by_owner, ObjectIdGetDatum(owner), visit_run, &id);
	return id;
}

static void
collect_id(void *arg, const Datum *values, const bool *nulls)
{
	List	  **ids = arg;

	*ids = lappend_int(*ids, DatumGetInt32(values[Anum_queue_id - 1]));
}

List *
jobq_queue_read_owned(Oid owner)
{
	List	   *ids = NIL;

	jobq_visit_rows(&by_owner, ObjectIdGetDatum(owner), collect_id, &ids);
	return ids;
}

List *
jobq_queue_read_on_dead(int32 queue)
{
	List	   *ids = NIL;

	jobq_visit_rows(&by_on_dead, Int32GetDatum(queue),
					collect_id, &ids);
	list_sort(ids, list_int_cmp);
	return ids;
}

List *
jobq_queue_read_sharing(int32 limit)
{
	List	   *ids = NIL;

	jobq_visit_rows(&by_shared_limit, Int32GetDatum(limit), collect_id, &ids);
	list_sort(ids, list_int_cmp);
	return ids;
}

typedef struct Granted
{
	int			privileges;		/* wanted: any of them */
	List	   *ids;
} Granted;

static void
visit_granted(void *arg, const Datum *values, const bool *nulls)
{
	Granted    *granted = arg;

	if (DatumGetInt32(values[Anum_queue_grant_privileges - 1]) &
		granted->privileges)
		granted->ids =
			lappend_int(granted->ids,
						DatumGetInt32(values[Anum_queue_grant_queue - 1]));
}

List *
jobq_queue_read_granted(Oid role, int privileges, int *max)
{
	Granted		granted = {.privileges = privileges,.ids = NIL};

	*max -= jobq_visit_some_rows(&granted_to, ObjectIdGetDatum(role), *max,
								 visit_granted, &granted);
	return granted.ids;
}
