/*-------------------------------------------------------------------------
 *
 * gate.h
 *	  How many jobs run at the same time: tickets, and who was turned away.
 *
 * IDENTIFICATION
 *	  src/shared/gate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_GATE_H
#define JOBQ_GATE_H

#include "port/atomics.h"

/* Instead of a maximum: there is none. */
#define JOBQ_UNLIMITED (-1)

/* Lives in shared memory; see gate.c.  Only gate.c looks inside. */
typedef struct JobqGate
{
	pg_atomic_uint32 running;	/* tickets that are out */
	pg_atomic_uint32 starved;	/* somebody was turned away, and is to be
								 * woken when a ticket comes back */
	pg_atomic_uint32 counted;	/* every running job has a ticket */
	pg_atomic_uint32 missed;	/* how often a ticket went back before its job
								 * had ended */
} JobqGate;

typedef enum JobqGatePass
{
	JOBQ_GATE_OPEN,
	JOBQ_GATE_FULL,
	JOBQ_GATE_UNCOUNTED			/* it must be counted first what runs */
} JobqGatePass;

extern void jobq_gate_reset(JobqGate *gate);

/* For claims. */
extern JobqGatePass jobq_gate_enter(JobqGate *gate, int max_running);
extern bool jobq_gate_forget_starved(JobqGate *gate);
extern bool jobq_gate_remember_starved(JobqGate *gate, int max_running);

/* For commits and looks: how many tickets are left, at most `jobs`. */
extern uint32 jobq_gate_room(JobqGate *gate, int max_running, uint32 jobs);

/* Gives tickets back; returns whether somebody is to be woken. */
extern bool jobq_gate_leave(JobqGate *gate, uint32 tickets, bool *empty);
extern bool jobq_gate_is_empty(JobqGate *gate);
extern bool jobq_gate_is_starved(JobqGate *gate);

/* For the counting of what runs. */
extern void jobq_gate_join(JobqGate *gate);
extern void jobq_gate_miss(JobqGate *gate);
extern uint32 jobq_gate_count_begin(JobqGate *gate);
extern bool jobq_gate_count_end(JobqGate *gate, uint32 begun);
extern bool jobq_gate_is_counted(JobqGate *gate);

extern uint32 jobq_gate_running(JobqGate *gate);

#endif							/* JOBQ_GATE_H */
