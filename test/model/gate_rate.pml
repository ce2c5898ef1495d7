/*
 * gate_rate.pml: a model of rates and of throttle(), for spin: when claims may start
 * a job, and who is woken when one may.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/rate.c, src/common/gcra.c and
 * src/shared/throttle.c, as src/queue/start.c, src/queue/queue_wake.c and the looks
 * of the coordinator use it; inlines here are called as the functions there, without
 * "jobq_".  Tickets are in gate.pml: here a gate is one step, and never wrong.
 *
 * Claimed here, for all interleavings of a small case: no window of a period has more
 * starts than the rate allows; nothing starts while the queue is throttled; and when
 * nothing happens any more, nothing is reserved, no gate is shut for longer than a start
 * shuts it, and no worker sleeps while there is a ready job that could start.
 *
 * A step is one access to an atomic variable, or what happens under the lock of a
 * rate, or when a transaction ends for the others.  The clock goes on between any two
 * of them, up to END, and stands still there: what is to be done later is never done.
 * With BACK it is set back once, and then stands still at any time.
 *
 * With RESTART, the initial state is that after a crash: jobs have started, by the
 * rate, and shared memory knows nothing of them; with KEPT, the last start that was
 * committed is in a table.
 */

#ifndef QUEUES
#define QUEUES		1
#endif
#ifndef JOBS
#define JOBS		2		/* job j is one of queue j % QUEUES */
#endif
#ifndef THERE
#define THERE		JOBS	/* jobs 0..THERE-1 are there from the start */
#endif
#ifndef WORKERS
#define WORKERS		2		/* of each queue */
#endif
#ifndef MAX
#define MAX			WORKERS	/* max_running of each queue */
#endif
#ifndef ERRORS
#define ERRORS		0		/* claims that are rolled back, at most */
#endif
#ifndef LOSSES
#define LOSSES		0		/* jobs that were found, and cannot be claimed */
#endif
#ifndef POLLS
#define POLLS		0		/* claims of workers who were not woken, at most */
#endif
#ifndef END
#define END			4
#endif

/* A rate: LIMIT starts in PERIOD, BURST of them at once; INTERVAL is what follows. */
#ifndef LIMIT
#define LIMIT		1
#endif
#ifndef PERIOD
#define PERIOD		2
#endif
#ifndef BURST
#define BURST		1
#endif
#define INTERVAL_OF(limit, period, burst)	((period) / ((limit) - (burst) + 1))

/*
 * OWN: each queue has it; SHARED: the queues share a limit that has it, or another
 * one, of one start in SHARED_INTERVAL.
 */
#if !defined(OWN) && !defined(SHARED)
#define OWN
#endif
#define RATES		(QUEUES + 1)
#define LIMIT_RATE	QUEUES

#ifdef SHARED_INTERVAL
#define T_OF(r)		((r) == LIMIT_RATE -> SHARED_INTERVAL : T)
#define TAU_OF(r)	((r) == LIMIT_RATE -> 0 : tau)
#else
#define T_OF(r)		T
#define TAU_OF(r)	tau
#endif

#define QUEUE(j)	((j) % QUEUES)
#define MIN_OF(a, b)	((a) < (b) -> (a) : (b))
#define MAX_OF(a, b)	((a) > (b) -> (a) : (b))

#define NEVER		99

/* JobqRate */
typedef Rate
{
	byte		tat;
	byte		reserved;
	byte		opens_at;
	byte		looked_at;
	bool		known;
	bool		turned_away;
};

Rate		rate[RATES];

/* What the options say; a process reads them when it begins. */
byte		interval = INTERVAL_OF(LIMIT, PERIOD, BURST);
byte		tolerance = (BURST - 1) * INTERVAL_OF(LIMIT, PERIOD, BURST);
byte		version = 0;

/* To check the model by */
byte		limit = LIMIT;
byte		period = PERIOD;

byte		now = 0;
byte		since = NEVER;		/* jobq_shared->rates_since */
byte		kept = 0;			/* in rate_start, of queue 0 */

/* The state of a job */
#define NONE		0
#define READY		1
#define HELD		2

byte		job[JOBS];
byte		running[QUEUES];
bool		starved[QUEUES];

/* Of each queue: its workers, who have been woken, and who sleep, */
byte		wakes[QUEUES];
byte		asleep[QUEUES];

/* and what the coordinator has been told. */
bool		look_wanted[QUEUES];
byte		next_look[QUEUES];

