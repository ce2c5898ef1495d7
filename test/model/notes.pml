/*
 * notes.pml: a model of the notes of running jobs after a crash of the server, for spin:
 * who may start a job before all of them have been read.
 *
 * "make test-model" checks it in every configuration that test/model/run
 * lists, and each rule of the protocol by leaving it out (BREAK_*), when spin
 * must find an error.  README.md explains how to read and run it.
 *
 * The protocol is that of src/job/unread_note.c, src/job/uncounted.c,
 * src/shared/termination.c and bgworker/coordinator/attempt_count.c, with activation.c
 * and bgworker/executor/find.c.
 *
 * The server has crashed.  Jobs 0..OWN-1 were running, as their executors' own files say,
 * and jobs OWN..OWN+PUT-1 have notes that were put aside.  The others have not run.  Each has
 * max_attempts 1.  Up to ERRORS times, a file cannot be read, by any process, or the
 * coordinator's task fails before it has read one.
 *
 * Claimed here, for all interleavings of a small case: no job is started twice; and when
 * nothing happens any more, each attempt with a note is counted, each other job has been
 * started, and no executor waits.
 *
 * A step is one access to a file, to an atomic variable or, under its lock, to the
 * list of attempts in shared memory, or what happens when a transaction ends for the
 * others.
 */

#ifndef JOBS
#define JOBS		2
#endif
#ifndef OWN
#define OWN			1
#endif
#ifndef PUT
#define PUT			0
#endif
#ifndef ERRORS
#define ERRORS		1
#endif
#ifndef ROOM
#define ROOM		2		/* attempts for which shared memory has room */
#endif
#ifndef CLAIMS
#define CLAIMS		2		/* of a session, at most */
#endif

#define BIT(j)		(1 << (j))

/* States of a job */
#define READY		0
#define HELD		1		/* somebody has locked the row */
#define STARTED		2		/* the claim, or the end of the job, is committed */
#define DEAD		3		/* the attempt is counted */

byte		job[JOBS];
bool		own[JOBS];			/* its note in its executor's file, */
bool		aside[JOBS];		/* and in one with its name */
byte		attempts[JOBS];
byte		errors = ERRORS;

/* JobqDatabase, and jobq_shared->terminations[] */
bool		notes_read = false;
bool		left_out = false;
bool		again = false;		/* some were left out since the coordinator began to read */
bool		unread = false;
byte		memory = 0;
byte		nmemory = 0;

/* Why the coordinator is woken, and whether an executor was started */
bool		want_notes = true;
bool		want_look = true;
bool		started = false;

/* A job runs, or is given to a client. */
inline start(j)
{
	attempts[j]++;
	assert(attempts[j] == 1)
}

/* Reads a file: `there` is whether it exists; `found`, or `failed`. */
inline read_file(there)
{
	if
	:: (there) && errors > 0 -> errors--; failed = true; found = false
	:: failed = false; found = (there)
	fi
}

/* jobq_termination_note(), under the lock; `found` is whether it has room. */
inline enter(j)
{
	found = (memory & BIT(j)) != 0 || nmemory < ROOM;
	if
	:: (memory & BIT(j)) == 0 && found -> memory = memory | BIT(j); nmemory++
	:: else
	fi
}

/* jobq_termination_leave_out() */
inline leave_out()
{
	d_step { left_out = true; again = true }
}

/* jobq_termination_forget() */
inline leave(j)
{
	if
	:: (memory & BIT(j)) != 0 -> memory = memory & ~BIT(j); nmemory--
	:: else
	fi
}

