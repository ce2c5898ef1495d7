/*-------------------------------------------------------------------------
 *
 * own_jobs.c
 *	  Claimable jobs that the current transaction has added, in order: only it can
 *	  see them.
 *
 * They are in an array, in the order of queue, group (those without one first),
 * priority and key, but for those that were added since the last question.
 *
 * IDENTIFICATION
 *	  src/queue/own_jobs.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/own_jobs.h"

#include "utils/memutils.h"

/* With more of them to be put into their places, the whole array is sorted. */
#define FEW 16

typedef struct OwnJob
{
	int32		queue;
	JobqPlace	place;
} OwnJob;

/* In TopTransactionContext; NULL: there are none. */
static OwnJob *jobs = NULL;
static int	njobs = 0;
static int	nsorted = 0;
static int	max_jobs = 0;

/* Compares queues and groups. */
static int
compare_groups(const OwnJob *a, const OwnJob *b)
{
	const char *x = a->place.group == NULL ? "" : a->place.group;
	const char *y = b->place.group == NULL ? "" : b->place.group;

	if (a->queue != b->queue)
		return a->queue < b->queue ? -1 : 1;
	return x == y ? 0 : strcmp(x, y);
}

/* For qsort(). */
static int
compare(const void *a, const void *b)
{
	const OwnJob *x = a;
	const OwnJob *y = b;
	int			result = compare_groups(x, y);

	if (result == 0 && x->place.priority != y->place.priority)
		result = x->place.priority < y->place.priority ? -1 : 1;
	return result != 0 ? result :
		jobq_key_compare(&x->place.key, &y->place.key);
}

/* How many of the sorted ones come before that one, or have its place with `past`. */
static int
position_of(const OwnJob *job, bool past)
{
	int			low = 0;
	int			high = nsorted;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = compare(&jobs[middle], job);

		if (order < 0 || (order == 0 && past))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts all jobs into their places. */
static void
sort(void)
{
	if (njobs - nsorted > FEW)
	{
		qsort(jobs, njobs, sizeof(OwnJob), compare);
		nsorted = njobs;
	}
	while (nsorted < njobs)
	{
		OwnJob		job = jobs[nsorted];
		int			position = position_of(&job, true);

		memmove(&jobs[position + 1], &jobs[position],
				(nsorted - position) * sizeof(OwnJob));
		jobs[position] = job;
		nsorted++;
	}
}

/* See own_jobs.h. */
void
jobq_own_jobs_add(int32 queue, const JobqPlace *place)
{
	if (jobs == NULL)
	{
		max_jobs = 16;
		jobs = MemoryContextAlloc(TopTransactionContext,
								  max_jobs * sizeof(OwnJob));
	}
	else if (njobs == max_jobs)
	{
		jobs = repalloc_huge(jobs, 2 * max_jobs * sizeof(OwnJob));
		max_jobs *= 2;
	}
	jobs[njobs].queue = queue;
	jobs[njobs].place = *place;
	njobs++;
}

/* See own_jobs.h. */
void
jobq_own_jobs_forget(void)
{
	njobs = 0;
	nsorted = 0;
}

/* See own_jobs.h. */
void
jobq_own_jobs_end(void)
{
	jobq_own_jobs_forget();
	jobs = NULL;
}

/* See own_jobs.h. */
const JobqPlace *
jobq_own_jobs_first(int32 queue, const char *group, int after)
{
	OwnJob		sought = {.queue = queue,.place.group = group};
	int			position;

	if (after >= PG_INT16_MAX)
		return NULL;
	sought.place.priority = (int16) Max(after + 1, PG_INT16_MIN);
	sought.place.key = jobq_first_key;
	sort();
	position = position_of(&sought, false);
	return position < njobs && compare_groups(&jobs[position], &sought) == 0 ?
		&jobs[position].place : NULL;
}

/* See own_jobs.h. */
const char *
jobq_own_jobs_next_group(int32 queue, const char *after)
{
	OwnJob		sought = {.queue = queue,.place.group = after};
	int			position;

	sought.place.priority = PG_INT16_MAX;
	sought.place.key = jobq_last_key;
	sort();
	position = position_of(&sought, true);
	return position < njobs && jobs[position].queue == queue ?
		jobs[position].place.group : NULL;
}
