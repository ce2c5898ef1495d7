/*
 * roster.pml: a model of the groups of a queue, for spin: which of them are in
 * memory, which claims find their jobs, and who is woken for them.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/roster.c, as src/dispatch/turn.c (claims),
 * src/dispatch/look.c (the coordinator's looks), src/queue/ticket.c and the ends of
 * transactions (src/queue/ready.c) use it; inlines here are called as the functions
 * there, without "jobq_".  The stream of a group is a set of candidates, with
 * `discovered`; that its lanes keep to it is shown by dispatch.pml.
 *
 * Claimed here, for all interleavings of a small case: no group runs more jobs than
 * it may; with ORDER, its jobs start in order; when nothing happens any more, the
 * tickets that are out are those of the jobs that run, each ready job would be
 * found by the next claim, and nobody sleeps while one could start.  A job may run
 * without an end (ENDLESS), so nobody may rely on that.
 *
 * A d_step is what happens under the lock of the queue's stream, or with what a
 * backend alone can see, or when a transaction ends for the others.  Whose turn it is
 * is left open: any group in turn.  A worker that is woken claims and runs jobs until
 * it finds none, as executors do.  The delays after which somebody looks again
 * by himself (a job that is locked, no room) never pass.
 */

#ifndef GROUPS
#define GROUPS		2
#endif
#ifndef JOBS
#define JOBS		2		/* job j is one of group j % GROUPS */
#endif
#ifndef THERE
#define THERE		0		/* jobs 0..THERE-1 are there from the start */
#endif
#ifndef WORKERS
#define WORKERS		2
#endif
#ifndef MAX
#define MAX			1		/* max_running of each group */
#endif
#ifndef ROOM
#define ROOM		GROUPS	/* groups that find room in memory */
#endif
#ifndef READ
#define READ		GROUPS	/* groups that are read at a time */
#endif
#ifndef AHEAD
#define AHEAD		0		/* jobs that are due when the clock has struck, as bits */
#endif
#ifndef ERRORS
#define ERRORS		0		/* errors and rollbacks, at most */
#endif
#ifndef POLLS
#define POLLS		0		/* claims of workers who were not woken, at most */
#endif
#ifndef MOVERS
#define MOVERS		0		/* jobs 0..MOVERS-1 are changed by somebody */
#endif

#define MIN(a, b)	((a) < (b) -> (a) : (b))
#define GROUP(j)	((j) % GROUPS)
#define BIT(j)		(1 << (j))
#define NOBODY		GROUPS	/* no group, no job */

/* Places, and times */
#define RESTS		0
#define IN_TURN		1
#define PARKED		2
#define LATER		3

#define NOW			0
#define STRIKE		1		/* when jobs ahead become due */
#define NEVER		2

typedef Group
{
	bool		there;			/* in memory */
	byte		place;
	byte		later;			/* a time, if the place is LATER */
	byte		running;
	byte		looks;			/* tickets of looks, which take nobody's place */
	byte		told;
	bool		discovered;
	byte		known;			/* candidates, as bits */
	byte		resets;			/* of its stream */
};

Group		group[GROUPS];

/* JobqRoster */
bool		complete = false;
bool		in_lap = false;
byte		nreading = 0;
byte		overtaken = 0;		/* readers, as bits: others were faster; for nread */
byte		in_old_lap = 0;		/* the same: the lap has ended; for nlaps */
byte		next_lap = NOW;
byte		hand = 0;			/* the group that is read next */
byte		resets = 0;
bool		starved = false;
bool		missed = false;
bool		no_room = false;	/* read_at */
byte		npicks = 0;
byte		nthere = 0;
byte		parked_limit = 0;

/* The state of a job */
#define NONE		0			/* not there yet, or no longer */
#define READY		1
#define HELD		2			/* locked by its worker, or by somebody else */

byte		job[JOBS];
byte		inside[GROUPS];		/* to check the model by: claims, and jobs that run */
byte		max = MAX;			/* a claim reads it once */
bool		struck = false;

