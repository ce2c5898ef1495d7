/*-------------------------------------------------------------------------
 *
 * roster_test.c
 *	  Groups lose no job, keep their limit and take turns, however little
 *	  memory there is.
 *
 * A random history of one process stands for many, as in lane_test.c: jobs are
 * committed, and told of later; groups have been read from the index, and are not
 * reported yet; jobs are claimed, given back and finished.
 *
 * IDENTIFICATION
 *	  test/unit/roster_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/area.h"
#include "shared/gate.h"
#include "shared/group_rate.h"
#include "shared/lane_refill.h"
#include "shared/roster.h"
#include "shared/roster_memory.h"
#include "shared/roster_pick.h"
#include "shared/roster_read.h"
#include "shared/wake.h"

#include "check.h"
#include "server.h"

#undef snprintf
#undef printf

#define JOBS					2000
#define GROUPS					300
#define ROLE					42

typedef enum State
{
	NOWHERE,
	UNTOLD,						/* committed, and not told of yet */
	READY,
	CLAIMED
} State;

typedef struct Job
{
	JobqPlace	place;
	int			group;
	State		state;
	JobqGroup  *ticket;			/* of a claimed job */
} Job;

static Job	jobs[JOBS];			/* by id */
static char names[GROUPS][16];	/* in order */
static JobqQueueState queue;
static TimestampTz now = 1000;
static int	limit = JOBQ_UNLIMITED;
static uint64_t seed = 1;

/* The rate of groups, NULL: none; and when jobs of each started last, in a circle. */
#define RATE_LIMIT	3
#define RATE_PERIOD 30
static JobqGcra rate_of_groups;
static const JobqGcra *rate = NULL;
static TimestampTz starts[GROUPS][RATE_LIMIT];
static int	nstarts[GROUPS];

/* Options of groups; and those of one that were read, and are to be reported. */
static const JobqGroupOptions no_options = {.weight = 1};
static bool with_options = false;
static JobqGroupOptions options[GROUPS];
static JobqGroupQuestion question;
static JobqGroupOptions late_answer;
static bool has_question = false;

/* Groups that were read, and are to be reported. */
typedef struct Reader
{
	JobqRosterReading reading;
	bool		is_reading;
	const char *names[JOBQ_ROSTER_READ];
	int			n;
	bool		to_end;
	bool		must_wake;		/* when they were reported */
	int			nback;
} Reader;

/* One that is slower than the claims that come meanwhile. */
static Reader slow;

static void
start(int room, int nrings)
{
	static int	ngroups = 0;

	start_groups(room, nrings);
	start_server(room * 2 + 100, 10);
	memset(jobs, 0, sizeof(jobs));
	memset(&queue, 0, sizeof(queue));
	queue.entry.role = ROLE;
	jobq_roster_make(&queue, test_lock, ROLE);
	for (; ngroups < GROUPS; ngroups++)
		snprintf(names[ngroups], sizeof(names[0]), "g%04d", ngroups);
	now = test_now = 1000;
	memset(starts, 0, sizeof(starts));
	memset(nstarts, 0, sizeof(nstarts));
	has_question = false;
	slow.is_reading = false;
	with_options = false;
	for (int i = 0; i < GROUPS; i++)
		options[i] = no_options;
}

/* Somebody changes the options of a group, and commits. */
static void
change_options(int group, JobqGroupOptions to)
{
	options[group] = to;
	jobq_roster_options_changed(&queue, names[group]);
}

static JobqGroupOptions
make_options(bool paused, int max_running, int weight)
{
	JobqGroupOptions result = {
		.max_running = max_running,.weight = (int16) weight,.paused = paused
	};

	return result;
}

/* How many jobs of the group may run. */
static int
limit_of(int group)
{
	return options[group].paused ? 0 :
		options[group].max_running > 0 ? options[group].max_running : limit;
}

static void
commit_job(int id, int group, TimestampTz run_at)
{
	Job		   *job = &jobs[id];

	job->place.priority = 0;
	job->place.key.run_at = run_at;
	job->place.key.id = id;
	job->place.group = names[group];
	ItemPointerSet(&job->place.tid, id, 1);
	job->group = group;
	job->state = UNTOLD;
}

static void
tell(int id)
{
	jobs[id].state = READY;
	jobq_roster_lower(&queue, &jobs[id].place, now);
}

/* Whether an index scan would see the job. */
static bool
is_visible(const Job *job)
{
	return job->state == READY || job->state == UNTOLD;
}

/* ----------------------------------------------------------------- claims */

/* Read the index of a group for one lane, as dispatch does it. */
static bool
refill(JobqStream *stream, int group)
{
	static JobqPlace candidates[JOBS];
	JobqKey		upto = jobq_last_key;
	JobqRefill	refill;
	int			n = 0;

	if (!jobq_lane_refill_begin(&refill, stream, 0))
		return false;
	for (;;)
	{
		const Job  *least = NULL;

		for (int i = 0; i < JOBS; i++)
		{
			const JobqKey *key = &jobs[i].place.key;

			if (is_visible(&jobs[i]) && jobs[i].group == group &&
				!jobq_key_is_less(key, &refill.from) &&
				(n == 0 || jobq_key_is_less(&candidates[n - 1].key, key)) &&
				(least == NULL || jobq_key_is_less(key, &least->place.key)))
				least = &jobs[i];
		}
		if (least == NULL)
			break;
		if (least->place.key.run_at > now || n == refill.room)
		{
			upto = least->place.key;
			break;
		}
		candidates[n++] = least->place;
	}
	jobq_lane_refill_end(&refill, candidates, n, &upto);
	return refill.room > 0;
}

