-- A queue whose jobs do nothing, in background workers, and how to wait for
-- them; for executors_run.sql.  :options are more options of create_queue.
-- The handler is in PL/pgSQL, as most are: a function in SQL is parsed and
-- planned anew by each call before PostgreSQL 18.

\set QUIET on

CREATE OR REPLACE FUNCTION work(payload jsonb) RETURNS void
LANGUAGE plpgsql
AS 'BEGIN END';

SELECT jobq.create_queue('work', 'work(jsonb)', :options)
\g /dev/null

-- Looks at the last job only as long as it is there, since that is cheap.
CREATE OR REPLACE PROCEDURE wait_for_jobs(last bigint)
LANGUAGE plpgsql
AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + '10 min';
BEGIN
  WHILE EXISTS (SELECT FROM jobq.jobs
      WHERE id = last AND state IN ('ready', 'running'))
    OR EXISTS (SELECT FROM jobq.jobs
      WHERE queue = 'work' AND state IN ('ready', 'running')) LOOP
    COMMIT;
    IF clock_timestamp() > deadline THEN
      RAISE 'the jobs are not done';
    END IF;
    PERFORM pg_sleep(0.005);
  END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION enqueue_jobs(jobs bigint) RETURNS bigint
LANGUAGE sql
AS $$
  SELECT max(id)
  FROM generate_series(0, jobs - 1, 1000) AS done,
    jobq.enqueue_many('work', array_fill(
      '{"to":"user@example.com","n":12345}'::jsonb,
      ARRAY[least(1000, jobs - done)::integer])) AS id
$$;
