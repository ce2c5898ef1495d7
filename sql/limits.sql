-- Limits that queues share: creating, changing, dropping, and who may.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
CREATE ROLE jobq_owner LOGIN;
CREATE ROLE jobq_member LOGIN IN ROLE jobq_owner;
CREATE ROLE jobq_other LOGIN;
SELECT jobq.grant_usage('jobq_owner', may_create => true), jobq.grant_usage('jobq_member', may_create => true),
  jobq.grant_usage('jobq_other', may_create => true);

SET ROLE jobq_owner;
SELECT jobq.create_limit('api', max_running => 2);
SELECT jobq.create_limit('open');
SELECT * FROM jobq.limits ORDER BY name;

-- what a limit refuses
SELECT jobq.create_limit('api');
\echo :SQLSTATE
SELECT jobq.create_limit('minus', max_running => -1);
\echo :SQLSTATE
SELECT jobq.create_limit('');
\echo :SQLSTATE
SELECT jobq.create_limit(repeat('x', 64));
\echo :SQLSTATE
SELECT jobq.create_limit(E'a\nb');
\echo :SQLSTATE
SELECT jobq.create_limit(NULL);
\echo :SQLSTATE
SELECT jobq.alter_limit('apo', max_running => 1);
\echo :SQLSTATE
SELECT jobq.alter_limit('nothing like it', max_running => 1);
\echo :SQLSTATE
SELECT jobq.alter_limit('api', max_running => -1);
\echo :SQLSTATE
SELECT jobq.reset_limit('api', 'max_runing');
\echo :SQLSTATE
SELECT jobq.reset_limit('api', NULL);
\echo :SQLSTATE
SELECT jobq.drop_limit('apo');
\echo :SQLSTATE

SELECT jobq.create_limit('r', rate_limit => 0);
\echo :SQLSTATE
SELECT jobq.create_limit('r', rate_limit => 5, rate_burst => 6);
\echo :SQLSTATE
SELECT jobq.create_limit('r', rate_limit => 5, rate_period => '0 s');
\echo :SQLSTATE
SELECT jobq.create_limit('r', rate_limit => 5, rate_period => '10 s', rate_burst => 3);
SELECT jobq.alter_limit('r', rate_limit => 2);
\echo :SQLSTATE
SELECT jobq.alter_limit('r', rate_limit => 2, rate_burst => 1);
SELECT jobq.reset_limit('r', 'rate_period', 'rate_burst');
SELECT rate_limit, rate_period, rate_burst FROM jobq.limits WHERE name = 'r';
SELECT jobq.drop_limit('r');

-- NULL leaves an option as it is, 0 is a limit, too
SELECT jobq.alter_limit('api');
SELECT jobq.alter_limit('open', max_running => 0);
SELECT name, max_running FROM jobq.limits ORDER BY name;
SELECT jobq.reset_limit('open', 'max_running', 'max_running');
SELECT name, max_running FROM jobq.limits ORDER BY name;

-- queues that share it
SELECT jobq.create_queue('l_a', shared_limit => 'api');
SELECT jobq.create_queue('l_b', max_running => 1);
SELECT jobq.alter_queue('l_b', shared_limit => 'api');
SELECT jobq.create_queue('l_c', shared_limit => 'apis');
\echo :SQLSTATE
SELECT jobq.alter_queue('l_b', shared_limit => 'none');
\echo :SQLSTATE
SELECT queue, max_running, shared_limit FROM jobq.queues ORDER BY queue;
SELECT name, running, queues FROM jobq.limits ORDER BY name;

-- who may: the owner of the queue is the limit's, or a member
SET ROLE jobq_other;
SELECT jobq.create_queue('l_o', shared_limit => 'api');
\echo :SQLSTATE
SELECT jobq.create_queue('l_o');
SELECT jobq.alter_queue('l_o', shared_limit => 'api');
\echo :SQLSTATE
SELECT jobq.create_queue('l_o', shared_limit => 'api', or_replace => true);
\echo :SQLSTATE
SELECT jobq.alter_limit('api', max_running => 5);
\echo :SQLSTATE
SELECT jobq.reset_limit('api', 'max_running');
\echo :SQLSTATE
SELECT jobq.drop_limit('api');
\echo :SQLSTATE
SELECT * FROM jobq.limits;
SET ROLE jobq_member;
SELECT jobq.create_queue('l_m', shared_limit => 'api');
SELECT jobq.alter_limit('api', max_running => 3);
SELECT name, owner, max_running, queues FROM jobq.limits ORDER BY name;
RESET ROLE;