#ifdef THROTTLE
/* JobqThrottle, of queue 0; with the end that holds for all that begin now */
byte		until = 0;
byte		delay = 0;
byte		throttled_until = 0;
#endif

/* To check the model by: starts of the latest rate, with their times */
#define STARTS		6

byte		started[STARTS];
byte		nstarted = 0;

#ifdef BACK
bool		set_back = false;
#endif

byte		errors = ERRORS;
byte		losses = LOSSES;
byte		polls = POLLS;

#define BACKEND_STATE \
	byte		T = 0; \
	byte		tau = 0; \
	byte		my_version = 0; \
	byte		t = 0; \
	byte		i = 0; \
	byte		n = 0; \
	bool		open = false

#define READ_RATE	T = interval; tau = tolerance; my_version = version

inline wake_now(q)
{
	wakes[q] = MIN_OF(wakes[q] + 1, JOBS + 1)
}

/* ------------------------------------------------------------ gcra.c */

/* A start that is counted now. */
#define TAKE(r, tat)	(MAX_OF(tat, now) + T_OF(r))

#define OPENS_AT(r, tat)	((tat) > TAU_OF(r) -> (tat) - TAU_OF(r) : 0)

/* ------------------------------------------------------------ rate.c */

inline set_opens_at(r)
{
	t = rate[r].tat;
#ifndef BREAK_RESERVED
	i = 0;
	do
	:: i < rate[r].reserved -> t = TAKE(r, t); i++
	:: else -> break
	od;
	i = 0;
#endif
	rate[r].opens_at = OPENS_AT(r, t);
	rate[r].looked_at = now;
	t = 0
}

/* look(), under the mutex; the result is in `open`. */
inline look(r)
{
	since = MIN_OF(since, now);
	if
	:: !rate[r].known ->
#ifndef BREAK_SINCE
		rate[r].tat = since + TAU_OF(r) + T_OF(r)
#else
		rate[r].tat = since
#endif
	:: else
	fi;
	rate[r].known = true;
#ifndef BREAK_CUT
	rate[r].tat = MIN_OF(rate[r].tat, now + T_OF(r) + TAU_OF(r));
#endif
	set_opens_at(r);
	open = rate[r].opens_at <= now
}

/* reserve() */
inline rate_reserve(r)
{
	d_step {
		look(r);
		if
		:: open -> rate[r].reserved++; set_opens_at(r)
		:: else
		fi
	}
}

/* reopen(), under the mutex; `open`: others must be woken. */
inline reopen(r)
{
#ifndef BREAK_TURNED_AWAY
	open = rate[r].turned_away;
#else
	open = false;
#endif
	rate[r].turned_away = false;
#ifndef BREAK_REOPEN
	rate[r].opens_at = 0
#else
	skip
#endif
}

/* release() */
inline rate_release(r)
{
	d_step {
		assert(rate[r].reserved > 0);
		rate[r].reserved--;
		reopen(r)
	}
}

/* start_reserved(), under the mutex; tat before and after it. */
inline start_reserved(r)
{
	assert(rate[r].reserved > 0);
	rate[r].reserved--;
	before[r] = rate[r].tat;
	rate[r].tat = TAKE(r, rate[r].tat);
	after[r] = rate[r].tat;
	set_opens_at(r)
}

/* undo() */
inline rate_undo(r)
{
	d_step {
		open = false;
		if
#ifndef BREAK_UNDO
		:: rate[r].tat == after[r] ->
#else
		:: true ->
#endif
			rate[r].tat = before[r];
			reopen(r)
#ifndef BREAK_UNDO
		:: else
#endif
		fi
	}
}

/* is_open(): if it is not, the coordinator is told when it is. */
inline is_open(r, whose)
{
	d_step {
		look(r);
		rate[r].turned_away = rate[r].turned_away || !open;
		t = rate[r].opens_at
	};
	if
#ifndef BREAK_WAKE_AT
	:: !open -> next_look[whose] = MIN_OF(next_look[whose], t)
#endif
	:: else
	fi;
	t = 0
}

/* may_be_open(), for commits */
inline may_be_open(r, whose)
{
	d_step {
		open = rate[r].opens_at <= now || rate[r].looked_at > now;
#ifndef BREAK_COMMIT
		rate[r].turned_away = rate[r].turned_away || !open;
#endif
		t = rate[r].opens_at
	};
	if
	:: !open -> next_look[whose] = MIN_OF(next_look[whose], t)
	:: else
	fi;
	t = 0
}

