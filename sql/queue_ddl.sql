-- Queues that are created again, renamed, dropped if they are there.
\set VERBOSITY default
CREATE ROLE jobq_ddl LOGIN;
CREATE ROLE jobq_ddl_other LOGIN;
SELECT jobq.grant_usage('jobq_ddl', true), jobq.grant_usage('jobq_ddl_other', true);

-- or_replace: what is given is set, everything else is reset, but for the
-- owner; jobs, grants, identity and a pause stay
SET ROLE jobq_ddl;
SELECT jobq.create_queue('d_one', max_attempts => 3, description => 'first', or_replace => true);
SELECT jobq.create_queue('d_one', max_attempts => 4);
SELECT jobq.enqueue('d_one', '{"n": 1}') > 0 AS enqueued, jobq.pause('d_one');
SELECT jobq.grant_queue('d_one', 'jobq_ddl_other', 'read', 'enqueue');
RESET ROLE;
CREATE TEMP TABLE before AS SELECT id, created_at FROM jobq_store.queue WHERE name = 'd_one';
SELECT jobq.create_queue('d_one', backoff => 'fixed', or_replace => true);
SELECT owner, max_attempts, description, backoff, paused, ready FROM jobq.queues WHERE queue = 'd_one';
SELECT id = (SELECT id FROM before), created_at = (SELECT created_at FROM before) FROM jobq_store.queue WHERE name = 'd_one';
SET ROLE jobq_ddl_other;
SELECT queue, ready FROM jobq.queues;
SELECT jobq.create_queue('d_one', or_replace => true);
\echo :SQLSTATE
RESET ROLE;
-- the checks are those of a new queue, and nothing changes if they fail
SELECT jobq.create_queue('d_one', max_attempts => 0, or_replace => true);
SELECT jobq.create_queue('d_one', on_dead => 'd_one', or_replace => true);
SELECT jobq.create_queue('run:jobq_ddl', or_replace => true);
SELECT backoff FROM jobq.queues WHERE queue = 'd_one';
SELECT jobq.create_queue('d_one', owner => 'jobq_ddl_other', or_replace => NULL);
\echo :SQLSTATE
SELECT jobq.create_queue('d_one', owner => 'jobq_ddl_other', or_replace => true);
SELECT owner, backoff FROM jobq.queues WHERE queue = 'd_one';
SELECT jobq.alter_queue('d_one', owner => 'jobq_ddl');

-- rename: everything goes with the queue
SELECT jobq.create_queue('d_two', on_dead => 'd_one', max_attempts => 1);
SELECT jobq.resume('d_one');
SET ROLE jobq_ddl;
SELECT jobq.schedule('d_daily', '@daily', queue => 'd_one') > 0 AS scheduled;
SELECT jobq.rename_queue('d_one', 'd_new');
RESET ROLE;
SELECT queue, ready, on_dead FROM jobq.queues WHERE queue LIKE 'd\_%' ORDER BY queue;
SELECT name, queue FROM jobq.schedules WHERE name = 'd_daily';
SELECT jobq.enqueue('d_one');
SELECT queue, payload FROM jobq.take('d_new');
SELECT jobq.channel('d_new');
-- dead jobs still find it, a schedule too
SELECT jobq.enqueue('d_two') > 0 AS enqueued;
SELECT jobq.fail(id, lease, 'x') FROM jobq.dequeue('d_two');
SELECT jobq.run_schedule('d_daily') > 0 AS run;
SELECT queue, payload - 'job_id' AS payload FROM jobq.take('d_new', 5);
SET ROLE jobq_ddl_other;
SELECT jobq.enqueue('d_new') > 0 AS still_granted;
-- who may, and what is refused
SELECT jobq.rename_queue('d_new', 'd_mine');
\echo :SQLSTATE
RESET ROLE;
SELECT jobq.rename_queue('d_none', 'd_x');
\echo :SQLSTATE
SELECT jobq.rename_queue('d_new', 'd_two');
\echo :SQLSTATE
SELECT jobq.rename_queue('d_new', 'd_new');
\echo :SQLSTATE
SELECT jobq.rename_queue('d_new', '');
SELECT jobq.rename_queue('d_new', 'run:x');
\echo :SQLSTATE
SET ROLE jobq_ddl;
SELECT jobq.run('SELECT 1', delay => '1 day') > 0 AS enqueued;
SELECT jobq.rename_queue('run:jobq_ddl', 'd_x');
\echo :SQLSTATE
-- the old name is free, in the same transaction too, and a rollback takes it back
BEGIN;
SELECT jobq.rename_queue('d_new', 'd_newer');
SELECT jobq.create_queue('d_new');
SELECT jobq.enqueue('d_newer') > 0 AS enqueued, jobq.enqueue('d_new') > 0 AS enqueued;
SELECT queue, ready FROM jobq.queues WHERE queue LIKE 'd\_new%' ORDER BY queue;
ROLLBACK;
SELECT queue, ready FROM jobq.queues WHERE queue LIKE 'd\_new%' ORDER BY queue;
RESET ROLE;

