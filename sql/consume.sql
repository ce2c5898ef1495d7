-- Consuming from outside: claims, leases, ends of attempts, every error once.
CREATE EXTENSION IF NOT EXISTS jobq;
-- details of lost leases bear numbers that depend on what ran before
\set VERBOSITY terse
\set SHOW_CONTEXT never

SELECT jobq.create_queue('consume', max_attempts => 3, backoff_base => '1 hour',
                         jitter => 0);

-- order: priority, then run_at, then id
SELECT jobq.enqueue('consume', '"third"') > 0;
SELECT jobq.enqueue('consume', '"second"', priority => -1) > 0;
SELECT jobq.enqueue('consume', '"last"', priority => 32767) > 0;
SELECT jobq.enqueue('consume', '"first"', priority => -32768) > 0;
SELECT jobq.enqueue('consume', '"later"', priority => -32768, delay => '1 day') > 0;
SELECT jobq.enqueue('consume', '"later"', priority => 32767, delay => '1 day') > 0;
SELECT payload, attempt, max_attempts, lease > 0 AS leased,
       lease_until - now() BETWEEN '20 s' AND '40 s' AS until, queue, priority
FROM jobq.dequeue('consume');
SELECT payload FROM jobq.dequeue('consume', 10, worker => 'me');
SELECT * FROM jobq.dequeue('consume');
SELECT payload, state, worker FROM jobq.jobs WHERE queue = 'consume' AND worker = 'me'
ORDER BY priority;
SELECT count(DISTINCT lease) AS leases FROM jobq_store.job WHERE lease > 0;

-- complete, with a result
SELECT id, lease FROM jobq_store.job WHERE payload = '"first"' \gset
SELECT jobq.complete(:id, :lease, '{"ok": true}');
SELECT state, result, attempt, worker IS NOT NULL AS worker FROM jobq.jobs WHERE id = :id;
SELECT jobq.complete(:id, :lease);
SELECT jobq.heartbeat(:id, :lease);

-- several
SELECT array_agg(id) AS ids, min(lease) AS lease FROM jobq_store.job WHERE worker = 'me' \gset
SELECT jobq.complete_many(:'ids', :lease - 1);
SELECT jobq.complete_many(:'ids'::bigint[] || :'ids'::bigint[] || '{-1}', :lease);
SELECT jobq.complete_many(:'ids', :lease);

-- what a transaction has enqueued it can dequeue
BEGIN;
SELECT jobq.enqueue('consume', '"mine"') > 0;
SELECT payload FROM jobq.dequeue('consume');
ROLLBACK;

-- whatever the isolation level
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT jobq.enqueue('consume', '"serializable"') > 0;
SELECT id, lease, payload FROM jobq.dequeue('consume') \gset
SELECT jobq.complete(:id, :lease);
COMMIT;
SELECT state FROM jobq.jobs WHERE id = :id;

-- fail: retried with backoff, then dead
SELECT jobq.enqueue('consume', '"fails"') AS id \gset
SELECT lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'boom', '{"code": 42}');
SELECT state, attempt, date_trunc('hour', run_at - now() + '1 min') AS hours FROM jobq.jobs WHERE id = :id;
SELECT jobq.promote(:id);
SELECT attempt, lease FROM jobq.dequeue('consume') \gset
SELECT :attempt AS attempt;
SELECT jobq.fail(:id, :lease, 'boom again', retry_in => '0');
SELECT attempt, lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'enough');
SELECT state, attempt, error FROM jobq.jobs WHERE id = :id;
SELECT attempt, outcome, message, data FROM jobq_store.attempt WHERE job_id = :id ORDER BY attempt;
-- the linear and stepped kinds, and a failure for good
SELECT jobq.alter_queue('consume', backoff_steps => '{1 min,2 h}');
SELECT jobq.enqueue('consume') AS id \gset
SELECT lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'x');
SELECT round(extract(epoch FROM run_at - now())) BETWEEN 50 AND 61 AS one_minute FROM jobq.jobs WHERE id = :id;
SELECT jobq.promote(:id);
SELECT lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'x', retryable => false);
-- a function of the user's
CREATE FUNCTION consume_backoff(attempt int, error jsonb) RETURNS interval LANGUAGE sql
AS $$ SELECT CASE WHEN error->>'message' = 'fatal' THEN NULL ELSE attempt * interval '10 days' END $$;
SELECT jobq.alter_queue('consume', backoff_function => 'consume_backoff(int, jsonb)');
SELECT jobq.enqueue('consume') AS id \gset
SELECT lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'x');
SELECT round(extract(epoch FROM run_at - now()) / 86400) AS days FROM jobq.jobs WHERE id = :id;
SELECT jobq.promote(:id);
SELECT lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'fatal');
SELECT jobq.reset_queue('consume', 'backoff_function', 'backoff_steps');
DROP FUNCTION consume_backoff(int, jsonb);