static void
discover(JobqStream *stream, int group)
{
	uint64		resets = jobq_lanes_discover_begin(stream);

	for (int i = 0; i < JOBS; i++)
	{
		if (is_visible(&jobs[i]) && jobs[i].group == group)
			jobq_lanes_discover(stream, resets, 0);
	}
	jobq_lanes_discover_end(stream, resets);
}

/* The first visible job of a group that is due, by the index; -1: none. */
static int
first_by_index(int group)
{
	int			result = -1;

	for (int i = 0; i < JOBS; i++)
	{
		if (is_visible(&jobs[i]) && jobs[i].group == group &&
			jobs[i].place.key.run_at <= now &&
			(result < 0 || jobq_key_is_less(&jobs[i].place.key,
											&jobs[result].place.key)))
			result = i;
	}
	return result;
}

/* The next job of a group that is free; -1: none. */
static int
claim_of(JobqGroup *group)
{
	int			number = atoi(group->key.name + 1);
	TimestampTz next;
	JobqPlace	place;

	for (;;)
	{
		switch (jobq_lane_pop(&group->stream, now, &place, &next))
		{
			case JOBQ_POP_FOUND:
				if (is_visible(&jobs[place.key.id]) &&
					jobs[place.key.id].group == number)
					return (int) place.key.id;
				break;
			case JOBQ_POP_REFILL:
				if (refill(&group->stream, number))
					break;
				return first_by_index(number);
			case JOBQ_POP_DISCOVER:
				discover(&group->stream, number);
				break;
			case JOBQ_POP_NOTHING:
				return -1;
			default:
				return first_by_index(number);
		}
	}
}

/* Read the names of the next groups that have visible jobs. */
static void
begin_reading(Reader *reader)
{
	const JobqRosterReading *reading = &reader->reading;

	reader->is_reading = jobq_roster_read_begin(&reader->reading, &queue);
	if (!reader->is_reading)
		return;
	reader->n = 0;
	for (int i = 0; i < GROUPS && reader->n < reading->room; i++)
	{
		bool		has_jobs = false;

		if (strcmp(names[i], reading->after) <= 0)
			continue;
		for (int j = 0; j < JOBS && !has_jobs; j++)
			has_jobs = is_visible(&jobs[j]) && jobs[j].group == i;
		if (has_jobs)
			reader->names[reader->n++] = names[i];
	}
	reader->to_end = reader->n < reading->room;
}

/* False if that leads no further. */
static bool
end_reading(Reader *reader)
{
	reader->is_reading = false;
	return jobq_roster_read_end(&reader->reading, reader->names, reader->n,
								reader->to_end, now, &reader->nback,
								&reader->must_wake) == JOBQ_READ_SOME;
}

/* Reads on, as turn.c does it. */
static bool
read_on(int *turns_left)
{
	Reader		reader;

	begin_reading(&reader);
	if (!reader.is_reading)
	{
		*turns_left += jobq_roster_turns(&queue);
		return false;
	}
	if (!end_reading(&reader))
	{
		*turns_left += reader.nback;
		return false;
	}
	*turns_left += reader.nback;
	return true;
}

static void
pass_time(TimestampTz time)
{
	now += time;
	test_now = now;
}

/* A job was found: it starts, if the rate has let it in. */
static void
start_job(JobqGroupTicket *ticket, int group)
{
	JobqGcraTake take;
	TimestampTz *earlier = &starts[group][nstarts[group]++ % RATE_LIMIT];

	if (rate == NULL)
		return;
	CHECK(ticket->has_reserved, "no start is reserved");
	CHECK(*earlier <= now - RATE_PERIOD, "%d jobs of group %s start in %d",
		  RATE_LIMIT + 1, names[group], RATE_PERIOD);
	*earlier = jobq_group_rate_start(ticket, &take, NULL, 0);
}

