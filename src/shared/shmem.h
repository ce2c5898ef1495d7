/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  Shared memory of jobq: what is in it and which lock guards what.
 *
 * Everything here can be rebuilt from the tables.  Losing it costs time,
 * never a job.
 *
 * Locks (one LWLock tranche, "jobq"):
 *
 *	JOBQ_LOCK_DATABASES	allocation of databases[]; fields marked (D)
 *	JOBQ_LOCK_QUEUES	structure of the hash table of queues
 *	JOBQ_LOCK_WORKERS	workers[]; fields marked (W)
 *	JOBQ_LOCK_WAITERS	waiters[]
 *	JOBQ_LOCK_LEASES	the hash table of leases
 *	JOBQ_LOCK_COUNTS	the numbers of unfinished jobs (unfinished.c); ProcArrayLock
 *						and XidGenLock are taken under it
 *	JOBQ_LOCK_LANES ...	the lanes and groups of queues (lane.c, roster.c), each
 *						queue by one of several; taken under JOBQ_LOCK_QUEUES
 *						or JOBQ_LOCK_LEASES at times
 *	JOBQ_LOCK_GROUPS	structure of the hash table of groups, and the queues that
 *						have some; taken under the lock of a queue's lanes
 *	JOBQ_LOCK_LIMIT_QUEUES ...	the queues that a limit has turned away
 *						(limit_state.c), and the groups that it counts
 *						(limit_group.c), each limit by one of several; taken
 *						under the lock of a queue's lanes; JOBQ_LOCK_GROUPS is
 *						taken under it
 *	JOBQ_LOCK_APPLIED	the prepared transactions of apply workers (applied.c)
 *
 * Otherwise they are taken one at a time, never nested, and never held
 * across I/O, SPI or user code.  Commit callbacks take them, too, so nothing
 * done under them may throw.
 *
 * Processes are woken by jobq_wake_process(): the number of a PGPROC always
 * names a latch that exists, so a stale one costs a spurious wake-up only.
 *
 * Entries of databases[] have tenants.  The first process that needs one for a
 * database makes it.  It is given up when the database has been dropped, and
 * then may become another database's.  A process that keeps a pointer without
 * holding a lock must check whose entry it is. jobq_database() compares the
 * OID: a session's own database cannot be dropped under it, but its entry may
 * be given up in error.  Counts that must be taken back (holds) compare the
 * tenancy under the lock, as two successive databases can have the same OID.
 *
 * IDENTIFICATION
 *	  src/shared/shmem.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SHMEM_H
#define JOBQ_SHMEM_H

#include "common/gcra.h"
#include "common/pairing_heap.h"
#include "guc.h"
#include "shared/gate.h"
#include "shared/ring.h"

#include "access/transam.h"
#include "lib/ilist.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "datatype/timestamp.h"

#define JOBQ_MAX_DATABASES 512
#define JOBQ_MAX_WAIT_QUEUES 64
#define JOBQ_MAX_TERMINATIONS 1024
#define JOBQ_MAX_UNDONE 256
#define JOBQ_ROLE_COUNTERS 1024
#define JOBQ_NUM_LANE_LOCKS 64
#define JOBQ_NUM_LIMIT_LOCKS 8
#define JOBQ_UNSHARED_AT_FIRST 8
#define JOBQ_QUEUE_CHANGES 128
#define JOBQ_LATE_OWNERS 64		/* values of a hash that tells owners apart */
#define JOBQ_NO_PROCESS (-1)
#define JOBQ_NO_QUEUE 0			/* ids of queues are positive */
#define JOBQ_NO_LIMIT 0			/* and those of limits */
#define JOBQ_NEVER DT_NOEND		/* a time that never comes */

enum
{
	JOBQ_LOCK_DATABASES,
	JOBQ_LOCK_QUEUES,
	JOBQ_LOCK_WORKERS,
	JOBQ_LOCK_WAITERS,
	JOBQ_LOCK_LEASES,
	JOBQ_LOCK_COUNTS,
	JOBQ_LOCK_LIMITS,
	JOBQ_LOCK_GROUPS,
	JOBQ_LOCK_APPLIED,
	JOBQ_LOCK_LIMIT_QUEUES,		/* the first of them */
	JOBQ_LOCK_LANES = JOBQ_LOCK_LIMIT_QUEUES + JOBQ_NUM_LIMIT_LOCKS,
	JOBQ_NUM_LOCKS = JOBQ_LOCK_LANES + JOBQ_NUM_LANE_LOCKS
};