byte		wakes = 0;
byte		asleep = 0;
bool		look_wanted = false;
bool		timer = false;		/* a look when the clock strikes */
bool		look_soon = false;	/* a look in a second */

#ifdef SLOW
bool		slow = true;		/* a worker may read groups without an end */
#endif
byte		errors = ERRORS;
byte		polls = POLLS;

#define IS_DUE(j, now)	((now) || (AHEAD & BIT(j)) == 0)
#define DUE_BITS(now)	((now) -> 255 : 255 - AHEAD)

/* What jobs_judge() says of a stream: whether a claim may find something. */
#define SEES(g, now) \
	(!group[g].discovered || (group[g].known & DUE_BITS(now)) != 0)

/* ... and whether something is ahead. */
#define HAS_AHEAD(g, now)	((group[g].known & ~DUE_BITS(now)) != 0)

#define IS_FULL(g, limit)	((limit) > 0 && group[g].running >= (limit))

#define IS_IN_USE(g)	(group[g].running > 0 || group[g].looks > 0)

#define IN_TURN_NOW(g)	(group[g].there && group[g].place == IN_TURN)
#if GROUPS == 1
#define NTURN	(IN_TURN_NOW(0) -> 1 : 0)
#elif GROUPS == 2
#define NTURN	((IN_TURN_NOW(0) -> 1 : 0) + (IN_TURN_NOW(1) -> 1 : 0))
#else
#define NTURN	((IN_TURN_NOW(0) -> 1 : 0) + (IN_TURN_NOW(1) -> 1 : 0) + \
				 (IN_TURN_NOW(2) -> 1 : 0))
#endif

/*
 * What a backend knows.  Inlines leave their results in `g`, the group that it has a
 * ticket of, and in `found`.
 */
#define BACKEND_STATE \
	byte		g = NOBODY; \
	byte		j = JOBS; \
	byte		i = 0; \
	byte		told = 0; \
	byte		limit = 0; \
	byte		turns_left = 0; \
	byte		was = 0; \
	byte		seen = 0; \
	byte		nold = 0; \
	byte		upto = 0; \
	byte		stamp = 0; \
	bool		now = false; \
	bool		found = false; \
	bool		may_read = false; \
	bool		blocked = false; \
	bool		is_look = false; \
	bool		wake = false

inline wake_now()
{
	wakes = MIN(wakes + 1, JOBS + 1)
}

/* ----------------------------------------------------------- roster.c */

/* miss(); all of these inlines are used inside a d_step. */
inline miss(when)
{
	if
	:: complete ->
		complete = false;
		in_lap = false;
		next_lap = NEVER
	:: else
	fi;
#ifndef BREAK_MISS
	next_lap = MIN(next_lap, when)
#endif
}

inline make(x)
{
	group[x].there = true;
	group[x].running = 0;
	group[x].told = 0;
	group[x].known = 0;
	group[x].resets++;
#ifdef BREAK_MAKE
	group[x].discovered = true;
	group[x].place = RESTS;
#else
	group[x].discovered = complete;
	group[x].place = (complete -> RESTS : IN_TURN);
#endif
	nthere++
}

inline forget(x)
{
	assert(!IS_IN_USE(x));
	group[x].there = false;
	group[x].place = RESTS;
	group[x].known = 0;
	group[x].discovered = false;
	group[x].resets++;
	no_room = false;
	nthere--
}

/* wake_for_queue_at() of a time when jobs are due, which may be over. */
inline look_later()
{
#ifndef BREAK_LATER
	timer = timer || !struck;
	look_wanted = look_wanted || struck
#else
	skip
#endif
}

inline settle(x, at)
{
	if
	:: SEES(x, at) -> group[x].place = IN_TURN
	:: !SEES(x, at) && HAS_AHEAD(x, at) ->
		group[x].place = LATER;
		group[x].later = STRIKE;
		look_later()
	:: !SEES(x, at) && !HAS_AHEAD(x, at) && !IS_IN_USE(x) ->
		forget(x)
	:: else -> group[x].place = RESTS
	fi
}

