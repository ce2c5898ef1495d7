/*-------------------------------------------------------------------------
 *
 * health_job.c
 *	  Findings about jobs in executors: those that continue although they were
 *	  told to end, and jobs that wait because transactions are read-only.
 *
 * A backend ends when its code checks for interrupts.  Code that does not,
 * such as a library that waits for something, occupies its executor until it
 * returns, regardless of signals.
 *
 * IDENTIFICATION
 *	  src/health/health_job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_job.h"

#include "base/statement.h"
#include "job/job.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/database.h"
#include "shared/slot_job.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

/* Maximum time that ending a process that checks for interrupts takes. */
#define GRACE (JOBQ_PATIENCE + USECS_PER_SEC)

/* Jobs that share a transaction are short. */
#define LONG_FOR_SHARING (5 * USECS_PER_SEC)

/* Copies the slots in which a job of this database runs. */
static int
read_slots(JobqWorker *slots)
{
	int			nslots = 0;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_WORKERS), LW_SHARED);
	for (int i = 0; i < JOBQ_MAX_WORKER_SLOTS; i++)
	{
		const JobqWorker *slot = &jobq_shared->workers[i];

		if (slot->dboid == MyDatabaseId && slot->job_id != 0)
			slots[nslots++] = *slot;
	}
	LWLockRelease(jobq_lock(JOBQ_LOCK_WORKERS));
	return nslots;
}

/* When the timeout of the job in a slot ends; JOBQ_NEVER if it has none. */
static TimestampTz
timeout_end(JobqTable *jobs, const JobqWorker *slot, const JobqQueue *queue)
{
	JobqJob		job;
	int64		timeout;

	if (!jobq_job_find(jobs, slot->job_id, jobq_table_slot(jobs), &job))
		return JOBQ_NEVER;
	timeout = jobq_job_timeout(&job, queue);
	return timeout > 0 ? slot->started_at + timeout : JOBQ_NEVER;
}

/* A session of this server that waits for a lock of process $1. */
static const char waiter_query[] =
"SELECT a.pid FROM pg_catalog.pg_stat_activity AS a"
" WHERE a.wait_event_type = 'Lock'"
" AND $1 = ANY (pg_catalog.pg_blocking_pids(a.pid)) LIMIT 1";

/* PID of a session that waits for a lock of a process, or 0. */
static int
find_waiter(int pid)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(pid);
	bool		isnull;
	int			waiter = 0;

	SPI_connect();
	if (jobq_statement_query(waiter_query, 1, &type, &value) > 0)
		waiter = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 1,
											 &isnull));
	SPI_finish();
	return waiter;
}

/*
 * Reports an unexpectedly long job that keeps earlier ones from being
 * committed.  It may be waiting for their locks in another session.  That
 * never ends by itself: the server does not know which session belongs to the
 * job, and cancelling any waiting session would hit others.
 */
static void
check_sharing(JobqHealth *health, const JobqWorker *slot,
			  const JobqQueue *queue)
{
	int			waiter;

	if (slot->commits == 0 ||
		slot->started_at > health->now - LONG_FOR_SHARING)
		return;
	waiter = health->sees_sessions ? find_waiter(slot->pid) : 0;
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = "shared commit",
					.object = queue->name,
					.message = psprintf("job " INT64_FORMAT " is still running in process %d, and the commit of earlier jobs that share its transaction waits for it: %d",
										slot->job_id, (int) slot->pid, slot->commits),
					.hint = waiter == 0 ?
					"If it waits for a session that it opened itself, as with dblink, and that session waits for their locks, end that session and set share_commits => false for the queue." :
					psprintf("Session %d waits for its locks. If the job opened that session itself, as with dblink, use pg_cancel_backend(%d) and set share_commits => false for the queue.",
							 waiter, waiter),
					.since = slot->started_at);
}

static void
check_slot(JobqHealth *health, JobqTable *jobs, const JobqWorker *slot,
		   const JobqQueue *queue)
{
	bool		interrupted = slot->cancel_job == slot->job_id;
	TimestampTz since = interrupted ? slot->cancelled_at :
	timeout_end(jobs, slot, queue);

	if (since > health->now - GRACE)
		return;
	jobq_health_add(health,
					.severity = JOBQ_WARNING,
					.topic = "stuck",
					.object = queue->name,
					.message = psprintf("job " INT64_FORMAT " is still running in process %d although %s",
										slot->job_id, (int) slot->pid,
										!interrupted ? "its timeout has passed" :
										slot->evict ? "its queue is being dropped" :
										"it was cancelled"),
					.hint = "Its code does not check for interrupts, so nothing can end it from within the server. It keeps its worker and its locks until whatever it waits for outside the server is over.",
					.since = since);
}

/*
 * Reports that transactions are read-only by default: executors exit at once,
 * and are started again within a minute as long as there are jobs.
 */
static void
check_frozen(JobqHealth *health)
{
	JobqDatabase *database = jobq_database();
	bool		frozen;

	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_SHARED);
	frozen = OidIsValid(database->frozen_role) &&
		database->frozen_at > health->now - 2 * USECS_PER_MINUTE;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
	if (frozen)
		jobq_health_add(health,
						.severity = JOBQ_CRITICAL,
						.topic = "read only",
						.object = "default_transaction_read_only",
						.message = "transactions are read-only by default in this database, so SQL jobs wait",
						.hint = "They continue within a minute after the setting of the database or the server is turned off. To run them anyway, turn it off for the role.");
}

void
jobq_health_check_jobs(JobqHealth *health)
{
	JobqWorker *slots = palloc(JOBQ_MAX_WORKER_SLOTS * sizeof(JobqWorker));
	int			nslots = read_slots(slots);
	JobqTable  *jobs;

	check_frozen(health);
	if (nslots == 0)
		return;
	jobs = jobq_table_open(JOBQ_REL_JOB);
	for (int i = 0; i < nslots; i++)
	{
		const JobqQueue *queue = jobq_queue_by_id(slots[i].queue);

		CHECK_FOR_INTERRUPTS();
		if (queue != NULL &&
			jobq_queue_allows(queue, health->reader,
							  JOBQ_PRIV_READ | JOBQ_PRIV_CONSUME |
							  JOBQ_PRIV_MANAGE))
		{
			check_slot(health, jobs, &slots[i], queue);
			check_sharing(health, &slots[i], queue);
		}
	}
	jobq_table_close(jobs);
}
