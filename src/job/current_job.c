/*-------------------------------------------------------------------------
 *
 * current_job.c
 *	  What a job in an executor can learn about itself and decide about its
 *	  end.
 *
 * IDENTIFICATION
 *	  src/job/current_job.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/current_job.h"

#include "base/arguments.h"
#include "base/sandbox.h"
#include "base/sandbox_rules.h"
#include "compat.h"
#include "jobq.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(jobq_current_job);
PG_FUNCTION_INFO_V1(jobq_retry_in);
PG_FUNCTION_INFO_V1(jobq_discard);
PG_FUNCTION_INFO_V1(jobq_snooze);

/* What a job has requested by an error that it may have caught. */
typedef struct Wish
{
	int			sqlerrcode;		/* 0: nothing */
	char	   *message;		/* without white space at its end */
} Wish;

static const JobqJob *current_job = NULL;
static int64 current_id = 0;
static const JobqJob *current_batch = NULL; /* if it is one of several */
static int	current_batch_length = 0;
static const JobqQueue *current_queue = NULL;
static MemoryContext current_context = NULL;
static Datum current_row = (Datum) 0;
static int64 asked_delay = -1;	/* -1: none */
static int	asked_by = 0;		/* the SQLSTATE of the request for it */
static Wish wish = {0, NULL};

/* retry_in(), discard() or snooze() is about to raise its error. */
static bool raising = false;

/* Ignore an error of another role's code, which the job has not raised. */
static void
forget_wish(void)
{
	wish.sqlerrcode = 0;
}

/*
 * Called when a job's own code begins.  Job and queue must not change before
 * the first call of jobq_current_job_row(), which copies them.
 */
void
jobq_current_job_begin(const JobqJob *job, const JobqQueue *queue,
					   MemoryContext context)
{
	current_job = job;
	current_id = job->id;
	current_queue = queue;
	current_context = context;
	current_row = (Datum) 0;
	asked_delay = -1;
	asked_by = 0;
	wish.sqlerrcode = 0;
	wish.message = NULL;
	raising = false;
	jobq_sandbox_at_error(forget_wish);
}

void
jobq_current_job_begin_batch(const JobqJob *jobs, int njobs,
							 const JobqQueue *queue, MemoryContext context)
{
	jobq_current_job_begin(&jobs[0], queue, context);
	current_batch = jobs;
	current_batch_length = njobs;
}

void
jobq_current_job_end(void)
{
	current_job = NULL;
	current_id = 0;
	current_batch = NULL;
	current_queue = NULL;
	current_context = NULL;
	current_row = (Datum) 0;
}

bool
jobq_current_job_is(int64 id)
{
	if (current_id == id || current_batch == NULL)
		return current_id == id;
	for (int i = 1; i < current_batch_length; i++)
	{
		if (current_batch[i].id == id)
			return true;
	}
	return false;
}

const JobqJob *
jobq_current_job_batch(int *njobs)
{
	*njobs = current_batch_length;
	return current_batch;
}

MemoryContext
jobq_current_job_context(void)
{
	return current_context;
}

/* The type jobq.job. */
static Oid
job_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("job"),
						   ObjectIdGetDatum(get_namespace_oid(JOBQ_SCHEMA,
															  false)));
}

/* A job as a datum of type jobq.job, in the context of the current one. */
static Datum
form_row(const JobqJob *job)
{
	MemoryContext oldcontext;
	TupleDesc	desc = lookup_rowtype_tupdesc(job_type(), -1);
	Datum		values[Natts_jobrow];
	bool		nulls[Natts_jobrow];
	Datum		result;

	if (desc->natts != Natts_jobrow)
		elog(ERROR, "type %s.job has %d columns", JOBQ_SCHEMA, desc->natts);
	oldcontext = MemoryContextSwitchTo(current_context);
	jobq_job_form_row(job, current_queue, values, nulls);
	result = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	MemoryContextSwitchTo(oldcontext);
	ReleaseTupleDesc(desc);
	return result;
}

