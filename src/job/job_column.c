/*-------------------------------------------------------------------------
 *
 * job_column.c
 *	  The columns of a job, and where each of them goes.
 *
 * IDENTIFICATION
 *	  src/job/job_column.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "job/job_column.h"

/* In the order of the table; history.c, manage.c and job.c add the rest. */
const JobqJobColumn jobq_job_columns[Natts_job] = {
	{Anum_job_id, Anum_history_id, true, 0},
	{Anum_job_run_at, Anum_history_run_at, false, 0},
	{Anum_job_queue, Anum_history_queue, true, 0},
	{Anum_job_priority, Anum_history_priority, true, 0},
	{Anum_job_state, 0, false, 0},
	{Anum_job_attempt, 0, false, 0},
	{Anum_job_max_attempts, Anum_history_max_attempts, true, 0},
	{Anum_job_lease, Anum_history_lease, false, 0},
	{Anum_job_lease_until, 0, false, 0},
	{Anum_job_in_batch, 0, false, 0},
	{Anum_job_started_at, 0, false, 0},
	{Anum_job_enqueued_at, Anum_history_enqueued_at, false, 0},
	{Anum_job_expires_at, 0, false, 0},
	{Anum_job_timeout, Anum_history_timeout, true, 0},
	{Anum_job_unique_for, Anum_history_unique_for, true, 0},
	{Anum_job_worker, Anum_history_worker, false, 0},
	{Anum_job_unique_key, Anum_history_unique_key, true, Anum_jobrow_unique_key},
	{Anum_job_group_key, Anum_history_group_key, true, Anum_jobrow_group_key},
	{Anum_job_tags, Anum_history_tags, true, Anum_jobrow_tags},
	{Anum_job_headers, Anum_history_headers, true, Anum_jobrow_headers},
	{Anum_job_progress, Anum_history_progress, false, Anum_jobrow_progress},
	{Anum_job_command, Anum_history_command, true, 0},
	{Anum_job_payload, Anum_history_payload, true, Anum_jobrow_payload},
};
