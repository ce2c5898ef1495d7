/*-------------------------------------------------------------------------
 *
 * call.h
 *	  Running the code of a job: its queue's handler, or its command.
 *
 * IDENTIFICATION
 *	  bgworker/executor/call.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CALL_H
#define JOBQ_CALL_H

/*
 * What to run.  Strings and payload belong to the caller, which must keep them
 * until the end.
 */
typedef struct JobqCall
{
	int32		queue;
	const char *handler;		/* NULL: */
	const char *command;
	NullableDatum payload;		/* null: of a command without params */
	bool		is_batch;		/* the handler is given the current batch */
} JobqCall;

extern bool jobq_call_needs_top_level(const JobqCall *call);

/* In a transaction.  The result, jsonb, is allocated in the context. */
extern bool jobq_call_in_transaction(const JobqCall *call,
									 MemoryContext context, Datum *result);

/* Outside any; begins and ends transactions. */
extern void jobq_call_at_top_level(const JobqCall *call,
								   MemoryContext context);

#endif							/* JOBQ_CALL_H */
