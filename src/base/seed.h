/*-------------------------------------------------------------------------
 *
 * seed.h
 *	  Noticing that the seed of random() is set.
 *
 * IDENTIFICATION
 *	  src/base/seed.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SEED_H
#define JOBQ_SEED_H

/*
 * From now on, for the rest of the process's life, setting the seed is
 * noticed, and raises 42501 while refused() is true.
 */
extern void jobq_seed_watch(bool (*refused) (void));

/*
 * setseed() may be called.  This is never forgotten, because an expression
 * that is ready can run again unnoticed.
 */
extern void jobq_seed_note(void);

/* Whether the seed was set, or may have been set, ever. */
extern bool jobq_seed_was_set(void);

#endif							/* JOBQ_SEED_H */
