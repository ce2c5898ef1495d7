/*
 * dispatch.pml: a model of how backends share the lanes of a queue, for spin.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/lane.c, whose header states the rules, with the
 * notes of src/queue/ready.c and the claim of src/dispatch/claim.c; inlines here are called as
 * the functions there, without "jobq_".  A queue has a lane per priority:
 *
 *	  cursor	where the index has not been read yet
 *	  ring		candidates (key, tid) in the order of their keys
 *	  refilling	somebody reads the index to fill the ring: one at a time
 *	  refill_low	the lowest key lowered to since the refill began
 *
 * Claimed here, for all interleavings of a small case: when everybody is
 * done, each committed ready job that nobody holds is at or above its lane's
 * cursor, or in the ring with its present tid, and claims until there is none
 * left get them all; no job is claimed by two at a time, or after it was
 * finished.
 *
 * What a step stands for is said with it.  A d_step is what happens under the
 * queue's lock, in the moment a snapshot is taken (GetSnapshotData), when a
 * transaction ends for the others (ProcArrayEndTransaction), or under the
 * buffer's lock (heap_lock_tuple).  A scan sees what its snapshot sees however
 * long it takes, so it happens in the moment of its snapshot.
 *
 * The initial state is that after a start or a crash: any rows, one version
 * each, cursors below all, rings empty, no transaction but prepared ones.  So
 * a crash is no step here: it ends everybody, and what may follow it (a claim
 * whose asynchronous commit was lost included) begins in an initial state.
 *
 * A key (priority, run_at, id) is a number; lane l has the keys from FIRST(l)
 * up to LAST(l), which as cursors are minus and plus infinity.  Key k belongs
 * to job k % JOBS, so that a job which is rescheduled moves between keys of its
 * own.  A tid is the number of the row's version; no number is used twice.
 */

#ifndef JOBS
#define JOBS		2
#endif
#ifndef KEYS
#define KEYS		JOBS	/* more than JOBS: jobs can be rescheduled */
#endif
#ifndef LANES
#define LANES		1
#endif
#ifndef RING
#define RING		1		/* candidates a ring has room for; 0: no ring */
#endif
#ifndef LOW_WATER
#define LOW_WATER	0		/* refilled in advance at this number */
#endif
#ifndef THERE
#define THERE		0		/* jobs 0..THERE-1 are there from the start */
#endif
#ifndef WORKERS
#define WORKERS		2
#endif
#ifndef XACTS
#define XACTS		3		/* transactions of all workers together, at most */
#endif
#ifndef PER_XACT
#define PER_XACT	1		/* claims in one transaction, at most */
#endif
#ifndef MOVERS
#define MOVERS		0
#endif
#ifndef MOVED
#define MOVED		(JOBS - MOVERS)	/* the first of the jobs they have */
#endif
#ifndef ERRORS
#define ERRORS		0		/* errors in the course of a claim, at most */
#endif
#ifndef RESETS
#define RESETS		0		/* the lanes are reset out of the blue */
#endif
#ifndef FUTURE
#define FUTURE		KEYS	/* keys from here on are ahead until Clock ticks */
#endif

#define WIDTH		(KEYS / LANES)
#define LANE(k)		((k) / WIDTH)
#define FIRST(l)	((l) * WIDTH)
#define LAST(l)		((l) * WIDTH + WIDTH)
#define JOB(k)		((k) % JOBS)
#define BIT(k)		(1 << (k))
#define MIN(a, b)	((a) < (b) -> (a) : (b))

/* Processes: 1.. are backends with a transaction at most; 0 drains at the end */
#define PREPARED	100		/* owner of what a prepared transaction holds */

/* The state of a row; NONE is no row or no change */
#define NONE		0
#define PENDING		1
#define RUNNING		2
#define DELETED		3

typedef Job
{
	/* the committed row */
	byte		state;
	byte		key;
	byte		tid;
	/* who has it locked (xmax, or xmin of an insert), and its new version */
	byte		owner;
	byte		new_state;
	byte		new_key;
	byte		new_tid;
	/* not in any memory: to check the model by */
	byte		last_tid;		/* versions made so far */
	byte		claimed;		/* who has it claimed, plus one */
	bool		finished;
};

Job			job[JOBS];

/* JobqQueueState */
bool		discovered;
byte		resets;				/* counts them */

/* Lane; the rings are one array, a lane has the entries of its keys */
bool		there[LANES];
byte		cursor[LANES];
bool		refilling[LANES];
byte		refill_low[LANES];
byte		ring[KEYS];			/* the tid by key, 0: not in the ring */

