-- Queues: creating, changing, pausing, dropping.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;

-- names
SELECT jobq.create_queue('q_mail');
SELECT jobq.create_queue('q_mail');
\echo :SQLSTATE
SELECT jobq.create_queue(NULL);
\echo :SQLSTATE
SELECT jobq.create_queue('');
\echo :SQLSTATE
SELECT jobq.create_queue(repeat('x', 64));
SELECT jobq.create_queue('run:me');
SELECT jobq.create_queue(E'two\nlines');
SELECT jobq.create_queue(repeat('é', 31) || 'x');
SELECT jobq.drop_queue(repeat('é', 31) || 'x');
SELECT jobq.create_queue('it''s "odd"; \');
SELECT queue, jobq.drop_queue(queue) FROM jobq.queues WHERE queue LIKE 'it%';

-- values of options
SELECT jobq.create_queue('q_bad', max_attempts => 0);
\echo :SQLSTATE
SELECT jobq.create_queue('q_bad', backoff => 'quadratic');
\echo :SQLSTATE
SELECT jobq.create_queue('q_bad', backoff_base => '-1 s');
SELECT jobq.create_queue('q_bad', backoff_factor => 0.5);
SELECT jobq.create_queue('q_bad', backoff_factor => 'NaN');
SELECT jobq.create_queue('q_bad', backoff_factor => 'Infinity');
SELECT jobq.create_queue('q_bad', jitter => 1.5);
SELECT jobq.create_queue('q_bad', jitter => -0.1);
SELECT jobq.create_queue('q_bad', backoff_steps => '{}');
SELECT jobq.create_queue('q_bad', backoff_steps => '{1 s,NULL}');
SELECT jobq.create_queue('q_bad', backoff_steps => '{1 s,-1 s}');
SELECT jobq.create_queue('q_bad', lease => '0');
SELECT jobq.create_queue('q_bad', lease => '2 years');
SELECT jobq.create_queue('q_bad', timeout => '0');
SELECT jobq.create_queue('q_bad', ttl => '-1 day');
SELECT jobq.create_queue('q_bad', priority => 32768);
SELECT jobq.create_queue('q_bad', payload_max_bytes => 0);
SELECT jobq.create_queue('q_bad', forbid_keys => '{}');
SELECT jobq.create_queue('q_bad', forbid_keys => '{a,""}');
SELECT jobq.create_queue('q_bad', forbid_keys => '{a,NULL}');
SELECT jobq.create_queue('q_bad', forbid_keys => ARRAY[repeat('x', 64)]);
SELECT jobq.create_queue('q_bad', forbid_keys => array_fill('x'::text, '{51}'));
\echo :SQLSTATE
SELECT jobq.create_queue('q_bad', keep_completed => '-1 s');
SELECT jobq.create_queue('q_bad', keep_dead_count => -1);
SELECT jobq.create_queue('q_bad', max_queued => 0);
SELECT jobq.create_queue('q_bad', on_full => 'drop_newest');
SELECT jobq.create_queue('q_bad', on_dead => 'q_bad');
SELECT jobq.create_queue('q_bad', on_dead => 'q_mial');
\echo :SQLSTATE
SELECT count(*) FROM jobq.queues WHERE queue = 'q_bad';
-- functions without the types of their arguments, or with others
CREATE FUNCTION q_wrong(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT jobq.create_queue('q_bad', 'q_wrong');
SELECT jobq.create_queue('q_bad', 'q_wrong(integer)');
SELECT jobq.create_queue('q_bad', payload_check => 'q_wrong(integer)');
SELECT jobq.create_queue('q_bad', backoff_function => 'q_wrong(integer)');
DROP FUNCTION q_wrong(integer);

-- all options; the views show what is set, else the default
SELECT jobq.create_queue('q_all', description => 'all options', owner => current_user::regrole,
  max_attempts => 3, backoff => 'linear', backoff_base => '2 s', backoff_factor => 1.5, backoff_max => '1 min',
  jitter => 0, backoff_steps => '{1 s,10 s}', lease => '1 min', timeout => '5 min', priority => -5, ttl => '1 day',
  payload_path => '$.n > 0', forbid_keys => '{Secret,x y}', payload_max_bytes => 1000, keep_completed => '0', keep_completed_count => 10, keep_dead => '1 year',
  keep_dead_count => 0, on_dead => 'q_mail', notify => false, session_bound => true, sync_completion => false,
  share_commits => false, max_running => 5, max_queued => 100, on_full => 'drop_oldest', lifo => true);
\x
SELECT owner = current_user::regrole AS owned, paused, scheduled, ready, running, waiting, max_attempts, backoff,
  backoff_base, backoff_factor, backoff_max, jitter, backoff_steps, lease, timeout, priority, ttl,
  payload_path, forbid_keys, payload_max_bytes, keep_completed, keep_completed_count, keep_dead, keep_dead_count, on_dead, notify, session_bound, sync_completion,
  share_commits, max_running, max_queued, on_full, lifo
FROM jobq.queues WHERE queue IN ('q_mail', 'q_all') ORDER BY queue;
\x

-- a rate: bad values change nothing
SELECT jobq.create_queue('q_rate', rate_limit => -1);
SELECT jobq.create_queue('q_rate', rate_limit => 5, rate_period => '0');
SELECT jobq.create_queue('q_rate', rate_limit => 5, rate_period => '2000 years');
SELECT jobq.create_queue('q_rate', rate_limit => 5, rate_burst => 0);
SELECT jobq.create_queue('q_rate', rate_limit => 5, rate_burst => 6);
\echo :SQLSTATE
SELECT jobq.create_queue('q_rate', rate_limit => 2147483647, rate_period => '1 microsecond', rate_burst => 1);
\echo :SQLSTATE
SELECT jobq.create_queue('q_rate', on_limit => 'drop');
\echo :SQLSTATE
SELECT jobq.create_queue('q_rate', rate_limit => 5, rate_burst => 5);
SELECT jobq.alter_queue('q_rate', rate_limit => 4);
SELECT jobq.alter_queue('q_rate', rate_limit => 4, rate_burst => 2, rate_period => '1 min', on_limit => 'skip');
SELECT rate_limit, rate_period, rate_burst, on_limit FROM jobq.queues WHERE queue = 'q_rate';
SELECT jobq.reset_queue('q_rate', 'rate_limit', 'rate_period', 'rate_burst', 'on_limit');
SELECT rate_limit, rate_period, rate_burst, on_limit FROM jobq.queues WHERE queue = 'q_rate';
SELECT jobq.drop_queue('q_rate');

-- changing
SELECT jobq.alter_queue('q_all', max_attempts => 7, jitter => 0.5);
SELECT jobq.alter_queue('q_all', max_attempts => -1, jitter => 1);
SELECT jobq.alter_queue('q_all', on_dead => 'q_all');
SELECT jobq.alter_queue('q_al');
\echo :SQLSTATE
SELECT max_attempts, jitter, lease, on_dead FROM jobq.queues WHERE queue = 'q_all';
SELECT jobq.reset_queue('q_all', 'max_attempts', 'jitter', 'on_dead', 'description');
SELECT max_attempts, jitter, lease, on_dead, description FROM jobq.queues WHERE queue = 'q_all';
SELECT jobq.reset_queue('q_all', 'colour');
\echo :SQLSTATE
SELECT jobq.reset_queue('q_all', 'owner');
SELECT jobq.reset_queue('q_all', NULL);
\echo :SQLSTATE

-- all or nothing, and undone by rollback
BEGIN;
SELECT jobq.alter_queue('q_all', max_attempts => 20);
SAVEPOINT s;
SELECT jobq.alter_queue('q_all', max_attempts => 30);
SELECT max_attempts FROM jobq.queues WHERE queue = 'q_all';
ROLLBACK TO s;
SELECT max_attempts FROM jobq.queues WHERE queue = 'q_all';
ROLLBACK;
SELECT max_attempts FROM jobq.queues WHERE queue = 'q_all';
BEGIN;
SELECT jobq.create_queue('q_gone');
SELECT jobq.enqueue('q_gone') IS NOT NULL AS enqueued;
ROLLBACK;
SELECT jobq.enqueue('q_gone');
BEGIN READ ONLY;
SELECT jobq.create_queue('q_gone');
\echo :SQLSTATE
ROLLBACK;

-- pausing
SELECT jobq.pause('q_mail'), jobq.pause('q_mail') AS again;
SELECT jobq.enqueue('q_mail') IS NOT NULL AS enqueued;
SELECT count(*) FROM jobq.dequeue('q_mail');
SELECT paused FROM jobq.queues WHERE queue = 'q_mail';
SELECT jobq.resume('q_mail'), jobq.resume('q_mail') AS again;
SELECT count(*) FROM jobq.dequeue('q_mail');
SELECT jobq.pause('q_none');

-- throttling
SELECT jobq.throttle('q_mail', '1 hour');
SELECT jobq.enqueue('q_mail') IS NOT NULL AS enqueued;
SELECT count(*) FROM jobq.dequeue('q_mail');
SELECT jobq.throttle('q_mail', '0');
SELECT count(*) FROM jobq.dequeue('q_mail');
SELECT jobq.throttle('q_mail', '-1 s');
SELECT jobq.throttle('q_mail', '2 years');
SELECT jobq.throttle('q_mail', NULL);
SELECT jobq.throttle('q_none', '1 s');

-- dropping
SELECT jobq.alter_queue('q_all', on_dead => 'q_mail');
SELECT jobq.drop_queue('q_mail');
\echo :SQLSTATE
SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'q_mail' AND finished_at IS NULL;
SELECT jobq.drop_queue('q_mail');
\echo :SQLSTATE
SELECT jobq.enqueue('q_mail') IS NOT NULL AS enqueued;
SELECT count(*) FROM jobq.dequeue('q_mail');
BEGIN;
SELECT jobq.drop_queue('q_mail', force => true);
SELECT jobq.enqueue('q_mail');
ROLLBACK;
SELECT count(*) FROM jobq.jobs WHERE queue = 'q_mail' AND finished_at IS NULL;
SELECT jobq.drop_queue('q_mail', force => true);
SELECT queue, on_dead FROM jobq.queues WHERE queue LIKE 'q\_%';
SELECT jobq.drop_queue('q_all');
SELECT jobq.drop_queue('q_all');
SELECT count(*) FROM jobq_store.job WHERE queue NOT IN (SELECT id FROM jobq_store.queue);
SELECT count(*) FROM jobq_store.history WHERE queue NOT IN
  (SELECT id FROM jobq_store.queue UNION ALL SELECT id FROM jobq_store.gone_queue);
