/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  The tables of schema jobq_store as C sees them.
 *
 * Column numbers; extension/tables.sql creates the tables in this order.
 *
 * IDENTIFICATION
 *	  src/base/schema.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SCHEMA_H
#define JOBQ_SCHEMA_H

/* Relations of jobq_store that C opens; names are in extension.c. */
typedef enum JobqRelation
{
	JOBQ_REL_SERVICE,
	JOBQ_REL_QUEUE,
	JOBQ_REL_QUEUE_GRANT,
	JOBQ_REL_LIMIT_DEF,
	JOBQ_REL_GONE_QUEUE,
	JOBQ_REL_GROUP_OPTION,
	JOBQ_REL_GROUP_STOP,
	JOBQ_REL_JOB,
	JOBQ_REL_CANCEL_REQUEST,
	JOBQ_REL_HISTORY,			/* the partitioned parent */
	JOBQ_REL_HISTORY_0,			/* its segments, in order */
	JOBQ_REL_HISTORY_7 = JOBQ_REL_HISTORY_0 + 7,
	JOBQ_REL_ATTEMPT,
	JOBQ_REL_SCHEDULE,
	JOBQ_REL_SCHEDULE_RUN,
	JOBQ_REL_RATE_START,
	/* indexes */
	JOBQ_IDX_SERVICE,
	JOBQ_IDX_QUEUE,
	JOBQ_IDX_QUEUE_NAME,
	JOBQ_IDX_QUEUE_OWNER,
	JOBQ_IDX_QUEUE_RUN,
	JOBQ_IDX_QUEUE_ON_DEAD,
	JOBQ_IDX_QUEUE_SHARED_LIMIT,
	JOBQ_IDX_QUEUE_GRANT,
	JOBQ_IDX_QUEUE_GRANT_ROLE,
	JOBQ_IDX_LIMIT_DEF,
	JOBQ_IDX_LIMIT_DEF_NAME,
	JOBQ_IDX_LIMIT_DEF_OWNER,
	JOBQ_IDX_GONE_QUEUE,
	JOBQ_IDX_GROUP_OPTION,
	JOBQ_IDX_GROUP_STOP,
	JOBQ_IDX_JOB,
	JOBQ_IDX_JOB_DISPATCH,
	JOBQ_IDX_JOB_GROUP,
	JOBQ_IDX_JOB_UNIQUE_KEY,
	JOBQ_IDX_JOB_EXPIRES_AT,
	JOBQ_IDX_CANCEL_REQUEST,
	JOBQ_IDX_HISTORY_KEY_0,		/* the segments' indexes of unique keys */
	JOBQ_IDX_HISTORY_KEY_7 = JOBQ_IDX_HISTORY_KEY_0 + 7,
	JOBQ_IDX_SCHEDULE,
	JOBQ_IDX_SCHEDULE_NAME,
	JOBQ_IDX_SCHEDULE_OWNER,	/* and next_run */
	JOBQ_IDX_SCHEDULE_NEXT_RUN,
	JOBQ_IDX_SCHEDULE_RUN,
	JOBQ_IDX_RATE_START,
	/* sequences */
	JOBQ_SEQ_QUEUE_ID,
	JOBQ_SEQ_LIMIT_ID,
	JOBQ_SEQ_JOB_ID,
	JOBQ_SEQ_SCHEDULE_ID,
	JOBQ_SEQ_LEASE_BLOCK,
	JOBQ_NUM_RELATIONS
} JobqRelation;

#define JOBQ_HISTORY_SEGMENTS 8

enum
{
	Anum_service_only_row = 1,
	Anum_service_stopped,
	Anum_service_history_segment,
	Anum_service_history_since,
	Anum_service_stopped_at,
	Natts_service = Anum_service_stopped_at
};

