/*-------------------------------------------------------------------------
 *
 * make_room.h
 *	  Dropping jobs of a full queue, to make room for new ones.
 *
 * IDENTIFICATION
 *	  src/dispatch/make_room.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_MAKE_ROOM_H
#define JOBQ_MAKE_ROOM_H

extern void jobq_make_room_init(void);

#endif							/* JOBQ_MAKE_ROOM_H */
