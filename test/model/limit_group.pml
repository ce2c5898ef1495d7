/*
 * limit_group.pml: a model of max_running_per_group of shared limits, for spin: which
 * groups of several queues may start a job, and who is woken when one may.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/limit_group.c and src/shared/roster*.c, as
 * src/dispatch/turn.c, src/queue/limit_link.c and src/dispatch/counting.c use it.  Each
 * queue has one group, all with the same key; job j is one of queue j % QUEUES.  What
 * is known of a group's jobs is exact here: roster.pml and dispatch.pml have the rest.
 *
 * Claimed here, for all interleavings of a small case: a claim that knows the limit as
 * it is, and is let in, finds fewer jobs running in all queues that share it than may;
 * when nothing happens any more, no worker sleeps while a ready job of its queue could
 * start, and as many tickets are out as jobs run.  A job may run without an end, so
 * nobody may rely on that.
 *
 * `lock` is that of a queue's stream.  A d_step of more than what a backend alone can
 * see is what happens under the limit's lock, or when a transaction ends for the others.
 * A worker wakes up, claims one job, runs it, and sleeps again.
 */

#ifndef QUEUES
#define QUEUES		2
#endif
#ifndef JOBS
#define JOBS		2
#endif
#ifndef WORKERS
#define WORKERS		1		/* of each queue */
#endif
#ifndef MAX
#define MAX			1		/* max_running_per_group of the limit; 0: none */
#endif
#ifndef THERE
#define THERE		0		/* jobs 0..THERE-1 run when the server has started */
#endif
#ifndef EVICTIONS
#define EVICTIONS	0		/* groups that leave memory while they wait, at most */
#endif
#ifndef ERRORS
#define ERRORS		0		/* rollbacks, at most */
#endif

#define QUEUE(j)	((j) % QUEUES)
#define BIT(j)		(1 << (j))
#define MIN(a, b)	((a) < (b) -> (a) : (b))
#define MAXIMUM(a, b)	((a) > (b) -> (a) : (b))

/* Places of a group */
#define RESTS		0
#define IN_TURN		1
#define WAITS		2
#define GONE		3			/* it is not in memory, and the roster not complete */

typedef Queue
{
	bool		lock;
	byte		place;
	byte		running;		/* tickets of its group */
	byte		told;
	byte		known;			/* its ready jobs, as bits */
	bool		linked;
	byte		waits_limit;
	bool		called;			/* the group is in the list of those called */
	bool		member;			/* it shares the limit, as was committed last */
};

Queue		queue[QUEUES];

/* The limit: JobqLimitState, and JobqLimitGroup. */
byte		max = MAX;
byte		counts_groups = 0;	/* 1: queues are to be linked; 2: `counted` says
								 * whether all are */
bool		counted = false;
byte		stamp = 0;			/* of the gate */
bool		starved = false;
byte		running = 0;
byte		waiting = 0;		/* groups that wait, as bits */
byte		waiting_max = 0;

/* The state of a job */
#define NONE		0
#define READY		1
#define HELD		2

byte		job[JOBS];

byte		wakes[QUEUES];
byte		asleep[QUEUES];
bool		look_wanted[QUEUES];
bool		count_wanted = false;
byte		errors = ERRORS;
byte		evictions = EVICTIONS;

#if QUEUES == 2
#define SUM \
	((queue[0].member -> queue[0].running : 0) + \
	 (queue[1].member -> queue[1].running : 0))
#else
#define SUM \
	((queue[0].member -> queue[0].running : 0) + \
	 (queue[1].member -> queue[1].running : 0) + \
	 (queue[2].member -> queue[2].running : 0))
#endif

#define LOCK(q)		atomic { !queue[q].lock -> queue[q].lock = true }
#define UNLOCK(q)	queue[q].lock = false

#define BACKEND_STATE \
	byte		m = 0; \
	bool		shares = false; \
	bool		found = false; \
	bool		drawn = false; \
	bool		known_now = false; \
	byte		told = 0; \
	byte		to_look = 0; \
	byte		seen = 0; \
	byte		i = 0

inline wake_now(q)
{
	wakes[q] = MIN(wakes[q] + 1, JOBS + 1)
}

/* A claim begins: what it knows of the queue. */
#define READ_VIEW(q)	shares = queue[q].member; m = (shares -> max : 0)

/* ------------------------------------------------------- limit_group.c */

/*
 * call_waiting(); part of a d_step.  `to_look`: queues of which the coordinator is to be
 * told, after the lock of the queue is released.
 */
