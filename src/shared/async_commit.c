/*-------------------------------------------------------------------------
 *
 * async_commit.c
 *	  Transactions that only claim jobs, or only finish jobs of queues that
 *	  allow it, commit without waiting for the disk.
 *
 * If a claim is lost in a crash of the server, its job is ready again, as it would
 * be anyway when the lease runs out; its lease is never given out again
 * (lease_number.c).  So the commit need not wait for a flush.  The worker's own
 * writes, and the completion, come later in the WAL: once they are on disk, so is
 * the claim.
 *
 * The rule is strict: every WAL record that this transaction has written must
 * be of such work.  XactLastRecEnd is the end of the last record that this backend
 * wrote in the transaction (0: none).  It must not move between the end of one piece
 * of such work and the beginning of the next one, or the commit.  Anything else that
 * writes, such as a user's INSERT, a deferred trigger or the pruning of a page, makes
 * the commit wait as usual.
 *
 * The claim of a job's last attempt always waits, even if the user has turned
 * synchronous_commit off: the attempt of a lost claim is not counted, and a job with a
 * single attempt would be tried twice.
 *
 * Callbacks of other extensions may write WAL after the one here, so the
 * number of records is checked again after the commit; if there are more
 * than the commit's own, the WAL is flushed then.
 *
 * IDENTIFICATION
 *	  src/shared/async_commit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/async_commit.h"

#include "shared/xact_end.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/instrument.h"

/* All WAL of the transaction up to `end` is from work that may be lost. */
static bool harmless = false;
static XLogRecPtr end = InvalidXLogRecPtr;

/* Between begin and end. */
static bool at_work = false;
static bool forbidden = false;

/* The transaction must be on disk when its commit returns. */
static bool insisting = false;

/* The setting is changed, from that value. */
static bool is_set = false;
static int	set_before;

/* The current commit does not wait; this many records had been written. */
static bool committing = false;
static int64 records = 0;

void
jobq_async_commit_begin(bool allowed)
{
	forbidden = !allowed || XactLastRecEnd != end;
	at_work = true;
}

void
jobq_async_commit_end(void)
{
	if (!at_work)
		return;
	at_work = false;
	harmless = !forbidden;
	if (harmless)
		end = XactLastRecEnd;
}

void
jobq_async_commit_forbid(void)
{
	forbidden = true;
}

void
jobq_async_commit_insist(void)
{
	forbidden = true;
	insisting = true;
}

/* Whether the current commit need not wait. */
static bool
need_not_wait(void)
{
	return harmless && !at_work && !insisting && end != InvalidXLogRecPtr &&
		XactLastRecEnd == end &&
		synchronous_commit > SYNCHRONOUS_COMMIT_OFF;
}

/*
 * Changes the setting until the commit has been written.  Only the commit reads it
 * in between.  To set it as SET LOCAL does would make the end of the transaction go
 * through all settings of the server, in PostgreSQL 15.
 */
static void
set_synchronous_commit(int value)
{
	Assert(!is_set);
	set_before = synchronous_commit;
	synchronous_commit = value;
	is_set = true;
}

static void
reset_synchronous_commit(void)
{
	if (is_set)
		synchronous_commit = set_before;
	is_set = false;
}

static void
at_transaction_end(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (need_not_wait())
			{
				set_synchronous_commit(SYNCHRONOUS_COMMIT_OFF);
				records = pgWalUsage.wal_records;
				committing = true;
			}
			else if (insisting &&
					 synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
				set_synchronous_commit(SYNCHRONOUS_COMMIT_LOCAL_FLUSH);
			return;
		case XACT_EVENT_COMMIT:
			if (committing && pgWalUsage.wal_records > records + 1)
				XLogFlush(XactLastCommitEnd);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	reset_synchronous_commit();
	harmless = false;
	end = InvalidXLogRecPtr;
	at_work = false;
	committing = false;
	insisting = false;
}

/* Called once, by _PG_init. */
void
jobq_async_commit_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_ASYNC_COMMIT,
						 JOBQ_XACT_BEFORE_COMMIT | JOBQ_XACT_AT_END,
						 at_transaction_end, NULL);
}
