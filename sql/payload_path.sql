-- The option payload_path: a predicate that payloads must satisfy.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SELECT jobq.create_queue('p', payload_path => '$.n > 0 && $.n < 10');
SELECT payload_path FROM jobq.queues WHERE queue = 'p';
SELECT jobq.enqueue('p', '{"n": 5}') AS job \gset
SELECT jobq.enqueue('p', '{"n": 10}');
\echo :SQLSTATE
SELECT jobq.enqueue('p', '{"n": "5"}');
SELECT jobq.enqueue('p');
SELECT jobq.enqueue_many('p', '{"{\"n\": 1}", "{\"n\": 0}"}');
SELECT jobq.enqueue_many('p', '{"{\"n\": 1}", "{\"n\": 0}"}', unique_keys => '{a,b}');
SELECT jobq.enqueue('p', '{"n": 0}', unique_key => 'a', on_conflict => 'replace');
SELECT count(*) FROM jobq.jobs WHERE queue = 'p';

-- other ways in
SELECT jobq.set_payload(:job, '{"n": 0}');
SELECT jobq.set_payload(:job, '{"n": 1}');
SELECT jobq.cancel(:job);
SELECT jobq.retry(:job, '{"n": 0}');
SELECT jobq.retry(:job, '{"n": 1}') = :job AS retried;
SELECT jobq.schedule('p', '0 0 1 1 *', queue => 'p', payload => '{"n": 0}');
SELECT jobq.schedule('p', '0 0 1 1 *', queue => 'p', payload => '{"n": 3}') > 0 AS scheduled;

-- what jobq enqueues itself is not checked
SELECT jobq.alter_queue('p', payload_path => '$.n == 7');
SELECT jobq.enqueue('p', '{"n": 7}') > 0 AS enqueued;
SELECT jobq.run_schedule('p') > 0 AS run;
SELECT jobq.create_queue('dying', max_attempts => 1, on_dead => 'p');
SELECT jobq.enqueue('dying') AS dying \gset
SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('dying');
SELECT count(*) FROM jobq.jobs WHERE queue = 'p' AND payload ? 'job_id';

-- a path that can accept nothing, or is never sure of it, is refused
SELECT jobq.alter_queue('p', payload_path => '$.n');
\echo :SQLSTATE
SELECT jobq.alter_queue('p', payload_path => '$ ? (@.n > 1)');
SELECT jobq.alter_queue('p', payload_path => '($.n > 1).type()');
SELECT jobq.alter_queue('p', payload_path => '$.n == $limit');
\echo :SQLSTATE
SELECT jobq.create_queue('p2', payload_path => 'exists($[*] ? (@.n > $limit))');
SELECT jobq.create_queue('p2', payload_path => '$.n / $.d');
-- what looks like a variable and is none
SELECT jobq.alter_queue('p', payload_path => '$."$x" == "$\"y" || $.a like_regex "^$\"z"');
SELECT jobq.enqueue('p', '{"$x": "$\"y"}') > 0 AS enqueued;
SELECT jobq.alter_queue('p', payload_path => p::jsonpath)
FROM unnest(ARRAY['$.n == true', 'exists($.n)', '!($.n == 1)', '($.n == 1) is unknown', '$.n starts with "x"', '$.n > 1 || $.n < 0']) AS p;
-- errors, strict and lax
SELECT jobq.alter_queue('p', payload_path => 'strict $.a.b > 0');
SELECT jobq.enqueue('p', '{"a": [{"b": 1}]}');
SELECT jobq.alter_queue('p', payload_path => '$.a.b > 0');
SELECT jobq.enqueue('p', '{"a": [{"b": 1}]}') > 0 AS enqueued;
SELECT jobq.alter_queue('p', payload_path => '$.n / $.d > 0');
SELECT jobq.enqueue('p', '{"n": 1, "d": 0}');
-- dates: the session's time zone plays no part
SELECT jobq.alter_queue('p', payload_path => '$.at.datetime() > "2026-01-01".datetime()');
SELECT jobq.enqueue('p', '{"at": "2026-02-01"}') > 0 AS enqueued;
SELECT jobq.enqueue('p', '{"at": "2026-02-01 00:00:00+01"}') > 0 AS enqueued;

-- it can be interrupted, as can all that a user waits for
SELECT jobq.alter_queue('p', payload_path =>
  'exists($[*] ? (exists($[*] ? (exists($[*] ? (exists($[*] ? (exists($[*] ? (@ < 0))))))))))');
SET statement_timeout = '100 ms';
SELECT jobq.enqueue('p', (SELECT jsonb_agg(g) FROM generate_series(1, 200) AS g));
RESET statement_timeout;

-- what it may be
SELECT jobq.alter_queue('p', payload_path => '$.n >');
\echo :SQLSTATE
SELECT jobq.alter_queue('p', payload_path => ('$.n == "' || repeat('x', 10000) || '"')::jsonpath);
\echo :SQLSTATE
SELECT jobq.reset_queue('p', 'payload_path');
SELECT payload_path IS NULL AS unset FROM jobq.queues WHERE queue = 'p';
SELECT jobq.enqueue('p', '[]') > 0 AS enqueued;
-- before the code of the owner
CREATE FUNCTION loud(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'called'; RETURN true; END$$;
SELECT jobq.alter_queue('p', payload_path => '$.n > 0', payload_check => 'loud(jsonb)');
SELECT jobq.enqueue('p', '{"n": 0}');
SELECT jobq.enqueue('p', '{"n": 1}') > 0 AS enqueued;
SELECT jobq.unschedule('p');
SELECT jobq.drop_queue(q, force => true) FROM unnest(ARRAY['dying', 'p']) AS q;
DROP FUNCTION loud(jsonb);
