/*-------------------------------------------------------------------------
 *
 * handler.h
 *	  The functions that users give to queues, kept as text and looked up when
 *	  used.
 *
 * IDENTIFICATION
 *	  src/queue/handler.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HANDLER_H
#define JOBQ_HANDLER_H

typedef enum JobqHandlerArgument
{
	JOBQ_HANDLER_NOTHING,		/* handler() */
	JOBQ_HANDLER_PAYLOAD,		/* handler(jsonb) */
	JOBQ_HANDLER_JOB,			/* handler(jobq.job) */
	JOBQ_HANDLER_PAYLOADS,		/* handler(jsonb[]) */
	JOBQ_HANDLER_JOBS			/* handler(jobq.job[]) */
} JobqHandlerArgument;

typedef struct JobqHandler
{
	Oid			function;
	bool		is_procedure;
	JobqHandlerArgument argument;
	Oid			result_type;
} JobqHandler;

#define jobq_handler_takes_batches(h) \
	((h)->argument == JOBQ_HANDLER_PAYLOADS || \
	 (h)->argument == JOBQ_HANDLER_JOBS)

/* "schema.name(type, ...)", all quoted as needed, palloc'd */
extern char *jobq_function_text(Oid function);

/*
 * The function with this name, or InvalidOid if it does not exist (any more).
 */
extern Oid	jobq_function_lookup(const char *text);

/* Fills *handler; raises 22023 if the function cannot be a handler. */
extern void jobq_handler_describe(Oid function, JobqHandler *handler);

/* The same for payload_check and backoff_function. */
extern void jobq_payload_check_validate(Oid function);
extern void jobq_backoff_function_validate(Oid function);

/*
 * Call these functions as the queue's owner in a restricted security context.
 * They may change any row that the owner may change, so rows read or locked
 * before must be checked again before they are written.
 */
extern char *jobq_payload_check_call(const char *name, Oid owner,
									 Datum payload);

/* Sets *delay, in microseconds (-1: no attempt), or returns an error. */
extern ErrorData *jobq_backoff_function_call(const char *text, Oid owner,
											 int attempt, Datum error,
											 int64 *delay);

#endif							/* JOBQ_HANDLER_H */
