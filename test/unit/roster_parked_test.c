/*-------------------------------------------------------------------------
 *
 * roster_parked_test.c
 *	  Groups that may start nothing for now, since they are full, paused or
 *	  throttled, are in nobody's way, and are back in turn in time.
 *
 * IDENTIFICATION
 *	  test/unit/roster_parked_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_memory.h"

#include "check.h"
#include "roster_model.h"
#include "server.h"

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
		CHECK(jobq_roster_join(&queue, names[i]) != NULL,
			  "group %d has no ticket for a running job", i);
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
	CHECK(jobq_roster_next_due(&queue, false, now) == now + USECS_PER_SEC,
		  "nobody looks when it ends");
	now += USECS_PER_SEC;
	CHECK(claim() == 0, "it does not end");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	CHECK(claim() == -1, "a group with a running job is not throttled");
	CHECK(jobq_roster_throttle(&queue, names[0], 0, now), "it cannot be ended");
	CHECK(claim() == 2, "0 does not end it");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now), "there is no room");
	now -= 10 * USECS_PER_SEC;
	CHECK(claim() == -1, "the clock was set back");
	CHECK(jobq_roster_next_due(&queue, false, now) <= now + 2 * USECS_PER_SEC,
		  "it lasts for too long");
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
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now),
		  "one cannot be so for longer");
	CHECK(jobq_roster_throttle(&queue, names[0], 0, now), "it cannot be ended");
	CHECK(jobq_roster_throttle(&queue, names[n], USECS_PER_SEC, now),
		  "there is no room for another one");
	CHECK(!jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now),
		  "there is room for one more");
	now += USECS_PER_SEC;
	CHECK(claim() == -1 && dlist_is_empty(&queue.roster.all), "they stay in memory");
	CHECK(jobq_roster_throttle(&queue, names[0], USECS_PER_SEC, now),
		  "there is no room afterwards");
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

int
main(void)
{
	test_parked();
	test_paused();
	test_join();
	test_reset_parked();
	test_parked_unasked();
	test_many_paused();
	test_throttled();
	test_throttled_first();
	test_many_throttled();
	test_unblocked_without_room();
	return check_finish();
}