/* Reasons to wake a coordinator: bits of JobqDatabase.wake. */
#define JOBQ_WAKE_WORK		0x0001	/* some queue has work set */
#define JOBQ_WAKE_TIME		0x0002	/* next_due has been lowered */
#define JOBQ_WAKE_CONFIG	0x0004	/* the service changed, or all of it */
#define JOBQ_WAKE_CANCEL	0x0008	/* there is a new cancel_request */
#define JOBQ_WAKE_LEASES	0x0010	/* leases ended with their session */
#define JOBQ_WAKE_RESYNC	0x0020	/* commits without reports: look at all */
#define JOBQ_WAKE_SLOTS		0x0040	/* a worker slot has become free */
#define JOBQ_WAKE_SCHEDULES 0x0100	/* a job that a schedule may wait for
									 * ended */
#define JOBQ_WAKE_INTERRUPT 0x0200	/* a job was interrupted: see that it ends */
#define JOBQ_WAKE_NOTIFY	0x0400	/* some queue has notify set */
#define JOBQ_WAKE_RETENTION 0x0800	/* finished jobs are kept for another
									 * time, or their queue is gone */
#define JOBQ_WAKE_NOTES		0x1000	/* an executor was terminated in a job */
#define JOBQ_WAKE_UNDONE	0x4000	/* shared transactions were rolled back */
#define JOBQ_WAKE_COUNT		0x0080	/* a limit needs to know what is running */
#define JOBQ_WAKE_DOUBT		0x10000 /* a prepared transaction has ended jobs */
#define JOBQ_WAKE_NO_ROOM	0x8000	/* a queue without room has jobs */
#define JOBQ_WAKE_TAKEN_AWAY 0x20000	/* such a one has cancelled or dropped
										 * running jobs */
#define JOBQ_WAKE_LIMITS	0x40000 /* look at all queues of a limit, or where
									 * a promise was broken */
#define JOBQ_WAKE_PROMISES	0x80000 /* somebody has promised to claim */
#define JOBQ_WAKE_EMPTIED	0x100000	/* the table of jobs was truncated */

typedef enum JobqCoordinatorState
{
	JOBQ_COORDINATOR_NONE,		/* not running */
	JOBQ_COORDINATOR_STARTING,	/* registered by the launcher */
	JOBQ_COORDINATOR_RUNNING,	/* serving its database */
	JOBQ_COORDINATOR_ABSENT,	/* looked: there is no extension */
	JOBQ_COORDINATOR_RESTING	/* looked: nothing is at home (rest.c) */
} JobqCoordinatorState;

/* A change of a queue, or limit; see queue_change.c. */
typedef struct JobqQueueChange
{
	int32		queue;			/* or JOBQ_NO_QUEUE; below it: a limit, whose
								 * id this is with the sign changed */
	Oid			owner;			/* of the queue */
} JobqQueueChange;

/* The tasks of a coordinator, in order. */
typedef enum JobqTask
{
	JOBQ_TASK_CONFIG,
	JOBQ_TASK_NOTES,
	JOBQ_TASK_UNDONE,
	JOBQ_TASK_LEASES_LOAD,
	JOBQ_TASK_LEASES_EXPIRE,
	JOBQ_TASK_JOBS_EXPIRE,
	JOBQ_TASK_SCHEDULES,
	JOBQ_TASK_CANCEL,
	JOBQ_TASK_TERMINATE,
	JOBQ_TASK_WAKE_DUE,
	JOBQ_TASK_NOTIFY,
	JOBQ_TASK_ACTIVATION,
	JOBQ_TASK_RETENTION,
	JOBQ_TASK_SWEEP,
	JOBQ_TASK_REST,
	JOBQ_NUM_TASKS
} JobqTask;

#define JOBQ_TASK_FAILS (-1)
#define JOBQ_HOLDER_PREPARED (-2)

/*
 * What a coordinator's task had to put off because of another transaction; see
 * late.h.
 */
typedef struct JobqTaskReport
{
	TimestampTz since;			/* when the longest of it was due; JOBQ_NEVER:
								 * nothing is put off */
	TimestampTz until;			/* time of the next look */
	TimestampTz seen_at;		/* when it was met last, by the real clock */
	pid_t		pid;			/* the process in the way, 0: not known;
								 * JOBQ_TASK_FAILS: an error;
								 * JOBQ_HOLDER_PREPARED */
	int64		job_id;			/* the job that was due, 0: none */
	int32		queue;			/* its queue */
} JobqTaskReport;

