/*-------------------------------------------------------------------------
 *
 * payload.h
 *	  Whether a queue accepts a payload.
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
 * Raises 23514 if the queue refuses the payload.  May call code of the queue's
 * owner, see jobq_payload_check_call().
 */
extern void jobq_payload_check_job(const JobqQueue *queue, Datum payload);

/* The same for several; the error says which one. */
extern void jobq_check_payloads(const JobqQueue *queue, const Datum *payloads,
								int npayloads);

/*
 * Raises 22023 for a payload_path that cannot reliably accept any payload: one
 * with variables, or one that is not a predicate.
 */
extern void jobq_payload_path_validate(Datum path);

#endif							/* JOBQ_PAYLOAD_H */
