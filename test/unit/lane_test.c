/*-------------------------------------------------------------------------
 *
 * lane_test.c
 *	  Lanes lose no job and keep the order, whatever happens to jobs.
 *
 * A random history of one process stands for many: jobs are enqueued, claimed,
 * given back and finished, while a refill has read the index and is not over
 * yet.  "Committed" jobs are an array, of which a refill reads a copy.
 * test/model has the same with all interleavings, for few jobs.
 *
 * IDENTIFICATION
 *	  test/unit/lane_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/area.h"
#include "shared/lane_look.h"
#include "shared/lane_memory.h"
#include "shared/lane_refill.h"

#include "check.h"
#include "server.h"

/* the C library's, not the server's */
#undef qsort

#define JOBS					3000
#define NOW						1000
#define ROLE					42

typedef enum State
{
	NOWHERE,					/* not enqueued yet, or finished */
	READY,
	CLAIMED
} State;

typedef struct Job
{
	JobqPlace	place;
	State		state;
} Job;

static Job	jobs[JOBS];			/* by id */
static Job	snapshot[JOBS];
static JobqStream stream;
static uint64_t seed = 1;

static void
make_job(int id, int16 priority, TimestampTz run_at)
{
	Job		   *job = &jobs[id];

	job->place.priority = priority;
	job->place.key.run_at = run_at;
	job->place.key.id = id;
	ItemPointerSet(&job->place.tid, id, 1);
	job->state = READY;
}

static int
compare_jobs(const void *a, const void *b)
{
	const JobqPlace *x = &((const Job *) a)->place;
	const JobqPlace *y = &((const Job *) b)->place;

	return x->priority != y->priority ? x->priority - y->priority :
		jobq_key_compare(&x->key, &y->key);
}

/* What an index scan would see now, in its order. */
static void
take_snapshot(void)
{
	memcpy(snapshot, jobs, sizeof(jobs));
	qsort(snapshot, JOBS, sizeof(Job), compare_jobs);
}

/* End a refill as dispatch does it, with what the snapshot has. */
static bool
finish_refill(const JobqRefill *refill)
{
	static JobqPlace candidates[JOBQ_LANE_CAPACITY];
	JobqKey		upto = jobq_last_key;
	int			n = 0;

	for (int i = 0; i < JOBS; i++)
	{
		const JobqPlace *place = &snapshot[i].place;

		if (snapshot[i].state != READY || place->priority != refill->priority ||
			jobq_key_is_less(&place->key, &refill->from))
			continue;
		if (place->key.run_at > NOW || n == refill->room)
		{
			upto = place->key;
			break;
		}
		candidates[n++] = *place;
	}
	jobq_lane_refill_end(refill, candidates, n, &upto);
	return refill->room > 0;
}

static bool
refill_lane(int16 priority)
{
	JobqRefill	refill;

	if (!jobq_lane_refill_begin(&refill, &stream, priority))
		return false;
	take_snapshot();
	return finish_refill(&refill);
}

static void
discover(void)
{
	uint64		resets = jobq_lanes_discover_begin(&stream);

	for (int i = 0; i < JOBS; i++)
	{
		if (jobs[i].state == READY)
			jobq_lanes_discover(&stream, resets, jobs[i].place.priority);
	}
	jobq_lanes_discover_end(&stream, resets);
}

/* Claim the next job; -1 if there is none, -2 if the index is to be scanned. */
static int
claim(void)
{
	for (;;)
	{
		JobqPlace	place;
		TimestampTz next = JOBQ_NEVER;

		switch (jobq_lane_pop(&stream, NOW, &place, &next))
		{
			case JOBQ_POP_FOUND:
				if (jobs[place.key.id].state != READY)
					break;
				jobs[place.key.id].state = CLAIMED;
				return place.key.id;
			case JOBQ_POP_REFILL:
				if (refill_lane(place.priority))
					break;
				return -2;
			case JOBQ_POP_DISCOVER:
				discover();
				break;
			case JOBQ_POP_NOTHING:
				return -1;
			default:
				return -2;
		}
	}
}

