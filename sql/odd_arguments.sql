-- Every argument of every function, with every value of its type that is odd:
-- an error of a class that is the caller's fault, or success, and never
-- anything else.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SET statement_timeout = '10min';
CREATE ROLE jobq_arguments;
SELECT jobq.create_queue('arguments', max_attempts => 3), jobq.create_queue('arguments 2');
SELECT jobq.schedule('arguments', '@yearly', queue => 'arguments') IS NOT NULL AS scheduled;
SELECT jobq.enqueue('arguments', delay => '1 hour') AS waiting \gset
SELECT jobq.enqueue('arguments') IS NOT NULL AS enqueued;
SELECT id AS held, lease FROM jobq.dequeue('arguments', lease => '1 hour') \gset

-- a value that does, for arguments without a default
CREATE TEMP TABLE plain (name text, type text, value text);
INSERT INTO plain VALUES
  ('queue', 'text', $$'arguments'$$), ('new_name', 'text', $$'arguments 3'$$), ('name', 'text', $$'arguments'$$), ('cron', 'text', $$'@daily'$$),
  ('command', 'text', $$'SELECT 1'$$), ('error', 'text', $$'x'$$), ('role', 'regrole', $$'jobq_arguments'$$),
  ('privileges', 'text[]', $$'{read}'$$), ('options', 'text[]', $$'{ttl}'$$), ('queues', 'text[]', $$'{arguments}'$$),
  ('payloads', 'jsonb[]', $$'{1,2}'$$), ('payload', 'jsonb', $$'{}'$$), ('job_ids', 'bigint[]', $$'{1}'$$),
  ('done', 'bigint[]', $$'{}'$$), ('after', 'timestamp with time zone', $$'2026-01-01'$$), ('count', 'integer', '2'),
  ('from_time', 'timestamp with time zone', $$'2026-01-01'$$), ('to_time', 'timestamp with time zone', $$'2026-01-02'$$),
  ('run_at', 'timestamp with time zone', 'now()'), ('priority', 'integer', '1'), ('delay', 'interval', $$'1 s'$$),
  ('group_key', 'text', $$'g'$$), ('unique_key', 'text', $$'k'$$);
INSERT INTO plain VALUES ('job_id', 'bigint', :held), ('lease', 'bigint', :lease);