Datum
jobq_current_job_row(void)
{
	if (current_job != NULL && current_row == (Datum) 0)
		current_row = form_row(current_job);
	return current_row;
}

Datum
jobq_current_job_batch_rows(void)
{
	Datum	   *rows = palloc(current_batch_length * sizeof(Datum));

	for (int i = 0; i < current_batch_length; i++)
		rows[i] = form_row(&current_batch[i]);
	return PointerGetDatum(construct_array(rows, current_batch_length,
										   job_type(), -1, false,
										   TYPALIGN_DOUBLE));
}

int64
jobq_current_job_delay(int sqlerrcode)
{
	return sqlerrcode == asked_by ? asked_delay : -1;
}

static bool
is_word_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

/* Finds a text in another one, except as part of a word. */
static const char *
find_words(const char *text, const char *words)
{
	size_t		length = strlen(words);

	for (const char *at = strstr(text, words); at != NULL;
		 at = strstr(at + 1, words))
	{
		if ((at == text ||!is_word_character(at[-1]) ||
			 !is_word_character(at[0])) &&
			(!is_word_character(at[length - 1]) ||
			 !is_word_character(at[length])))
			return at;
	}
	return NULL;
}

/*
 * Whether an SQLSTATE only says that code in some procedural language has
 * failed.
 */
static bool
is_language_error(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_EXTERNAL_ROUTINE_EXCEPTION ||
		category == ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION ||
		sqlerrcode == ERRCODE_INTERNAL_ERROR;
}

/*
 * Called while the job's code runs, for each error and message when it is
 * raised.  One by code of another role is not about the job: its SQLSTATE JQ1xx
 * becomes P0001, and an error of some language is not what the job has asked
 * for before.  Nor is one that a parallel worker passes on, with interrupts
 * held: nobody knows whose code has raised it.  Looks nothing up, since the
 * transaction may have failed.
 */
void
jobq_current_job_check_error(void)
{
	bool		of_function = raising;
	int			sqlerrcode = geterrcode();

	raising = false;
	if (of_function ||
		(GetUserId() == GetSessionUserId() &&
		 !InSecurityRestrictedOperation() && InterruptHoldoffCount == 0))
		return;
	if (jobq_is_job_control(sqlerrcode))
		errcode(ERRCODE_RAISE_EXCEPTION);
	else if (is_language_error(sqlerrcode))
		forget_wish();
}

/* Whether a function of C has raised an error. */
static bool
is_raised_by(const ErrorData *error, const char *function)
{
	return error->funcname != NULL && strcmp(error->funcname, function) == 0;
}

/*
 * Finds out whether the error that ended the job's code is a request.
 *
 * PL/Perl, PL/Tcl and others turn errors of the SQL that they run into errors
 * of their own, which contain the original message.  If the error contains that
 * message, it is the job's request; if the job caught its error and failed in
 * another way, it is not.  PL/pgSQL raises errors unchanged, and its RAISE may
 * name the SQLSTATE of a request; another error with such an SQLSTATE, as one
 * that dblink has received from another server, is not meant.
 */
void
jobq_current_job_recognize(ErrorData *error)
{
	bool		control = jobq_is_job_control(error->sqlerrcode);
	const char *at = NULL;

	if (is_raised_by(error, "exec_stmt_raise") ||
		is_raised_by(error, "raise_wish") ||
		!(control || is_language_error(error->sqlerrcode)))
		return;
	if (wish.sqlerrcode != 0 && error->message != NULL &&
		(!control || error->sqlerrcode == wish.sqlerrcode))
		at = find_words(error->message, wish.message);
	if (at != NULL)
	{
		error->sqlerrcode = wish.sqlerrcode;
		if (at == error->message)
			error->message = wish.message;
	}
	else if (control)
		error->sqlerrcode = ERRCODE_RAISE_EXCEPTION;
}