static int
lower(int id)
{
	return jobq_lane_lower(&stream, &jobs[id].place, NOW);
}

/* Each job that is ready and nobody's is to be found by claims. */
static void
check_covered(void)
{
	for (int i = 0; i < JOBS; i++)
		CHECK(jobs[i].state != READY || jobq_lane_covers(&stream, &jobs[i].place),
			  "job %d is out of sight", i);
}

/* Claims give all jobs that are ready, in order. */
static void
check_order(void)
{
	int			id;
	int			last = -1;

	while ((id = claim()) >= 0)
	{
		CHECK(last == -1 || compare_jobs(&jobs[last], &jobs[id]) < 0,
			  "job %d after %d", id, last);
		last = id;
		jobs[id].state = NOWHERE;
	}
	CHECK(id == -1, "lanes cannot be used");
	for (int i = 0; i < JOBS; i++)
		CHECK(jobs[i].state != READY || jobs[i].place.key.run_at > NOW,
			  "job %d was never claimed", i);
}

static void
reset(int nlanes, int nrings)
{
	start_server(nlanes, nrings);
	memset(jobs, 0, sizeof(jobs));
	jobq_lanes_make(&stream, test_lock, ROLE);
}

/* Many more jobs than a ring has room for. */
static void
test_backlog(int npriorities, int nrings)
{
	reset(100, nrings);
	for (int i = 0; i < JOBS; i++)
	{
		make_job(i, random_below(&seed, npriorities),
				 random_below(&seed, NOW * 3 / 2));
		lower(i);
	}
	check_covered();
	check_order();
}

/* Everything at random, with a refill under way at times. */
static void
test_random(void)
{
	bool		refilling = false;
	JobqRefill	refill;

	reset(100, 6);
	for (int round = 0; round < 100000; round++)
	{
		int			id = random_below(&seed, JOBS);

		switch (random_below(&seed, 6))
		{
			case 0:
			case 1:
				if (jobs[id].state == NOWHERE)
				{
					make_job(id, random_below(&seed, 3),
							 random_below(&seed, NOW * 3 / 2));
					lower(id);
				}
				break;
			case 2:
				if (jobs[id].state == CLAIMED)
				{
					jobs[id].state = random_below(&seed, 2) == 0 ? READY :
						NOWHERE;
					if (jobs[id].state == READY)
						lower(id);
				}
				break;
			case 3:
				/* a process has one refill at a time */
				if (!refilling)
					(void) claim();
				break;
			case 4:
				if (!refilling && jobq_lanes_are_known(&stream) &&
					random_below(&seed, 10) == 0)
				{
					refilling = jobq_lane_refill_begin(&refill, &stream,
													   random_below(&seed, 3));
					if (refilling)
						take_snapshot();
				}
				break;
			default:
				if (!refilling || random_below(&seed, 10) > 0)
					break;
				refilling = false;
				if (random_below(&seed, 4) == 0)
					jobq_lane_refill_abandon();
				else
					(void) finish_refill(&refill);
		}
		if (random_below(&seed, 20000) == 0)
			jobq_lanes_reset(&stream);
		if (round % 5000 == 0)
			check_covered();
	}
	jobq_lane_refill_abandon();
	check_covered();
	check_order();
}

/* The id of the first candidate after that one; -1: the index is to be read first. */
static int
peek(int after)
{
	JobqKey		key = after == 0 ? jobq_first_key : jobs[after].place.key;
	JobqPlace	place;
	JobqPop		result = jobq_lane_peek(&stream, 0, &key, NOW, &place);

	if (result == JOBQ_POP_REFILL)
		return -1;
	CHECK(result == JOBQ_POP_FOUND, "nothing after job %d", after);
	CHECK(ItemPointerEquals(&place.tid, &jobs[place.key.id].place.tid),
		  "job %d is not there any more", (int) place.key.id);
	return place.key.id;
}

