/*-------------------------------------------------------------------------
 *
 * health_finding.c
 *	  The findings of a health check.
 *
 * IDENTIFICATION
 *	  src/health/health_finding.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "health/health_finding.h"

#include "shared/shmem.h"

static char *
copy_string(const char *string)
{
	return string != NULL ? pstrdup(string) : NULL;
}

void
jobq_health_add_finding(JobqHealth *health, const JobqFinding *finding)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(health->context);
	JobqFinding *copy = palloc(sizeof(JobqFinding));

	copy->severity = finding->severity;
	copy->topic = pstrdup(finding->topic);
	copy->object = copy_string(finding->object);
	copy->message = pstrdup(finding->message);
	copy->hint = copy_string(finding->hint);
	copy->since = finding->since != 0 ? finding->since : JOBQ_NEVER;
	health->findings = lappend(health->findings, copy);
	MemoryContextSwitchTo(oldcontext);
}
