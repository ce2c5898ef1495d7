/*-------------------------------------------------------------------------
 *
 * dispatch_scan.h
 *	  Reading the index of a stream from a given position.
 *
 * IDENTIFICATION
 *	  src/dispatch/dispatch_scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_DISPATCH_SCAN_H
#define JOBQ_DISPATCH_SCAN_H

#include "base/table.h"
#include "common/jobstate.h"
#include "queue/queue_row.h"
#include "shared/lane.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "utils/snapshot.h"

/* Less than any priority and no int16. */
#define JOBQ_BEFORE_ALL_PRIORITIES (PG_INT16_MIN - 1)

typedef struct JobqStreamIndex JobqStreamIndex;

/* The indexes that have the jobs of streams. */
typedef enum JobqStreamKind
{
	JOBQ_STREAM_QUEUE,			/* those of a queue without a group */
	JOBQ_STREAM_GROUP,			/* those of a group */
	JOBQ_STREAM_KINDS
} JobqStreamKind;

/* A scan of a stream. */
typedef struct JobqDispatchScan
{
	JobqTable  *jobs;
	const JobqQueue *queue;
	JobqStream *stream;			/* NULL: no room in shared memory */
	const char *group;			/* its name, in group_text; NULL: none */
	char		group_text[VARHDRSZ + JOBQ_GROUP_NAME_SIZE];	/* as a text value */
	const JobqStreamIndex *by;	/* the index that has its jobs */
	Relation	indexes[JOBQ_STREAM_KINDS]; /* NULL: not opened yet */
	IndexScanDesc scan;			/* NULL: none under way */
	Snapshot	snapshot;		/* registered; NULL: none yet */
	TupleTableSlot *slot;		/* the row that was read last */
	BlockNumber nblocks;		/* minimum number of blocks of the table */
	ScanKeyData members[2];		/* of the row comparison in the scan's key */
	bool		by_entry;		/* set before the first seek: it goes on by
								 * jobq_dispatch_step() */
} JobqDispatchScan;

/* What dispatch reads first from a row. */
typedef struct JobqHead
{
	JobqPlace	place;
	int32		queue;
	JobqState	state;
} JobqHead;

extern void jobq_dispatch_begin(JobqDispatchScan *scan, JobqTable *jobs,
								const JobqQueue *queue);
extern void jobq_dispatch_end(JobqDispatchScan *scan);
extern void jobq_dispatch_refresh(JobqDispatchScan *scan);

/* Ends the current index scan, if any. */
extern void jobq_dispatch_stop(JobqDispatchScan *scan);

/* Turns to the jobs without a group (NULL), or of a group. */
extern void jobq_dispatch_turn_to(JobqDispatchScan *scan, JobqStream *stream,
								  const char *group);
extern void jobq_dispatch_seek(JobqDispatchScan *scan, int16 priority);
extern void jobq_dispatch_seek_lane(JobqDispatchScan *scan, int16 priority,
									const JobqKey *from);
extern void jobq_dispatch_seek_later(JobqDispatchScan *scan, int16 priority,
									 TimestampTz run_at);

/*
 * (Re)starts at the last job of a lane with ROW(run_at, id) <= ROW(from); to be read
 * by jobq_dispatch_previous().
 */
extern void jobq_dispatch_seek_back(JobqDispatchScan *scan, int16 priority,
									const JobqKey *from);
extern bool jobq_dispatch_next(JobqDispatchScan *scan, JobqHead *head);
extern bool jobq_dispatch_previous(JobqDispatchScan *scan, JobqHead *head);
extern bool jobq_dispatch_step(JobqDispatchScan *scan, JobqHead *head,
							   bool *visible);

/*
 * Finds the first group with jobs after the one of that name ('': the first one),
 * and sets the name, which has JOBQ_GROUP_NAME_SIZE bytes.  False if there is
 * none.
 */
extern bool jobq_dispatch_next_group(JobqDispatchScan *scan, char *name);

/*
 * The same for one group after the other, without a descent in the index for each: starts
 * after the group of that name, and gives the next group with the priority of its first
 * job.
 */
extern void jobq_dispatch_seek_groups(JobqDispatchScan *scan, const char *name);
extern bool jobq_dispatch_walk_groups(JobqDispatchScan *scan, char *name,
									  int16 *priority);

/*
 * Finds the first job of the next lane, after one of the group of that name ('':
 * before all others), and sets the name.  False if no group has further lanes.
 */
extern bool jobq_dispatch_next_lane(JobqDispatchScan *scan, char *name,
									int16 priority, JobqHead *head);
extern bool jobq_dispatch_fetch(JobqDispatchScan *scan,
								const JobqPlace *place, JobqHead *head);

#endif							/* JOBQ_DISPATCH_SCAN_H */
