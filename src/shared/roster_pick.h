/*-------------------------------------------------------------------------
 *
 * roster_pick.h
 *	  Whose turn it is: the tickets of claims.
 *
 * Each function takes the lock of the queue's stream; none touches a table, allocates
 * or throws, so all may be called by commit and abort callbacks.
 *
 * IDENTIFICATION
 *	  src/shared/roster_pick.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROSTER_PICK_H
#define JOBQ_ROSTER_PICK_H

#include "shared/group_rate.h"
#include "shared/roster_ticket.h"

/* When the coordinator looks again at a queue whose groups have no room. */
#define JOBQ_ROSTER_LOOK_DELAY USECS_PER_SEC

typedef enum JobqTurn
{
	JOBQ_TURN_PLAIN,			/* the jobs without a group are next */
	JOBQ_TURN_GROUP,			/* a group is, of which a ticket was drawn */
	JOBQ_TURN_NOTHING,			/* no job is ready */
	JOBQ_TURN_NO_ROOM,			/* the same of groups in memory, and others
								 * find no room there */
	JOBQ_TURN_LINK,				/* the groups are to be counted by another
								 * limit first */
	JOBQ_TURN_READ_ON,			/* groups are to be read from the index first */
	JOBQ_TURN_OPTIONS			/* the options of a group, and what is kept of
								 * its last start, are to be read first */
} JobqTurn;

/* A group whose options are to be read. */
typedef struct JobqGroupQuestion
{
	uint64		number;
	uint32		changes;
	bool		is_look;		/* a look has to know */
	char		name[JOBQ_GROUP_NAME_SIZE];
} JobqGroupQuestion;

/*
 * For claims: whose turn it is.  For NOTHING and NO_ROOM, *next_run_at is lowered to the
 * earliest time at which there may be a job.  For OPTIONS, *question has the group.
 */
extern JobqTurn jobq_roster_pick(JobqQueueState *queue, const JobqPicking *how,
								 JobqGroupTicket *ticket,
								 JobqGroupQuestion *question,
								 TimestampTz *next_run_at);

/*
 * The group's options, and what is kept of its last start, were read after the
 * question was put.  If they have been changed since, the question is put again.
 */
extern void jobq_roster_answer(JobqQueueState *queue,
							   const JobqGroupQuestion *question,
							   const JobqGroupOptions *options,
							   TimestampTz kept);

/* They cannot be read: the turn goes to the next group. */
extern void jobq_roster_pass_over(JobqQueueState *queue,
								  const JobqGroupQuestion *question);

/*
 * Gives a ticket back: no job of the group was claimed.  Those that were seen are for later,
 * if `until` is.  Returns whether others have been added since it was drawn, for which
 * nobody may have been woken; then the group is in turn at once.
 */
extern bool jobq_roster_put_back(const JobqGroupTicket *ticket,
								 TimestampTz until, TimestampTz now);

/*
 * Draws a ticket for a certain group, which is made if necessary.  False if it may
 * start no job at that time, or there is no room.  If the ticket is unread, no start is
 * reserved yet.
 */
extern bool jobq_roster_enter(JobqQueueState *queue, const char *name,
							  const JobqPicking *how,
							  JobqGroupTicket *ticket);

/* A ticket only to keep the group in memory, as that of a look; false: no room. */
extern bool jobq_roster_visit(JobqQueueState *queue, const char *name,
							  JobqGroupTicket *ticket);

/*
 * The same with a ticket of the group that another job lends.  False if the group runs
 * more jobs than it may by now, or has no ready one, or its rate allows no start; then
 * *next_run_at is lowered.
 */
extern bool jobq_roster_borrow(JobqGroup *group, const JobqPicking *how,
							   JobqGroupTicket *ticket,
							   TimestampTz *next_run_at);

/* Whether some group may start one of its ready jobs; a hint. */
extern bool jobq_roster_sees_more(JobqQueueState *queue, TimestampTz now);

/*
 * Whether reading groups from the index may lead further, also if somebody else reads
 * them: for claims that have had all their turns.
 */
extern bool jobq_roster_may_read(JobqQueueState *queue, TimestampTz now);

/*
 * When a group has a job that is not ready now, or may have one that is; JOBQ_NEVER:
 * none has.  all_visited: no job was found in those that may start one now.
 */
extern TimestampTz jobq_roster_next_due(JobqQueueState *queue,
										bool all_visited, TimestampTz now);

/* The number of turns until all that may start a job have had theirs. */
extern int	jobq_roster_turns(JobqQueueState *queue);

#endif							/* JOBQ_ROSTER_PICK_H */
