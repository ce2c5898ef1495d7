/*-------------------------------------------------------------------------
 *
 * roster.h
 *	  The groups of a queue: whose turn it is.
 *
 * roster.c says what keeps it exact.  Each function takes the lock of the queue's
 * stream; none touches a table, allocates or throws, so all may be called by
 * commit and abort callbacks.
 *
 * IDENTIFICATION
 *	  src/shared/roster.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_H
#define JOBQ_ROSTER_H

#include "shared/lane.h"

/* Groups that are read from the index at a time. */
#define JOBQ_ROSTER_READ 64

/* When to read again if none of them has found room, in microseconds. */
#define JOBQ_ROSTER_NO_ROOM_DELAY (USECS_PER_SEC / 4)

/* When the coordinator looks again at a queue whose groups have no room. */
#define JOBQ_ROSTER_LOOK_DELAY USECS_PER_SEC

typedef enum JobqTurn
{
	JOBQ_TURN_PLAIN,			/* the jobs without a group are next */
	JOBQ_TURN_GROUP,			/* a group is, of which a ticket was drawn */
	JOBQ_TURN_NOTHING,			/* no job is ready */
	JOBQ_TURN_NO_ROOM,			/* the same of groups in memory, and others
								 * find no room there */
	JOBQ_TURN_READ_ON,			/* groups are to be read from the index first */
	JOBQ_TURN_OPTIONS			/* the options of a group are to be read first */
} JobqTurn;

/*
 * For queue_state.c: makes the stream of a queue and its roster, by the lock of its
 * memory; and forgets the groups after the stream has ended, but for those that
 * have tickets.
 */
extern void jobq_roster_make(JobqQueueState *queue, LWLock *lock_of_queue,
							 Oid role);
extern void jobq_roster_reset(JobqQueueState *queue);

/* Whether there may be groups with jobs.  Without the lock, a hint. */
static inline bool
jobq_roster_is_active(JobqQueueState *queue)
{
	return pg_atomic_read_u32(&queue->roster.active) != 0;
}

/*
 * A job of a group has become claimable, or may have: its transaction has ended.
 */
extern void jobq_roster_lower(JobqQueueState *queue, const JobqPlace *place,
							  TimestampTz now);

/*
 * A job of a group that a transaction had in its hands has been changed, or is gone:
 * the one after it may be the first now.  Returns whether the caller must wake a
 * worker.
 */
extern bool jobq_roster_unblock(JobqQueueState *queue, const char *group,
								TimestampTz now);

/* Whether the group may start one of its ready jobs; a hint. */
extern bool jobq_roster_is_in_turn(JobqQueueState *queue, const char *group);

/* Whether some group may; a hint. */
extern bool jobq_roster_sees_more(JobqQueueState *queue, TimestampTz now);

/*
 * When a group has a job that is not ready now, or may have one that is; JOBQ_NEVER:
 * none has.  all_visited: no job was found in those that may start one now.
 */
extern TimestampTz jobq_roster_next_due(JobqQueueState *queue,
										bool all_visited, TimestampTz now);

/* Whether there is no room for all groups with jobs.  Without the lock, a hint. */
static inline bool
jobq_roster_is_short(const JobqQueueState *queue)
{
	return queue->roster.is_short;
}

/* The number of turns until all that may start a job have had theirs. */
extern int	jobq_roster_turns(JobqQueueState *queue);

/* What a claim looks for. */
typedef struct JobqPicking
{
	TimestampTz now;
	int			max_running;	/* of each group; JOBQ_UNLIMITED */
	bool		may_read;		/* JOBQ_TURN_READ_ON is an answer */
	bool		has_own;		/* it has jobs that are not committed */
	uint64		gathering;		/* how jobs wait for a full batch: groups that
								 * did so are judged again when it changes */
	bool		has_options;	/* groups may have options of their own */
} JobqPicking;

/* A group whose options are to be read. */
typedef struct JobqGroupQuestion
{
	uint64		number;
	uint32		changes;
	char		name[JOBQ_GROUP_NAME_SIZE];
} JobqGroupQuestion;

/* A ticket of a group, for a job that is looked for. */
typedef struct JobqGroupTicket
{
	JobqGroup  *group;			/* NULL: there is none */
	uint32		told;			/* of which jobs it had been told */
	const JobqGroup *next;		/* whose turn it was after that */
	bool		keeps_turn;		/* to be set by who has only looked: it is the
								 * group's turn again */
	int			max_running;	/* how many jobs it may run, or JOBQ_UNLIMITED */
} JobqGroupTicket;

