/*
 * gate_count.pml: a model of how the running jobs of a gate are counted, and
 * where their tickets are, for spin.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/shared/gate.c, src/shared/lease_registry.c,
 * src/dispatch/lease_load.c and src/queue/lease_note.c; inlines here are called as
 * the functions there, without "jobq_".  Who is woken is in gate.pml.
 *
 * Claimed here, for all interleavings of a small case: a claim is let in by a gate
 * that is counted only if fewer jobs are running than may; no ticket is given back
 * twice; and when nothing happens any more, the gate is counted, and as many tickets
 * are out as jobs are running.
 *
 * The initial state is that after a start or a crash, if UNCOUNTED is set: any
 * running jobs, and nothing in memory.  So a crash is no step.  Otherwise each
 * running job has an entry with its ticket.
 *
 * A step is one access to an atomic variable.  A d_step of more is what happens
 * under the lock of the registry, in the moment a snapshot is taken, or when a
 * transaction ends for the others (ProcArrayEndTransaction).
 */

#ifndef JOBS
#define JOBS		2
#endif
#ifndef RUNS
#define RUNS		1		/* jobs 0..RUNS-1 are running from the start */
#endif
#ifndef MAX
#define MAX			1		/* max_running */
#endif
#ifndef CLAIMS
#define CLAIMS		1		/* processes that claim a job, the last ones */
#endif
#ifndef ENDS
#define ENDS		0		/* jobs 0..ENDS-1 may end */
#endif
#ifndef MOVES
#define MOVES		0		/* jobs 0..MOVES-1 have heartbeats */
#endif
#ifndef HEARTBEATS
#define HEARTBEATS	1		/* of a transaction, at most */
#endif

/* The state of a row */
#define READY		0
#define LOCKED		1			/* by a claim that is open */
#define RUNNING		2
#define PREPARED	3			/* running, but for a prepared transaction */
#define DONE		4

#define IS_RUNNING(j)	(row[j] == RUNNING || row[j] == PREPARED)

byte		row[JOBS];
bool		moved[JOBS];		/* from the last block of the table to the first */
bool		locked[JOBS];		/* by a heartbeat */

/* The registry: an entry, whether it has a ticket, and so on */
bool		entry[JOBS];
bool		ticket[JOBS];
bool		open[JOBS];
bool		lent[JOBS];
bool		in_doubt[JOBS];

/* JobqGate */
#define IS_COUNTED	((known & 1) == 1)

byte		running = 0;
byte		known = 0;			/* odd: the gate is counted */

byte		inside = 0;			/* to check the model by: jobs that run, and claims
								 * that have been let in */
bool		verify_wanted = false;

/* ------------------------------------------------------------- gate.c */

/* Gives a ticket back. */
inline leave()
{
	d_step {
		assert(running > 0);
		running--
	}
}

inline miss()
{
	known = (known | 1) + 1
}

/*
 * enter(), which is tried again if what is running has been counted anew; `fits`
 * is what the model knows.
 */
inline enter()
{
	do
	:: d_step { IS_COUNTED -> was_known = known };
		if
		:: d_step {
				/* the compare-and-exchange */
				running < MAX ->
				running++;
				fits = inside < MAX;
				inside++
			};
			if
#ifndef BREAK_STALE
			:: known != was_known ->
				d_step { inside--; fits = true };
				leave()
#endif
			:: else -> in = true
			fi;
			assert(fits);
			if
			:: in -> break
			:: else
			fi
		:: running >= MAX -> break
		fi
	od;
	was_known = 0
}

/* ---------------------------------------------------- lease_registry.c */

/* forget(): removes an entry, and gives its ticket back unless it is lent. */
inline forget(j)
{
	d_step {
#ifdef BREAK_LENT
		gives = ticket[j];
#else
		gives = ticket[j] && !lent[j];
#endif
		entry[j] = false;
		ticket[j] = false;
		open[j] = false;
		lent[j] = false;
		in_doubt[j] = false
	};
	if
	:: gives -> gives = false; leave()
	:: else
	fi
}

