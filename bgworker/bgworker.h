/*-------------------------------------------------------------------------
 *
 * bgworker.h
 *	  jobq's background workers, for _PG_init.
 *
 * IDENTIFICATION
 *	  bgworker/bgworker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_BGWORKER_H
#define JOBQ_BGWORKER_H

#include "compat.h"

extern void jobq_launcher_register(void);

extern PGDLLEXPORT void jobq_launcher_main(Datum main_arg);
extern PGDLLEXPORT void jobq_coordinator_main(Datum main_arg);
extern PGDLLEXPORT void jobq_executor_main(Datum main_arg);

#endif							/* JOBQ_BGWORKER_H */
