/*-------------------------------------------------------------------------
 *
 * sandbox.c
 *	  Code of a queue's owner in the session of another role.
 *
 * Payload checks are called in the session that enqueues, backoff functions in
 * the one that fails a job.  They run as the queue's owner in a
 * security-restricted operation, as the functions of an index do, so that
 * nothing they do to the session outlives them.  Beyond what the server
 * hides, they find nothing of their caller's: no open cursors, and no query
 * texts, neither by current_query() nor in an error's context.
 * sandbox_rules.c says what they may not call; docs/internals.md has a table
 * of everything that a session has.
 *
 * IDENTIFICATION
 *	  src/base/sandbox.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/sandbox.h"

#include "base/portals.h"
#include "base/rights.h"
#include "base/sandbox_planner.h"
#include "base/sandbox_rules.h"
#include "base/signals.h"
#include "jobq.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* See jobq_sandbox_at_error(). */
static void (*at_error) (void) = NULL;

/* What is saved while it runs. */
typedef struct Sandbox
{
	JobqSignals signals;
	Oid			userid;
	int			sec_context;
	int			guc_nest_level;
	bool		snapshot;
	List	   *portals;
	const char *query;
} Sandbox;

/*
 * Begins with what the end of the (sub)transaction undoes after an error; once
 * the portals are hidden, nothing may fail.
 */
static void
enter(Sandbox *sandbox, Oid owner)
{
	GetUserIdAndSecContext(&sandbox->userid, &sandbox->sec_context);
	sandbox->guc_nest_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, sandbox->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	jobq_pin_search_path();
	sandbox->snapshot = !ActiveSnapshotSet();
	if (sandbox->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());

	jobq_signals_save(&sandbox->signals);
	jobq_sandbox_rules_set_up();
	sandbox->portals = jobq_portals_hide();
	sandbox->query = debug_query_string;
	debug_query_string = NULL;
	jobq_sandbox_rules_begin();
	jobq_sandbox_planner_begin();
}

/* Undoes what the end of a transaction does not undo.  Does not fail. */
static void
give_back(const Sandbox *sandbox)
{
	(void) jobq_signals_restore(&sandbox->signals);
	jobq_sandbox_planner_end();
	jobq_sandbox_rules_end();
	debug_query_string = sandbox->query;
	jobq_portals_show(sandbox->portals);
}

static void
leave(const Sandbox *sandbox)
{
	give_back(sandbox);
	if (sandbox->snapshot)
		PopActiveSnapshot();
	AtEOXact_GUC(false, sandbox->guc_nest_level);
	SetUserIdAndSecContext(sandbox->userid, sandbox->sec_context);
}

/*
 * Completes an error that leaves the sandbox.  It gets the context that it would have
 * had, and loses a code by which jobs tell jobq what to do with them (JQ1xx), which
 * would apply to the caller's job.
 */
static void
complete_error(void)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(ErrorContext);

	if (at_error != NULL)
		at_error();
	if (jobq_is_job_control(geterrcode()))
		errcode(ERRCODE_RAISE_EXCEPTION);
	for (ErrorContextCallback *context = error_context_stack; context != NULL;
		 context = context->previous)
		context->callback(context->arg);
	MemoryContextSwitchTo(oldcontext);
}

void
jobq_sandbox_at_error(void (*call) (void))
{
	at_error = call;
}

void
jobq_sandbox_run(Oid owner, void (*code) (void *arg), void *arg)
{
	Sandbox		sandbox;

	enter(&sandbox, owner);
	PG_TRY();
	{
		error_context_stack = NULL;
		code(arg);
		CommandCounterIncrement();
		jobq_sandbox_rules_check();
		jobq_portals_drop();
	}
	PG_CATCH();
	{
		give_back(&sandbox);
		complete_error();
		PG_RE_THROW();
	}
	PG_END_TRY();
	leave(&sandbox);
}