/* list(), with supply_ticket(): a running job that the pass has seen */
inline list(j, doubt)
{
	d_step {
		entry[j] = true;
		in_doubt[j] = in_doubt[j] || doubt;
		if
#ifdef BREAK_OPEN
		:: !ticket[j] || open[j] ->
#else
		:: !ticket[j] && !open[j] && !lent[j] ->
#endif
			running++;
			ticket[j] = true;
#ifndef BREAK_DOUBT
			in_doubt[j] = true
#else
			skip
#endif
		:: else
		fi
	}
}

/* ------------------------------------------------------------ processes */

/*
 * The coordinator: a pass in two parts, each with a snapshot of its own, and the
 * second look; and another pass if it failed.  It verifies alone after COMMIT
 * PREPARED and ROLLBACK PREPARED.
 */
proctype Coordinator()
{
	byte		j = 0;
	byte		begun = 0;
	byte		part = 0;
	bool		gives = false;
	bool		lists = false;
	byte		seen[JOBS];

end:
	do
	:: !IS_COUNTED || verify_wanted ->
		d_step { lists = !IS_COUNTED; verify_wanted = false };
#ifndef BREAK_BEGIN
		begun = known;
#endif
		do
		:: lists && part < 2 ->
			d_step {
				/* the rows of this part that a snapshot shows as running */
				do
				:: j < JOBS ->
					seen[j] = (IS_RUNNING(j) && moved[j] == (part == 0) ->
							   row[j] : READY);
					j++
				:: else -> break
				od;
				j = 0
			};
			do
			:: j < JOBS ->
				if
				:: seen[j] != READY -> list(j, seen[j] == PREPARED); seen[j] = READY
				:: else
				fi;
				j++
			:: else -> break
			od;
			j = 0;
			part++
		:: else -> break
		od;
		part = 0;
		/* verify() */
		do
		:: j < JOBS ->
			if
			:: in_doubt[j] && !open[j] ->
#ifndef BREAK_TRUST
				in_doubt[j] = false;
#endif
				if
				:: row[j] == RUNNING && !locked[j]
				:: row[j] == PREPARED || (row[j] == RUNNING && locked[j]) ->
#ifndef BREAK_DOUBT_AGAIN
					in_doubt[j] = in_doubt[j] || entry[j]
#else
					skip
#endif
				:: !IS_RUNNING(j) -> forget(j)
				fi;
#ifdef BREAK_TRUST
				in_doubt[j] = false
#endif
			:: else
			fi;
			j++
		:: else -> break
		od;
		j = 0;
#ifdef BREAK_BEGIN
		begun = known;
#endif
		if
		:: lists ->
#ifndef BREAK_COUNT_END
			d_step {
				/* one compare-and-exchange */
				known = (known == begun -> begun | 1 : known);
				begun = 0
			}
#else
			known = known | 1;
			begun = 0
#endif
		:: else -> begun = 0
		fi
	od
}

/* A claim, of a queue that has the limit: it makes the entry itself. */
proctype Claimer(byte j)
{
	byte		was_known = 0;
	bool		in = false;
	bool		fits = true;
	bool		gives = false;

end:
	enter();
	if
	:: in ->
		/* reserve() */
		d_step {
			row[j] = LOCKED;
			entry[j] = true;
			open[j] = true;
			ticket[j] = true
		};
		if
		:: row[j] = RUNNING;
			/* register() */
			open[j] = false
		:: d_step { row[j] = READY; inside-- };
			forget(j)
		fi
	:: else
	fi
}

/*
 * A claim by a process that knows of no limit yet, and whose lease is not listed:
 * its job runs without a ticket.
 */
proctype Unlisted(byte j)
{
	running++;
	d_step { row[j] = RUNNING; inside++ };
#ifdef BREAK_MISS_LATE
	leave();
	miss()
#else
#ifndef BREAK_MISS
	miss();
#endif
	leave()
#endif
}

/* A lease ends: at commit, the entry is removed. */
proctype Ender(byte j)
{
	bool		gives = false;

end:
	d_step { row[j] == RUNNING && !locked[j] -> row[j] = DONE; inside-- };
	forget(j)
}

#ifdef PREPARE
/*
 * The same in a prepared transaction, which another session commits or rolls
 * back: whether its own transaction ends by commit or by an error.
 */
