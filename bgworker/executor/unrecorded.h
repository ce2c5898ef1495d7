/*-------------------------------------------------------------------------
 *
 * unrecorded.h
 *	  What to do while outcomes of jobs cannot be recorded.
 *
 * IDENTIFICATION
 *	  bgworker/executor/unrecorded.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_UNRECORDED_H
#define JOBQ_UNRECORDED_H

extern void jobq_unrecorded_note(int sqlerrcode);
extern void jobq_unrecorded_note_file(void);
extern bool jobq_unrecorded_is_noted(void);
extern bool jobq_unrecorded_try(void);

#endif							/* JOBQ_UNRECORDED_H */
