/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  Noticing effects of jobs that only the end of their transaction undoes.
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
