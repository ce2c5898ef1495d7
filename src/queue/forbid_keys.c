/*-------------------------------------------------------------------------
 *
 * forbid_keys.c
 *	  Names that no key of a payload may contain: the option forbid_keys.
 *
 * Only the letters A to Z match whatever their case.  The rules of a locale
 * would make the answer depend on the database (in Turkish, "ID" does not
 * become "id"), and cost a copy of each key.
 *
 * The payload may be as deep and as large as jsonb allows, so nothing here
 * recurses, and interrupts are looked for within a key, too.
 *
 * IDENTIFICATION
 *	  src/queue/forbid_keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/forbid_keys.h"

#include "base/arguments.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/json.h"

/* Every session keeps them in memory, and compares each key with all of them. */
#define MAX_NAMES 50
#define MAX_NAME_LENGTH 63

/* What is shown of a path: the first and last steps, and this much of a key. */
#define FIRST_STEPS 6
#define LAST_STEPS 6
#define SHOWN_KEY 63

typedef struct ForbiddenName
{
	int			length;
	char text[	MAX_NAME_LENGTH + 1];	/* in lower case */
} ForbiddenName;

struct JobqForbidKeys
{
	bool		begins[256];	/* whether a name begins with this */
	int			nnames;
	ForbiddenName names[FLEXIBLE_ARRAY_MEMBER];
};

/* A step from the top of a payload to a value in it. */
typedef struct Step
{
	bool		in_array;
	int64		index;			/* of the element, in an array, */
	const char *key;			/* or the key, in an object */
	int			key_length;
} Step;

/* The way to where the walk is. */
typedef struct Way
{
	Step	   *steps;
	int			nsteps;
	int			room;
} Way;

static unsigned char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char) c;
}

void
jobq_forbid_keys_validate(const char *name, Datum value)
{
	int			nnames;
	Datum	   *names = jobq_option_elements(name, value, TEXTOID, MAX_NAMES,
											 &nnames);

	for (int i = 0; i < nnames; i++)
	{
		Size		length = VARSIZE_ANY_EXHDR(DatumGetPointer(names[i]));

		if (length == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" must not contain empty strings",
							name),
					 errdetail("Element %d is empty.", i + 1)));
		if (length > MAX_NAME_LENGTH)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("an element of option \"%s\" is too long", name),
					 errdetail("Element %d has %zu bytes; at most %d are allowed.",
							   i + 1, length, MAX_NAME_LENGTH)));
	}
}

JobqForbidKeys *
jobq_forbid_keys_read(Datum value)
{
	int			nnames;
	Datum	   *names = jobq_array_elements("forbid_keys",
											DatumGetArrayTypeP(value),
											TEXTOID, NULL, &nnames);
	JobqForbidKeys *keys = palloc0(offsetof(JobqForbidKeys, names) +
								   nnames * sizeof(ForbiddenName));

	for (int i = 0; i < nnames; i++)
	{
		const char *text = VARDATA_ANY(DatumGetPointer(names[i]));
		ForbiddenName *name = &keys->names[i];

		name->length = Min(VARSIZE_ANY_EXHDR(DatumGetPointer(names[i])),
						   MAX_NAME_LENGTH);
		for (int j = 0; j < name->length; j++)
			name->text[j] = (char) fold(text[j]);
		keys->begins[(unsigned char) name->text[0]] = true;
	}
	keys->nnames = nnames;
	pfree(names);
	return keys;
}

/* Whether a text begins with a name. */
static bool
begins_with(const char *text, int length, const ForbiddenName *name)
{
	if (length < name->length)
		return false;
	for (int i = 0; i < name->length; i++)
	{
		if (fold(text[i]) != (unsigned char) name->text[i])
			return false;
	}
	return true;
}

/*
 * The first name that a key contains, or NULL.  Goes by characters, since in
 * some encodings the bytes of one may be found across two others.
 */
static const ForbiddenName *
find_in_key(const JobqForbidKeys *keys, const char *key, int length)
{
	int			i = 0;

	while (i < length)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; keys->begins[fold(key[i])] && j < keys->nnames; j++)
		{
			if (begins_with(key + i, length - i, &keys->names[j]))
				return &keys->names[j];
		}
		i += IS_HIGHBIT_SET(key[i]) ? pg_mblen(key + i) : 1;
	}
	return NULL;
}

/* Whether a key needs no quotes in a path. */
static bool
is_plain(const char *key)
{
	if (*key >= '0' && *key <= '9')
		return false;
	return *key != '\0' &&
		key[strspn(key, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] == '\0';
}

static void
append_step(StringInfo path, const Step *step)
{
	bool		clipped = step->key_length > SHOWN_KEY;
	int			length = step->key_length;
	char	   *key;

	if (step->in_array)
	{
		appendStringInfo(path, "[" INT64_FORMAT "]", step->index);
		return;
	}
	if (clipped)
		length = pg_mbcliplen(step->key, step->key_length, SHOWN_KEY);
	key = psprintf("%.*s%s", length, step->key, clipped ? "..." : "");
	appendStringInfoChar(path, '.');
	if (is_plain(key))
		appendStringInfoString(path, key);
	else
		escape_json(path, key);
}

/* The way as a jsonpath; a long one is shown in part. */
static const char *
path_text(const Way *way)
{
	StringInfoData path;

	initStringInfo(&path);
	appendStringInfoChar(&path, '$');
	for (int i = 0; i < way->nsteps; i++)
	{
		if (i == FIRST_STEPS && way->nsteps > FIRST_STEPS + LAST_STEPS)
		{
			appendStringInfoString(&path, " ... ");
			i = way->nsteps - LAST_STEPS;
		}
		append_step(&path, &way->steps[i]);
	}
	return path.data;
}

/* Enters an array or an object. */
static void
push(Way *way, bool in_array)
{
	Step	   *step;

	if (way->nsteps == way->room)
	{
		way->room *= 2;
		way->steps = repalloc(way->steps, way->room * sizeof(Step));
	}
	step = &way->steps[way->nsteps++];
	memset(step, 0, sizeof(Step));
	step->in_array = in_array;
	step->index = -1;
}

/* Something begins within the current array, if it is one. */
static void
count_element(Way *way)
{
	if (way->nsteps > 0 && way->steps[way->nsteps - 1].in_array)
		way->steps[way->nsteps - 1].index++;
}

const char *
jobq_forbid_keys_find(const JobqForbidKeys *keys, Jsonb *payload)
{
	Way			way = {palloc(16 * sizeof(Step)), 0, 16};
	JsonbIterator *iterator = JsonbIteratorInit(&payload->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
		{
			Step	   *step = &way.steps[way.nsteps - 1];
			const ForbiddenName *name = find_in_key(keys, value.val.string.val,
													value.val.string.len);

			step->key = value.val.string.val;
			step->key_length = value.val.string.len;
			if (name != NULL)
				return psprintf(_("The key at %s contains \"%s\", which forbid_keys does not allow."),
								path_text(&way), name->text);
		}
		else if (token == WJB_ELEM)
			count_element(&way);
		else if (token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT)
		{
			count_element(&way);
			push(&way, token == WJB_BEGIN_ARRAY);
		}
		else if (token == WJB_END_ARRAY || token == WJB_END_OBJECT)
			way.nsteps--;
	}
	return NULL;
}
