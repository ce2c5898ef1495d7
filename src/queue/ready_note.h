/*-------------------------------------------------------------------------
 *
 * ready_note.h
 *	  What a note of ready or locked jobs says: their queue, place and group.
 *
 * IDENTIFICATION
 *	  src/queue/ready_note.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_READY_NOTE_H
#define JOBQ_READY_NOTE_H

#include "queue/ready_end.h"

/*
 * Gets memory for a note, and for the name of its jobs' group (NULL: none), unless the
 * latest note has that name, which is often so.
 */
extern void jobq_ready_reserve(const char *group);

/* The name for the next note; jobq_ready_reserve() has been called. */
extern const char *jobq_ready_note_use_name(const char *group);

/* The name of a note that was taken back is used again, unless the latest one has it. */
extern void jobq_ready_note_return_name(const char *name);

/* The group of the latest note, if that is of jobs; NULL: none. */
extern const char *jobq_ready_note_latest_group(void);

/* Fills in what a note says of its queue, for one job. */
extern void jobq_ready_note_describe(JobqReadyNote *note, const JobqQueue *queue);

/* Fills in where the note's jobs are; `group` is its own copy of the name. */
extern void jobq_ready_note_set_place(JobqReadyNote *note, const JobqPlace *place,
									  const char *group);

/*
 * Merges two notes about jobs of one group and priority.  Jobs settled at an inner level
 * may have to be separated again and are not merged.
 */
extern bool jobq_ready_note_merge(JobqNote *note, const JobqNote *next);

/* The end of the transaction. */
extern void jobq_ready_note_end(void);

#endif							/* JOBQ_READY_NOTE_H */
