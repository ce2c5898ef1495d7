/*-------------------------------------------------------------------------
 *
 * health.h
 *	  What is behind the view jobq.health: checks that add findings.
 *
 * A check is a function that looks at one thing and says what an operator
 * must know of it, to the role that reads the view and as far as that role may
 * know it.  It runs as that role, in its transaction, and changes nothing; it
 * must work on a standby unless health.c's table says that it is not run there.
 *
 * To add a check, write a function like those below, put it into the table in
 * health.c, and its topic into docs/reference.md.
 *
 * IDENTIFICATION
 *	  src/health.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_H
#define JOBQ_HEALTH_H

#include "queue.h"

#include "nodes/pg_list.h"

/* Ready jobs that have been waiting so long, and nobody seems to come. */
#define JOBQ_HEALTH_JOB_AGE (5 * USECS_PER_MINUTE)

/* What is late by more than that is. */
#define JOBQ_HEALTH_LATE_AFTER (5 * USECS_PER_SEC)

/* Horizons without a time of their own that are behind by so many xids. */
#define JOBQ_HEALTH_HORIZON_XIDS 100000

/* So many objects are named for each topic, the rest is counted. */
#define JOBQ_HEALTH_MAX_OBJECTS 100

/* Worst first, as they are shown. */
typedef enum JobqSeverity
{
	JOBQ_CRITICAL,				/* jobs or schedules do not run at all */
	JOBQ_WARNING,				/* some do not, or soon will not */
	JOBQ_INFO
} JobqSeverity;

/* A look at the state of things. */
typedef struct JobqHealth
{
	MemoryContext context;		/* of the findings */
	List	   *findings;
	TimestampTz now;
	Oid			reader;
	bool		reads_all;		/* may see every queue and schedule */
	List	   *queues;			/* ids of those on which the reader has any
								 * privilege */
	bool		sees_sessions;	/* of other roles */
	bool		runs_jobs;		/* a coordinator is there and may start
								 * executors */
	List	   *bad_owners[JOBQ_INFO];	/* by severity: OIDs of roles that
										 * were told of */
	int			queues_without_room;	/* in shared memory */
	int			held_jobs;		/* that were told of */
	int			foreign_queues; /* not at home, and the reader may see them */
	int			foreign_schedules;
} JobqHealth;

/*
 * Adds a finding.  Strings are copied; object and hint may be NULL, since may
 * be JOBQ_NEVER if it is not known.
 */
extern void jobq_health_add(JobqHealth *health, JobqSeverity severity,
							const char *topic, const char *object,
							const char *message, const char *hint,
							TimestampTz since);

/* A job of a queue with executors that a transaction has locked. */
typedef struct JobqHeldJob
{
	int64		job_id;			/* 0: none */
	TimestampTz run_at;
	int			pid;			/* whose it is, or JOBQ_HOLDER_PREPARED */
} JobqHeldJob;

/* health_queue.c: queues whose jobs wait, and why */
extern void jobq_health_check_queues(JobqHealth *health);

/* health_lost.c: jobs without a queue */
extern void jobq_health_check_lost_queues(JobqHealth *health);

/* health_job.c: jobs that do not end when they are told to */
extern void jobq_health_check_jobs(JobqHealth *health);

/* health_schedule.c: schedules that do not run */
extern void jobq_health_check_schedules(JobqHealth *health);

/* health_server.c: who keeps dead rows and history from being removed */
extern void jobq_health_check_horizon(JobqHealth *health);
extern void jobq_health_check_prepared(JobqHealth *health);
extern void jobq_health_check_history(JobqHealth *health);
extern void jobq_health_check_sync_replication(JobqHealth *health);
extern void jobq_health_check_logical(JobqHealth *health);

/* health_late.c: what the coordinator has put off, and who is in its way */
extern void jobq_health_check_late(JobqHealth *health);
extern void jobq_health_check_executors(JobqHealth *health);
extern void jobq_health_report_held_job(JobqHealth *health,
										const JobqQueue *queue,
										const JobqHeldJob *job);

#endif							/* JOBQ_HEALTH_H */
