/*-------------------------------------------------------------------------
 *
 * gcra_test.c
 *	  No window of a period has too many starts, and a backlog gets the rate.
 *
 * Starts are simulated by different ways of asking the gate.  Then all
 * windows that begin with a start are counted one by one: any other window
 * has no more starts than the one that begins with its first.
 *
 * IDENTIFICATION
 *	  test/unit/gcra_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "gcra.h"

#define MSEC					INT64_C(1000)
#define SECOND					(1000 * MSEC)
#define YEAR					(JOBQ_GCRA_PERIOD_MAX / 1000)
#define COUNT(array)			((int) (sizeof(array) / sizeof((array)[0])))

/* the current time of the simulations, as PostgreSQL counts it */
#define TODAY					(INT64_C(26) * 365 * 86400 * SECOND + 123457)

/* simulations end before this */
#define FAR						(INT64_MAX / 4 * 3)

#define STARTS_MAX				4000

typedef struct Rate
{
	int32_t		limit;
	int64_t		period;
	int32_t		burst;
} Rate;

/* T of 1 ms, 100 ms, 10 s, odd ones, and some below a microsecond */
static const Rate rates[] = {
	{1, MSEC, 1}, {2, 2 * MSEC, 1}, {20, 20 * MSEC, 1}, {119, 100 * MSEC, 20},
	{10, SECOND, 1}, {14, SECOND, 5}, {1, 100 * MSEC, 1}, {5, 100 * MSEC, 5},
	{1, 10 * SECOND, 1}, {6, 60 * SECOND, 1}, {8, 60 * SECOND, 3},
	{3, 10, 1}, {7, 10, 2}, {7, 10, 7}, {3, SECOND, 1}, {3, SECOND, 2},
	{7, 1009, 1}, {13, 997, 5}, {13, 997, 13}, {97, 86399999981, 3},
	{3, 1, 1}, {3, 1, 2}, {50, 7, 1}, {50, 7, 11}, {100, 3, 51},
	{1, JOBQ_GCRA_PERIOD_MAX, 1}, {5, JOBQ_GCRA_PERIOD_MAX, 2},
};

/* Ways of asking for a start */
typedef enum Mode
{
	MODE_BACKLOG,				/* as soon as the gate opens */
	MODE_LATE,					/* up to an interval and a bit later */
	MODE_RANDOM,				/* at random, often when it is shut */
	MODE_CROWDS,				/* many at a time, with long pauses */
	MODE_GIVE_BACK,				/* at random; some do not start after all */
	MODE_RESERVE,				/* at random, some time after it was allowed */
	MODES
} Mode;

static const char *const mode_names[MODES] = {
	"backlog", "late", "random", "crowds", "give back", "reserve"
};

typedef struct Simulation
{
	Rate		rate;
	JobqGcra	gcra;
	JobqGcraTime tat;
	int64_t		now;
	uint64_t	seed;
	int			reserved;
	int			nstarts;
	int64_t		starts[STARTS_MAX];
} Simulation;

static void
begin(Simulation *sim, const Rate *rate, uint64_t seed)
{
	JobqGcraResult result;

	sim->rate = *rate;
	sim->now = TODAY;
	sim->seed = seed;
	sim->reserved = 0;
	sim->nstarts = 0;
	result = jobq_gcra_make(&sim->gcra, rate->limit, rate->period,
							rate->burst);
	CHECK(result == JOBQ_GCRA_OK, "rate %d per %lld, burst %d: result %d",
		  rate->limit, (long long) rate->period, rate->burst, result);
	sim->tat = jobq_gcra_full(sim->now);
}

/* Whether there is room for another step. */
static bool
goes_on(const Simulation *sim)
{
	return sim->nstarts < STARTS_MAX - 1 && sim->now < FAR;
}

static bool
is_open(const Simulation *sim)
{
	return jobq_gcra_opens_at(&sim->gcra, sim->tat) <= sim->now;
}

static int64_t
random_span(Simulation *sim, int64_t limit)
{
	uint64_t	high = random_below(&sim->seed, UINT32_C(1) << 30);
	uint64_t	low = random_below(&sim->seed, UINT32_C(1) << 30);

	return limit < 1 ? 0 : (int64_t) ((high << 30 | low) % (uint64_t) limit);
}