inline call_waiting()
{
	i = 0;
	do
	:: i < QUEUES ->
		if
		:: (waiting & BIT(i)) != 0 ->
			queue[i].called = true;
			to_look = to_look | BIT(i)
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	waiting = 0
}

/* count() of tickets that are given back; the same. */
inline count_back(n)
{
	assert(running >= n);
	running = running - n;
#ifndef BREAK_CALL
	if
	:: waiting != 0 && running < waiting_max -> call_waiting()
	:: else
	fi
#endif
}

/* stop_waiting() */
inline stop_waiting(q)
{
	d_step {
		waiting = waiting & ~BIT(q);
		queue[q].called = false
	}
}

/* put_in_turn(), of a group that waits; under the queue's lock, as all that follow. */
inline end_wait(q)
{
	stop_waiting(q);
	queue[q].place = IN_TURN
}

/* turn_away(), and wait(); the result is in `found`. */
inline turn_away(q)
{
	found = false;
	if
	:: queue[q].linked && m > 0 ->
#ifdef BREAK_WAIT_LATE
		found = running >= m;
#endif
		d_step {
#ifndef BREAK_WAIT_LATE
			found = running >= m;
#endif
			if
			:: found ->
				waiting_max = (waiting == 0 -> m : MAXIMUM(waiting_max, m));
				waiting = waiting | BIT(q)
			:: else
			fi
		};
		if
		:: found ->
			queue[q].place = WAITS;
			queue[q].waits_limit = m
		:: else
		fi
	:: else
	fi
}

/* enter(), and the count of the queue; the result is in `drawn`. */
inline draw(q)
{
#ifdef BREAK_DRAW
	drawn = !queue[q].linked || m == 0 || running < m;
#endif
	d_step {
#ifndef BREAK_DRAW
		drawn = !queue[q].linked || m == 0 || running < m;
#endif
		if
		:: drawn ->
			assert(m == 0 || m != max || !queue[q].member || SUM < m);
			running = running + (queue[q].linked -> 1 : 0);
			queue[q].running++
		:: else
		fi
	}
}

/* jobq_limit_link(): of the queue to the limit, or to none; not an older view. */
inline link(q)
{
	if
#ifdef BREAK_LINK_LATE
	:: shares && counts_groups == 2 && !queue[q].linked && queue[q].member ->
#else
	:: shares && counts_groups > 0 && !queue[q].linked && queue[q].member ->
#endif
		d_step {
			queue[q].linked = true;
			running = running + queue[q].running
		}
	:: !shares && queue[q].linked && !queue[q].member ->
		if
		:: queue[q].place == WAITS -> end_wait(q)
		:: else
		fi;
		d_step {
			queue[q].linked = false;
#ifdef BREAK_PART
			running = running - queue[q].running
#else
			count_back(queue[q].running)
#endif
		}
	:: else
	fi
}

/* bring_called(), and groups that are read again. */
inline bring_back(q)
{
	if
	:: queue[q].called ->
		if
		:: queue[q].place == WAITS -> end_wait(q)
		:: else -> queue[q].called = false
		fi
	:: else
	fi;
#ifndef BREAK_RAISED
	if
	:: queue[q].place == WAITS && (m == 0 || m > queue[q].waits_limit) ->
		end_wait(q)
	:: else
	fi;
#endif
	if
	:: queue[q].place == GONE -> queue[q].place = IN_TURN
	:: else
	fi
}

/* ------------------------------------------------------------ roster.c */

/* settle() */
inline settle(q)
{
	if
	:: queue[q].place == WAITS -> stop_waiting(q)
	:: else
	fi;
	queue[q].place = (queue[q].known != 0 -> IN_TURN : RESTS)
}

/* The coordinator is told of the queues that were called. */
inline wake_called()
{
#ifndef BREAK_WAKE_CALLED
	d_step {
		i = 0;
		do
		:: i < QUEUES ->
			look_wanted[i] = look_wanted[i] || (to_look & BIT(i)) != 0;
			i++
		:: else -> break
		od;
		i = 0;
		to_look = 0
	}
#else
	to_look = 0
#endif
}

/* leave(); whether a worker of the queue is to be woken is in `found`. */
inline leave(q)
{
	LOCK(q);
	found = queue[q].place != IN_TURN && queue[q].known != 0;
	d_step {
		queue[q].running--;
		if
		:: queue[q].linked -> count_back(1)
		:: else
		fi
	};
	settle(q);
	UNLOCK(q);
	wake_called()
}

/* put_back(); whether others were told of is in `found`. */
inline put_back(q)
{
	LOCK(q);
	found = queue[q].told != told;
	d_step {
		queue[q].running--;
		if
		:: queue[q].linked -> count_back(1)
		:: else
		fi
	};
	settle(q);
	UNLOCK(q);
	wake_called()
}

