/*-------------------------------------------------------------------------
 *
 * look.h
 *	  Checking whether a queue has a ready job, without claiming it.
 *
 * IDENTIFICATION
 *	  src/dispatch/look.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_LOOK_H
#define JOBQ_LOOK_H

#include "queue/queue_row.h"

#include "datatype/timestamp.h"

/* Whether there is a free ready job, and when the next one is due */
extern bool jobq_look_finds_free_job(const JobqQueue *queue);
extern bool jobq_look_is_ready(const JobqQueue *queue, TimestampTz *next);

#endif							/* JOBQ_LOOK_H */