typedef struct JobqDatabase
{
	Oid			dboid;			/* (D); InvalidOid: free entry */
	uint64		tenancy;		/* (D) distinguishes tenants of the entry */

	JobqCoordinatorState state; /* (D) */
	pid_t		coordinator_pid;	/* (D); 0: none */
	int			coordinator_proc;	/* (D); JOBQ_NO_PROCESS: none */
	bool		wanted;			/* (D) launcher: start a coordinator */
	TimestampTz retry_at;		/* (D) launcher: not before; DT_NOBEGIN: the
								 * last exit was an orderly one */
	int			holds;			/* (D) DDL in progress: all must leave */
	bool		stopped;		/* (D) the table says that stop() is in force */
	int			stoppers;		/* (D) open transactions that called stop() */
	pid_t		stopper_pid;	/* (D) the latest of them */
	uint32		stop_changes;	/* (D) counts events that make a reading of
								 * the table outdated */
	bool		starving;		/* (D) wants an executor, found no slot: */
	bool		no_process;		/* (D) the server had no free one */
	Oid			capped_role;	/* (D) has jobs here and no executor, but as
								 * many elsewhere as it may have */
	Oid			frozen_role;	/* (D) an executor of this role found that it
								 * may only read here, */
	TimestampTz frozen_at;		/* (D) at this time */
	bool		leases_loaded;	/* (D) leases hold all running jobs */
	JobqTaskReport tasks[JOBQ_NUM_TASKS];	/* (D) by number of the task */
	Oid			behind_role;	/* (D) has more schedules due than can be
								 * fired, */
	TimestampTz behind_since;	/* (D) since this time; see fire_owner.c */
	/* under JOBQ_LOCK_LEASES, see lease_registry.c */
	bool		leases_overflow;	/* leases that have to be listed found no
									 * room */
	TimestampTz unlisted_due;	/* the least end of those not listed */
	TimestampTz unlisted_noted; /* the same of those left out since a look
								 * began */

	pg_atomic_uint32 wake;		/* JOBQ_WAKE_ bits; set, then set latch */
	pg_atomic_uint32 generation;	/* counts changes of more than some
									 * queues: look at everything again */
	pg_atomic_uint64 next_due;	/* TimestampTz: earliest thing to do that the
								 * coordinator may not know of yet */

	pg_atomic_uint64 schedules_low; /* TimestampTz: the earliest next_run
									 * written since schedules were fired */
	pg_atomic_uint32 schedules_wait;	/* a schedule may be waiting for the
										 * end of its previous job */
	pg_atomic_uint32 ended_owner[JOBQ_LATE_OWNERS]; /* whose job has ended,
													 * see ended_owner.c */

	pg_atomic_uint32 notes_read;	/* executors' notes of before the start
									 * are known, see uncounted.c */
	pg_atomic_uint32 left_out;	/* terminations for which there was no room
								 * since all were in shared memory */
	pg_atomic_uint64 nameless;	/* 0: they have files; else some have none: an
								 * errno, and above it how often that was so */
	pg_atomic_uint64 unread_since;	/* TimestampTz: since when notes that are
									 * needed cannot be read, see
									 * unread_note.c; 0: they can */
	pg_atomic_uint32 unread_errno;	/* why */

	/* see bgworker/executor/unrecorded.c */
	pg_atomic_uint64 unrecorded_since;	/* TimestampTz: since when outcomes
										 * cannot be recorded; 0: they can */
	pg_atomic_uint32 unrecorded_code;	/* of the error; 0: a file's */
	pg_atomic_uint32 unrecorded_errno;	/* of that */

	pg_atomic_uint64 history_turn;	/* how long a segment of history is
									 * written to, in microseconds; 0: not
									 * known yet */

	pg_atomic_uint64 expires_low;	/* TimestampTz: the earliest expires_at
									 * written since jobs were expired */

	pg_atomic_uint32 promises;	/* see promise.c */
	pg_atomic_uint32 dispatching;	/* jobs were claimed since the last sweep */
	pg_atomic_uint32 clock_steps;	/* how often the clock was set back */
	pg_atomic_uint64 swept;		/* number of jobs that only the sweep has
								 * found */

	slock_t		mutex;			/* guards what follows; see lease_number.c */
	bool		lease_block_known;	/* a block was taken since the start */
	int64		lease_block;	/* the highest one taken */
	int64		lease_next;
	int64		lease_end;

	slock_t		changes_mutex;	/* guards the log of changes of queues */
	pg_atomic_uint64 nchanges;	/* number of all changes ever; read without it */
	JobqQueueChange changes[JOBQ_QUEUE_CHANGES];	/* the last ones */
} JobqDatabase;

/* The key of an entry: a queue's, or a limit's. */
typedef struct JobqEntryKey
{
	Oid			dboid;
	int32		id;
	uint32		ended;			/* 0; a unique number if it is gone */
} JobqEntryKey;

