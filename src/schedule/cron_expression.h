/*-------------------------------------------------------------------------
 *
 * cron_expression.h
 *	  Cron expressions of users: parsing and error reporting.
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
 * Describes an error in the text and its position (palloc'd).  Positions are
 * in characters, starting with 1.
 */
extern char *jobq_cron_error_detail(const char *text,
									const JobqCronError *error);

#endif							/* JOBQ_CRON_EXPRESSION_H */
