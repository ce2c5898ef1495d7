-- Tables.  Everything durable is here, in ordinary logged tables.
--
-- Columns are read by number: src/base/schema.h has the same ones in the same
-- order (tools/check-places).

CREATE FUNCTION jobq_store.refuse_others()
RETURNS trigger
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'jobq_refuse_others';
COMMENT ON FUNCTION jobq_store.refuse_others() IS
  'for triggers: only roles with the privileges of the table''s owner may write';

-- ---------------------------------------------------------------- sequences

-- Ids of queues and limits have 4 bytes: larger numbers stand for ids that are free
-- again (src/base/new_id.c).
CREATE SEQUENCE jobq_store.queue_id_seq AS bigint;
CREATE SEQUENCE jobq_store.limit_id_seq AS bigint;
CREATE SEQUENCE jobq_store.job_id_seq AS bigint;
CREATE SEQUENCE jobq_store.schedule_id_seq AS bigint;

-- A value is a block of 2^16 leases, so that a lease needs no WAL of its own.
-- src/base/lease_number.c says why a block may be used only after its WAL has
-- been flushed, and where blocks begin.
CREATE SEQUENCE jobq_store.lease_block_seq AS bigint MAXVALUE 140737488355296;

-- ------------------------------------------------------------------ service

CREATE TABLE jobq_store.service (
  only_row boolean NOT NULL DEFAULT true PRIMARY KEY CHECK (only_row),
  stopped boolean NOT NULL DEFAULT false,
  history_segment smallint NOT NULL DEFAULT 0,
  history_since timestamptz NOT NULL DEFAULT pg_catalog.now(),
  stopped_at timestamptz
);
COMMENT ON TABLE jobq_store.service IS
  'state of this database''s service: whether stop() was called, and where history is written';

INSERT INTO jobq_store.service DEFAULT VALUES;

-- ------------------------------------------------------------------- queues

-- An option that is NULL has its built-in default.  system_identifier (the
-- cluster's, combined with the extension's OID) and database say where the queue
-- is at home: a queue in a copied or restored database does nothing there until
-- start().  Functions are stored by name and argument types, since pg_upgrade
-- refuses regprocedure columns.
CREATE TABLE jobq_store.queue (
  id integer NOT NULL PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  is_run boolean NOT NULL,
  owner jobq_store.role_ref NOT NULL,
  handler text,
  paused boolean NOT NULL,
  draining boolean NOT NULL,
  has_group_options boolean NOT NULL,
  created_at timestamptz NOT NULL,
  system_identifier bigint NOT NULL,
  database oid NOT NULL,
  description text,
  max_attempts integer,
  backoff text,
  backoff_base interval,
  backoff_factor double precision,
  backoff_max interval,
  jitter double precision,
  backoff_steps interval[],
  backoff_function text,
  lease interval,
  timeout interval,
  priority integer,
  ttl interval,
  payload_check text,
  payload_path jsonpath,
  forbid_keys text[],
  payload_max_bytes integer,
  keep_completed interval,
  keep_completed_count integer,
  keep_dead interval,
  keep_dead_count integer,
  on_dead integer,
  notify boolean,
  session_bound boolean,
  sync_completion boolean,
  share_commits boolean,
  max_running integer,
  max_running_per_group integer,
  group_on_failure text,
  group_rate_limit integer,
  group_rate_period interval,
  group_rate_burst integer,
  max_queued integer,
  on_full text,
  lifo boolean,
  batch_size integer,
  batch_wait interval,
  unique_when_dead boolean,
  rate_limit integer,
  rate_period interval,
  rate_burst integer,
  on_limit text,
  shared_limit integer
);
COMMENT ON TABLE jobq_store.queue IS 'queues and their options';

-- the cost of a call must not grow with what other roles own
CREATE INDEX queue_owner ON jobq_store.queue (owner);
CREATE INDEX queue_run ON jobq_store.queue (owner) WHERE is_run;
CREATE INDEX queue_on_dead ON jobq_store.queue (on_dead)
  WHERE on_dead IS NOT NULL;
CREATE INDEX queue_shared_limit ON jobq_store.queue (shared_limit)
  WHERE shared_limit IS NOT NULL;

CREATE TABLE jobq_store.queue_grant (
  queue integer NOT NULL,
  role jobq_store.role_ref NOT NULL,
  privileges integer NOT NULL,
  PRIMARY KEY (queue, role)
);
COMMENT ON TABLE jobq_store.queue_grant IS 'privileges on queues, as a bit mask (src/queue/queue.h)';