enum
{
	Anum_queue_id = 1,
	Anum_queue_name,
	Anum_queue_is_run,
	Anum_queue_owner,
	Anum_queue_handler,
	Anum_queue_paused,
	Anum_queue_draining,
	Anum_queue_has_group_options,
	Anum_queue_created_at,
	Anum_queue_system_identifier,
	Anum_queue_database,
	Anum_queue_description,
	Anum_queue_max_attempts,
	Anum_queue_backoff,
	Anum_queue_backoff_base,
	Anum_queue_backoff_factor,
	Anum_queue_backoff_max,
	Anum_queue_jitter,
	Anum_queue_backoff_steps,
	Anum_queue_backoff_function,
	Anum_queue_lease,
	Anum_queue_timeout,
	Anum_queue_priority,
	Anum_queue_ttl,
	Anum_queue_payload_check,
	Anum_queue_payload_path,
	Anum_queue_forbid_keys,
	Anum_queue_payload_max_bytes,
	Anum_queue_keep_completed,
	Anum_queue_keep_completed_count,
	Anum_queue_keep_dead,
	Anum_queue_keep_dead_count,
	Anum_queue_on_dead,
	Anum_queue_notify,
	Anum_queue_session_bound,
	Anum_queue_sync_completion,
	Anum_queue_share_commits,
	Anum_queue_max_running,
	Anum_queue_max_running_per_group,
	Anum_queue_group_on_failure,
	Anum_queue_group_rate_limit,
	Anum_queue_group_rate_period,
	Anum_queue_group_rate_burst,
	Anum_queue_max_queued,
	Anum_queue_on_full,
	Anum_queue_lifo,
	Anum_queue_batch_size,
	Anum_queue_batch_wait,
	Anum_queue_unique_when_dead,
	Anum_queue_rate_limit,
	Anum_queue_rate_period,
	Anum_queue_rate_burst,
	Anum_queue_on_limit,
	Anum_queue_shared_limit,
	Natts_queue = Anum_queue_shared_limit
};

enum
{
	Anum_queue_grant_queue = 1,
	Anum_queue_grant_role,
	Anum_queue_grant_privileges,
	Natts_queue_grant = Anum_queue_grant_privileges
};

enum
{
	Anum_gone_queue_id = 1,
	Anum_gone_queue_system_identifier,
	Anum_gone_queue_database,
	Natts_gone_queue = Anum_gone_queue_database
};

enum
{
	Anum_group_option_queue = 1,
	Anum_group_option_group_key,
	Anum_group_option_paused,
	Anum_group_option_max_running,
	Anum_group_option_rate_limit,
	Anum_group_option_rate_period,
	Anum_group_option_rate_burst,
	Anum_group_option_weight,
	Natts_group_option = Anum_group_option_weight
};

enum
{
	Anum_group_stop_queue = 1,
	Anum_group_stop_group_key,
	Anum_group_stop_job_id,
	Natts_group_stop = Anum_group_stop_job_id
};

enum
{
	Anum_limit_def_id = 1,
	Anum_limit_def_name,
	Anum_limit_def_owner,
	Anum_limit_def_max_running,
	Anum_limit_def_max_running_per_group,
	Anum_limit_def_rate_limit,
	Anum_limit_def_rate_period,
	Anum_limit_def_rate_burst,
	Natts_limit_def = Anum_limit_def_rate_burst
};

enum
{
	Anum_job_id = 1,
	Anum_job_run_at,
	Anum_job_queue,
	Anum_job_priority,
	Anum_job_state,
	Anum_job_attempt,			/* up to here NOT NULL and of fixed width */
	Anum_job_max_attempts,
	Anum_job_lease,
	Anum_job_lease_until,
	Anum_job_in_batch,
	Anum_job_started_at,
	Anum_job_enqueued_at,
	Anum_job_expires_at,
	Anum_job_timeout,
	Anum_job_unique_for,
	Anum_job_worker,
	Anum_job_unique_key,
	Anum_job_group_key,
	Anum_job_tags,
	Anum_job_headers,
	Anum_job_progress,
	Anum_job_command,
	Anum_job_payload,
	Natts_job = Anum_job_payload
};

enum
{
	Anum_cancel_request_job_id = 1,
	Anum_cancel_request_reason,
	Anum_cancel_request_requested_at,
	Anum_cancel_request_system_identifier,
	Anum_cancel_request_database,
	Natts_cancel_request = Anum_cancel_request_database
};

