/*-------------------------------------------------------------------------
 *
 * index_entry.c
 *	  Entries of new rows in a table's indexes, without the executor.
 *
 * ExecOpenIndices() opens and locks all indexes of a table, and
 * ExecInsertIndexTuples() compiles and evaluates their predicates, for each
 * statement; when a statement adds one job, this is a third of the work.  Most
 * indexes are plain: a B-tree on columns, complete, or with a predicate that
 * says of one column or two that they are NULL, or are not. The row itself shows what such an index contains of
 * it, and an index in which the row has no entry need not even be opened.
 *
 * Nothing here knows which indexes a table should have: the relation cache has
 * the list, so that an added index, or one that is being rebuilt with
 * CONCURRENTLY, misses nothing.  If any index of a table is not plain, all are
 * left to the executor.
 *
 * The description of an index is kept until an invalidation message says
 * that its table has changed.
 *
 * IDENTIFICATION
 *	  src/base/index_entry.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/index_entry.h"

#include "access/genam.h"
#include "catalog/pg_am.h"
#include "nodes/primnodes.h"
#include "storage/lockdefs.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* More indexes, or columns of an index, than this are left to the executor. */
#define MAX_INDEXES 8
#define MAX_COLUMNS 5
#define MAX_CONDITIONS 2

/* A part of a predicate. */
typedef struct NullCondition
{
	AttrNumber	column;
	bool		is_null;		/* what it has to be for a row to have an
								 * entry */
} NullCondition;

typedef struct PlainIndex
{
	Oid			relid;
	int			ncolumns;
	AttrNumber	columns[MAX_COLUMNS];
	int			nconditions;	/* rows that meet all of them have an entry */
	NullCondition conditions[MAX_CONDITIONS];
	bool		unique;
} PlainIndex;

/* What is remembered of a table. */
typedef struct TableEntry
{
	Oid			relid;			/* hash key */
	uint32		changes;		/* counts messages that it has changed */
	bool		is_valid;
	bool		is_plain;		/* all of its indexes are */
	int			nindexes;
	PlainIndex	indexes[MAX_INDEXES];
} TableEntry;

struct JobqIndexes
{
	Relation	table;
	bool		is_plain;
	int			nindexes;
	PlainIndex	indexes[MAX_INDEXES];
	Relation	open[MAX_INDEXES];	/* NULL: not needed so far */
};

static HTAB *tables = NULL;

static void
forget(TableEntry *entry)
{
	entry->is_valid = false;
	entry->changes++;
}

/* Invalidation callback: a change of an index also invalidates its table. */
static void
forget_table(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	TableEntry *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(tables, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			forget(entry);
		return;
	}
	hash_seq_init(&status, tables);
	while ((entry = hash_seq_search(&status)) != NULL)
		forget(entry);
}

static void
create_cache(void)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(TableEntry);
	control.hcxt = TopMemoryContext;
	tables = hash_create("jobq indexes", 16, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
}

/* Reads a part of a predicate.  False if it is not a test of a column. */
static bool
read_condition(const Node *part, NullCondition *condition)
{
	const NullTest *test = (const NullTest *) part;

	if (!IsA(part, NullTest) || test->argisrow || !IsA(test->arg, Var))
		return false;
	condition->column = ((Var *) test->arg)->varattno;
	condition->is_null = test->nulltesttype == IS_NULL;
	return condition->column > 0;
}

/* Reads an index's predicate, if it has one.  False if it is another one. */
static bool
read_predicate(Relation index, PlainIndex *plain)
{
	List	   *predicate = RelationGetIndexPredicate(index);
	ListCell   *lc;

	plain->nconditions = 0;
	foreach(lc, predicate)
	{
		if (plain->nconditions == MAX_CONDITIONS ||
			!read_condition(lfirst(lc),
							&plain->conditions[plain->nconditions++]))
			return false;
	}
	return true;
}