/* lower() */
inline lower(q, k)
{
	LOCK(q);
	d_step {
		queue[q].known = queue[q].known | BIT(k);
		queue[q].told++;
		if
		:: queue[q].place == RESTS -> queue[q].place = IN_TURN
		:: else
		fi
	};
	UNLOCK(q)
}

/* pick(), for a claim: `drawn`, or there is nothing to start. */
inline pick(q)
{
	drawn = false;
	LOCK(q);
	link(q);
	bring_back(q);
	do
	:: queue[q].place == IN_TURN && queue[q].known != 0 && !drawn ->
		turn_away(q);
		if
		:: !found -> draw(q)
		:: else
		fi
	:: queue[q].place == IN_TURN && queue[q].known == 0 ->
		queue[q].place = RESTS;
		break
	:: else -> break
	od;
	if
	:: drawn ->
		told = queue[q].told;
		turn_away(q)
	:: else
	fi;
	UNLOCK(q);
	wake_called()
}

/* --------------------------------------------------- ticket.c, limit_link.c */

/*
 * count_groups(): claims trust the count when it is known to be of groups, too, but link
 * their queues before.
 */
#ifdef BREAK_HALF
#define FIRST		2
#else
#define FIRST		1
#endif

/* knows_groups(): the result is in `known_now`. */
inline knows_groups()
{
	if
	:: atomic { m > 0 && counts_groups == 0 -> counts_groups = FIRST };
#ifndef BREAK_MISS
		d_step { counted = false; stamp++ };
#endif
		counts_groups = 2
	:: else
	fi;
	known_now = m == 0 || (counts_groups == 2 && counted)
}

/* knows_groups_of_limit() */
inline knows()
{
	knows_groups();
	if
	:: !known_now ->
		count_wanted = true;
		starved = true;
		known_now = counts_groups == 2 && counted
	:: else
	fi
}

/* ------------------------------------------------------------ processes */

proctype Enqueuer(byte k)
{
	job[k] = READY;
	lower(QUEUE(k), k);
	/* may_start() */
	if
	:: queue[QUEUE(k)].place == IN_TURN || queue[QUEUE(k)].place == GONE ->
		wake_now(QUEUE(k))
	:: else
	fi
}

/* Runs the job j, of which it has a ticket. */
inline run_job(q)
{
	if
	:: job[j] = NONE;
		leave(q);
		if
		:: found -> wake_now(q)
		:: else
		fi
	:: atomic { errors > 0 -> errors--; job[j] = READY };
		lower(q, j);
		leave(q);
		wake_now(q)
#ifdef ENDLESS
	:: true ->
endless:
		false
#endif
	fi
}

proctype Worker(byte q)
{
	BACKEND_STATE;
	byte		j = JOBS;

end:
	do
	:: atomic {
			wakes[q] > 0 -> wakes[q]--;
			asleep[q]--;
			READ_VIEW(q)
		};
		knows();
		if
		:: known_now -> pick(q)
		:: else
		fi;
		if
		:: drawn ->
			d_step {
				j = q;
				do
				:: j < JOBS && !(job[j] == READY && (queue[q].known & BIT(j)) != 0) ->
					j = j + QUEUES
				:: else -> break
				od;
				if
				:: j < JOBS ->
					job[j] = HELD;
					queue[q].known = queue[q].known & ~BIT(j)
				:: else -> j = JOBS
				fi
			};
			if
			:: j < JOBS ->
				/* jobq_claim_sees_more() */
				if
				:: queue[q].place == IN_TURN && queue[q].known != 0 -> wake_now(q)
				:: else
				fi;
				run_job(q)
			:: else ->
				put_back(q);
				if
				:: found -> look_wanted[q] = true
				:: else
				fi
			fi
		:: else
		fi;
		d_step {
			j = JOBS;
			drawn = false;
			found = false;
			known_now = false;
			m = 0;
			told = 0;
			shares = false;
			asleep[q]++
		}
	od
}

/* Runs the jobs that run when the server has started. */
proctype Runner(byte j)
{
	BACKEND_STATE;

	run_job(QUEUE(j))
}

/* look.c, which wakes a worker if a job could start. */
inline look_at(q)
{
	READ_VIEW(q);
	knows();
	if
	:: known_now ->
		LOCK(q);
		link(q);
		bring_back(q);
		if
		:: queue[q].place == IN_TURN ->
			turn_away(q);
			if
			:: !found && queue[q].known != 0 -> wake_now(q)
			:: else
			fi
		:: else
		fi;
		UNLOCK(q);
		wake_called()
	:: else
	fi;
	d_step { m = 0; found = false; known_now = false; shares = false }
}