static void
start(Simulation *sim)
{
	(void) jobq_gcra_take(&sim->gcra, &sim->tat, sim->now);
	sim->starts[sim->nstarts++] = sim->now;
}

static void
start_at_opening(Simulation *sim)
{
	int64_t		opens_at = jobq_gcra_opens_at(&sim->gcra, sim->tat);

	if (opens_at > sim->now)
		sim->now = opens_at;
}

/*
 * Two starts are under way at a time, of which either may be given back, in
 * either order; a start is known to be one when it is not given back.
 */
static void
start_two_or_less(Simulation *sim)
{
	JobqGcraTake takes[2];
	int64_t		times[2];
	int			n = 0;
	int			first = (int) random_below(&sim->seed, 2);
	int			i;

	for (i = 0; i < 2; i++)
	{
		sim->now += random_span(sim, sim->gcra.interval.usec + 2);
		if (is_open(sim))
		{
			takes[n] = jobq_gcra_take(&sim->gcra, &sim->tat, sim->now);
			times[n++] = sim->now;
		}
	}
	for (i = 0; i < n; i++)
	{
		int			this = n == 2 ? first ^ i : i;

		if (random_below(&sim->seed, 2) == 0)
			(void) jobq_gcra_give_back(&sim->tat, &takes[this]);
		else
			times[this] = -times[this];
	}
	for (i = 0; i < n; i++)
	{
		if (times[i] < 0)
			sim->starts[sim->nstarts++] = -times[i];
	}
}

/*
 * Starts are reserved, as if those that were reserved before started now, and
 * made or given up later.
 */
static void
reserve_or_start(Simulation *sim)
{
	sim->now += random_span(sim, sim->gcra.interval.usec / 2 + 2);
	if (random_below(&sim->seed, 2) == 0)
	{
		JobqGcraTime tat = sim->tat;
		int			i;

		for (i = 0; i < sim->reserved; i++)
			(void) jobq_gcra_take(&sim->gcra, &tat, sim->now);
		if (jobq_gcra_opens_at(&sim->gcra, tat) <= sim->now)
			sim->reserved++;
	}
	else if (sim->reserved > 0)
	{
		sim->reserved--;
		if (random_below(&sim->seed, 4) != 0)
			start(sim);
	}
}

static void
step(Simulation *sim, Mode mode)
{
	int64_t		interval = sim->gcra.interval.usec;

	switch (mode)
	{
		case MODE_BACKLOG:
			start_at_opening(sim);
			break;
		case MODE_LATE:
			start_at_opening(sim);
			sim->now += random_span(sim, interval + interval / 8 + 2);
			break;
		case MODE_CROWDS:
			if (!is_open(sim))
				sim->now += random_span(sim, (sim->rate.burst + 2) *
										(interval + 1));
			break;
		case MODE_GIVE_BACK:
			start_two_or_less(sim);
			return;
		case MODE_RESERVE:
			reserve_or_start(sim);
			return;
		default:
			sim->now += random_span(sim, interval + 2);
	}
	if (is_open(sim))
		start(sim);
}

/* Return how many starts the fullest window has. */
static int
fullest_window(const Simulation *sim)
{
	int			most = 0;
	int			i;
	int			k;

	for (i = 0; i < sim->nstarts; i++)
	{
		int			n = 0;

		for (k = i; k < sim->nstarts; k++)
		{
			if (sim->starts[k] - sim->starts[i] >= sim->rate.period)
				break;
			n++;
		}
		most = n > most ? n : most;
	}
	return most;
}

static void
check_windows(const Simulation *sim, const char *what)
{
	int			most = fullest_window(sim);

	CHECK(most <= sim->rate.limit,
		  "%s: %d starts at a rate of %d per %lld, burst %d", what, most,
		  sim->rate.limit, (long long) sim->rate.period, sim->rate.burst);
}

static void
test_windows(void)
{
	static Simulation sim;
	int			i;
	int			mode;
	int			k;

	for (i = 0; i < COUNT(rates); i++)
	{
		for (mode = 0; mode < MODES; mode++)
		{
			begin(&sim, &rates[i], (uint64_t) (i * MODES + mode + 1));
			for (k = 0; k < 20000 && goes_on(&sim); k++)
				step(&sim, (Mode) mode);
			check_windows(&sim, mode_names[mode]);
			CHECK(sim.nstarts > 50, "%s: only %d starts at rate %d",
				  mode_names[mode], sim.nstarts, i);
		}
	}
}

