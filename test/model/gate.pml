/*
 * gate.pml: a model of max_running and of shared limits, for spin: which claims
 * may start a job, and who is woken when one may.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/gate.c and src/shared/limit_state.c, as
 * src/queue/ticket.c, src/queue/queue_wake.c and the ends of transactions
 * (src/queue/ready.c) use it; inlines here are called as the functions there,
 * without "jobq_".  Here each running job has its ticket in a note; how others
 * are counted is in gate_count.pml.
 *
 * Claimed here, for all interleavings of a small case: a claim that is let in
 * finds fewer jobs running than may; and when nothing happens any more, no
 * worker sleeps while there is a ready job of its queue that could start, and
 * the tickets that are out are those of the jobs that run.  A job may run without
 * an end, so nobody may rely on that.
 *
 * A step is one access to an atomic variable, with what a backend alone can
 * see.  A d_step of more is what happens under a lock (that of the list of a
 * limit), or when a transaction ends for the others (ProcArrayEndTransaction).
 * The barriers of gate.c are taken for granted: there is one order of all steps.
 *
 * A worker wakes up, claims one job, runs it, and sleeps again, as the least
 * diligent client might; if the claim fails, it tries again.  Wake-ups are counted
 * by queue (wakes), so that none is lost on its way to a worker.
 *
 * With PROMISES, a worker that gives a ticket back may promise to claim again, so
 * that nobody is woken (promise.c).  It does, or the guard breaks the promise.
 */

#ifndef QUEUES
#define QUEUES		1
#endif
#ifndef JOBS
#define JOBS		2		/* job j is one of queue j % QUEUES */
#endif
#ifndef THERE
#define THERE		0		/* jobs 0..THERE-1 are there from the start */
#endif
#ifndef WORKERS
#define WORKERS		2		/* of each queue */
#endif
#ifndef MAX
#define MAX			1		/* max_running of each queue */
#endif
#ifndef ERRORS
#define ERRORS		0		/* errors and rollbacks, at most */
#endif
#ifndef POLLS
#define POLLS		0		/* claims of workers who were not woken, at most */
#endif
#ifndef PROMISES
#define PROMISES	0		/* promises, at most */
#endif
#ifndef MISSES
#define MISSES		0		/* a gate must be counted again, out of the blue */
#endif
#ifdef LIMIT				/* the queues share a limit with this max_running */
#define GATES		(QUEUES + 1)
#define SHARED		QUEUES	/* its gate */
#ifndef LIST
#define LIST		QUEUES	/* the queues that it can remember */
#endif
#else
#define GATES		QUEUES
#endif

#define MIN(a, b)	((a) < (b) -> (a) : (b))
#define QUEUE(j)	((j) % QUEUES)

typedef Gate
{
	byte		max;			/* the limit: a claim reads it once */
	byte		running;
	byte		promised;
	bool		starved;
	bool		counted;
	byte		inside;			/* to check the model by: claims and jobs that
								 * have been let in */
};

Gate		gate[GATES];

/* The state of a job */
#define NONE		0			/* not there yet, or no longer */
#define READY		1
#define HELD		2			/* locked by its worker */

byte		job[JOBS];

/* Of each queue: its workers, who have been woken, and who sleep, */
byte		wakes[QUEUES];
byte		asleep[QUEUES];

/* and what the coordinator has been told. */
bool		look_wanted[QUEUES];
bool		count_wanted = false;

/* JobqLimitState */
bool		listed[QUEUES];
bool		told[QUEUES];
byte		nlisted = 0;
bool		more = false;
bool		look_at_all = false;

byte		inserted = 0;		/* jobs that are due, as bits; see AHEAD */

byte		errors = ERRORS;	/* that may still happen */
byte		polls = POLLS;		/* claims of workers who were not woken */
byte		promises = PROMISES;	/* that may still be made */

/* Of each worker: it has promised to claim again.  It is one of that queue. */
bool		promise[QUEUES * WORKERS];

#define HAS_ROOM(g, limit)	(gate[g].counted && gate[g].running < (limit))

/* The same for others than those who have promised to claim. */
#define TAKEN(g)	(gate[g].running + gate[g].promised)
#define ROOM(g, limit) \
	(gate[g].counted && TAKEN(g) < (limit) -> (limit) - TAKEN(g) : 0)

/*
 * What a backend knows: what it has read of its queue and the limit, whom it
 * stands for, and the wake-ups that it is going to make after all notes.
 */
