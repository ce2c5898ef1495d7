/*-------------------------------------------------------------------------
 *
 * signals.c
 *	  How the process handles signals, which users' code may change.
 *
 * PL/Perl lets code of trusted functions set handlers, and with "local" leaves
 * the default one, with which the next timeout would kill the process, and with
 * it the server.  So the handlers are checked after such code has run.
 *
 * IDENTIFICATION
 *	  src/base/signals.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/signals.h"

#include "miscadmin.h"

#ifndef WIN32

/* The signals that the server handles or ignores. */
static const int numbers[JOBQ_NUM_SIGNALS] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGPIPE, SIGUSR2,
	SIGFPE, SIGCHLD
};

void
jobq_signals_save(JobqSignals *signals)
{
	for (int i = 0; i < JOBQ_NUM_SIGNALS; i++)
		(void) sigaction(numbers[i], NULL, &signals->actions[i]);
}

static bool
is_same(const struct sigaction *left, const struct sigaction *right)
{
	/* handlers of both kinds are in the same place */
	return left->sa_handler == right->sa_handler &&
		left->sa_flags == right->sa_flags;
}

/*
 * Restores what was saved.  A signal that asks the process to look at something
 * may have arrived meanwhile: it is sent again, which is harmless if there is
 * nothing to see.  Returns whether SIGTERM may have been lost.
 */
bool
jobq_signals_restore(const JobqSignals *signals)
{
	bool		lost = false;

	for (int i = 0; i < JOBQ_NUM_SIGNALS; i++)
	{
		struct sigaction now;

		if (sigaction(numbers[i], NULL, &now) == 0 &&
			is_same(&now, &signals->actions[i]))
			continue;
		(void) sigaction(numbers[i], &signals->actions[i], NULL);
		if (numbers[i] == SIGALRM || numbers[i] == SIGUSR1 ||
			numbers[i] == SIGHUP)
			(void) kill(MyProcPid, numbers[i]);
		if (numbers[i] == SIGTERM)
			lost = true;
	}
	return lost;
}

#else

void
jobq_signals_save(JobqSignals *signals)
{
}

bool
jobq_signals_restore(const JobqSignals *signals)
{
	return false;
}

#endif							/* WIN32 */