/* lower() of a job that has become claimable. */
inline lower(x, k, at)
{
	if
	:: !group[x].there && nthere < ROOM -> make(x)
	:: else
	fi;
	if
	:: !group[x].there -> miss((IS_DUE(k, false) -> NOW : STRIKE))
	:: else ->
		group[x].known = group[x].known | BIT(k);
#ifndef BREAK_TOLD
		group[x].told++;
#endif
		if
		:: group[x].place != PARKED -> settle(x, at)
		:: else
		fi
	fi
}

/* unblock(); the result is in `found`. */
inline unblock(x, at)
{
	found = group[x].there && group[x].place == LATER;
	if
	:: group[x].there ->
#ifndef BREAK_UNBLOCK_TOLD
		group[x].told++;
#endif
		if
		:: found -> settle(x, at)
		:: else
		fi
	:: else
	fi
}

/* leave(), of one ticket; the result is in `wake`. */
inline leave(x, at)
{
	inside[x]--;
	assert(group[x].running > 0);
	group[x].running--;
	wake = wake || starved;
	starved = false;
	if
	:: group[x].place != IN_TURN && SEES(x, at) ->
		wake = true
	:: else
	fi;
#ifdef BREAK_LEAVE
	if
	:: group[x].place != PARKED -> settle(x, at)
	:: else
	fi
#else
	settle(x, at)
#endif
}

/* put_back(); whether it was told of others is in `found`. */
inline put_back(x, at, is_blocked)
{
	found = group[x].told != told;
	if
	:: is_look -> group[x].looks--
	:: else ->
		inside[x]--;
		group[x].running--
	fi;
	if
	:: is_look && group[x].place == PARKED
	:: !(is_look && group[x].place == PARKED) && is_blocked && !found ->
		group[x].place = LATER;
		group[x].later = NEVER
	:: else -> settle(x, at)
	fi
}

#define CAN_READ \
	(!complete && !no_room && \
	 (in_lap || next_lap == NOW || (next_lap == STRIKE && now)))
#define WANTS_READING	(CAN_READ && nreading == 0 && npicks >= NTURN)

#define IS_DUE_LATER(x) \
	(now && group[x].there && group[x].place == LATER && group[x].later == STRIKE)
#if GROUPS == 1
#define DUE_LATER	IS_DUE_LATER(0)
#elif GROUPS == 2
#define DUE_LATER	(IS_DUE_LATER(0) || IS_DUE_LATER(1))
#else
#define DUE_LATER	(IS_DUE_LATER(0) || IS_DUE_LATER(1) || IS_DUE_LATER(2))
#endif

/* A ticket of any group in turn; those that may not start a job drop out. */
inline draw(x)
{
	if
	:: IS_FULL(x, limit) ->
		if
		:: parked_limit == 0 || limit < parked_limit -> parked_limit = limit
		:: else
		fi;
		group[x].place = PARKED
	:: !IS_FULL(x, limit) && !SEES(x, now) -> settle(x, now)
	:: else ->
		if
		:: is_look -> group[x].looks++
		:: else ->
			assert(limit == 0 || inside[x] < limit || limit != max);
			inside[x]++;
			group[x].running++
		fi;
		npicks = MIN(npicks + 1, GROUPS);
		told = group[x].told;
		g = x;
		if
		:: !is_look && IS_FULL(x, limit) ->
			if
			:: parked_limit == 0 || limit < parked_limit -> parked_limit = limit
			:: else
			fi;
			group[x].place = PARKED
		:: else
		fi
	fi
}