#define BACKEND_STATE \
	byte		max = 0; \
	byte		limit_max = 0; \
	bool		open = false; \
	bool		forgot_starved = false; \
	bool		forgot_turned_away = false; \
	bool		wake = false; \
	byte		pending = 0; \
	byte		room = 0; \
	byte		wanted = 0; \
	byte		i = 0

#ifdef LIMIT
#define READ_LIMITS(q)	max = gate[q].max; limit_max = gate[SHARED].max
#else
#define READ_LIMITS(q)	max = gate[q].max
#endif

inline wake_now(q, n)
{
	wakes[q] = MIN(wakes[q] + (n), JOBS + 1)
}

/* ------------------------------------------------------------- gate.c */

/* The first part of enter(): a compare-and-exchange, if there is room. */
#define TRY(g, limit) \
	if \
	:: HAS_ROOM(g, limit) -> \
		assert(gate[g].inside < limit); \
		gate[g].running++; \
		gate[g].inside++; \
		open = true \
	:: else -> open = false \
	fi

/* enter(), with knock(); the result is in `open`. */
inline gate_enter(g, limit)
{
	d_step { TRY(g, limit) };
	if
	:: !open ->
#ifndef BREAK_KNOCK
		gate[g].starved = true;
#endif
#ifndef BREAK_KNOCK_TWICE
		d_step {
			TRY(g, limit);
			count_wanted = count_wanted || (!open && !gate[g].counted)
		}
#else
		skip
#endif
	:: else
	fi
}

/* remember_starved(); the result is in `open`. */
inline gate_remember_starved(g, limit)
{
	gate[g].starved = true;
	open = ROOM(g, limit) > 0
}

/* room(); the result is in `room`. */
inline gate_room(g, limit, jobs)
{
	room = ROOM(g, limit);
	if
	:: room < jobs ->
		gate[g].starved = true;
		d_step {
			room = MIN(ROOM(g, limit), jobs);
#ifndef BREAK_ASK
			count_wanted = count_wanted || (room == 0 && !gate[g].counted)
#endif
		}
	:: else -> room = jobs
	fi
}

/* leave(); the job, or the claim, is no longer inside. */
inline gate_leave(g)
{
	d_step {
		assert(gate[g].running > 0);
		gate[g].running--
	};
	open = gate[g].starved
}

/* ----------------------------------------------------------- promise.c */

/* make() */
inline promise_make(g)
{
	d_step {
		promises--;
		gate[g].promised++
	};
	promise[w] = true
}

/* keep(): the worker claims.  Somebody else may have broken the promise. */
inline promise_keep(g)
{
#if PROMISES > 0
	if
	:: d_step { promise[w] -> promise[w] = false };
		gate[g].promised--
	:: else
	fi
#else
	skip
#endif
}

/* ------------------------------------------- limit_state.c, queue_wake.c */

#ifdef LIMIT

/*
 * turn_away().  The place is that of the queue itself, a free one, or that of a
 * queue whose workers have been told; who passes that on if there are more jobs.
 */
inline turn_away(q)
{
	d_step {
		if
		:: listed[q] -> told[q] = false
		:: !listed[q] && nlisted < LIST ->
			listed[q] = true;
			nlisted++
		:: !listed[q] && nlisted >= LIST ->
			i = 0;
			do
			:: i < QUEUES && !(listed[i] && told[i]) -> i++
			:: else -> break
			od;
			if
			:: i < QUEUES ->
				listed[i] = false;
				told[i] = false;
				listed[q] = true
			:: else ->
#ifndef BREAK_MORE
				more = true
#else
				skip
#endif
			fi;
			i = 0
		fi
	};
#ifndef BREAK_TURN_AWAY
	gate_remember_starved(SHARED, limit_max)
#else
	open = false
#endif
}

/* take_back(); the result is in `open`. */
inline take_back(q)
{
	d_step {
		open = listed[q];
		nlisted = nlisted - (listed[q] -> 1 : 0);
		listed[q] = false;
		told[q] = false
	}
}

/* call(), of limit_state.c and queue_wake.c, which wakes n of each queue. */
inline call(n)
{
	d_step {
		gate[SHARED].starved = false;
		i = 0;
		do
		:: i < QUEUES ->
			if
			:: listed[i] && !told[i] ->
				told[i] = true;
				wake_now(i, n)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		look_at_all = look_at_all || more;
		more = false
	}
}

inline leave_limit()
{
	gate_leave(SHARED);
	if
	:: open -> call(1)
	:: else
	fi
}

#endif

/* return(): whether the queue's workers must be woken is in `wake`. */
inline wake_return(q)
{
	gate_leave(q);
	wake = wake || open;
#ifdef LIMIT
	leave_limit()
#endif
}