/* Who looks sees what a claim would find, when jobs are changed one after the other. */
static void
test_peek(void)
{
	reset(1, 1);
	discover();
	for (int id = 1; id <= 4; id++)
	{
		make_job(id, 0, id);
		lower(id);
	}
	CHECK(peek(0) == 1 && peek(1) == 2, "not in order");
	for (int id = 2; id <= 3; id++)
	{
		ItemPointerSet(&jobs[id].place.tid, id, 2);
		lower(id);
	}
	CHECK(peek(0) == 1, "the job before those that were changed");
	CHECK(peek(1) == -1, "a candidate above the cursor");
	CHECK(refill_lane(0), "no refill");
	for (int id = 1; id <= 4; id++)
		CHECK(peek(id - 1) == id, "job %d does not come next", id);
	check_order();
}

/*
 * The first lane of a stream whose priorities are not known is filled by the scan that
 * looks for them, which reads it from its start: only before any of it was read.
 */
static void
test_fill(void)
{
	JobqRefill	refill;

	reset(10, 10);
	CHECK(!jobq_lane_fill_begin(&refill, &stream), "there is no lane to fill");
	for (int id = 1; id <= 4; id++)
	{
		make_job(id, id % 2, id);
		lower(id);
	}
	CHECK(jobq_lane_fill_begin(&refill, &stream) && refill.priority == 0,
		  "the first lane is not filled");
	jobq_lane_refill_abandon();
	CHECK(jobq_lane_fill_begin(&refill, &stream), "it is not filled after an error");
	take_snapshot();
	/* nothing is known of the lane that comes after it */
	CHECK(finish_refill(&refill), "a lane has no ring");
	CHECK(!jobq_lane_fill_begin(&refill, &stream), "it is filled again");
	check_covered();
	discover();
	check_order();
	CHECK(!jobq_lane_fill_begin(&refill, &stream), "the priorities are known");
}

/* Whether a job that is lowered can be claimed by now. */
static void
test_possible_claims(void)
{
	reset(1, 1);
	make_job(1, 0, NOW);
	CHECK(lower(1) == 1, "a job whose time has come");
	make_job(2, 0, NOW + 1);
	CHECK(lower(2) == 0, "a job ahead");
	make_job(3, 1, NOW - 1);
	CHECK(lower(3) == 1, "a job without a lane");
	CHECK(stream.crowded, "there is a lane for it");
	jobq_lanes_end(&stream);
	CHECK(jobq_pool_used(jobq_area_pool(JOBQ_AREA_LANES)) == 0,
		  "a stream that has ended keeps lanes");
	CHECK(jobq_pool_used(jobq_area_pool(JOBQ_AREA_RINGS)) == 0,
		  "a stream that has ended keeps rings");
	lower(1);
	CHECK(stream.nlanes == 0, "a stream that has ended gets lanes");
}

/* Puts jobs into lanes of their own, from that id on; returns how many rings are used. */
static int
fill_lanes(int id, int n)
{
	discover();
	for (int end = id + n; id < end; id++)
	{
		make_job(id, id, 1);
		lower(id);
	}
	return (int) jobq_pool_used(jobq_area_pool(JOBQ_AREA_RINGS));
}

/* A role has no more than three rings for each that it leaves free. */
static void
test_ring_shares(void)
{
	JobqStream	first;

	reset(100, 8);
	CHECK(fill_lanes(0, 10) == 6, "a role alone has not three quarters of the rings");
	CHECK(jobq_lanes_lack_rings(false), "it does not lack rings");
	first = stream;
	jobq_lanes_make(&stream, test_lock, ROLE + 1);
	CHECK(fill_lanes(10, 10) == 8, "another role finds none");
	jobq_lanes_end(&first);
	CHECK(jobq_pool_used(jobq_area_pool(JOBQ_AREA_RINGS)) == 2,
		  "a role has not given its rings back");
	CHECK(fill_lanes(20, 10) == 6, "the other role does not get them");
	jobq_lanes_end(&stream);
	CHECK(jobq_pool_used(jobq_area_pool(JOBQ_AREA_RINGS)) == 0,
		  "rings are left over");
}

int
main(void)
{
	test_possible_claims();
	test_peek();
	test_fill();
	test_backlog(1, 1);
	test_backlog(5, 10);
	test_ring_shares();
	test_random();
	CHECK(locks_held == 0, "a lock is still held");
	return check_finish();
}
