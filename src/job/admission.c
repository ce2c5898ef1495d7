/*-------------------------------------------------------------------------
 *
 * admission.c
 *	  Whether a queue takes new jobs.
 *
 * IDENTIFICATION
 *	  src/job/admission.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/admission.h"

#include "jobq.h"

/* See admission.h. */
void
jobq_admission_check(const JobqQueue *queue)
{
	if (queue->draining)
		ereport(ERROR,
				(errcode(ERRCODE_JOBQ_QUEUE_FULL),
				 errmsg("queue \"%s\" is draining", queue->name),
				 errdetail("It accepts no new jobs, and finishes those that it has."),
				 errhint("It accepts jobs again after jobq.resume().")));
}
