-- Views in parallel plans: their conditions are evaluated in the leader, in
-- parallel mode, where hardly anything is allowed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
SELECT jobq.create_queue('parallel');
SELECT count(jobq.enqueue('parallel', priority => i)) FROM generate_series(1, 1000) AS i;

-- a new session knows no queue yet when the plan begins
\c -
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION pg_temp.is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
  RETURN plan::text LIKE '%"Gather%';
END $$;
SELECT pg_temp.is_parallel('SELECT * FROM jobq.jobs WHERE priority > 5');
SELECT count(*) FROM jobq.jobs WHERE queue = 'parallel' AND priority > 5;

-- and what this transaction has changed counts
BEGIN;
SELECT jobq.create_queue('parallel 2');
SELECT jobq.enqueue('parallel 2', priority => 10) IS NOT NULL AS enqueued;
SELECT queue, count(*) FROM jobq.jobs WHERE priority > 990 OR queue = 'parallel 2' GROUP BY queue ORDER BY queue COLLATE "C";
ROLLBACK;
SELECT queue, count(*) FROM jobq.jobs WHERE priority > 990 OR queue = 'parallel 2' GROUP BY queue ORDER BY queue COLLATE "C";

-- functions that are declared parallel safe, but are not
CREATE TABLE jobq_parallel_numbers AS SELECT generate_series(1, 1000) AS n;
CREATE FUNCTION pg_temp.listen() RETURNS text LANGUAGE plpgsql PARALLEL SAFE
  AS 'BEGIN RETURN jobq.listen(''parallel''); END';
CREATE FUNCTION pg_temp.unlisten() RETURNS text LANGUAGE plpgsql PARALLEL SAFE
  AS 'BEGIN RETURN jobq.unlisten(''parallel''); END';
CREATE FUNCTION pg_temp.findings() RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE
  AS 'BEGIN RETURN (SELECT count(*) FROM jobq.health); END';
\set VERBOSITY sqlstate
SELECT count(pg_temp.listen()) FROM jobq_parallel_numbers;
SELECT count(pg_temp.unlisten()) FROM jobq_parallel_numbers;
SELECT count(pg_temp.findings()) FROM jobq_parallel_numbers;
\set VERBOSITY default
DROP TABLE jobq_parallel_numbers;

-- nobody sees more by it
CREATE ROLE jobq_parallel;
SELECT jobq.grant_usage('jobq_parallel');
SET ROLE jobq_parallel;
SELECT count(*) FROM jobq.jobs WHERE priority > 5;
RESET ROLE;
SELECT jobq.revoke_usage('jobq_parallel');
DROP ROLE jobq_parallel;
SELECT jobq.drop_queue('parallel', true);