/* bring_back(), and the beginning of pick(): `found` is whether to read on. */
inline prepare_pick()
{
	g = NOBODY;
	i = 0;
	do
	:: i < GROUPS ->
		if
		:: group[i].there && group[i].place == LATER &&
			group[i].later == STRIKE && now ->
			group[i].place = IN_TURN;
			turns_left++
		:: group[i].there && group[i].place == PARKED && limit > parked_limit ->
			group[i].place = IN_TURN;
			turns_left++
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	found = may_read && WANTS_READING
}

/*
 * pick(): `g` is a group of which there is a ticket now; else `found` is whether to read
 * on, or nothing is ready.
 */
inline pick()
{
	atomic {
		d_step { prepare_pick() };
		if
		:: found
		:: else ->
			do
			:: g == NOBODY && IN_TURN_NOW(0) -> d_step { draw(0) }
#if GROUPS > 1
			:: g == NOBODY && IN_TURN_NOW(1) -> d_step { draw(1) }
#endif
#if GROUPS > 2
			:: g == NOBODY && IN_TURN_NOW(2) -> d_step { draw(2) }
#endif
			:: else -> break
			od;
			skip;
			d_step {
#ifdef BREAK_JOIN
				found = false;
#else
				found = g == NOBODY && may_read && CAN_READ;
#endif
				starved = starved || (g == NOBODY && !complete && !found);
				missed = missed ||
					(g == NOBODY && !complete && !found && nreading > 0)
			}
		fi
	}
}

/* has_turns() of turn.c, and then pick(), or `found`: groups are to be read. */
#ifdef BREAK_JOIN
#define HAS_TURNS	(turns_left > 0)
#else
#define HAS_TURNS	(turns_left > 0 || (may_read && CAN_READ))
#endif

inline next_turn()
{
	if
	:: turns_left > 0 -> pick()
	:: else -> g = NOBODY; found = true
	fi
}

/* put_one_out(): one of those in turn, or of those whose jobs are ahead. */
inline put_one_out()
{
	was = 0;
	do
	:: was < GROUPS &&
		!(group[was].there && !IS_IN_USE(was) &&
		  (group[was].place == LATER ||
		   (group[was].place == IN_TURN && nold > 0))) -> was++
	:: else -> break
	od;
	if
	:: was < GROUPS ->
		if
		:: group[was].place == IN_TURN ->
			nold--;
			miss(NOW)
		:: else -> miss(group[was].later)
		fi;
		forget(was)
	:: else
	fi;
	was = 0
}

#define IS_OVERTAKEN	((overtaken & BIT(me)) != 0)

/*
 * read_on() of turn.c: read_begin(), a snapshot, read_end(), or an error in between.
 * `found` is whether that led on.
 */
