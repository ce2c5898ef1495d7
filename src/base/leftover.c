/*-------------------------------------------------------------------------
 *
 * leftover.c
 *	  What code of a queue's owner has left for the end of another's session.
 *
 * At an orderly exit PL/Perl runs the END blocks and destructors of all its
 * interpreters, whoever they are of.  The process has left shared memory then:
 * nobody sees it any more, no signal ends it, and the server does not shut down
 * as long as it runs.  After an error PL/Perl runs none.  So a session in which
 * an owner's code has been, and which has PL/Perl, leaves as one that ends in an
 * error: with exit code 1, which the postmaster takes for as orderly as 0.
 *
 * IDENTIFICATION
 *	  src/base/leftover.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/leftover.h"

#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* How the files of PL/Perl and its relatives begin. */
#define LIBRARY "plperl"

/* Whether the process has loaded a library with END blocks. */
static bool
has_perl(void)
{
	Size		size = EstimateLibraryStateSpace();
	char	   *names = palloc0(size);

	/* each with a zero byte, and an empty one behind them */
	SerializeLibraryState(size, names);
	for (const char *name = names; name[0] != '\0'; name += strlen(name) + 1)
	{
		const char *file = last_dir_separator(name);

		file = file != NULL ? file + 1 : name;
		if (strncmp(file, LIBRARY, strlen(LIBRARY)) == 0)
			return true;
	}
	return false;
}

/*
 * The first of the callbacks at the exit of the process: has the others called
 * as after an error.  To the postmaster exit code 1 of a background worker is a
 * reason to start it again, so that one leaves without calling them.
 */
static void
skip_end_blocks(int code, Datum arg)
{
	if (code != 0)
		return;
	if (MyBackendType != B_BACKEND)
		_exit(code);
	proc_exit(1);
}

/* The process exits.  What is registered last is called first. */
static void
at_exit(int code, Datum arg)
{
	if (code == 0 && has_perl())
		on_proc_exit(skip_end_blocks, (Datum) 0);
}

/* Called once, before an owner's code runs. */
void
jobq_leftover_watch(void)
{
	before_shmem_exit(at_exit, (Datum) 0);
}
