-- Cron schedules.

CREATE FUNCTION jobq.schedule(
  name text,
  cron text,
  command text DEFAULT NULL,
  queue text DEFAULT NULL,
  payload jsonb DEFAULT '{}',
  timezone text DEFAULT NULL,
  missed text DEFAULT 'once',
  overlap text DEFAULT 'skip',
  jitter interval DEFAULT NULL,
  starts_at timestamptz DEFAULT NULL,
  ends_at timestamptz DEFAULT NULL,
  max_runs integer DEFAULT NULL,
  enabled boolean DEFAULT true,
  priority integer DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  timeout interval DEFAULT NULL,
  tags text[] DEFAULT NULL
) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_schedule';
COMMENT ON FUNCTION jobq.schedule IS
  'creates a cron schedule that runs a command or enqueues a payload, or replaces the one with that name; returns its id';

CREATE FUNCTION jobq.alter_schedule(
  name text,
  cron text DEFAULT NULL,
  command text DEFAULT NULL,
  queue text DEFAULT NULL,
  payload jsonb DEFAULT NULL,
  timezone text DEFAULT NULL,
  missed text DEFAULT NULL,
  overlap text DEFAULT NULL,
  jitter interval DEFAULT NULL,
  starts_at timestamptz DEFAULT NULL,
  ends_at timestamptz DEFAULT NULL,
  max_runs integer DEFAULT NULL,
  enabled boolean DEFAULT NULL,
  priority integer DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  timeout interval DEFAULT NULL,
  tags text[] DEFAULT NULL,
  keep_runs text DEFAULT NULL,
  catch_up_window interval DEFAULT NULL
) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_alter_schedule';
COMMENT ON FUNCTION jobq.alter_schedule IS
  'changes a schedule; options omitted or NULL stay unchanged';

CREATE FUNCTION jobq.reset_schedule(name text, VARIADIC options text[])
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_reset_schedule';
COMMENT ON FUNCTION jobq.reset_schedule IS
  'resets options of a schedule to their defaults';

CREATE FUNCTION jobq.unschedule(name text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_unschedule';
COMMENT ON FUNCTION jobq.unschedule IS
  'removes a schedule but not its jobs; false if there is no such schedule';

CREATE FUNCTION jobq.enable_schedule(name text, enabled boolean DEFAULT true)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_enable_schedule';
COMMENT ON FUNCTION jobq.enable_schedule IS
  'enables a schedule from now on, or disables it; false if nothing changed or there is no such schedule';

CREATE FUNCTION jobq.run_schedule(name text)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_run_schedule';
COMMENT ON FUNCTION jobq.run_schedule IS
  'runs a schedule once, now, in addition to its regular runs; returns the job''s id';

CREATE FUNCTION jobq.backfill(name text, from_time timestamptz, to_time timestamptz)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_backfill';
COMMENT ON FUNCTION jobq.backfill IS
  'enqueues the runs of a schedule after from_time and up to to_time; returns their number';

CREATE FUNCTION jobq.cron_next(
  cron text,
  after timestamptz DEFAULT pg_catalog.now(),
  timezone text DEFAULT NULL
) RETURNS timestamptz
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_cron_next_sql';
COMMENT ON FUNCTION jobq.cron_next IS
  'the first time after the given one at which a cron expression fires; NULL if there is none';

CREATE FUNCTION jobq.cron_times(
  cron text,
  after timestamptz,
  count integer,
  timezone text DEFAULT NULL
) RETURNS SETOF timestamptz
LANGUAGE c STABLE PARALLEL SAFE ROWS 10
AS 'MODULE_PATHNAME', 'jobq_cron_times_sql';
COMMENT ON FUNCTION jobq.cron_times IS
  'the next times after the given one at which a cron expression fires';

CREATE FUNCTION jobq.cron_describe(cron text)
RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'jobq_cron_describe_sql';
COMMENT ON FUNCTION jobq.cron_describe IS 'a cron expression in English';

CREATE FUNCTION jobq.import_pg_cron(
  OUT jobid bigint,
  OUT name text,
  OUT imported boolean,
  OUT reason text
) RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'jobq_import_pg_cron';
COMMENT ON FUNCTION jobq.import_pg_cron IS
  'creates schedules from the pg_cron jobs of this database; reports for each job whether it was imported, or why not';