/* share_notes() */
inline share_notes()
{
	j = 0;
	do
	:: j < JOBS && (list & BIT(j)) != 0 && aside[j] ->
		d_step { enter(j) };
		if
		:: !found -> leave_out()
		:: else
		fi;
		j++
	:: j < JOBS && (list & BIT(j)) != 0 && !aside[j] ->
		if
		:: first -> d_step { enter(j) }
		:: else -> found = true
		fi;
		if
		:: !found ->
#ifndef BREAK_COPY
			aside[j] = true;
#endif
#ifndef BREAK_MARK
			leave_out()
#else
			skip
#endif
		:: else
		fi;
		j++
	:: j < JOBS && (list & BIT(j)) == 0 -> j++
	:: else -> break
	od;
	j = 0
}

/* Counts those that are listed or in shared memory, but for locked ones. */
inline count()
{
	j = 0;
	do
	:: j < JOBS && ((list | memory) & BIT(j)) != 0 ->
		d_step {
			if
			:: job[j] == READY ->
				/* jobq_uncounted_is_noted() */
				if
				:: (memory & BIT(j)) != 0 || aside[j] -> job[j] = DEAD
				:: else
				fi;
				counted = counted | BIT(j)
			:: job[j] == HELD -> locked = true
			:: else -> counted = counted | BIT(j)
			fi
		};
		j++
	:: j < JOBS && ((list | memory) & BIT(j)) == 0 -> j++
	:: else -> break
	od;
	/* settle(), after the commit */
	j = 0;
	do
	:: j < JOBS && (counted & BIT(j)) != 0 ->
		d_step { own[j] = false; aside[j] = false };
		d_step { leave(j) };
		j++
	:: j < JOBS && (counted & BIT(j)) == 0 ->
		d_step {
			if
			:: (list & BIT(j)) != 0 && own[j] -> own[j] = false; aside[j] = true
			:: else
			fi
		};
		j++
	:: else -> break
	od;
	j = 0
}

/* jobq_attempt_count_run() */
inline run_notes()
{
	d_step { left = left_out; again = false };
	first = !notes_read;
	bad = false;
	list = 0;
	counted = 0;
	locked = false;
	j = 0;
	do
	:: j < JOBS ->
		atomic { read_file(own[j] || aside[j]) };
		bad = bad || failed;
		list = list | (found -> BIT(j) : 0);
		j++
	:: else -> break
	od;
	bad = bad && (first || left);
	if
	:: bad -> unread = true
	:: else
	fi;
#ifdef BREAK_GIVE_UP
	bad = false;
#endif
	if
	:: bad && first -> list = 0
	:: else ->
		first = first || left;
#ifdef BREAK_READ_EARLY
		notes_read = true;
#endif
		share_notes();
#ifdef BREAK_COMPLETE
		found = true;
#else
		found = !bad;
#endif
		d_step {
			if
			:: found && left && !again -> left_out = false
			:: else
			fi
		};
		notes_read = true;
		if
		:: !bad && unread ->
			unread = false;
#ifndef BREAK_LOOK
			want_look = true
#else
			skip
#endif
		:: else
		fi
	fi;
	count();
#ifndef BREAK_AGAIN
	want_notes = want_notes || bad || locked || counted != 0;
#else
	want_notes = want_notes || locked || counted != 0;
#endif
	d_step {
		left = false;
		first = false;
		bad = false;
		list = 0;
		counted = 0;
		locked = false;
		found = false;
		failed = false
	}
}

/* Tasks in this order, when they are due. */
proctype Coordinator()
{
	byte		j = 0;
	bool		left = false;
	byte		list = 0;
	byte		counted = 0;
	bool		first = false;
	bool		bad = false;
	bool		locked = false;
	bool		found = false;
	bool		failed = false;

end:
	do
	:: want_notes || want_look ->
		if
		:: want_notes ->
			want_notes = false;
			if
			:: atomic { errors > 0 -> errors--; want_notes = true }
				/* the task has failed */
			:: run_notes()
			fi
		:: else
		fi;
		if
		:: want_look ->
			want_look = false;
#ifdef BREAK_START
			started = true
#else
			if
			:: notes_read && !unread -> started = true
#ifdef BREAK_LOOK
			:: else
#else
			:: else -> want_look = true
#endif
			fi
#endif
		:: else
		fi
	od
}

