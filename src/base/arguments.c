/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Checks that the SQL functions have in common.
 *
 * IDENTIFICATION
 *	  src/base/arguments.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arguments.h"

#include "compat.h"
#include "jobq.h"
#include "shared/database.h"
#include "shared/interval.h"
#include "shared/note.h"

#include "access/xlog.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Raises 25006 on a standby. */
void
jobq_require_primary(const char *function)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", function),
				 errhint("This server is a standby. Connect to the primary.")));
}

void
jobq_begin_write(const char *function)
{
	jobq_require_shmem();
	jobq_require_primary(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

void
jobq_recheck_function(FunctionCallInfo fcinfo, bool needs_create)
{
	FmgrInfo   *function = fcinfo->flinfo;

	/* import_pg_cron() calls without arguments */
	if (function == NULL)
		return;
	AcceptInvalidationMessages();
	if (!jobq_may_execute(function->fn_oid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s",
						get_func_name(function->fn_oid)),
				 errhint("A superuser or the owner of extension \"%s\" can grant it with jobq.grant_usage(%s%s).",
						 JOBQ_EXTENSION,
						 quote_literal_cstr(quote_identifier(GetUserNameFromId(GetUserId(), false))),
						 needs_create ? ", may_create => true" : "")));
}

void
jobq_require_argument(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

char *
jobq_required_string(FunctionCallInfo fcinfo, int argno, const char *name)
{
	jobq_require_argument(fcinfo, argno, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

bool
jobq_flag_argument(FunctionCallInfo fcinfo, int argno, bool by_default)
{
	return PG_ARGISNULL(argno) ? by_default : PG_GETARG_BOOL(argno);
}

int64
jobq_duration_argument(FunctionCallInfo fcinfo, int argno, const char *name,
					   bool zero_allowed)
{
	int64		duration =
	jobq_interval_microseconds(PG_GETARG_INTERVAL_P(argno));

	if (duration < 0 || (duration == 0 && !zero_allowed))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 zero_allowed ?
				 errmsg("%s must not be negative", name) :
				 errmsg("%s must be positive", name)));
	return duration;
}

char *
jobq_string_argument(FunctionCallInfo fcinfo, int argno, const char *name,
					 int max_bytes)
{
	char	   *string;

	string = jobq_required_string(fcinfo, argno, name);
	jobq_check_string(string, name, max_bytes);
	return string;
}

void
jobq_check_string(const char *string, const char *name, int max_bytes)
{
	if (string[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	if (strlen(string) > max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", name),
				 errdetail("It has %zu bytes; at most %d are allowed.",
						   strlen(string), max_bytes)));
}

static bool
has_control_character(const char *string)
{
	for (const unsigned char *c = (const unsigned char *) string; *c != '\0'; c++)
	{
		if (*c < 0x20 || *c == 0x7f)
			return true;
	}
	return false;
}

void
jobq_check_name(const char *string, const char *name)
{
	jobq_check_string(string, name, JOBQ_MAX_NAME_LENGTH);
	if (has_control_character(string))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not contain control characters", name)));
}

bool
jobq_is_name(const char *string)
{
	size_t		length = strlen(string);

	return length > 0 && length <= JOBQ_MAX_NAME_LENGTH &&
		!has_control_character(string);
}

/* How values of a type are stored in an array: the usual ones need no look-up. */
static void
get_layout(Oid type, int16 *typlen, bool *typbyval, char *typalign)
{
	switch (type)
	{
		case INT8OID:
			*typlen = sizeof(int64);
			*typbyval = FLOAT8PASSBYVAL;
			*typalign = TYPALIGN_DOUBLE;
			break;
		case TEXTOID:
		case JSONBOID:
			*typlen = -1;
			*typbyval = false;
			*typalign = TYPALIGN_INT;
			break;
		default:
			get_typlenbyvalalign(type, typlen, typbyval, typalign);
			break;
	}
}

Datum *
jobq_array_elements(const char *name, ArrayType *array, Oid type,
					bool **nulls, int *nelements)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *elements_null;

	/* drivers turn nested lists, and JSON arrays, into nested arrays */
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a one-dimensional array", name),
				 errdetail("It has %d dimensions.", ARR_NDIM(array))));
	get_layout(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elements,
					  &elements_null, nelements);
	for (int i = 0; nulls == NULL && i < *nelements; i++)
	{
		if (elements_null[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not contain nulls", name),
					 errdetail("Element %d is null.", i + 1)));
	}
	if (nulls != NULL)
		*nulls = elements_null;
	return elements;
}

Datum *
jobq_option_elements(const char *name, Datum value, Oid type, int most,
					 int *nelements)
{
	Datum	   *elements = jobq_array_elements(name, DatumGetArrayTypeP(value),
											   type, NULL, nelements);

	if (*nelements == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" must not be empty", name),
				 errhint("jobq.reset_queue() removes the option.")));
	if (*nelements > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" has too many elements", name),
				 errdetail("There are %d; at most %d are allowed.", *nelements,
						   most)));
	return elements;
}

Datum
jobq_tags_argument(FunctionCallInfo fcinfo, int argno)
{
	ArrayType  *tags = PG_GETARG_ARRAYTYPE_P(argno);
	Datum	   *elements;
	int			ntags;

	elements = jobq_array_elements("tags", tags, TEXTOID, NULL, &ntags);
	if (ntags > JOBQ_MAX_TAGS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many tags"),
				 errdetail("At most %d are allowed.", JOBQ_MAX_TAGS)));
	for (int i = 0; i < ntags; i++)
	{
		Size		length = VARSIZE_ANY_EXHDR(DatumGetPointer(elements[i]));

		if (length > JOBQ_MAX_TAG_LENGTH)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("tag %d is too long", i + 1),
					 errdetail("It has %zu bytes; at most %d are allowed.",
							   length, JOBQ_MAX_TAG_LENGTH),
					 errhint("Put longer values into the payload.")));
	}
	return PointerGetDatum(tags);
}

Datum
jobq_word_argument(FunctionCallInfo fcinfo, int argno, const char *name,
				   const char *const *words)
{
	char	   *word = text_to_cstring(PG_GETARG_TEXT_PP(argno));
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; words[i] != NULL; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return PG_GETARG_DATUM(argno);
		appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", words[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for %s: \"%s\"", name, word),
			 errhint("Available values: %s.", list.data)));
	return (Datum) 0;			/* keep compiler quiet */
}