/* Claims a job as turn.c does it; its id, or -1. */
static int
claim_reading(bool may_read)
{
	JobqPicking picking = {
		.now = now,.max_running = limit,.may_read = may_read,
		.has_options = with_options,.rate = rate
	};
	int			turns_left = jobq_roster_turns(&queue) + 1;
	JobqGroupTicket ticket;
	JobqGroupQuestion asked;
	JobqGroup  *group;
	int			number;
	TimestampTz next = JOBQ_NEVER;

	for (;;)
	{
		int			id;

		while (turns_left == 0 && picking.may_read &&
			   jobq_roster_may_read(&queue, now))
		{
			picking.may_read = read_on(&turns_left);
			if (turns_left > 0)
				turns_left++;
		}
		if (turns_left == 0)
			break;
		switch (jobq_roster_pick(&queue, &picking, &ticket, &asked, &next))
		{
			case JOBQ_TURN_PLAIN:
				turns_left--;
				break;
			case JOBQ_TURN_NOTHING:
			case JOBQ_TURN_NO_ROOM:
				return -1;
			case JOBQ_TURN_READ_ON:
				picking.may_read = read_on(&turns_left);
				break;
			case JOBQ_TURN_OPTIONS:
				number = atoi(asked.name + 1);
				if (!has_question && random_below(&seed, 4) == 0)
				{
					question = asked;
					late_answer = options[number];
					has_question = true;
				}
				jobq_roster_answer(&queue, &asked, &options[number],
								   JOBQ_NEVER);
				break;
			case JOBQ_TURN_GROUP:
				turns_left--;
				group = ticket.group;
				number = limit_of(atoi(group->key.name + 1));
				CHECK(number == JOBQ_UNLIMITED || group->running <= (uint32) number,
					  "a group runs more than it may");
				id = claim_of(group);
				if (id >= 0)
				{
					start_job(&ticket, jobs[id].group);
					jobs[id].state = CLAIMED;
					jobs[id].ticket = group;
					return id;
				}
				(void) jobq_roster_put_back(&ticket, DT_NOBEGIN, now);
				break;
		}
		turns_left += ticket.nback;
	}
	return -1;
}

static int
claim(void)
{
	return claim_reading(true);
}

static void
finish(int id)
{
	jobs[id].state = NOWHERE;
	(void) jobq_roster_leave(jobs[id].ticket, 1, now);
}

/* The claim is rolled back. */
static void
give_back(int id)
{
	jobs[id].state = READY;
	jobq_roster_lower(&queue, &jobs[id].place, now);
	(void) jobq_roster_leave(jobs[id].ticket, 1, now);
}

/* The coordinator looks, and learns when to look again. */
static void
look(void)
{
	TimestampTz next;

	pg_atomic_write_u64(&queue.next_look, (uint64) JOBQ_NEVER);
	next = jobq_roster_next_due(&queue, false, now);
	jobq_wake_for_queue_at(&queue, next);
}

/* ----------------------------------------------------------------- checks */

/* The coordinator knows when the jobs of groups are due that nobody looks at. */
static void
check_times(const char *when)
{
	dlist_iter	iter;

	dlist_foreach(iter, &queue.roster.all)
	{
		const JobqGroup *group = dlist_container(JobqGroup, member, iter.cur);

		CHECK(group->place != JOBQ_GROUP_LATER ||
			  (TimestampTz) pg_atomic_read_u64(&queue.next_look) <= group->later.key,
			  "%s: nobody looks at group %s when it is due", when,
			  group->key.name);
	}
}

static void
check_covered(const char *when)
{
	for (int i = 0; i < JOBS; i++)
	{
		if (jobs[i].state == READY && !options[jobs[i].group].paused)
			CHECK(jobq_roster_covers(&queue, &jobs[i].place), "%s: job %d of group %s is lost", when, i, names[jobs[i].group]);
	}
}

/*
 * Claim and finish until nothing is found, for as long as the rate takes; all that is
 * due must be gone.
 */
static void
drain(void)
{
	int			waits = rate == NULL ? 0 : JOBS;

	for (int i = 0; i < GROUPS; i++)
	{
		if (options[i].paused)
			change_options(i, no_options);
	}
	for (;;)
	{
		int			id = -1;

		for (int i = 0; i < JOBS; i++)
		{
			if (jobs[i].state == CLAIMED)
				finish(i);
			else if (jobs[i].state == UNTOLD)
				tell(i);
		}
		/* laps may end without anything found */
		for (int tries = 0; tries < 5 && id < 0; tries++)
		{
			id = claim();
			queue.roster.read_at = DT_NOBEGIN;
		}
		if (id < 0 && waits-- <= 0)
			break;
		if (id < 0)
			pass_time(RATE_PERIOD / 2);
	}
	for (int i = 0; i < JOBS; i++)
		CHECK(jobs[i].state != READY || jobs[i].place.key.run_at > now,
			  "job %d of group %s has not been found", i,
			  names[jobs[i].group]);
}

/* One random event. */
static void
step(void)
{
	int			id = (int) random_below(&seed, JOBS);
	int			what = (int) random_below(&seed, 100);

	if (what < 40 && jobs[id].state == NOWHERE)
		commit_job(id, (int) random_below(&seed, GROUPS),
				   now + (TimestampTz) random_below(&seed, 40) - 30);
	else if (jobs[id].state == UNTOLD)
		tell(id);
	else if (jobs[id].state == CLAIMED && what < 70)
		finish(id);
	else if (jobs[id].state == CLAIMED)
		give_back(id);
	else if (what < 95)
		(void) claim();
	else if (what == 95)
		pass_time(1);
	else if (what == 96 && !slow.is_reading)
		begin_reading(&slow);
	else if (slow.is_reading && random_below(&seed, 4) == 0)
		(void) end_reading(&slow);
	else if (what == 97 && random_below(&seed, 20) == 0)
		jobq_roster_reset(&queue);
	else if (what == 98)
		look();
	else if (with_options && random_below(&seed, 2) == 0)
		change_options((int) random_below(&seed, GROUPS),
					   make_options(random_below(&seed, 2) == 0,
									(int) random_below(&seed, 4),
									1 + (int) random_below(&seed, 3)));
	else if (has_question)
	{
		jobq_roster_answer(&queue, &question, &late_answer, JOBQ_NEVER);
		has_question = false;
	}
}

