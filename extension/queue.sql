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
  or_replace boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_create_queue';
COMMENT ON FUNCTION jobq.create_queue IS
  'creates a queue; with a handler, the background workers run its jobs; with or_replace it may be there';

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
  payload_max_bytes integer DEFAULT NULL,
  keep_completed interval DEFAULT NULL,
  keep_completed_count integer DEFAULT NULL,
  keep_dead interval DEFAULT NULL,
  keep_dead_count integer DEFAULT NULL,
  on_dead text DEFAULT NULL,
  notify boolean DEFAULT NULL,
  session_bound boolean DEFAULT NULL,
  sync_completion boolean DEFAULT NULL,
  share_commits boolean DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_alter_queue';
COMMENT ON FUNCTION jobq.alter_queue IS
  'changes options of a queue; those left out, or NULL, stay as they are';

CREATE FUNCTION jobq.reset_queue(queue text, VARIADIC options text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_queue';
COMMENT ON FUNCTION jobq.reset_queue IS
  'sets options of a queue back to their built-in defaults';

CREATE FUNCTION jobq.rename_queue(queue text, new_name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_rename_queue';
COMMENT ON FUNCTION jobq.rename_queue IS
  'gives a queue another name; its jobs, options and privileges stay';

CREATE FUNCTION jobq.drop_queue(
  queue text,
  force boolean DEFAULT false,
  if_exists boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_drop_queue';
COMMENT ON FUNCTION jobq.drop_queue IS
  'drops a queue and its history; refuses if it has unfinished jobs, unless forced';

CREATE FUNCTION jobq.pause(queue text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_pause';
COMMENT ON FUNCTION jobq.pause IS
  'stops the start of further jobs of a queue; false if it was paused already';

CREATE FUNCTION jobq.resume(queue text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_resume';
COMMENT ON FUNCTION jobq.resume IS 'ends pause(); false if the queue was not paused';

CREATE FUNCTION jobq.grant_usage(
  role regrole,
  may_create boolean DEFAULT false,
  may_read boolean DEFAULT false
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_grant_usage';
COMMENT ON FUNCTION jobq.grant_usage IS
  'lets a role use jobq; with may_create also create_queue, schedule and run; with may_read see every queue and schedule';

CREATE FUNCTION jobq.revoke_usage(role regrole)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_revoke_usage';
COMMENT ON FUNCTION jobq.revoke_usage IS 'takes back what grant_usage gave';

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
COMMENT ON FUNCTION jobq.revoke_queue IS 'takes back privileges on a queue';

CREATE FUNCTION jobq.channel(queue text)
RETURNS text
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_channel';
COMMENT ON FUNCTION jobq.channel IS 'the NOTIFY channel that tells of new jobs in a queue';

CREATE FUNCTION jobq.listen(queue text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_listen';
COMMENT ON FUNCTION jobq.listen IS 'LISTEN to the channel of a queue';

CREATE FUNCTION jobq.unlisten(queue text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_unlisten';
COMMENT ON FUNCTION jobq.unlisten IS 'UNLISTEN to the channel of a queue';