byte		now = FUTURE;		/* smaller keys are due */
byte		errors = ERRORS;	/* that may still happen */
byte		xacts = XACTS;		/* that workers may still begin */
byte		busy = 0;			/* processes that have not ended */

/* Does this transaction see job j at key k, as pending? */
#define SEES(who, j, k) \
	(job[j].owner == who && job[j].new_state != NONE -> \
	 job[j].new_state == PENDING && job[j].new_key == k : \
	 job[j].state == PENDING && job[j].key == k)

/* And in which version? */
#define TID(who, j) \
	(job[j].owner == who && job[j].new_state != NONE -> \
	 job[j].new_tid : job[j].tid)

#define NO_KEY		255

#define POP			0		/* what is to be done next */
#define DISCOVER	1
#define REFILL		2
#define SCAN		3
#define OWN_SCAN	4
#define NEXT		5
#define FETCH		6
#define LOCK		7
#define NOTHING		8		/* results */
#define GOT			9
#define FAILED		10

/*
 * What a backend knows.  Its notes by key, as bits: locked (ACTION_LOCKED,
 * with the tid), of which some are settled, and ready (ACTION_READY, with the
 * tid, 0 if several were put together).  popped is the note of the candidate
 * in hand, which is not among them yet.  seen is its snapshot: the candidates
 * that the index would give.  It is refilling a lane (refills), or scanning
 * one, from a key on.
 */
#define BACKEND_STATE \
	byte		locked = 0; \
	byte		settled = 0; \
	byte		ready = 0; \
	byte		locked_tid[KEYS]; \
	byte		ready_tid[KEYS]; \
	byte		popped = NO_KEY; \
	byte		tid = 0; \
	byte		step = POP; \
	bool		snapshot = false; \
	byte		seen[KEYS]; \
	bool		own = false; \
	bool		scanning = false; \
	bool		refills = false; \
	byte		after = 0; \
	byte		lane = 0; \
	byte		from = 0; \
	byte		upto = 0; \
	byte		room = 0; \
	byte		my_resets = 0; \
	byte		k = 0; \
	byte		m = 0; \
	byte		n = 0

/* ------------------------------------------------------------ the lanes */

inline lower_cursor(key)
{
	cursor[LANE(key)] = MIN(cursor[LANE(key)], key);
	refill_low[LANE(key)] = (refilling[LANE(key)] ->
							 MIN(refill_low[LANE(key)], key) :
							 refill_low[LANE(key)])
}

/* The entries of the lane with this key, and in m the largest. */
inline count_ring(key)
{
	n = 0;
	m = FIRST(LANE(key));
	do
	:: m < LAST(LANE(key)) -> n = n + (ring[m] != 0 -> 1 : 0); m++
	:: else -> break
	od;
	do
	:: m > FIRST(LANE(key)) && ring[m - 1] == 0 -> m--
	:: else -> break
	od;
	m = (n > 0 -> m - 1 : NO_KEY)
}

/*
 * put().  The tid is 0 if it is not known.  What is in the ring with the same
 * key is an older version if the index was read after that was put in
 * (by_index).  What transactions lower to after their end comes in any order.
 */
inline put(key, its_tid, by_index)
{
	if
	:: key >= cursor[LANE(key)] || its_tid == 0 ->
#ifdef BREAK_LOWER_UNMOVED
		if
		:: key < cursor[LANE(key)] -> lower_cursor(key)
		:: else
		fi
#else
		lower_cursor(key)
#endif
	:: else ->
		count_ring(key);
		if
		:: ring[key] == its_tid
		:: ring[key] != 0 && ring[key] != its_tid ->
			if
#ifdef BREAK_REFILL_KEEPS_TID
			:: by_index
#else
			:: by_index -> ring[key] = its_tid
#endif
#ifdef BREAK_LATER_TID
			:: !by_index -> ring[key] = its_tid
#else
#ifdef BREAK_OLD_TID
			:: !by_index
#else
			:: !by_index -> ring[key] = 0; lower_cursor(key)
#endif
#endif
			fi
		:: ring[key] == 0 && n < RING -> ring[key] = its_tid
		:: ring[key] == 0 && n >= RING && (RING == 0 || key > m) ->
#ifndef BREAK_LARGEST
			lower_cursor(key)
#else
			skip
#endif
		:: ring[key] == 0 && n >= RING && RING > 0 && key < m ->
			ring[m] = 0;
#ifndef BREAK_DROPPED
			lower_cursor(m);
#endif
			ring[key] = its_tid
		fi
	fi;
	m = 0;
	n = 0
}

inline get_lane(l)
{
	if
	:: !there[l] ->
		there[l] = true;
#ifdef BREAK_NEW_LANE
		cursor[l] = LAST(l)
#else
		cursor[l] = (discovered -> LAST(l) : FIRST(l))
#endif
	:: else
	fi
}

