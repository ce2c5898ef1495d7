/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Rows of jobq's tables by the table and index access methods.
 *
 * No SQL, no triggers, no constraint but NOT NULL (asserted) and unique
 * indexes: jobq's tables have nothing else.  The caller has checked
 * privileges.  Works the same under every isolation level: rows are found by
 * their latest committed version, or the transaction's own.
 *
 * IDENTIFICATION
 *	  src/base/table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TABLE_H
#define JOBQ_TABLE_H

#include "base/index_entry.h"
#include "base/schema.h"

#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"
#include "storage/itemptr.h"

typedef struct JobqTable
{
	Relation	rel;
	TupleTableSlot *write_slot; /* virtual, to form new rows in */
	TupleTableSlot *version_slot;	/* of heap tuples, for new versions */
	struct JobqIndexes *indexes;	/* see index_entry.c; NULL: not looked at */
	EState	   *estate;			/* these three: only where the executor has to */
	ResultRelInfo *result_rel;	/* make the entries in the indexes */
	bool		speculative;	/* indexes are open for insert_unique */
	List	   *slots;			/* handed out by jobq_table_slot() */
	TupleTableSlot *spare;		/* one of them that was put back, or NULL */
	MemoryContext context;		/* the one that was current at open */
	struct JobqTable *companion;	/* closed with it; see history.c */
	ItemPointerData written;	/* where the last insert or update went */
} JobqTable;

/* Fills in the next of several rows, whose slot is empty. */
typedef void (*JobqRowSource) (void *arg, Datum *values, bool *nulls);

typedef enum JobqFindResult
{
	JOBQ_FOUND,					/* found and locked */
	JOBQ_MISSING,
	JOBQ_BUSY,					/* another transaction has it, and the caller
								 * does not wait: in the slot, not locked */
	JOBQ_UNWANTED				/* the filter said no: in the slot, not locked */
} JobqFindResult;

/* For which transactions to wait when locking a row. */
typedef enum JobqWaitPolicy
{
	JOBQ_NO_WAIT,
	JOBQ_WAIT,					/* for all that have locked it */
	JOBQ_WAIT_IF_WANTED,		/* the same, if the committed version
								 * satisfies the filter: not for a transaction
								 * whose change may make it do so */
	JOBQ_WAIT_FOR_WRITERS		/* for those that are changing or deleting it,
								 * not for those that only hold a lock */
} JobqWaitPolicy;

extern JobqTable *jobq_table_open(JobqRelation relation);
extern JobqTable *jobq_table_open_oid(Oid relid);
extern void jobq_table_close(JobqTable *table);
extern Oid	jobq_table_storage(const JobqTable *table);
extern TupleTableSlot *jobq_table_slot(JobqTable *table);
extern void jobq_table_put_slot_back(JobqTable *table, TupleTableSlot *slot);
extern void jobq_table_insert(JobqTable *table, const Datum *values,
							  const bool *nulls);
extern void jobq_table_insert_many(JobqTable *table, int nrows,
								   JobqRowSource source, void *arg);
extern bool jobq_table_insert_unique(JobqTable *table, Oid arbiter,
									 const Datum *values, const bool *nulls,
									 ItemPointer conflict);
extern JobqFindResult jobq_table_try_update(JobqTable *table,
											TupleTableSlot *old,
											const Datum *values,
											const bool *nulls);
extern JobqFindResult jobq_table_try_delete(JobqTable *table,
											TupleTableSlot *old);
extern void jobq_table_update(JobqTable *table, TupleTableSlot *old,
							  const Datum *values, const bool *nulls);
extern void jobq_table_delete(JobqTable *table, TupleTableSlot *old);

#endif							/* JOBQ_TABLE_H */
