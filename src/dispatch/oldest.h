/*-------------------------------------------------------------------------
 *
 * oldest.h
 *	  The ready jobs of a queue, from the oldest to the newest, whatever their
 *	  groups and priorities.
 *
 * IDENTIFICATION
 *	  src/dispatch/oldest.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_OLDEST_H
#define JOBQ_OLDEST_H

#include "dispatch/dispatch_scan.h"

/* Gives jobs one after the other. */
typedef struct JobqOldest
{
	JobqDispatchScan dispatch;	/* its slot has the row of the latest job */
	struct JobqAges *ages;		/* see oldest.c */
	TimestampTz now;
	int			most;			/* lanes that the last reading may have kept;
								 * 0: this scan has not read any */
} JobqOldest;

extern void jobq_oldest_begin(JobqOldest *scan, JobqTable *jobs,
							  const JobqQueue *queue, TimestampTz now);

/*
 * Gives the next job that is pending and due, which another transaction may have
 * locked.  False if there is none.  Some may be given twice.
 */
extern bool jobq_oldest_next(JobqOldest *scan, JobqHead *head);
extern void jobq_oldest_end(JobqOldest *scan);

/* Called once, by _PG_init. */
extern void jobq_oldest_init(void);

#endif							/* JOBQ_OLDEST_H */
