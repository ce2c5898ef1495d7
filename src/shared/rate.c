/*-------------------------------------------------------------------------
 *
 * rate.c
 *	  How many jobs start in a time: the gate of a rate.
 *
 * A claim reserves a start before it looks for a job.  If it finds one, the job
 * starts, at the time that is read then; otherwise the reservation ends, and
 * has cost nothing.  gcra.c decides whether the gate is open.  What is reserved
 * counts as if it started now, so a job may start for it at any later time.  The
 * clock is read under the lock, so that the times of starts only grow.
 *
 * A start that is undone stays counted if another one came after it: to move
 * tat back then could let too many start.
 *
 * After a restart of the server, what has started before is not known, unless
 * it was kept in a table (start_row.c).  All of it was before
 * jobq_shared->rates_since, so the gate is as shut as it can have been then.
 *
 * A process that finds the gate shut notes when it opens, for the coordinator.
 * If it opens earlier, since a reservation ends or a start is undone, the
 * process that does that must have the queue looked at (turned_away).
 *
 * The caller keeps the gate from becoming another one's (a pin, or a ticket).
 * Nothing here allocates or throws.
 *
 * IDENTIFICATION
 *	  src/shared/rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/rate.h"

#include "shared/clock.h"

#include "storage/spin.h"

/* Nothing is known of what has started. */
void
jobq_rate_reset(JobqRate *rate)
{
	SpinLockInit(&rate->mutex);
	rate->known = false;
	rate->turned_away = false;
	rate->reserved = 0;
	rate->opens_at = DT_NOBEGIN;
	rate->looked_at = DT_NOBEGIN;
}

bool
jobq_rate_is_known(JobqRate *rate)
{
	bool		result;

	SpinLockAcquire(&rate->mutex);
	result = rate->known;
	SpinLockRelease(&rate->mutex);
	return result;
}

/* How many starts are reserved. */
uint32
jobq_rate_reserved(JobqRate *rate)
{
	uint32		result;

	SpinLockAcquire(&rate->mutex);
	result = rate->reserved;
	SpinLockRelease(&rate->mutex);
	return result;
}

/*
 * What was kept of the last start, 0 if nothing has started.  Does nothing if
 * jobs have started since, or others were faster.
 */
void
jobq_rate_learn(JobqRate *rate, TimestampTz tat)
{
	SpinLockAcquire(&rate->mutex);
	if (!rate->known)
		rate->tat = jobq_gcra_full(tat);
	rate->known = true;
	SpinLockRelease(&rate->mutex);
}

/*
 * The time after which this server has started all jobs: of its start, or of
 * its promotion, since no gate is used before that.
 */
TimestampTz
jobq_rates_since(TimestampTz now)
{
	uint64		since = 0;

	return pg_atomic_compare_exchange_u64(&jobq_shared->rates_since, &since,
										  (uint64) now) ?
		now : (TimestampTz) since;
}

/* Under the mutex: sets opens_at, as if what is reserved started now. */
static void
set_opens_at(JobqRate *rate, const JobqGcra *gcra, TimestampTz now)
{
	JobqGcraTime tat = rate->tat;

	for (uint32 i = 0; i < rate->reserved; i++)
		(void) jobq_gcra_take(gcra, &tat, now);
	rate->opens_at = jobq_gcra_opens_at(gcra, tat);
	rate->looked_at = now;
}

/*
 * Under the mutex: makes tat valid, and returns whether the gate is open.  It is
 * shut for a full burst at most: the clock may have been set back, or the rate
 * been changed.
 */
static bool
look(JobqRate *rate, const JobqGcra *gcra, TimestampTz now)
{
	if (!rate->known)
		rate->tat = jobq_gcra_empty(gcra, jobq_rates_since(now));
	rate->known = true;
	(void) jobq_gcra_cut(gcra, &rate->tat, now);
	set_opens_at(rate, gcra, now);
	return rate->opens_at <= now;
}

/*
 * Reserves a start, unless the gate is shut.  One jobq_rate_release() or
 * jobq_rate_start() must follow.
 */
bool
jobq_rate_reserve(JobqRate *rate, const JobqGcra *gcra)
{
	TimestampTz now;
	bool		open;

	SpinLockAcquire(&rate->mutex);
	now = jobq_now();
	open = look(rate, gcra, now);
	if (open)
	{
		rate->reserved++;
		set_opens_at(rate, gcra, now);
	}
	SpinLockRelease(&rate->mutex);
	return open;
}

