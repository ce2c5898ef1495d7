/*-------------------------------------------------------------------------
 *
 * leftover.c
 *	  What code of a queue's owner has left for the end of another's session.
 *
 * At a normal exit PL/Perl runs the END blocks and destructors of all its
 * interpreters, of all roles.  By then the process has left shared memory:
 * nobody sees it any more, no signal ends it, and the server does not shut down
 * while it runs.  After an error PL/Perl runs none of them.  So a session that
 * has run an owner's code, and has PL/Perl, exits as if it had failed: with exit
 * code 1, which the postmaster treats like 0.
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

	/* each ends with a zero byte; an empty one ends the list */
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
 * as after an error.  The postmaster restarts a background worker with exit
 * code 1, so a worker exits without calling them.
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

/* The process exits. The callback registered last is called first. */
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
