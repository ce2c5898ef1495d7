/*-------------------------------------------------------------------------
 *
 * group_ddl.h
 *	  pause(), resume(), set_group(), reset_group(): options of single groups.
 *
 * IDENTIFICATION
 *	  src/queue/group_ddl.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GROUP_DDL_H
#define JOBQ_GROUP_DDL_H

#include "fmgr.h"

/*
 * For functions (queue, group_key): pauses or resumes the group; returns whether that
 * changes anything.  Raises 22023 for a bad key, and 42704 and 42501 for the queue.
 */
extern bool jobq_group_set_paused(FunctionCallInfo fcinfo,
								  const char *function, bool paused);

#endif							/* JOBQ_GROUP_DDL_H */