/*
 * jobq_uncounted_find() in a session that has not found the attempt in the files of
 * before the start, or in an executor.
 */
inline find_attempt()
{
	some = left_out;
	d_step { found = (memory & BIT(k)) != 0; failed = false };
	if
	:: !found && some -> atomic { read_file(aside[k]) }
	:: else
	fi
}

/* Locks a ready job, if there is one. */
inline lock_one()
{
	k = 0;
	do
	:: k < JOBS && job[k] != READY -> k++
	:: k < JOBS && job[k] == READY ->
		/* it may be another one */
		if
		:: job[k] = HELD; break
		:: k++
		fi
	:: else -> break
	od
}

#define ANY_READY	(job[0] == READY || job[JOBS - 1] == READY || \
					 (JOBS > 2 && job[1] == READY))

proctype Executor()
{
	byte		k = 0;
	bool		some = false;
	bool		found = false;
	bool		failed = false;

end:
	started;
end_wait:
	do
	:: !unread && ANY_READY ->
		atomic { lock_one() };
		if
		:: k < JOBS ->
			find_attempt();
			if
#ifndef BREAK_ATTEMPT
			:: failed ->
				unread = true;
				want_notes = true;
				job[k] = READY
			:: found && !failed -> job[k] = DEAD
			:: !found && !failed ->
#else
			:: found -> job[k] = DEAD
			:: !found ->
#endif
				start(k);
				job[k] = STARTED
			fi
		:: else
		fi;
		d_step { k = 0; some = false; found = false; failed = false }
	od
}

proctype Session()
{
	byte		k = 0;
	byte		claims = CLAIMS;
	byte		i = 0;
	byte		notes = 0;
	bool		have_notes = false;
	bool		some = false;
	bool		found = false;
	bool		failed = false;

	do
	:: claims > 0 && ANY_READY ->
		claims--;
		atomic { lock_one() };
		if
		:: k < JOBS && !notes_read ->
			/* find_unread(); it reads executors' own files once */
			if
			:: !have_notes ->
				i = 0;
				some = false;
				do
				:: i < JOBS ->
					atomic { read_file(own[i]) };
					some = some || failed;
					notes = notes | (found -> BIT(i) : 0);
					i++
				:: else -> break
				od;
				failed = some;
#ifdef BREAK_SESSION
				failed = false;
#endif
				have_notes = !failed;
				notes = (failed -> 0 : notes)
			:: else -> failed = false
			fi;
			found = !failed && (notes & BIT(k)) != 0;
			if
			:: !failed && !found -> atomic { read_file(aside[k]) }
			:: else
			fi;
#ifdef BREAK_SESSION
			failed = false;
#endif
			if
			:: (found || failed) && !notes_read
			:: else -> find_attempt()
			fi
		:: k < JOBS && notes_read -> find_attempt()
		:: else
		fi;
		if
		:: k < JOBS ->
			if
			:: found || failed -> job[k] = READY; want_notes = true
			:: else ->
				start(k);
				job[k] = STARTED
			fi
		:: else
		fi;
		d_step { k = 0; i = 0; some = false; found = false; failed = false }
	:: claims == 0 -> break
	:: claims > 0 -> claims = 0; break
	od
}

init
{
	byte		n = 0;

	atomic {
		do
		:: n < JOBS ->
			own[n] = n < OWN;
			aside[n] = n >= OWN && n < OWN + PUT;
			attempts[n] = (n < OWN + PUT -> 1 : 0);
			n++
		:: else -> break
		od;
		n = 0;
		run Coordinator();
		run Executor();
		run Session()
	}
	timeout;
	assert(!unread && started);
	do
	:: n < JOBS ->
		assert(job[n] == (n < OWN + PUT -> DEAD : STARTED));
		n++
	:: else -> break
	od
}
