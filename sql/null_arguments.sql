-- NULL in every argument of every function: an argument that must be given
-- raises 22004, with its name, and NULL as an option is its default.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
CREATE ROLE jobq_null;
SELECT jobq.create_queue('nulls');
SELECT jobq.schedule('nulls', '@yearly', queue => 'nulls') IS NOT NULL AS scheduled;
SELECT jobq.enqueue('nulls', delay => '1 hour') AS job_id \gset

-- a value that does, for arguments without a default
CREATE TEMP TABLE plain (name text, value text);
INSERT INTO plain VALUES
  ('queue', $$'nulls'$$), ('new_name', $$'nulls 2'$$), ('name', $$'nulls'$$), ('cron', $$'@daily'$$), ('command', $$'SELECT 1'$$),
  ('error', $$'x'$$), ('role', $$'jobq_null'$$), ('privileges', $$'{read}'$$), ('options', $$'{}'$$), ('queues', $$'{nulls}'$$),
  ('payloads', $$'{1}'$$), ('payload', $$'{}'$$), ('job_id', :'job_id'), ('job_ids', $$'{}'$$), ('done', $$'{}'$$), ('lease', '1'),
  ('after', $$'2026-01-01'$$), ('count', '1'), ('from_time', $$'2026-01-01'$$), ('to_time', $$'2026-01-02'$$), ('run_at', 'now()'),
  ('priority', '1'), ('delay', $$'1 s'$$), ('group_key', $$'g'$$), ('unique_key', $$'k'$$);

-- arguments that are not declared with DEFAULT NULL, and take NULL all the
-- same: what it means
CREATE TEMP TABLE optional (function text, argument text, meaning text);
INSERT INTO optional VALUES
  ('create_queue', 'or_replace', 'false'),
  ('cron_describe', 'cron', 'computes: NULL of NULL'),
  ('cron_next', 'cron', 'computes: NULL of NULL'),
  ('cron_next', 'after', 'computes: NULL of NULL'),
  ('cron_times', 'cron', 'computes: no row of NULL'),
  ('cron_times', 'after', 'computes: no row of NULL'),
  ('cron_times', 'count', 'computes: no row of NULL'),
  ('drop_queue', 'force', 'false'),
  ('drop_queue', 'if_exists', 'false'),
  ('enable_schedule', 'enabled', 'true'),
  ('fail', 'retryable', 'true'),
  ('fail_job', 'retryable', 'true'),
  ('grant_usage', 'may_create', 'false'),
  ('grant_usage', 'may_read', 'false'),
  ('next', 'done', 'none are done'),
  ('next', 'lease', 'none, if none are done'),
  ('release', 'delay', '0'),
  ('retry_in', 'delay', 'the backoff''s'),
  ('schedule', 'enabled', 'true'),
  ('schedule', 'missed', 'once'),
  ('schedule', 'overlap', 'skip'),
  ('schedule', 'payload', '{}');
INSERT INTO optional SELECT f, 'max_jobs', '1' FROM unnest('{dequeue,dequeue_any,next,take}'::text[]) AS f;
INSERT INTO optional SELECT f, 'on_conflict', 'keep' FROM unnest('{enqueue,enqueue_many,run}'::text[]) AS f;

-- what a call cannot do without, though it is an option
CREATE TEMP TABLE needed (function text, argument text);
INSERT INTO needed VALUES ('schedule', 'queue');

CREATE TEMP TABLE outcome (function name, argument name, declared text, state text, message text);
DO $$
DECLARE
  arg record;
  call text;
  state text;
  message text;
