/*-------------------------------------------------------------------------
 *
 * jobq.c
 *	  Loading of the library.
 *
 * Where it is not preloaded there are no settings, and the functions that need
 * shared memory raise an error that says what to do.
 *
 * IDENTIFICATION
 *	  src/jobq.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "async_commit.h"
#include "guc.h"
#include "hooks.h"
#include "jobq.h"
#include "sandbox_planner.h"
#include "shmem.h"
#include "xact.h"

#include "../bgworker/bgworker.h"

#include "miscadmin.h"

JOBQ_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (IsBinaryUpgrade)
		return;
	if (process_shared_preload_libraries_in_progress)
	{
		jobq_guc_init();
		jobq_shmem_init();
		jobq_hooks_init();
		jobq_sandbox_planner_set_up();
		jobq_launcher_register();
		jobq_xact_init();
		jobq_async_commit_init();
	}
}
