/*-------------------------------------------------------------------------
 *
 * portals.h
 *	  Hiding the open cursors of a session, and dropping later ones.
 *
 * IDENTIFICATION
 *	  src/base/portals.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_PORTALS_H
#define JOBQ_PORTALS_H

#include "nodes/pg_list.h"

/*
 * Hides the portals that could be used.  Returns what jobq_portals_show()
 * needs, in the current memory context.  Once they are hidden nothing fails.
 */
extern List *jobq_portals_hide(void);

/* Undoes it; does not fail. */
extern void jobq_portals_show(List *hidden);

/* While they are hidden: drops all others that could be used. */
extern void jobq_portals_drop(void);

/*
 * Whether this transaction has opened a cursor WITH HOLD: its query runs at the
 * commit, to the end.  Allocates in the current context.
 */
extern bool jobq_portals_any_to_hold(void);

#endif							/* JOBQ_PORTALS_H */
