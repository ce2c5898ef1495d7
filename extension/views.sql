-- Views: what a role may see of queues, jobs, schedules and workers.
--
-- The views belong to the extension's owner and read the tables as that role.
-- The functions in their conditions run as the reader, and let through what that
-- role may see.  security_barrier keeps the reader's own functions from seeing
-- rows before that; conditions with leakproof operators (=, < on ids, queues,
-- times) can still use the indexes.

-- If may_read() and may_see_role() let through few of many rows, indexes find
-- these: see src/queue/view_support.c.  If readable_queues() were STABLE, the planner
-- would call it for its estimates, also for queries that find their rows otherwise.
CREATE FUNCTION jobq_store.readable_queues()
RETURNS integer[]
LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'jobq_readable_queues';
COMMENT ON FUNCTION jobq_store.readable_queues IS
  'the ids of the queues whose jobs the current role may see';

CREATE FUNCTION jobq_store.may_read_support(request internal)
RETURNS internal
LANGUAGE c STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_may_read_support';
COMMENT ON FUNCTION jobq_store.may_read_support IS
  'planner support for may_read';

CREATE FUNCTION jobq_store.visible_roles()
RETURNS oid[]
LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
AS 'MODULE_PATHNAME', 'jobq_visible_roles';
COMMENT ON FUNCTION jobq_store.visible_roles IS
  'the roles whose schedules the current role may see';

CREATE FUNCTION jobq_store.may_see_role_support(request internal)
RETURNS internal
LANGUAGE c STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_may_see_role_support';
COMMENT ON FUNCTION jobq_store.may_see_role_support IS
  'planner support for may_see_role';

CREATE FUNCTION jobq_store.may_read(queue integer)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
SUPPORT jobq_store.may_read_support
AS 'MODULE_PATHNAME', 'jobq_may_read';
COMMENT ON FUNCTION jobq_store.may_read IS
  'whether the current role may see the jobs of a queue';

-- For queues to which other queues, schedules or workers refer.
CREATE FUNCTION jobq_store.may_name(queue integer)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_may_name';
COMMENT ON FUNCTION jobq_store.may_name IS
  'whether the current role has any privilege on a queue, and may know its name';

CREATE FUNCTION jobq_store.may_see_role(role oid)
RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
SUPPORT jobq_store.may_see_role_support
AS 'MODULE_PATHNAME', 'jobq_may_see_role';
COMMENT ON FUNCTION jobq_store.may_see_role IS
  'whether the current role may see what belongs to a role';

-- The privilege to execute this function is the one to see every queue and schedule.
CREATE FUNCTION jobq_store.may_read_all()
RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_may_read_all';
COMMENT ON FUNCTION jobq_store.may_read_all IS
  'true; roles that may execute it see every queue and schedule (jobq.grant_usage with may_read)';

CREATE FUNCTION jobq_store.job_state(state smallint, run_at timestamptz)
RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_job_state';
COMMENT ON FUNCTION jobq_store.job_state IS 'the name of a job''s state';

CREATE FUNCTION jobq_store.real_run_at(run_at timestamptz)
RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_real_run_at';
COMMENT ON FUNCTION jobq_store.real_run_at IS
  'the time that run_at in jobq_store.job stands for, which is mirrored in queues with lifo';

CREATE FUNCTION jobq_store.is_kept(
  queue integer,
  state smallint,
  finished_at timestamptz,
  unique_for interval
) RETURNS boolean
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'jobq_is_kept';
COMMENT ON FUNCTION jobq_store.is_kept IS
  'whether a finished job is still within its queue''s keep_completed or keep_dead, or its key''s unique_for';

