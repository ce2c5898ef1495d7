/*-------------------------------------------------------------------------
 *
 * gcra.c
 *	  How many starts a rate allows: the generic cell rate algorithm.
 *
 * A rate is a limit of n starts in a period p, of which a burst of b may come
 * at once.  It promises that no window of length p, its start included and
 * its end excluded, has more than n starts.
 *
 * The state is one time, tat (theoretical arrival time).  Each start moves it
 * on by T = p / (n - b + 1), from now if it is in the past, and the gate is
 * open while tat is at most (b - 1) T ahead.  So k starts after the first
 * take (k - b + 1) T at least, and n of them take p.
 *
 * T is kept in fractions of 2^-32 microseconds and rounded up, which keeps
 * the promise.  A rate for which this would cost more than 1/64 of the starts
 * is refused.
 *
 * The clock has whole microseconds.  A start that it shows at "now" counts as
 * made at the earliest moment after now - 1 at which the gate was open, so that
 * a gate that opens in between loses nothing by the wait for the next tick.
 * This keeps the promise: two starts whose times on the clock are less than p
 * apart (p - 1 at most) are less than p apart by these moments, too.
 *
 * Times past the range of int64 become its ends, so a gate that would open
 * after the end of time never opens.
 *
 * IDENTIFICATION
 *	  src/common/gcra.c
 *
 *-------------------------------------------------------------------------
 */
#include "gcra.h"

/* The shortest interval, in fractions. */
#define INTERVAL_MIN			64

/* Return a + b. */
static JobqGcraTime
add(JobqGcraTime a, JobqGcraTime b)
{
	uint64_t	frac = (uint64_t) a.frac + b.frac;
	int64_t		carry = (int64_t) (frac >> 32);
	JobqGcraTime sum = {INT64_MAX, 0};

	/* b is a span, so b.usec + carry cannot overflow */
	if (a.usec > INT64_MAX - (b.usec + carry))
		return sum;
	sum.usec = a.usec + b.usec + carry;
	sum.frac = (uint32_t) frac;
	return sum;
}

static bool
is_later(JobqGcraTime a, JobqGcraTime b)
{
	return a.usec != b.usec ? a.usec > b.usec : a.frac > b.frac;
}

bool
jobq_gcra_is_same(JobqGcraTime a, JobqGcraTime b)
{
	return a.usec == b.usec && a.frac == b.frac;
}

/*
 * Return the burst of a rate for which none is set: one start, and what falls
 * into JOBQ_GCRA_LATENESS, so that a late timer costs no rate; at most half of
 * the limit (rounded up).  A burst takes from the rate that is
 * reached in the long run, (n - b + 1) / p; with the whole limit as burst,
 * only one start per period would be left.
 */
int32_t
jobq_gcra_default_burst(int32_t limit, int64_t period)
{
	int64_t		most = ((int64_t) limit + 1) / 2;
	int64_t		burst;

	if (limit < 1 || period < 1)
		return 1;
	burst = (int64_t) limit * JOBQ_GCRA_LATENESS / period + 1;
	return (int32_t) (burst < most ? burst : most);
}

/*
 * Set *gcra to the rate of "limit" starts per "period" microseconds, "burst"
 * of them at once.  If the result is not JOBQ_GCRA_OK, *gcra is left alone.
 */