/* What the entries of queues and limits begin with; see entry.c. */
typedef struct JobqEntry
{
	JobqEntryKey key;
	Oid			role;			/* whose share of the room it takes: the owner
								 * when it was made */
	pg_atomic_uint32 pins;		/* processes looking at it without a ticket */
	bool		dropped;		/* what it stands for is gone; it goes with
								 * the last ticket and pin */
} JobqEntry;

/* A stream with jobs of more priorities than that has no lanes. */
#define JOBQ_MAX_LANES 64

/* Candidates of a lane that are in memory at most: of a queue, of a group. */
#define JOBQ_LANE_CAPACITY 512
#define JOBQ_GROUP_CAPACITY 14

/*
 * Jobs that are claimed in one order, those of a queue or of a group: its lanes.  What is in
 * it is lane.c's, and under its lock.
 */
typedef struct JobqStream
{
	LWLock	   *lock;			/* stays when another stream gets the memory */
	uint64		resets;			/* changes when all lanes are dropped */
	int			first_lane;		/* in order of priority; -1: none */
	Oid			storage;		/* file of the table in which TIDs are valid */
	Oid			role;			/* whose share of the lanes it takes */
	uint8		nlanes;
	bool		discovered;		/* priorities without a lane have no jobs */
	bool		crowded;		/* too many priorities: lanes are not used */
	bool		is_group;		/* its rings are small */
	bool		forgotten;		/* no longer in use: it gets no lanes */
} JobqStream;

/* The name of a group has at most 127 bytes. */
#define JOBQ_GROUP_NAME_SIZE 128

typedef struct JobqGroupKey
{
	struct JobqQueueState *queue;	/* or, of a JobqLimitGroup, the number of
									 * a limit, which is odd */
	char		name[JOBQ_GROUP_NAME_SIZE]; /* zeros follow: keys are compared
											 * as memory */
} JobqGroupKey;

/* Where a group is in its queue's roster. */
typedef enum JobqGroupPlace
{
	JOBQ_GROUP_RESTS,			/* its jobs are running; no others are known */
	JOBQ_GROUP_IN_TURN,			/* it may have a ready job that may start */
	JOBQ_GROUP_PARKED,			/* it runs as many jobs as the queue allows */
	JOBQ_GROUP_HELD,			/* it is paused, or runs as many jobs as an
								 * option of its own allows */
	JOBQ_GROUP_LATER,			/* its jobs are ahead */
	JOBQ_GROUP_WAITS			/* the limit that the queue shares lets in no
								 * more jobs with its key */
} JobqGroupPlace;

/* What is said of a group by itself. */
typedef struct JobqGroupOptions
{
	int64		rate_period;
	int			rate_limit;		/* 0: what the queue says */
	int			rate_burst;
	int			max_running;	/* 0: what the queue says */
	int16		weight;			/* jobs in a turn */
	bool		paused;
} JobqGroupOptions;

/*
 * Jobs with the same group key, of all queues that share a limit; see limit_group.c.
 * All is under the limit's lock.  An entry of the hash table of groups.
 */
typedef struct JobqLimitGroup
{
	JobqGroupKey key;			/* the limit's number, and the group key */
	LWLock	   *lock;			/* the limit's */
	Oid			role;			/* whose share of the room it takes */
	uint32		running;		/* tickets of its groups that are out */
	int			ngroups;		/* of queues, in memory */
	int			max_running;	/* the greatest limit at which one waits */
	dlist_head	waiting;		/* groups that wait, by `peer` */
} JobqLimitGroup;

/*
 * What a queue has whose limit counts groups; see limit_group.c.  Under the lock of the
 * queue's stream.  An entry of the hash table of groups, with no name.
 */
typedef struct JobqLimitLink
{
	JobqGroupKey key;			/* the queue */
	uint64		limit;			/* the limit's number, */
	LWLock	   *lock;			/* and its lock */
	uint64		position;		/* in the log of changes, of the latest claim
								 * that knew so */
	int			waits_limit;	/* the least limit at which groups wait */
	dlist_head	waits;			/* groups that wait */
	pg_atomic_uint32 has_called;	/* read without a lock */
	dlist_head	called;			/* those of them that need not wait any more,
								 * by `peer`; under the limit's lock */
} JobqLimitLink;

/*
 * Jobs of a queue that have the same group key; see roster.c.  All is under the
 * lock of the queue's stream, which is the group's, too.
 */
