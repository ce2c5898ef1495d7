/*-------------------------------------------------------------------------
 *
 * note.h
 *	  What is to be done when the current transaction commits.
 *
 * Modules note it while the transaction runs (memory is allocated then), and
 * it is carried out when the transaction has become visible, which cannot
 * fail.  What a rolled back savepoint has noted is forgotten.  PREPARE
 * TRANSACTION makes marks of the notes (mark.h), and forgets them.
 *
 * IDENTIFICATION
 *	  src/shared/note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_NOTE_H
#define JOBQ_NOTE_H

#include "datatype/timestamp.h"

/*
 * Phases of a commit, or rollback.  All notes go through one before the next
 * begins.
 */
typedef enum JobqNotePhase
{
	JOBQ_NOTE_LANES,			/* where jobs are, so that the workers woken
								 * later find them */
	JOBQ_NOTE_LEASES,			/* which jobs are held */
	JOBQ_NOTE_TICKETS,			/* how many jobs are running */
	JOBQ_NOTE_WAKES,			/* who is woken */
	JOBQ_NOTE_NUM_PHASES
} JobqNotePhase;

#define JOBQ_NOTE_SIZE 128

typedef struct JobqNote
{
	const struct JobqNoteKind *kind;
	int			level;			/* of the (sub)transaction, from 1 */
	union
	{
		char		bytes[JOBQ_NOTE_SIZE];
		int64		align;
	}			data;
} JobqNote;

/*
 * What becomes of notes of a kind; each function may be NULL.  None may fail
 * or allocate, but for mark, and merge, which is called while the transaction
 * runs, too.
 */
typedef struct JobqNoteKind
{
	void		(*commit[JOBQ_NOTE_NUM_PHASES]) (const JobqNote *note,
												 TimestampTz now);

	/* it is forgotten, since its (sub)transaction is rolled back */
	void		(*abort[JOBQ_NOTE_NUM_PHASES]) (const JobqNote *note,
												TimestampTz now);

	/* the transaction is about to be prepared; this one may raise an error */
	void		(*mark) (const JobqNote *note);

	/* it is forgotten, since the transaction is prepared */
	void		(*prepare) (const JobqNote *note);

	/*
	 * Merges two consecutive notes of the kind and level; false if they must
	 * stay apart.
	 */
	bool		(*merge) (JobqNote *note, const JobqNote *next);
} JobqNoteKind;

/* The module's own part of a note, JOBQ_NOTE_SIZE bytes at most. */
#define jobq_note_data(note, type) \
	(StaticAssertExpr(sizeof(type) <= JOBQ_NOTE_SIZE, "note is too large"), \
	 (type *) (note)->data.bytes)
#define jobq_note_const_data(note, type) \
	((const type *) (note)->data.bytes)

/*
 * Adds a note of the current (sub)transaction, all zeros; valid until the next
 * one is added.  After jobq_note_reserve(), jobq_note_add_reserved() can add
 * one without failing.
 */
extern JobqNote *jobq_note_add(const JobqNoteKind *kind);
extern void jobq_note_reserve(void);
extern JobqNote *jobq_note_add_reserved(const JobqNoteKind *kind);

/* Whether there are any. */
extern bool jobq_note_any(void);

/* All notes, the oldest first.  Kinds may change their own parts of them. */
extern JobqNote *jobq_note_all(int *n);

/* Takes the latest one back. */
extern void jobq_note_drop_last(void);

/* The latest two become one if they can, once there are many, or `always`. */
extern void jobq_note_merge_last(bool always);

extern void jobq_note_init(void);

#endif							/* JOBQ_NOTE_H */