/* jobq_lane_lower.  Called by at_transaction_end and at_subtransaction_end. */
inline lane_lower(key, its_tid)
{
	get_lane(LANE(key));
	put(key, its_tid, false)
}

/* jobq_lanes_reset: forget_all.  Without discovery the lanes stay. */
inline lanes_reset()
{
	m = 0;
	do
	:: m < KEYS -> ring[m] = 0; m++
	:: else -> break
	od;
	m = 0;
	do
	:: m < LANES ->
#ifdef DISCOVERY
		there[m] = false;
		cursor[m] = 0;
#else
		cursor[m] = FIRST(m);
#endif
		refilling[m] = false;
		refill_low[m] = LAST(m);
		m++
	:: else -> break
	od;
	m = 0;
#ifdef DISCOVERY
	discovered = false;
#endif
	resets++
}

/* begin_refill, of the lane m, which is not being refilled */
inline refill_begin()
{
	lane = m;
	from = cursor[m];
	refilling[m] = true;
	refill_low[m] = LAST(m);
	my_resets = resets;
	count_ring(from);
	room = (n == 0 || m < from -> RING - n : RING);
	m = lane;
	refills = true;
	step = REFILL
}

/*
 * jobq_lane_pop, and jobq_lane_refill_begin if it comes to that: one hold of
 * the lock here, since nothing depends on what is between.  The note that this
 * backend holds the key (popped) is made before anything that can fail.
 */
inline lane_pop()
{
	m = after;
	from = 0;
	step = (discovered -> NOTHING : DISCOVER);
	do
	:: m < LANES && step == NOTHING ->
		if
		:: there[m] ->
			/* judge() */
			k = FIRST(m);
			n = 0;
			do
			:: k < LAST(m) -> n = n + (ring[k] != 0 -> 1 : 0); k++
			:: else -> break
			od;
			k = FIRST(m);
			do
			:: k < LAST(m) && ring[k] == 0 -> k++
			:: else -> break
			od;
			if
			:: k < LAST(m) && k < now &&
				(!(cursor[m] < LAST(m) && cursor[m] < now) ||
				 k < cursor[m]) &&
				!((cursor[m] < LAST(m) && cursor[m] < now) && !refilling[m] &&
				  n <= LOW_WATER) ->
				popped = k;
				tid = ring[k];
				ring[k] = 0;
				step = FETCH
			:: else ->
				if
				:: cursor[m] < LAST(m) && cursor[m] < now ->
					lane = m;
					from = cursor[m];
					if
#ifndef BREAK_TWO_REFILLS
					:: refilling[m] -> step = SCAN
#endif
					:: else -> refill_begin()
					fi
				:: else
				fi
			fi
		:: else
		fi;
		m++
	:: else -> break
	od;
	k = 0;
	m = 0;
	n = 0
}

/* jobq_lane_refill_end, after a scan that went well */
inline lane_refill_end()
{
#ifndef BREAK_REFILL_RESET
	if
	:: resets == my_resets ->
#else
	if
	:: there[LANE(from)] ->
#endif
		refilling[LANE(from)] = false;
#ifdef BREAK_REFILL_LOW
		cursor[LANE(from)] = upto;
#else
		cursor[LANE(from)] = MIN(upto, refill_low[LANE(from)]);
#endif
		refill_low[LANE(from)] = LAST(LANE(from));
		k = from;
		do
		:: k < upto && k < cursor[LANE(from)] ->
			if
			:: seen[k] != 0 -> put(k, seen[k], true)
			:: else
			fi;
			k++
		:: else -> break
		od
	:: else
	fi;
	k = 0;
	upto = 0;
	my_resets = 0;
	refills = false;
	/* no ring: next_by_index(), from where the refill began */
	if
	:: room == 0 -> step = SCAN
	:: else -> step = POP; from = 0
	fi;
	room = 0
}

/* jobq_lane_refill_abandon, from the abort callback or at exit */
inline lane_refill_abandon()
{
#ifndef BREAK_ABANDON
	if
	:: resets == my_resets ->
		refilling[LANE(from)] = false;
		refill_low[LANE(from)] = LAST(LANE(from))
	:: else
	fi;
#endif
	upto = 0;
	room = 0;
	my_resets = 0;
	refills = false
}

/* ------------------------------------------------------------- the claim */

/* jobq_dispatch_refresh */
inline take_snapshot(who)
{
	m = 0;
	do
	:: m < KEYS ->
		seen[m] = (SEES(who, JOB(m), m) -> TID(who, JOB(m)) : 0);
		m++
	:: else -> break
	od;
	m = 0;
	snapshot = true
}

