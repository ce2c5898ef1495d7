/*-------------------------------------------------------------------------
 *
 * cron_expression.h
 *	  Cron expressions of users: what is wrong with them.
 *
 * IDENTIFICATION
 *	  src/schedule/cron_expression.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CRON_EXPRESSION_H
#define JOBQ_CRON_EXPRESSION_H

#include "common/cron.h"

/* Raises 22023 if the text is malformed. */
extern void jobq_cron_require(const char *text, JobqCron *cron);

/*
 * Where in the text something is wrong, and what (palloc'd).  The position is
 * in characters, the first one of the whole text being 1.
 */
extern char *jobq_cron_error_detail(const char *text,
									const JobqCronError *error);

#endif							/* JOBQ_CRON_EXPRESSION_H */
