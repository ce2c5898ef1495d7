/*-------------------------------------------------------------------------
 *
 * late.c
 *	  What the coordinator has put off, and who is in its way.
 *
 * A task notes what it skips while it runs.  When the task is done, the
 * longest overdue of these is published in shared memory, until the time of
 * the next try.  This is only for people to read: no decision depends on it.
 *
 * IDENTIFICATION
 *	  src/shared/late.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/late.h"

#include "shared/clock.h"
#include "shared/database.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

/* How soon to look again at something locked, at first and later. */
#define RETRY_MIN (100 * INT64CONST(1000))
#define RETRY_MAX (USECS_PER_SEC)

/* The next look comes after this part of the time that it has been late. */
#define RETRY_SHARE 4

/*
 * Looking at one thing again takes this much of the coordinator's time.  If many of
 * an owner's are locked, their turns come later, but not later than RETRY_QUEUE.
 */
#define RETRY_TURN (INT64CONST(1000))
#define RETRY_QUEUE (30 * USECS_PER_SEC)

static const char *const names[JOBQ_NUM_TASKS] = {
	[JOBQ_TASK_CONFIG] = "reading the configuration",
	[JOBQ_TASK_NOTES] = "counting crashed jobs",
	[JOBQ_TASK_UNDONE] = "recording interrupted jobs",
	[JOBQ_TASK_LEASES_LOAD] = "loading leases",
	[JOBQ_TASK_LEASES_EXPIRE] = "ending leases",
	[JOBQ_TASK_JOBS_EXPIRE] = "expiring jobs",
	[JOBQ_TASK_SCHEDULES] = "firing schedules",
	[JOBQ_TASK_CANCEL] = "cancelling jobs",
	[JOBQ_TASK_TERMINATE] = "terminating executors",
	[JOBQ_TASK_WAKE_DUE] = "waking workers",
	[JOBQ_TASK_NOTIFY] = "notifying listeners",
	[JOBQ_TASK_ACTIVATION] = "starting executors",
	[JOBQ_TASK_RETENTION] = "retention",
	[JOBQ_TASK_SWEEP] = "looking for lost jobs",
	[JOBQ_TASK_REST] = "looking for anything to do",
};

static JobqTaskReport noted = {.since = JOBQ_NEVER};

int
jobq_late_owner(Oid owner)
{
	return murmurhash32(owner) % JOBQ_LATE_OWNERS;
}

/*
 * The number of owners whose things have to wait for their turns: these owners
 * have the time for one queue together.
 */
static int
count_queues(const TimestampTz *last_turn, TimestampTz now)
{
	int			n = 0;

	for (int i = 0; i < JOBQ_LATE_OWNERS; i++)
	{
		if (last_turn[i] > now + RETRY_MAX)
			n++;
	}
	return n;
}

TimestampTz
jobq_late_retry(Oid owner, TimestampTz due, TimestampTz now)
{
	static TimestampTz last_turn[JOBQ_LATE_OWNERS] = {0};
	TimestampTz *last = &last_turn[jobq_late_owner(owner)];
	int64		late = due < now && due > DT_NOBEGIN ? now - due : 0;

	/* the clock may have been set back */
	*last = Max(Min(*last, now + RETRY_QUEUE), now) +
		RETRY_TURN * Max(count_queues(last_turn, now), 1);
	return Max(now + Min(Max(late / RETRY_SHARE, RETRY_MIN), RETRY_MAX),
			   *last);
}

const char *
jobq_late_task_name(JobqTask task)
{
	return names[task];
}

void
jobq_late_begin(void)
{
	noted.since = JOBQ_NEVER;
}

void
jobq_late_note(TimestampTz due, TimestampTz until, int pid)
{
	jobq_late_note_job(due, until, pid, 0, 0);
}

/* A transaction that is not known may be gone before the next look. */
void
jobq_late_note_job(TimestampTz due, TimestampTz until, int pid, int64 job_id,
				   int32 queue)
{
	if (due >= noted.since)
		return;
	noted.since = due;
	noted.until = pid != 0 ? until : Min(until, jobq_now() + RETRY_MAX);
	noted.seen_at = GetCurrentTimestamp();
	noted.pid = pid;
	noted.job_id = job_id;
	noted.queue = queue;
}

/*
 * If a run of a task has not reached what was put off before, it leaves that
 * as it is, unless it should have reached it.
 */
void
jobq_late_publish(JobqTask task)
{
	JobqTaskReport *report = &jobq_database()->tasks[task];
	TimestampTz now = jobq_now();

	/* nobody else writes here */
	if (noted.since == JOBQ_NEVER &&
		(report->since == JOBQ_NEVER || report->until > now))
		return;
	if (noted.since > report->since && report->until > now)
		return;
	LWLockAcquire(jobq_lock(JOBQ_LOCK_DATABASES), LW_EXCLUSIVE);
	*report = noted;
	LWLockRelease(jobq_lock(JOBQ_LOCK_DATABASES));
}
