/*-------------------------------------------------------------------------
 *
 * prepared.h
 *	  What prepared transactions have to do with jobq.
 *
 * IDENTIFICATION
 *	  src/service/prepared.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PREPARED_H
#define JOBQ_PREPARED_H

#include "nodes/parsenodes.h"

extern void jobq_prepared_init(void);

/*
 * Called before COMMIT PREPARED and ROLLBACK PREPARED, and other commands for
 * transactions: others are told what the finished transaction has changed.
 */
extern void jobq_prepared_follow(const TransactionStmt *statement);

/*
 * Tells others what prepared transactions of apply workers that have ended had
 * changed here.  For a transaction's time before its commit.
 */
extern void jobq_prepared_look(void);

#endif							/* JOBQ_PREPARED_H */
