/*
 * dispatch.pml: a model of the dispatch cursor of one lane, for spin.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * A lane is what jobq keeps in shared memory for a queue and priority:
 *
 *	  cursor	no ready job outside the ring has a smaller key, except those
 *				that somebody is going to lower it for
 *	  ring		candidates (key, tid) in the order of their keys
 *	  refilling	who reads the index to fill the ring: one at a time
 *	  refill_low	the lowest key lowered to since the refill began
 *
 * Claimed here, for all interleavings of a small case: when everybody is
 * done, each committed ready job that nobody holds is at or above the cursor,
 * or in the ring with its present tid, and claims until there is none left
 * get them all; no job is claimed by two at a time, or after it was finished.
 *
 * What a step stands for is said with it.  A d_step is what happens under the
 * lane's lock, in the moment a snapshot is taken (GetSnapshotData), when a
 * transaction ends for the others (ProcArrayEndTransaction), or under the
 * buffer's lock (heap_lock_tuple).  A scan sees what its snapshot sees however
 * long it takes, so it happens in the moment of its snapshot.
 *
 * The initial state is that after a start or a crash: any rows, one version
 * each, cursor below all, ring empty, no transaction but prepared ones.  So
 * a crash is no step here: it ends everybody, and what may follow it (a claim
 * whose asynchronous commit was lost included) begins in an initial state.
 *
 * A key (run_at, id) is a number; key k belongs to job k % JOBS, so that a job
 * which is rescheduled moves between keys of its own.  A tid is the number of
 * the row's version; no number is used twice.
 */

#ifndef JOBS
#define JOBS		2
#endif
#ifndef KEYS
#define KEYS		JOBS	/* more than JOBS: jobs can be rescheduled */
#endif
#ifndef RING
#define RING		1		/* candidates the ring has room for */
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
#ifndef FUTURE
#define FUTURE		KEYS	/* keys from here on are ahead until Clock ticks */
#endif

#define NOWHERE		KEYS	/* above all keys: end of the index */
#define JOB(k)		((k) % JOBS)
#define BIT(k)		(1 << (k))

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

byte		cursor = 0;			/* 0 is below all keys: minus infinity */
byte		ring[KEYS];			/* the tid by key, 0: not in the ring */
byte		refilling = 0;
byte		refill_low = NOWHERE;

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

#define MIN(a, b)	((a) < (b) -> (a) : (b))

/*
 * What a backend knows.  undo and redo are the notes of xact.c (as bits):
 * keys to lower to if the transaction aborts, or commits.  popped is the note
 * of the candidate in hand: lowered to if it aborts.
 */
#define NO_KEY		255

#define POP			0		/* what is to be done next */
#define REFILL		1
#define SCAN		2
#define NEXT		3
#define FETCH		4
#define LOCK		5
#define NOTHING		6		/* results */
#define GOT			7
#define FAILED		8

#define BACKEND_STATE \
	byte		undo = 0; \
	byte		redo = 0; \
	byte		popped = NO_KEY; \
	byte		tid = 0; \
	byte		step = POP; \
	byte		found[KEYS]; \
	byte		from = 0; \
	byte		upto = 0; \
	byte		k = 0; \
	byte		n = 0

/*
 * jobq_lane_lower.  Called by at_transaction_end and at_subtransaction_end.
 */
inline lane_lower(k)
{
	d_step {
#ifdef BREAK_LOWER_UNMOVED
		/* does nothing where it does not move the cursor */
		if
		:: k < cursor && refilling != 0 -> refill_low = MIN(refill_low, k)
		:: else
		fi;
#else
		if
		:: refilling != 0 -> refill_low = MIN(refill_low, k)
		:: else
		fi;
#endif
		cursor = MIN(cursor, k)
	}
}

/*
 * jobq_lane_pop, and jobq_lane_refill_begin if it comes to that: one hold of
 * the lock.  The note that this backend holds the key (popped) is made in it.
 */
inline lane_pop(who)
{
	d_step {
		k = 0;
		do
		:: k < KEYS && ring[k] == 0 -> k++
		:: else -> break
		od;
		if
		:: cursor < k && cursor < now ->
			from = cursor;
			if
#ifndef BREAK_TWO_REFILLS
			:: refilling != 0 -> step = SCAN
#endif
			:: else ->
				refilling = who + 1;
				refill_low = NOWHERE;
				step = REFILL
			fi
		:: else ->
			if
			:: k < KEYS ->
				popped = k;
				tid = ring[k];
				ring[k] = 0;
				step = FETCH
			:: else -> step = NOTHING
			fi
		fi;
		k = 0
	}
}

