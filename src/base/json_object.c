/*-------------------------------------------------------------------------
 *
 * json_object.c
 *	  Building a jsonb object field by field, and reading a field of one.
 *
 * IDENTIFICATION
 *	  src/base/json_object.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/json_object.h"

#include "shared/note.h"

#include "utils/numeric.h"

static void
add(JobqJsonObject *object, const char *key, JsonbValue *value)
{
	JsonbValue	name;

	name.type = jbvString;
	name.val.string.val = pstrdup(key);
	name.val.string.len = strlen(key);
	(void) pushJsonbValue(&object->state, WJB_KEY, &name);
	(void) pushJsonbValue(&object->state, WJB_VALUE, value);
}

void
jobq_json_begin(JobqJsonObject *object)
{
	object->state = NULL;
	(void) pushJsonbValue(&object->state, WJB_BEGIN_OBJECT, NULL);
}

void
jobq_json_add_string(JobqJsonObject *object, const char *key,
					 const char *value)
{
	JsonbValue	string;

	if (value == NULL)
		return;
	string.type = jbvString;
	string.val.string.val = pstrdup(value);
	string.val.string.len = strlen(value);
	add(object, key, &string);
}

void
jobq_json_add_int(JobqJsonObject *object, const char *key, int64 value)
{
	JsonbValue	number;

	number.type = jbvNumeric;
	number.val.numeric = int64_to_numeric(value);
	add(object, key, &number);
}

void
jobq_json_add_bool(JobqJsonObject *object, const char *key, bool value)
{
	JsonbValue	boolean;

	boolean.type = jbvBool;
	boolean.val.boolean = value;
	add(object, key, &boolean);
}

void
jobq_json_add_null(JobqJsonObject *object, const char *key)
{
	JsonbValue	null;

	null.type = jbvNull;
	add(object, key, &null);
}

void
jobq_json_add_jsonb(JobqJsonObject *object, const char *key, Jsonb *value)
{
	JsonbValue	inner;

	if (!JB_ROOT_IS_SCALAR(value) ||
		!JsonbExtractScalar(&value->root, &inner))
	{
		inner.type = jbvBinary;
		inner.val.binary.data = &value->root;
		inner.val.binary.len = VARSIZE(value) - VARHDRSZ;
	}
	add(object, key, &inner);
}

Datum
jobq_json_end(JobqJsonObject *object)
{
	JsonbValue *result = pushJsonbValue(&object->state, WJB_END_OBJECT, NULL);

	return JsonbPGetDatum(JsonbValueToJsonb(result));
}

bool
jobq_json_find(Datum jsonb, const char *key, JsonbValue *value)
{
	Jsonb	   *object = DatumGetJsonbP(jsonb);

	return JB_ROOT_IS_OBJECT(object) &&
		getKeyJsonValueFromContainer(&object->root, key, strlen(key),
									 value) != NULL;
}
