/*-------------------------------------------------------------------------
 *
 * setting.c
 *	  Finding a setting, and refusing those that can end the session.
 *
 * Some settings that any role may set turn an error, or just time, into the end of
 * the process: exit_on_error makes each error FATAL, past all savepoints and
 * handlers of exceptions, and transaction_timeout (17 and later) is armed as soon as
 * it is set.  Code of a queue's owner must not do that to the session of another
 * role.  There are many ways to set them, but all call the setting's check hook.
 *
 * IDENTIFICATION
 *	  src/base/setting.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/setting.h"

#include "compat.h"

#include "utils/guc.h"

static GucBoolCheckHook previous_check_error = NULL;
static GucIntCheckHook previous_check_timeout = NULL;
static bool (*is_refused) (void) = NULL;

struct config_generic *
jobq_setting_find(const char *name, enum config_type type)
{
	struct config_generic **settings;
	int			nsettings;

	settings = jobq_settings(&nsettings);
	for (int i = 0; i < nsettings; i++)
	{
		if (strcmp(settings[i]->name, name) == 0 &&
			settings[i]->vartype == type)
			return settings[i];
	}
	return NULL;
}

void
jobq_setting_refuse(const char *name)
{
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("cannot set parameter \"%s\" within security-restricted operation",
					 name);
}

static bool
check_exit_on_error(bool *newval, void **extra, GucSource source)
{
	if (*newval && is_refused())
	{
		jobq_setting_refuse("exit_on_error");
		return false;
	}
	return previous_check_error == NULL ||
		previous_check_error(newval, extra, source);
}

static bool
check_transaction_timeout(int *newval, void **extra, GucSource source)
{
	if (is_refused())
	{
		jobq_setting_refuse("transaction_timeout");
		return false;
	}
	return previous_check_timeout == NULL ||
		previous_check_timeout(newval, extra, source);
}

void
jobq_setting_watch_exits(bool (*refused) (void))
{
	struct config_bool *on_error;
	struct config_int *timeout;

	if (is_refused != NULL)
		return;
	is_refused = refused;
	on_error = (struct config_bool *) jobq_setting_find("exit_on_error",
														PGC_BOOL);
	if (on_error != NULL)
	{
		previous_check_error = on_error->check_hook;
		on_error->check_hook = check_exit_on_error;
	}
	timeout = (struct config_int *) jobq_setting_find("transaction_timeout",
													  PGC_INT);
	if (timeout != NULL)
	{
		previous_check_timeout = timeout->check_hook;
		timeout->check_hook = check_transaction_timeout;
	}
}