inline read_on()
{
	d_step {
		found = !complete;
		if
		:: found ->
			if
			:: !in_lap ->
				in_lap = true;
				next_lap = NEVER;
				hand = 0
			:: else
			fi;
			nreading++;
			overtaken = overtaken & ~BIT(me);
			in_old_lap = in_old_lap & ~BIT(me);
			stamp = resets;
			upto = hand
		:: else -> turns_left = turns_left + NTURN + 1
		fi
	};
	if
	:: found ->
#ifdef SLOW
		if
		:: d_step { !is_look && slow -> slow = false };
			/* it reads and reads */
			false
		:: true
		fi;
#endif
		d_step {
			/* the snapshot: `seen` are groups with rows, at most READ */
			seen = 0;
			was = 0;
			do
			:: upto < GROUPS && was < READ ->
				i = upto;
				do
				:: i < JOBS && job[i] == NONE -> i = i + GROUPS
				:: else -> break
				od;
				if
				:: i < JOBS -> seen = seen | BIT(upto); was++
				:: else
				fi;
				upto++
			:: else -> break
			od;
			/* with fewer than READ, there are no others */
			if
			:: was < READ -> upto = GROUPS
			:: else
			fi;
			was = 0
		};
		if
		:: d_step { errors > 0 -> errors--; seen = 255; failed = true }
		:: true
		fi;
		d_step {
			found = false;
			if
			:: seen == 255 ->
				/* read_abandon() */
				if
				:: resets == stamp ->
					nreading--;
					wake = missed;
					missed = false
				:: else
				fi
			:: seen != 255 && resets == stamp && IS_OVERTAKEN ->
				nreading--;
				wake = wake || missed;
				missed = false;
				turns_left = turns_left + NTURN;
				found = (in_old_lap & BIT(me)) == 0;
				may_read = found
			:: seen != 255 && resets == stamp && !IS_OVERTAKEN ->
				nreading--;
				overtaken = 255;
				npicks = 0;
				nold = NTURN;
				i = hand;
				do
				:: i < upto && (seen & BIT(i)) == 0 -> i++
				:: i < upto && (seen & BIT(i)) != 0 ->
					if
					:: !group[i].there && nthere == ROOM -> put_one_out()
					:: else
					fi;
					if
					:: !group[i].there && nthere == ROOM -> break
					:: !group[i].there && nthere < ROOM ->
						make(i);
						group[i].place = IN_TURN;
						found = true
					:: else -> found = true
					fi;
					i++
				:: else -> break
				od;
				if
				:: i == hand && seen != 0 -> no_room = true
				:: else
				fi;
				hand = i;
				if
				:: i == upto && i == GROUPS ->
					/* end_lap(); the next lap is another one's */
					in_lap = false;
					in_old_lap = 255;
					may_read = false;
#ifdef BREAK_COMPLETE
					complete = true
#else
					complete = next_lap == NEVER
#endif
				:: else
				fi;
				turns_left = turns_left + (found -> 1 : 0);
				wake = wake || (starved && found) || missed;
				missed = false;
				starved = starved && !found
			:: else
			fi;
			seen = 0;
			stamp = 0;
			nold = 0;
			i = 0
		};
		if
		:: wake -> look_wanted = true; wake = false
		:: else
		fi
	:: else
	fi;
	upto = 0
}

/* reset(); groups with tickets stay. */
inline reset()
{
	resets++;
	nreading = 0;
	missed = false;
	complete = false;
	in_lap = false;
	next_lap = NOW;
	no_room = false;
	i = 0;
	do
	:: i < GROUPS ->
		if
		:: group[i].there && !IS_IN_USE(i) -> forget(i)
		:: group[i].there && IS_IN_USE(i) ->
			group[i].known = 0;
			group[i].discovered = false;
			group[i].resets++;
			if
			:: group[i].place != PARKED -> group[i].place = IN_TURN
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* ------------------------------------------------- claim_stream.c, turn.c */

/* The candidates of the group's stream are read from the index. */
inline discover()
{
	stamp = group[g].resets;
	d_step {
		seen = 0;
		i = g;
		do
		:: i < JOBS ->
			seen = seen | (job[i] == NONE -> 0 : BIT(i));
			i = i + GROUPS
		:: else -> break
		od;
		i = 0
	};
	d_step {
		if
		:: group[g].resets == stamp ->
			group[g].known = group[g].known | seen;
			group[g].discovered = true
		:: else
		fi;
		seen = 0;
		stamp = 0
	}
}

/* lane_pop() or lane_peek(): the first candidate that is due, or none. */
inline first_candidate()
{
	j = g;
	do
	:: j < JOBS && ((group[g].known & BIT(j)) == 0 || !IS_DUE(j, now)) ->
		j = j + GROUPS
	:: else -> break
	od;
	j = (j < JOBS -> j : JOBS)
}

/* None of those that were there from the start is overtaken. */
#ifdef ORDER
#if GROUPS > 1
#error "ORDER is for one group"
#endif
#define CHECK_ORDER(k)	assert((k) >= THERE || \
	(((k) < 1 || job[0] == NONE) && ((k) < 2 || job[1] == NONE)))
#else
#define CHECK_ORDER(k)	skip
#endif

/*
 * claim_of_stream(): `j` is a job that was locked, or JOBS.  `blocked`: the first one
 * is somebody else's (with ORDER).  An error gives all back.
 */