/* --------------------------------------------------------- throttle.c */

#ifdef THROTTLE
/*
 * holds(); the result is in `open`, whether it does not.  It must not overlook what
 * was set before it began.
 */
inline throttle_holds(q)
{
	d_step { t = until; n = throttled_until };
	if
	:: t > now ->
		i = delay;
#ifndef BREAK_THROTTLE_CUT
		d_step {
			if
			:: t > now + i && until == t -> until = now + i; t = until
			:: else
			fi
		};
#endif
		i = 0;
		open = false;
		next_look[q] = MIN_OF(next_look[q], t)
	:: d_step {
			t <= now ->
			open = true;
			assert(n <= now)
		}
	fi;
	t = 0;
	n = 0
}
#endif

/* ------------------------------------------------------------ start.c */

/* Reserves a start of one rate; the result is in `open`. */
inline reserve_of(r, whose)
{
	do
	:: rate_reserve(r);
		if
		:: open -> break
		:: else ->
			is_open(r, whose);
			if
#ifndef BREAK_OPEN_AGAIN
			:: open
#endif
			:: else -> open = false; break
			fi
		fi
	od
}

/* look_at_limit(): the coordinator looks at all of its queues. */
inline look_at_limit()
{
	d_step {
		i = 0;
		do
		:: i < QUEUES -> look_wanted[i] = true; i++
		:: else -> break
		od;
		i = 0
	}
}

/* return(): nothing starts for what is reserved. */
inline start_return(q)
{
	skip;
#ifndef BREAK_RELEASE
#ifdef OWN
	rate_release(q);
	if
	:: open -> look_wanted[q] = true
	:: else
	fi;
#endif
#ifdef SHARED
	if
	:: has_limit ->
		rate_release(LIMIT_RATE);
		if
		:: open -> look_at_limit()
		:: else
		fi
	:: else
	fi;
#endif
#endif
	has_limit = false
}

/* reserve(); the result is in `open`. */
inline start_reserve(q)
{
	open = true;
#ifdef KEPT
	/* start_pin(): reads what was kept, which takes a while */
	if
	:: !rate[q].known ->
		t = kept;
		d_step {
			if
#ifndef BREAK_LEARN
			:: !rate[q].known ->
#else
			:: true ->
#endif
				rate[q].tat = t;
				rate[q].known = true
#ifndef BREAK_LEARN
			:: else
#endif
			fi;
			t = 0
		}
	:: else
	fi;
#endif
#ifdef THROTTLE
	throttle_holds(q);
#endif
#ifdef OWN
	if
	:: open -> reserve_of(q, q)
	:: else
	fi;
#endif
#ifdef SHARED
	if
	:: open ->
		reserve_of(LIMIT_RATE, q);
		has_limit = open;
		if
		:: !open -> start_return(q); open = false
		:: else
		fi
	:: else
	fi
#endif
}

/* The window that ends with this start has no more than LIMIT. */
inline check_window(at)
{
	i = 0;
	n = 0;
	do
	:: i < nstarted ->
		n = n + (started[i] + period > at && started[i] <= at -> 1 : 0);
		i++
	:: else -> break
	od;
	assert(n <= limit);
	i = 0;
	n = 0
}

inline note_start(at)
{
	if
	:: my_version == version && nstarted < STARTS ->
		started[nstarted] = at;
		nstarted++;
		check_window(at)
	:: else
	fi
}

/* use(): the job starts, at one time for both rates. */
inline start_use(q)
{
#ifdef BREAK_BOTH
	d_step { start_reserved(q) };
#endif
	d_step {
#if defined(OWN) && !defined(BREAK_BOTH)
		start_reserved(q);
#endif
#ifdef SHARED
		start_reserved(LIMIT_RATE);
#endif
		has_limit = false;
		at = now;
		note_start(at)
	}
}

/* undo(): the job that was found does not start now. */
inline start_undo(q)
{
	d_step {
		/* it is no start any more */
		i = nstarted;
		do
		:: i > 0 && started[i - 1] != at -> i--
		:: else -> break
		od;
		if
		:: i > 0 && my_version == version ->
			nstarted--;
			started[i - 1] = started[nstarted];
			started[nstarted] = 0
		:: else
		fi;
		i = 0
	};
#ifdef OWN
	rate_undo(q);
	if
	:: open -> look_wanted[q] = true
	:: else
	fi;
#endif
#ifdef SHARED
	rate_undo(LIMIT_RATE);
	if
	:: open -> look_at_limit()
	:: else
	fi
#endif
}