static void
test_random(int room, int nrings, int max_running, bool change)
{
	start(room, nrings);
	limit = max_running;
	with_options = change;
	for (int i = 0; i < 30000; i++)
	{
		step();
		if (i % 500 == 0)
			check_covered("in between");
		if (i % 50 == 0)
			check_times("in between");
	}
	if (slow.is_reading)
		(void) end_reading(&slow);
	check_covered("at the end");
	drain();
	pass_time(1000);
	drain();
	CHECK(queue.roster.complete, "all is known, and the roster not complete");
	CHECK(dlist_is_empty(&queue.roster.all), "groups without jobs are in memory");
	CHECK(!jobq_roster_is_active(&queue), "the roster is active");
}

/* The same with a rate: in no window do more jobs of a group start. */
static void
test_rates(int room)
{
	CHECK(jobq_gcra_make(&rate_of_groups, RATE_LIMIT, RATE_PERIOD, 2) == JOBQ_GCRA_OK,
		  "the rate is impossible");
	rate = &rate_of_groups;
	test_random(room, room / 2, 2, false);
	rate = NULL;
}

/*
 * Each group has its turn: of groups that all have jobs none starts its second
 * one long before another starts its first.
 */
static void
test_turns(int room, int ngroups, int at_most)
{
	int			started[GROUPS] = {0};
	int			most = 0;

	start(room, room);
	limit = JOBQ_UNLIMITED;
	for (int i = 0; i < JOBS; i++)
		commit_job(i, i % ngroups, 1);
	for (int i = 0; i < JOBS; i++)
		tell(i);
	for (int missing = ngroups; missing > 0;)
	{
		int			id = claim();

		CHECK(id >= 0, "nothing is found");
		if (id < 0)
			return;
		if (started[jobs[id].group]++ == 0)
			missing--;
		most = Max(most, started[jobs[id].group]);
		finish(id);
	}
	CHECK(most <= at_most,
		  "with room for %d groups one of %d started %d jobs before another started one",
		  room, ngroups, most);
}

/* A group that is full is in nobody's way, and is back in turn at once. */
static void
test_parked(void)
{
	int			first;

	start(100, 100);
	limit = 1;
	for (int i = 0; i < 10; i++)
		commit_job(i, 0, 1);
	for (int i = 0; i < 10; i++)
		tell(i);
	first = claim();
	CHECK(first == 0, "the first job is not found");
	CHECK(claim() == -1, "a second one is");
	CHECK(queue.roster.nturn == 0, "the group takes part in the turns");
	CHECK(!jobq_roster_is_in_turn(&queue, names[0]), "it could start a job");
	jobs[first].state = NOWHERE;
	CHECK(jobq_roster_leave(jobs[first].ticket, 1, now), "nobody is woken");
	CHECK(claim() == 1, "the second job is not found");
	CHECK(claim() == -1, "two jobs of it are claimed");
	limit = 2;
	CHECK(claim() == 2, "with a higher limit the third job is not found");
	CHECK(claim() == -1, "a fourth one is");
}

/* A group that is paused starts nothing, and is in nobody's way. */
static void
test_paused(void)
{
	start(100, 100);
	limit = JOBQ_UNLIMITED;
	with_options = true;
	change_options(0, make_options(true, 0, 1));
	for (int i = 0; i < 10; i++)
		commit_job(i, i % 2, 1);
	for (int i = 0; i < 10; i++)
		tell(i);
	for (int i = 1; i < 10; i += 2)
		CHECK(claim() == i, "a job of the other group is not found");
	CHECK(claim() == -1, "a job of a paused group is");
	CHECK(queue.roster.nturn == 0, "it takes part in the turns");
	commit_job(10, 0, 1);
	tell(10);
	CHECK(!jobq_roster_is_in_turn(&queue, names[0]), "a worker would be woken for it");
	change_options(0, no_options);
	CHECK(jobq_roster_is_in_turn(&queue, names[0]), "it is not in turn again");
	CHECK(claim() == 0, "its first job is not found");
}

/* Jobs that run already get tickets of groups that may start none. */
static void
test_join(void)
{
	start(100, 100);
	limit = JOBQ_UNLIMITED;
	with_options = true;
	change_options(0, make_options(true, 0, 1));
	change_options(1, make_options(false, 1, 1));
	for (int i = 0; i < 4; i++)
		commit_job(i, i % 2, 1);
	for (int i = 0; i < 4; i++)
		tell(i);
	CHECK(claim() == 1, "the first job of the group that is not paused");
	CHECK(claim() == -1, "no other one");
	for (int i = 0; i < 2; i++)
		CHECK(jobq_roster_join(&queue, names[i]) != NULL, "group %d has no ticket for a running job", i);
	CHECK(jobq_roster_running(&queue) == 3, "three tickets are out");
}