CREATE TEMP TABLE odd (type text, value text);
INSERT INTO odd SELECT 'text', unnest(ARRAY[$$''$$, $$' '$$, $$'x'$$, $$E'a\nb'$$, $$E'\u0001'$$, $$''''$$, $$'"'$$, $$'%s%n%1$s'$$,
  $$E'\\'$$, $$'жäß€😀'$$, $$repeat('x', 63)$$, $$repeat('x', 64)$$, $$repeat('😀', 300)$$, $$repeat('x', 3000)$$,
  $$repeat('x', 300000)$$, $$repeat('* ', 20000)$$, $$repeat('1,', 20000) || '1 * * * *'$$, $$repeat('(', 20000)$$]);
INSERT INTO odd SELECT 'integer', unnest(ARRAY['0', '-1', '2147483647', '-2147483648', '32767', '-32768', '32768', '-32769', '1001']);
INSERT INTO odd SELECT 'bigint', unnest(ARRAY['0', '-1', '9223372036854775807', '-9223372036854775808', :'waiting']);
INSERT INTO odd SELECT 'interval', 'interval ' || quote_literal(v) FROM unnest(ARRAY['0', '1 us', '-1 us', '-1 s', '1 month -30 days',
  '-1 month 31 days', '178000000 years', '-178000000 years', '2147483647 months 2147483647 days', '2562047788 hours 54.775807 s',
  '-2562047788 hours 54.775808 s', '2147483647 days', '300000 years', '366 days', '367 days']) AS v;
INSERT INTO odd SELECT 'timestamp with time zone', 'timestamptz ' || quote_literal(v) FROM unnest(ARRAY['infinity', '-infinity',
  '294276-12-31 23:59:59.999999 UTC', '4714-11-24 00:00:00 BC UTC', '2000-01-01 UTC', '0001-01-01 BC UTC']) AS v;
INSERT INTO odd SELECT 'double precision', quote_literal(v) FROM unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0', '-1', '1e308', '5e-324']) AS v;
INSERT INTO odd SELECT 'boolean', unnest(ARRAY['true', 'false']);
INSERT INTO odd SELECT 'jsonb', unnest(ARRAY[$$'null'$$, $$'[]'$$, $$'"x"'$$, $$'1e1000'$$, $$'true'$$, $$'{"": {}}'$$, $$'{"schedule": null}'$$,
  $$'{"jobq_dead_job": 1}'$$, $$(repeat('[', 6000) || repeat(']', 6000))::jsonb$$, $$to_jsonb(repeat('x', 300000))$$,
  $$(SELECT jsonb_agg(i) FROM generate_series(1, 20000) AS i)$$]);
INSERT INTO odd SELECT 'regprocedure', quote_literal(v) || '::regprocedure' FROM unnest(ARRAY['0', '4294967295', 'count("any")', 'now()',
  'jsonb_in(cstring)', 'jsonb_array_elements(jsonb)', 'to_jsonb(anyelement)', 'jsonb_build_object()', 'row_number()',
  'jobq.enqueue_many(text,jsonb[],interval,timestamptz,integer,text,text,interval,integer,interval,interval,text[],jsonb,text[])']) AS v;
INSERT INTO odd SELECT 'jsonpath', '(' || v || ')::jsonpath' FROM unnest(ARRAY[$$'$'$$, $$'$.**'$$, $$'$x'$$, $$'strict $.a.b'$$, $$repeat('-', 5000) || '1'$$,
  $$'$.a == "' || repeat('x', 300000) || '"'$$]) AS v;
INSERT INTO odd SELECT 'regrole', quote_literal(v) || '::regrole' FROM unnest(ARRAY['0', '4294967295', 'pg_monitor', 'jobq_arguments']) AS v;
INSERT INTO odd SELECT type || '[]', v || '::' || type || '[]'
  FROM (VALUES ('text', $$'x'$$), ('bigint', '1'), ('jsonb', $$'1'$$), ('interval', $$'1 s'$$)) AS t (type, one),
  LATERAL unnest(ARRAY[$$'{}'$$, $$'{NULL}'$$, format('ARRAY[%s, NULL]', one), format('ARRAY[[%1$s, %1$s], [%1$s, %1$s]]', one),
    format('array_fill(%s::%s, ARRAY[2], ARRAY[-2147483648])', one, type), format('array_fill(%s::%s, ARRAY[3000])', one, type),
    format('array_fill(NULL::%s, ARRAY[3, 3, 3])', type)]) AS v;
INSERT INTO odd SELECT DISTINCT type, 'NULL' FROM odd;

CREATE TEMP TABLE outcome (function text, argument text, value text, state text, message text);
DO $$
DECLARE
  arg record;
  call text;
  state text;
  message text;
BEGIN
  FOR arg IN
    SELECT p.oid, p.proname, p.provariadic, i, p.pronargs - p.pronargdefaults AS required, p.proargnames, p.proargtypes,
      p.proargnames[i + 1] AS name, format_type(p.proargtypes[i], NULL) AS type, o.value
    FROM pg_proc AS p, generate_series(0, p.pronargs - 1) AS i
    LEFT JOIN odd AS o ON true
    WHERE p.pronamespace = 'jobq'::regnamespace AND p.prokind = 'f' AND o.type = format_type(p.proargtypes[i], NULL)
      -- it is like generate_series(), there is no limit but the caller's patience
      AND NOT (p.proname = 'cron_times' AND o.value = '2147483647')
    ORDER BY p.proname, p.oid, i, o.value
  LOOP
    SELECT format('SELECT jobq.%I(%s)', arg.proname, string_agg(format('%s%I => (%s)::%s',
        CASE WHEN arg.provariadic <> 0 AND n = cardinality(arg.proargtypes) - 1 THEN 'VARIADIC ' END, arg.proargnames[n + 1],
        CASE WHEN n = arg.i THEN arg.value ELSE v.value END, format_type(arg.proargtypes[n], NULL)), ', ' ORDER BY n))
      INTO call
      FROM generate_series(0, cardinality(arg.proargtypes) - 1) AS n
      LEFT JOIN plain AS v ON v.name = arg.proargnames[n + 1] AND v.type = format_type(arg.proargtypes[n], NULL)
      WHERE n < arg.required OR n = arg.i;
    -- an argument without a value makes no call at all
    IF call IS NULL THEN
      RAISE EXCEPTION 'no value for an argument of %: add it to "plain"', arg.oid::regprocedure;
    END IF;
    BEGIN
      EXECUTE call;
      RAISE EXCEPTION SQLSTATE 'OK000';
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    END;
    INSERT INTO outcome VALUES (arg.oid::regproc, arg.name, arg.value, state, message);
  END LOOP;
END $$;

-- types that "odd" has no values for
SELECT p.proname, format_type(t, NULL) FROM pg_proc AS p, unnest(p.proargtypes) AS t
WHERE p.pronamespace = 'jobq'::regnamespace AND format_type(t, NULL) NOT IN (SELECT type FROM odd);

SELECT count(*) > 2000 AS many FROM outcome;
SELECT state FROM outcome GROUP BY state ORDER BY state;
SELECT DISTINCT function, argument, left(value, 60) AS value, state, left(message, 60) AS message FROM outcome
WHERE state !~ '^(OK000|22023|22004|22008|42704|42710|42883|JQ001|JQ101|JQ102|JQ103)$'
  -- outside a batch
  AND (function, state) <> ('jobq.fail_job', '55000')
  -- a command that is none, a queue with a job that is running
  AND NOT (state = '42601' AND argument = 'command') AND NOT (state = '55006' AND function = 'jobq.drop_queue')
ORDER BY 1, 2, 3;

-- some by name, with the state that is to be expected
CREATE TEMP TABLE named (call text, state text);
INSERT INTO named VALUES
  ($$enqueue('arguments', priority => 32768)$$, '22023'),
  ($$enqueue('arguments', run_at => 'infinity')$$, '22023'),
  ($$enqueue('arguments', delay => '178000000 years')$$, '22008'),
  ($$enqueue('arguments', delay => '-1 us')$$, '22023'),
  ($$enqueue('arguments', ttl => '0')$$, '22023'),
  ($$enqueue('arguments', timeout => '-1 s')$$, '22023'),
  ($$enqueue('arguments', unique_key => repeat('x', 3000))$$, '22023'),
  ($$enqueue('arguments', tags => '{{a,b},{c,d}}')$$, '22023'),
  ($$enqueue('arguments', tags => '{NULL}')$$, '22023'),
  ($$enqueue('arguments', headers => '[]')$$, '22023'),
  ($$enqueue('arguments', on_conflict => '')$$, '22023'),
  ($$enqueue('nowhere')$$, '42704'),
  ($$enqueue(NULL)$$, '22004'),
  ($$enqueue('arguments', NULL)$$, '22004'),
  ($$enqueue('arguments', to_jsonb(repeat('x', 40000000)))$$, 'OK000'),
  ($$enqueue('arguments 2')$$, 'OK000'),
  ($$enqueue_many('arguments', '{NULL}')$$, '22023'),
  ($$enqueue_many('arguments', '{{1,2},{3,4}}')$$, '22023'),
  ($$enqueue_many('arguments', '{1,2}', unique_keys => '{{a},{b}}')$$, '22023'),
  ($$enqueue_many('arguments', '{1,2}', unique_keys => '{a}')$$, '22023'),
  ($$enqueue_many('arguments', '{1,2}', unique_keys => '{a,""}')$$, '22023'),
  ($$enqueue_many('arguments', '{1,2}', unique_key => 'a')$$, '22023'),
  ($$enqueue_many('arguments', '{1}', unique_key => 'a', unique_keys => '{a}')$$, '22023'),
  ($$enqueue_many('arguments', '{1}', unique_for => '1 s')$$, '22023'),
  ($$enqueue_many('arguments', '{}')$$, 'OK000'),
  ($$dequeue('arguments', 0)$$, '22023'),
  ($$dequeue('arguments', -2147483648)$$, '22023'),
  ($$dequeue('arguments', lease => '367 days')$$, '22023'),
  ($$dequeue_any('{NULL}')$$, '22023'),
  ($$dequeue_any('{{arguments}}')$$, '22023'),
  ($$complete_many('{{1,2},{3,4}}', 1)$$, '22023'),
  ($$next('arguments', '{{1},{2}}', 1)$$, '22023'),
  ($$next('arguments', '{NULL}', 1)$$, '22023'),
  ($$complete(-1, -1)$$, 'JQ001'),
  ($$complete(9223372036854775807, 9223372036854775807)$$, 'JQ001'),
  ($$complete_many('{NULL}', 1)$$, '22023'),
  ($$set_priority(1, 2147483647)$$, '22023'),
  ($$reschedule(1, '-infinity')$$, '22023'),
  ($$create_queue('')$$, '22023'),
  ($$create_queue(repeat('x', 5000))$$, '22023'),
  ($$create_queue(E'a\nb')$$, '22023'),
  ($$create_queue('run:x')$$, '22023'),
  ($$create_queue('arguments')$$, '42710'),
  ($$create_queue('x', jitter => 'NaN')$$, '22023'),
  ($$create_queue('x', backoff_factor => 'NaN')$$, '22023'),
  ($$create_queue('x', backoff_factor => 'Infinity')$$, '22023'),
  ($$create_queue('x', backoff_steps => '{}')$$, '22023'),
  ($$create_queue('x', backoff_steps => '{NULL}')$$, '22023'),
  ($$create_queue('x', backoff_steps => '{{1 s},{2 s}}')$$, '22023'),
  ($$create_queue('x', forbid_keys => '{{a},{b}}')$$, '22023'),
  ($$create_queue('x', backoff_base => '-178000000 years')$$, '22023'),
  ($$create_queue('x', handler => 0::regprocedure)$$, '42883'),
  ($$create_queue('x', handler => 'count("any")')$$, '22023'),
  ($$create_queue('x', handler => 'jsonb_array_elements(jsonb)')$$, '22023'),
  ($$create_queue('x', handler => 'jsonb_in(cstring)')$$, '22023'),
  ($$create_queue('x', owner => 0::regrole)$$, '42704'),
  ($$create_queue('x', max_attempts => -2147483648)$$, '22023'),
  ($$alter_queue('arguments', on_dead => 'arguments')$$, '22023'),
  ($$alter_queue('arguments', on_dead => 'nowhere')$$, '42704'),
  ($$reset_queue('arguments', '')$$, '22023'),
  ($$reset_queue('arguments', NULL)$$, '22023'),
  ($$reset_queue('arguments', VARIADIC '{{ttl,timeout}}')$$, '22023'),
  ($$grant_queue('arguments', 'jobq_arguments', 'all')$$, '22023'),
  ($$grant_queue('arguments', 'jobq_arguments', NULL)$$, '22023'),
  ($$grant_queue('arguments', 'jobq_arguments', VARIADIC '{{read,manage}}')$$, '22023'),
  ($$grant_queue('arguments', 0::regrole, 'read')$$, '42704'),
  ($$grant_usage(4294967295::regrole)$$, '42704'),
  ($$run(' ')$$, '22023'),
  ($$run('SELECT 1; SELECT 2')$$, '22023'),
  ($$run(repeat('x', 300000))$$, '22023'),
  ($$schedule('x', '* * * * * * * *', 'SELECT 1')$$, '22023'),
  ($$schedule('x', '0 0 30 2 *', 'SELECT 1')$$, '22023'),
  ($$schedule('x', '@daily')$$, '22023'),
  ($$schedule('x', '@daily', 'SELECT 1', queue => 'arguments')$$, '22023'),
  ($$schedule('x', '@daily', 'SELECT 1', timezone => '../../etc/passwd')$$, '22023'),
  ($$schedule('x', '@daily', 'SELECT 1', max_runs => 0)$$, '22023'),
  ($$schedule('x', '@daily', 'SELECT 1', jitter => '178000000 years')$$, '22023'),
  ($$schedule('x', '@daily', 'SELECT 1', starts_at => '-infinity')$$, '22023'),
  ($$backfill('arguments', '-infinity', 'infinity')$$, '22023'),
  ($$run_schedule('nowhere')$$, '42704'),
  ($$alter_schedule('nowhere')$$, '42704'),
  ($$alter_schedule('arguments', keep_runs => '')$$, '22023'),
  ($$alter_schedule('arguments', catch_up_window => '-178000000 years')$$, '22023'),
  ($$alter_schedule('arguments', catch_up_window => '178000000 years')$$, 'OK000'),
  ($$reset_schedule('nowhere', 'keep_runs')$$, '42704'),
  ($$reset_schedule('arguments', '')$$, '22023'),
  ($$reset_schedule('arguments', NULL)$$, '22023'),
  ($$reset_schedule('arguments', VARIADIC '{{keep_runs}}')$$, '22023'),
  ($$cron_next('@daily', 'infinity')$$, '22023'),
  ($$cron_times('@daily', now(), -1)$$, '22023'),
  ($$cron_describe(repeat('*,', 200000))$$, '22023');
CREATE FUNCTION pg_temp.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'SELECT jobq.' || call;
  RAISE EXCEPTION SQLSTATE 'OK000';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
SELECT call, state AS expected, pg_temp.attempt(call) AS got FROM named WHERE pg_temp.attempt(call) <> state;

-- arrays and values of PL/pgSQL are not stored as they are
DO $$
DECLARE
  tags text[] := ARRAY['a'];
  payloads jsonb[];
  ids bigint[];
BEGIN
  FOR i IN 1 .. 100 LOOP
    tags := tags || ('tag ' || i)::text;
    payloads[i] := to_jsonb(repeat('x', 3000));
  END LOOP;
  ids := ARRAY(SELECT jobq.enqueue_many('arguments 2', payloads, tags => tags[1:20]));
  PERFORM jobq.complete_many(ids, 1);
  ids[5] := 0;
  PERFORM jobq.complete_many(ids, 1);
END $$;
SELECT count(*), count(DISTINCT payload), min(cardinality(tags)) FROM jobq.jobs WHERE queue = 'arguments 2';

-- all is as it was
SELECT id = :held AS held, state FROM jobq.jobs WHERE queue = 'arguments' ORDER BY id = :held;
SELECT jobq.complete(:held, :lease);
SELECT jobq.drop_queue('arguments', true), jobq.drop_queue('arguments 2', true), jobq.unschedule('arguments');
DROP ROLE jobq_arguments;