/* ------------------------------------------------------------ processes */

/* wake_pending(): room_of(), for a job that has become ready. */
inline wake_pending(q)
{
	open = true;
#ifdef THROTTLE
	throttle_holds(q);
#endif
#ifdef OWN
	if
	:: open -> may_be_open(q, q)
	:: else
	fi;
#endif
#ifdef SHARED
	if
	:: open -> may_be_open(LIMIT_RATE, q)
	:: else
	fi;
#endif
	if
	:: open -> wake_now(q)
	:: else
	fi
}

/* A transaction that makes a job ready. */
proctype Enqueuer(byte j)
{
	BACKEND_STATE;

	job[j] = READY;
	wake_pending(QUEUE(j))
}

/* The ticket of a job, or of a claim that has found none, goes back. */
inline leave(q)
{
	d_step {
		running[q]--;
		if
		:: starved[q] -> starved[q] = false; wake_now(q)
		:: else
		fi
	}
}

proctype Worker(byte q)
{
	BACKEND_STATE;
	byte		j = 0;
	byte		at = 0;
	byte		before[RATES];
	byte		after[RATES];
	bool		has_limit = false;
	bool		woken = false;
	bool		lost = false;

end:
	do
	:: atomic {
			if
			:: wakes[q] > 0 -> wakes[q]--; woken = true
			:: polls > 0 -> polls--
			fi;
			asleep[q]--;
			READ_RATE
		};
		do
		:: start_reserve(q);
			if
			:: !open -> break
			:: else
			fi;
			d_step {
				if
				:: running[q] < MAX -> running[q]++
				:: else -> starved[q] = true; open = false
				fi
			};
			if
			:: !open -> start_return(q); break
			:: else
			fi;
			if
			:: d_step {
					/* the next ready job that nobody has locked */
					true ->
					j = q;
					do
					:: j < JOBS && job[j] != READY -> j = j + QUEUES
					:: else -> break
					od;
					if
					:: j < JOBS -> job[j] = HELD
					:: else -> j = JOBS
					fi
				};
				if
				:: j == JOBS ->
					start_return(q);
					leave(q);
					break
				:: else
				fi
			:: d_step {
					/* after an error */
					errors > 0 ->
					errors--
				};
				start_return(q);
				leave(q);
				if
				:: woken -> wake_now(q)
				:: else
				fi;
				break
			fi;
			start_use(q);
			if
			:: d_step {
					/* jobq_claim_lost(): another session is about to end it */
					losses > 0 ->
					losses--;
					job[j] = NONE;
					lost = true
				};
				start_undo(q);
				leave(q);
				lost = false
			:: true ->
#ifdef KEPT
				/* with the commit, the start is in the table */
				kept = MAX_OF(kept, after[q]);
#endif
				job[j] = NONE;
				leave(q);
				/* it looks for another one */
				wake_now(q);
				break
			fi
		od;
		skip;
		d_step {
			j = 0;
			at = 0;
			woken = false;
			open = false;
			T = 0;
			tau = 0;
			my_version = 0;
			i = 0;
			do
			:: i < RATES -> before[i] = 0; after[i] = 0; i++
			:: else -> break
			od;
			i = 0;
			asleep[q]++
		}
	od
}

inline look_at(q)
{
	d_step { READ_RATE };
	open = true;
#ifdef THROTTLE
	throttle_holds(q);
#endif
#ifdef OWN
	if
	:: open -> is_open(q, q)
	:: else
	fi;
#endif
#ifdef SHARED
	if
	:: open -> is_open(LIMIT_RATE, q)
	:: else
	fi;
#endif
	d_step {
		if
		:: open && running[q] >= MAX -> starved[q] = true; open = false
		:: else
		fi;
		j = q;
		do
		:: j < JOBS ->
			if
			:: open && job[j] == READY -> wake_now(q)
			:: else
			fi;
			j = j + QUEUES
		:: else -> break
		od;
		j = 0;
		q = 0;
		T = 0;
		tau = 0;
		my_version = 0;
		open = false
	}
}

/*
 * The coordinator looks at a queue when it is told to, and when a rate that was shut
 * should be open.  It wakes a worker for each job, as in gate.pml.
 */