typedef struct JobqGroup
{
	JobqGroupKey key;
	JobqStream	stream;			/* of its jobs */
	JobqGroupPlace place;
	uint32		running;		/* tickets that are out */
	uint32		told;			/* how often it was told of jobs; wraps */
	uint32		nblocked;		/* how often in a row it was put off, since
								 * its first job could not be claimed */
	uint64		number;			/* in the order in which groups were made */
	JobqGroupOptions options;	/* if knows_options */
	uint32		changes;		/* of them that were told; wraps */
	int16		served;			/* jobs in its present turn */
	bool		knows_options;
	bool		is_idle;		/* if it is later: it is not throttled */
	uint32		looks;			/* tickets of looks: no job runs by them */
	uint32		throttle_delay; /* of the last throttle(), in seconds */
	TimestampTz not_before;		/* when that ends; 0: it does not hold */
	JobqGcraTime tat;			/* of its rate, see group_rate.c */
	TimestampTz opens_at;		/* its rate lets no job start before; 0: look */
	uint32		opens_by;		/* by this rule: the roster's njudged then */
	uint32		reserved:30;	/* starts for which a job is looked for */
	uint32		knows_tat:1;
	uint32		keeps_tat:1;	/* a row that is committed says so, too */
	dlist_node	member;			/* of all groups of the queue in memory */
	dlist_node	link;			/* of those that are in the same place */
	JobqLimitGroup *shared;		/* where its tickets count, too; NULL: nowhere */
	union
	{
		JobqHeapNode later;		/* of those later, by time */
		dlist_node	peer;		/* of those that wait at `shared`, or were
								 * called; under the limit's lock */
	};
} JobqGroup;

/* The groups of a queue; see roster.c.  Under the lock of its stream. */
typedef struct JobqRoster
{
	pg_atomic_uint32 active;	/* 0: it is complete, and no group is in
								 * memory; read without the lock */
	int			nheld;
	dlist_head	all;			/* as they were made */
	JobqGroup  *next_out;		/* the next of them that is asked to leave, as
								 * roster_room.c does; NULL: the first one */
	dlist_head	turn;
	dlist_head	parked;
	dlist_head	held;
	JobqHeap	later;
	dlist_head	idle;			/* those of them that are not throttled, */
	dlist_head	throttled;		/* and the others */
	int			nidle;			/* read without the lock, too */
	int			ngroups;		/* in memory.  This and the next fields, up to
								 * of_role, are under JOBQ_LOCK_GROUPS */
	int			nkept;			/* of them, in entries kept for few groups */
	int			nthrottled;
	dlist_node	of_role;		/* of the role's queues that have groups */
	JobqGroup  *next;			/* in turn; NULL: the jobs without a group are
								 * next */
	JobqGroup  *next_look;		/* the same for looks, which take nobody's
								 * turn */
	uint64		nmade;			/* groups, so far */
	pg_atomic_uint32 running;	/* tickets of all groups that are out; read
								 * without the lock, too */
	int			nturn;
	int			npicks;			/* groups picked since groups were read */
	int			parked_limit;	/* the least limit at which groups are parked */
	bool		parked_unasked; /* some by claims that knew of no options */
	uint64		patience;		/* see JobqPicking */
	uint32		njudged;		/* how often that has changed; wraps */
	int			njudge;			/* since that changed, as many of those that
								 * are idle are to be judged, from the first
								 * on */
	bool		complete;		/* others than those in memory have no jobs
								 * that could be claimed, but for those that
								 * some transaction holds */
	bool		in_lap;			/* they are being read from the index */
	int			nreading;		/* processes that do so at this moment */
	uint64		nread;			/* readings that counted; see roster_read.c */
	uint64		nlaps;			/* that have ended */
	bool		starved;		/* somebody who found no job is to be woken
								 * when there are groups again */
	bool		missed;			/* the same while groups were read */
	bool		is_short;		/* there was no room for all groups */
	bool		keeps_order;	/* claims have kept the order of some group's
								 * jobs; read without the lock, too */
	uint64		resets;			/* changes when all of it is dropped, and is
								 * that of no other queue */
	TimestampTz read_at;		/* not before: no group has found room */
	TimestampTz next_lap;		/* the least time at which groups that were
								 * not in memory, and which the lap has
								 * passed, may have a ready job; JOBQ_NEVER:
								 * none has */
	JobqGroup  *hand;			/* the lap has come to here; NULL: it begins */
	JobqLimitLink *limit;		/* NULL: no limit counts its groups */
} JobqRoster;

/* What is known of a queue's counter. */
typedef enum JobqCountKind
{
	JOBQ_COUNT_UNKNOWN,			/* nothing: it must be counted */
	JOBQ_COUNT_AT_LEAST,		/* there may be more jobs */
	JOBQ_COUNT_ALL
} JobqCountKind;