CREATE FUNCTION jobq_store.worker_slots(
  OUT pid integer,
  OUT kind text,
  OUT role oid,
  OUT state text,
  OUT queue integer,
  OUT job_id bigint,
  OUT attempt integer,
  OUT since timestamptz
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'jobq_worker_slots';
COMMENT ON FUNCTION jobq_store.worker_slots IS
  'the background workers of this database, according to shared memory';

-- The row of a job that a background worker runs inside its transaction does not
-- show that the job is running.  The worker's slot does, until shortly after the
-- end of the transaction; by then, the row has the number of a failed attempt.
-- Jobs with a group and those without are in different indexes: conditions on
-- this view can use either.
CREATE VIEW jobq_store.unfinished AS
SELECT * FROM jobq_store.job AS j WHERE j.group_key IS NULL
UNION ALL
SELECT * FROM jobq_store.job AS j WHERE j.group_key IS NOT NULL;
COMMENT ON VIEW jobq_store.unfinished IS 'jobs that are not finished';

CREATE VIEW jobq_store.live_jobs WITH (security_barrier) AS
SELECT
  j.id,
  q.name AS queue,
  CASE WHEN w.pid IS NOT NULL THEN 'running'
    ELSE jobq_store.job_state(j.state, greatest(j.run_at, j.lease_until)) END AS state,
  j.priority::integer AS priority,
  coalesce(w.attempt, j.attempt) AS attempt,
  coalesce(j.max_attempts, q.max_attempts, 10) AS max_attempts,
  CASE WHEN j.state OPERATOR(pg_catalog.=) 0 /* pending */ AND j.lease_until IS NOT NULL
    THEN j.lease_until ELSE jobq_store.real_run_at(j.run_at) END AS run_at,
  coalesce(j.enqueued_at, jobq_store.real_run_at(j.run_at)) AS enqueued_at,
  coalesce(w.since, j.started_at) AS started_at,
  NULL::timestamptz AS finished_at,
  j.expires_at,
  CASE WHEN j.state OPERATOR(pg_catalog.=) 1 /* running */ AND j.lease_until OPERATOR(pg_catalog.<) 'infinity'
    THEN j.lease_until END AS lease_until,
  CASE WHEN w.pid IS NOT NULL THEN 'pid '::text OPERATOR(pg_catalog.||) w.pid::text
    ELSE j.worker END AS worker,
  j.payload,
  NULL::jsonb AS result,
  (SELECT a.message FROM jobq_store.attempt AS a
    WHERE a.job_id OPERATOR(pg_catalog.=) j.id
    ORDER BY a.finished_at DESC LIMIT 1) AS error,
  (SELECT a.sqlstate FROM jobq_store.attempt AS a
    WHERE a.job_id OPERATOR(pg_catalog.=) j.id
    ORDER BY a.finished_at DESC LIMIT 1) AS sqlstate,
  j.unique_key,
  j.group_key,
  j.tags,
  j.headers,
  j.progress,
  j.command
FROM jobq_store.unfinished AS j
JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) j.queue
LEFT JOIN jobq_store.worker_slots() AS w
  ON w.job_id OPERATOR(pg_catalog.=) j.id
    AND (j.state OPERATOR(pg_catalog.=) 1 /* running */
      OR w.attempt OPERATOR(pg_catalog.>) j.attempt)
WHERE jobq_store.may_read(j.queue);
COMMENT ON VIEW jobq_store.live_jobs IS 'the first half of jobq.jobs';

CREATE VIEW jobq_store.finished_jobs WITH (security_barrier) AS
SELECT
  h.id,
  q.name AS queue,
  jobq_store.job_state(h.state, h.run_at) AS state,
  h.priority::integer AS priority,
  h.attempt,
  coalesce(h.max_attempts, q.max_attempts, 10) AS max_attempts,
  h.run_at,
  coalesce(h.enqueued_at, h.run_at) AS enqueued_at,
  h.started_at,
  h.finished_at,
  NULL::timestamptz AS expires_at,
  NULL::timestamptz AS lease_until,
  h.worker,
  h.payload,
  h.result,
  h.error,
  h.sqlstate,
  h.unique_key,
  h.group_key,
  h.tags,
  h.headers,
  h.progress,
  h.command
FROM jobq_store.history AS h
JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) h.queue
WHERE jobq_store.may_read(h.queue)
  AND jobq_store.is_kept(q.id, h.state, h.finished_at, h.unique_for);
COMMENT ON VIEW jobq_store.finished_jobs IS 'the second half of jobq.jobs';

-- The halves are separate views, since a barrier around a UNION ALL has no
-- effect: the planner pushes the reader's conditions down into its arms.
CREATE VIEW jobq.jobs WITH (security_barrier) AS
SELECT * FROM jobq_store.live_jobs
UNION ALL
SELECT * FROM jobq_store.finished_jobs;
COMMENT ON VIEW jobq.jobs IS 'live and finished jobs of the queues that the reader may read';

CREATE VIEW jobq.dead_letters WITH (security_barrier) AS
SELECT
  h.id,
  q.name AS queue,
  h.attempt,
  coalesce(h.enqueued_at, h.run_at) AS enqueued_at,
  h.started_at,
  h.finished_at,
  h.worker,
  h.payload,
  h.error,
  h.sqlstate,
  h.unique_key,
  h.group_key,
  h.tags,
  h.headers,
  h.command
FROM jobq_store.history AS h
JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) h.queue
WHERE h.state OPERATOR(pg_catalog.=) 4::smallint /* dead */
  AND jobq_store.may_read(h.queue)
  AND jobq_store.is_kept(q.id, h.state, h.finished_at, h.unique_for);