/* room_of(), with room_of_limit(); the result is in `room`. */
inline room_of(q, jobs)
{
	gate_room(q, max, jobs);
#ifdef LIMIT
	if
	:: room > 0 ->
		wanted = room;
		gate_room(SHARED, limit_max, wanted);
		if
		:: room < wanted ->
			turn_away(q);
			gate_room(SHARED, limit_max, wanted)
		:: else
		fi;
		wanted = 0
	:: else
	fi
#endif
}

/* wake_pending(): for jobs that are ready, and tickets that are free. */
inline wake_pending(q)
{
	if
	:: pending > 0 ->
#ifdef ALTER
		/* look_if_changed() */
		if
#ifndef BREAK_CHANGED
		:: max != gate[q].max -> look_wanted[q] = true
#endif
#ifdef LIMIT
#ifndef BREAK_CHANGED
		:: limit_max != gate[SHARED].max -> look_wanted[q] = true
#endif
#endif
		:: else
		fi;
#endif
		room_of(q, pending);
		wake_now(q, room);
		pending = 0;
		room = 0
	:: else
	fi
}

/* ------------------------------------------------------------ ticket.c */

#ifdef LIMIT
inline enter_limit(q)
{
	do
	:: gate_enter(SHARED, limit_max);
		if
		:: open -> break
		:: else ->
			turn_away(q);
			if
			:: open
			:: else -> break
			fi
		fi
	od
}
#endif

/* enter(), the tickets of the queue and of its limit; `open`: it has both. */
inline enter(q)
{
	gate_enter(q, max);
#ifdef LIMIT
	if
	:: open ->
#ifndef BREAK_FORGET_LATE
		/* the list stands for those whom this ticket turns away */
		if
		:: gate[q].starved -> gate[q].starved = false; forgot_starved = true
		:: else
		fi;
#endif
		enter_limit(q);
		if
		:: !open ->
#ifdef BREAK_FORGET_LATE
			gate[q].starved = false;
#endif
			forgot_starved = false;
			d_step {
				gate[q].inside--;
				wake = false
			};
			gate_leave(q);
			if
			:: open -> look_wanted[q] = true
			:: else
			fi;
			open = false
		:: else
		fi
	:: else
	fi
#endif
}

/* draw(): the holder of a ticket sees what those have committed who knocked. */
inline draw(q)
{
#ifndef BREAK_KEEP_LATE
	promise_keep(q);
#endif
	enter(q);
#ifdef BREAK_KEEP_LATE
	promise_keep(q);
#endif
	if
	:: open ->
		d_step {
			forgot_starved = forgot_starved || gate[q].starved;
			gate[q].starved = false
		};
#ifdef LIMIT
		take_back(q);
		forgot_turned_away = open;
#endif
		open = true
	:: else
	fi
}

/* remember_turned_away() */
inline remember_turned_away(q)
{
	skip;
#ifndef BREAK_REMEMBER
	if
	:: forgot_starved ->
		gate_remember_starved(q, max);
#ifndef BREAK_REMEMBER_ROOM
		wake = wake || open
#endif
	:: else
	fi;
#endif
#ifdef LIMIT
#ifndef BREAK_PUT_BACK
	if
	:: forgot_turned_away ->
		turn_away(q);
		wake = wake || open
	:: else
	fi
#endif
#endif
}

inline leave_inside(q)
{
	gate[q].inside--;
#ifdef LIMIT
	gate[SHARED].inside--
#endif
}

/* ------------------------------------------------------------ processes */

/* A transaction that makes a job ready: its notes are processed at commit. */
proctype Enqueuer(byte j)
{
	BACKEND_STATE;

	d_step { READ_LIMITS(QUEUE(j)); inserted = inserted | (1 << j) };
	job[j] = READY;
	pending = 1;
	wake_pending(QUEUE(j))
}

/* The tickets of a job go back to the gates, in a note's callback. */
inline leave_gates(q)
{
	gate_leave(q);
#ifndef BREAK_LEAVE
#if PROMISES > 0
	if
	:: open && promises > 0 && !promise[w] ->
		promise_make(q);
		open = false
	:: true
	fi;
#endif
	pending = pending + (open -> 1 : 0);
#endif
#ifdef LIMIT
	leave_limit()
#endif
}

/*
 * A claim reads the clock when it begins: with AHEAD, a job that has been inserted
 * since is one of the future, to this claim only.
 */