BEGIN
  FOR arg IN
    SELECT p.oid, p.proname, p.provariadic, i, p.pronargs - p.pronargdefaults AS required, p.proargnames, p.proargtypes,
      p.proargnames[i + 1] AS name, pg_get_function_arg_default(p.oid, i + 1) AS declared
    FROM pg_proc AS p, generate_series(0, p.pronargs - 1) AS i
    WHERE p.pronamespace = 'jobq'::regnamespace AND p.prokind = 'f'
    ORDER BY p.proname, p.oid, i
  LOOP
    SELECT format('SELECT jobq.%I(%s)', arg.proname, string_agg(format('%s%I => %s::%s',
        CASE WHEN arg.provariadic <> 0 AND n = cardinality(arg.proargtypes) - 1 THEN 'VARIADIC ' END, arg.proargnames[n + 1],
        CASE WHEN n = arg.i THEN 'NULL' ELSE v.value END, format_type(arg.proargtypes[n], NULL)), ', ' ORDER BY n))
      INTO call
      FROM generate_series(0, cardinality(arg.proargtypes) - 1) AS n
      LEFT JOIN plain AS v ON v.name = arg.proargnames[n + 1]
      WHERE n < arg.required OR n = arg.i
        OR EXISTS (SELECT FROM needed AS e WHERE e.function = arg.proname AND e.argument = arg.proargnames[n + 1]);
    IF call IS NULL THEN
      RAISE EXCEPTION 'no value for an argument of %: add it to "plain"', arg.oid::regprocedure;
    END IF;
    BEGIN
      EXECUTE call;
      RAISE EXCEPTION SQLSTATE 'OK000';
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;
    INSERT INTO outcome VALUES (arg.proname, arg.name, arg.declared, state, message);
  END LOOP;
END $$;
SELECT count(*) > 150 AS many, count(*) FILTER (WHERE state = '22004') > 30 AS refused FROM outcome;

-- must be given, and NULL is taken; or is refused without its name
SELECT o.function, o.argument, o.declared, o.state, o.message FROM outcome AS o
WHERE (o.declared IS NULL OR o.declared NOT LIKE 'NULL::%')
  AND (o.state <> '22004' OR o.message <> o.argument || ' must not be null')
  AND NOT EXISTS (SELECT FROM optional AS d WHERE d.function = o.function AND d.argument = o.argument)
ORDER BY 1, 2;
-- an option, and NULL is refused: one that is needed if others are not given
SELECT o.function, o.argument, o.declared, o.state, o.message FROM outcome AS o
WHERE o.state IN ('22004', '22023') AND (o.declared LIKE 'NULL::%'
  OR EXISTS (SELECT FROM optional AS d WHERE d.function = o.function AND d.argument = o.argument))
ORDER BY 1, 2;
-- the list has nothing that is not there
SELECT d.* FROM optional AS d WHERE NOT EXISTS (SELECT FROM outcome AS o WHERE o.function = d.function AND o.argument = d.argument);

-- procedures, which cannot be called above
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'jobq'::regnamespace AND p.prokind = 'p';
CALL jobq.wait(NULL, '0');

-- NULL as an option is its default
SELECT jobq.drop_queue('nulls', force => NULL);
SELECT jobq.drop_queue('no such queue', if_exists => NULL);
SELECT jobq.enable_schedule('nulls', false), jobq.enable_schedule('nulls', NULL);
SELECT enabled FROM jobq.schedules WHERE name = 'nulls';
SELECT jobq.grant_usage('jobq_null', NULL, NULL);
SELECT p.proname, has_function_privilege('jobq_null', p.oid, 'EXECUTE') FROM pg_proc AS p
WHERE p.pronamespace = 'jobq'::regnamespace AND p.proname IN ('resume', 'schedule') ORDER BY 1;
SELECT jobq.revoke_usage('jobq_null');
SELECT jobq.create_queue('nulls 3'), jobq.drop_queue('nulls 3', NULL, NULL);
SELECT queue FROM jobq.queues WHERE queue LIKE 'nulls%' ORDER BY 1;

SELECT jobq.enqueue('nulls', unique_key => 'k', on_conflict => NULL) = jobq.enqueue('nulls', unique_key => 'k', on_conflict => NULL) AS kept;
SELECT jobq.throttle('nulls', '0');
SELECT count(*) FROM jobq.dequeue('nulls', NULL);

-- a role that does not exist, by a subquery without a row
SELECT jobq.revoke_queue('nulls', (SELECT oid::regrole FROM pg_roles WHERE rolname = 'no such role'), 'consume');

SELECT jobq.unschedule('nulls'), jobq.drop_queue('nulls', true);
DROP ROLE jobq_null;