COMMENT ON VIEW jobq.dead_letters IS 'jobs that have failed permanently';

CREATE VIEW jobq.attempts WITH (security_barrier) AS
SELECT
  a.job_id,
  q.name AS queue,
  a.attempt,
  a.started_at,
  a.finished_at,
  a.outcome,
  a.worker,
  a.sqlstate,
  a.message AS error,
  a.detail,
  a.hint,
  a.context,
  a.data
FROM jobq_store.attempt AS a
JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) a.queue
WHERE jobq_store.may_read(a.queue);
COMMENT ON VIEW jobq.attempts IS 'attempts that did not succeed, and why';

-- The defaults are those in src/queue/queue_row.c; tools/check-places compares
-- them.
CREATE VIEW jobq.queues WITH (security_barrier) AS
SELECT
  q.name AS queue,
  q.owner::regrole AS owner,
  q.handler,
  q.description,
  q.paused,
  q.draining,
  q.created_at,
  coalesce(n.scheduled, 0) AS scheduled,
  greatest(coalesce(n.ready, 0) OPERATOR(pg_catalog.-) coalesce(w.running, 0), 0) AS ready,
  coalesce(n.running, 0) OPERATOR(pg_catalog.+) coalesce(w.running, 0) AS running,
  coalesce(n.waiting, 0) AS waiting,
  coalesce(q.max_attempts, 10) AS max_attempts,
  coalesce(q.backoff, 'exponential') AS backoff,
  coalesce(q.backoff_base, '1 second') AS backoff_base,
  coalesce(q.backoff_factor, 2) AS backoff_factor,
  coalesce(q.backoff_max, '1 hour') AS backoff_max,
  coalesce(q.jitter, 0.2) AS jitter,
  q.backoff_steps,
  q.backoff_function,
  coalesce(q.lease, '30 seconds') AS lease,
  q.timeout,
  coalesce(q.priority, 0) AS priority,
  q.ttl,
  q.payload_check,
  q.payload_path,
  q.forbid_keys,
  q.payload_max_bytes,
  coalesce(q.keep_completed, '1 day') AS keep_completed,
  q.keep_completed_count,
  coalesce(q.keep_dead, '30 days') AS keep_dead,
  q.keep_dead_count,
  CASE WHEN jobq_store.may_name(q.on_dead) THEN
    (SELECT d.name FROM jobq_store.queue AS d
      WHERE d.id OPERATOR(pg_catalog.=) q.on_dead) END AS on_dead,
  coalesce(q.notify, true) AS notify,
  coalesce(q.session_bound, false) AS session_bound,
  coalesce(q.sync_completion, true) AS sync_completion,
  coalesce(q.share_commits, true) AS share_commits,
  q.max_running,
  q.max_running_per_group,
  coalesce(q.group_on_failure, 'wait') AS group_on_failure,
  q.group_rate_limit,
  coalesce(q.group_rate_period, '1 second') AS group_rate_period,
  q.group_rate_burst,
  q.max_queued,
  coalesce(q.on_full, 'error') AS on_full,
  coalesce(q.lifo, false) AS lifo,
  coalesce(q.batch_size, 1) AS batch_size,
  coalesce(q.batch_wait, '0') AS batch_wait,
  coalesce(q.unique_when_dead, false) AS unique_when_dead,
  q.rate_limit,
  coalesce(q.rate_period, '1 second') AS rate_period,
  q.rate_burst,
  coalesce(q.on_limit, 'wait') AS on_limit,
  (SELECT l.name FROM jobq_store.limit_def AS l
    WHERE l.id OPERATOR(pg_catalog.=) q.shared_limit) AS shared_limit
FROM jobq_store.queue AS q
LEFT JOIN LATERAL (
  SELECT
    count(*) FILTER (WHERE c.state OPERATOR(pg_catalog.=) 'scheduled') AS scheduled,
    count(*) FILTER (WHERE c.state OPERATOR(pg_catalog.=) 'ready') AS ready,
    count(*) FILTER (WHERE c.state OPERATOR(pg_catalog.=) 'running') AS running,
    count(*) FILTER (WHERE c.state OPERATOR(pg_catalog.=) 'waiting') AS waiting
  FROM (
    SELECT jobq_store.job_state(j.state, greatest(j.run_at, j.lease_until)) AS state
    FROM jobq_store.unfinished AS j
    -- a range of one, see groups_with_options
    WHERE j.queue OPERATOR(pg_catalog.>=) q.id
      AND j.queue OPERATOR(pg_catalog.<=) q.id
  ) AS c
) AS n ON true
LEFT JOIN (
  -- jobs that are run inside a transaction, which their rows do not show
  SELECT s.queue, count(*) AS running
  FROM jobq_store.worker_slots() AS s
  JOIN jobq_store.job AS j ON j.id OPERATOR(pg_catalog.=) s.job_id
  WHERE j.state OPERATOR(pg_catalog.=) 0 /* pending */
    AND s.attempt OPERATOR(pg_catalog.>) j.attempt
  GROUP BY s.queue
) AS w ON w.queue OPERATOR(pg_catalog.=) q.id
WHERE jobq_store.may_read(q.id);
COMMENT ON VIEW jobq.queues IS 'queues: settings with defaults filled in, and numbers of live jobs';