inline claim_of_stream()
{
	j = JOBS;
	do
	:: !group[g].discovered -> discover()
	:: else ->
		d_step {
			if
			:: group[g].discovered ->
				first_candidate();
				group[g].known = group[g].known & ~(j < JOBS -> BIT(j) : 0);
				found = j < JOBS
			:: else -> found = false; j = NOBODY + JOBS
			fi
		};
		if
		:: j == NOBODY + JOBS -> j = JOBS
		:: j == JOBS -> break
		:: j < JOBS ->
			if
			:: d_step {
					errors > 0 ->
					errors--;
					found = false;
					failed = true
				};
				break
			:: d_step {
					true ->
					if
					:: job[j] == READY ->
						job[j] = HELD;
						CHECK_ORDER(j);
						found = true
					:: else ->
						found = false;
#ifdef ORDER
#ifndef BREAK_BLOCKED
						blocked = job[j] == HELD;
						group[g].known = group[g].known |
							(job[j] == HELD -> BIT(j) : 0);
#endif
#endif
						j = JOBS
					fi
				};
				if
				:: found || blocked -> break
				:: else
				fi
			fi
		fi
	od
}

/* The ticket goes back; one more turn if the group was told of jobs. */
inline put_back_group()
{
	d_step {
		put_back(g, now, blocked);
#ifndef BREAK_PUT_BACK
		turns_left = turns_left + (found -> 1 : 0);
		more = more || found;
#endif
		g = NOBODY;
		blocked = false
	}
}

inline begin_turns()
{
	d_step {
		now = struck;
		limit = max;
		may_read = true;
		turns_left = NTURN + 2
	}
}

/* -------------------------------------------------------------- ready.c */

/* lower_lane() */
inline announce(k, at)
{
	d_step { lower(GROUP(k), k, at) }
}

/* wake_for_jobs(), with may_start() */
inline wake_for_job(k, at)
{
	if
	:: !IS_DUE(k, at) ->
		d_step {
			timer = timer || !struck;
			look_wanted = look_wanted || struck
		}
	:: IS_DUE(k, at) && (group[GROUP(k)].there ->
		group[GROUP(k)].place == IN_TURN : !complete) -> wake_now()
	:: else
	fi
}

/* ------------------------------------------------------------ processes */

/* A transaction that adds a job. */
proctype Enqueuer(byte k)
{
	bool		now = false;

#ifdef BREAK_ANNOUNCE_EARLY
	announce(k, now);
	job[k] = READY;
#else
	job[k] = READY;
	now = struck;
	announce(k, now);
#endif
	wake_for_job(k, now)
}

#if MOVERS > 0
/* A transaction that has a job locked, and changes or deletes it, or does not. */
proctype Mover(byte k)
{
	bool		found = false;
	bool		now = false;

	if
	:: atomic { job[k] == READY -> job[k] = HELD };
		if
		:: job[k] = NONE;
			d_step { unblock(GROUP(k), struck) };
			if
#ifndef BREAK_UNBLOCK
			:: found -> wake_now()
#endif
			:: else
			fi
		:: job[k] = READY;
			now = struck;
			announce(k, now);
			wake_for_job(k, now)
		fi
	:: true
	fi
}
#endif

