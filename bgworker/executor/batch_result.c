/*-------------------------------------------------------------------------
 *
 * batch_result.c
 *	  The results of a batch's jobs.
 *
 * IDENTIFICATION
 *	  bgworker/executor/batch_result.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgworker/executor/batch_result.h"

#include "utils/jsonb.h"
#include "utils/memutils.h"

#define RESULT_HINT \
	"It returns a JSON array with one result for each job, in the order of its argument, or NULL."

/* See batch_result.h. */
NullableDatum *
jobq_batch_results(Datum result, int njobs, MemoryContext context)
{
	Jsonb	   *array = DatumGetJsonbP(result);
	NullableDatum *results;
	MemoryContext oldcontext;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the handler of a batch did not return an array"),
				 errhint(RESULT_HINT)));
	if (JB_ROOT_COUNT(array) != njobs)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the handler returned %u results for %d jobs",
						JB_ROOT_COUNT(array), njobs),
				 errhint(RESULT_HINT)));
	oldcontext = MemoryContextSwitchTo(context);
	results = palloc0(njobs * sizeof(NullableDatum));
	for (int i = 0; i < njobs; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&array->root, i);

		results[i].isnull = element->type == jbvNull;
		if (!results[i].isnull)
			results[i].value = JsonbPGetDatum(JsonbValueToJsonb(element));
	}
	MemoryContextSwitchTo(oldcontext);
	return results;
}
