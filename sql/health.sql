-- jobq.health: findings, each provoked.  Those that need another server, crashes
-- or settings are in t/091_health.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
-- other tests may leave jobs behind, and what their queues have is not of interest
CREATE VIEW health AS
SELECT severity, topic, object, message, hint, since IS NOT NULL AS timed
FROM jobq.health
WHERE object LIKE 'h\_%' OR topic NOT IN ('not worked', 'backlog', 'paused', 'coordinator');

-- all is well
SELECT * FROM health;

-- ready jobs and nobody who works them; others who work them are too slow
SELECT jobq.create_queue('h_none'), jobq.create_queue('h_held'), jobq.create_queue('h_future'),
  jobq.create_queue('h_later', priority => 3);
SELECT count(jobq.enqueue(q)) FROM unnest('{h_none,h_held,h_later}'::text[]) AS q, generate_series(1, 2);
SELECT jobq.enqueue('h_future', delay => '1 year') IS NOT NULL AS enqueued;
SELECT * FROM health;
SELECT count(*) FROM jobq.dequeue('h_held', lease => '1 day');
-- the first job of one priority is far ahead, that of the next one is not
SELECT jobq.enqueue('h_later', priority => 1, delay => '1 year') IS NOT NULL AS enqueued;
UPDATE jobq_store.job SET run_at = run_at - interval '6 minutes';
SELECT jobq.start(); -- claims do not know of rows that are written by hand
SELECT * FROM health;
SELECT h.object, h.since = (SELECT min(j.run_at) FROM jobq.jobs AS j
  WHERE j.queue = h.object AND j.state = 'ready') AS since_oldest
FROM jobq.health AS h WHERE h.object LIKE 'h\_%';
-- a job that is being worked in a transaction does not wait
SELECT jobq.delete(id) FROM jobq.jobs WHERE queue IN ('h_held', 'h_later') AND state = 'ready';
BEGIN;
SELECT count(*) FROM jobq.take('h_none');
SELECT * FROM health;
SELECT count(*) FROM jobq.take('h_none');
SELECT * FROM health;
ROLLBACK;

-- paused, and jobs wait
SELECT jobq.pause('h_none'), jobq.pause('h_future');
SELECT * FROM health;
SELECT jobq.drop_queue(q, force => true) FROM unnest('{h_none,h_held,h_future,h_later}'::text[]) AS q;

-- a handler that is gone, may not be called, or cannot be one any more
CREATE ROLE jobq_hank LOGIN;
SELECT jobq.grant_usage('jobq_hank', true);
CREATE SCHEMA h_schema;
CREATE FUNCTION h_schema.h_gone() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION h_schema.h_no_execute() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION h_schema.h_other() RETURNS void LANGUAGE sql AS '';
GRANT USAGE ON SCHEMA h_schema TO jobq_hank;
SELECT jobq.create_queue(f, ('h_schema.' || f || '()')::regprocedure, owner => 'jobq_hank')
FROM unnest('{h_gone,h_no_execute,h_other}'::text[]) AS f;
SELECT * FROM health;
DROP FUNCTION h_schema.h_gone;
REVOKE EXECUTE ON FUNCTION h_schema.h_no_execute FROM PUBLIC;
DROP FUNCTION h_schema.h_other;
CREATE FUNCTION h_schema.h_other() RETURNS SETOF void LANGUAGE sql AS '';
SELECT * FROM health;
-- a reader who may not use the schema sees the same
CREATE ROLE jobq_rita;
SELECT jobq.grant_usage('jobq_rita');
SELECT jobq.grant_queue('h_gone', 'jobq_rita', 'read');
GRANT SELECT ON health TO jobq_rita;
SET ROLE jobq_rita;
SELECT topic, object, message FROM jobq.health WHERE object LIKE 'h\_%';
RESET ROLE;
REVOKE USAGE ON SCHEMA h_schema FROM jobq_hank;
SELECT topic, object, message FROM health;
SELECT jobq.pause('h_other');

-- an owner who may not connect; worse if jobs wait
SELECT 'REVOKE CONNECT ON DATABASE ' || current_database() || ' FROM PUBLIC' AS command \gexec
SELECT jobq.enqueue('h_other') IS NOT NULL AS enqueued;
SELECT severity, topic, object, message FROM health;
SELECT 'GRANT CONNECT ON DATABASE ' || current_database() || ' TO PUBLIC' AS command \gexec
SELECT jobq.drop_queue(q, force => true) FROM unnest('{h_gone,h_no_execute,h_other}'::text[]) AS q;

-- schedules that were disabled: their role sees it, others do not
SELECT jobq.schedule('h_disabled', '0 0 1 1 *', 'SELECT 1') IS NOT NULL AS scheduled,
  jobq.schedule('h_off', '0 0 1 1 *', 'SELECT 1', enabled => false) IS NOT NULL AS scheduled;
UPDATE jobq_store.schedule SET enabled = false, next_run = 'infinity', owner = 'jobq_hank',
  disabled_reason = 'its zone is gone' WHERE name = 'h_disabled';
SELECT * FROM health;
SET ROLE jobq_rita;
SELECT * FROM jobq.health;
SET ROLE jobq_hank;
SELECT topic, object FROM jobq.health WHERE object LIKE 'h\_%';
RESET ROLE;

-- more than a hundred are counted
SELECT count(jobq.schedule('h_' || n, '0 0 1 1 *', 'SELECT 1')) FROM generate_series(1, 102) AS n;
UPDATE jobq_store.schedule SET enabled = false, next_run = 'infinity', disabled_reason = 'a test'
WHERE name ~ '^h_[0-9]+$';
SELECT object LIKE 'h\_%' AS named, count(*), min(message) AS message FROM health GROUP BY 1;
SELECT count(jobq.unschedule(name)) FROM jobq.schedules WHERE name LIKE 'h\_%';

-- queues that came from elsewhere
SELECT jobq.create_queue('h_copy'), jobq.schedule('h_copy', '0 0 1 1 *', 'SELECT 1') IS NOT NULL AS scheduled;
UPDATE jobq_store.queue SET database = 1 WHERE name = 'h_copy';
UPDATE jobq_store.schedule SET database = 1 WHERE name = 'h_copy';
SELECT * FROM health;
SET ROLE jobq_rita;
SELECT * FROM jobq.health;
RESET ROLE;
SELECT jobq.start();
SELECT * FROM health;
SELECT jobq.drop_queue('h_copy'), jobq.unschedule('h_copy');

-- stop() is seen by everybody
SELECT jobq.stop();
SET ROLE jobq_rita;
SELECT severity, topic, object, message, hint, since < now() AS has_since
FROM jobq.health WHERE topic <> 'coordinator';
RESET ROLE;
SELECT jobq.start();

-- the view changes nothing: it works in a read-only transaction
BEGIN READ ONLY;
SELECT * FROM health;
COMMIT;
-- and is for those who were granted jobq
CREATE ROLE jobq_nora;
SET ROLE jobq_nora;
SELECT * FROM jobq.health;
RESET ROLE;

DROP VIEW health;
DROP SCHEMA h_schema CASCADE;
SELECT jobq.revoke_usage('jobq_hank'), jobq.revoke_usage('jobq_rita');
DROP ROLE jobq_hank, jobq_rita, jobq_nora;
