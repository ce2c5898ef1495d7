/*-------------------------------------------------------------------------
 *
 * roster_read_test.c
 *	  Groups are read from the index while others claim, or while their queue is
 *	  dropped and another one gets its memory.
 *
 * IDENTIFICATION
 *	  test/unit/roster_read_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/group.h"
#include "shared/roster_memory.h"

#include "check.h"
#include "roster_model.h"
#include "server.h"

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

/* Takes an entry of a limit for that key, as a group of another queue does. */
static void
make_shared(JobqGroupKey *key, const char *name)
{
	JobqLimitGroup *shared;
	bool		found;

	jobq_group_make_key(key, (JobqQueueState *) (uintptr_t) queue.roster.limit->limit,
						name);
	LWLockAcquire(test_limit_lock, LW_EXCLUSIVE);
	shared = jobq_group_find_or_make_other(key, ROLE, &found);
	LWLockRelease(test_limit_lock);
	CHECK(shared != NULL && !found, "there is no entry for %s", name);
	shared->lock = test_limit_lock;
	shared->role = ROLE;
	shared->running = 0;
	shared->ngroups = 1;
	dlist_init(&shared->waiting);
}

/* A limit counts the queue's groups. */
static void
link_queue(void)
{
	JobqGroupKey key;
	JobqLimitLink *link;
	bool		found;

	jobq_group_make_key(&key, &queue, "");
	LWLockAcquire(test_limit_lock, LW_EXCLUSIVE);
	link = jobq_group_find_or_make_other(&key, ROLE, &found);
	LWLockRelease(test_limit_lock);
	CHECK(link != NULL && !found, "the queue cannot be linked");
	link->limit = 1;
	link->lock = test_limit_lock;
	dlist_init(&link->waits);
	pg_atomic_init_u32(&link->has_called, 0);
	dlist_init(&link->called);
	queue.roster.limit = link;
}

/* Whether the next groups that are read come after that one. */
static bool
reads_after(int group)
{
	begin_reading(&slow);
	return slow.is_reading && strcmp(slow.reading.after, names[group]) == 0;
}

/* A queue of which a limit counts the groups, with some jobs of different groups. */
static void
start_linked(int room, int njobs)
{
	start(room, room);
	limit = JOBQ_UNLIMITED;
	link_queue();
	for (int i = 0; i < njobs; i++)
		commit_job(i, i, now);
}

/*
 * Each group takes two entries, so there is room for fewer than were read.  None takes the
 * place of another one that has been read with it.
 */
static void
test_less_room(void)
{
	start_linked(7, 3);
	begin_reading(&slow);
	CHECK(slow.n == 3, "%d groups are read", slow.n);
	CHECK(end_reading(&slow) && slow.nback == 1, "%d groups have room", slow.nback);
	CHECK(reads_after(0), "the first group has left before its turn");
	CHECK(end_reading(&slow) && reads_after(1), "the lap does not go on");
	(void) end_reading(&slow);
}

/*
 * Another queue may share the second entry of a group.  Where there is room
 * for one group only, the lap stays there until the next one finds room in its place, and
 * does not begin anew.
 */
static void
test_shared_entries(void)
{
	JobqGroupKey key;
	JobqGroupKey other;

	start_linked(7, 3);
	make_shared(&key, names[0]);
	begin_reading(&slow);
	CHECK(slow.n == 2, "%d groups are read", slow.n);
	make_shared(&other, names[9]);
	CHECK(end_reading(&slow) && slow.nback == 1, "%d groups have room", slow.nback);
	CHECK(reads_after(0), "the group that has found room is not the hand");
	CHECK(!end_reading(&slow), "another one has found room beside it");
	CHECK(reads_after(0), "the hand has left for one that finds no room");
	(void) end_reading(&slow);

	/* now the next one needs no more than the first one leaves */
	LWLockAcquire(test_limit_lock, LW_EXCLUSIVE);
	jobq_group_free_other(&other, ROLE);
	LWLockRelease(test_limit_lock);
	make_shared(&other, names[1]);
	begin_reading(&slow);
	CHECK(end_reading(&slow) && reads_after(1), "the lap does not go on");
	(void) end_reading(&slow);
}

int
main(void)
{
	test_missed();
	test_slow_reader();
	test_overtaken();
	test_abandoned();
	test_dropped();
	test_made_again();
	test_read_for_dropped();
	test_less_room();
	test_shared_entries();
	return check_finish();
}
