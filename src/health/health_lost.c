/*-------------------------------------------------------------------------
 *
 * health_lost.c
 *	  Jobs without a queue, for the view jobq.health.
 *
 * A dump contains the queues in one COPY, which may fail as a whole, or be
 * left out; the jobs are restored anyway.
 *
 * IDENTIFICATION
 *	  src/health/health_lost.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_lost.h"

#include "base/statement.h"
#include "shared/shmem.h"

#include "executor/spi.h"

/*
 * Skips from queue to queue in the indexes of the jobs with and without a group,
 * regardless of the number of jobs.  min() of their union would read all of both.
 */
#define FIRST_QUEUE_AFTER(after) \
"LEAST((SELECT pg_catalog.min(j.queue) FROM jobq_store.job AS j" \
" WHERE j.group_key IS NULL" after ")," \
" (SELECT pg_catalog.min(j.queue) FROM jobq_store.job AS j" \
" WHERE j.group_key IS NOT NULL" after "))"

static const char query[] =
"WITH RECURSIVE job_queue AS ("
" SELECT " FIRST_QUEUE_AFTER("") " AS id"
" UNION ALL"
" SELECT " FIRST_QUEUE_AFTER(" AND j.queue OPERATOR(pg_catalog.>) job_queue.id")
" FROM job_queue WHERE job_queue.id IS NOT NULL)"
" SELECT pg_catalog.count(*) FROM job_queue"
" WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM jobq_store.queue AS q"
" WHERE q.id OPERATOR(pg_catalog.=) job_queue.id)";

void
jobq_health_check_lost_queues(JobqHealth *health)
{
	int64		nqueues = 0;
	bool		isnull;

	/* other roles cannot know whose they were */
	if (!health->reads_all)
		return;
	SPI_connect();
	if (jobq_statement_query(query, 0, NULL, NULL) == 1)
		nqueues = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	SPI_finish();
	if (nqueues > 0)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "lost queues",
						.message = psprintf("there are jobs of " INT64_FORMAT " queues that do not exist",
											nqueues),
						.hint = "A dump was restored without its queues. Restore the data of table jobq_store.queue.");
}
