/*-------------------------------------------------------------------------
 *
 * queue_state.h
 *	  The queues in shared memory.
 *
 * IDENTIFICATION
 *	  src/shared/queue_state.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_QUEUE_STATE_H
#define JOBQ_QUEUE_STATE_H

#include "shared/roster_pick.h"

extern JobqQueueState *jobq_queue_state(int32 queue, Oid owner);
extern bool jobq_queue_state_may_be_made(int32 queue, Oid owner);
extern JobqQueueState *jobq_queue_state_find(int32 queue);
extern void jobq_queue_state_new(int32 queue, Oid owner);
extern void jobq_queue_state_forget(int32 queue);
extern bool jobq_queue_state_leave(JobqQueueState *state, uint32 tickets);

/*
 * The same for tickets of a group: as jobq_roster_leave() and jobq_roster_put_back(),
 * which do not remove the entry of a dropped queue.
 */
extern bool jobq_queue_state_leave_group(JobqGroup *group, int tickets,
										 TimestampTz now);
extern bool jobq_queue_state_put_back_group(const JobqGroupTicket *ticket,
											TimestampTz until,
											TimestampTz now);

extern bool jobq_queue_state_pin(JobqQueueState *state, int32 queue);
extern void jobq_queue_state_unpin(JobqQueueState *state);
extern bool jobq_queue_state_is_of(const JobqQueueState *state, int32 queue);

/*
 * A queue of that id is created; if that is rolled back, or prepared, its
 * entry in shared memory is removed.
 */
extern void jobq_at_rollback_forget_queue(int32 queue);
extern void jobq_queue_states_forget(Oid dboid);

/*
 * Forgets where dispatch stands in the queues of a database, and how many jobs
 * they have; that is read from the index anew.  For commit callbacks, too.
 */
extern void jobq_queue_states_reset_lanes(Oid dboid);

/*
 * The number of the queue's unfinished jobs is not known any more: others have
 * committed without a note (unfinished.h).  For callbacks, too.
 */
extern void jobq_queue_state_forget_count(JobqQueueState *state);

extern Oid	jobq_queue_states_use(long *taken, long *room);

#endif							/* JOBQ_QUEUE_STATE_H */