#ifdef AHEAD
#define CAN_CLAIM(j)	(job[j] == READY && (due & (1 << (j))) != 0)
#else
#define CAN_CLAIM(j)	(job[j] == READY)
#endif

proctype Worker(byte q; byte w)
{
	BACKEND_STATE;
	byte		j = 0;
	bool		woken = false;
	bool		ahead = false;
#ifdef AHEAD
	byte		due = 0;
#endif

end:
	do
	:: atomic {
			if
			:: wakes[q] > 0 -> wakes[q]--; woken = true
			:: polls > 0 -> polls--
#if PROMISES > 0
			:: promise[w]
#endif
			fi;
			asleep[q]--;
#ifdef AHEAD
			due = inserted;
#endif
			READ_LIMITS(q)
		};
		draw(q);
		if
		:: open ->
			if
			:: d_step {
					/* the next ready job that nobody has locked */
					true ->
					j = q;
					do
					:: j < JOBS && !CAN_CLAIM(j) ->
						ahead = ahead || job[j] == READY;
						j = j + QUEUES
					:: else -> break
					od;
					if
					:: j < JOBS -> job[j] = HELD
					:: else -> j = JOBS
					fi
				};
				/* jobq_ticket_return() */
				if
				:: j < JOBS ->
#ifdef PASS_ON
					/* jobq_claim_sees_more() */
					d_step {
						i = q;
						do
						:: i < JOBS && job[i] != READY -> i = i + QUEUES
						:: else -> break
						od;
						wake = wake || i < JOBS;
						i = 0
					};
#endif
					remember_turned_away(q);
					if
					:: wake -> wake_now(q, 1)
					:: else
					fi;
					wake = false
				:: else ->
#ifndef BREAK_AHEAD
					if
					:: ahead -> remember_turned_away(q)
					:: else
					fi;
#endif
					d_step { leave_inside(q) };
					wake_return(q);
					if
					:: wake -> wake_now(q, 1)
					:: else
					fi;
					wake = false
				fi
			:: d_step {
					/* drop_loose(), after an error */
					errors > 0 ->
					errors--;
					leave_inside(q);
					j = JOBS;
#ifndef BREAK_LOOSE
					wake = forgot_starved || forgot_turned_away
#endif
				};
				wake_return(q);
				if
				:: wake -> look_wanted[q] = true
				:: else
				fi;
				wake = false;
				if
				:: woken -> wake_now(q, 1)
				:: else
				fi
			fi;
			d_step { forgot_starved = false; forgot_turned_away = false };
			if
			:: j < JOBS ->
				if
				:: d_step {
						/* commit */
						true ->
						job[j] = NONE;
						leave_inside(q)
					};
					leave_gates(q);
					wake_pending(q)
				:: d_step {
						/* rollback, which gives the job back */
						errors > 0 ->
						errors--;
						job[j] = READY;
						leave_inside(q);
						pending = 1
					};
					leave_gates(q);
					wake_pending(q)
#ifdef ENDLESS
				:: true ->
					/* it runs and runs */
endless:			false
#endif
				fi
			:: else
			fi
		:: else
		fi;
		d_step {
			j = 0;
			woken = false;
			ahead = false;
			open = false;
			max = 0;
#ifdef AHEAD
			due = 0;
#endif
			limit_max = 0;
			asleep[q]++
		}
	od
}

/*
 * With jobq_ticket_is_left().  It wakes one worker, which passes that on if it sees
 * more jobs (find.c, dequeue.c, waiter.c): as if it woke one for each job.
 */
inline look_at(q)
{
	d_step { READ_LIMITS(q) };
	gate_room(q, max, 1);
#ifdef LIMIT
	if
	:: room > 0 ->
		gate_room(SHARED, limit_max, 1);
		if
		:: room == 0 ->
			turn_away(q);
			room = (open -> 1 : 0)
		:: else
		fi
	:: else
	fi;
#endif
	d_step {
		j = q;
		do
		:: j < JOBS ->
			if
			:: room > 0 && job[j] == READY -> wake_now(q, 1)
			:: else
			fi;
			j = j + QUEUES
		:: else -> break
		od;
		j = 0;
		q = 0;
		room = 0;
		max = 0;
		limit_max = 0;
		open = false
	}
}

/*
 * The coordinator, which need not be there: then it is enough that it would have
 * to do something.  It counts, when it may open the gates (lease_load.c), and looks at
 * queues (look.c), of which it wakes a worker if a job could start.
 */
