/*-------------------------------------------------------------------------
 *
 * channel.c
 *	  The NOTIFY channels on which queues announce jobs.
 *
 * IDENTIFICATION
 *	  src/queue/channel.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/channel.h"

#include "base/arguments.h"
#include "base/sandbox_rules.h"
#include "compat.h"
#include "queue/queue.h"
#include "queue/queue_cache.h"
#include "queue/queue_row.h"
#include "shared/database.h"

#include "commands/async.h"
#include "common/md5.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define CHANNEL_PREFIX "jobq."
#define MD5_HEX_LENGTH 32

PG_FUNCTION_INFO_V1(jobq_channel);
PG_FUNCTION_INFO_V1(jobq_listen);
PG_FUNCTION_INFO_V1(jobq_unlisten);

char *
jobq_channel_name(const char *queue)
{
	const int	prefix_len = strlen(CHANNEL_PREFIX);
	int			len = strlen(queue);
	char		md5[MD5_HEX_LENGTH + 1];
	const char *error = NULL;

	if (prefix_len + len < NAMEDATALEN)
		return psprintf("%s%s", CHANNEL_PREFIX, queue);

	/* too long: as much as fits, and a checksum of the full name */
	if (!pg_md5_hash(queue, len, md5, &error))
		elog(ERROR, "could not compute MD5 hash: %s", error);
	len = pg_mbcliplen(queue, len,
					   NAMEDATALEN - 1 - prefix_len - 1 - MD5_HEX_LENGTH);
	return psprintf("%s%.*s.%s", CHANNEL_PREFIX, len, queue, md5);
}

/*
 * channel(queue): raises 42704 if there is no such queue or the user has no
 * privilege on it, so as not to reveal which queues exist.
 */
Datum
jobq_channel(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");
	const JobqQueue *queue;

	jobq_require_shmem();
	queue = jobq_queue_find(name);
	if (queue == NULL || !jobq_queue_allows(queue, GetUserId(), ~0))
		jobq_queue_report_missing(name, JOBQ_PRIV_CONSUME);
	PG_RETURN_TEXT_P(cstring_to_text(jobq_channel_name(name)));
}

/* listen(queue): needs the privilege to consume. */
Datum
jobq_listen(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");

	jobq_require_shmem();
	PreventCommandIfParallelMode("jobq.listen()");
	jobq_require_primary("jobq.listen()");
	(void) jobq_queue_require(name, JOBQ_PRIV_CONSUME);
	jobq_refuse_if_restricted("LISTEN");
	Async_Listen(jobq_channel_name(name));
	PG_RETURN_VOID();
}

/* unlisten(queue): works when the queue or the privilege is gone, too. */
Datum
jobq_unlisten(PG_FUNCTION_ARGS)
{
	char	   *name = jobq_required_string(fcinfo, 0, "queue");

	PreventCommandIfParallelMode("jobq.unlisten()");
	jobq_refuse_if_restricted("UNLISTEN");
	Async_Unlisten(jobq_channel_name(name));
	PG_RETURN_VOID();
}
