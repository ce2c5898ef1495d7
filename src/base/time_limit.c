/*-------------------------------------------------------------------------
 *
 * time_limit.c
 *	  Running something for a limited time.
 *
 * A timer requests a cancel of the statement, which is the only interrupt that
 * all of the server's loops mind, regular expressions before PostgreSQL 16
 * included.  The error of a cancel that comes after the timer has fired is
 * taken for the timer's: a user's cancel in the same moment ends the statement
 * like the timer, with the caller's error.
 *
 * IDENTIFICATION
 *	  src/base/time_limit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/time_limit.h"

#include <math.h>
#include <signal.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/timeout.h"

static TimeoutId timer;
static bool is_registered = false;
static volatile sig_atomic_t is_over = false;

static void
request_cancel(void)
{
	is_over = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* Calls the function, under the timer. */
static void
call(double left_ms, void (*code) (void *arg), void *arg)
{
	is_over = false;
	enable_timeout_after(timer, Max((int) ceil(left_ms), 1));
	code(arg);
	disable_timeout(timer, false);
	/* it may just have fired */
	CHECK_FOR_INTERRUPTS();
}

bool
jobq_run_limited(double *left_ms, void (*code) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool in_time = true;
	instr_time	start;
	instr_time	end;

	if (!is_registered)
		timer = RegisterTimeout(USER_TIMEOUT, request_cancel);
	is_registered = true;
	INSTR_TIME_SET_CURRENT(start);
	PG_TRY();
	{
		call(*left_ms, code, arg);
	}
	PG_CATCH();
	{
		disable_timeout(timer, false);
		if (!is_over || geterrcode() != ERRCODE_QUERY_CANCELED)
		{
			/* the timer fired too late: its request must not hit other code */
			if (is_over)
				QueryCancelPending = false;
			PG_RE_THROW();
		}
		MemoryContextSwitchTo(context);
		FlushErrorState();
		in_time = false;
	}
	PG_END_TRY();
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	*left_ms -= INSTR_TIME_GET_MILLISEC(end);
	return in_time;
}
