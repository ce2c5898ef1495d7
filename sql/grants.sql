-- Who may do what.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
CREATE ROLE jobq_alice LOGIN;
CREATE ROLE jobq_bob LOGIN;
CREATE ROLE jobq_group NOLOGIN;
CREATE ROLE "jobq ""odd"" role" LOGIN;

-- a role that was given nothing can do nothing
SET ROLE jobq_alice;
SELECT jobq.create_queue('g_a');
SELECT * FROM jobq.jobs;
RESET ROLE;
SELECT has_function_privilege('public', p.oid, 'EXECUTE') AS public, count(*) > 0 AS some
FROM pg_proc AS p WHERE p.pronamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
GROUP BY 1;
SELECT has_schema_privilege('public', n.oid, 'USAGE') AS usage, has_schema_privilege('public', n.oid, 'CREATE') AS create
FROM pg_namespace AS n WHERE n.nspname IN ('jobq', 'jobq_store');

-- grant_usage
SELECT jobq.grant_usage('jobq_alice', may_create => true);
SELECT jobq.grant_usage('jobq_bob');
SELECT jobq.grant_usage('"jobq ""odd"" role"');
SELECT jobq.grant_usage(1::oid::regrole);
\echo :SQLSTATE
SELECT p.proname, has_function_privilege('jobq_alice', p.oid, 'EXECUTE') AS alice,
  has_function_privilege('jobq_bob', p.oid, 'EXECUTE') AS bob
FROM pg_proc AS p WHERE p.pronamespace = 'jobq'::regnamespace
  AND p.proname IN ('create_queue', 'run', 'schedule', 'enqueue', 'start', 'stop', 'grant_usage', 'revoke_usage')
ORDER BY 1;
SELECT has_table_privilege('jobq_alice', c.oid, 'SELECT') AS may_select, count(*) > 0 AS some
FROM pg_class AS c WHERE c.relnamespace = 'jobq_store'::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY 1;
SET ROLE jobq_bob;
SELECT jobq.create_queue('g_b');
SELECT jobq.grant_usage('jobq_bob', true);
RESET ROLE;
-- the function checks for itself, too
GRANT EXECUTE ON FUNCTION jobq.grant_usage, jobq.revoke_usage TO jobq_bob;
SET ROLE jobq_bob;
SELECT jobq.grant_usage('jobq_bob', true);
\echo :SQLSTATE
SELECT jobq.revoke_usage('jobq_alice');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION jobq.grant_usage, jobq.revoke_usage FROM jobq_bob;

-- owners
SET ROLE jobq_alice;
SELECT jobq.create_queue('g_a');
SELECT jobq.create_queue('g_b', owner => 'jobq_bob');
\echo :SQLSTATE
SELECT jobq.create_queue('g_b', owner => (SELECT oid::regrole FROM pg_roles WHERE rolsuper ORDER BY oid LIMIT 1));
RESET ROLE;
GRANT jobq_group TO jobq_alice;
SET ROLE jobq_alice;
SELECT jobq.create_queue('g_group', owner => 'jobq_group');
SELECT jobq.alter_queue('g_group', owner => 'jobq_alice');
SELECT jobq.alter_queue('g_group', owner => 'jobq_group');
-- a member of the owner may do what the owner may
SELECT jobq.enqueue('g_group') IS NOT NULL AS enqueued;
SELECT owner, ready FROM jobq.queues WHERE queue = 'g_group';

