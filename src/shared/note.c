/*-------------------------------------------------------------------------
 *
 * note.c
 *	  What is to be done when the current transaction commits.
 *
 * It is done after the transaction has become visible
 * (ProcArrayEndTransaction), so that woken processes find the rows; that makes
 * NOTIFY, with its lock that serializes commits, unnecessary.  An error there
 * would be a PANIC: notes are allocated when they are added, and carrying them
 * out only touches shared memory and latches.
 *
 * Each note remembers the nesting level of the subtransaction that added it.
 * A subtransaction that rolls back takes its notes along; one that commits
 * leaves them to its parent.
 *
 * IDENTIFICATION
 *	  src/shared/note.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/note.h"

#include "shared/clock.h"
#include "shared/xact_end.h"

#include "utils/memutils.h"

/* Once there are this many, consecutive notes are merged. */
#define MANY_NOTES 64

/*
 * The session keeps room for the notes of its largest transaction so far, up to this
 * number: otherwise a claim of a hundred jobs would copy its notes several times.
 */
#define KEPT_NOTES 256
#define FIRST_NOTES 16

static JobqNote *kept = NULL;	/* in TopMemoryContext */
static int	max_kept = 0;

/* The array in use: kept, or a larger one in TopTransactionContext. */
static JobqNote *notes = NULL;
static int	nnotes = 0;
static int	max_notes = 0;

/* Makes the array that is kept larger. */
static void
grow_kept(int n)
{
	Size		size = n * sizeof(JobqNote);

	kept = kept == NULL ? MemoryContextAlloc(TopMemoryContext, size) :
		repalloc(kept, size);
	max_kept = n;
	notes = kept;
}

/* Goes on in an array that is given up when the transaction ends. */
static void
leave_kept(int n)
{
	notes = MemoryContextAllocHuge(TopTransactionContext, n * sizeof(JobqNote));
	memcpy(notes, kept, nnotes * sizeof(JobqNote));
}

static void
make_room(void)
{
	int			n = Max(2 * max_notes, FIRST_NOTES);

	if (n <= KEPT_NOTES)
		grow_kept(n);
	else if (notes == kept)
		leave_kept(n);
	else
		notes = repalloc_huge(notes, n * sizeof(JobqNote));
	max_notes = n;
}

/*
 * Makes room for one more note, which jobq_note_add_reserved() can then add
 * without failing.  May move the array: pointers to notes become invalid.
 */
void
jobq_note_reserve(void)
{
	if (nnotes == max_notes)
		make_room();
}

/*
 * Adds a note, all zeros, for the current subtransaction.  Room must have been
 * reserved and not been used since.
 */
JobqNote *
jobq_note_add_reserved(const JobqNoteKind *kind)
{
	JobqNote   *note = &notes[nnotes++];

	Assert(nnotes <= max_notes);
	memset(note, 0, sizeof(JobqNote));
	note->kind = kind;
	note->level = GetCurrentTransactionNestLevel();
	return note;
}

/* Adds a note; may raise an error (out of memory). */
JobqNote *
jobq_note_add(const JobqNoteKind *kind)
{
	jobq_note_reserve();
	return jobq_note_add_reserved(kind);
}

/* Whether the transaction has notes. */
bool
jobq_note_any(void)
{
	return nnotes > 0;
}

/* All notes, the oldest first; *n is their number.  Valid until one is added. */
JobqNote *
jobq_note_all(int *n)
{
	*n = nnotes;
	return notes;
}

/* Takes back the latest note, without calling any function of its kind. */
void
jobq_note_drop_last(void)
{
	Assert(nnotes > 0);
	nnotes--;
}

/* Merges consecutive notes of a kind and a level if the kind allows it. */
static bool
merge(JobqNote *note, const JobqNote *next)
{
	return note->kind == next->kind && note->level == next->level &&
		note->kind->merge != NULL && note->kind->merge(note, next);
}

/*
 * Merges the latest note into the one before it if possible: once there are
 * more than MANY_NOTES of them, or always.
 */
void
jobq_note_merge_last(bool always)
{
	if (nnotes > (always ? 1 : MANY_NOTES) &&
		merge(&notes[nnotes - 2], &notes[nnotes - 1]))
		nnotes--;
}

/*
 * Carries out all notes, phase by phase.  Runs in the commit callback, when
 * the transaction is visible: nothing here may fail or allocate.
 */
static void
carry_out(void)
{
	TimestampTz now = jobq_now();

	for (int phase = 0; phase < JOBQ_NOTE_NUM_PHASES; phase++)
	{
		for (int i = 0; i < nnotes; i++)
		{
			if (notes[i].kind->commit[phase] != NULL)
				notes[i].kind->commit[phase] (&notes[i], now);
		}
	}
}

/* A (sub)transaction at this level is rolled back.  The same holds as above. */
static void
forget(int level)
{
	int			first = nnotes;
	TimestampTz now;

	while (first > 0 && notes[first - 1].level >= level)
		first--;
	if (first == nnotes)
		return;
	now = jobq_now();
	for (int phase = 0; phase < JOBQ_NOTE_NUM_PHASES; phase++)
	{
		for (int i = first; i < nnotes; i++)
		{
			if (notes[i].kind->abort[phase] != NULL)
				notes[i].kind->abort[phase] (&notes[i], now);
		}
	}
	nnotes = first;
}

/* Makes marks of all notes, for the session that finishes the transaction. */
static void
mark(void)
{
	for (int i = 0; i < nnotes; i++)
	{
		if (notes[i].kind->mark != NULL)
			notes[i].kind->mark(&notes[i]);
	}
}

/* What is known of the transaction from now on is on disk only. */
static void
leave_to_prepared(void)
{
	for (int i = 0; i < nnotes; i++)
	{
		if (notes[i].kind->prepare != NULL)
			notes[i].kind->prepare(&notes[i]);
	}
}

/*
 * Merges notes with those before them, from the given one on, so that many
 * similar subtransactions do not leave a note each.
 */
static void
merge_from(int first)
{
	int			n = Max(first, 1);

	if (nnotes <= MANY_NOTES)
		return;
	for (int i = n; i < nnotes; i++)
	{
		if (!merge(&notes[n - 1], &notes[i]))
			notes[n++] = notes[i];
	}
	nnotes = n;
}

/* A subtransaction at this level becomes part of its parent. */
static void
hand_up(int level)
{
	int			first = nnotes;

	while (first > 0 && notes[first - 1].level >= level)
		notes[--first].level = level - 1;
	merge_from(first);
}

/*
 * The notes end with the transaction: they are carried out, forgotten, or left
 * to COMMIT PREPARED.  The steps that follow still read them: they stay until the memory
 * of the transaction goes.
 */
static void
at_transaction_end(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (nnotes > 0)
				carry_out();
			break;
		case XACT_EVENT_ABORT:
			forget(1);
			break;
		case XACT_EVENT_PRE_PREPARE:
			mark();
			return;
		case XACT_EVENT_PREPARE:
			leave_to_prepared();
			break;
		default:
			return;
	}
	notes = kept;
	max_notes = max_kept;
	nnotes = 0;
}

/* A subtransaction's notes are forgotten, or become those of its parent. */
static void
at_subtransaction_end(SubXactEvent event, int level)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_up(level);
}

/* Called once, by _PG_init. */
void
jobq_note_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_NOTES,
						 JOBQ_XACT_BEFORE_PREPARE | JOBQ_XACT_AT_END,
						 at_transaction_end, at_subtransaction_end);
}
