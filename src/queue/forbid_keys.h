/*-------------------------------------------------------------------------
 *
 * forbid_keys.h
 *	  Names that no key of a payload may contain: the option forbid_keys.
 *
 * IDENTIFICATION
 *	  src/queue/forbid_keys.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_FORBID_KEYS_H
#define JOBQ_FORBID_KEYS_H

#include "utils/jsonb.h"

typedef struct JobqForbidKeys JobqForbidKeys;

/* Raises 22023 for what the option may not be. */
extern void jobq_forbid_keys_validate(const char *name, Datum value);

/* Reads a text[]; palloc'd in one piece with all that it needs. */
extern JobqForbidKeys *jobq_forbid_keys_read(Datum value);

/*
 * What is wrong with the payload: a DETAIL with the place of a key, and no
 * values; NULL if nothing is.  Leaves garbage in the current memory context.
 */
extern const char *jobq_forbid_keys_find(const JobqForbidKeys *keys,
										 Jsonb *payload);

#endif							/* JOBQ_FORBID_KEYS_H */
