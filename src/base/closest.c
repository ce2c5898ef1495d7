/*-------------------------------------------------------------------------
 *
 * closest.c
 *	  The name most similar to one that does not exist, for hints.
 *
 * IDENTIFICATION
 *	  src/base/closest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/closest.h"

#include "jobq.h"

#include "utils/varlena.h"

bool
jobq_closest_begin(JobqClosest *closest, const char *wanted)
{
	closest->wanted = wanted;
	closest->distance = Max((int) strlen(wanted) / 2, 1) + 1;
	closest->name = NULL;
	return strlen(wanted) <= JOBQ_MAX_NAME_LENGTH;
}

void
jobq_closest_consider(JobqClosest *closest, const char *name)
{
	int			distance =
	varstr_levenshtein_less_equal(closest->wanted, strlen(closest->wanted),
								  name, strlen(name), 1, 1, 1,
								  closest->distance, true);

	if (distance < closest->distance)
	{
		closest->name = pstrdup(name);
		closest->distance = distance;
	}
}