-- drop if it exists
SELECT jobq.drop_queue('d_none', if_exists => true);
SELECT jobq.drop_queue('d_none');
\echo :SQLSTATE
SELECT jobq.drop_queue('d_tow');
SET ROLE jobq_ddl_other;
SELECT jobq.drop_queue('d_new', if_exists => true, force => true);
\echo :SQLSTATE
-- what is not theirs is not there, as far as channel() is concerned
RESET ROLE;
SELECT jobq.revoke_queue('d_new', 'jobq_ddl_other', 'read', 'enqueue');
SET ROLE jobq_ddl_other;
SELECT jobq.channel('d_new');
SELECT jobq.channel('d_nee');
\echo :SQLSTATE
RESET ROLE;
SELECT jobq.drop_queue('d_new', force => true, if_exists => true);
SELECT queue, on_dead FROM jobq.queues WHERE queue LIKE 'd\_%' ORDER BY queue;
SELECT jobq.drop_queue('d_two'), jobq.drop_queue('run:jobq_ddl', true), jobq.unschedule('d_daily');
SELECT jobq.revoke_usage('jobq_ddl'), jobq.revoke_usage('jobq_ddl_other');
DROP ROLE jobq_ddl, jobq_ddl_other;

-- ids are not taken by nextval(): the caller's lastval() stays what it was
CREATE SEQUENCE ddl_seq START 4242;
SELECT nextval('ddl_seq');
SELECT jobq.create_queue('ddl_lastval');
SELECT lastval();
SELECT jobq.schedule('ddl_lastval', '@yearly', queue => 'ddl_lastval') > 0 AS scheduled;
SELECT lastval();
CREATE ROLE ddl_runner SUPERUSER LOGIN;
SET ROLE ddl_runner;
SELECT jobq.run('SELECT 1', delay => '1 hour') > 0 AS added;
RESET ROLE;
SELECT lastval();

-- a schedule whose queue was dropped is not enabled
SELECT jobq.drop_queue('ddl_lastval');
SELECT enabled, disabled_reason FROM jobq.schedules WHERE name = 'ddl_lastval';
SELECT jobq.enable_schedule('ddl_lastval');
\echo :SQLSTATE
SELECT jobq.enable_schedule('ddl_lastval', false), jobq.enable_schedule('no such schedule');
SELECT enabled, disabled_reason FROM jobq.schedules WHERE name = 'ddl_lastval';
SELECT jobq.unschedule('ddl_lastval'), jobq.drop_queue('run:ddl_runner', force => true);
DROP ROLE ddl_runner;
DROP SEQUENCE ddl_seq;

-- who may not create a queue is not told to
CREATE ROLE ddl_reader;
SELECT jobq.grant_usage('ddl_reader');
SET ROLE ddl_reader;
SELECT jobq.enqueue('ddl_nowhere');
RESET ROLE;
SELECT jobq.grant_usage('ddl_reader', may_create => true);
SET ROLE ddl_reader;
SELECT jobq.enqueue('ddl_nowhere');
RESET ROLE;
SELECT jobq.create_queue('ddl_granted');
SELECT jobq.grant_queue('ddl_granted', 'ddl_reader', 'read');
SELECT jobq.revoke_usage('ddl_reader');
SELECT jobq.grant_queue('ddl_granted', 'ddl_reader', 'consume');
SELECT jobq.drop_queue('ddl_granted');
DROP ROLE ddl_reader;
