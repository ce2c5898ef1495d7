/*-------------------------------------------------------------------------
 *
 * channel.h
 *	  The channels of NOTIFY on which queues tell of their jobs.
 *
 * IDENTIFICATION
 *	  src/queue/channel.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_CHANNEL_H
#define JOBQ_CHANNEL_H

/* The channel of a queue (palloc'd). */
extern char *jobq_channel_name(const char *queue);

#endif							/* JOBQ_CHANNEL_H */