/*
 * The loop of jobq_stream_refill: where it stops.  Who has the candidates
 * locked does not matter.
 */
inline read_index()
{
	k = from;
	n = 0;
	do
	:: k < LAST(LANE(from)) ->
		if
		:: seen[k] != 0 && (k >= now || n == room) -> break
		:: seen[k] != 0 && k < now && n + 1 == room -> k++; break
		:: else ->
			n = n + (seen[k] != 0 -> 1 : 0);
			k++
		fi
	:: else -> break
	od;
	upto = k;
	k = 0;
	n = 0
}

/* An error: out of memory, cancelled, timeout, session terminated */
inline fail()
{
	atomic { errors > 0 -> errors-- };
	step = FAILED
}

/*
 * jobq_ready_withdraw: the candidate in hand is none any more.  Who has the row
 * locked, or has changed it, lowers to it.
 */
inline withdraw()
{
	popped = NO_KEY;
	tid = 0;
	step = (scanning -> NEXT : POP)
}

/* Whether the candidate's version of its row is there, and free. */
#ifdef BREAK_RECHECK
#define IS_FREE		(job[JOB(popped)].owner == 0)
#else
#define IS_FREE \
	(job[JOB(popped)].owner == 0 && job[JOB(popped)].state == PENDING && \
	 job[JOB(popped)].tid == tid)
#endif
#define IS_OWN(who) \
	(job[JOB(popped)].owner == who && \
	 job[JOB(popped)].new_state == PENDING && \
	 job[JOB(popped)].new_tid == tid)
#define IS_OWN_LOCKED(who) \
	(job[JOB(popped)].owner == who && job[JOB(popped)].new_state == NONE && \
	 job[JOB(popped)].state == PENDING && job[JOB(popped)].tid == tid)

/* Whether jobq_lane_fill_begin may fill the first lane. */
#ifdef BREAK_FILL_AGAIN
#define MAY_FILL	(!refilling[0] && cursor[0] < LAST(0))
#else
#define MAY_FILL	(!refilling[0] && cursor[0] == FIRST(0))
#endif

/*
 * jobq_claim_next: the next ready job, locked, or, with UNLOCKED, not yet.
 * step is NOTHING, GOT, or FAILED after an error, which aborts the transaction.
 */
