/*-------------------------------------------------------------------------
 *
 * health_finding.h
 *	  A health check and its findings.
 *
 * IDENTIFICATION
 *	  src/health/health_finding.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_FINDING_H
#define JOBQ_HEALTH_FINDING_H

#include "nodes/pg_list.h"
#include "datatype/timestamp.h"

/* Age from which ready jobs count as not worked. */
#define JOBQ_HEALTH_JOB_AGE (5 * USECS_PER_MINUTE)

/* Delay from which something counts as late. */
#define JOBQ_HEALTH_LATE_AFTER (5 * USECS_PER_SEC)

/* Number of XIDs behind from which a horizon without a time counts as old. */
#define JOBQ_HEALTH_HORIZON_XIDS 100000

/* Number of objects named for each topic; the rest is counted. */
#define JOBQ_HEALTH_MAX_OBJECTS 100

/* Worst first, as they are shown. */
typedef enum JobqSeverity
{
	JOBQ_CRITICAL,				/* jobs or schedules do not run at all */
	JOBQ_WARNING,				/* some do not, or soon will not */
	JOBQ_INFO
} JobqSeverity;

/* A health check in progress. */
typedef struct JobqHealth
{
	MemoryContext context;		/* of the findings */
	List	   *findings;
	TimestampTz now;
	Oid			reader;
	bool		reads_all;		/* may see every queue and schedule */
	List	   *queues;			/* ids of those on which the reader has a
								 * privilege */
	bool		sees_sessions;	/* of other roles */
	bool		runs_jobs;		/* a coordinator is there and may start
								 * executors */
	List	   *bad_owners[JOBQ_INFO];	/* by severity: OIDs of roles that
										 * were told of */
	int			queues_without_room;	/* in shared memory, */
	int			limited_without_room;	/* and those of them with a limit */
	int			held_jobs;		/* that were told of */
	int			foreign_queues; /* not at home, and the reader may see them */
	int			foreign_schedules;
} JobqHealth;

/* A job of a queue with executors that a transaction has locked. */
typedef struct JobqHeldJob
{
	int64		job_id;			/* 0: none */
	TimestampTz run_at;
	int			pid;			/* whose it is, or JOBQ_HOLDER_PREPARED */
} JobqHeldJob;

/* What an operator must know; a row of the view. */
typedef struct JobqFinding
{
	JobqSeverity severity;
	const char *topic;
	const char *object;			/* NULL: none */
	const char *message;
	const char *hint;			/* NULL: none */
	TimestampTz since;			/* 0, or JOBQ_NEVER: not known */
} JobqFinding;

/* Adds a finding.  Its strings are copied. */
extern void jobq_health_add_finding(JobqHealth *health,
									const JobqFinding *finding);

/* The same, of values for fields by name: .severity = ..., .topic = ... */
#define jobq_health_add(health, ...) \
	jobq_health_add_finding(health, &(JobqFinding) {__VA_ARGS__})

#endif							/* JOBQ_HEALTH_FINDING_H */
