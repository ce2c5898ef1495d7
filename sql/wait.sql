-- jobq.wait() and channels, in one session; t/034_wait.pl has the rest.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SELECT jobq.create_queue('w_1'), jobq.create_queue('w_2');

-- nothing there: time is up
CALL jobq.wait('{w_1,w_2}', '10 ms');
CALL jobq.wait('{w_1}', '0');
-- a job ahead is not ready
SELECT jobq.enqueue('w_1', delay => '1 hour') IS NOT NULL AS enqueued;
CALL jobq.wait('{w_1,w_2}', '10 ms');
-- a job of any of the queues is
SELECT jobq.enqueue('w_2') IS NOT NULL AS enqueued;
CALL jobq.wait('{w_1,w_2}', NULL);
CALL jobq.wait('{w_1,w_2}', '1 hour');
CALL jobq.wait('{w_1}', '10 ms');
-- one of a paused queue is not
SELECT jobq.pause('w_2');
CALL jobq.wait('{w_2}', '10 ms');
SELECT jobq.resume('w_2');
-- a claimed one is not
SELECT count(*) FROM jobq.dequeue('w_2');
CALL jobq.wait('{w_2}', '10 ms');

-- not from a procedure or DO
DO $$
DECLARE
  is_ready boolean;
BEGIN
  CALL jobq.wait('{w_1}', '10 ms', is_ready);
  RAISE NOTICE 'ready: %', is_ready;
END $$;

-- not inside a transaction
BEGIN;
CALL jobq.wait('{w_1}', '10 ms');
\echo :SQLSTATE
ROLLBACK;
CREATE FUNCTION wait_in_function() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  is_ready boolean;
BEGIN
  CALL jobq.wait('{w_1}', '10 ms', is_ready);
  RETURN is_ready;
END $$;
SELECT wait_in_function();
DROP FUNCTION wait_in_function();

-- arguments
CALL jobq.wait(NULL, '1 s');
\echo :SQLSTATE
CALL jobq.wait('{}', '1 s');
\echo :SQLSTATE
CALL jobq.wait('{w_1,NULL}', '1 s');
CALL jobq.wait('{w_1,w_none}', '1 s');
\echo :SQLSTATE
CALL jobq.wait(array_fill('w_1'::text, '{65}'), '1 s');
CALL jobq.wait('{w_1}', '-1 s');
\echo :SQLSTATE
CREATE ROLE jobq_walter;
SELECT jobq.grant_usage('jobq_walter');
SET ROLE jobq_walter;
CALL jobq.wait('{w_1}', '1 s');
\echo :SQLSTATE
SELECT jobq.listen('w_1');
RESET ROLE;
SELECT jobq.revoke_usage('jobq_walter');
DROP ROLE jobq_walter;

-- with functions in its arguments that would do something at its commit
CREATE FUNCTION wait_opens(options text) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('DECLARE c CURSOR %s FOR SELECT id FROM jobq.take(''w_2'')', options);
  RETURN '{w_1}';
END $$;
SELECT jobq.enqueue('w_2') IS NOT NULL AS enqueued;
CALL jobq.wait(wait_opens('WITH HOLD'), '10 ms');
\echo :SQLSTATE
SELECT count(*) FROM jobq.jobs WHERE queue = 'w_2' AND state = 'completed';
DROP FUNCTION wait_opens(text);
-- what they do without a transaction id is undone
CREATE FUNCTION wait_listens() RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  LISTEN wait_channel;
  NOTIFY wait_channel;
  RETURN '{w_1}';
END $$;
CALL jobq.wait(wait_listens(), '10 ms');
SELECT pg_listening_channels();
DROP FUNCTION wait_listens();
CALL jobq.wait(ARRAY['w_1', 'w_2'], '10 ms');
-- an older cursor does nothing more
DECLARE older CURSOR WITH HOLD FOR SELECT 1;
CALL jobq.wait('{w_1}', '10 ms');
CLOSE older;

-- channels: never longer than an identifier
SELECT jobq.channel('w_1');
SELECT jobq.channel('w_none');
\echo :SQLSTATE
SELECT name, octet_length(jobq.channel(name)) AS bytes, jobq.channel(name)
FROM (VALUES (repeat('x', 58)), (repeat('x', 59)), (repeat('y', 63))) AS v (name),
  LATERAL (SELECT jobq.create_queue(name)) AS c;
SELECT jobq.drop_queue(queue) FROM jobq.queues WHERE queue ~ '^(x+|y+)$';
SELECT jobq.listen('w_1');
SELECT pg_listening_channels();
SELECT jobq.unlisten('w_1');
SELECT jobq.unlisten('w_none');
SELECT pg_listening_channels();

SELECT jobq.drop_queue('w_1', force => true), jobq.drop_queue('w_2', force => true);
