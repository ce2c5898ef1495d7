/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  Noticing what jobs do that the end of their transaction undoes, and
 *	  nothing else.
 *
 * IDENTIFICATION
 *	  bgworker/executor/watch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WATCH_H
#define JOBQ_WATCH_H

extern void jobq_watch_set_up(void);

/* From begin to end, whether something was noticed. */
extern void jobq_watch_begin(void);
extern bool jobq_watch_noticed(void);
extern void jobq_watch_end(void);

#endif							/* JOBQ_WATCH_H */