/* Under the mutex: the gate may open earlier.  Returns whether to wake others. */
static bool
reopen(JobqRate *rate)
{
	bool		wake = rate->turned_away;

	rate->turned_away = false;
	rate->opens_at = DT_NOBEGIN;
	return wake;
}

/*
 * Nothing starts for a reservation.  Returns whether the queue must be looked
 * at.
 */
bool
jobq_rate_release(JobqRate *rate)
{
	bool		wake;

	SpinLockAcquire(&rate->mutex);
	Assert(rate->reserved > 0);
	rate->reserved--;
	wake = reopen(rate);
	SpinLockRelease(&rate->mutex);
	return wake;
}

/* Under the mutex: a reservation becomes a start. */
static void
start_reserved(JobqRate *rate, const JobqGcra *gcra, TimestampTz now,
			   JobqGcraTake *take)
{
	Assert(rate->reserved > 0);
	rate->reserved--;
	*take = jobq_gcra_take(gcra, &rate->tat, now);
	set_opens_at(rate, gcra, now);
}

/*
 * A job starts, for which these rates have each reserved a start.  Returns its time,
 * which all of them count, so that none sees starts closer together than it has let
 * them in.  A queue's rate comes before a limit's: all lock them in this order.
 */
TimestampTz
jobq_rate_start(const JobqRateStart *starts, int n)
{
	TimestampTz now;

	for (int i = 0; i < n; i++)
		SpinLockAcquire(&starts[i].rate->mutex);
	now = jobq_now();
	for (int i = 0; i < n; i++)
		start_reserved(starts[i].rate, starts[i].gcra, now, starts[i].take);
	for (int i = n - 1; i >= 0; i--)
		SpinLockRelease(&starts[i].rate->mutex);
	return now;
}

/*
 * The job has not started after all.  Returns whether the queue must be looked
 * at.
 */
bool
jobq_rate_undo(JobqRate *rate, const JobqGcraTake *take)
{
	bool		wake = false;

	SpinLockAcquire(&rate->mutex);
	if (jobq_gcra_give_back(&rate->tat, take))
		wake = reopen(rate);
	SpinLockRelease(&rate->mutex);
	return wake;
}

/*
 * Counts starts at once: as many of them as the gate lets through, or all with
 * `force`.  Returns how many; *take is for all of them together.  The lock is
 * held for as long as that takes: there should be few.
 */
int
jobq_rate_admit(JobqRate *rate, const JobqGcra *gcra, int nstarts, bool force,
				JobqGcraTake *take)
{
	TimestampTz now;
	int			n = 0;

	SpinLockAcquire(&rate->mutex);
	now = jobq_now();
	(void) look(rate, gcra, now);
	take->before = rate->tat;
	while (n < nstarts && (force || rate->opens_at <= now))
	{
		(void) jobq_gcra_take(gcra, &rate->tat, now);
		set_opens_at(rate, gcra, now);
		n++;
	}
	take->after = rate->tat;
	SpinLockRelease(&rate->mutex);
	return n;
}

/*
 * Whether a job could start now.  If not, *wake_at is when somebody is to be
 * woken: a bit later than the gate opens if there is a burst, so that there
 * are fewer wake-ups, with several starts each.
 */
bool
jobq_rate_is_open(JobqRate *rate, const JobqGcra *gcra, TimestampTz *wake_at)
{
	int64		later = Min(gcra->tolerance.usec, JOBQ_GCRA_LATENESS) / 2;
	TimestampTz opens_at;
	bool		open;

	SpinLockAcquire(&rate->mutex);
	open = look(rate, gcra, jobq_now());
	opens_at = rate->opens_at;
	if (!open)
		rate->turned_away = true;
	SpinLockRelease(&rate->mutex);
	*wake_at = opens_at > JOBQ_NEVER - later ? JOBQ_NEVER : opens_at + later;
	return open;
}

/*
 * The same for commits, which do not know the rate: whether the gate may be
 * open.  If not, *wake_at is when the queue is to be looked at.
 */
bool
jobq_rate_may_be_open(JobqRate *rate, TimestampTz *wake_at)
{
	TimestampTz now;
	bool		open;

	SpinLockAcquire(&rate->mutex);
	now = jobq_now();
	/* if the clock has been set back, opens_at is of no use */
	open = rate->opens_at <= now || rate->looked_at > now;
	if (!open)
		rate->turned_away = true;
	*wake_at = rate->opens_at;
	SpinLockRelease(&rate->mutex);
	return open;
}
