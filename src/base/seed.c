/*-------------------------------------------------------------------------
 *
 * seed.c
 *	  Noticing that the seed of random() is set.
 *
 * There are many ways: setseed(), which the hook for access to objects sees, but
 * also SET, set_config() and functions with SET. All of those call the setting's
 * check hook, so it is noticed there, and refused in a sandbox: the old sequence
 * of random() cannot be restored.
 *
 * IDENTIFICATION
 *	  src/base/seed.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/seed.h"

#include "compat.h"

#include "utils/guc.h"
#include "utils/guc_tables.h"

static GucRealCheckHook previous_check = NULL;
static bool is_watched = false;
static bool was_set = false;
static bool (*is_refused) (void) = NULL;

static bool
check_seed(double *newval, void **extra, GucSource source)
{
	if (is_refused())
	{
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("cannot set parameter \"seed\" within security-restricted operation");
		return false;
	}
	was_set = true;
	return previous_check == NULL || previous_check(newval, extra, source);
}

void
jobq_seed_watch(bool (*refused) (void))
{
	struct config_generic **settings;
	int			nsettings;

	if (is_watched)
		return;
	settings = jobq_settings(&nsettings);
	is_watched = true;
	is_refused = refused;
	for (int i = 0; i < nsettings; i++)
	{
		struct config_real *setting = (struct config_real *) settings[i];

		if (strcmp(settings[i]->name, "seed") != 0 ||
			settings[i]->vartype != PGC_REAL)
			continue;
		previous_check = setting->check_hook;
		setting->check_hook = check_seed;
	}
}

void
jobq_seed_note(void)
{
	was_set = true;
}

bool
jobq_seed_was_set(void)
{
	return was_set;
}
