/*-------------------------------------------------------------------------
 *
 * limit_row.c
 *	  Reading the limits that queues share from the table.
 *
 * IDENTIFICATION
 *	  src/queue/limit_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/limit_row.h"

#include "base/visit.h"
#include "shared/interval.h"
#include "shared/shmem.h"

#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

static const JobqLookup by_id = {
	JOBQ_REL_LIMIT_DEF, JOBQ_IDX_LIMIT_DEF, Anum_limit_def_id, F_INT4EQ
};
static const JobqLookup by_name = {
	JOBQ_REL_LIMIT_DEF, JOBQ_IDX_LIMIT_DEF_NAME, Anum_limit_def_name, F_TEXTEQ
};
static const JobqLookup by_owner = {
	JOBQ_REL_LIMIT_DEF, JOBQ_IDX_LIMIT_DEF_OWNER, Anum_limit_def_owner, F_OIDEQ
};

/* See limit_row.h; JOBQ_GCRA_BAD_LIMIT: the row has none. */
JobqGcraResult
jobq_limit_rate_of_row(const Datum *values, const bool *nulls, JobqGcra *rate)
{
	int64		period = nulls[Anum_limit_def_rate_period - 1] ? USECS_PER_SEC :
	jobq_interval_microseconds(DatumGetIntervalP(values[Anum_limit_def_rate_period - 1]));
	int			limit;
	int			burst;

	if (nulls[Anum_limit_def_rate_limit - 1])
		return JOBQ_GCRA_BAD_LIMIT;
	limit = DatumGetInt32(values[Anum_limit_def_rate_limit - 1]);
	burst = nulls[Anum_limit_def_rate_burst - 1] ?
		jobq_gcra_default_burst(limit, period) :
		DatumGetInt32(values[Anum_limit_def_rate_burst - 1]);
	return jobq_gcra_make(rate, limit, period, burst);
}

/* Reads a row of the table. */
void
jobq_limit_of_row(JobqLimit *limit, const Datum *values, const bool *nulls)
{
	limit->id = DatumGetInt32(values[Anum_limit_def_id - 1]);
	limit->name = TextDatumGetCString(values[Anum_limit_def_name - 1]);
	limit->owner = DatumGetObjectId(values[Anum_limit_def_owner - 1]);
	limit->max_running = nulls[Anum_limit_def_max_running - 1] ?
		JOBQ_UNLIMITED :
		DatumGetInt32(values[Anum_limit_def_max_running - 1]);
	limit->max_running_per_group =
		nulls[Anum_limit_def_max_running_per_group - 1] ? JOBQ_UNLIMITED :
		DatumGetInt32(values[Anum_limit_def_max_running_per_group - 1]);
	limit->has_rate = jobq_limit_rate_of_row(values, nulls, &limit->rate) ==
		JOBQ_GCRA_OK;
}

static void
visit_limit(void *arg, const Datum *values, const bool *nulls)
{
	jobq_limit_of_row(arg, values, nulls);
}

/* See limit_row.h. */
bool
jobq_limit_read(int32 id, JobqLimit *limit)
{
	limit->id = JOBQ_NO_LIMIT;
	jobq_visit_rows(&by_id, Int32GetDatum(id), visit_limit, limit);
	return limit->id != JOBQ_NO_LIMIT;
}

/* See limit_row.h. */
bool
jobq_limit_read_name(const char *name, JobqLimit *limit)
{
	limit->id = JOBQ_NO_LIMIT;
	jobq_visit_rows(&by_name, CStringGetTextDatum(name), visit_limit, limit);
	return limit->id != JOBQ_NO_LIMIT;
}

static void
collect_limit(void *arg, const Datum *values, const bool *nulls)
{
	List	  **limits = arg;
	JobqLimit  *limit = palloc(sizeof(JobqLimit));

	jobq_limit_of_row(limit, values, nulls);
	*limits = lappend(*limits, limit);
}

/* See limit_row.h. */
List *
jobq_limit_read_owned(Oid owner)
{
	List	   *limits = NIL;

	jobq_visit_rows(&by_owner, ObjectIdGetDatum(owner), collect_limit, &limits);
	return limits;
}

static void
collect_owner(void *arg, const Datum *values, const bool *nulls)
{
	List	  **owners = arg;

	*owners = lappend_oid(*owners,
						  DatumGetObjectId(values[Anum_limit_def_owner - 1]));
}

/* See limit_row.h. */
List *
jobq_limit_read_owners(void)
{
	List	   *owners = NIL;

	jobq_visit_all_rows(JOBQ_REL_LIMIT_DEF, collect_owner, &owners);
	return owners;
}