inline ready_next(who)
{
#ifdef OWN
	step = (own -> (scanning -> NEXT : OWN_SCAN) : POP);
#else
	step = POP;
#endif
	do
	:: step == POP ->
		scanning = false;
#ifdef BREAK_SNAPSHOT_EARLY
		d_step { take_snapshot(who) };
#endif
		d_step { lane_pop() }
#ifdef FILL
	/*
	 * fill_first_lane: a refill before the priorities are known, of a lane that a lap
	 * has made.  It reads from the start of the lane.  What it has read of other lanes is
	 * read again here.
	 */
	:: step == DISCOVER && MAY_FILL ->
#ifdef BREAK_SNAPSHOT_EARLY
		d_step { take_snapshot(who) };
#endif
		d_step {
			if
			:: !discovered && MAY_FILL ->
				get_lane(0);
				m = 0;
				refill_begin();
				from = FIRST(0);
				m = 0;
				n = 0
			:: else -> step = POP
			fi
		}
#endif
#ifdef DISCOVERY
	:: step == DISCOVER ->
		/*
		 * jobq_stream_discover.  It reads the entries of running jobs as
		 * well, which are not needed.
		 */
#ifdef BREAK_DISCOVER_EARLY
		d_step { take_snapshot(who) };
		my_resets = resets;
#else
		my_resets = resets;
		d_step { take_snapshot(who) };
#endif
		do
		:: d_step {
				k < LANES ->
				m = FIRST(k);
				do
				:: m < LAST(k) && seen[m] == 0 -> m++
				:: else -> break
				od;
				if
				:: m < LAST(k) && !discovered && resets == my_resets ->
					get_lane(k)
				:: else
				fi;
				m = 0;
				k++
			}
		:: else -> break
		od;
		skip;					/* no jump into a d_step */
		d_step {
#ifdef BREAK_DISCOVER_RESET
			discovered = true;
#else
			discovered = (resets == my_resets -> true : discovered);
#endif
			k = 0;
			my_resets = 0;
			step = POP
		}
#endif
	:: step == REFILL ->
		/* jobq_stream_refill */
		if
		:: d_step {
				true ->
#ifndef BREAK_SNAPSHOT_EARLY
				take_snapshot(who);
#endif
				read_index()
			};
			if
			:: d_step { true -> lane_refill_end() }
			:: fail()
			fi
		:: fail()
		fi
	:: step == SCAN ->
		/* next_of_lane: look without the lane, and publish nothing */
		d_step {
			scanning = true;
			take_snapshot(who);
			step = NEXT
		}
#ifdef OWN
	:: step == OWN_SCAN ->
		/* next_of_own, from jobq_lane_floor or the own job on */
		d_step {
			scanning = true;
			lane = 0;
			k = 0;
			do
			:: k < KEYS && ring[k] == 0 && (ready & BIT(k)) == 0 -> k++
			:: else -> break
			od;
			from = (discovered -> MIN(cursor[0], k) : 0);
			k = 0;
			if
			:: !snapshot -> take_snapshot(who)
			:: else
			fi;
			step = NEXT
		}
#endif
	:: step == NEXT ->
		/* next_of_scan */
		d_step {
			do
			:: from < LAST(lane) && from < now && seen[from] == 0 -> from++
			:: else -> break
			od;
			if
			:: from < LAST(lane) && from < now ->
				popped = from;
				tid = seen[from];
				from++;
				step = LOCK
			:: else ->
				after = lane + 1;
				from = 0;
				scanning = false;
#ifdef OWN
				step = (own -> NOTHING : POP)
#else
				step = POP
#endif
			fi
		}
	:: step == FETCH ->
		/* jobq_dispatch_fetch: "not there" is only said by a new snapshot */
		if
		:: d_step {
				true ->
				if
#ifdef BREAK_OLD_SNAPSHOT
				:: !snapshot -> take_snapshot(who)
#else
				:: !snapshot || seen[popped] != tid -> take_snapshot(who)
#endif
				:: else
				fi;
				if
				:: seen[popped] == tid -> step = LOCK
				:: else -> withdraw()
				fi
			}
		:: fail()
		fi
	:: step == LOCK ->
#ifdef UNLOCKED
		/* take_hold: the row that the snapshot shows will do */
		if
		:: step = GOT
		:: fail()
		fi
#else
		/* try_lock: table_tuple_lock, SKIP LOCKED */
		if
		:: d_step {
				true ->
				if
				:: IS_FREE || IS_OWN(who) ->
					assert(job[JOB(popped)].claimed == 0);
					assert(!job[JOB(popped)].finished);
					job[JOB(popped)].claimed = who + 1;
					job[JOB(popped)].owner = who;
					step = GOT
				:: IS_OWN_LOCKED(who) ->
					/* left by this transaction before */
					job[JOB(popped)].claimed = who + 1;
					step = GOT
				:: else -> withdraw()
				fi
			}
		:: fail()
		fi
#endif
	:: else -> break
	od
}

/* jobq_claim_end, and what the process remembers when a transaction is over */
inline forget()
{
	m = 0;
	do
	:: m < KEYS ->
		seen[m] = 0;
		ready_tid[m] = ((ready & BIT(m)) != 0 -> ready_tid[m] : 0);
		locked_tid[m] = ((locked & BIT(m)) != 0 -> locked_tid[m] : 0);
		m++
	:: else -> break
	od;
	m = 0;
	snapshot = false;
	own = false;
	scanning = false;
	after = 0;
	lane = 0;
	settled = 0
}

/* ------------------------------------------------------ rows and notes */

/* The job in hand is locked; k is the job then, and m the key. */
inline note_locked()
{
	locked = locked | BIT(popped);
	settled = settled & (255 - BIT(popped));
	locked_tid[popped] = tid;
	k = JOB(popped);
	m = popped;
	popped = NO_KEY;
	tid = 0
}

inline note_ready(key, its_tid)
{
	ready = ready | BIT(key);
	ready_tid[key] = its_tid
}

/* A new version of a job that this transaction has locked. */
inline update_job(row, to, at)
{
	job[row].new_state = to;
	job[row].new_key = at;
	job[row].last_tid++;
	job[row].new_tid = job[row].last_tid
}

/* A version is as it was before this transaction, and who has it locked. */
inline undo_job(row, its_owner)
{
	job[row].owner = its_owner;
	job[row].claimed = (job[row].state == RUNNING -> job[row].claimed : 0);
	job[row].new_state = NONE;
	job[row].new_key = 0;
	job[row].new_tid = 0
}

/*
 * ProcArrayEndTransaction of a commit: what it wrote is visible, what it
 * locked is free.
 */
inline commit_rows(who)
{
	k = 0;
	do
	:: k < JOBS ->
		if
		:: job[k].owner == who ->
			if
			:: job[k].new_state != NONE ->
				job[k].state = job[k].new_state;
				job[k].key = (job[k].new_state == DELETED -> 0 : job[k].new_key);
				job[k].tid = job[k].new_tid;
				job[k].finished = job[k].state == DELETED
			:: else
			fi;
			undo_job(k, 0)
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0
}

