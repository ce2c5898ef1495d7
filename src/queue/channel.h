/*-------------------------------------------------------------------------
 *
 * channel.h
 *	  The NOTIFY channels on which queues announce jobs.
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
