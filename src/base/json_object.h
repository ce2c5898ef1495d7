/*-------------------------------------------------------------------------
 *
 * json_object.h
 *	  Building a jsonb object field by field, and reading a field of one.
 *
 * IDENTIFICATION
 *	  src/base/json_object.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_JSON_OBJECT_H
#define JOBQ_JSON_OBJECT_H

#include "utils/jsonb.h"

typedef struct JobqJsonObject
{
	JsonbParseState *state;
} JobqJsonObject;

extern void jobq_json_begin(JobqJsonObject *object);

/* Adds nothing for a NULL string. */
extern void jobq_json_add_string(JobqJsonObject *object, const char *key,
								 const char *value);
extern void jobq_json_add_int(JobqJsonObject *object, const char *key,
							  int64 value);
extern void jobq_json_add_bool(JobqJsonObject *object, const char *key,
							   bool value);
extern void jobq_json_add_null(JobqJsonObject *object, const char *key);
extern void jobq_json_add_jsonb(JobqJsonObject *object, const char *key,
								Jsonb *value);
extern Datum jobq_json_end(JobqJsonObject *object);

/* Reads a key of a jsonb; false if that is no object, or has no such key. */
extern bool jobq_json_find(Datum jsonb, const char *key, JsonbValue *value);

#endif							/* JOBQ_JSON_OBJECT_H */