proctype Coordinator()
{
	BACKEND_STATE;
	byte		q = 0;
	byte		j = 0;

end:
	do
	:: atomic {
			look_wanted[0] || next_look[0] <= now ->
			q = 0;
			look_wanted[0] = false;
			next_look[0] = NEVER
		};
		look_at(q)
#if QUEUES > 1
	:: atomic {
			look_wanted[1] || next_look[1] <= now ->
			q = 1;
			look_wanted[1] = false;
			next_look[1] = NEVER
		};
		look_at(q)
#endif
	od
}

proctype Clock()
{
end:
	do
	:: now < END -> now++
#ifdef BACK
	:: d_step {
			/* once; a window over that may have more starts */
			now == END && !set_back ->
			set_back = true;
			now = END - BACK;
			nstarted = 0;
#ifdef THROTTLE
			/* what was left of the delay is still to pass */
			throttled_until = (throttled_until > BACK ->
				throttled_until - BACK : 0);
#endif
			/* the coordinator looks at all queues when it wakes up */
			look_wanted[0] = true
		}
	:: set_back -> break
#endif
	od
}

#ifdef ALTER
/* alter_queue() or alter_limit() */
proctype Changer(byte to_limit; byte to_period; byte to_burst)
{
	byte		i = 0;

	d_step {
		limit = to_limit;
		period = to_period;
		interval = INTERVAL_OF(limit, period, to_burst);
		tolerance = (to_burst - 1) * interval;
		version++;
		/* only starts of the new rate are counted by it */
		nstarted = 0
	};
#ifndef BREAK_LOOK_AFTER_CHANGE
	look_at_limit()
#endif
}
#endif

#ifdef THROTTLE
/* throttle(), and perhaps throttle() with '0' */
proctype Throttler()
{
	/* set() */
#ifndef BREAK_THROTTLE_ORDER
	delay = THROTTLE;
	d_step { until = now + THROTTLE; throttled_until = until };
#else
	d_step { until = now + THROTTLE; throttled_until = until };
	delay = THROTTLE;
#endif
	look_wanted[0] = true;
#ifdef THROTTLE_END
	throttled_until = 0;
	delay = 0;
	until = 0;
#ifndef BREAK_THROTTLE_LOOK
	look_wanted[0] = true
#endif
#endif
}
#endif

#ifdef RESTART
/*
 * What has happened before time RESTART, by the rate: its starts were committed, or
 * not.
 */
inline run_before()
{
	byte		tat = 0;

	do
	:: now < RESTART -> now++
	:: nstarted < RESTARTED && MAX_OF(tat, now) <= now + tolerance ->
		tat = MAX_OF(tat, now) + interval;
		if
		:: true ->
			started[nstarted] = now;
			nstarted++;
#ifndef BREAK_KEEP
			kept = tat
#endif
#ifdef KEPT
		:: true
#endif
		fi
	:: now == RESTART -> break
	od;
	tat = 0
}
#endif

/* Begins, and judges when nothing happens any more. */
init
{
	BACKEND_STATE;
	byte		j = 0;

#ifdef RESTART
	run_before();
#endif
	atomic {
#ifndef RESTART
		do
		:: j < RATES -> rate[j].known = true; j++
		:: else -> break
		od;
		j = 0;
#endif
		do
		:: j < QUEUES -> next_look[j] = NEVER; j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < QUEUES * WORKERS -> asleep[QUEUE(j)]++; run Worker(QUEUE(j)); j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < JOBS ->
			if
			:: j < THERE -> job[j] = READY; wakes[QUEUE(j)]++
			:: else -> run Enqueuer(j)
			fi;
			j++
		:: else -> break
		od;
		j = 0;
#ifdef ALTER
		run Changer(ALTER);
#endif
#ifdef THROTTLE
		run Throttler();
#endif
		run Coordinator();
		run Clock()
	}
	timeout;
	d_step {
		READ_RATE;
		do
		:: j < RATES -> assert(rate[j].reserved == 0); j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < JOBS ->
			open = true;
#ifdef OWN
			look(QUEUE(j));
			assert(rate[QUEUE(j)].opens_at <= now + T);
#endif
#ifdef SHARED
			if
			:: open -> look(LIMIT_RATE)
			:: else
			fi;
#endif
#ifdef THROTTLE
			/* not longer than the delay */
			open = open && !(until > now && until <= now + delay);
#endif
			/* nobody sleeps who could start this job */
			assert(job[j] != READY || !open || asleep[QUEUE(j)] == 0);
			j++
		:: else -> break
		od
	}
}
