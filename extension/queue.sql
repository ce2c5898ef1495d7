-- Queues: creating, changing, pausing, privileges.
--
-- An option has the name of the column of jobq_store.queue that it sets;
-- src/queue/queue_options.c maps them by name.  create_queue and alter_queue
-- have the same options, in the same order (tools/check-places).

CREATE FUNCTION jobq.create_queue(
  queue text,
  handler regprocedure DEFAULT NULL,
  description text DEFAULT NULL,
  owner regrole DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff text DEFAULT NULL,
  backoff_base interval DEFAULT NULL,
  backoff_factor double precision DEFAULT NULL,
  backoff_max interval DEFAULT NULL,
  jitter double precision DEFAULT NULL,
  backoff_steps interval[] DEFAULT NULL,
  backoff_function regprocedure DEFAULT NULL,
  lease interval DEFAULT NULL,
  timeout interval DEFAULT NULL,
  priority integer DEFAULT NULL,
  ttl interval DEFAULT NULL,
  payload_check regprocedure DEFAULT NULL,
  payload_path jsonpath DEFAULT NULL,
  forbid_keys text[] DEFAULT NULL,
  payload_max_bytes integer DEFAULT NULL,
  keep_completed interval DEFAULT NULL,
  keep_completed_count integer DEFAULT NULL,
  keep_dead interval DEFAULT NULL,
  keep_dead_count integer DEFAULT NULL,
  on_dead text DEFAULT NULL,
  notify boolean DEFAULT NULL,
  session_bound boolean DEFAULT NULL,
  sync_completion boolean DEFAULT NULL,
  share_commits boolean DEFAULT NULL,
  max_running integer DEFAULT NULL,
  max_running_per_group integer DEFAULT NULL,
  group_on_failure text DEFAULT NULL,
  group_rate_limit integer DEFAULT NULL,
  group_rate_period interval DEFAULT NULL,
  group_rate_burst integer DEFAULT NULL,
  max_queued integer DEFAULT NULL,
  on_full text DEFAULT NULL,
  lifo boolean DEFAULT NULL,
  batch_size integer DEFAULT NULL,
  batch_wait interval DEFAULT NULL,
  unique_when_dead boolean DEFAULT NULL,
  rate_limit integer DEFAULT NULL,
  rate_period interval DEFAULT NULL,
  rate_burst integer DEFAULT NULL,
  on_limit text DEFAULT NULL,
  shared_limit text DEFAULT NULL,
  or_replace boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_create_queue';
COMMENT ON FUNCTION jobq.create_queue IS
  'creates a queue; with a handler, background workers run its jobs; with or_replace, it may already exist';

CREATE FUNCTION jobq.alter_queue(
  queue text,
  handler regprocedure DEFAULT NULL,
  description text DEFAULT NULL,
  owner regrole DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff text DEFAULT NULL,
  backoff_base interval DEFAULT NULL,
  backoff_factor double precision DEFAULT NULL,
  backoff_max interval DEFAULT NULL,
  jitter double precision DEFAULT NULL,
  backoff_steps interval[] DEFAULT NULL,
  backoff_function regprocedure DEFAULT NULL,
  lease interval DEFAULT NULL,
  timeout interval DEFAULT NULL,
  priority integer DEFAULT NULL,
  ttl interval DEFAULT NULL,
  payload_check regprocedure DEFAULT NULL,
  payload_path jsonpath DEFAULT NULL,
  forbid_keys text[] DEFAULT NULL,
  payload_max_bytes integer DEFAULT NULL,
  keep_completed interval DEFAULT NULL,
  keep_completed_count integer DEFAULT NULL,
  keep_dead interval DEFAULT NULL,
  keep_dead_count integer DEFAULT NULL,
  on_dead text DEFAULT NULL,
  notify boolean DEFAULT NULL,
  session_bound boolean DEFAULT NULL,
  sync_completion boolean DEFAULT NULL,
  share_commits boolean DEFAULT NULL,
  max_running integer DEFAULT NULL,
  max_running_per_group integer DEFAULT NULL,
  group_on_failure text DEFAULT NULL,
  group_rate_limit integer DEFAULT NULL,
  group_rate_period interval DEFAULT NULL,
  group_rate_burst integer DEFAULT NULL,
  max_queued integer DEFAULT NULL,
  on_full text DEFAULT NULL,
  lifo boolean DEFAULT NULL,
  batch_size integer DEFAULT NULL,
  batch_wait interval DEFAULT NULL,
  unique_when_dead boolean DEFAULT NULL,
  rate_limit integer DEFAULT NULL,
  rate_period interval DEFAULT NULL,
  rate_burst integer DEFAULT NULL,
  on_limit text DEFAULT NULL,
  shared_limit text DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_alter_queue';
COMMENT ON FUNCTION jobq.alter_queue IS
  'changes options of a queue; those omitted or NULL stay unchanged';

CREATE FUNCTION jobq.reset_queue(queue text, VARIADIC options text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_queue';
COMMENT ON FUNCTION jobq.reset_queue IS
  'resets options of a queue to their built-in defaults';

CREATE FUNCTION jobq.rename_queue(queue text, new_name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_rename_queue';
COMMENT ON FUNCTION jobq.rename_queue IS
  'renames a queue; it keeps its jobs, options and privileges';

CREATE FUNCTION jobq.drop_queue(
  queue text,
  force boolean DEFAULT false,
  if_exists boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_drop_queue';
COMMENT ON FUNCTION jobq.drop_queue IS
  'drops a queue and its history; fails if it has unfinished jobs, unless force is true';

CREATE FUNCTION jobq.pause(queue text, group_key text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_pause';
COMMENT ON FUNCTION jobq.pause IS
  'starts no more jobs of a queue, or of one of its groups; false if it was already paused';

CREATE FUNCTION jobq.resume(queue text, group_key text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_resume';
COMMENT ON FUNCTION jobq.resume IS
  'ends pause() and drain(), or pause() of a group; false if there was nothing to end';

CREATE FUNCTION jobq.set_group(
  queue text,
  group_key text,
  max_running integer DEFAULT NULL,
  rate_limit integer DEFAULT NULL,
  rate_period interval DEFAULT NULL,
  rate_burst integer DEFAULT NULL,
  weight integer DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_set_group';
COMMENT ON FUNCTION jobq.set_group IS
  'gives a group options of its own; those omitted or NULL stay unchanged';

CREATE FUNCTION jobq.reset_group(queue text, group_key text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_group';
COMMENT ON FUNCTION jobq.reset_group IS
  'has a group follow its queue again; false if it had no options of its own';

CREATE FUNCTION jobq.drain(queue text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_drain';
COMMENT ON FUNCTION jobq.drain IS
  'refuses new jobs of a queue (JQ002) while its own are finished; false if it was already draining';

CREATE FUNCTION jobq.throttle(queue text, delay interval, group_key text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_throttle';
COMMENT ON FUNCTION jobq.throttle IS
  'keeps jobs of a queue, or of one of its groups, from starting for that long; it takes effect at once, and a rollback does not undo it; ''0'' ends it';

CREATE FUNCTION jobq.grant_usage(
  role regrole,
  may_create boolean DEFAULT false,
  may_read boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_grant_usage';
COMMENT ON FUNCTION jobq.grant_usage IS
  'lets a role use jobq; with may_create, also create_queue, create_limit, schedule and run; with may_read, also see every queue and schedule';

CREATE FUNCTION jobq.revoke_usage(role regrole)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_revoke_usage';
COMMENT ON FUNCTION jobq.revoke_usage IS 'revokes what grant_usage granted';

CREATE FUNCTION jobq.grant_queue(queue text, role regrole, VARIADIC privileges text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_grant_queue';
COMMENT ON FUNCTION jobq.grant_queue IS
  'grants a role privileges on a queue: enqueue, consume, manage, read';

CREATE FUNCTION jobq.revoke_queue(queue text, role regrole, VARIADIC privileges text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_revoke_queue';
COMMENT ON FUNCTION jobq.revoke_queue IS 'revokes privileges on a queue';

CREATE FUNCTION jobq.channel(queue text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_channel';
COMMENT ON FUNCTION jobq.channel IS 'the NOTIFY channel that announces new jobs of a queue';

CREATE FUNCTION jobq.listen(queue text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_listen';
COMMENT ON FUNCTION jobq.listen IS 'listens on the channel of a queue';

CREATE FUNCTION jobq.unlisten(queue text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_unlisten';
COMMENT ON FUNCTION jobq.unlisten IS 'stops listening on the channel of a queue';