CREATE INDEX queue_grant_role ON jobq_store.queue_grant (role);

-- Grants to roles that no longer exist are useless, and several of them would
-- violate the key: they are not restored from a dump.
CREATE TRIGGER queue_grant_to_nobody BEFORE INSERT ON jobq_store.queue_grant
  FOR EACH ROW WHEN (NEW.role OPERATOR(pg_catalog.=) 0::oid)
  EXECUTE FUNCTION jobq_store.skip_row();

-- Limits that queues share, those whose shared_limit is the id.
CREATE TABLE jobq_store.limit_def (
  id integer NOT NULL PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  owner jobq_store.role_ref NOT NULL,
  max_running integer,
  max_running_per_group integer,
  rate_limit integer,
  rate_period interval,
  rate_burst integer
);
COMMENT ON TABLE jobq_store.limit_def IS 'limits that queues share';

CREATE INDEX limit_def_owner ON jobq_store.limit_def (owner);

-- What is said of single groups, whose options differ from their queue's.  The
-- queue's has_group_options is true once there was such a row.
CREATE TABLE jobq_store.group_option (
  queue integer NOT NULL,
  group_key text COLLATE "C" NOT NULL,
  paused boolean NOT NULL,
  max_running integer,
  rate_limit integer,
  rate_period interval,
  rate_burst integer,
  weight integer,
  PRIMARY KEY (queue, group_key)
);
COMMENT ON TABLE jobq_store.group_option IS 'groups that are paused, or have options of their own';

-- What a dropped queue leaves behind, in history and attempt, is removed later.
-- At home as a queue is: a restored row waits for start(), since the jobs may not be
-- there yet.
CREATE TABLE jobq_store.gone_queue (
  id integer NOT NULL PRIMARY KEY,
  system_identifier bigint NOT NULL,
  database oid NOT NULL
);
COMMENT ON TABLE jobq_store.gone_queue IS 'dropped queues whose finished jobs are still to be removed';

-- Groups that are paused since a job of them died.  A row is added without a lock, so
-- that the end of a job waits for nobody.
CREATE TABLE jobq_store.group_stop (
  queue integer NOT NULL,
  group_key text COLLATE "C" NOT NULL,
  job_id bigint NOT NULL
);
CREATE INDEX group_stop_group ON jobq_store.group_stop (queue, group_key);
-- without a key, a publication for all tables would forbid the deletion of rows
ALTER TABLE jobq_store.group_stop REPLICA IDENTITY FULL;
COMMENT ON TABLE jobq_store.group_stop IS 'jobs that died, and pause their groups';

-- --------------------------------------------------------------------- jobs

-- The hot table: live jobs only.  The columns that dispatch looks at come first;
-- they are never NULL, and so are at fixed offsets.  Then come those that are set
-- only when a job is claimed or has options, so that a new row is small; the
-- payload is last.  enqueued_at is NULL if it equals run_at, max_attempts if it
-- is the queue's, and the payload if a command has no params.  A negative run_at
-- (before 2000) is mirrored, see src/job/job.h.
--
-- in_batch is true of jobs that were claimed by lease as a batch: those with the
-- same lease count as one running job.
--
-- The columns that a claim changes (attempt, state, lease, lease_until, in_batch,
-- started_at, worker) are in no index and no index predicate, and the
-- fillfactor leaves room for the claimed version of every row, so that a claim
-- is a HOT update.
CREATE TABLE jobq_store.job (
  id bigint NOT NULL PRIMARY KEY,
  run_at timestamptz NOT NULL,
  queue integer NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  attempt integer NOT NULL,
  max_attempts integer,
  lease bigint,
  lease_until timestamptz,
  in_batch boolean,
  started_at timestamptz,
  enqueued_at timestamptz,
  expires_at timestamptz,
  timeout interval,
  unique_for interval,
  worker text,
  unique_key text COLLATE "C",
  group_key text COLLATE "C",
  tags text[],
  headers jsonb,
  progress jsonb,
  command text,
  payload jsonb
) WITH (
  fillfactor = 35,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 100000,
  autovacuum_analyze_scale_factor = 0,
  autovacuum_analyze_threshold = 100000,
  vacuum_truncate = off
);
COMMENT ON TABLE jobq_store.job IS 'unfinished jobs';

-- no two entries are equal
CREATE INDEX job_dispatch ON jobq_store.job (queue, priority, run_at, id)
  WITH (deduplicate_items = off) WHERE group_key IS NULL;