proctype Worker(byte me)
{
	BACKEND_STATE;
	bool		failed = false;
	bool		more = false;
	bool		woken = false;

end:
	do
	:: atomic {
			if
			:: wakes > 0 -> wakes--; woken = true
			:: polls > 0 -> polls--
			fi;
			asleep--
		};
again:	begin_turns();
		/* claim_in_turn() */
		do
		:: HAS_TURNS ->
			next_turn();
			if
			:: g != NOBODY ->
				turns_left--;
				claim_of_stream();
				if
				:: j < JOBS -> break
				:: else -> put_back_group()
				fi
			:: g == NOBODY && found ->
				read_on();
				may_read = may_read && found;
				if
				:: failed -> break
				:: else
				fi
			:: else -> break
			fi
		:: else -> break
		od;
		if
		:: failed && woken -> wake_now()
		:: else
		fi;
		if
		:: j == JOBS && more && turns_left > 0 -> look_wanted = true
		:: else
		fi;
		look_soon = look_soon || (j == JOBS && !complete && !in_lap);
		more = false;
		now = (j < JOBS -> struck : now);
		if
		:: j < JOBS && failed ->
			/* the job was not locked: its candidate, then the ticket */
#ifdef BREAK_LOOSE_FIRST
			d_step { leave(g, struck) };
			announce(j, now);
#else
			announce(j, now);
			d_step { leave(g, struck) };
#endif
			wake_for_job(j, now);
			if
			:: wake -> look_wanted = true
			:: else
			fi
		:: j < JOBS && !failed ->
#ifndef BREAK_PASS_ON
			/* jobq_claim_sees_more(): it may have been woken for another job */
			if
			:: NTURN > 0 || CAN_READ || DUE_LATER -> wake_now()
			:: else
			fi;
#endif
			if
			:: job[j] = NONE;
				/* commit */
#ifdef ORDER
				d_step { unblock(GROUP(j), struck) };
				if
				:: found -> wake_now()
				:: else
				fi;
#endif
				d_step { leave(g, struck) };
				if
				:: wake -> wake_now()
				:: else
				fi
			:: atomic { errors > 0 -> errors--; job[j] = READY };
				/* rollback */
#ifdef BREAK_TICKET_FIRST
				d_step { leave(g, struck) };
				announce(j, now);
#else
#ifndef BREAK_GIVE_BACK
				announce(j, now);
#endif
				d_step { leave(g, struck) };
#endif
				wake_for_job(j, now);
				if
				:: wake -> wake_now()
				:: else
				fi
#ifdef ENDLESS
			:: true ->
				/* it runs and runs */
endless:		false
#endif
			fi
		:: else
		fi;
		d_step {
			found = j < JOBS && !failed;
				woken = false;
			g = NOBODY;
			j = JOBS;
			told = 0;
			limit = 0;
			turns_left = 0;
			wake = false;
			failed = false;
			may_read = false
		};
		if
		:: found -> found = false; goto again
		:: else -> d_step { asleep++; now = false }
		fi
	od
}

/*
 * The coordinator looks at the queue (look.c), with jobq_turn_visit(), and wakes a
 * worker if there is a free job.
 */
proctype Coordinator()
{
	BACKEND_STATE;
	bool		failed = false;
	bool		more = false;
	bool		ready = false;
	byte		soon = 2;		/* seconds that pass */
	byte		me = WORKERS;

	is_look = true;
end:
	do
	:: atomic {
			if
			:: look_wanted
			:: look_soon && soon > 0 -> soon--
			fi;
			look_wanted = false;
			look_soon = false;
			timer = false
		};
		begin_turns();
		do
		:: HAS_TURNS && !ready ->
			next_turn();
			if
			:: g != NOBODY ->
				turns_left--;
				do
				:: !group[g].discovered -> discover()
				:: else -> break
				od;
				skip;
				d_step {
					/* has_free_job(): a candidate that is locked stays */
					i = g;
					do
					:: i < JOBS ->
						if
						:: (group[g].known & BIT(i)) != 0 && IS_DUE(i, now) &&
							job[i] == READY -> ready = true
						:: (group[g].known & BIT(i)) != 0 && IS_DUE(i, now) &&
							job[i] == NONE -> group[g].known = group[g].known & ~BIT(i)
						:: else
						fi;
#ifdef ORDER
						if
						:: (group[g].known & BIT(i)) != 0 && !ready ->
							blocked = true;
							break
						:: else
						fi;
#endif
						i = i + GROUPS
					:: else -> break
					od;
					i = 0
				};
				put_back_group()
			:: g == NOBODY && found ->
				read_on();
				may_read = may_read && found;
				if
				:: failed ->
					/* after an error it looks again */
					look_wanted = true;
					failed = false;
					break
				:: else
				fi
			:: else -> break
			fi
		:: else -> break
		od;
		if
		:: more && !ready -> look_wanted = true
		:: else
		fi;
		if
		:: ready -> wake_now()
		:: else
		fi;
		/* jobq_turn_next_due() */
		d_step {
			i = 0;
			do
			:: i < GROUPS ->
				timer = timer || (group[i].there && group[i].place == LATER &&
								  group[i].later == STRIKE) ||
					/* what it is not known of, somebody else tells */
					(group[i].there && HAS_AHEAD(i, false));
				i++
			:: else -> break
			od;
			timer = timer || (!complete && !in_lap && next_lap == STRIKE);
			look_soon = look_soon || (!complete && !ready);
			look_wanted = look_wanted || (timer && struck);
			timer = timer && !struck;
			i = 0;
			ready = false;
			more = false;
			now = false;
			limit = 0;
			turns_left = 0;
			may_read = false;
				told = 0;
			found = false
		}
	od
}

