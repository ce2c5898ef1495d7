/*-------------------------------------------------------------------------
 *
 * command.h
 *	  Commands for run(): which are allowed, and which must run outside a
 *	  transaction block.
 *
 * IDENTIFICATION
 *	  src/queue/command.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMAND_H
#define JOBQ_COMMAND_H

/*
 * Checks a command for run(): exactly one statement, no transaction control.
 * Returns whether it may run inside a transaction block.
 */
extern bool jobq_command_check(const char *command);

#endif							/* JOBQ_COMMAND_H */
