/*-------------------------------------------------------------------------
 *
 * payload.h
 *	  Whether a queue takes a payload.
 *
 * IDENTIFICATION
 *	  src/payload.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PAYLOAD_H
#define JOBQ_PAYLOAD_H

#include "queue.h"

/*
 * Raises 23514 if the queue refuses the payload.  Code of the queue's owner may
 * be called: see jobq_payload_check_call().
 */
extern void jobq_check_payload(const JobqQueue *queue, Datum payload);

#endif							/* JOBQ_PAYLOAD_H */