CREATE VIEW jobq.schedules WITH (security_barrier) AS
SELECT
  s.name,
  s.owner::regrole AS owner,
  CASE WHEN s.command IS NULL AND jobq_store.may_name(s.queue)
    THEN q.name END AS queue,
  s.command,
  s.payload,
  s.cron,
  s.timezone,
  s.enabled,
  s.disabled_reason,
  nullif(s.next_run, 'infinity') AS next_run,
  s.last_run,
  s.last_job,
  s.runs,
  s.missed_runs,
  s.skipped_runs,
  s.late_runs,
  s.max_runs,
  s.missed,
  s.catch_up_window,
  s.overlap,
  s.jitter,
  s.starts_at,
  s.ends_at,
  s.priority,
  s.max_attempts,
  s.timeout,
  s.tags,
  s.keep_runs,
  s.created_at
FROM jobq_store.schedule AS s
LEFT JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) s.queue
WHERE jobq_store.may_see_role(s.owner::oid);
COMMENT ON VIEW jobq.schedules IS 'the reader''s cron schedules';

-- The state of a run's job is looked up row by row, by primary key, since a join
-- might read all of history.  With keep_runs => 'errors' a job that succeeded
-- leaves no trace, and its run is not shown.
CREATE VIEW jobq.schedule_runs WITH (security_barrier) AS
SELECT
  s.name AS schedule,
  r.slot,
  nullif(r.last_slot, r.slot) AS last_slot,
  r.runs,
  r.fired_at,
  r.outcome,
  CASE WHEN r.job IS NOT NULL
    THEN greatest(r.fired_at OPERATOR(pg_catalog.-) r.slot, '0') END AS late_by,
  r.caught_up,
  r.job,
  of_job.state,
  r.reason
FROM jobq_store.schedule_run AS r
JOIN jobq_store.schedule AS s ON s.id OPERATOR(pg_catalog.=) r.schedule
LEFT JOIN jobq_store.worker_slots() AS w
  ON w.job_id OPERATOR(pg_catalog.=) r.job
CROSS JOIN LATERAL (
  SELECT CASE WHEN r.job IS NULL THEN NULL
    ELSE coalesce(
      (SELECT CASE WHEN w.attempt OPERATOR(pg_catalog.>) j.attempt THEN 'running'
          ELSE jobq_store.job_state(j.state, greatest(j.run_at, j.lease_until)) END
        FROM jobq_store.job AS j
        WHERE j.id OPERATOR(pg_catalog.=) r.job),
      (SELECT jobq_store.job_state(h.state, h.run_at)
        FROM jobq_store.history AS h
        WHERE h.id OPERATOR(pg_catalog.=) r.job
        LIMIT 1)) END AS state
) AS of_job
WHERE jobq_store.may_see_role(s.owner::oid)
  AND r.fired_at OPERATOR(pg_catalog.>)
    (pg_catalog.now() OPERATOR(pg_catalog.-) '1 year'::interval)
  AND (s.keep_runs OPERATOR(pg_catalog.<>) 'errors'
    OR r.job IS NULL
    OR coalesce(of_job.state, 'completed') OPERATOR(pg_catalog.<>) 'completed');
COMMENT ON VIEW jobq.schedule_runs IS
  'the outcomes of the latest runs of the reader''s schedules';

CREATE VIEW jobq.workers WITH (security_barrier) AS
SELECT
  w.pid,
  w.kind,
  w.role::regrole AS role,
  w.state,
  CASE WHEN jobq_store.may_name(w.queue) THEN q.name END AS queue,
  w.job_id,
  w.attempt,
  w.since
FROM jobq_store.worker_slots() AS w
LEFT JOIN jobq_store.queue AS q ON q.id OPERATOR(pg_catalog.=) w.queue
WHERE w.role IS NULL
  OR jobq_store.may_see_role(w.role)
  OR jobq_store.may_read(w.queue);
COMMENT ON VIEW jobq.workers IS 'the background workers of this database';
