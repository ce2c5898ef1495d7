/*-------------------------------------------------------------------------
 *
 * roster_model.c
 *	  A queue with groups and its jobs, and those who claim them, in one process.
 *
 * IDENTIFICATION
 *	  test/unit/roster_model.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "roster_model.h"

#include "shared/lane_refill.h"
#include "shared/roster_memory.h"
#include "shared/wake.h"

#include "check.h"
#include "server.h"

#undef snprintf

Job			jobs[JOBS];
char		names[GROUPS][16];
JobqQueueState queue;
TimestampTz now = 1000;
int			limit = JOBQ_UNLIMITED;
uint64_t	seed = 1;

const JobqGcra *rate = NULL;
static TimestampTz starts[GROUPS][RATE_LIMIT];
static int	nstarts[GROUPS];

const JobqGroupOptions no_options = {.weight = 1};
bool		with_options = false;
JobqGroupOptions options[GROUPS];
JobqGroupQuestion question;
JobqGroupOptions late_answer;
bool		has_question = false;

Reader		slow;

void
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
void
change_options(int group, JobqGroupOptions to)
{
	options[group] = to;
	jobq_roster_options_changed(&queue, names[group]);
}

JobqGroupOptions
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

void
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

void
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

void
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
void
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
		{
			strcpy(reader->groups[reader->n].name, names[i]);
			reader->groups[reader->n++].priority = 0;
		}
	}
	reader->to_end = reader->n < reading->room;
}

/* False if that leads no further. */
bool
end_reading(Reader *reader)
{
	reader->is_reading = false;
	reader->result = jobq_roster_read_end(&reader->reading, reader->groups,
										  reader->n, reader->to_end, now,
										  &reader->nback, &reader->must_wake);
	return reader->result == JOBQ_READ_SOME;
}

/* Reads on, as turn_draw.c does it. */
static bool
read_on(int *turns_left, int *laps_left, bool early)
{
	Reader		reader;

	begin_reading(&reader);
	if (!reader.is_reading)
	{
		*turns_left += jobq_roster_turns(&queue);
		return false;
	}
	if (!early && reader.reading.after[0] == '\0')
		*laps_left = 1;
	(void) end_reading(&reader);
	*turns_left += reader.nback;
	if (reader.result == JOBQ_READ_TO_END)
		return --* laps_left > 0;
	return reader.result == JOBQ_READ_SOME;
}

void
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
int
claim_reading(bool may_read)
{
	JobqPicking picking = {
		.now = now,.max_running = limit,.may_read = may_read,
		.has_options = with_options,.rate = rate
	};
	bool		has_drawn = false;
	int			turns_left = jobq_roster_turns(&queue) + 1;
	int			laps_left = 2;
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
			picking.may_read = read_on(&turns_left, &laps_left, false);
			if (turns_left > 0)
				turns_left++;
		}
		if (turns_left == 0)
			break;
		picking.is_first = !has_drawn;
		has_drawn = true;
		switch (jobq_roster_pick(&queue, &picking, &ticket, &asked, &next))
		{
			case JOBQ_TURN_PLAIN:
				turns_left--;
				break;
			case JOBQ_TURN_LINK:
				CHECK(false, "there is no limit that counts groups");
				return -1;
			case JOBQ_TURN_NOTHING:
			case JOBQ_TURN_NO_ROOM:
				return -1;
			case JOBQ_TURN_READ_ON:
				picking.may_read = read_on(&turns_left, &laps_left,
										   picking.is_first &&
										   jobq_roster_turns(&queue) > 1);
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

int
claim(void)
{
	return claim_reading(true);
}

void
finish(int id)
{
	jobs[id].state = NOWHERE;
	(void) jobq_roster_leave(jobs[id].ticket, 1, now);
}

/* The claim is rolled back. */
void
give_back(int id)
{
	jobs[id].state = READY;
	jobq_roster_lower(&queue, &jobs[id].place, now);
	(void) jobq_roster_leave(jobs[id].ticket, 1, now);
}

/* The coordinator looks, and learns when to look again. */
void
look(void)
{
	TimestampTz next;

	pg_atomic_write_u64(&queue.next_look, (uint64) JOBQ_NEVER);
	next = jobq_roster_next_due(&queue, false, now);
	jobq_wake_for_queue_at(&queue, next);
}

/* ----------------------------------------------------------------- checks */

/* The coordinator knows when the jobs of groups are due that nobody looks at. */
void
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

void
check_covered(const char *when)
{
	for (int i = 0; i < JOBS; i++)
	{
		if (jobs[i].state == READY && !options[jobs[i].group].paused)
			CHECK(jobq_roster_covers(&queue, &jobs[i].place),
				  "%s: job %d of group %s is lost", when, i, names[jobs[i].group]);
	}
}

/*
 * Claim and finish until nothing is found, for as long as the rate takes; all that is
 * due must be gone.
 */
void
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

/* The number of groups that the queue knows of. */
int
count_groups(void)
{
	int			n = 0;
	dlist_iter	iter;

	dlist_foreach(iter, &queue.roster.all)
		n++;
	return n;
}
