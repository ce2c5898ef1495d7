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

#include "base/setting.h"

#include "utils/guc.h"

static GucRealCheckHook previous_check = NULL;
static bool is_watched = false;
static bool was_set = false;
static bool (*is_refused) (void) = NULL;

static bool
check_seed(double *newval, void **extra, GucSource source)
{
	if (is_refused())
	{
		jobq_setting_refuse("seed");
		return false;
	}
	was_set = true;
	return previous_check == NULL || previous_check(newval, extra, source);
}

void
jobq_seed_watch(bool (*refused) (void))
{
	struct config_real *setting;

	if (is_watched)
		return;
	is_watched = true;
	is_refused = refused;
	setting = (struct config_real *) jobq_setting_find("seed", PGC_REAL);
	if (setting == NULL)
		return;
	previous_check = setting->check_hook;
	setting->check_hook = check_seed;
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