CREATE INDEX job_group
  ON jobq_store.job (queue, group_key, priority, run_at, id)
  WITH (deduplicate_items = off) WHERE group_key IS NOT NULL;
CREATE UNIQUE INDEX job_unique_key ON jobq_store.job (queue, unique_key)
  WHERE unique_key IS NOT NULL;
CREATE INDEX job_expires_at ON jobq_store.job (expires_at)
  WHERE expires_at IS NOT NULL;

-- Requests to cancel jobs whose rows were locked at the time.  The coordinator
-- carries them out; a restored one waits for start(), as in gone_queue.
CREATE TABLE jobq_store.cancel_request (
  job_id bigint NOT NULL PRIMARY KEY,
  reason text,
  requested_at timestamptz NOT NULL,
  system_identifier bigint NOT NULL,
  database oid NOT NULL
);
COMMENT ON TABLE jobq_store.cancel_request IS 'requests to cancel jobs whose rows were locked at the time';

-- What the starts of jobs have made of a queue's rate, where a restart of the
-- server must not forget them (src/queue/start_row.c): the latest tat counts.
CREATE TABLE jobq_store.rate_start (
  queue integer NOT NULL,
  group_key text COLLATE "C" NOT NULL,
  tat timestamptz NOT NULL
) WITH (fillfactor = 50);
-- The queue, or a limit with the sign of its id changed; group_key: a group of the queue,
-- '' for all of its jobs.
COMMENT ON TABLE jobq_store.rate_start IS
  'starts of jobs that count after a restart: tat is when the rate will have made up for the last one';

CREATE INDEX rate_start_group ON jobq_store.rate_start (queue, group_key);
ALTER TABLE jobq_store.rate_start REPLICA IDENTITY FULL;

-- ------------------------------------------------------------------ history

-- Finished jobs, in a fixed ring of segments: one is written to, and the oldest
-- is emptied by TRUNCATE after the rows that must be kept have been moved.  The
-- segments are created here, not at run time, so that pg_dump knows that they
-- belong to the extension.  The same columns are NULL as in a job's row.
CREATE TABLE jobq_store.history (
  id bigint NOT NULL,
  run_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  queue integer NOT NULL,
  attempt integer NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  segment smallint NOT NULL,
  max_attempts integer,
  lease bigint,
  started_at timestamptz,
  enqueued_at timestamptz,
  timeout interval,
  unique_for interval,
  worker text,
  unique_key text COLLATE "C",
  group_key text COLLATE "C",
  tags text[],
  headers jsonb,
  progress jsonb,
  command text,
  error text,
  sqlstate text,
  result jsonb,
  payload jsonb,
  PRIMARY KEY (id, segment)
) PARTITION BY LIST (segment);
COMMENT ON TABLE jobq_store.history IS 'finished jobs';

-- For unique_for, the newest completed job of a key is at the end of its entries.
CREATE INDEX history_unique_key
  ON jobq_store.history (queue, unique_key, state, finished_at)
  WHERE unique_key IS NOT NULL;

CREATE TABLE jobq_store.history_0 PARTITION OF jobq_store.history FOR VALUES IN (0);
CREATE TABLE jobq_store.history_1 PARTITION OF jobq_store.history FOR VALUES IN (1);
CREATE TABLE jobq_store.history_2 PARTITION OF jobq_store.history FOR VALUES IN (2);
CREATE TABLE jobq_store.history_3 PARTITION OF jobq_store.history FOR VALUES IN (3);
CREATE TABLE jobq_store.history_4 PARTITION OF jobq_store.history FOR VALUES IN (4);
CREATE TABLE jobq_store.history_5 PARTITION OF jobq_store.history FOR VALUES IN (5);
CREATE TABLE jobq_store.history_6 PARTITION OF jobq_store.history FOR VALUES IN (6);
CREATE TABLE jobq_store.history_7 PARTITION OF jobq_store.history FOR VALUES IN (7);

-- Failed attempts.
CREATE TABLE jobq_store.attempt (
  job_id bigint NOT NULL,
  finished_at timestamptz NOT NULL,
  attempt integer NOT NULL,
  queue integer NOT NULL,
  started_at timestamptz,
  outcome text NOT NULL,
  worker text,
  sqlstate text,
  message text,
  detail text,
  hint text,
  context text,
  data jsonb,
  PRIMARY KEY (job_id, finished_at, attempt)
);
COMMENT ON TABLE jobq_store.attempt IS 'failed attempts and their errors';

-- ---------------------------------------------------------------- schedules