/* COMMIT PREPARED may have raised the limit of a group that the queue's has parked. */
static void
test_reset_parked(void)
{
	start(100, 100);
	limit = 1;
	with_options = true;
	for (int i = 0; i < 2; i++)
		commit_job(i, 0, 1);
	for (int i = 0; i < 2; i++)
		tell(i);
	CHECK(claim() == 0, "the first job");
	CHECK(claim() == -1, "the group is full");
	options[0] = make_options(false, 2, 1);
	jobq_roster_reset(&queue);
	CHECK(claim() == 1, "it has a higher limit after a reset");
}

/* A claim that had read the queue before a group got options has parked it. */
static void
test_parked_unasked(void)
{
	start(100, 100);
	limit = 1;
	for (int i = 0; i < 2; i++)
		commit_job(i, 0, 1);
	for (int i = 0; i < 2; i++)
		tell(i);
	CHECK(claim() == 0, "the first job");
	change_options(0, make_options(false, 2, 1));
	CHECK(claim() == -1, "the group is full for who knows no options");
	with_options = true;
	CHECK(claim() == 1, "it has a higher limit for those who do");
}

/* Few of very many paused groups stay in memory, and all are found again. */
static void
test_many_paused(void)
{
	int			n = JOBS < GROUPS ? JOBS : GROUPS;

	start(GROUPS * 3, GROUPS);
	limit = JOBQ_UNLIMITED;
	with_options = true;
	for (int i = 0; i < n; i++)
		options[i] = make_options(true, 0, 1);
	for (int i = 0; i < n; i++)
		commit_job(i, i, 1);
	for (int i = 0; i < n; i++)
		tell(i);
	CHECK(claim() == -1, "a job of a paused group is found");
	CHECK(queue.roster.nheld <= 64, "%d paused groups are in memory", queue.roster.nheld);
	for (int i = 0; i < n; i++)
	{
		change_options(i, no_options);
		CHECK(claim() == i, "the job of group %d is not found", i);
	}
}

/* A group with a weight starts as many jobs in each turn. */
static void
test_weight(void)
{
	static const int expected[] = {0, 0, 1, 0, 0, 1};

	start(100, 100);
	limit = JOBQ_UNLIMITED;
	with_options = true;
	for (int i = 0; i < 20; i++)
		commit_job(i, i % 2, 1);
	for (int i = 0; i < 20; i++)
		tell(i);
	CHECK(jobs[claim()].group == 0 && jobs[claim()].group == 1, "no turns are taken");
	change_options(0, make_options(false, 0, 2));
	for (int i = 0; i < (int) lengthof(expected); i++)
		CHECK(jobs[claim()].group == expected[i], "job %d is of another group", i);
}

/* Looks take turns of their own: who claims meanwhile has those that it would have had. */
static void
test_looks(void)
{
	static const int expected[] = {0, 0, 1, 0, 0, 1};
	JobqPicking picking = {
		.now = 1000,.max_running = JOBQ_UNLIMITED,.is_look = true
	};
	JobqGroupTicket ticket;
	JobqGroupQuestion asked;
	TimestampTz next = JOBQ_NEVER;

	start(100, 100);
	limit = JOBQ_UNLIMITED;
	with_options = true;
	options[0].weight = 2;
	for (int i = 0; i < 20; i++)
		commit_job(i, i % 2, 1);
	for (int i = 0; i < 20; i++)
		tell(i);
	for (int i = 0; i < (int) lengthof(expected); i++)
	{
		while (jobq_roster_pick(&queue, &picking, &ticket, &asked,
								&next) == JOBQ_TURN_PLAIN)
			;
		CHECK(ticket.group != NULL && atoi(ticket.group->key.name + 1) == i % 2,
			  "look %d is not at the next group", i);
		CHECK(jobs[claim()].group == expected[i],
			  "job %d, which is claimed beside a look, is of another group", i);
		if (ticket.group != NULL)
			(void) jobq_roster_put_back(&ticket, DT_NOBEGIN, now);
	}
}

/* A group that is throttled starts nothing for that time, and stays in memory. */
static void
test_throttled(void)
{
	start(100, 100);
	limit = JOBQ_UNLIMITED;
	for (int i = 0; i < 4; i++)
		commit_job(i, i % 2, 1);
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	for (int i = 0; i < 4; i++)
		tell(i);
	CHECK(claim() == 1 && claim() == 3, "jobs of the other group are not found");
	CHECK(claim() == -1, "a job of the throttled group is");
	CHECK(!jobq_roster_is_in_turn(&queue, names[0]), "a worker would be woken for it");
	jobq_roster_reset(&queue);
	CHECK(claim() == -1, "a reset ends it");
	CHECK(jobq_roster_next_due(&queue, false, now) == now + USECS_PER_SEC, "nobody looks when it ends");
	now += USECS_PER_SEC;
	CHECK(claim() == 0, "it does not end");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	CHECK(claim() == -1, "a group with a running job is not throttled");
	CHECK(jobq_roster_throttle(&queue, names[0], 0, now), "it cannot be ended");
	CHECK(claim() == 2, "0 does not end it");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	now -= 10 * USECS_PER_SEC;
	CHECK(claim() == -1, "the clock was set back");
	CHECK(jobq_roster_next_due(&queue, false, now) <= now + 2 * USECS_PER_SEC, "it lasts for too long");
}