/*
 * For claims: whose turn it is.  For NOTHING and NO_ROOM, *next_run_at is lowered to the
 * earliest time at which there may be a job.  For OPTIONS, *question has the group.
 */
extern JobqTurn jobq_roster_pick(JobqQueueState *queue, const JobqPicking *how,
								 JobqGroupTicket *ticket,
								 JobqGroupQuestion *question,
								 TimestampTz *next_run_at);

/*
 * The group's options were read after the question was put.  If they have been
 * changed since, the question is put again.
 */
extern void jobq_roster_answer(JobqQueueState *queue,
							   const JobqGroupQuestion *question,
							   const JobqGroupOptions *options);

/* They cannot be read: the turn goes to the next group. */
extern void jobq_roster_pass_over(JobqQueueState *queue,
								  const JobqGroupQuestion *question);

/*
 * The options of a group were changed.  What is known of it is forgotten but its
 * tickets, and it takes part in the turns again.
 */
extern void jobq_roster_options_changed(JobqQueueState *queue,
										const char *name);

/*
 * No job of the group starts until that much later, in microseconds; 0 ends it.
 * False if there is no room for the group.
 */
extern bool jobq_roster_throttle(JobqQueueState *queue, const char *name,
								 int64 delay, TimestampTz now);

/*
 * Gives it back: no job of the group was claimed.  Those that were seen are for later,
 * if `until` is.  Returns whether others have been added since it was drawn, for which
 * nobody may have been woken; then the group is in turn at once.  Who has found a job
 * and leaves it to others sets keeps_turn before.
 */
extern bool jobq_roster_put_back(const JobqGroupTicket *ticket,
								 TimestampTz until, TimestampTz now);

/*
 * Draws a ticket for a certain group, which is made if necessary.  False if it may
 * start no job at that time, or there is no room.
 */
extern bool jobq_roster_enter(JobqQueueState *queue, const char *name,
							  int max_running, TimestampTz now,
							  JobqGroupTicket *ticket);

/*
 * The same with a ticket of the group that another job lends.  False if the group runs
 * more jobs than it may by now, or has no ready one; then *next_run_at is lowered.
 */
extern bool jobq_roster_borrow(JobqGroup *group, const JobqPicking *how,
							   JobqGroupTicket *ticket,
							   TimestampTz *next_run_at);

/* A ticket of a job that runs already; NULL if there is no room. */
extern JobqGroup *jobq_roster_join(JobqQueueState *queue, const char *name);

/* Gives tickets back; returns whether the caller must wake a worker. */
extern bool jobq_roster_leave(JobqGroup *group, int tickets, TimestampTz now);

/*
 * The same for a ticket of a queue that is gone, or which another one stands for, under
 * JOBQ_LOCK_LEASES: nobody is to be woken.
 */
extern void jobq_roster_leave_quietly(JobqGroup *group, TimestampTz now);

/*
 * Reading groups from the index, after JOBQ_TURN_READ_ON; one at a time per
 * process.  The snapshot has to be taken after the beginning.
 */
typedef struct JobqRosterReading
{
	JobqQueueState *queue;
	uint64		resets;
	int			room;			/* how many groups are of use, at most */
	char		after[JOBQ_GROUP_NAME_SIZE];	/* the first one is after this */
} JobqRosterReading;

/* False if somebody else is reading. */
extern bool jobq_roster_read_begin(JobqRosterReading *reading,
								   JobqQueueState *queue);

/*
 * These groups were seen, in order, and no others between them.  at_end: none
 * comes after them.  Returns how many of them have found room.  *wake: the caller
 * must wake a worker.
 */
extern int	jobq_roster_read_end(const JobqRosterReading *reading,
								 const char *const *names, int n, bool at_end,
								 TimestampTz now, bool *wake);

/*
 * For abort callbacks, too.  Returns the queue of which the caller must wake a worker;
 * NULL: none.
 */
extern JobqQueueState *jobq_roster_read_abandon(void);

/* The number of tickets that are out, of all groups or of one. */
extern int64 jobq_roster_running(JobqQueueState *queue);
extern int64 jobq_roster_running_of(JobqQueueState *queue, const char *name);

/* For sweep.c: whether claims would come across the job by themselves. */
extern bool jobq_roster_covers(JobqQueueState *queue, const JobqPlace *place);

#endif							/* JOBQ_ROSTER_H */