/* The rows of all keys as a snapshot shows them. */
inline take_snapshot(who)
{
	k = 0;
	do
	:: k < KEYS ->
		found[k] = (SEES(who, JOB(k), k) -> TID(who, JOB(k)) : 0);
		k++
	:: else -> break
	od;
	k = 0
}

/*
 * The index scan: leaves in found[] the first candidates at or above from,
 * max of them, and in upto the key where it stopped: the next candidate, the
 * first job that is ahead, or the end.  Who has them locked does not matter.
 */
inline scan_index(max)
{
	k = 0;
	n = 0;
	upto = NOWHERE;
	do
	:: k < KEYS ->
		if
		:: found[k] == 0 || k < from -> found[k] = 0
		:: else ->
			if
			:: upto == NOWHERE && (n == max || k >= now) -> upto = k
			:: else
			fi;
			if
			:: upto != NOWHERE -> found[k] = 0
			:: else -> n++
			fi
		fi;
		k++
	:: else -> break
	od;
	k = 0;
	n = 0
}

/*
 * jobq_lane_refill_end after a scan that went well.  Candidates that the ring
 * has no room for are those with the largest keys, and the cursor must go
 * back to them.
 */
inline lane_refill_end()
{
	d_step {
		k = 0;
		n = 0;
		do
		:: k < KEYS ->
			if
#ifdef BREAK_STALE_TID
			:: found[k] != 0 && ring[k] == 0 -> ring[k] = found[k]
#else
			:: found[k] != 0 -> ring[k] = found[k]
#endif
			:: else
			fi;
			found[k] = 0;
			n = n + (ring[k] != 0 -> 1 : 0);
			k++
		:: else -> break
		od;
		cursor = MIN(upto, refill_low);
		do
		:: n > RING ->
			k--;
			if
			:: ring[k] != 0 ->
				ring[k] = 0;
				n--;
#ifndef BREAK_OVERFLOW
				cursor = MIN(cursor, k)
#endif
			:: else
			fi
		:: else -> break
		od;
		refilling = 0;
		refill_low = NOWHERE;
		k = 0;
		n = 0;
		from = 0;
		upto = 0;
		step = POP
	}
}

/* jobq_lane_refill_end after an error, from the abort callback or at exit */
inline lane_refill_failed()
{
	d_step {
#ifndef BREAK_REFILL_FAILED
		refilling = 0;
		refill_low = NOWHERE;
#endif
		k = 0;
		do
		:: k < KEYS -> found[k] = 0; k++
		:: else -> break
		od;
		k = 0;
		from = 0;
		upto = 0
	}
}

/* jobq_lanes_reset */
inline lanes_reset()
{
	d_step {
		k = 0;
		do
		:: k < KEYS -> ring[k] = 0; k++
		:: else -> break
		od;
		k = 0;
		cursor = 0;
#ifndef BREAK_RESET_UNSEEN
		if
		:: refilling != 0 -> refill_low = 0
		:: else
		fi
#endif
	}
}

/* An error: out of memory, cancelled, timeout, session terminated */
inline fail()
{
	atomic { errors > 0 -> errors-- };
	step = FAILED
}

/* The candidate in hand is none any more; see who lowers to it, at FETCH. */
inline drop_candidate()
{
	popped = NO_KEY;
	tid = 0;
	step = (scanning -> NEXT : POP)
}

/*
 * jobq_ready_next: the next ready job, locked.  step is NOTHING, GOT, or
 * FAILED after an error, which aborts the transaction.
 */
