/*-------------------------------------------------------------------------
 *
 * hooks.h
 *	  Utility commands that jobq must handle.
 *
 * IDENTIFICATION
 *	  src/service/hooks.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HOOKS_H
#define JOBQ_HOOKS_H

extern void jobq_hooks_init(void);

#endif							/* JOBQ_HOOKS_H */
