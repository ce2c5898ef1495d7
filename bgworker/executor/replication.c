/*-------------------------------------------------------------------------
 *
 * replication.c
 *	  Replication slots, origins and backups that a job leaves behind.
 *
 * The server ties temporary replication slots, the session's replication origin
 * and backup mode to the life of the process, and after an error releases the
 * slot in use only in its own main loop, which an executor does not run.
 *
 * IDENTIFICATION
 *	  bgworker/executor/replication.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/replication.h"

#include "compat.h"

#include "access/xlog.h"
#include "replication/origin.h"
#include "replication/slot.h"

/* There may be a temporary slot. */
static bool slot_may_exist = false;

void
jobq_replication_note_slot(void)
{
	slot_may_exist = true;
}

/*
 * Undoes all but backup mode.  The origin goes before the job's outcome is
 * committed: other jobs may share that commit.  Needs a transaction.
 */
void
jobq_replication_reset(void)
{
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	if (slot_may_exist)
	{
		slot_may_exist = false;
		jobq_replication_slots_cleanup();
	}
	if (replorigin_session_origin != InvalidRepOriginId)
	{
		replorigin_session_origin = InvalidRepOriginId;
		replorigin_session_origin_lsn = InvalidXLogRecPtr;
		replorigin_session_origin_timestamp = 0;
		replorigin_session_reset();
	}
}

bool
jobq_replication_is_backup(void)
{
	return get_backup_status() != SESSION_BACKUP_NONE;
}
