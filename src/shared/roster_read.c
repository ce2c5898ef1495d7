/*-------------------------------------------------------------------------
 *
 * roster_read.c
 *	  Laps: a queue's groups are read from the index, some at a time.
 *
 * roster.c has the rules.  Usually one process reads, and the others use what is in
 * memory.  If one of them finds nothing there, it reads the same groups: it waits for
 * nobody, who may be slow or stopped.  The one that ends first counts.  For the others
 * nread has changed, so they have the lap go no further: the hand is elsewhere, or in
 * another lap, which began after their snapshots.
 *
 * IDENTIFICATION
 *	  src/shared/roster_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/roster_read.h"

#include "shared/group.h"
#include "shared/lane.h"
#include "shared/roster_memory.h"
#include "shared/roster_place.h"
#include "shared/roster_room.h"

/* What this process is reading; NULL: nothing. */
static JobqQueueState *reading_queue = NULL;
static uint64 reading_resets;

/* How many groups could be brought in, if necessary in place of others. */
static int
room_for(JobqQueueState *queue)
{
	const JobqRoster *roster = &queue->roster;
	int			room = jobq_group_room(queue) + roster->nturn + roster->nidle;

	return Min(room, JOBQ_ROSTER_READ);
}

/* See roster_read.h. */
bool
jobq_roster_read_begin(JobqRosterReading *reading, JobqQueueState *queue)
{
	JobqRoster *roster = &queue->roster;
	bool		result;

	if (roster->is_short)
		jobq_roster_seek_room(queue, JOBQ_ROSTER_READ);
	jobq_roster_lock(queue);
	result = !roster->complete && !queue->entry.dropped;
	if (result)
	{
		if (!roster->in_lap)
		{
			roster->in_lap = true;
			roster->next_lap = JOBQ_NEVER;
		}
		roster->nreading++;
		reading->queue = queue;
		reading->resets = roster->resets;
		reading->nread = roster->nread;
		reading->nlaps = roster->nlaps;
		reading->room = Max(room_for(queue), 1);
		if (roster->hand == NULL)
			reading->after[0] = '\0';
		else
			memcpy(reading->after, roster->hand->key.name,
				   sizeof(reading->after));
		reading_queue = queue;
		reading_resets = roster->resets;
	}
	jobq_roster_unlock(queue);
	return result;
}

/*
 * The lap has come to a group, which stays in memory until it goes on; NULL: to the
 * end.
 */
static void
move_hand(JobqRoster *roster, JobqGroup *group, TimestampTz now)
{
	JobqGroup  *last = roster->hand;

	roster->hand = group;
	if (last != NULL && last->place == JOBQ_GROUP_RESTS)
		jobq_roster_settle(last, now);
}

/*
 * Makes room for a group, the first of those that were read or not.  The others may not
 * take the place of the hand, which has been read with them and had no turn yet.
 */
static bool
make_room(JobqRoster *roster, const char *name, bool first, int *nold)
{
	return jobq_roster_put_one_out(roster, nold) ||
		(first && jobq_roster_put_hand_out(roster, name));
}

/*
 * Brings a group that has jobs into memory, in place of another one if necessary.
 * NULL if there is no room.
 */
static JobqGroup *
bring_in(JobqQueueState *queue, const JobqGroupRead *read, bool first, int *nold)
{
	JobqGroup  *group = jobq_group_find(queue, read->name);

	if (group != NULL)
		return group;
	while ((group = jobq_roster_add(queue, read->name)) == NULL)
	{
		if (!make_room(&queue->roster, read->name, first, nold))
			return NULL;
	}
	/* the claim that looks for the others fills this lane by the same scan */
	(void) jobq_lane_get(&group->stream, read->priority);
	jobq_roster_put_in_turn(&queue->roster, group);
	return group;
}

/* The lap has come to the end of the index. */
static void
end_lap(JobqRoster *roster, TimestampTz now)
{
	move_hand(roster, NULL, now);
	roster->in_lap = false;
	roster->nlaps++;
	roster->complete = roster->next_lap == JOBQ_NEVER;
	roster->is_short = !roster->complete;
	jobq_roster_set_active(roster);
}

/*
 * Brings groups that were read into memory, and has the lap go on behind the last one.
 * Returns how many have found room.
 */
static int
go_on(JobqQueueState *queue, const JobqGroupRead *groups, int n, TimestampTz now)
{
	JobqRoster *roster = &queue->roster;
	JobqGroup  *group;
	int			nold = roster->nturn;
	int			brought = 0;

	roster->nread++;
	roster->npicks = 0;
	while (brought < n &&
		   (group = bring_in(queue, &groups[brought], brought == 0, &nold)) != NULL)
	{
		move_hand(roster, group, now);
		brought++;
	}
	if (brought == 0 && n > 0)
	{
		roster->read_at = now + JOBQ_ROSTER_NO_ROOM_DELAY;
		roster->is_short = true;
	}
	return brought;
}

/*
 * This process reads no longer; whether it has to wake who found nothing while it did.
 */
static bool
stop_reading(JobqRoster *roster)
{
	bool		wake = roster->missed;

	roster->nreading--;
	roster->missed = false;
	return wake;
}

/* See roster_read.h. */
JobqReadResult
jobq_roster_read_end(const JobqRosterReading *reading,
					 const JobqGroupRead *groups, int n, bool at_end,
					 TimestampTz now, int *nback, bool *wake)
{
	JobqQueueState *queue = reading->queue;
	JobqRoster *roster = &queue->roster;
	JobqReadResult result = JOBQ_READ_SOME;

	jobq_roster_lock(queue);
	reading_queue = NULL;
	*wake = roster->resets == reading->resets && stop_reading(roster);
	if (roster->resets != reading->resets || roster->nread != reading->nread)
	{
		/* those that others have brought in have not had their turn */
		*nback = roster->nturn;
		if (roster->nlaps != reading->nlaps)
			result = JOBQ_READ_TO_END;
	}
	else
	{
		*nback = go_on(queue, groups, n, now);
		if (*nback == 0 && n > 0)
			result = JOBQ_READ_NONE;
		else if (*nback == n && at_end)
		{
			end_lap(roster, now);
			result = JOBQ_READ_TO_END;
		}
		/* without room for any of them, they are found by the index */
		*wake = *wake || (roster->starved && *nback > 0);
		roster->starved = roster->starved && *nback == 0;
	}
	jobq_roster_unlock(queue);
	return result;
}

/* See roster_read.h.  Who found nothing while this process was reading is woken. */
JobqQueueState *
jobq_roster_read_abandon(void)
{
	JobqQueueState *queue = reading_queue;
	JobqRoster *roster;
	bool		wake = false;

	if (queue == NULL)
		return NULL;
	jobq_roster_lock(queue);
	reading_queue = NULL;
	roster = &queue->roster;
	if (roster->resets == reading_resets)
		wake = stop_reading(roster);
	jobq_roster_unlock(queue);
	return wake ? queue : NULL;
}