-- the owner of a queue that shares a limit changes
SELECT jobq.alter_queue('l_a', owner => 'jobq_other');
\echo :SQLSTATE
SELECT jobq.alter_queue('l_a', owner => 'jobq_member');
SELECT jobq.reset_queue('l_a', 'shared_limit');
SELECT jobq.alter_queue('l_a', owner => 'jobq_other');
SELECT jobq.alter_queue('l_a', owner => 'jobq_owner', shared_limit => 'api');
SELECT queue, owner, shared_limit FROM jobq.queues WHERE queue = 'l_a';

-- a member that is none any more keeps the queue as it is
REVOKE jobq_owner FROM jobq_member;
SET ROLE jobq_member;
SELECT jobq.alter_queue('l_m', max_attempts => 3);
SELECT jobq.alter_limit('api', max_running => 9);
\echo :SQLSTATE
SELECT jobq.alter_queue('l_m', shared_limit => 'api');
SELECT jobq.reset_queue('l_m', 'shared_limit');
SELECT jobq.alter_queue('l_m', shared_limit => 'api');
\echo :SQLSTATE
RESET ROLE;

-- a limit is dropped when no queue shares it; renaming a queue changes nothing
SET ROLE jobq_owner;
SELECT jobq.rename_queue('l_b', 'l_bb');
SELECT jobq.drop_limit('api');
\echo :SQLSTATE
SELECT jobq.create_queue('l_bb', max_running => 2, or_replace => true);
SELECT jobq.drop_limit('api');
\echo :SQLSTATE
SELECT jobq.drop_queue('l_a');
SELECT jobq.drop_limit('api');
SELECT name FROM jobq.limits;
RESET ROLE;

-- a transaction that is rolled back, also to a savepoint
BEGIN;
SELECT jobq.create_limit('gone', max_running => 1);
SELECT jobq.create_queue('l_g', shared_limit => 'gone');
SAVEPOINT s;
SELECT jobq.enqueue('l_g') > 0, jobq.enqueue('l_g') > 0;
SELECT jobq.alter_limit('gone', max_running => 0);
SELECT count(*) FROM jobq.take('l_g', 5);
ROLLBACK TO s;
SELECT jobq.enqueue('l_g') > 0, jobq.enqueue('l_g') > 0;
SELECT count(*) FROM jobq.take('l_g', 5);
SELECT count(*) FROM jobq.take('l_g', 5);
ROLLBACK;
SELECT name FROM jobq.limits;

-- one after the other, and the same names again
SELECT jobq.create_limit('one', max_running => 1), jobq.create_limit('two', max_running => 1);
SELECT jobq.create_queue('l_1', shared_limit => 'one'), jobq.create_queue('l_2', shared_limit => 'one');
SELECT count(*) FROM jobq.enqueue_many('l_1', array_fill('1'::jsonb, '{9}'));
SELECT count(*) FROM jobq.enqueue_many('l_2', array_fill('1'::jsonb, '{9}'));
SELECT count(*) AS first FROM jobq.dequeue('l_1', 5, lease => '1 hour');
SELECT count(*) AS no_other FROM jobq.dequeue('l_2', 5, lease => '1 hour');
SELECT name, running FROM jobq.limits WHERE name IN ('one', 'two') ORDER BY name;
SELECT jobq.alter_queue('l_2', shared_limit => 'two');
SELECT count(*) AS has_another_limit FROM jobq.dequeue('l_2', 5, lease => '1 hour');
SELECT jobq.reset_queue('l_1', 'shared_limit');
SELECT count(*) AS has_none FROM jobq.dequeue('l_1', 2, lease => '1 hour');
SELECT name, running FROM jobq.limits WHERE name IN ('one', 'two') ORDER BY name;
SELECT jobq.drop_limit('one');
SELECT jobq.create_limit('one', max_running => 1);
SELECT jobq.alter_queue('l_1', shared_limit => 'one');
SELECT count(*) AS counts_from_the_next_on FROM jobq.dequeue('l_1', 2, lease => '1 hour');
DO $$ BEGIN PERFORM jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1; END $$;
SELECT name, running FROM jobq.limits WHERE name IN ('one', 'two') ORDER BY name;
SELECT * FROM jobq_store.flow_check();

DROP OWNED BY jobq_owner, jobq_member, jobq_other;
SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues WHERE queue LIKE 'l\_%' ORDER BY queue;
SELECT jobq.drop_limit(name) FROM jobq.limits ORDER BY name;
DROP ROLE jobq_owner, jobq_member, jobq_other;