/* The same of an abort */
inline abort_rows(who)
{
	k = 0;
	do
	:: k < JOBS ->
		if
		:: job[k].owner == who -> undo_job(k, 0)
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0
}

/* at_transaction_end: carries out the notes, each under the lock once. */
inline lower_locked()
{
	do
	:: locked != 0 ->
		d_step {
			k = 0;
			do
			:: (locked & BIT(k)) == 0 -> k++
			:: else -> break
			od;
			locked = locked - BIT(k);
			lane_lower(k, locked_tid[k]);
			locked_tid[k] = 0;
			k = 0
		}
	:: else -> break
	od
}

inline lower_ready()
{
	do
	:: ready != 0 ->
		d_step {
			k = 0;
			do
			:: (ready & BIT(k)) == 0 -> k++
			:: else -> break
			od;
			ready = ready - BIT(k);
			lane_lower(k, ready_tid[k]);
			ready_tid[k] = 0;
			k = 0
		}
	:: else -> break
	od
}

inline commit_transaction(who)
{
#ifdef BREAK_LOWER_EARLY
	lower_locked();
	lower_ready();
	skip;
#endif
	d_step {
		commit_rows(who);
#ifdef BREAK_LEFT
		locked = 0;
#else
		locked = locked & (255 - settled);
#endif
		forget();
		from = 0
	};
	lower_locked();
	lower_ready()
}

inline abort_transaction(who)
{
	d_step {
#ifndef BREAK_POPPED
		if
		:: popped != NO_KEY ->
			locked = locked | BIT(popped);
			locked_tid[popped] = tid
		:: else
		fi;
#endif
		popped = NO_KEY;
		tid = 0;
		ready = 0
	};
#ifdef BREAK_LOWER_EARLY
	lower_locked();
	skip;
#endif
	d_step {
		abort_rows(who);
#ifdef BREAK_ABORT
		locked = 0;
#endif
		forget()
	};
	if
	:: d_step { refills -> lane_refill_abandon(); from = 0 }
	:: else -> from = 0
	fi;
	lower_locked()
}

/* ------------------------------------------------------------ processes */

#if THERE < JOBS && !defined(MANY)
/* A transaction that enqueues a job (enqueue, run) */
proctype Enqueuer(byte who; byte j)
{
	BACKEND_STATE;

	d_step {
		job[j].owner = who;
		update_job(j, PENDING, j);
		note_ready(j, job[j].new_tid)
	};
	if
	:: commit_transaction(who)
#ifdef PREPARE
	:: d_step { job[j].owner = PREPARED; ready = 0 }	/* notes are forgotten */
#endif
	:: abort_transaction(who)
	fi;
	busy--
}
#endif

#ifdef MANY
/* The same of all jobs (enqueue_many), which are noted together */
proctype EnqueuerOfMany(byte who)
{
	BACKEND_STATE;

	d_step {
		do
		:: k < JOBS ->
			job[k].owner = who;
			update_job(k, PENDING, k);
			k++
		:: else -> break
		od;
		k = 0;
#ifdef BREAK_MANY
		note_ready(0, job[0].new_tid)
#else
		note_ready(0, 0)
#endif
	};
	if
	:: commit_transaction(who)
	:: abort_transaction(who)
	fi;
	busy--
}
#endif

/* The job in hand is changed by this transaction. */
inline change_claimed(to)
{
	note_locked();
	settled = settled | BIT(m);
	update_job(k, to, (to == DELETED -> 0 : job[k].key))
}

/* The same if it has not been locked before; see UNLOCKED. */
#define CAN_BE_CHANGED(who)	(IS_FREE || IS_OWN(who) || IS_OWN_LOCKED(who))

inline take_unlocked(who)
{
	assert(job[JOB(popped)].claimed == 0);
	assert(!job[JOB(popped)].finished);
	job[JOB(popped)].claimed = who + 1;
	job[JOB(popped)].owner = who
}

/*
 * A worker: transactions that claim and then, in the end, delete the job
 * (take, executors), lease it (dequeue) or leave it; and what ends the lease.
 */