/* The last throttle() of a queue; see throttle.c. */
typedef struct JobqThrottle
{
	pg_atomic_uint64 until;		/* TimestampTz; 0: it holds no longer */
	pg_atomic_uint64 delay;		/* microseconds */
} JobqThrottle;

/* Lives in shared memory; see rate.c.  Only rate.c looks inside. */
typedef struct JobqRate
{
	slock_t		mutex;			/* guards what follows */
	bool		known;			/* tat is that of the last start */
	bool		turned_away;	/* somebody found the gate shut, and must be
								 * woken if it opens earlier */
	uint32		reserved;		/* starts for which a job is looked for */
	JobqGcraTime tat;
	TimestampTz opens_at;		/* DT_NOBEGIN: somebody has to look */
	TimestampTz looked_at;		/* when that was found out */
} JobqRate;

/*
 * A queue.  The first process that needs an entry makes it; it lives until the
 * queue is dropped, or its database.  A pointer kept too long points to
 * another queue's flags at worst: a spurious wake-up, or a place in its lanes
 * where it has no job.  A process that removes candidates or moves the cursor has
 * a ticket or a pin, which keeps the entry from becoming another queue's.
 */
typedef struct JobqQueueState
{
	JobqEntry	entry;
	pg_atomic_uint32 work;		/* has ready jobs; an executor is wanted */
	pg_atomic_uint32 notify;	/* a NOTIFY is due */
	pg_atomic_uint32 waiting;	/* number of waiters, see waiter.c */
	pg_atomic_uint64 next_look; /* TimestampTz: when the coordinator is to
								 * look for ready jobs */
	pg_atomic_uint32 unshared;	/* short jobs to run before they may share
								 * transactions, see share.c */
	pg_atomic_uint32 drops;		/* transactions that are dropping the queue
								 * with its jobs: executors keep off */
	JobqGate	gate;			/* of the queue's max_running */
	JobqRate	rate;			/* of its rate_limit */
	JobqThrottle throttle;
	JobqStream	stream;			/* of its jobs without a group */
	JobqRoster	roster;			/* of its groups */

	/* see unfinished.c; but for `counted`, under JOBQ_LOCK_COUNTS */
	pg_atomic_uint32 counted;	/* whether changes are noted */
	JobqCountKind count_kind;
	bool		count_provisional;	/* older transactions may note nothing */
	FullTransactionId count_since;	/* older than this one */
	TimestampTz counted_at;
	uint32		count_version;
	Oid			count_storage;	/* the file of the table that was counted */
	pg_atomic_uint64 count;		/* int64: committed unfinished jobs; shared is
								 * enough to add */
} JobqQueueState;

/* Queues that a limit remembers at most. */
#define JOBQ_MAX_TURNED_AWAY 16

/* A queue that was turned away by a shared limit: whom to wake for it. */
typedef struct JobqTurnedAway
{
	JobqQueueState *state;
	uint64		position;		/* in the log of changes, when this was so */
	int32		queue;
	Oid			owner;			/* of a queue with executors */
	bool		notify;
	bool		told;			/* a worker was woken since */
} JobqTurnedAway;

/*
 * A limit that queues share; see limit_state.c.  What is said of pointers to queues
 * goes for limits, too: a slot keeps the entry from becoming another limit's.
 */
typedef struct JobqLimitState
{
	JobqEntry	entry;
	JobqGate	gate;			/* of its max_running */
	JobqRate	rate;			/* of its rate_limit */
	uint64		number;			/* odd; no other limit has had it */
	pg_atomic_uint32 counts_groups; /* its queues' groups are counted, see
									 * limit_group.c; stays so */
	pg_atomic_uint32 look;		/* the coordinator is to look at its queues */
	/* under one of JOBQ_LOCK_LIMIT_QUEUES */
	bool		more;			/* other queues were turned away as well */
	pg_atomic_uint32 nqueues;	/* read without it */
	JobqTurnedAway queues[JOBQ_MAX_TURNED_AWAY];
} JobqLimitState;

/* The gates of which a job has a ticket. */
typedef struct JobqGates
{
	JobqQueueState *queue;		/* NULL: it has no ticket */
	JobqLimitState *limit;		/* NULL: the queue shared none when it started */
	JobqGroup  *group;			/* NULL: it has none of a group */
} JobqGates;

