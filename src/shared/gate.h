/*-------------------------------------------------------------------------
 *
 * gate.h
 *	  Gates, which limit how many jobs run at the same time.
 *
 * IDENTIFICATION
 *	  src/shared/gate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GATE_H
#define JOBQ_GATE_H

#include "port/atomics.h"

/* The value of a limit that is not set. */
#define JOBQ_UNLIMITED (-1)

/* Lives in shared memory; see gate.c.  Only gate.c looks inside. */
typedef struct JobqGate
{
	pg_atomic_uint32 running;	/* tickets that are out */
	pg_atomic_uint32 promised;	/* those given back by processes that have
								 * promised to claim again */
	pg_atomic_uint32 starved;	/* a worker was turned away, and must be woken
								 * when a ticket is given back */
	pg_atomic_uint32 known;		/* odd: every running job has a ticket; grows
								 * when that ends, and before it begins */
} JobqGate;

typedef enum JobqGatePass
{
	JOBQ_GATE_OPEN,
	JOBQ_GATE_FULL,
	JOBQ_GATE_UNCOUNTED,		/* running jobs must be counted first */
	JOBQ_GATE_STALE				/* they were counted anew meanwhile: the
								 * caller has a ticket that it must give back */
} JobqGatePass;

extern void jobq_gate_reset(JobqGate *gate);

/* For claims. */
extern JobqGatePass jobq_gate_enter(JobqGate *gate, int max_running);
extern bool jobq_gate_forget_starved(JobqGate *gate);
extern bool jobq_gate_remember_starved(JobqGate *gate, int max_running);

/* For commits and looks: the number of tickets left, at most `jobs`. */
extern uint32 jobq_gate_room(JobqGate *gate, int max_running, uint32 jobs);

/* Gives tickets back; returns whether the caller must wake a worker. */
extern bool jobq_gate_leave(JobqGate *gate, uint32 tickets, bool *empty);

/* Promises; the second one returns whether the caller must wake a worker. */
extern void jobq_gate_promise(JobqGate *gate);
extern bool jobq_gate_end_promise(JobqGate *gate);

extern bool jobq_gate_may_lend(JobqGate *gate, int max_running);
extern bool jobq_gate_is_empty(JobqGate *gate);
extern bool jobq_gate_is_starved(JobqGate *gate);

/* For counting running jobs. */
extern void jobq_gate_join(JobqGate *gate);
extern void jobq_gate_miss(JobqGate *gate);
extern uint32 jobq_gate_count_begin(JobqGate *gate);
extern bool jobq_gate_count_end(JobqGate *gate, uint32 begun);
extern bool jobq_gate_is_counted(JobqGate *gate);
extern bool jobq_gate_knows_all(JobqGate *gate);

extern uint32 jobq_gate_running(JobqGate *gate);

#endif							/* JOBQ_GATE_H */