proctype Worker(byte who)
{
	BACKEND_STATE;
	byte		claims = 0;
	byte		leased = NO_KEY;

	do
	:: atomic { xacts > 0 -> xacts-- };
		claims = PER_XACT;
		step = GOT;
#ifdef OWN
		/* it enqueues a job itself first, which its claims see */
		if
		:: d_step {
				job[JOBS - 1].state == NONE && job[JOBS - 1].owner == 0 ->
				job[JOBS - 1].owner = who;
				update_job(JOBS - 1, PENDING, JOBS - 1);
				note_ready(JOBS - 1, job[JOBS - 1].new_tid);
				own = true
			}
		:: true
		fi;
#endif
		do
		:: claims > 0 && step == GOT ->
			claims--;
			ready_next(who);
			if
			:: step == GOT ->
				if
#ifdef UNLOCKED
				:: d_step {					/* jobq_job_take */
						CAN_BE_CHANGED(who) ->
						take_unlocked(who);
						change_claimed(DELETED);
						k = 0;
						m = 0
					}
#ifdef LEASES
				:: d_step {					/* jobq_job_claim */
						CAN_BE_CHANGED(who) ->
						take_unlocked(who);
						change_claimed(RUNNING);
						leased = k;
						k = 0;
						m = 0
					}
#endif
				:: else ->					/* jobq_claim_lost */
					d_step {
						popped = NO_KEY;
						tid = 0;
						claims++
					}
#else
				:: d_step {					/* executor */
						true ->
						change_claimed(DELETED);
						k = 0;
						m = 0
					}
#ifdef LEASES
				:: d_step {					/* dequeue, of a lease that is over */
						true ->
						change_claimed(RUNNING);
						leased = k;
						k = 0;
						m = 0
					}
#endif
#ifdef LEAVES
				:: d_step {					/* judged anew, and left alone */
						true ->
						note_locked();
						job[k].claimed = 0;
						k = 0;
						m = 0
					}
#endif
#ifdef SAVEPOINTS
				:: d_step {					/* changed, but that rolled back */
						true ->
						change_claimed(DELETED);
						undo_job(k, who);
#ifndef BREAK_UNSETTLE
						settled = settled & (255 - BIT(m));
#endif
						k = 0;
						m = 0
					}
				:: d_step {					/* the claim rolled back */
						true -> undo_job(JOB(popped), 0)
					};
					d_step {
#ifndef BREAK_SAVEPOINT
						lane_lower(popped, tid);
#endif
						popped = NO_KEY;
						tid = 0
					}
#endif
#endif
				fi
			:: else
			fi
		:: else -> break
		:: claims < PER_XACT && step == GOT -> break
		od;
		if
		:: step != FAILED -> commit_transaction(who)
#ifdef PREPARE
		:: step != FAILED && locked != 0 ->
			/* PREPARE: the notes are forgotten, the locks are not */
			d_step {
				k = 0;
				do
				:: k < JOBS ->
					job[k].owner = (job[k].owner == who -> PREPARED :
									job[k].owner);
					k++
				:: else -> break
				od;
				k = 0;
				locked = 0;
				ready = 0;
				forget();
				from = 0
			}
#endif
		:: abort_transaction(who);
			leased = NO_KEY
		fi;
		claims = 0;
		step = POP;
#ifdef LEASES
		if
		:: leased != NO_KEY ->
			/*
			 * The lease ends in a transaction of its own, here or in another
			 * backend: complete, or fail and release, which make a new
			 * version with the same key or a later one; or not at all.
			 */
			if
			:: d_step {
					true ->
					job[leased].owner = who;
					update_job(leased, DELETED, 0)
				};
				commit_transaction(who)
			:: d_step {
					true ->
					job[leased].owner = who;
					update_job(leased, PENDING, job[leased].key);
					note_ready(job[leased].new_key, job[leased].new_tid)
				};
				commit_transaction(who)
#if KEYS > JOBS
			:: d_step {
					job[leased].key < KEYS - JOBS ->
					job[leased].owner = who;
					update_job(leased, PENDING, job[leased].key + JOBS);
					note_ready(job[leased].new_key, job[leased].new_tid)
				};
				commit_transaction(who)
#endif
			:: true
			fi;
			leased = NO_KEY
		:: else
		fi
#endif
	:: break
	od;
	busy--
}

#if MOVERS > 0
/*
 * A transaction that locks a pending job and updates it in place, reschedules
 * it, deletes it, or leaves it as it is (reschedule, update, cancel, promote)
 */
proctype Mover(byte who; byte j)
{
	BACKEND_STATE;

	/* the note comes before the lock */
	if
	:: d_step {
			job[j].state == PENDING && job[j].owner == 0 ->
			job[j].owner = who;
			locked = BIT(job[j].key);
			locked_tid[job[j].key] = job[j].tid
		};
		if
		:: true							/* left */
		:: d_step {
				true ->
				update_job(j, PENDING, job[j].key);
				note_ready(job[j].new_key, job[j].new_tid);
				settled = locked
			}
#if KEYS > JOBS
		:: d_step {
				job[j].key < KEYS - JOBS ->
				update_job(j, PENDING, job[j].key + JOBS);
				note_ready(job[j].new_key, job[j].new_tid);
				settled = locked
			}
		:: d_step {
				job[j].key >= JOBS ->
				update_job(j, PENDING, job[j].key - JOBS);
				note_ready(job[j].new_key, job[j].new_tid);
				settled = locked
			}
#endif
		:: d_step {
				true ->
				update_job(j, DELETED, 0);
				settled = locked
			}
		fi;
		if
		:: commit_transaction(who)
		:: abort_transaction(who)
		fi
	:: else
	fi;
	busy--
}
#endif

