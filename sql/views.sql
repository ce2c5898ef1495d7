-- Views.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SELECT jobq.create_queue('v_1', max_attempts => 1), jobq.create_queue('v_2', max_attempts => 3, backoff_base => '1 hour');

SELECT count(jobq.enqueue('v_1', jsonb_build_object('n', n), priority => n, tags => ARRAY['t' || n],
  headers => '{"h": 1}', unique_key => 'k' || n)) FROM generate_series(1, 6) AS n;
SELECT jobq.enqueue('v_1', '{"n": 7}', delay => '1 day', ttl => '2 days') IS NOT NULL AS enqueued;
SELECT jobq.enqueue('v_2', '{"n": 8}', max_attempts => 2) IS NOT NULL AS enqueued;
-- one completed, one dead, one running, one cancelled, one that failed and waits
SELECT jobq.complete(id, lease, '{"done": true}') FROM jobq.dequeue('v_1');
SELECT jobq.fail(id, lease, 'boom') FROM jobq.dequeue('v_1');
SELECT payload FROM jobq.dequeue('v_1', lease => '1 hour', worker => 'me');
SELECT jobq.cancel(id, 'no more') FROM jobq.jobs WHERE queue = 'v_1' AND payload @> '{"n": 4}';
SELECT jobq.fail(id, lease, 'try again', '{"code": 5}') FROM jobq.dequeue('v_2', worker => 'me');

SELECT queue, payload ->> 'n' AS n, state, priority, attempt, max_attempts, run_at > now() AS ahead,
  enqueued_at IS NOT NULL AS enq, started_at IS NOT NULL AS started, finished_at IS NOT NULL AS finished,
  lease_until IS NOT NULL AS leased, expires_at IS NOT NULL AS expires
FROM jobq.jobs WHERE queue LIKE 'v\_%' ORDER BY (payload ->> 'n')::int;
SELECT payload ->> 'n' AS n, result, error, sqlstate, unique_key, tags, headers, command
FROM jobq.jobs WHERE queue LIKE 'v\_%' ORDER BY (payload ->> 'n')::int;
SELECT worker FROM jobq.jobs WHERE queue = 'v_1' AND state = 'running';
SELECT queue, payload, error, attempt FROM jobq.dead_letters WHERE queue LIKE 'v\_%';
SELECT queue, attempt, outcome, worker, error, data FROM jobq.attempts WHERE queue = 'v_2';
SELECT queue, scheduled, ready, running, waiting FROM jobq.queues WHERE queue LIKE 'v\_%' ORDER BY 1;

-- each column has a comment
SELECT c.relname, a.attname
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'jobq'::regnamespace AND c.relkind IN ('v', 'c') AND a.attnum > 0
  AND col_description(c.oid, a.attnum) IS NULL;

-- no view gives a lease away
SELECT count(*) FROM information_schema.columns WHERE table_schema = 'jobq' AND column_name = 'lease'
  AND data_type = 'bigint';

-- keep_completed and keep_dead hide at once
SELECT jobq.alter_queue('v_1', keep_completed => '0', keep_dead => '0');
SELECT payload ->> 'n' AS n, state FROM jobq.jobs WHERE queue = 'v_1' AND finished_at IS NOT NULL;
SELECT count(*) FROM jobq.dead_letters WHERE queue = 'v_1';
SELECT jobq.reset_queue('v_1', 'keep_completed', 'keep_dead');
SELECT payload ->> 'n' AS n, state FROM jobq.jobs WHERE queue = 'v_1' AND finished_at IS NOT NULL ORDER BY 1;

-- a look at one job by its id uses the primary keys, for any reader
CREATE ROLE jobq_vera;
SELECT jobq.grant_usage('jobq_vera');
CREATE FUNCTION scans(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    IF line ~ 'Scan.* on (job|history_0|queue) ' THEN
      RETURN NEXT regexp_replace(line, '^[ >-]+', '');
    ELSIF line ~ 'Index Cond: \((id|queue) ' THEN
      RETURN NEXT '  ' || regexp_replace(line, '^ +', '');
    END IF;
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION scans TO jobq_vera;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET ROLE jobq_vera;
SELECT DISTINCT scans('SELECT id, state, payload FROM jobq.jobs WHERE id = 5') AS scan
ORDER BY 1;
SELECT count(*) FROM scans('SELECT 1 FROM jobq.jobs WHERE queue = ''v_1''') AS line WHERE line ~ 'job_dispatch';
RESET ROLE;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- a function of the reader's own does not get to see what the view hides
CREATE FUNCTION peek(jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
  RAISE NOTICE 'saw %', $1;
  RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION peek TO jobq_vera;
SET ROLE jobq_vera;
SELECT count(*) FROM jobq.jobs WHERE peek(payload) AND id > 0;
SELECT count(*) FROM jobq.attempts WHERE peek(data);
SELECT count(*) FROM jobq.dead_letters WHERE peek(payload);
SELECT count(*) FROM jobq.queues;
SELECT count(*) FROM jobq.attempts;
SELECT count(*) FROM jobq.schedules;
SELECT jobq_store.may_read(1);
SELECT * FROM jobq_store.job;
SELECT * FROM jobq_store.live_jobs;
RESET ROLE;
SELECT jobq.grant_queue('v_2', 'jobq_vera', 'read');
SET ROLE jobq_vera;
SELECT queue, payload FROM jobq.jobs WHERE peek(payload);
SELECT queue FROM jobq.queues;
RESET ROLE;

-- nor does EXPLAIN estimate from contents
SELECT count(jobq.enqueue('v_1', group_key => 'secret')) FROM generate_series(1, 100);
ANALYZE jobq_store.job;
SELECT a.attrelid::regclass AS table, a.attname AS column
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = 'jobq_store'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
  AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'jsonpath'::regtype,
    'bytea'::regtype, 'name'::regtype)
  AND coalesce(a.attstattarget, -1) <> 0
ORDER BY a.attrelid::regclass::text, a.attnum;
CREATE FUNCTION estimated_cost(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
SET ROLE jobq_vera;
SELECT estimated_cost($$SELECT * FROM jobq.jobs WHERE group_key = 'secret'$$)
  = estimated_cost($$SELECT * FROM jobq.jobs WHERE group_key = 'nonsense'$$) AS tells_nothing;
RESET ROLE;
SELECT jobq.revoke_usage('jobq_vera');
SELECT jobq.drop_queue('v_1', force => true), jobq.drop_queue('v_2', force => true);
DROP FUNCTION scans, peek, estimated_cost;
DROP ROLE jobq_vera;