/* Describes an index; false if it is not plain. */
static bool
describe(Relation index, PlainIndex *plain)
{
	Form_pg_index form = index->rd_index;

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisready ||
		!form->indimmediate || form->indisexclusion ||
		form->indnatts > MAX_COLUMNS || !read_predicate(index, plain))
		return false;
	plain->relid = RelationGetRelid(index);
	plain->unique = form->indisunique;
	plain->ncolumns = form->indnatts;
	for (int i = 0; i < plain->ncolumns; i++)
	{
		plain->columns[i] = form->indkey.values[i];
		if (plain->columns[i] <= 0)
			return false;		/* an expression */
	}
	return true;
}

/* Looks at all indexes of a table. */
static void
load(TableEntry *entry, Relation table)
{
	List	   *relids = RelationGetIndexList(table);
	ListCell   *lc;

	entry->is_plain = list_length(relids) <= MAX_INDEXES;
	entry->nindexes = 0;
	foreach(lc, relids)
	{
		Relation	index;

		if (!entry->is_plain)
			break;
		index = index_open(lfirst_oid(lc), RowExclusiveLock);
		entry->is_plain = describe(index, &entry->indexes[entry->nindexes++]);
		index_close(index, NoLock);
	}
	list_free(relids);
}

JobqIndexes *
jobq_indexes_open(Relation table)
{
	JobqIndexes *result = palloc(sizeof(JobqIndexes));
	Oid			relid = RelationGetRelid(table);
	TableEntry *entry;
	bool		found;

	if (tables == NULL)
		create_cache();
	entry = hash_search(tables, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->changes = 0;
		entry->is_valid = false;
	}
	while (!entry->is_valid)
	{
		uint32		changes = entry->changes;

		load(entry, table);
		/* opening indexes may have brought a message of another change */
		entry->is_valid = entry->changes == changes;
	}
	result->table = table;
	result->is_plain = entry->is_plain;
	result->nindexes = entry->nindexes;
	memcpy(result->indexes, entry->indexes,
		   entry->nindexes * sizeof(PlainIndex));
	memset(result->open, 0, sizeof(result->open));
	return result;
}

/* Whether a row has an entry in an index. */
static inline bool
has_entry(const PlainIndex *plain, const TupleTableSlot *slot)
{
	for (int i = 0; i < plain->nconditions; i++)
	{
		const NullCondition *condition = &plain->conditions[i];

		if (slot->tts_isnull[condition->column - 1] != condition->is_null)
			return false;
	}
	return true;
}

/* Makes the entry of a row, if it has one in this index. */
static void
insert_one(JobqIndexes *indexes, int i, TupleTableSlot *slot)
{
	const PlainIndex *plain = &indexes->indexes[i];
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];

	if (!has_entry(plain, slot))
		return;
	if (indexes->open[i] == NULL)
		indexes->open[i] = index_open(plain->relid, RowExclusiveLock);
	for (int column = 0; column < plain->ncolumns; column++)
	{
		values[column] = slot->tts_values[plain->columns[column] - 1];
		nulls[column] = slot->tts_isnull[plain->columns[column] - 1];
	}
	/* a B-tree does not look at the last argument */
	(void) index_insert(indexes->open[i], values, nulls, &slot->tts_tid,
						indexes->table,
						plain->unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
						false, NULL);
}

bool
jobq_indexes_insert(JobqIndexes *indexes, TupleTableSlot **slots, int nslots)
{
	if (!indexes->is_plain)
		return false;
	/* one index after another: the entries of a batch are neighbours */
	for (int i = 0; i < indexes->nindexes; i++)
	{
		for (int j = 0; j < nslots; j++)
			insert_one(indexes, i, slots[j]);
	}
	return true;
}

void
jobq_indexes_close(JobqIndexes *indexes)
{
	for (int i = 0; i < indexes->nindexes; i++)
	{
		if (indexes->open[i] != NULL)
			index_close(indexes->open[i], NoLock);
	}
	pfree(indexes);
}
