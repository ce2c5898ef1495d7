-- Limits: those that queues share; and what shared memory knows of running jobs,
-- and whether it is right.

CREATE FUNCTION jobq.create_limit(
  name text,
  max_running integer DEFAULT NULL,
  max_running_per_group integer DEFAULT NULL,
  rate_limit integer DEFAULT NULL,
  rate_period interval DEFAULT NULL,
  rate_burst integer DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_create_limit';
COMMENT ON FUNCTION jobq.create_limit IS
  'creates a limit for the jobs of all queues whose option shared_limit names it';

CREATE FUNCTION jobq.alter_limit(
  name text,
  max_running integer DEFAULT NULL,
  max_running_per_group integer DEFAULT NULL,
  rate_limit integer DEFAULT NULL,
  rate_period interval DEFAULT NULL,
  rate_burst integer DEFAULT NULL,
  owner regrole DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_alter_limit';
COMMENT ON FUNCTION jobq.alter_limit IS
  'changes options or the owner of a limit; those omitted or NULL stay unchanged';

CREATE FUNCTION jobq.reset_limit(name text, VARIADIC options text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_limit';
COMMENT ON FUNCTION jobq.reset_limit IS
  'resets options of a limit to their built-in defaults: none';

CREATE FUNCTION jobq.drop_limit(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_drop_limit';
COMMENT ON FUNCTION jobq.drop_limit IS
  'drops a limit that no queue shares any more';

CREATE FUNCTION jobq_store.limit_running(limit_id integer)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_limit_running';
COMMENT ON FUNCTION jobq_store.limit_running IS
  'how many jobs have a slot of a limit; NULL: not known yet';

CREATE VIEW jobq.limits WITH (security_barrier) AS
SELECT
  l.name,
  l.owner::regrole AS owner,
  l.max_running,
  l.max_running_per_group,
  l.rate_limit,
  coalesce(l.rate_period, '1 second') AS rate_period,
  l.rate_burst,
  jobq_store.limit_running(l.id) AS running,
  ARRAY(SELECT q.name FROM jobq_store.queue AS q
    -- a range of one, see groups_with_options
    WHERE q.shared_limit OPERATOR(pg_catalog.>=) l.id
      AND q.shared_limit OPERATOR(pg_catalog.<=) l.id
    ORDER BY q.name) AS queues
FROM jobq_store.limit_def AS l
WHERE jobq_store.may_see_role(l.owner::oid);
COMMENT ON VIEW jobq.limits IS
  'the reader''s limits, and how many jobs run under each';

CREATE FUNCTION jobq_store.groups(
  queue integer,
  only_group text DEFAULT NULL,
  OUT group_key text,
  OUT running integer,
  OUT next_at timestamptz,
  OUT why text
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'jobq_groups';
COMMENT ON FUNCTION jobq_store.groups IS
  'the groups of a queue that shared memory knows, or one of them';

-- Groups with options are found by the index of their table, whether memory knows
-- them or not.  Here and in other views, each queue's rows are asked for as a range
-- of one: for "queue = q.id" the planner would read the whole table for each queue
-- where nearly all of its rows are one queue's.
CREATE VIEW jobq_store.groups_with_options WITH (security_barrier) AS
SELECT
  q.name AS queue,
  o.group_key,
  coalesce(g.running, 0) AS running,
  coalesce(o.max_running, q.max_running_per_group) AS max_running,
  coalesce(o.rate_limit, q.group_rate_limit) AS rate_limit,
  coalesce(CASE WHEN o.rate_limit IS NULL THEN q.group_rate_period ELSE o.rate_period END,
    '1 second') AS rate_period,
  CASE WHEN o.rate_limit IS NULL THEN q.group_rate_burst ELSE o.rate_burst END
    AS rate_burst,
  coalesce(o.weight, 1) AS weight,
  o.paused,
  g.next_at,
  g.why
FROM jobq_store.queue AS q
CROSS JOIN LATERAL (
  SELECT
    u.group_key,
    max(u.max_running) AS max_running,
    max(u.rate_limit) AS rate_limit,
    max(u.rate_period) AS rate_period,
    max(u.rate_burst) AS rate_burst,
    max(u.weight) AS weight,
    bool_or(u.paused) AS paused
  FROM (
    SELECT group_key, max_running, rate_limit, rate_period, rate_burst, weight, paused
    FROM jobq_store.group_option
    WHERE queue OPERATOR(pg_catalog.>=) q.id
      AND queue OPERATOR(pg_catalog.<=) q.id
    UNION ALL
    SELECT group_key, NULL, NULL, NULL, NULL, NULL, true
    FROM jobq_store.group_stop
    WHERE queue OPERATOR(pg_catalog.>=) q.id
      AND queue OPERATOR(pg_catalog.<=) q.id
  ) AS u
  GROUP BY u.group_key
) AS o
LEFT JOIN LATERAL jobq_store.groups(q.id, o.group_key) AS g ON true
WHERE jobq_store.may_read(q.id);
COMMENT ON VIEW jobq_store.groups_with_options IS 'the first half of jobq.groups';

-- The sub-selects are looked up in an index for each group of the queue; the anti join
-- that NOT EXISTS becomes would read the options of all queues for a few groups.
CREATE VIEW jobq_store.groups_in_memory WITH (security_barrier) AS
SELECT
  q.name AS queue,
  g.group_key COLLATE "C" AS group_key,
  g.running,
  q.max_running_per_group AS max_running,
  q.group_rate_limit AS rate_limit,
  coalesce(q.group_rate_period, '1 second') AS rate_period,
  q.group_rate_burst AS rate_burst,
  1 AS weight,
  false AS paused,
  g.next_at,
  g.why
FROM jobq_store.queue AS q
CROSS JOIN LATERAL jobq_store.groups(q.id) AS g
WHERE jobq_store.may_read(q.id)
  AND (SELECT true FROM jobq_store.group_option AS o
    WHERE o.queue OPERATOR(pg_catalog.>=) q.id
      AND o.queue OPERATOR(pg_catalog.<=) q.id
      AND o.group_key OPERATOR(pg_catalog.=) (g.group_key COLLATE "C")) IS NULL
  AND (SELECT true FROM jobq_store.group_stop AS s
    WHERE s.queue OPERATOR(pg_catalog.>=) q.id
      AND s.queue OPERATOR(pg_catalog.<=) q.id
      AND s.group_key OPERATOR(pg_catalog.=) (g.group_key COLLATE "C")) IS NULL;
COMMENT ON VIEW jobq_store.groups_in_memory IS 'the second half of jobq.groups';

CREATE VIEW jobq.groups WITH (security_barrier) AS
SELECT
  queue,
  group_key,
  running,
  max_running,
  rate_limit,
  rate_period,
  rate_burst,
  weight,
  paused,
  CASE WHEN s.stops IS NULL THEN next_at END AS next_at,
  coalesce(s.stops, why) AS why
FROM (
  SELECT * FROM jobq_store.groups_with_options
  UNION ALL
  SELECT * FROM jobq_store.groups_in_memory
) AS g
CROSS JOIN LATERAL (
  SELECT CASE WHEN g.paused THEN 'paused'
    WHEN g.why OPERATOR(pg_catalog.<>) 'scheduled'
      AND g.running OPERATOR(pg_catalog.>=) g.max_running THEN 'max_running' END AS stops
) AS s;
COMMENT ON VIEW jobq.groups IS
  'groups with options, or jobs that run, or may start: whether they do, or what they wait for';

CREATE FUNCTION jobq_store.gates(
  OUT queue integer,
  OUT running integer,
  OUT counted boolean
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'jobq_gates';
COMMENT ON FUNCTION jobq_store.gates IS
  'how many jobs of each queue of this database are running, according to shared memory';

CREATE FUNCTION jobq_store.flow_check(
  OUT object text,
  OUT memory bigint,
  OUT rows bigint
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'jobq_flow_check';
COMMENT ON FUNCTION jobq_store.flow_check IS
  'where shared memory and the tables disagree about limits; no rows when idle';