proctype Coordinator()
{
	BACKEND_STATE;
	byte		q = 0;
	byte		j = 0;

end:
	do
	:: atomic { count_wanted -> count_wanted = false };
		do
		:: q < GATES ->
			if
			:: !gate[q].counted ->
				/* count_end() */
				gate[q].counted = true;
				if
				:: gate[q].starved ->
#ifndef BREAK_LOOK_AFTER_COUNT
#ifdef LIMIT
					if
					:: q == SHARED -> call(1)
					:: else -> look_wanted[q] = true
					fi
#else
					look_wanted[q] = true
#endif
#else
					skip
#endif
				:: else
				fi
			:: else
			fi;
			q++
		:: else -> break
		od;
		q = 0
#ifdef LIMIT
	:: d_step {
			look_at_all ->
			look_at_all = false;
			do
			:: q < QUEUES -> look_wanted[q] = true; q++
			:: else -> break
			od;
			q = 0
		}
#endif
	:: atomic {
			look_wanted[0] ->
			q = 0;
			look_wanted[0] = false
		};
		look_at(q)
#if QUEUES > 1
	:: atomic {
			look_wanted[1] ->
			q = 1;
			look_wanted[1] = false
		};
		look_at(q)
#endif
	od
}

#if PROMISES > 0
inline break_promise()
{
	gate[w % QUEUES].promised--;
#ifndef BREAK_BROKEN
	if
	:: gate[w % QUEUES].starved -> look_wanted[w % QUEUES] = true
	:: else
	fi
#else
	skip
#endif
}

/*
 * The part of the coordinator that breaks promises: any of them may have been made
 * too long ago.
 */
proctype Guard()
{
	byte		w = 0;

end:
	do
	:: d_step { promise[0] -> promise[0] = false; w = 0 };
		break_promise()
#if QUEUES * WORKERS > 1
	:: d_step { promise[1] -> promise[1] = false; w = 1 };
		break_promise()
#endif
#if QUEUES * WORKERS > 2
	:: d_step { promise[2] -> promise[2] = false; w = 2 };
		break_promise()
#endif
	od
}
#endif

#ifdef ALTER
/* alter_queue() or alter_limit() of gate g */
proctype Changer(byte g; byte to)
{
	byte		i = 0;

	gate[g].max = to;
#ifdef LIMIT
	if
	:: g == SHARED ->
		look_at_all = true;
		call(JOBS)
	:: else -> look_wanted[g] = true
	fi
#else
#ifndef BREAK_LOOK_AFTER_CHANGE
	look_wanted[g] = true
#endif
#endif
}
#endif

#if MISSES > 0
/* jobq_gate_miss(), as COMMIT PREPARED calls it: it asks nobody to count. */
proctype Misser(byte g)
{
	gate[g].counted = false
}
#endif

/* Begins, and judges when nothing happens any more. */
init
{
	byte		g = 0;
	byte		n = 0;

	atomic {
		do
		:: g < GATES ->
#ifdef LIMIT
			gate[g].max = (g == SHARED -> LIMIT : MAX);
#else
			gate[g].max = MAX;
#endif
#ifndef UNCOUNTED
			gate[g].counted = true;
#endif
			g++
		:: else -> break
		od;
		g = 0;
		do
		:: g < QUEUES * WORKERS -> asleep[g % QUEUES]++; run Worker(g % QUEUES, g); g++
		:: else -> break
		od;
		g = 0;
#ifndef NO_COORDINATOR
		run Coordinator();
#endif
#if PROMISES > 0
		run Guard();
#endif
		do
		:: g < JOBS ->
			if
			:: g < THERE ->
				job[g] = READY;
				inserted = inserted | (1 << g);
				wakes[QUEUE(g)]++
			:: else -> run Enqueuer(g)
			fi;
			g++
		:: else -> break
		od;
		g = 0;
#ifdef ALTER
		run Changer(ALTER);
#endif
#if MISSES > 0
		run Misser(g);
#ifdef LIMIT
		run Misser(SHARED);
#endif
#endif
	}
	timeout;
	d_step {
		do
		:: g < JOBS ->
			/* nobody sleeps who could start this job */
			assert(job[g] != READY || asleep[QUEUE(g)] == 0 ||
				   look_wanted[QUEUE(g)] || look_at_all || count_wanted ||
#ifdef LIMIT
				   gate[SHARED].running >= gate[SHARED].max ||
#endif
				   gate[QUEUE(g)].running >= gate[QUEUE(g)].max);
			g++
		:: else -> break
		od;
		g = 0;
		do
		:: g < GATES ->
			assert(gate[g].running == gate[g].inside);
			assert(gate[g].promised == 0);
			g++
		:: else -> break
		od
	}
}