/*
 * Groups whose jobs are ahead make room for those of another queue of the role, and are
 * found again when they are due.
 */
static void
test_make_room(void)
{
	static JobqQueueState other;
	JobqPlace	place = {.key = {.id = 1},.group = "ready"};
	JobqPicking picking = {.now = 1000,.max_running = 1};
	JobqGroupTicket ticket;
	JobqGroupQuestion asked;
	TimestampTz next;

	start(40, 40);
	limit = 1;
	CHECK(claim() == -1, "a job is found");
	for (int i = 0; i < 100; i++)
	{
		commit_job(i, i, now + 10);
		tell(i);
	}
	memset(&other, 0, sizeof(other));
	other.entry.role = ROLE;
	jobq_roster_make(&other, test_lock, ROLE);
	place.key.run_at = now;
	jobq_roster_lower(&other, &place, now);
	CHECK(other.roster.ngroups == 1, "the other queue's group has no room");
	while (jobq_roster_pick(&other, &picking, &ticket, &asked,
							&next) == JOBQ_TURN_PLAIN)
		;
	CHECK(ticket.group != NULL, "its job does not start");
	CHECK(claim() == -1, "a job is found that is ahead");
	check_covered("without room");
	now += 10;
	drain();
}

/* A throttled group is in no other's way, whichever of them is due first. */
static void
test_throttled_first(void)
{
	start(40, 40);
	limit = 1;
	CHECK(claim() == -1, "a job is found");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	for (int i = 1; i < 100; i++)
	{
		commit_job(i, i, now + 2 * USECS_PER_SEC);
		tell(i);
	}
	commit_job(100, 100, now);
	tell(100);
	CHECK(claim() == 100, "its job is not found");
	check_covered("without room");
}

/* Groups that do not exist, and are throttled, leave room for others. */
static void
test_many_throttled(void)
{
	int			n = 0;

	start(100, 100);
	limit = 1;
	CHECK(claim() == -1, "a job is found");
	while (n < GROUPS - 1 && jobq_roster_throttle(&queue, names[n], USECS_PER_SEC, now))
		n++;
	CHECK(n > 20 && n <= 25, "%d groups are throttled", n);
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "one cannot be so for longer");
	CHECK(jobq_roster_throttle(&queue, names[0], 0, now), "it cannot be ended");
	CHECK(jobq_roster_throttle(&queue, names[n], USECS_PER_SEC, now), "there is no room for another one");
	CHECK(!jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is room for one more");
	now += USECS_PER_SEC;
	CHECK(claim() == -1 && dlist_is_empty(&queue.roster.all), "they stay in memory");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room afterwards");
}

/* The end of a job that a group waited for is told, if it was put out since, too. */
static void
test_unblocked_without_room(void)
{
	JobqPicking picking = {.now = 1000,.max_running = 1};
	JobqGroupTicket ticket;
	JobqGroupQuestion asked;
	TimestampTz next;
	JobqPlace	place = {.group = names[0]};

	start(10, 10);
	limit = 1;
	CHECK(claim() == -1, "a job is found");
	commit_job(0, 0, now);
	commit_job(1, 0, now);
	tell(0);
	tell(1);
	while (jobq_roster_pick(&queue, &picking, &ticket, &asked,
							&next) == JOBQ_TURN_PLAIN)
		;
	(void) jobq_roster_put_back(&ticket, now + USECS_PER_SEC, now);
	for (int i = 2; i < 7; i++)
	{
		commit_job(i, i, now);
		tell(i);
	}
	while (claim() >= 2)
		;
	CHECK(!jobq_roster_has(&queue, names[0]), "it has room");
	jobs[0].state = NOWHERE;
	(void) jobq_roster_unblock(&queue, &place, now);
	for (int i = 2; i < 7; i++)
		finish(i);
	CHECK(claim() == 1, "its next job is not found");
}

/* A job ahead is found when it is due, and no claim looks at its group before. */
static void
test_later(void)
{
	start(100, 100);
	limit = JOBQ_UNLIMITED;
	CHECK(claim() == -1, "a job is found");
	commit_job(1, 0, now + 10);
	tell(1);
	CHECK(claim() == -1 && queue.roster.nturn == 0, "the job is found early");
	CHECK(jobq_roster_next_due(&queue, true, now) == now + 10, "its time is not known");
	now += 10;
	CHECK(claim() == 1, "it is not found");
	finish(1);
}

/*
 * The coordinator looks at a group when its next job is due, also if it has looked at
 * the queue since that was committed, while the group was full.
 */
static void
test_later_than_full(void)
{
	start(100, 100);
	limit = 1;
	CHECK(claim() == -1, "a job is found");
	commit_job(1, 0, now);
	tell(1);
	CHECK(claim() == 1, "it is not found");
	commit_job(2, 0, now + 10);
	tell(2);
	jobq_wake_for_queue_at(&queue, now + 10);
	look();
	finish(1);
	CHECK((TimestampTz) pg_atomic_read_u64(&queue.next_look) == now + 10,
		  "nobody looks when the next job is due");
}