/* The jobs of a stream that have one priority; see lane.c. */
typedef struct JobqLane
{
	int			next;			/* lane of the stream; -1: the last one */
	int16		priority;
	bool		refilling;
	JobqRing   *ring;			/* NULL: it has none */
	JobqKey		cursor;
	JobqKey		refill_low;		/* the least key lowered during the refill */
} JobqLane;

typedef enum JobqWorkerState
{
	JOBQ_WORKER_FREE,
	JOBQ_WORKER_STARTING,		/* reserved by a coordinator */
	JOBQ_WORKER_IDLE,			/* sleeping until woken */
	JOBQ_WORKER_BUSY
} JobqWorkerState;

/* An executor. */
typedef struct JobqWorker
{
	JobqWorkerState state;		/* (W) */
	Oid			dboid;			/* (W) */
	Oid			role;			/* (W) */
	uint64		generation;		/* (W) distinguishes tenants of the slot */
	pid_t		pid;			/* (W) */
	int			proc;			/* (W) */
	bool		woken;			/* (W) latch set since it went idle */
	int32		woken_for;		/* (W) the queue, JOBQ_NO_QUEUE: any */
	bool		leave;			/* (W) exit as soon as no job is running */
	bool		dismissed;		/* (W) by DDL, which has terminated it */
	Oid			give_way_to;	/* (W) database without an executor of the
								 * role, which has as many as it may */
	int32		queue;			/* (W) of the running job */
	int64		job_id;			/* (W) running job, 0: none */
	int64		ended_job;		/* (W) the job whose code is through, and
								 * whose outcome is not committed; 0: none */
	int32		attempt;		/* (W) */
	int64		lease;			/* (W) that holds the job, perhaps not yet
								 * committed; 0: none */
	bool		is_batch;		/* (W) it is the first of a batch */
	int			commits;		/* (W) jobs before it in its transaction,
								 * whose commit waits for it */
	TimestampTz started_at;		/* (W) of the process, or of the job */
	int64		cancel_job;		/* (W) job to be interrupted, 0: none */
	bool		wants_help;		/* (W) has seen more jobs, and found no slot */
	bool		evict;			/* (W) it is not cancelled by that, see
								 * JOBQ_EVICTED */
	TimestampTz cancelled_at;	/* (W) when it was so first, */
	TimestampTz signalled_at;	/* (W) and when it was last told */
	bool		terminated;		/* (W) the process was terminated, since its
								 * job still ran */
	bool		orphaned;		/* (W) starting, and its coordinator has gone */
	bool		recording;		/* (W) attempts that it has noted as not
								 * recorded are going to be recorded by it */
} JobqWorker;

/* An executor was terminated, or crashed, in the middle of this job. */
typedef struct JobqTermination
{
	Oid			dboid;			/* InvalidOid: none */
	int32		attempt;
	int64		job_id;
	TimestampTz started_at;
	pid_t		pid;			/* of the executor */
	bool		timed_out;		/* the job's timeout was over */
	bool		crashed;		/* the server had crashed */
	int			unrecorded;		/* 0, or the code of the error that kept the
								 * outcome from being recorded */
	bool		leased;			/* the job is held by a lease */
} JobqTermination;

/* A job that had ended when its transaction was rolled back; see undone.c. */
typedef struct JobqUndone
{
	Oid			dboid;			/* InvalidOid: none */
	int32		queue;
	int64		job_id;
	TimestampTz started_at;
	int64		cause;			/* the job that was running, 0: none */
	int32		attempt;
	pid_t		pid;			/* of the executor */
} JobqUndone;

/* A backend in jobq.wait(); indexed by process number. */
typedef struct JobqWaiter
{
	Oid			dboid;			/* InvalidOid: not waiting */
	bool		woken;
	int			nqueues;
	int32		queues[JOBQ_MAX_WAIT_QUEUES];
} JobqWaiter;

/* A process that has promised to claim; by process number, see promise.c. */
typedef struct JobqPromise
{
	pg_atomic_uint64 queue;		/* its JobqQueueState, as a number; 0: none */
	pg_atomic_uint64 made_at;	/* by jobq_stopwatch() */
	Oid			dboid;
} JobqPromise;

/*
 * A job held by a lease.  The lease is part of the key: a process may be
 * late to enter a lease that was given up meanwhile, and must not replace
 * the next one.
 */
typedef struct JobqLeaseKey
{
	int64		job_id;
	int64		lease;
	Oid			dboid;
	int32		unused;			/* always 0: keys are compared as memory */
} JobqLeaseKey;

