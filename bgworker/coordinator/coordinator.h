/*-------------------------------------------------------------------------
 *
 * coordinator.h
 *	  The parts of the coordinator.
 *
 * IDENTIFICATION
 *	  bgworker/coordinator/coordinator.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COORDINATOR_H
#define JOBQ_COORDINATOR_H

/*
 * Functions that return a time must be called again then, or when the
 * coordinator is woken for work.
 */

#endif							/* JOBQ_COORDINATOR_H */
