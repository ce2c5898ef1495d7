/*-------------------------------------------------------------------------
 *
 * mark.c
 *	  What a prepared transaction leaves to the session that finishes it.
 *
 * IDENTIFICATION
 *	  src/shared/mark.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/mark.h"

#include "utils/memutils.h"

/* In TopTransactionContext; NULL: none. */
static JobqMark *marks = NULL;
static int	nmarks = 0;
static int	max_marks = 0;

static void
add(JobqMarkKind kind, uint32 value)
{
	if (marks == NULL)
	{
		max_marks = 16;
		marks = MemoryContextAlloc(TopTransactionContext,
								   max_marks * sizeof(JobqMark));
	}
	else if (nmarks == max_marks)
	{
		marks = repalloc_huge(marks, 2 * max_marks * sizeof(JobqMark));
		max_marks *= 2;
	}
	marks[nmarks].kind = kind;
	marks[nmarks].value = value;
	nmarks++;
}

/* See mark.h. */
void
jobq_mark(JobqMarkKind kind, uint32 value)
{
	for (int i = nmarks - 1; i >= 0; i--)
	{
		if (marks[i].kind == kind && marks[i].value == value)
			return;
	}
	add(kind, value);
}

/* See mark.h.  Times before 2000 are that, those after 2136 are then. */
void
jobq_mark_time(JobqMarkKind kind, TimestampTz when)
{
	int64		seconds = Max(when, 0) / USECS_PER_SEC;
	uint32		value = (uint32) Min(seconds, (int64) PG_UINT32_MAX);

	for (int i = 0; i < nmarks; i++)
	{
		if (marks[i].kind == kind)
		{
			marks[i].value = Min(marks[i].value, value);
			return;
		}
	}
	add(kind, value);
}

/* See mark.h. */
TimestampTz
jobq_mark_to_time(uint32 value)
{
	return (TimestampTz) value * USECS_PER_SEC;
}

/* All marks; *n is their number.  Valid until one is made. */
const JobqMark *
jobq_mark_all(int *n)
{
	*n = nmarks;
	return marks;
}

/* TopTransactionContext takes the memory with it. */
void
jobq_mark_forget_all(void)
{
	marks = NULL;
	nmarks = 0;
}
