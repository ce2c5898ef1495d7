/*-------------------------------------------------------------------------
 *
 * termination.h
 *	  Which jobs were running in executors that were terminated.
 *
 * None of these functions throws or allocates: exit callbacks use them.
 *
 * IDENTIFICATION
 *	  src/shared/termination.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_TERMINATION_H
#define JOBQ_TERMINATION_H

#include "shared/shmem.h"

#include "nodes/pg_list.h"

extern bool jobq_termination_note(const JobqTermination *termination);
extern bool jobq_termination_note_file(const JobqTermination *termination,
									   const char *path);
extern bool jobq_termination_take(int64 job_id, int32 attempt,
								  JobqTermination *termination);
extern void jobq_termination_leave_out(int error);
extern uint32 jobq_terminations_left_out(void);
extern uint64 jobq_terminations_nameless(void);
extern void jobq_terminations_name(uint64 nameless);
extern void jobq_terminations_complete(uint32 left_out);
extern int	jobq_terminations_all(JobqTermination *terminations);
extern void jobq_termination_forget(int64 job_id, int32 attempt);
extern bool jobq_termination_take_out(int64 job_id,
									  JobqTermination *termination);
extern void jobq_terminations_prune(List *databases);

#endif							/* JOBQ_TERMINATION_H */
