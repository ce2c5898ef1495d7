/*-------------------------------------------------------------------------
 *
 * command.c
 *	  Commands for run(): which are allowed, and which must run outside a
 *	  transaction block.
 *
 * IDENTIFICATION
 *	  src/queue/command.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "queue/command.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "parser/parser.h"

static bool
is_word_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

/* Whether a text contains a word, in upper or lower case. */
static bool
contains_word(const char *source, const char *word)
{
	size_t		length = strlen(word);

	for (const char *at = source; *at != '\0'; at++)
	{
		if (pg_strncasecmp(at, word, length) == 0 &&
			(at == source || !is_word_character(at[-1])) &&
			!is_word_character(at[length]))
			return true;
	}
	return false;
}

/*
 * Whether a DO block might end transactions.  A block that only mentions it
 * also runs outside a transaction block, which is harmless.
 */
static bool
ends_transactions(const DoStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->args)
	{
		DefElem    *element = lfirst_node(DefElem, lc);

		if (strcmp(element->defname, "as") == 0 &&
			(contains_word(strVal(element->arg), "commit") ||
			 contains_word(strVal(element->arg), "rollback") ||
			 contains_word(strVal(element->arg), "call") ||
			 contains_word(strVal(element->arg), "execute")))
			return true;
	}
	return false;
}

static bool
moves_database(const AlterDatabaseStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

static bool
detaches_concurrently(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_DetachPartition &&
			((PartitionCmd *) command->def)->concurrent)
			return true;
	}
	return false;
}

/*
 * Whether a statement may run in a transaction block, as far as can be told.
 */
static bool
may_run_in_block(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VacuumStmt:
			return !((const VacuumStmt *) statement)->is_vacuumcmd;
		case T_IndexStmt:
			return !((const IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return !((const DropStmt *) statement)->concurrent;
		case T_AlterTableStmt:
			return !detaches_concurrently((const AlterTableStmt *) statement);
		case T_AlterDatabaseStmt:
			return !moves_database((const AlterDatabaseStmt *) statement);
		case T_DoStmt:
			return !ends_transactions((const DoStmt *) statement);
		case T_CallStmt:
		case T_ReindexStmt:
		case T_ClusterStmt:
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
		case T_DiscardStmt:
			return false;
		default:
			return true;
	}
}

static void
refuse(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", message),
			 errhint("%s", hint)));
}

bool
jobq_command_check(const char *command)
{
	List	   *statements = raw_parser(command, RAW_PARSE_DEFAULT);
	Node	   *statement;

	if (list_length(statements) != 1)
		refuse(statements == NIL ?
			   "the command is empty" :
			   "the command has more than one statement",
			   "Make each statement a command of its own, or use a DO block.");
	statement = linitial_node(RawStmt, statements)->stmt;
	if (IsA(statement, TransactionStmt))
		refuse("a job cannot be a transaction control command",
			   "Each job runs in a transaction already.");
	if (IsA(statement, CopyStmt) &&
		((CopyStmt *) statement)->filename == NULL)
		refuse("a job cannot COPY from or to a client",
			   "Name a file or a program on the server.");
	return may_run_in_block(statement);
}