/* Who found nothing because somebody was reading is woken, found room or not. */
static void
test_missed(void)
{
	JobqPicking how = {.now = now,.max_running = JOBQ_UNLIMITED};
	JobqGroupTicket ticket;

	for (int running = 0; running < 2; running++)
	{
		start(3, 3);
		limit = JOBQ_UNLIMITED;
		discover(&queue.stream, -1);
		for (int i = 0; i < running * 2; i++)
			CHECK(jobq_roster_enter(&queue, names[i], &how, &ticket),
				  "there is no room for two groups");
		commit_job(1, 5, now);
		begin_reading(&slow);
		CHECK(claim_reading(false) == -1 && claim_reading(false) == -1,
			  "a job is found");
		(void) end_reading(&slow);
		CHECK(slow.must_wake, "nobody is woken");
	}
}

/*
 * A claim finds jobs while somebody else is reading.  What that one has seen does not
 * count any more then, in this lap or another one.
 */
static void
test_slow_reader(void)
{
	for (int njobs = 1; njobs < 130; njobs += 64)
	{
		start(GROUPS * 3, GROUPS);
		limit = JOBQ_UNLIMITED;
		begin_reading(&slow);
		CHECK(slow.is_reading && slow.n == 0, "groups cannot be read");
		for (int i = 0; i < njobs; i++)
			commit_job(i, i, now);
		for (int i = 0; i < njobs; i++)
			CHECK(claim() >= 0, "job %d of %d is not found", i, njobs);
		CHECK(claim() == -1 && queue.roster.complete, "the lap has not ended");
		CHECK(!end_reading(&slow), "the old lap goes on");
		CHECK(slow.nback == queue.roster.nturn && !slow.must_wake,
			  "what was read has counted");
		for (int i = 0; i < njobs; i++)
			finish(i);
		CHECK(dlist_is_empty(&queue.roster.all), "groups without jobs are in memory");
	}
}

/* The one that has begun first, and sees no groups, does not end the lap of the others. */
static void
test_overtaken(void)
{
	start(GROUPS * 3, GROUPS);
	limit = JOBQ_UNLIMITED;
	discover(&queue.stream, -1);
	begin_reading(&slow);
	for (int i = 0; i < 100; i++)
		commit_job(i, i, now);
	CHECK(claim() >= 0 && queue.roster.in_lap, "the lap has ended");
	CHECK(end_reading(&slow), "the lap does not go on");
	CHECK(slow.nback == queue.roster.nturn, "the turns of others do not count");
	check_covered("after a reading that was overtaken");
	for (int i = 1; i < 100; i++)
		CHECK(claim() >= 0, "job %d is not found", i);
}

/* The same if that fails. */
static void
test_abandoned(void)
{
	start(100, 100);
	limit = JOBQ_UNLIMITED;
	discover(&queue.stream, -1);
	commit_job(1, 0, now);
	begin_reading(&slow);
	CHECK(slow.is_reading, "groups cannot be read");
	CHECK(claim_reading(false) == -1, "a job is found");
	CHECK(jobq_roster_read_abandon() == &queue, "nobody is woken");
	slow.is_reading = false;
	CHECK(jobq_roster_read_abandon() == NULL, "somebody is woken twice");
	CHECK(claim() == 1, "the job is not found");
}

/* The number of groups that the queue knows of. */
static int
count_groups(void)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &queue.roster.all)
		n++;
	return n;
}

/*
 * A group that is entered by its name starts nothing before what is kept of it is read, and
 * leaves memory if it may start nothing then.
 */
static void
test_unread(void)
{
	JobqGcra	slow_rate;
	JobqPicking how = {
		.now = 1000,.max_running = JOBQ_UNLIMITED,.rate = &slow_rate
	};
	JobqGroupTicket ticket;

	start(100, 100);
	limit = JOBQ_UNLIMITED;
	CHECK(claim() == -1, "a job is found");
	CHECK(jobq_gcra_make(&slow_rate, 1, 10 * USECS_PER_SEC, 1) == JOBQ_GCRA_OK, "no rate");
	for (int open = 0; open < 2; open++)
	{
		CHECK(jobq_roster_enter(&queue, names[0], &how, &ticket), "it is not entered");
		CHECK(ticket.is_unread && !ticket.has_reserved, "nothing is to be read");
		CHECK(jobq_group_rate_reserve_kept(&ticket, open ? 0 : now + 1) == open,
			  "what is kept is not heeded");
		(void) jobq_roster_put_back(&ticket, DT_NOBEGIN, now);
		CHECK(count_groups() == 0, "it stays in memory");
	}
}

