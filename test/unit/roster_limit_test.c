/*-------------------------------------------------------------------------
 *
 * roster_limit_test.c
 *	  Queues are linked to the limit that counts their groups, where memory is full.
 *
 * IDENTIFICATION
 *	  test/unit/roster_limit_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/group.h"
#include "shared/roster_limit.h"
#include "shared/roster_memory.h"

#include "check.h"
#include "roster_model.h"
#include "server.h"

/* Other queues of the role, of which nobody claims jobs, and some of which jobs run. */
#define OTHERS 2
#define MOST_BUSY 20
static JobqQueueState others[OTHERS];
static JobqQueueState busy[MOST_BUSY];

static const JobqLimitView view = {.number = 1,.max_running = 1,.position = 1};

static void
make_queue(JobqQueueState *state)
{
	memset(state, 0, sizeof(*state));
	state->entry.role = ROLE;
	jobq_roster_make(state, test_lock, ROLE);
}

/* Jobs that run take what is kept for queues with few groups; returns how much. */
static int
take_kept(void)
{
	int			taken = 0;

	for (int i = 0; i < MOST_BUSY; i++)
	{
		make_queue(&busy[i]);
		for (; jobq_group_room(&busy[i]) > 0; taken++)
			(void) jobq_roster_join(&busy[i], names[taken]);
	}
	return taken;
}

/*
 * Memory has room for no other group.  The queue has some with jobs, and so has each of the
 * others.
 */
static void
fill(int njobs, int njobs_of_others)
{
	int			room = njobs + OTHERS * njobs_of_others;
	int			kept;

	/* one role gets half of it, but for the sixteenth that is kept */
	start((room * 2 - 1) * 16 / 15, room * 3);
	limit = JOBQ_UNLIMITED;
	discover(&queue.stream, -1);
	for (int i = 0; i < njobs; i++)
		commit_job(i, i, now);
	for (int i = 0; i < njobs; i++)
		tell(i);
	for (int i = 0; i < OTHERS; i++)
	{
		make_queue(&others[i]);
		for (int j = 0; j < njobs_of_others; j++)
		{
			JobqPlace	place = {.key = {now, j},.group = names[j]};

			jobq_roster_lower(&others[i], &place, now);
		}
	}
	kept = take_kept();
	CHECK(jobq_group_room(&queue) == 0 && count_groups() == njobs &&
		  hash_get_num_entries(NULL) == room + kept, "memory is not full");
}

/* Jobs of the first groups of the queue run. */
static void
run(int njobs)
{
	JobqPicking how = {.now = now,.max_running = JOBQ_UNLIMITED};
	JobqGroupTicket ticket;

	for (int i = 0; i < njobs; i++)
	{
		CHECK(jobq_roster_enter(&queue, names[i], &how, &ticket), "group %d cannot start", i);
		jobs[i].state = CLAIMED;
		jobs[i].ticket = ticket.group;
	}
}

static JobqLinkResult
make_link(void)
{
	return jobq_limit_link(&queue, NULL, &view);
}

/* Reads the groups of the queue; how many have come into memory. */
static int
read_back(void)
{
	begin_reading(&slow);
	CHECK(slow.is_reading, "nothing is read");
	(void) end_reading(&slow);
	return slow.nback;
}

/* Others have more groups than the queue: they make room. */
static void
test_others_give(void)
{
	fill(1, 4);
	CHECK(make_link() == JOBQ_LINKED, "there is no room");
	CHECK(count_groups() == 1, "a group has left that had room");
	CHECK(others[0].roster.ngroups + others[1].roster.ngroups == 6,
		  "more than the link and the limit's entry were made room for");
}

/*
 * No other queue has more groups than this one.  Its own leave for the link, which
 * would have to wait for as long as nobody claims jobs of the others.
 */
static void
test_own_leave(void)
{
	for (int njobs = 1; njobs <= 70; njobs += 23)
	{
		fill(njobs, 1);
		CHECK(make_link() == JOBQ_LINKED, "there is no room for a link");
		CHECK(count_groups() >= njobs - njobs / 2 - 2, "too many groups have left");
		CHECK(!queue.roster.complete, "groups that have left are not read again");
	}
	fill(1, 1);
	CHECK(make_link() == JOBQ_LINKED && count_groups() == 0, "the group stays");
	CHECK(read_back() == 1, "the group finds no room beside the link");
	check_covered("after a link");
}

/* So does the group that a lap has come to. */
static void
test_hand_leaves(void)
{
	fill(1, 1);
	queue.roster.complete = false;
	queue.roster.next_lap = DT_NOBEGIN;
	begin_reading(&slow);
	slow.to_end = false;
	(void) end_reading(&slow);
	CHECK(queue.roster.hand != NULL && jobq_group_room(&queue) == 0, "there is no hand");
	CHECK(make_link() == JOBQ_LINKED, "there is no room for a link");
	CHECK(read_back() == 1, "the lap does not begin anew");
	check_covered("after a link");
}

/*
 * Groups of which jobs run stay, and must be counted: all of them, or the queue is not
 * linked.
 */
static void
test_running(void)
{
	fill(4, 1);
	run(1);
	CHECK(make_link() == JOBQ_LINKED, "there is no room");
	CHECK(jobs[0].ticket->shared != NULL && jobs[0].ticket->shared->running == 1,
		  "the running job is not counted");

	fill(4, 1);
	run(4);
	CHECK(make_link() == JOBQ_LINK_NO_ROOM, "there is room for all");
	CHECK(queue.roster.limit == NULL && count_groups() == 4, "the queue is linked");
	CHECK(jobq_roster_running(&queue) == 4, "tickets are lost");
	for (int i = 0; i < 4; i++)
		finish(i);
	CHECK(make_link() == JOBQ_LINKED, "there is no room when they have ended");
}

int
main(void)
{
	test_others_give();
	test_own_leave();
	test_hand_leaves();
	test_running();
	return check_finish();
}
