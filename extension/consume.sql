-- Functions for external workers.

CREATE FUNCTION jobq.dequeue(
  queue text,
  max_jobs integer DEFAULT 1,
  lease interval DEFAULT NULL,
  worker text DEFAULT NULL,
  session_bound boolean DEFAULT NULL
) RETURNS SETOF jobq.job
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_dequeue';
COMMENT ON FUNCTION jobq.dequeue IS
  'claims up to max_jobs ready jobs of a queue, under one lease';

CREATE FUNCTION jobq.dequeue_any(
  queues text[],
  max_jobs integer DEFAULT 1,
  lease interval DEFAULT NULL,
  worker text DEFAULT NULL,
  session_bound boolean DEFAULT NULL
) RETURNS SETOF jobq.job
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_dequeue_any';
COMMENT ON FUNCTION jobq.dequeue_any IS
  'claims up to max_jobs ready jobs of several queues, taking queues in the order given';

CREATE FUNCTION jobq.take(queue text, max_jobs integer DEFAULT 1)
RETURNS SETOF jobq.job
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_take';
COMMENT ON FUNCTION jobq.take IS
  'claims jobs for this transaction: COMMIT finishes them, ROLLBACK gives them back';

CREATE FUNCTION jobq.next(
  queue text,
  done bigint[],
  lease bigint,
  max_jobs integer DEFAULT 1,
  new_lease interval DEFAULT NULL,
  worker text DEFAULT NULL,
  session_bound boolean DEFAULT NULL
) RETURNS SETOF jobq.job
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_next';
COMMENT ON FUNCTION jobq.next IS
  'complete_many(done, lease) and dequeue(queue, max_jobs) in one call';

CREATE FUNCTION jobq.complete(job_id bigint, lease bigint, result jsonb DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_complete';
COMMENT ON FUNCTION jobq.complete IS 'finishes a claimed job; JQ001 if the lease is lost';

CREATE FUNCTION jobq.complete_many(job_ids bigint[], lease bigint)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_complete_many';
COMMENT ON FUNCTION jobq.complete_many IS
  'finishes the jobs that the lease still holds; returns their number';

CREATE FUNCTION jobq.fail(
  job_id bigint,
  lease bigint,
  error text,
  detail jsonb DEFAULT NULL,
  retry_in interval DEFAULT NULL,
  retryable boolean DEFAULT true
) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_fail';
COMMENT ON FUNCTION jobq.fail IS
  'fails a claimed job, which is retried or becomes dead; returns its new state';

CREATE FUNCTION jobq.release(job_id bigint, lease bigint, delay interval DEFAULT '0')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_release';
COMMENT ON FUNCTION jobq.release IS 'gives a claimed job back without using up an attempt';

CREATE FUNCTION jobq.heartbeat(
  job_id bigint,
  lease bigint,
  extend interval DEFAULT NULL,
  progress jsonb DEFAULT NULL
) RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_heartbeat';
COMMENT ON FUNCTION jobq.heartbeat IS
  'extends the lease; false if the job was cancelled';

CREATE PROCEDURE jobq.wait(
  queues text[],
  timeout interval,
  INOUT ready boolean DEFAULT NULL
)
LANGUAGE c
AS 'MODULE_PATHNAME', 'jobq_wait';
COMMENT ON PROCEDURE jobq.wait IS
  'blocks until a job of one of the queues is ready or the timeout has passed';
