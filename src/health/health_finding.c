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


static char *
copy_string(const char *string)
{
	return string != NULL ? pstrdup(string) : NULL;
}

void
jobq_health_add(JobqHealth *health, JobqSeverity severity, const char *topic,
				const char *object, const char *message, const char *hint,
				TimestampTz since)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(health->context);
	JobqFinding *finding = palloc(sizeof(JobqFinding));

	finding->severity = severity;
	finding->topic = pstrdup(topic);
	finding->object = copy_string(object);
	finding->message = pstrdup(message);
	finding->hint = copy_string(hint);
	finding->since = since;
	health->findings = lappend(health->findings, finding);
	MemoryContextSwitchTo(oldcontext);
}