-- release uses up no attempt
SELECT jobq.enqueue('consume', '"released"') AS id \gset
SELECT lease, attempt FROM jobq.dequeue('consume') \gset
SELECT jobq.release(:id, :lease);
SELECT lease, attempt, payload FROM jobq.dequeue('consume') \gset
SELECT :attempt AS attempt;
SELECT jobq.release(:id, :lease, '1 hour');
SELECT state, attempt FROM jobq.jobs WHERE id = :id;
SELECT jobq.delete(:id);

-- heartbeat extends and keeps progress; a cancelled job answers false
SELECT jobq.enqueue('consume') AS id \gset
SELECT lease FROM jobq.dequeue('consume', lease => '1 min') \gset
SELECT jobq.heartbeat(:id, :lease, '1 hour', '{"done": 5}');
SELECT lease_until - now() > '50 min' AS extended, progress FROM jobq.jobs WHERE id = :id;
SELECT jobq.cancel(:id, 'not needed');
SELECT jobq.heartbeat(:id, :lease);
SELECT jobq.complete(:id, :lease);
SELECT state, error FROM jobq.jobs WHERE id = :id;

-- a lease that has run out is lost, and the job is another's
SELECT jobq.enqueue('consume', '"slow"') AS id \gset
SELECT lease FROM jobq.dequeue('consume', lease => '1 ms') \gset
SELECT pg_sleep(0.01);
SELECT jobq.complete(:id, :lease);
DO $$
BEGIN
  FOR i IN 1..1000 LOOP
    PERFORM FROM jobq.dequeue('consume', worker => 'second');
    EXIT WHEN FOUND;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SELECT worker, attempt FROM jobq.jobs WHERE id = :id;
SELECT outcome, message FROM jobq_store.attempt WHERE job_id = :id;
SELECT jobq.complete(:id, :lease);
SELECT jobq.complete(:id, lease) FROM jobq_store.job WHERE id = :id;

-- take: done with the transaction
SELECT jobq.enqueue('consume', '"taken"') AS id \gset
BEGIN;
SELECT payload, attempt, lease FROM jobq.take('consume');
SELECT payload FROM jobq.take('consume');
ROLLBACK;
SELECT state, attempt FROM jobq.jobs WHERE id = :id;
BEGIN;
SAVEPOINT s;
SELECT payload FROM jobq.take('consume', 5);
ROLLBACK TO s;
SELECT payload FROM jobq.take('consume', 5);
COMMIT;
SELECT state, attempt FROM jobq.jobs WHERE id = :id;

-- next: complete and dequeue
SELECT count(*) FROM jobq.enqueue_many('consume', '{1,2,3}');
SELECT id, lease, payload FROM jobq.next('consume', '{}', NULL) \gset
SELECT :'payload' AS payload;
SELECT id AS id2, lease AS lease2, payload FROM jobq.next('consume', ARRAY[:id]::bigint[], :lease) \gset
SELECT :'payload' AS payload;
SELECT state FROM jobq.jobs WHERE id = :id;
SELECT payload FROM jobq.next('consume', ARRAY[:id2]::bigint[], :lease2, 10);
SELECT state FROM jobq.jobs WHERE id = :id2;

-- several queues, the first one first; a paused one gives nothing
SELECT jobq.create_queue('consume2');
SELECT jobq.enqueue('consume2', '"two"', priority => -5) > 0;
SELECT jobq.enqueue('consume', '"one"') > 0;
SELECT queue, payload FROM jobq.dequeue_any('{consume,consume2}', 5);
SELECT jobq.pause('consume2');
SELECT jobq.enqueue('consume2', '"paused"') > 0;
SELECT payload FROM jobq.dequeue('consume2');
SELECT payload FROM jobq.take('consume2');
SELECT jobq.resume('consume2');
SELECT payload FROM jobq.dequeue('consume2');

