/*-------------------------------------------------------------------------
 *
 * cron_expression.c
 *	  Cron expressions of users: parsing and error reporting.
 *
 * IDENTIFICATION
 *	  src/schedule/cron_expression.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "schedule/cron_expression.h"

#include "mb/pg_wchar.h"

/* Maximum length of a malformed text that is shown, in bytes. */
#define SHOWN_TEXT_MAX 100

char *
jobq_cron_error_detail(const char *text, const JobqCronError *error)
{
	int			before = pg_mbcliplen(text, strlen(text), error->offset);
	int			position = pg_mbstrlen_with_len(text, before) + 1;

	if (error->field == JOBQ_CRON_EXPRESSION)
		return psprintf("Position %d: %s", position, error->message);
	return psprintf("Field \"%s\", position %d: %s", error->name, position,
					error->message);
}

/*
 * Parses a user's expression.  Raises 22023; the DETAIL says which field is
 * wrong, and where.
 */
void
jobq_cron_require(const char *text, JobqCron *cron)
{
	JobqCronError error;
	size_t		length = strlen(text);
	size_t		shown;

	if (jobq_cron_parse(text, length, cron, &error))
		return;
	shown = pg_mbcliplen(text, length, SHOWN_TEXT_MAX);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid cron expression \"%.*s%s\"", (int) shown, text,
					shown < length ? "..." : ""),
			 errdetail_internal("%s", jobq_cron_error_detail(text, &error)),
			 error.zone_length == 0 ? 0 :
			 errhint("The time zone is an argument of its own: timezone => '%.*s'.",
					 (int) error.zone_length, text +error.zone_offset)));
}