typedef struct JobqLeaseEntry
{
	JobqLeaseKey key;
	TimestampTz until;			/* JOBQ_NEVER: ends with its session */
	int			proc;			/* of the session, JOBQ_NO_PROCESS if it is
								 * not bound to one */
	Oid			role;			/* for which it is counted */
	JobqGates	gates;			/* of the job's tickets */
	bool		open;			/* its claim is not committed: no other
								 * process touches it */
	bool		keep;			/* it stays listed, since its queue has a
								 * limit */
	bool		lent;			/* another job has the ticket */
	bool		group_lent;		/* or that of the group */
	bool		ends;			/* within one call of the registry: it is
								 * about to */
	bool		in_doubt;		/* the job may have ended without the entry
								 * being removed */
	bool		was_found;		/* it is not counted with the role's claims */
	struct JobqLeaseEntry *next;	/* of the same batch, see lease_batch.h; */
	struct JobqLeaseEntry *previous;	/* itself if there is no other */
} JobqLeaseEntry;

/* Of all queues, or of all limits; see entry.c. */
typedef struct JobqEntries
{
	uint32		ended;			/* numbers in keys of those that are gone */
	bool		lack_room;		/* the last that was wanted found no room */
	uint32		roles[JOBQ_ROLE_COUNTERS];	/* see jobq_role_counter() */
} JobqEntries;

typedef struct JobqShared
{
	LWLockPadded *locks;

	bool		has_launcher;	/* the postmaster starts one; never changes */
	int			launcher_proc;	/* (D) */
	bool		no_slots;		/* (D) the launcher has found no worker slot
								 * for a coordinator */
	pg_atomic_uint64 clock_offset;	/* added to the clock; tests only */
	pg_atomic_uint64 rates_since;	/* TimestampTz: see rate.c; 0: not known
									 * yet */
	int			max_waiters;
	int			starving;		/* (D) databases that are starving */
	Oid			given_to;		/* (D) a starving database for which an
								 * executor has just left, */
	TimestampTz given_until;	/* (D) and how long its slot is kept for it */

	/* see jobq_role_counter() */
	uint32		lease_roles[JOBQ_ROLE_COUNTERS];	/* under JOBQ_LOCK_LEASES */
	uint32		group_roles[JOBQ_ROLE_COUNTERS];	/* under JOBQ_LOCK_GROUPS;
													 * so are these: */
	uint32		throttled_roles[JOBQ_ROLE_COUNTERS];	/* throttled groups */
	uint32		kept_roles[JOBQ_ROLE_COUNTERS]; /* kept entries, see group.c */
	uint32		nkept;			/* all of them */
	dlist_head	group_queues[JOBQ_ROLE_COUNTERS];	/* queues with groups */

	JobqEntries queues;			/* under JOBQ_LOCK_QUEUES */
	JobqEntries limits;			/* under JOBQ_LOCK_LIMITS, as is this: */
	uint64		limit_number;	/* the latest JobqLimitState.number */

	/* see lane.c */
	slock_t		lane_mutex;		/* guards the pools of lanes and rings, and */
	uint32		lane_roles[JOBQ_ROLE_COUNTERS]; /* lanes in use, by role, */
	uint32		ring_roles[2][JOBQ_ROLE_COUNTERS];	/* and rings: those of
													 * queues, of groups */
	pg_atomic_uint32 rings_wanted[2];	/* somebody found no free ring, for a
										 * queue or a group */
	pg_atomic_uint64 lane_resets;	/* source of JobqStream.resets */

	pg_atomic_uint32 nrecording;	/* workers that are `recording` */
	pg_atomic_uint32 nterminations; /* entries in use below */
	JobqTermination terminations[JOBQ_MAX_TERMINATIONS];	/* (W) */

	int			next_undone;	/* (W) the oldest, to be overwritten */
	JobqUndone	undone[JOBQ_MAX_UNDONE];	/* (W) */

	JobqDatabase databases[JOBQ_MAX_DATABASES];
	int			nworkers;		/* slots from this one on are free; under
								 * JOBQ_LOCK_WORKERS */
	JobqWorker	workers[JOBQ_MAX_WORKER_SLOTS];
	JobqPromise *promises;		/* as many as waiters, which they follow */
	JobqWaiter	waiters[FLEXIBLE_ARRAY_MEMBER];
} JobqShared;

extern JobqShared *jobq_shared;
extern HTAB *jobq_shared_leases;	/* of JobqLeaseEntry */
extern HTAB *jobq_shared_groups;	/* of JobqGroup */

/* Set in the postmaster before it makes shared memory. */
extern bool jobq_launcher_is_registered;

extern LWLock *jobq_lock(int which);
extern uint32 *jobq_role_counter(uint32 *counters, Oid role);

#endif							/* JOBQ_SHMEM_H */
