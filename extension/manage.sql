-- Managing single jobs, and functions for handlers.

CREATE FUNCTION jobq.cancel(job_id bigint, reason text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_cancel';
COMMENT ON FUNCTION jobq.cancel IS
  'cancels a job that is not finished; a running SQL job is interrupted';

CREATE FUNCTION jobq.retry(job_id bigint, payload jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_retry';
COMMENT ON FUNCTION jobq.retry IS
  'runs a finished job again under the same id, with a full set of attempts; NULL if there is no such finished job, or its unique key is taken';

CREATE FUNCTION jobq.promote(job_id bigint)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_promote';
COMMENT ON FUNCTION jobq.promote IS 'makes a scheduled job ready now';

CREATE FUNCTION jobq.reschedule(job_id bigint, run_at timestamptz)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reschedule';
COMMENT ON FUNCTION jobq.reschedule IS 'moves a job that has not started to another time';

CREATE FUNCTION jobq.set_priority(job_id bigint, priority integer)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_set_priority';
COMMENT ON FUNCTION jobq.set_priority IS 'changes the priority of a job that has not started';

CREATE FUNCTION jobq.set_payload(job_id bigint, payload jsonb)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_set_payload';
COMMENT ON FUNCTION jobq.set_payload IS 'replaces the payload of a job that has not started';

CREATE FUNCTION jobq.reset_key(queue text, unique_key text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_key';
COMMENT ON FUNCTION jobq.reset_key IS
  'frees a unique key, whose job goes on without it; false if it has freed nothing';

CREATE FUNCTION jobq.delete(job_id bigint)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_delete';
COMMENT ON FUNCTION jobq.delete IS
  'deletes a job; false if it is running or does not exist';

CREATE FUNCTION jobq.current_job()
RETURNS jobq.job
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_current_job';
COMMENT ON FUNCTION jobq.current_job IS 'the job that this background worker is running, or NULL';

CREATE FUNCTION jobq.retry_in(delay interval, message text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_retry_in';
COMMENT ON FUNCTION jobq.retry_in IS
  'raises JQ101: the attempt fails, and the job is retried after the delay';

CREATE FUNCTION jobq.discard(message text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_discard';
COMMENT ON FUNCTION jobq.discard IS
  'raises JQ102: the attempt fails, and the job is not retried';

CREATE FUNCTION jobq.snooze(delay interval, message text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_snooze';
COMMENT ON FUNCTION jobq.snooze IS
  'raises JQ103: the job comes back after the delay, and the attempt does not count';

CREATE FUNCTION jobq.fail_job(
  job_id bigint,
  error text,
  retry_in interval DEFAULT NULL,
  retryable boolean DEFAULT true
) RETURNS void
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_fail_job';
COMMENT ON FUNCTION jobq.fail_job IS
  'for the handler of a batch: one of its jobs has failed, and the others complete';
