/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Loading of the library.
 *
 * Where it is not preloaded there are no settings, and the functions that need
 * shared memory raise an error that says what to do.
 *
 * IDENTIFICATION
 *	  src/load.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "jobq.h"

#include "base/sandbox_planner.h"
#include "base/timezone.h"
#include "bgworker/bgworker.h"
#include "compat.h"
#include "dispatch/make_room.h"
#include "dispatch/oldest.h"
#include "guc.h"
#include "job/on_dead.h"
#include "job/uncounted.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_wake.h"
#include "queue/ready.h"
#include "queue/ticket.h"
#include "schedule/schedule_history.h"
#include "service/hooks.h"
#include "service/prepared.h"
#include "shared/async_commit.h"
#include "shared/catalog_change.h"
#include "shared/note.h"
#include "shared/queue_change.h"
#include "shared/startup.h"
#include "shared/unfinished.h"
#include "shared/xact_end.h"

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
		jobq_guc_init(jobq_timezone_check_setting);
		jobq_startup_init();

		jobq_xact_end_init();
		jobq_note_init();
		jobq_unfinished_init();
		jobq_async_commit_init();
		jobq_catalog_change_init();
		jobq_queue_change_init();
		jobq_queue_cache_init();
		jobq_queue_list_init();
		jobq_queue_wake_init();
		jobq_ready_init();
		jobq_ticket_init();
		jobq_on_dead_init();
		jobq_uncounted_init();
		jobq_make_room_init();
		jobq_oldest_init();
		jobq_schedule_history_init();

		jobq_prepared_init();
		jobq_hooks_init();
		jobq_sandbox_planner_set_up();
		jobq_launcher_register();
	}
}
