/*-------------------------------------------------------------------------
 *
 * role.c
 *	  Whether an executor's role may still connect.
 *
 * An executor lives on when its role loses LOGIN or CONNECT, or is dropped.
 * It runs no other job then, just as no executor would be started.
 *
 * IDENTIFICATION
 *	  bgworker/executor/role.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/role.h"

#include "queue/queue.h"

#include "utils/inval.h"
#include "utils/syscache.h"

static Oid	worker_role = InvalidOid;

/* Number of changes of roles and databases, and at which the role was checked. */
static uint32 changes = 1;
static uint32 checked_at = 0;

/* Invalidation callback. */
static void
note_change(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

void
jobq_role_set_up(Oid role)
{
	worker_role = role;
	CacheRegisterSyscacheCallback(AUTHOID, note_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, note_change, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, note_change, (Datum) 0);
}

/*
 * Whether the role may not connect any more.  The start of the transaction has
 * received what others have committed.  Costs nothing unless roles or databases
 * have changed.
 */
bool
jobq_role_is_shut_out(void)
{
	uint32		before = changes;

	if (checked_at == before)
		return false;
	if (jobq_queue_owner_problem(worker_role) != NULL)
		return true;
	checked_at = before;
	return false;
}