proctype Preparer(byte j)
{
end:
	d_step { row[j] == RUNNING && !locked[j] -> row[j] = PREPARED };
#ifndef BREAK_PREPARE
	d_step { in_doubt[j] = in_doubt[j] || entry[j] };
#endif
	if
	:: d_step { true -> row[j] = DONE; inside-- }
	:: row[j] = RUNNING
	fi;
#ifndef BREAK_VERIFY
	verify_wanted = true
#endif
}
#endif

/*
 * Heartbeats of a transaction, of which any may move the row to another block.  It has
 * the row locked, so that nobody else ends the job, and lists it before the commit:
 * lease_load.c, enter_moved().  What it has listed stays if it is rolled back, even to
 * a savepoint.
 */
proctype Mover(byte j)
{
	byte		n = 0;
	bool		written = false;
	bool		moves = false;
	bool		lists = false;

end:
	d_step { row[j] == RUNNING && !locked[j] -> locked[j] = true };
	do
	:: n < HEARTBEATS ->
		n++;
		if
		:: true -> moves = true
#if HEARTBEATS > 1
		:: n < HEARTBEATS -> written = true	/* in its block */
#endif
		fi;
#ifndef BREAK_MOVE
		lists = moves && !ticket[j];
#ifdef BREAK_MOVE_AGAIN
		/* that row is taken for one that was claimed here */
		lists = lists && !written;
#endif
		if
		:: lists -> list(j, false)
		:: else
		fi;
#endif
#if HEARTBEATS > 1
		if
		:: n < HEARTBEATS -> moves = false; written = false	/* ROLLBACK TO */
		:: true
		fi
#endif
	:: n > 0 -> break
	od;
	if
	:: d_step { true -> moved[j] = moved[j] || moves; locked[j] = false }
	:: locked[j] = false
	fi;
#ifdef BREAK_MOVE
	/* tell_of_move(), which is too late */
	if
	:: !ticket[j] -> miss()
	:: else
	fi
#endif
}

#ifdef NEXT
#define NEW		(JOBS - 1 - CLAIMS)

/* next(): ends job 0, whose ticket it lends to one that nobody else claims. */
proctype Lender()
{
	bool		lends = false;
	bool		gives = false;

end:
	/* it has the row of job 0 locked until it ends */
	d_step {
		row[0] == RUNNING && !locked[0] && row[NEW] == READY ->
		lends = ticket[0] && !lent[0] && running <= MAX;
		lent[0] = lent[0] || lends;
		row[NEW] = (lends -> LOCKED : READY);
		row[0] = (lends -> LOCKED : RUNNING)
	};
	if
	:: lends ->
		d_step {
			entry[NEW] = true;
			open[NEW] = true;
			ticket[NEW] = true
		};
		if
		:: d_step { row[0] = DONE; row[NEW] = RUNNING };
			forget(0);
			open[NEW] = false
		:: d_step { row[0] = RUNNING; row[NEW] = READY };
			/* keep_lease(), and then forget_claim() of a lent ticket */
			d_step {
				gives = !entry[0];
				lent[0] = false
			};
			if
#ifndef BREAK_UNLEND
			:: gives -> leave()
#endif
			:: else
			fi;
			d_step {
				entry[NEW] = false;
				open[NEW] = false;
				ticket[NEW] = false
			}
		fi
	:: else
	fi
}
#endif

/* Begins, and judges when nothing happens any more. */
init
{
	byte		j = 0;

	atomic {
		do
		:: j < RUNS ->
			row[j] = RUNNING;
			inside++;
#ifndef UNCOUNTED
			entry[j] = true;
			ticket[j] = true;
			running++;
#endif
			j++
		:: else -> break
		od;
#ifndef UNCOUNTED
		known = 1;
#endif
#ifdef UNLISTED
		run Unlisted(j);
#endif
		j = 0;
		do
		:: j < CLAIMS -> run Claimer(JOBS - 1 - j); j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < ENDS -> run Ender(j); j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < MOVES -> run Mover(j); j++
		:: else -> break
		od;
		j = 0;
#ifdef PREPARE
		run Preparer(0);
#endif
#ifdef NEXT
		run Lender();
#endif
		run Coordinator()
	}
	timeout;
	d_step {
		assert(IS_COUNTED);
		assert(running == inside);
		j = 0
	}
}