/* What was started and is in no row is known as long as it counts. */
static void
test_rolled_back(void)
{
	JobqGcra	slow_rate;
	JobqPicking how = {
		.now = 1000,.max_running = JOBQ_UNLIMITED,.rate = &slow_rate
	};
	JobqGroupTicket ticket;
	JobqGcraTake take;

	start(100, 100);
	limit = JOBQ_UNLIMITED;
	CHECK(claim() == -1, "a job is found");
	CHECK(jobq_gcra_make(&slow_rate, 1, 10 * USECS_PER_SEC, 1) == JOBQ_GCRA_OK, "no rate");
	for (int kept = 0; kept < 2; kept++)
	{
		CHECK(jobq_roster_enter(&queue, names[kept], &how, &ticket) &&
			  jobq_group_rate_reserve_kept(&ticket, 0), "nothing starts");
		(void) jobq_group_rate_start(&ticket, &take, NULL, 0);
		if (kept)
			jobq_group_rate_kept(&queue, names[kept], take.after);
		(void) jobq_roster_leave(ticket.group, 1, now);
		CHECK(jobq_roster_has(&queue, names[kept]) == !kept, "kept: %d", kept);
	}
	CHECK(!jobq_roster_enter(&queue, names[0], &how, &ticket), "another one starts");
	pass_time(10 * USECS_PER_SEC);
	CHECK(claim() == -1 && count_groups() == 0, "it stays in memory");
}

/* As queue_state.c does when the queue is dropped. */
static void
drop(void)
{
	jobq_lanes_end(&queue.stream);
	jobq_roster_reset(&queue);
}

/* Groups of a dropped queue are gone when their last tickets are back. */
static void
test_dropped(void)
{
	JobqPicking picking = {.now = 1000,.max_running = JOBQ_UNLIMITED};
	JobqGroupTicket ticket;
	JobqGroupQuestion question;
	JobqGroup  *last;
	TimestampTz next = JOBQ_NEVER;
	int			first;
	int			second;

	start(100, 100);
	limit = JOBQ_UNLIMITED;
	CHECK(claim() == -1, "a job is found");
	for (int i = 0; i < 4; i++)
	{
		commit_job(i, i / 2, 1);
		tell(i);
	}
	first = claim();
	second = claim();
	while (jobq_roster_pick(&queue, &picking, &ticket, &question,
							&next) == JOBQ_TURN_PLAIN)
		;
	CHECK(ticket.group != NULL, "no group is in turn");
	CHECK(jobq_roster_running(&queue) == 3, "three tickets are not out");
	drop();
	CHECK(count_groups() == 2, "groups with tickets are gone");
	last = ticket.group;
	(void) jobq_roster_leave(jobs[first].ticket, 1, now);
	(void) jobq_roster_leave(jobs[second].ticket, 1, now);
	CHECK(count_groups() == 1 && jobq_roster_running(&queue) == 1,
		  "the one with a ticket is gone, or the other one is not");
	CHECK(last->key.queue == &queue, "it is another queue's");
	(void) jobq_roster_put_back(&ticket, now + 1000, now);
	CHECK(count_groups() == 0 && hash_get_num_entries(NULL) == 0,
		  "a group of a dropped queue stays in memory");
	CHECK(jobq_roster_running(&queue) == 0, "a ticket is out");
}

/* A process with an old pointer commits a job of the queue that had the memory. */
static void
commit_late(void)
{
	jobq_roster_lower(&queue, &jobs[0].place, now);
}

/* What it adds to a queue that is being made is known to that queue. */
static void
test_made_again(void)
{
	start(100, 100);
	commit_job(0, 0, 1);
	drop();
	commit_late();
	CHECK(count_groups() == 0 && hash_get_num_entries(NULL) == 0,
		  "a queue that is gone gets a group");
	at_release = commit_late;
	jobq_roster_make(&queue, test_lock, ROLE);
	CHECK(at_release == NULL, "nothing was locked");
	CHECK(count_groups() == hash_get_num_entries(NULL),
		  "a group is in the hash table, and the queue does not know of it");
}

/* Who reads for a queue that is gone changes nothing of the one that has its memory. */
static void
test_read_for_dropped(void)
{
	start(100, 100);
	begin_reading(&slow);
	CHECK(slow.is_reading, "nothing is read");
	drop();
	jobq_roster_make(&queue, test_lock, ROLE);
	queue.roster.nreading = 1;
	(void) jobq_roster_read_abandon();
	CHECK(queue.roster.nreading == 1, "another process does not read any more");
	slow.is_reading = false;
}

int
main(void)
{
	for (int change = 0; change < 2; change++)
	{
		test_random(GROUPS * 3, GROUPS, JOBQ_UNLIMITED, change);
		test_random(GROUPS * 3, 20, 1, change);
		test_random(40, 10, JOBQ_UNLIMITED, change);
		test_random(40, 0, 2, change);
		test_random(3, 0, 1, change);
	}
	test_rates(GROUPS * 3);
	test_rates(40);
	test_rates(3);
	test_turns(GROUPS * 3, GROUPS, 2);
	test_turns(100, GROUPS, 3);
	test_turns(10, 100, 3);
	test_parked();
	test_paused();
	test_throttled();
	test_join();
	test_reset_parked();
	test_parked_unasked();
	test_many_paused();
	test_weight();
	test_looks();
	test_make_room();
	test_throttled_first();
	test_many_throttled();
	test_unblocked_without_room();
	test_later();
	test_later_than_full();
	test_abandoned();
	test_unread();
	test_rolled_back();
	test_missed();
	test_slow_reader();
	test_overtaken();
	test_dropped();
	test_made_again();
	test_read_for_dropped();
	return check_finish();
}