-- ttl: a job that was not started in time is not given out
SELECT jobq.enqueue('consume2', '"stale"', ttl => '1 ms') AS id \gset
SELECT pg_sleep(0.01);
SELECT payload FROM jobq.dequeue('consume2');
DO $$
BEGIN
  FOR i IN 1..1000 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM jobq_store.job WHERE payload = '"stale"');
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SELECT state FROM jobq.jobs WHERE id = :id;

-- on_dead: another queue hears of it, once
SELECT jobq.create_queue('undertaker', on_dead => 'consume2');
SELECT jobq.alter_queue('consume2', max_attempts => 1, on_dead => 'undertaker');
SELECT jobq.enqueue('consume2', '{"n": 1}') AS id \gset
SELECT lease FROM jobq.dequeue('consume2') \gset
SELECT jobq.fail(:id, :lease, 'gone');
SELECT (payload->>'job_id')::bigint = :id AS about, payload - 'job_id' AS rest FROM jobq.jobs WHERE queue = 'undertaker';
SELECT id, lease FROM jobq.dequeue('undertaker') \gset
SELECT jobq.fail(:id, :lease, 'the report fails too', retryable => false);
SELECT count(*) FROM jobq.jobs WHERE queue = 'consume2' AND state = 'ready';

-- what is said of a failure is cut to a length, and not within a character
SELECT jobq.enqueue('consume') > 0;
SELECT id, lease FROM jobq.dequeue('consume') \gset
SELECT jobq.fail(:id, :lease, 'x' || repeat('é', 10000), retryable => false);
SELECT octet_length(error), right(error, 2) FROM jobq.dead_letters WHERE id = :id
UNION ALL
SELECT octet_length(error), right(error, 2) FROM jobq.attempts WHERE job_id = :id;

-- ------------------------------------------------------------------- errors
\set VERBOSITY default
SELECT * FROM jobq.dequeue('nothing');
SELECT * FROM jobq.dequeue(NULL);
SELECT * FROM jobq.dequeue_any(NULL);
SELECT * FROM jobq.dequeue_any('{consume,NULL}');
SELECT * FROM jobq.dequeue('consume', 0);
SELECT * FROM jobq.dequeue('consume', 10001);
SELECT * FROM jobq.dequeue('consume', lease => '0');
SELECT * FROM jobq.dequeue('consume', lease => '2 years');
SELECT * FROM jobq.dequeue('consume', lease => '1 s', session_bound => true);
SELECT * FROM jobq.dequeue('consume', worker => repeat('w', 201));
SELECT * FROM jobq.take('consume', -1);
SELECT jobq.complete(1, NULL);
SELECT jobq.complete(NULL, 1);
\echo what a lost lease says
SELECT jobq.complete(-1, 1);
SELECT jobq.complete_many('{1,NULL}', 1);
SELECT jobq.fail(-1, 1, NULL);
SELECT jobq.fail(-1, 1, 'x', retry_in => '-1 s');
SELECT jobq.release(-1, 1);
SELECT jobq.release(-1, 1, '-1 s');
SELECT jobq.heartbeat(-1, 1);
SELECT jobq.next('consume', '{1}', NULL);

-- an id twice, in sessions whose caches are empty
SELECT jobq.create_queue('twice');
SELECT count(*) FROM jobq.enqueue_many('twice', '{1,2,3,4,5}');
SELECT array_agg(id) AS ids, min(lease) AS lease FROM jobq.dequeue('twice', 3)
\gset
\c -
SELECT jobq.complete_many(:'ids'::bigint[] || :'ids'::bigint[], :lease);
SELECT array_agg(id) AS ids, min(lease) AS lease FROM jobq.dequeue('twice', 1)
\gset
\c -
SELECT (n).payload FROM jobq.next('twice', :'ids'::bigint[] || :'ids'::bigint[], :lease) AS n;

SELECT jobq.drop_queue(q, force => true) FROM unnest('{consume,consume2,twice,undertaker}'::text[]) q;