#if AHEAD > 0
proctype Clock()
{
	d_step {
		struck = true;
		look_wanted = look_wanted || timer;
		timer = false
	}
}
#endif

#ifdef ALTER
/* alter_queue(), which has the queue looked at */
proctype Changer()
{
	max = ALTER;
	look_wanted = true
}
#endif

#ifdef RESET
/* COMMIT PREPARED of a transaction that has added a job: nobody is told of it. */
proctype Prepared(byte k)
{
	byte		i = 0;

	job[k] = READY;
#ifndef BREAK_RESET
	d_step { reset() };
#endif
	look_wanted = true
}
#endif

/* Whether a claim, or somebody who is at it, will come across a ready job. */
#define IS_COVERED(k) \
	(group[GROUP(k)].there -> \
	 !group[GROUP(k)].discovered || (group[GROUP(k)].known & BIT(k)) != 0 : \
	 !complete && (in_lap || next_lap != NEVER))

#ifdef SLOW
#define LOOK_SOON	false		/* that would find nothing while somebody reads */
#else
#define LOOK_SOON	look_soon
#endif

/* Begins, and judges when nothing happens any more. */
init
{
	byte		k = 0;

	atomic {
#ifdef COMPLETE
		complete = true;
		next_lap = NEVER;
#endif
		do
		:: k < WORKERS -> asleep++; run Worker(k); k++
		:: else -> break
		od;
		k = 0;
		run Coordinator();
		do
		:: k < JOBS ->
			if
			:: k < THERE -> job[k] = READY; look_wanted = true
#ifdef RESET
			:: k == JOBS - 1 && k >= THERE -> run Prepared(k)
			:: k < JOBS - 1 && k >= THERE -> run Enqueuer(k)
#else
			:: k >= THERE -> run Enqueuer(k)
#endif
			fi;
			k++
		:: else -> break
		od;
		k = 0;
#if MOVERS > 0
		do
		:: k < MOVERS -> run Mover(k); k++
		:: else -> break
		od;
		k = 0;
#endif
#if AHEAD > 0
		run Clock();
#endif
#ifdef ALTER
		run Changer()
#endif
	}
	timeout;
	d_step {
		do
		:: k < JOBS ->
			/* found by the next claim */
			assert(job[k] != READY || IS_COVERED(k));
			/* nobody sleeps who could start this job; without room none can */
			assert(job[k] != READY || asleep == 0 || LOOK_SOON ||
				   (no_room && !group[GROUP(k)].there) ||
				   (group[GROUP(k)].there && group[GROUP(k)].running >= max &&
					max > 0));
			k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < GROUPS ->
			assert(!group[k].there || group[k].running == inside[k]);
			assert(!group[k].there || group[k].looks == 0);
			assert(group[k].there || inside[k] == 0);
			k++
		:: else -> break
		od
	}
}
