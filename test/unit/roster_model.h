/*-------------------------------------------------------------------------
 *
 * roster_model.h
 *	  A queue with groups and its jobs, and those who claim them, in one process.
 *
 * What the tests of the roster share. Groups and jobs have numbers. Claims do what
 * turn.c does, with an array of jobs in place of the index.
 *
 * IDENTIFICATION
 *	  test/unit/roster_model.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef ROSTER_MODEL_H
#define ROSTER_MODEL_H

#include "shared/gate.h"
#include "shared/group_rate.h"
#include "shared/roster.h"
#include "shared/roster_pick.h"
#include "shared/roster_read.h"

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

/* Groups that were read, and are to be reported. */
typedef struct Reader
{
	JobqRosterReading reading;
	bool		is_reading;
	JobqGroupRead groups[JOBQ_ROSTER_READ];
	int			n;
	bool		to_end;
	JobqReadResult result;		/* when they were reported; so is this: */
	bool		must_wake;
	int			nback;
} Reader;

extern Job	jobs[JOBS];			/* by id */
extern char names[GROUPS][16];	/* in order */
extern JobqQueueState queue;
extern TimestampTz now;
extern int	limit;				/* of each group without one of its own */
extern uint64_t seed;

/* The rate of groups, NULL: none. In no such period may more of its jobs start. */
#define RATE_LIMIT	3
#define RATE_PERIOD 30
extern const JobqGcra *rate;

/* Options of groups, which claims ask for if there are any. */
extern const JobqGroupOptions no_options;
extern bool with_options;
extern JobqGroupOptions options[GROUPS];

/* Those of one group that a slow claim has read, and is to report. */
extern JobqGroupQuestion question;
extern JobqGroupOptions late_answer;
extern bool has_question;

/* One that is slower than the claims that come meanwhile. */
extern Reader slow;

/* A new queue without jobs, with room for that many groups and rings. */
extern void start(int room, int nrings);

/* Somebody changes the options of a group, and commits. */
extern void change_options(int group, JobqGroupOptions to);
extern JobqGroupOptions make_options(bool paused, int max_running, int weight);

extern void commit_job(int id, int group, TimestampTz run_at);
extern void tell(int id);
extern void discover(JobqStream *stream, int group);
extern void pass_time(TimestampTz time);

/* Read the names of the next groups, and report them: false if that leads no further. */
extern void begin_reading(Reader *reader);
extern bool end_reading(Reader *reader);

/* The job that is claimed, or -1. */
extern int	claim(void);
extern int	claim_reading(bool may_read);

extern void finish(int id);
extern void give_back(int id);
extern void look(void);

/* Checks; and the number of groups that the queue knows of. */
extern void check_times(const char *when);
extern void check_covered(const char *when);
extern void drain(void);
extern int	count_groups(void);

#endif							/* ROSTER_MODEL_H */