inline ready_next(who)
{
	step = POP;
	scanning = false;
	do
	:: step == POP ->
#ifdef BREAK_SNAPSHOT_EARLY
		d_step { take_snapshot(who) };
#endif
		lane_pop(who)
	:: step == REFILL ->
		if
		:: d_step {
				true ->
#ifndef BREAK_SNAPSHOT_EARLY
				take_snapshot(who);
#endif
				scan_index(RING)
			};
			if
			:: lane_refill_end()
			:: fail();
				lane_refill_failed()
			fi
		:: fail();
			lane_refill_failed()
		fi
	:: step == SCAN ->
		/* somebody else refills: look without the lane, and publish nothing */
		d_step {
			scanning = true;
			take_snapshot(who);
			scan_index(KEYS);
			upto = 0;
			from = 0;
			step = NEXT
		}
	:: step == NEXT ->
		d_step {
			k = 0;
			do
			:: k < KEYS && found[k] == 0 -> k++
			:: else -> break
			od;
			if
			:: k < KEYS ->
				popped = k;
				tid = found[k];
				found[k] = 0;
				step = LOCK
			:: else -> step = NOTHING
			fi;
			k = 0
		}
	:: step == FETCH ->
		/*
		 * table_tuple_fetch_row_version under a new snapshot.  Who has
		 * changed or deleted the row lowers to its key when they end.
		 */
		if
		:: d_step {
				true ->
				if
				:: SEES(who, JOB(popped), popped) &&
					TID(who, JOB(popped)) == tid -> step = LOCK
				:: else -> drop_candidate()
				fi
			}
		:: fail()
		fi
	:: step == LOCK ->
		/*
		 * table_tuple_lock, SKIP LOCKED, and the second look.  Who has it
		 * locked lowers to its key when they end.
		 */
		if
		:: d_step {
				true ->
				if
#ifdef BREAK_RECHECK
				:: job[JOB(popped)].owner == 0 ||
#else
				:: (job[JOB(popped)].owner == 0 &&
					job[JOB(popped)].state == PENDING &&
					job[JOB(popped)].key == popped &&
					job[JOB(popped)].tid == tid) ||
#endif
					(job[JOB(popped)].owner == who &&
					 job[JOB(popped)].new_state == PENDING &&
					 job[JOB(popped)].new_tid == tid) ->
					assert(job[JOB(popped)].claimed == 0);
					assert(!job[JOB(popped)].finished);
					job[JOB(popped)].claimed = who + 1;
					job[JOB(popped)].owner = who;
					step = GOT
				:: else -> drop_candidate()
				fi
			}
		:: fail()
		fi
	:: else -> break
	od;
	skip;						/* no jump into a d_step */
	d_step {
		/* what a scan has found beyond the job it got */
		k = 0;
		do
		:: k < KEYS -> found[k] = 0; k++
		:: else -> break
		od;
		k = 0;
		scanning = false
	}
}

/* The job in hand is ours: the note of it is one of the transaction now. */
inline note_claimed()
{
	undo = undo | BIT(popped);
	k = JOB(popped);
	popped = NO_KEY;
	tid = 0
}

/* A new version of a job that this transaction has locked. */
inline update_job(row, to, at)
{
	job[row].new_state = to;
	job[row].new_key = at;
	job[row].last_tid++;
	job[row].new_tid = job[row].last_tid
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
			job[k].owner = 0;
			job[k].claimed = (job[k].state == RUNNING -> job[k].claimed : 0);
			job[k].new_state = NONE;
			job[k].new_key = 0;
			job[k].new_tid = 0
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
		:: job[k].owner == who ->
			job[k].owner = 0;
			job[k].claimed = (job[k].state == RUNNING -> job[k].claimed : 0);
			job[k].new_state = NONE;
			job[k].new_key = 0;
			job[k].new_tid = 0
		:: else
		fi;
		k++
	:: else -> break
	od;
	k = 0
}

/* at_transaction_end and at_subtransaction_end: carry out the notes. */
inline lower_all(keys)
{
	do
	:: keys != 0 ->
		d_step {
			k = 0;
			do
			:: (keys & BIT(k)) == 0 -> k++
			:: else -> break
			od;
			keys = keys - BIT(k);
		}
		lane_lower(k);
		k = 0
	:: else -> break
	od
}

inline commit_transaction(who)
{
#ifdef BREAK_LOWER_EARLY
	lower_all(redo);
	skip;
#endif
	d_step { commit_rows(who); undo = 0 };
	lower_all(redo)
}

inline abort_transaction(who)
{
	d_step {
#ifndef BREAK_POPPED
		if
		:: popped != NO_KEY -> undo = undo | BIT(popped)
		:: else
		fi;
#endif
		popped = NO_KEY;
		tid = 0;
		redo = 0
	};
#ifdef BREAK_LOWER_EARLY
	lower_all(undo);
	skip;
#endif
	d_step {
		abort_rows(who);
#ifdef BREAK_ABORT
		undo = 0
#endif
	};
	lower_all(undo)
}

