/*-------------------------------------------------------------------------
 *
 * queue_options.h
 *	  The options of queues: their names, where they are stored and which
 *	  values they accept.
 *
 * IDENTIFICATION
 *	  src/queue/queue_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_OPTIONS_H
#define JOBQ_QUEUE_OPTIONS_H

#include "queue/queue_row.h"

#include "access/attnum.h"

/* An option: argument of create_queue and alter_queue, column of queue. */
typedef struct JobqQueueOption
{
	const char *name;
	AttrNumber	attnum;
	bool		resettable;		/* has a default that reset_queue restores */
	/* raises 22023 if the value is invalid for the option; may be NULL */
	void		(*check) (const char *name, Datum value);
	/* converts the value for the row; NULL: stored unchanged */
	Datum		(*convert) (Datum value, const Datum *row);
} JobqQueueOption;

extern const JobqQueueOption *jobq_queue_option(const char *name);
extern char *jobq_queue_option_names(void);
extern void jobq_queue_reset_options(bool *nulls);

/* Checks of values, for limits, too.  They raise 22023. */
extern void jobq_queue_positive_check(const char *name, Datum value);
extern void jobq_queue_not_negative_check(const char *name, Datum value);
extern void jobq_queue_period_check(const char *name, Datum value);

#endif							/* JOBQ_QUEUE_OPTIONS_H */