CREATE TABLE jobq_store.schedule (
  id bigint NOT NULL PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  owner jobq_store.role_ref NOT NULL,
  queue integer NOT NULL,
  enabled boolean NOT NULL,
  waits boolean NOT NULL,
  runs bigint NOT NULL,
  missed_runs bigint NOT NULL,
  skipped_runs bigint NOT NULL,
  late_runs bigint NOT NULL,
  history bigint NOT NULL,
  created_at timestamptz NOT NULL,
  anchor timestamptz NOT NULL,
  next_run timestamptz NOT NULL,
  system_identifier bigint NOT NULL,
  database oid NOT NULL,
  cron text NOT NULL,
  timezone text NOT NULL,
  missed text NOT NULL,
  overlap text NOT NULL,
  keep_runs text NOT NULL,
  payload jsonb NOT NULL,
  command text,
  jitter interval,
  starts_at timestamptz,
  ends_at timestamptz,
  max_runs integer,
  priority integer,
  max_attempts integer,
  timeout interval,
  catch_up_window interval,
  tags text[],
  last_run timestamptz,
  last_job bigint,
  disabled_reason text
);
COMMENT ON TABLE jobq_store.schedule IS
  'cron schedules; next_run is ''infinity'' if no run is due, waits is true if the run waits for last_job to end, history counts the places taken in schedule_run';

CREATE INDEX schedule_owner ON jobq_store.schedule (owner, waits, next_run, id);
CREATE INDEX schedule_queue ON jobq_store.schedule (queue);
CREATE INDEX schedule_next_run ON jobq_store.schedule (next_run)
  WHERE next_run < 'infinity' AND NOT waits;

-- The latest runs of schedules.  Each schedule has a ring of rows
-- (src/schedule/schedule_history.c), so that the table neither grows nor has to be
-- cleared.  Reusing a row is a HOT update.
CREATE TABLE jobq_store.schedule_run (
  schedule bigint NOT NULL,
  runs bigint NOT NULL,
  slot timestamptz NOT NULL,
  last_slot timestamptz NOT NULL,
  fired_at timestamptz NOT NULL,
  place integer NOT NULL,
  caught_up boolean NOT NULL,
  outcome text NOT NULL,
  job bigint,
  reason text,
  PRIMARY KEY (schedule, place)
) WITH (fillfactor = 80);
COMMENT ON TABLE jobq_store.schedule_run IS
  'the latest runs of schedules; a row may stand for several skipped runs';

-- --------------------------------------------------------------- statistics

-- EXPLAIN shows any role the planner's estimates for its conditions, also on rows that
-- a view withholds.  Statistics on a column of contents would reveal them that way, and no
-- query here needs them.  A new column of such a type belongs here, too.
ALTER TABLE jobq_store.queue
  ALTER COLUMN name SET STATISTICS 0,
  ALTER COLUMN handler SET STATISTICS 0,
  ALTER COLUMN description SET STATISTICS 0,
  ALTER COLUMN backoff SET STATISTICS 0,
  ALTER COLUMN backoff_function SET STATISTICS 0,
  ALTER COLUMN payload_check SET STATISTICS 0,
  ALTER COLUMN payload_path SET STATISTICS 0,
  ALTER COLUMN forbid_keys SET STATISTICS 0,
  ALTER COLUMN group_on_failure SET STATISTICS 0,
  ALTER COLUMN on_full SET STATISTICS 0,
  ALTER COLUMN on_limit SET STATISTICS 0;
ALTER TABLE jobq_store.limit_def
  ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE jobq_store.group_option
  ALTER COLUMN group_key SET STATISTICS 0;
ALTER TABLE jobq_store.group_stop
  ALTER COLUMN group_key SET STATISTICS 0;
ALTER TABLE jobq_store.job
  ALTER COLUMN worker SET STATISTICS 0,
  ALTER COLUMN unique_key SET STATISTICS 0,
  ALTER COLUMN group_key SET STATISTICS 0,
  ALTER COLUMN tags SET STATISTICS 0,
  ALTER COLUMN headers SET STATISTICS 0,
  ALTER COLUMN progress SET STATISTICS 0,
  ALTER COLUMN command SET STATISTICS 0,
  ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE jobq_store.cancel_request
  ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE jobq_store.rate_start
  ALTER COLUMN group_key SET STATISTICS 0;
