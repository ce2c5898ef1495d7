/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  Functions used by all of jobq's background workers.
 *
 * IDENTIFICATION
 *	  bgworker/worker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_WORKER_H
#define JOBQ_WORKER_H

#include "postmaster/bgworker.h"

#include "datatype/timestamp.h"

/* Minimum time between two reports of the same problem, in milliseconds. */
#define JOBQ_COMPLAINT_MS 60000

/* Waiting for a free worker slot of the server. */
typedef struct JobqWorkerSlots
{
	int			backoff;		/* seconds; 0: slots are not used up */
	TimestampTz retry_at;
} JobqWorkerSlots;

typedef enum JobqInstallation
{
	JOBQ_NOT_INSTALLED,
	JOBQ_OTHER_VERSION,			/* of the extension than of the library */
	JOBQ_INSTALLED
} JobqInstallation;

extern void jobq_worker_set_up_signals(void);
extern void jobq_worker_pin_exits(void);
extern void jobq_worker_describe(BackgroundWorker *worker, const char *name,
								 const char *type, const char *function);
extern bool jobq_worker_start(BackgroundWorker *worker,
							  BackgroundWorkerHandle **handle);
extern void jobq_worker_note_no_slots(JobqWorkerSlots *slots,
									  const char *hint);
extern bool jobq_worker_reload_settings(void);
extern void jobq_worker_wait(TimestampTz until, uint32 wait_event);
extern void jobq_worker_begin(void);
extern JobqInstallation jobq_worker_lock_extension(void);
extern TimestampTz jobq_worker_back_off(int *delay_seconds);
extern bool jobq_worker_backs_off(TimestampTz until);

#endif							/* JOBQ_WORKER_H */
