-- From the commit of an enqueue to the start of its handler.
--
-- One session enqueues a job together with a row of a table of its own, and
-- does nothing for a while.  The time of the commit is that of the row's
-- transaction (track_commit_timestamp): the server takes it right before it
-- writes the commit record, so what is measured is rather too long than too
-- short.  synchronous_commit is off in this session only, since otherwise the
-- flush of that record, which comes before anybody can see the job, would be
-- measured, too.

\set QUIET on
\pset tuples_only on
\pset format unaligned

CREATE EXTENSION jobq;

CREATE TABLE enqueued (n integer);
CREATE TABLE started (n integer, at timestamptz, pid integer);

CREATE FUNCTION handler(payload jsonb) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
  started_at timestamptz := clock_timestamp();
BEGIN
  INSERT INTO started VALUES (payload::integer, started_at, pg_backend_pid());
END
$$;

SELECT jobq.create_queue('latency', 'handler(jsonb)', keep_completed => '0')
\g /dev/null

-- Returns when the job has been run, and dies if it is not.
CREATE PROCEDURE wait_for(job integer)
LANGUAGE plpgsql
AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + '10 s';
BEGIN
  WHILE NOT EXISTS (SELECT FROM started WHERE n = job) LOOP
    COMMIT;
    IF clock_timestamp() > deadline THEN
      RAISE 'job % was not run', job;
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
END
$$;

-- Jobs first to last, one at a time, with random pauses.
CREATE PROCEDURE run_jobs(first integer, last integer)
LANGUAGE plpgsql
AS $$
BEGIN
  FOR i IN first .. last LOOP
    INSERT INTO enqueued VALUES (i);
    PERFORM jobq.enqueue('latency', to_jsonb(i));
    COMMIT;
    PERFORM pg_sleep(0.005 + 0.025 * random());
    CALL wait_for(i);
  END LOOP;
END
$$;

-- The same, with all executors gone before each.
CREATE PROCEDURE run_cold_jobs(first integer, last integer)
LANGUAGE plpgsql
AS $$
DECLARE
  deadline timestamptz;
BEGIN
  FOR i IN first .. last LOOP
    deadline := clock_timestamp() + '20 s';
    WHILE EXISTS (SELECT FROM pg_stat_activity
                  WHERE backend_type = 'jobq executor') LOOP
      COMMIT;
      IF clock_timestamp() > deadline THEN
        RAISE 'the executors stay';
      END IF;
      PERFORM pg_sleep(0.05);
    END LOOP;
    COMMIT;
    CALL run_jobs(i, i);
  END LOOP;
END
$$;

CREATE FUNCTION report(first integer, last integer) RETURNS text
LANGUAGE sql
AS $$
  SELECT format('%s jobs: median %s ms, 99th percentile %s ms, longest %s ms',
    count(*),
    round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 3),
    round(percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)::numeric, 3),
    round(max(ms), 3))
  FROM (
    SELECT 1000 * extract(epoch FROM
      s.at - pg_xact_commit_timestamp(e.xmin)) AS ms
    FROM enqueued AS e
    JOIN started AS s USING (n)
    WHERE n BETWEEN first AND last
  ) AS jobs
$$;

SET synchronous_commit = off;

-- start an executor, and warm up
CALL run_jobs(-19, 0);

CALL run_jobs(1, :warm);
SELECT 'executor running   ' || report(1, :warm);
SELECT 'NOTICE: executors were started in between' FROM started
WHERE n BETWEEN 1 AND :warm HAVING count(DISTINCT pid) > 4;

CALL run_cold_jobs(1000001, 1000000 + :cold);
SELECT 'executor to start  ' || report(1000001, 1000000 + :cold);
