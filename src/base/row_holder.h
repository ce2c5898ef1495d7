/*-------------------------------------------------------------------------
 *
 * row_holder.h
 *	  Which transaction has locked a row, or is changing it.
 *
 * IDENTIFICATION
 *	  src/base/row_holder.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_ROW_HOLDER_H
#define JOBQ_ROW_HOLDER_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

extern int	jobq_transaction_pid(TransactionId xid);
extern bool jobq_row_is_held(TupleTableSlot *slot);
extern bool jobq_row_is_current(TupleTableSlot *slot);
extern bool jobq_row_is_going(Relation rel, TupleTableSlot *slot,
							  TupleTableSlot *version);
extern int	jobq_row_holder(TupleTableSlot *slot);
extern bool jobq_row_is_locked_by_me(TupleTableSlot *slot);

#endif							/* JOBQ_ROW_HOLDER_H */
