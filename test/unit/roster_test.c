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

#include "shared/roster_memory.h"
#include "shared/wake.h"

#include "check.h"
#include "roster_model.h"
#include "server.h"

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
	static JobqGcra rate_of_groups;

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

/* Each claim finds a job as long as there is one, however little room there is. */
static void
test_found(int room, int ngroups, int njobs)
{
	start(room, room);
	limit = JOBQ_UNLIMITED;
	for (int i = 0; i < njobs; i++)
		commit_job(i, i % ngroups, 1);
	for (int i = 0; i < njobs; i++)
		tell(i);
	for (int i = 0; i < njobs; i++)
	{
		int			id = claim();

		CHECK(id >= 0, "with room for %d groups no job is found, of %d of %d groups",
			  room, njobs - i, ngroups);
		if (id < 0)
			return;
		finish(id);
	}
	CHECK(claim() == -1, "a job is found that was");
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
	for (int room = 1; room < 12; room++)
	{
		for (int ngroups = 1; ngroups < 30; ngroups++)
			test_found(room, ngroups, ngroups * 3);
	}
	test_weight();
	test_looks();
	test_make_room();
	test_later();
	test_later_than_full();
	test_unread();
	test_rolled_back();
	return check_finish();
}
