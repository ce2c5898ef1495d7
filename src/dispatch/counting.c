/*-------------------------------------------------------------------------
 *
 * counting.c
 *	  The running jobs of queues and limits are counted, so that their gates open.
 *
 * The gate of a queue or a limit (gate.c) stays shut until each of its running jobs has
 * a ticket.  A pass over the table (lease_load.c) gives them tickets.  A count fails
 * if a job found no room, or could not be read.
 *
 * IDENTIFICATION
 *	  src/dispatch/counting.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dispatch/counting.h"

#include "queue/limit_link.h"
#include "queue/queue_cache.h"
#include "queue/queue_list.h"
#include "queue/queue_wake.h"
#include "shared/database.h"
#include "shared/gate.h"
#include "shared/limit_state.h"
#include "shared/queue_state.h"
#include "shared/wake.h"

#include "utils/memutils.h"

/* A queue, or a limit that queues share, whose running jobs are being counted. */
typedef struct Counting
{
	int32		queue;			/* or a limit, with the sign of its id changed */
	JobqQueueState *state;		/* these may be another's by now */
	JobqLimitState *limit;
	uint32		begun;			/* see jobq_gate_count_begin() */
	bool		failed;			/* a job found no room */
} Counting;

/* Those that are under way, by queue; in the memory of the pass. */
static Counting *countings;
static int	ncountings = 0;

static int
compare_counting(const void *a, const void *b)
{
	int32		x = ((const Counting *) a)->queue;
	int32		y = ((const Counting *) b)->queue;

	return x < y ? -1 : x > y;
}

/* The gate of what is counted; NULL: it is gone. */
static JobqGate *
gate_of(const Counting *counting)
{
	if (counting->limit != NULL)
		return jobq_limit_state_find(-counting->queue) == counting->limit ?
			&counting->limit->gate : NULL;
	return jobq_queue_state_find(counting->queue) == counting->state ?
		&counting->state->gate : NULL;
}

static void
add_counting(int32 queue, JobqQueueState *state, JobqLimitState *limit)
{
	JobqGate   *gate = state != NULL ? &state->gate : &limit->gate;

	if (!jobq_gate_is_counted(gate))
		countings[ncountings++] = (Counting)
	{
		.queue = queue,.state = state,.limit = limit,
			.begun = jobq_gate_count_begin(gate)
	};
}

static void
fail_one(int32 queue)
{
	Counting	key = {.queue = queue};
	Counting   *counting = bsearch(&key, countings, ncountings,
								   sizeof(Counting), compare_counting);

	if (counting != NULL)
		counting->failed = true;
}

/*
 * Links the queues of limits that count groups, of which nobody may have claimed since
 * the limit does.  Those that share it only by now are linked by their claims.
 */
static void
link_queues(void)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);

	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];
		JobqLimitView view;
		JobqQueue	queue;

		if (!brief->at_home || brief->state == NULL || brief->limit == NULL ||
			!jobq_limit_state_counts_groups(brief->limit) ||
			!jobq_queue_state_pin(brief->state, brief->id))
			continue;
		jobq_queue_outline(&queue, brief);
		jobq_limit_view_of(&queue, &view);
		switch (jobq_limit_link_queue(&queue, &view))
		{
			case JOBQ_LINKED:
				break;
			case JOBQ_LINK_OUTDATED:
				/* it is counted again */
				jobq_gate_miss(&brief->limit->gate);
				break;
			case JOBQ_LINK_NO_ROOM:
				fail_one(-brief->shared_limit);
				break;
		}
		jobq_queue_state_unpin(brief->state);
	}
}

/* See counting.h.  Several queues may share a limit. */
void
jobq_counting_begin(MemoryContext context)
{
	int			n;
	const JobqQueueBrief *briefs = jobq_queues_all(&n);
	int			last = 0;

	countings = MemoryContextAllocHuge(context,
									   Max(n, 1) * 2 * sizeof(Counting));
	ncountings = 0;
	for (int i = 0; i < n; i++)
	{
		const JobqQueueBrief *brief = &briefs[i];

		if (brief->at_home && brief->state != NULL)
			add_counting(brief->id, brief->state, NULL);
		if (brief->at_home && brief->limit != NULL)
			add_counting(-brief->shared_limit, NULL, brief->limit);
	}
	qsort(countings, ncountings, sizeof(Counting), compare_counting);
	for (int i = 1; i < ncountings; i++)
	{
		if (countings[i].queue != countings[last].queue)
			countings[++last] = countings[i];
	}
	ncountings = Min(ncountings, last + 1);
	link_queues();
}

/* See counting.h. */
void
jobq_counting_fail(int32 id)
{
	const JobqQueue *queue = jobq_queue_by_id(id);

	fail_one(id);
	if (queue != NULL && queue->shared_limit != JOBQ_NO_LIMIT)
		fail_one(-queue->shared_limit);
}

/* See counting.h. */
void
jobq_counting_fail_all(void)
{
	for (int i = 0; i < ncountings; i++)
		countings[i].failed = true;
}

/*
 * See counting.h.  If others were missed meanwhile, and claims were turned away, has
 * them counted again.
 */
void
jobq_counting_end(void)
{
	for (int i = 0; i < ncountings; i++)
	{
		const Counting *counting = &countings[i];
		JobqGate   *gate = gate_of(counting);
		bool		counted;

		if (gate == NULL)
			continue;
		counted = !counting->failed &&
			jobq_gate_count_end(gate, counting->begun);
		if (!jobq_gate_is_starved(gate))
			continue;
		if (counted && counting->limit != NULL)
			jobq_queue_wake_call(counting->limit, 1);
		else if (counted)
			jobq_queue_wake_look(counting->state);
		else if (!counting->failed)
			jobq_wake_coordinator(jobq_database(), JOBQ_WAKE_COUNT);
	}
}

/* See counting.h. */
void
jobq_counting_forget(void)
{
	ncountings = 0;
}