/* A backlog reaches the limit, unless an interval is shorter than a tick. */
static void
test_limit_reached(void)
{
	static Simulation sim;
	int			i;

	for (i = 0; i < COUNT(rates); i++)
	{
		if (rates[i].limit > rates[i].period)
			continue;
		begin(&sim, &rates[i], 1);
		while (goes_on(&sim))
			step(&sim, MODE_BACKLOG);
		CHECK(fullest_window(&sim) == sim.rate.limit,
			  "%d starts at most at a rate of %d per %lld, burst %d",
			  fullest_window(&sim), sim.rate.limit,
			  (long long) sim.rate.period, sim.rate.burst);
	}
}

/*
 * Count the starts of a backlog in this many periods, the workers coming up
 * to "late" microseconds after the gate has opened.
 */
static int64_t
count_starts(const Rate *rate, int64_t periods, int64_t late)
{
	static Simulation sim;
	int64_t		nstarts = 0;

	begin(&sim, rate, 7);
	while (sim.now < TODAY + periods * rate->period)
	{
		start_at_opening(&sim);
		sim.now += random_span(&sim, late + 1);
		while (is_open(&sim))
		{
			(void) jobq_gcra_take(&sim.gcra, &sim.tat, sim.now);
			nstarts++;
		}
	}
	return nstarts;
}

static void
check_rate(const Rate *rate, int64_t late)
{
	int64_t		periods = 2000 / (rate->limit - rate->burst + 1) + 2;
	int64_t		expected = (rate->limit - rate->burst + 1) * periods;
	int64_t		nstarts = count_starts(rate, periods, late);

	CHECK(nstarts * 100 >= expected * 98,
		  "%lld starts instead of %lld at a rate of %d per %lld, burst %d, %lld late",
		  (long long) nstarts, (long long) expected, rate->limit,
		  (long long) rate->period, rate->burst, (long long) late);
}

/* A backlog gets 98 % of its rate, and loses nothing by lateness in tolerance */
static void
test_rate_reached(void)
{
	static const Rate fast[] = {
		{1000000, SECOND, 20000}, {1000000, SECOND, 1}, {999983, SECOND, 77},
		{3000000, SECOND, 1}, {100, 1, 1}, {10000, 1, 1}, {10000, 1, 5000},
	};
	int			i;

	for (i = 0; i < COUNT(rates); i++)
	{
		JobqGcra	gcra;

		if (rates[i].period > YEAR)
			continue;
		check_rate(&rates[i], 0);
		(void) jobq_gcra_make(&gcra, rates[i].limit, rates[i].period,
							  rates[i].burst);
		check_rate(&rates[i], gcra.tolerance.usec);
	}
	for (i = 0; i < COUNT(fast); i++)
	{
		JobqGcra	gcra;
		Rate		rate = fast[i];

		check_rate(&rate, 0);
		(void) jobq_gcra_make(&gcra, rate.limit, rate.period, rate.burst);
		check_rate(&rate, gcra.tolerance.usec);
	}
}

/* The fastest rates that are accepted lose less than 2 % by rounding. */
static void
test_rounding(void)
{
	static const int64_t periods[] = {1, 2, 3, 7, 10, 31, 1000, 86400};
	uint64_t	seed = 5;
	int			accepted = 0;
	int			i;

	for (i = 0; i < 20000; i++)
	{
		int64_t		period = periods[random_below(&seed, COUNT(periods))];
		int32_t		limit = (int32_t) (random_below(&seed, INT32_MAX) >>
									   random_below(&seed, 20)) + 1;
		JobqGcra	gcra;
		double		interval;

		if (jobq_gcra_make(&gcra, limit, period, 1) != JOBQ_GCRA_OK)
		{
			CHECK(limit / (double) period > 60e6,
				  "%d per %lld is refused", limit, (long long) period);
			continue;
		}
		accepted++;
		interval = (double) gcra.interval.usec +
			gcra.interval.frac / 4294967296.0;
		CHECK(interval * limit >= (double) period * (1 - 1e-12),
			  "T of %d per %lld is too short", limit, (long long) period);
		CHECK(interval * limit * 0.98 < (double) period,
			  "T of %d per %lld is too long", limit, (long long) period);
	}
	CHECK(accepted > 5000, "only %d rates accepted", accepted);
}