/* A transaction that enqueues a job (enqueue, enqueue_many, run) */
proctype Enqueuer(byte who; byte j)
{
	BACKEND_STATE;

	d_step {
		job[j].owner = who;
		update_job(j, PENDING, j);
		redo = BIT(j)
	};
	if
	:: commit_transaction(who)
#ifdef PREPARE
	:: d_step { job[j].owner = PREPARED; redo = 0 }	/* notes are forgotten */
#endif
	:: abort_transaction(who)
	fi;
	busy--
}

/*
 * A worker: transactions that claim and then, in the end, delete the job
 * (take, executors), lease it (dequeue) or leave it; and what ends the lease.
 */
proctype Worker(byte who)
{
	BACKEND_STATE;
	bool		scanning = false;
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
				undo = BIT(JOBS - 1);
				redo = BIT(JOBS - 1)
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
				:: d_step {					/* take, executor */
						true ->
						note_claimed();
						update_job(k, DELETED, 0);
						k = 0
					}
#ifdef LEASES
				:: d_step {					/* dequeue */
						true ->
						note_claimed();
						update_job(k, RUNNING, job[k].key);
						leased = k;
						k = 0
					}
#endif
#ifdef LEAVES
				:: d_step {					/* judged anew, and left alone */
						true ->
#ifndef BREAK_LEFT
						redo = redo | BIT(popped);
#endif
						note_claimed();
						job[k].claimed = 0;
						k = 0
					}
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
		:: step != FAILED && undo != 0 ->
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
				undo = 0;
				redo = 0
			}
#endif
		:: abort_transaction(who);
			leased = NO_KEY
		fi;
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
					redo = BIT(job[leased].new_key)
				};
				commit_transaction(who)
#if KEYS > JOBS
			:: d_step {
					job[leased].key < KEYS - JOBS ->
					job[leased].owner = who;
					update_job(leased, PENDING, job[leased].key + JOBS);
					redo = BIT(job[leased].new_key)
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
			undo = BIT(job[j].key)
		};
		if
		:: d_step {
				true ->
#ifndef BREAK_LEFT
				redo = BIT(job[j].key)
#endif
			}
		:: d_step {
				true ->
				update_job(j, PENDING, job[j].key);
				redo = BIT(job[j].new_key)
			}
#if KEYS > JOBS
		:: d_step {
				job[j].key < KEYS - JOBS ->
				update_job(j, PENDING, job[j].key + JOBS);
				redo = BIT(job[j].new_key)
			}
		:: d_step {
				job[j].key >= JOBS ->
				update_job(j, PENDING, job[j].key - JOBS);
				redo = BIT(job[j].new_key)
			}
#endif
		:: d_step {
				true ->
				update_job(j, DELETED, 0)
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

#ifdef PREPARE
/*
 * COMMIT PREPARED and ROLLBACK PREPARED: the utility hook resets the lanes
 * when the transaction has ended, whatever becomes of the session then.
 */
proctype Finisher()
{
	byte		k = 0;

	do
	:: atomic {
			job[0].owner == PREPARED || job[JOBS - 1].owner == PREPARED;
			if
			:: d_step { true -> commit_rows(PREPARED) }
			:: d_step { true -> abort_rows(PREPARED) }
			fi
		};
#ifndef BREAK_PREPARED
		lanes_reset()
#endif
	:: busy == 0 -> break
	od
}
#endif

proctype Clock()
{
	now = KEYS;
	busy--
}

/*
 * When everybody is done: is anything lost?  Then work off what is ready, as
 * the only worker.
 */
init
{
	BACKEND_STATE;
	bool		scanning = false;
	byte		claims = 0;

	atomic {
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
		do
#ifdef OWN
		:: k < JOBS - 1 -> busy++; run Enqueuer(10 + k, k); k++
#else
		:: k < JOBS -> busy++; run Enqueuer(10 + k, k); k++
#endif
		:: else -> break
		od;
		k = 0;
		do
		:: k < WORKERS -> k++; busy++; run Worker(k)
		:: else -> break
		od;
		k = 0;
		do
		:: k < MOVERS -> busy++; run Mover(20 + k, MOVED + k); k++
		:: else -> break
		od;
		k = 0;
		if
		:: FUTURE < KEYS -> busy++; run Clock()
		:: else
		fi;
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
			assert(refilling == 0);
			do
			:: k < JOBS ->
				assert(job[k].state != PENDING || job[k].owner != 0 ||
					   job[k].key >= cursor || ring[job[k].key] == job[k].tid);
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
					note_claimed();
					update_job(k, DELETED, 0);
					k = 0;
					commit_rows(99);
					undo = 0
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