/*
 * Whether the running job belongs to the current user.  Code of other users
 * that it calls, such as a SECURITY DEFINER function or the payload_check of a
 * queue that it enqueues into, may not decide about it.
 */
static bool
is_mine(void)
{
	return !InSecurityRestrictedOperation() &&
		has_privs_of_role(GetUserId(), GetSessionUserId());
}

/* See current_job.h. */
void
jobq_current_job_check_mine(const char *function)
{
	jobq_refuse_if_restricted(function);
	if (current_job != NULL && !is_mine())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the current job"),
				 errdetail("It runs as role \"%s\", and %s was called as role \"%s\".",
						   GetUserNameFromId(GetSessionUserId(), false),
						   function,
						   GetUserNameFromId(GetUserId(), false))));
}

/*
 * current_job(): NULL outside a background worker's job, and in a batch, whose
 * handler is given its jobs.
 */
Datum
jobq_current_job(PG_FUNCTION_ARGS)
{
	Datum		row;

	if (current_job == NULL || current_batch != NULL || !is_mine())
		PG_RETURN_NULL();
	row = jobq_current_job_row();
	if (row == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(row);
}

/* The optional message, cut to a sensible length. */
static char *
message_argument(FunctionCallInfo fcinfo, int argno, const char *by_default)
{
	char	   *message;

	if (PG_ARGISNULL(argno))
		return pstrdup(by_default);
	message = text_to_cstring(PG_GETARG_TEXT_PP(argno));
	return message[0] == '\0' ? pstrdup(by_default) : message;
}

/* Raises the error that says what should happen to the job. */
static void
raise_wish(int sqlerrcode, const char *message)
{
	if (current_id != 0)
	{
		int			length = strlen(message);

		while (length > 1 && isspace((unsigned char) message[length - 1]))
			length--;
		if (wish.message != NULL)
			pfree(wish.message);
		wish.message = NULL;
		wish.sqlerrcode = 0;
		wish.message = MemoryContextAlloc(current_context, length + 1);
		strlcpy(wish.message, message, length + 1);
		wish.sqlerrcode = sqlerrcode;
		raising = true;
	}
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg_internal("%s", message),
			 current_id != 0 ? 0 :
			 errhint("Only a job that a background worker is running can call this.")));
}

/* retry_in(delay, message): raises JQ101. */
Datum
jobq_retry_in(PG_FUNCTION_ARGS)
{
	int64		delay = PG_ARGISNULL(0) ? -1 :
	jobq_duration_argument(fcinfo, 0, "delay", true);
	char	   *message = message_argument(fcinfo, 1,
										   "the job asked to be retried");

	jobq_current_job_check_mine("jobq.retry_in()");
	asked_delay = delay;
	asked_by = ERRCODE_JOBQ_RETRY_IN;
	raise_wish(ERRCODE_JOBQ_RETRY_IN, message);
	PG_RETURN_VOID();			/* keep compiler quiet */
}

/* discard(message): raises JQ102. */
Datum
jobq_discard(PG_FUNCTION_ARGS)
{
	char	   *message = message_argument(fcinfo, 0,
										   "the job asked not to be retried");

	jobq_current_job_check_mine("jobq.discard()");
	raise_wish(ERRCODE_JOBQ_DISCARD, message);
	PG_RETURN_VOID();			/* keep compiler quiet */
}

/* snooze(delay, message): raises JQ103. */
Datum
jobq_snooze(PG_FUNCTION_ARGS)
{
	int64		delay;
	char	   *message = message_argument(fcinfo, 1,
										   "the job asked to be run later");

	jobq_require_argument(fcinfo, 0, "delay");
	delay = jobq_duration_argument(fcinfo, 0, "delay", true);
	jobq_current_job_check_mine("jobq.snooze()");
	asked_delay = delay;
	asked_by = ERRCODE_JOBQ_SNOOZE;
	raise_wish(ERRCODE_JOBQ_SNOOZE, message);
	PG_RETURN_VOID();			/* keep compiler quiet */
}