#ifdef PREPARE
/*
 * COMMIT PREPARED and ROLLBACK PREPARED: the lanes are reset when the command's
 * own transaction has ended, whatever becomes of the session then.
 */
proctype Finisher()
{
	byte		k = 0;
	byte		m = 0;

	do
	:: atomic {
			job[0].owner == PREPARED || job[JOBS - 1].owner == PREPARED;
			if
			:: d_step { true -> commit_rows(PREPARED) }
			:: d_step { true -> abort_rows(PREPARED) }
			fi
		};
#ifndef BREAK_PREPARED
		d_step { lanes_reset() }
#endif
	:: busy == 0 -> break
	od
}
#endif

#if RESETS > 0
/* The table is another file now, or a sweep has found the queue crowded. */
proctype Resetter()
{
	byte		m = 0;

	d_step { lanes_reset() };
	busy--
}
#endif

#if FUTURE < KEYS
proctype Clock()
{
	now = KEYS;
	busy--
}
#endif

/*
 * When everybody is done: is anything lost?  Then work off what is ready, as
 * the only worker.
 */
init
{
	BACKEND_STATE;
	byte		claims = 0;

	atomic {
		lanes_reset();
		resets = 0;
#ifndef DISCOVERY
		discovered = true;
		do
		:: k < LANES -> there[k] = true; k++
		:: else -> break
		od;
		k = 0;
#endif
		do
		:: k < THERE ->
			job[k].state = PENDING;
			job[k].key = k;
			job[k].tid = 1;
			job[k].last_tid = 1;
			k++
		:: else -> break
		od;
		k = THERE;
#ifdef MANY
		busy++;
		run EnqueuerOfMany(10);
#endif
#if THERE < JOBS && !defined(MANY)
		do
#ifdef OWN
		:: k < JOBS - 1 -> busy++; run Enqueuer(10 + k, k); k++
#else
		:: k < JOBS -> busy++; run Enqueuer(10 + k, k); k++
#endif
		:: else -> break
		od;
#endif
		k = 0;
		do
		:: k < WORKERS -> k++; busy++; run Worker(k)
		:: else -> break
		od;
		k = 0;
#if MOVERS > 0
		do
		:: k < MOVERS -> busy++; run Mover(20 + k, (MOVED + k) % JOBS); k++
		:: else -> break
		od;
		k = 0;
#endif
#if RESETS > 0
		do
		:: k < RESETS -> busy++; run Resetter(); k++
		:: else -> break
		od;
		k = 0;
#endif
#if FUTURE < KEYS
		busy++;
		run Clock();
#endif
#ifdef PREPARE
		/* a taker that was prepared before the server started */
		if
		:: THERE > 0 ->
			job[0].owner = PREPARED;
			update_job(0, DELETED, 0)
		:: true
		fi;
		run Finisher()
#endif
	}

	atomic {
#ifdef PREPARE
		busy == 0 && _nr_pr == 1;
#else
		busy == 0;
#endif
		d_step {
			do
			:: k < LANES -> assert(!refilling[k]); k++
			:: else -> break
			od;
			k = 0;
			do
			:: k < JOBS ->
				assert(job[k].state != PENDING || job[k].owner != 0 ||
					   !discovered ||
					   (there[LANE(job[k].key)] &&
						(job[k].key >= cursor[LANE(job[k].key)] ||
						 ring[job[k].key] == job[k].tid)));
				k++
			:: else -> break
			od;
			k = 0
		};
		errors = 0;
		step = GOT;
		do
		:: step == GOT ->
			assert(claims <= JOBS);
			ready_next(99);
			claims++;
			if
			:: step == GOT ->
				d_step {
#ifdef UNLOCKED
					assert(CAN_BE_CHANGED(99));
					take_unlocked(99);
#endif
					change_claimed(DELETED);
					k = 0;
					m = 0;
					commit_rows(99);
					locked = 0;
					settled = 0
				}
			:: else
			fi
		:: else -> break
		od;
		do
		:: k < JOBS ->
			assert(job[k].state != PENDING || job[k].owner != 0 ||
				   job[k].key >= now);
			k++
		:: else -> break
		od
	}
}