static void
check_result(int32_t limit, int64_t period, int32_t burst,
			 JobqGcraResult expected, int line)
{
	JobqGcra	gcra = {{-1, 1}, {-2, 2}, {-3, 3}};
	JobqGcraResult result = jobq_gcra_make(&gcra, limit, period, burst);

	check_that(result == expected, __FILE__, line,
			   "%d per %lld, burst %d: expected %d, got %d", limit,
			   (long long) period, burst, expected, result);
	if (expected == JOBQ_GCRA_OK)
		check_that(gcra.interval.usec >= 0 && gcra.tolerance.usec >= 0 &&
				   gcra.interval.usec <= period &&
				   gcra.tolerance.usec <= JOBQ_GCRA_SPAN_MAX, __FILE__, line,
				   "T and tolerance are out of range");
	else
		check_that(gcra.interval.usec == -1 && gcra.interval.frac == 1 &&
				   gcra.tolerance.usec == -2 && gcra.tolerance.frac == 2,
				   __FILE__, line, "the rate was changed");
}

#define MAKE(limit, period, burst, expected) \
	check_result(limit, period, burst, JOBQ_GCRA_##expected, __LINE__)

static void
test_parameters(void)
{
	const int64_t longest = JOBQ_GCRA_PERIOD_MAX;

	MAKE(0, SECOND, 1, BAD_LIMIT);
	MAKE(INT32_MIN, SECOND, 1, BAD_LIMIT);
	MAKE(1, 0, 1, BAD_PERIOD);
	MAKE(1, -1, 1, BAD_PERIOD);
	MAKE(1, INT64_MIN, 1, BAD_PERIOD);
	MAKE(1, longest, 1, OK);
	MAKE(1, longest + 1, 1, BAD_PERIOD);
	MAKE(1, INT64_MAX, 1, BAD_PERIOD);
	MAKE(5, SECOND, 0, BAD_BURST);
	MAKE(5, SECOND, INT32_MIN, BAD_BURST);
	MAKE(5, SECOND, 5, OK);
	MAKE(5, SECOND, 6, BAD_BURST);
	MAKE(5, SECOND, INT32_MAX, BAD_BURST);

	MAKE(1 << 26, 1, 1, OK);
	MAKE(70000000, 1, 1, TOO_FAST);
	MAKE(1000000000, 1, 1, TOO_FAST);
	MAKE(1000000000, 100, 1, OK);
	MAKE(1000000000, 1, 950000000, OK);
	MAKE(INT32_MAX, 1, INT32_MAX, OK);
	MAKE(INT32_MAX, 1, 1, TOO_FAST);
	MAKE(INT32_MAX, 1000, 1, OK);

	MAKE(9, longest, 9, OK);
	MAKE(10, longest, 10, TOO_LONG);
	MAKE(INT32_MAX, longest, 1, OK);
	MAKE(INT32_MAX, longest, INT32_MAX, TOO_LONG);
	MAKE(INT32_MAX, longest, INT32_MAX / 2, OK);
	MAKE(INT32_MAX, 86400 * SECOND, INT32_MAX, TOO_LONG);
	MAKE(INT32_MAX, SECOND, INT32_MAX, OK);
}

static void
test_default_burst(void)
{
	uint64_t	seed = 3;
	int			i;

	static const Rate defaults[] = {
		{1, SECOND, 1}, {49, SECOND, 1}, {100, SECOND, 3},
		{1000, SECOND, 21}, {1000000, SECOND, 20001}, {100, 60 * SECOND, 1},
		{10, 40 * MSEC, 5}, {10, 20 * MSEC, 5}, {1, MSEC, 1}, {2, MSEC, 1},
		{3, MSEC, 2}, {100, MSEC, 50}, {1000000000, 1, 500000000},
		{INT32_MAX, 1, 1 << 30}, {INT32_MAX, JOBQ_GCRA_PERIOD_MAX, 1},
		{0, SECOND, 1}, {INT32_MIN, SECOND, 1}, {5, 0, 1}, {5, INT64_MIN, 1},
	};

	for (i = 0; i < COUNT(defaults); i++)
	{
		int32_t		burst = jobq_gcra_default_burst(defaults[i].limit,
													defaults[i].period);

		CHECK(burst == defaults[i].burst, "%d per %lld: burst %d, not %d",
			  defaults[i].limit, (long long) defaults[i].period, burst,
			  defaults[i].burst);
	}

	/* it is never what makes a rate invalid */
	for (i = 0; i < 10000; i++)
	{
		int32_t		limit = (int32_t) (random_below(&seed, INT32_MAX) >>
									   random_below(&seed, 31)) + 1;
		int64_t		period = ((int64_t) random_below(&seed, INT32_MAX) << 24 >>
							  random_below(&seed, 54)) + 1;
		JobqGcra	gcra;
		JobqGcraResult result;

		if (period > JOBQ_GCRA_PERIOD_MAX)
			continue;
		result = jobq_gcra_make(&gcra, limit, period,
								jobq_gcra_default_burst(limit, period));
		CHECK(result == JOBQ_GCRA_OK || result == JOBQ_GCRA_TOO_FAST,
			  "%d per %lld: %d", limit, (long long) period, result);
	}
}

/* What is given back can be had again, unless another has come after it. */
static void
test_give_back(void)
{
	const Rate	rate = {2, 2 * MSEC, 1};
	static Simulation sim;
	JobqGcraTake a;
	JobqGcraTake b;

	begin(&sim, &rate, 1);
	a = jobq_gcra_take(&sim.gcra, &sim.tat, sim.now);
	CHECK(!is_open(&sim), "open after a start");
	CHECK(jobq_gcra_give_back(&sim.tat, &a), "not given back");
	CHECK(is_open(&sim), "shut after it was given back");
	CHECK(!jobq_gcra_give_back(&sim.tat, &a), "given back twice");

	/* given back by the first of two only when the second has given back */
	a = jobq_gcra_take(&sim.gcra, &sim.tat, sim.now);
	sim.now += MSEC;
	CHECK(is_open(&sim), "shut after its interval");
	b = jobq_gcra_take(&sim.gcra, &sim.tat, sim.now);
	CHECK(!jobq_gcra_give_back(&sim.tat, &a), "given back out of order");
	sim.now += MSEC / 2;
	CHECK(!is_open(&sim), "open too early");
	CHECK(jobq_gcra_give_back(&sim.tat, &b), "the last is not given back");
	CHECK(jobq_gcra_give_back(&sim.tat, &a), "the first is not given back");

	/* the clock was set back in between */
	a = jobq_gcra_take(&sim.gcra, &sim.tat, sim.now);
	sim.now -= SECOND;
	CHECK(jobq_gcra_cut(&sim.gcra, &sim.tat, sim.now), "not cut");
	CHECK(!jobq_gcra_give_back(&sim.tat, &a), "given back after a cut");
}

/* After the clock was set back the gate opens within an interval. */
static void
test_clock(void)
{
	static Simulation sim;
	int			i;

	for (i = 0; i < COUNT(rates); i++)
	{
		int64_t		opens_at;
		int			k;

		begin(&sim, &rates[i], 1);
		for (k = 0; k < 10; k++)
			step(&sim, MODE_CROWDS);
		CHECK(!jobq_gcra_cut(&sim.gcra, &sim.tat, sim.now),
			  "cut without need at rate %d", i);
		sim.now -= sim.rate.period + sim.gcra.tolerance.usec + SECOND;
		CHECK(jobq_gcra_cut(&sim.gcra, &sim.tat, sim.now),
			  "not cut at rate %d", i);
		CHECK(!jobq_gcra_cut(&sim.gcra, &sim.tat, sim.now),
			  "cut twice at rate %d", i);
		opens_at = jobq_gcra_opens_at(&sim.gcra, sim.tat);
		CHECK(opens_at > sim.now &&
			  opens_at <= sim.now + sim.gcra.interval.usec + 1,
			  "rate %d opens %lld ahead", i,
			  (long long) (opens_at - sim.now));

		/* the promise holds from then on, and if the clock goes ahead */
		sim.nstarts = 0;
		for (k = 0; k < 1000 && goes_on(&sim); k++)
		{
			step(&sim, MODE_BACKLOG);
			if (k % 100 == 99)
				sim.now += 3 * sim.rate.period;
		}
		check_windows(&sim, "clock");
	}
}

/* After starts that were forced, the gate opens when a period has room again. */
static void
test_force(void)
{
	static Simulation sim;
	int			i;

	for (i = 0; i < COUNT(rates); i++)
	{
		int64_t		opens_at;
		int			k;

		begin(&sim, &rates[i], 1);
		jobq_gcra_allow_force(&sim.gcra, sim.rate.period);
		for (k = 0; k < 2 * sim.rate.limit; k++)
		{
			start(&sim);
			(void) jobq_gcra_cut(&sim.gcra, &sim.tat, sim.now);
		}
		opens_at = jobq_gcra_opens_at(&sim.gcra, sim.tat);
		CHECK(opens_at >= sim.now + sim.rate.period &&
			  opens_at <= sim.now + sim.rate.period + 1,
			  "rate %d opens %lld ahead", i,
			  (long long) (opens_at - sim.now));
	}
}

/* An interruption in which all is forgotten leaves no window too full. */
static void
test_restart(void)
{
	static Simulation sim;
	int			i;

	for (i = 0; i < COUNT(rates); i++)
	{
		int			k;

		begin(&sim, &rates[i], (uint64_t) i + 1);
		for (k = 0; k < 2000 && goes_on(&sim); k++)
		{
			step(&sim, (Mode) random_below(&sim.seed, MODE_GIVE_BACK));
			if (random_below(&sim.seed, 20) == 0)
				sim.tat = jobq_gcra_empty(&sim.gcra, sim.now);
			else if (random_below(&sim.seed, 20) == 0)
			{
				/* forgotten a period ago */
				sim.now += sim.rate.period;
				sim.tat = jobq_gcra_full(sim.now);
			}
		}
		check_windows(&sim, "restart");
		CHECK(sim.nstarts > 50, "only %d starts", sim.nstarts);
	}
}

/* Nothing overflows at either end of time. */
static void
test_ends_of_time(void)
{
	static const int64_t times[] = {
		INT64_MIN, INT64_MIN + 1, -1, 0, 1, TODAY, INT64_MAX - 1, INT64_MAX
	};
	int			i;
	int			k;

	for (i = 0; i < COUNT(rates); i++)
	{
		for (k = 0; k < COUNT(times); k++)
		{
			JobqGcra	gcra;
			JobqGcraTime tat = jobq_gcra_full(times[k]);
			int64_t		before;
			int			n;

			(void) jobq_gcra_make(&gcra, rates[i].limit, rates[i].period,
								  rates[i].burst);
			before = jobq_gcra_opens_at(&gcra, tat);
			CHECK(before <= times[k], "shut at first at %d", k);
			for (n = 0; n < 10; n++)
			{
				JobqGcraTake take = jobq_gcra_take(&gcra, &tat, times[k]);
				int64_t		after = jobq_gcra_opens_at(&gcra, tat);

				CHECK(after >= before, "opens earlier after a start at %d", k);
				CHECK(jobq_gcra_give_back(&tat, &take), "not given back");
				(void) jobq_gcra_take(&gcra, &tat, times[k]);
				before = after;
			}
			(void) jobq_gcra_cut(&gcra, &tat, times[0]);
			(void) jobq_gcra_cut(&gcra, &tat, times[k]);
			tat = jobq_gcra_empty(&gcra, times[k]);
			CHECK(jobq_gcra_opens_at(&gcra, tat) > times[k] ||
				  times[k] == INT64_MAX, "open when empty at %d", k);
		}
	}

	/* out of range: it never opens */
	{
		JobqGcra	gcra;
		JobqGcraTime tat = jobq_gcra_full(INT64_MAX - 1);

		(void) jobq_gcra_make(&gcra, 1, SECOND, 1);
		(void) jobq_gcra_take(&gcra, &tat, INT64_MAX - 1);
		CHECK(jobq_gcra_opens_at(&gcra, tat) == INT64_MAX, "opens");
	}
}

int
main(void)
{
	test_parameters();
	test_default_burst();
	test_windows();
	test_limit_reached();
	test_rate_reached();
	test_rounding();
	test_give_back();
	test_clock();
	test_force();
	test_restart();
	test_ends_of_time();
	return check_finish();
}