JobqGcraResult
jobq_gcra_make(JobqGcra *gcra, int32_t limit, int64_t period, int32_t burst)
{
	JobqGcraTime interval;
	JobqGcraTime tolerance;
	int64_t		spread;			/* intervals per period */
	int64_t		rest;
	uint64_t	frac;

	if (limit < 1)
		return JOBQ_GCRA_BAD_LIMIT;
	if (period < 1 || period > JOBQ_GCRA_PERIOD_MAX)
		return JOBQ_GCRA_BAD_PERIOD;
	if (burst < 1 || burst > limit)
		return JOBQ_GCRA_BAD_BURST;

	/* rest < spread < 2^31, so that the fraction is below 2^32 - 1 */
	spread = (int64_t) limit - burst + 1;
	rest = period % spread;
	interval.usec = period / spread;
	interval.frac = (uint32_t) ((((uint64_t) rest << 32) + (uint64_t) spread -
								 1) / (uint64_t) spread);
	if (interval.usec == 0 && interval.frac < INTERVAL_MIN)
		return JOBQ_GCRA_TOO_FAST;

	/* neither product can overflow */
	if (interval.usec > JOBQ_GCRA_SPAN_MAX / burst - 1)
		return JOBQ_GCRA_TOO_LONG;
	frac = (uint64_t) interval.frac * (uint64_t) (burst - 1);
	tolerance.usec = interval.usec * (burst - 1) + (int64_t) (frac >> 32);
	tolerance.frac = (uint32_t) frac;

	gcra->interval = interval;
	gcra->tolerance = tolerance;
	gcra->ahead = add(interval, tolerance);
	return JOBQ_GCRA_OK;
}

/*
 * Starts may be made while the gate is shut.  Then tat goes so far ahead that
 * the gate opens when the last of them is a period ago.
 */
void
jobq_gcra_allow_force(JobqGcra *gcra, int64_t period)
{
	gcra->ahead = add(jobq_gcra_full(period), gcra->tolerance);
}

/* Return the tat of a gate at which nothing has started for long. */
JobqGcraTime
jobq_gcra_full(int64_t now)
{
	JobqGcraTime tat = {now, 0};

	return tat;
}

/*
 * Return the tat of a gate of which nothing is known but that it kept to its
 * rate until now: the latest that it can be.
 */
JobqGcraTime
jobq_gcra_empty(const JobqGcra *gcra, int64_t now)
{
	return add(add(jobq_gcra_full(now), gcra->tolerance), gcra->interval);
}

/*
 * Return the first microsecond at which the gate is open.  It is open now if
 * that is not later than now.
 */
int64_t
jobq_gcra_opens_at(const JobqGcra *gcra, JobqGcraTime tat)
{
	const JobqGcraTime *tolerance = &gcra->tolerance;
	bool		has_rest = tat.frac > tolerance->frac;

	if (tat.usec == INT64_MAX)
		return INT64_MAX;
	if (tat.usec < INT64_MIN + tolerance->usec)
		return INT64_MIN;
	return tat.usec - tolerance->usec + (has_rest ? 1 : 0);
}

/*
 * Count a start at this time, whether the gate is open or not, and return what
 * it made of *tat.
 */
JobqGcraTake
jobq_gcra_take(const JobqGcra *gcra, JobqGcraTime *tat, int64_t now)
{
	JobqGcraTime base = {now, 0};
	JobqGcraTake take;

	if (now > INT64_MIN)
	{
		/* the first moment after the tick before */
		base.usec = now - 1;
		base.frac = 1;
	}

	take.before = *tat;
	if (is_later(*tat, base))
		base = *tat;
	*tat = add(base, gcra->interval);
	take.after = *tat;
	return take;
}

/*
 * What was counted has not started.  Return false, and leave it counted, if
 * *tat is no longer what that take made of it: to move it back then could let
 * too many start.
 */
bool
jobq_gcra_give_back(JobqGcraTime *tat, const JobqGcraTake *take)
{
	if (!jobq_gcra_is_same(*tat, take->after))
		return false;
	*tat = take->before;
	return true;
}

/*
 * Return whether *tat was later than it can be, since the clock was set back or
 * the rate was changed.  It is cut to the latest then.
 */
bool
jobq_gcra_cut(const JobqGcra *gcra, JobqGcraTime *tat, int64_t now)
{
	JobqGcraTime latest = add(jobq_gcra_full(now), gcra->ahead);

	if (!is_later(*tat, latest))
		return false;
	*tat = latest;
	return true;
}
