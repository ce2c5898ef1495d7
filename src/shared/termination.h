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

#include "shared/database.h"
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

/*
 * Whether some may be noted, or left out.  What was left out is entered before the mark
 * is taken away, so that is read first.
 */
static inline bool
jobq_terminations_may_exist(void)
{
	pg_read_barrier();
	if (pg_atomic_read_u32(&jobq_database()->left_out) != 0)
		return true;
	pg_read_barrier();
	return pg_atomic_read_u32(&jobq_shared->nterminations) != 0;
}

#endif							/* JOBQ_TERMINATION_H */