ALTER TABLE jobq_store.history
  ALTER COLUMN worker SET STATISTICS 0,
  ALTER COLUMN unique_key SET STATISTICS 0,
  ALTER COLUMN group_key SET STATISTICS 0,
  ALTER COLUMN tags SET STATISTICS 0,
  ALTER COLUMN headers SET STATISTICS 0,
  ALTER COLUMN progress SET STATISTICS 0,
  ALTER COLUMN command SET STATISTICS 0,
  ALTER COLUMN error SET STATISTICS 0,
  ALTER COLUMN sqlstate SET STATISTICS 0,
  ALTER COLUMN result SET STATISTICS 0,
  ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE jobq_store.attempt
  ALTER COLUMN outcome SET STATISTICS 0,
  ALTER COLUMN worker SET STATISTICS 0,
  ALTER COLUMN sqlstate SET STATISTICS 0,
  ALTER COLUMN message SET STATISTICS 0,
  ALTER COLUMN detail SET STATISTICS 0,
  ALTER COLUMN hint SET STATISTICS 0,
  ALTER COLUMN context SET STATISTICS 0,
  ALTER COLUMN data SET STATISTICS 0;
ALTER TABLE jobq_store.schedule
  ALTER COLUMN name SET STATISTICS 0,
  ALTER COLUMN cron SET STATISTICS 0,
  ALTER COLUMN timezone SET STATISTICS 0,
  ALTER COLUMN missed SET STATISTICS 0,
  ALTER COLUMN overlap SET STATISTICS 0,
  ALTER COLUMN keep_runs SET STATISTICS 0,
  ALTER COLUMN payload SET STATISTICS 0,
  ALTER COLUMN command SET STATISTICS 0,
  ALTER COLUMN tags SET STATISTICS 0,
  ALTER COLUMN disabled_reason SET STATISTICS 0;
ALTER TABLE jobq_store.schedule_run
  ALTER COLUMN outcome SET STATISTICS 0,
  ALTER COLUMN reason SET STATISTICS 0;

-- ------------------------------------------------------------------ writers

-- A role that can write here can have SQL run as any role, and members of
-- pg_write_all_data can write to all tables.  So these triggers refuse them, and
-- any role that was granted a privilege here by mistake.  jobq itself writes
-- mostly through the access methods, which fire no triggers, and otherwise
-- through SPI as the owner.
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.service
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.queue
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.limit_def
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.gone_queue
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.group_option
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.group_stop
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.queue_grant
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.job
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.cancel_request
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.rate_start
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_0
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_1
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_2
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_3
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_4
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_5
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_6
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.history_7
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.attempt
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.schedule
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON jobq_store.schedule_run
  FOR EACH STATEMENT EXECUTE FUNCTION jobq_store.refuse_others();

-- The apply workers of logical replication fire no triggers for statements.  Those for
-- rows of history are on its partitions.
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.service
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.queue
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.limit_def
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.gone_queue
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.group_option
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.group_stop
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.queue_grant
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.job
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.cancel_request
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.rate_start
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_0
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_1
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_2
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_3
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_4
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_5
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_6
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.history_7
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.attempt
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.schedule
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();
CREATE TRIGGER owner_only_rows BEFORE INSERT OR UPDATE OR DELETE
  ON jobq_store.schedule_run
  FOR EACH ROW EXECUTE FUNCTION jobq_store.refuse_others();

-- whatever session_replication_role is
ALTER TABLE jobq_store.service ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.queue ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.limit_def ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.gone_queue ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.group_option ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.group_stop ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.queue_grant ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.job ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.cancel_request ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.rate_start ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history ENABLE ALWAYS TRIGGER owner_only;
ALTER TABLE jobq_store.history_0 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_1 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_2 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_3 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_4 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_5 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_6 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.history_7 ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.attempt ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.schedule ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;
ALTER TABLE jobq_store.schedule_run ENABLE ALWAYS TRIGGER owner_only,
  ENABLE ALWAYS TRIGGER owner_only_rows;

-- ------------------------------------------------------------------ pg_dump

-- Not service: a restored database has its own.  Partitions are listed one by
-- one: registering the parent would dump none of their rows.
SELECT pg_catalog.pg_extension_config_dump('jobq_store.queue_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.limit_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.schedule_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.lease_block_seq', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.limit_def', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.queue', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.queue_grant', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.gone_queue', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.group_option', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.group_stop', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.job', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.cancel_request', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.rate_start', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_0', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_1', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_2', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_3', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_4', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_5', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_6', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.history_7', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.attempt', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.schedule', '');
SELECT pg_catalog.pg_extension_config_dump('jobq_store.schedule_run', '');