-- every privilege lets in, and nothing else does
SELECT jobq.enqueue('g_a', '{"n": 1}') IS NOT NULL AS enqueued;
SET ROLE jobq_bob;
SELECT jobq.enqueue('g_a');
\echo :SQLSTATE
SELECT * FROM jobq.dequeue('g_a');
SELECT jobq.pause('g_a');
SELECT jobq.alter_queue('g_a', max_attempts => 1);
SELECT jobq.reset_queue('g_a', 'max_attempts');
SELECT jobq.drop_queue('g_a');
SELECT jobq.grant_queue('g_a', 'jobq_bob', 'read');
SELECT jobq.revoke_queue('g_a', 'jobq_bob', 'read');
SELECT jobq.listen('g_a');
SELECT count(*) FROM jobq.queues;
SELECT count(*) FROM jobq.jobs;
SET ROLE jobq_alice;
SELECT jobq.grant_queue('g_a', 'jobq_bob', 'enqueue');
SET ROLE jobq_bob;
SELECT jobq.enqueue('g_a') IS NOT NULL AS enqueued;
SELECT count(*) FROM jobq.jobs;
SELECT * FROM jobq.dequeue('g_a');
SET ROLE jobq_alice;
SELECT jobq.grant_queue('g_a', 'jobq_bob', 'read');
SET ROLE jobq_bob;
SELECT count(*) FROM jobq.jobs;
SELECT queue, ready FROM jobq.queues;
SET ROLE jobq_alice;
SELECT jobq.grant_queue('g_a', 'jobq_bob', 'consume', 'manage');
SET ROLE jobq_bob;
SELECT payload FROM jobq.dequeue('g_a');
SELECT jobq.pause('g_a');
SELECT jobq.resume('g_a');
SELECT jobq.alter_queue('g_a', max_attempts => 1);
SET ROLE jobq_alice;
SELECT jobq.revoke_queue('g_a', 'jobq_bob', 'enqueue', 'read', 'manage');
SET ROLE jobq_bob;
SELECT jobq.enqueue('g_a');
SELECT jobq.pause('g_a');
SELECT count(*) FROM jobq.dequeue('g_a');
SET ROLE jobq_alice;
SELECT jobq.revoke_queue('g_a', 'jobq_bob', 'consume');
SELECT jobq.revoke_queue('g_a', 'jobq_bob', 'consume');

-- a privilege of a group is one of its members
SELECT jobq.grant_queue('g_a', 'jobq_group', 'enqueue');
RESET ROLE;
SELECT count(*) FROM jobq_store.queue_grant WHERE role = 'jobq_bob'::regrole;
GRANT jobq_group TO jobq_bob;
SET ROLE jobq_bob;
SELECT jobq.enqueue('g_a') IS NOT NULL AS enqueued;
SET ROLE jobq_alice;

-- errors
SELECT jobq.grant_queue('g_a', 'jobq_bob', 'peek');
\echo :SQLSTATE
SELECT jobq.grant_queue('g_a', 'jobq_bob', NULL);
\echo :SQLSTATE
SELECT jobq.grant_queue('g_a', 1::oid::regrole, 'read');
SELECT jobq.grant_queue('g_none', 'jobq_bob', 'read');
\echo :SQLSTATE
SELECT jobq.grant_queue('g_a', 'jobq_nobody', 'read');

-- on_dead: the queue's owner must be allowed to add jobs there
RESET ROLE;
SELECT jobq.create_queue('g_dead');
SET ROLE jobq_alice;
SELECT jobq.alter_queue('g_a', on_dead => 'g_dead');
\echo :SQLSTATE
RESET ROLE;
SELECT jobq.grant_queue('g_dead', 'jobq_alice', 'enqueue');
SET ROLE jobq_alice;
SELECT jobq.alter_queue('g_a', on_dead => 'g_dead');
RESET ROLE;

-- revoke_usage
SELECT jobq.revoke_usage('jobq_bob');
SET ROLE jobq_bob;
SELECT jobq.enqueue('g_a');
RESET ROLE;
SELECT jobq.revoke_usage('jobq_alice');
SELECT jobq.revoke_usage('"jobq ""odd"" role"');
SELECT jobq.drop_queue('g_a', true), jobq.drop_queue('g_group', true), jobq.drop_queue('g_dead');
SELECT count(*) FROM jobq_store.queue_grant WHERE queue NOT IN (SELECT id FROM jobq_store.queue);
-- nothing depends on them any more
DROP ROLE jobq_alice, jobq_bob, jobq_group, "jobq ""odd"" role";
