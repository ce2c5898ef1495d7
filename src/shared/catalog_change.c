/*-------------------------------------------------------------------------
 *
 * catalog_change.c
 *	  What a transaction has changed in the catalogs is known to the others
 *	  before the jobs that it tells of.
 *
 * A commit calls the callbacks of extensions when the transaction has become
 * visible, but before it sends its invalidation messages.  A worker or a
 * session in wait() that is told of a job in between, or finds it in shared
 * memory, would run the old body of a handler that was replaced together with
 * the enqueue, or go on with a right that was revoked with it.  So a commit
 * that has notes sends the messages itself; that the server sends them once
 * more does no harm.
 *
 * COMMIT PREPARED needs nothing: the server has sent the messages when its own
 * transaction ends, which is when the marks are acted upon.
 *
 * IDENTIFICATION
 *	  src/shared/catalog_change.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/catalog_change.h"
#include "shared/note.h"
#include "shared/xact_end.h"
#include "storage/sinval.h"
#include "utils/inval.h"

/* Those of the transaction that is being committed, in its own memory. */
static SharedInvalidationMessage *messages;
static int	nmessages = 0;

static void
at_transaction_end(XactEvent event)
{
	bool		init_file;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (jobq_note_any())
				nmessages = xactGetCommittedInvalidationMessages(&messages,
																 &init_file);
			return;
		case XACT_EVENT_COMMIT:
			if (nmessages > 0)
				SendSharedInvalidMessages(messages, nmessages);
			break;
		case XACT_EVENT_ABORT:
			break;
		default:
			return;
	}
	nmessages = 0;
}

/* Called once, by _PG_init. */
void
jobq_catalog_change_init(void)
{
	jobq_xact_end_follow(JOBQ_XACT_CATALOG_CHANGES,
						 JOBQ_XACT_BEFORE_COMMIT | JOBQ_XACT_AT_END,
						 at_transaction_end, NULL);
}
