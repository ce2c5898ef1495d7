/*-------------------------------------------------------------------------
 *
 * payload.h
 *	  Whether a queue takes a payload.
 *
 * IDENTIFICATION
 *	  src/queue/payload.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PAYLOAD_H
#define JOBQ_PAYLOAD_H

#include "queue/queue_row.h"

/*
 * Raises 23514 if the queue refuses the payload.  Code of the queue's owner may
 * be called: see jobq_payload_check_call().
 */
extern void jobq_payload_check_job(const JobqQueue *queue, Datum payload);

/* The same for several; the error says which one. */
extern void jobq_check_payloads(const JobqQueue *queue, const Datum *payloads,
								int npayloads);

/*
 * Raises 22023 for a payload_path that can accept no payload, or none that it
 * is sure of: one with variables, and one that is no predicate.
 */
extern void jobq_payload_path_validate(Datum path);

#endif							/* JOBQ_PAYLOAD_H */