enum
{
	Anum_rate_start_queue = 1,
	Anum_rate_start_group_key,
	Anum_rate_start_tat,
	Natts_rate_start = Anum_rate_start_tat
};

enum
{
	Anum_history_id = 1,
	Anum_history_run_at,
	Anum_history_finished_at,
	Anum_history_queue,
	Anum_history_attempt,
	Anum_history_priority,
	Anum_history_state,
	Anum_history_segment,
	Anum_history_max_attempts,
	Anum_history_lease,
	Anum_history_started_at,
	Anum_history_enqueued_at,
	Anum_history_timeout,
	Anum_history_unique_for,
	Anum_history_worker,
	Anum_history_unique_key,
	Anum_history_group_key,
	Anum_history_tags,
	Anum_history_headers,
	Anum_history_progress,
	Anum_history_command,
	Anum_history_error,
	Anum_history_sqlstate,
	Anum_history_result,
	Anum_history_payload,
	Natts_history = Anum_history_payload
};

enum
{
	Anum_attempt_job_id = 1,
	Anum_attempt_finished_at,
	Anum_attempt_attempt,
	Anum_attempt_queue,
	Anum_attempt_started_at,
	Anum_attempt_outcome,
	Anum_attempt_worker,
	Anum_attempt_sqlstate,
	Anum_attempt_message,
	Anum_attempt_detail,
	Anum_attempt_hint,
	Anum_attempt_context,
	Anum_attempt_data,
	Natts_attempt = Anum_attempt_data
};

enum
{
	Anum_schedule_id = 1,
	Anum_schedule_name,
	Anum_schedule_owner,
	Anum_schedule_queue,
	Anum_schedule_enabled,
	Anum_schedule_waits,
	Anum_schedule_runs,
	Anum_schedule_missed_runs,
	Anum_schedule_skipped_runs,
	Anum_schedule_late_runs,
	Anum_schedule_history,
	Anum_schedule_created_at,
	Anum_schedule_anchor,
	Anum_schedule_next_run,
	Anum_schedule_system_identifier,
	Anum_schedule_database,
	Anum_schedule_cron,
	Anum_schedule_timezone,
	Anum_schedule_missed,
	Anum_schedule_overlap,
	Anum_schedule_keep_runs,
	Anum_schedule_payload,
	Anum_schedule_command,
	Anum_schedule_jitter,
	Anum_schedule_starts_at,
	Anum_schedule_ends_at,
	Anum_schedule_max_runs,
	Anum_schedule_priority,
	Anum_schedule_max_attempts,
	Anum_schedule_timeout,
	Anum_schedule_catch_up_window,
	Anum_schedule_tags,
	Anum_schedule_last_run,
	Anum_schedule_last_job,
	Anum_schedule_disabled_reason,
	Natts_schedule = Anum_schedule_disabled_reason
};

enum
{
	Anum_schedule_run_schedule = 1,
	Anum_schedule_run_runs,
	Anum_schedule_run_slot,
	Anum_schedule_run_last_slot,
	Anum_schedule_run_fired_at,
	Anum_schedule_run_place,
	Anum_schedule_run_caught_up,
	Anum_schedule_run_outcome,
	Anum_schedule_run_job,
	Anum_schedule_run_reason,
	Natts_schedule_run = Anum_schedule_run_reason
};

/* Columns of the row type jobq.job. */
enum
{
	Anum_jobrow_id = 1,
	Anum_jobrow_queue,
	Anum_jobrow_payload,
	Anum_jobrow_attempt,
	Anum_jobrow_max_attempts,
	Anum_jobrow_lease,
	Anum_jobrow_lease_until,
	Anum_jobrow_priority,
	Anum_jobrow_enqueued_at,
	Anum_jobrow_run_at,
	Anum_jobrow_unique_key,
	Anum_jobrow_group_key,
	Anum_jobrow_tags,
	Anum_jobrow_headers,
	Anum_jobrow_progress,
	Natts_jobrow = Anum_jobrow_progress
};

#endif							/* JOBQ_SCHEMA_H */