/* A pass that counts (counting.c): all queues are linked; tickets they have. */
inline count_all()
{
	seen = stamp;
	k = 0;
	do
	:: k < QUEUES ->
		shares = queue[k].member;
		LOCK(k);
		link(k);
		UNLOCK(k);
		wake_called();
		k++
	:: else -> break
	od;
	skip;
	d_step {
		k = 0;
		counted = counted || stamp == seen;
		count_wanted = count_wanted || (starved && !counted);
		if
		:: starved && counted ->
			starved = false;
			do
			:: k < QUEUES -> look_wanted[k] = true; k++
			:: else -> break
			od;
			k = 0
		:: else
		fi;
		seen = 0;
		shares = false
	}
}

proctype Coordinator()
{
	BACKEND_STATE;
	byte		k = 0;

end:
	do
	:: atomic { look_wanted[0] -> look_wanted[0] = false };
		look_at(0)
	:: atomic { look_wanted[1] -> look_wanted[1] = false };
		look_at(1)
#if QUEUES > 2
	:: atomic { look_wanted[2] -> look_wanted[2] = false };
		look_at(2)
#endif
	:: atomic { count_wanted -> count_wanted = false };
		count_all()
	od
}

#ifdef ALTER
/* alter_limit(), after which the limit's queues are looked at. */
proctype Changer()
{
	byte		k = 0;

	max = ALTER;
	do
	:: k < QUEUES -> look_wanted[k] = true; k++
	:: else -> break
	od
}
#endif

#ifdef LEAVES
/* The last queue leaves the limit, and is looked at. */
proctype Leaver()
{
	queue[QUEUES - 1].member = false;
	look_wanted[QUEUES - 1] = true
}
#endif

#if EVICTIONS > 0
/* Others need the room of a group that waits and has no tickets. */
proctype Evictor(byte q)
{
	do
	:: evictions == 0 -> break
	:: true -> break
	:: evictions > 0 ->
		LOCK(q);
		if
		:: queue[q].place == WAITS && queue[q].running == 0 ->
			evictions--;
			stop_waiting(q);
			queue[q].place = GONE;
			UNLOCK(q);
#ifndef BREAK_EVICT
			look_wanted[q] = true
#endif
		:: else -> UNLOCK(q)
		fi
	od
}
#endif

#define COULD_START(k) \
	(job[k] == READY && asleep[QUEUE(k)] > 0 && \
	 (!queue[QUEUE(k)].member || max == 0 || SUM < max))

init
{
	byte		k = 0;
	byte		held = 0;

	atomic {
#ifdef COUNTED
		counts_groups = 2;
		counted = true;
#endif
#ifdef PASS
		/* a pass is due anyway */
		count_wanted = true;
#endif
#ifdef KNOWN
		/* it has had max_running only */
		counted = true;
#endif
		do
		:: k < QUEUES ->
			queue[k].member = true;
#ifdef COUNTED
			queue[k].linked = true;
#endif
			asleep[k] = WORKERS;
			held = 0;
			do
			:: held < WORKERS -> run Worker(k); held++
			:: else -> break
			od;
#if EVICTIONS > 0
			run Evictor(k);
#endif
			k++
		:: else -> break
		od;
		k = 0;
		held = 0;
		run Coordinator();
		do
		:: k < JOBS ->
			if
			:: k < THERE ->
				job[k] = HELD;
				queue[QUEUE(k)].running++;
#ifdef COUNTED
				running++;
#endif
				run Runner(k)
#ifdef PRESENT
			:: else ->
				/* it is there from the start */
				job[k] = READY;
				queue[QUEUE(k)].known = queue[QUEUE(k)].known | BIT(k);
				queue[QUEUE(k)].place = IN_TURN;
				wakes[QUEUE(k)]++
#else
			:: else -> run Enqueuer(k)
#endif
			fi;
			k++
		:: else -> break
		od;
		k = 0;
#ifdef ALTER
		run Changer();
#endif
#ifdef LEAVES
		run Leaver()
#endif
	};
	timeout ->
	do
	:: k < JOBS ->
		assert(!COULD_START(k));
		held = held + (job[k] == HELD -> 1 : 0);
		k++
	:: else -> break
	od;
	k = 0;
	do
	:: k < QUEUES ->
		assert(held >= queue[k].running);
		held = held - queue[k].running;
		k++
	:: else -> break
	od;
	assert(held == 0)
}
