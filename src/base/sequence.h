/*-------------------------------------------------------------------------
 *
 * sequence.h
 *	  Consecutive numbers from a sequence.
 *
 * IDENTIFICATION
 *	  src/base/sequence.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SEQUENCE_H
#define JOBQ_SEQUENCE_H

/*
 * Takes `count` consecutive numbers from a sequence that ascends by one, and
 * returns the first.  Needs a transaction.  As with nextval(), a rollback or
 * crash leaves gaps.
 */
extern int64 jobq_sequence_take(Oid relid, int count);

#endif							/* JOBQ_SEQUENCE_H */
