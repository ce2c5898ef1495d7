/*-------------------------------------------------------------------------
 *
 * signals.h
 *	  How the process handles signals, which users' code may change.
 *
 * IDENTIFICATION
 *	  src/base/signals.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SIGNALS_H
#define JOBQ_SIGNALS_H

#include <signal.h>

#define JOBQ_NUM_SIGNALS 10

typedef struct JobqSignals
{
#ifndef WIN32
	struct sigaction actions[JOBQ_NUM_SIGNALS];
#endif
} JobqSignals;

/* These neither throw nor allocate. */
extern void jobq_signals_save(JobqSignals *signals);
extern bool jobq_signals_restore(const JobqSignals *signals);

#endif							/* JOBQ_SIGNALS_H */
