/*-------------------------------------------------------------------------
 *
 * home.h
 *	  Telling an installation from a copy of it.
 *
 * IDENTIFICATION
 *	  src/base/home.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HOME_H
#define JOBQ_HOME_H

extern int64 jobq_home_identifier(void);

#endif							/* JOBQ_HOME_H */
