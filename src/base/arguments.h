/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Checks that the SQL functions have in common.
 *
 * IDENTIFICATION
 *	  src/base/arguments.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ARGUMENTS_H
#define JOBQ_ARGUMENTS_H

#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/*
 * Called first in every function that writes: checks that the library is
 * preloaded (55000), and that the transaction may write (25006) and is not
 * parallel (25000).
 */
extern void jobq_require_primary(const char *function);
extern void jobq_begin_write(const char *function);

/*
 * For functions that wait: raises 42501 if the user may no longer call this
 * one.  With `needs_create` it needs more than the right to use jobq.
 */
extern void jobq_recheck_function(FunctionCallInfo fcinfo, bool needs_create);

/* Raises 22004 if the argument is NULL. */
extern void jobq_require_argument(FunctionCallInfo fcinfo, int argno,
								  const char *name);

/* A required text argument as a string; 22004 if it is NULL. */
extern char *jobq_required_string(FunctionCallInfo fcinfo, int argno,
								  const char *name);

/* A boolean argument for which NULL means the default. */
extern bool jobq_flag_argument(FunctionCallInfo fcinfo, int argno,
							   bool by_default);

/*
 * An interval argument in microseconds; raises 22023 if it is negative, or
 * zero where that is not allowed.
 */
extern int64 jobq_duration_argument(FunctionCallInfo fcinfo, int argno,
									const char *name, bool zero_allowed);

/* A text argument as a string; 22023 if it is empty or exceeds max_bytes. */
extern char *jobq_string_argument(FunctionCallInfo fcinfo, int argno,
								  const char *name, int max_bytes);

/* The same for an existing string, the argument of this name. */
extern void jobq_check_string(const char *string, const char *name,
							  int max_bytes);

/*
 * Raises 22023 for a name that users may not give: empty, longer than
 * JOBQ_MAX_NAME_LENGTH, or with control characters.
 */
extern void jobq_check_name(const char *string, const char *name);

/* Whether jobq_check_name() accepts it. */
extern bool jobq_is_name(const char *string);

/*
 * The elements of an array, which must be empty or have one dimension, and
 * have no NULLs unless *nulls is to be set; else 22023, with the array's name.
 */
extern Datum *jobq_array_elements(const char *name, ArrayType *array,
								  Oid type, bool **nulls, int *nelements);

/* The same of an option that must have 1 to `most` elements. */
extern Datum *jobq_option_elements(const char *name, Datum value, Oid type,
								   int most, int *nelements);

/*
 * An argument `tags` that is not NULL; 22023 for more than JOBQ_MAX_TAGS, or
 * one that is longer than JOBQ_MAX_TAG_LENGTH.
 */
extern Datum jobq_tags_argument(FunctionCallInfo fcinfo, int argno);

/*
 * A text argument, not NULL, that must be one of a list of words, which ends
 * with NULL; else 22023.
 */
extern Datum jobq_word_argument(FunctionCallInfo fcinfo, int argno,
								const char *name, const char *const *words);

#endif							/* JOBQ_ARGUMENTS_H */
