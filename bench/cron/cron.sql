-- What cron expressions and schedules cost.
--
-- Functions are measured by counting their results over generate_series, the
-- best of three rounds, less the time of counting the series itself.  They are
-- compared with date_trunc on timestamptz, a C function that also takes a text
-- and a timestamp, and also has to do with the calendar and the time zone.
--
-- Schedules are fired by the coordinator.  They are due when jobq's clock is
-- set forward; the end is the commit of the last of their jobs, by the time
-- that is in the commit record (track_commit_timestamp).

\set QUIET on
\pset tuples_only on
\pset format unaligned

CREATE EXTENSION jobq;
SET TimeZone = 'America/New_York';
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET work_mem = '256MB';

-- Microseconds per call of an expression of t.
CREATE FUNCTION cost(expression text, calls integer) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
  started timestamptz;
  total float8;
  best float8 := 'infinity';
BEGIN
  FOR i IN 1 .. 3 LOOP
    started := clock_timestamp();
    EXECUTE format('SELECT count(%s) FROM series LIMIT %s', expression, calls);
    total := extract(epoch FROM clock_timestamp() - started);
    best := least(best, total);
  END LOOP;
  RETURN 1e6 * best / calls;
END
$$;

CREATE TEMP TABLE series AS
SELECT timestamptz '2024-01-01' + i * interval '31 s' AS t
FROM generate_series(1, :calls) AS i;
ANALYZE series;

CREATE TEMP TABLE expressions (n serial, expression text, us float8);
INSERT INTO expressions (expression) VALUES
  ('t'),
  ('date_trunc(''hour'', t)'),
  ('date_trunc(''day'', t)'),
  ('date_trunc(''day'', t, ''America/New_York'')'),
  ('jobq.cron_next(''*/5 * * * *'', t, ''UTC'')'),
  ('jobq.cron_next(''*/5 * * * *'', t)'),
  ('jobq.cron_next(''*/5 * * * *'', t, ''America/New_York'')'),
  ('jobq.cron_next(''30 2 * * *'', t, ''America/New_York'')'),
  ('jobq.cron_next(''0 9 LW * *'', t, ''America/New_York'')'),
  ('jobq.cron_next(''0 0 29 2 *'', t, ''America/New_York'')');
UPDATE expressions SET us = cost(expression, :calls);

\echo calls per second, and time as a multiple of date_trunc(''day'', t) in the
\echo time zone of the session
SELECT format('%-55s %8s   %s', e.expression,
  to_char(1e6 / (e.us - l.us), 'FM999,999,999'),
  round(((e.us - l.us) / (r.us - l.us))::numeric, 2))
FROM expressions AS e, expressions AS r, expressions AS l
WHERE r.n = 3 AND l.n = 1 AND e.n > 1
ORDER BY e.n;

-- The clock that jobq goes by. set_clock() sets it to a time and returns when, by
-- the real one.
CREATE FUNCTION advance_clock(by interval) RETURNS timestamptz
AS '$libdir/jobq', 'jobq_advance_clock' LANGUAGE c STRICT;

CREATE FUNCTION set_clock(at timestamptz) RETURNS timestamptz
LANGUAGE sql
AS $$
  SELECT advance_clock(at - advance_clock('0'));
  SELECT clock_timestamp();
$$;

CREATE PROCEDURE wait_for_jobs(expected bigint)
LANGUAGE plpgsql
AS $$
DECLARE
  deadline timestamptz := clock_timestamp() + '120 s';
BEGIN
  WHILE (SELECT sum(runs) FROM jobq.schedules) < expected LOOP
    COMMIT;
    IF clock_timestamp() > deadline THEN
      RAISE 'only % of % runs', (SELECT sum(runs) FROM jobq.schedules), expected;
    END IF;
    PERFORM pg_sleep(0.02);
  END LOOP;
END
$$;

-- Milliseconds to the commit of the first and of the last job since then.
CREATE FUNCTION latency(since timestamptz, jobs_of text)
RETURNS TABLE (first numeric, last numeric)
LANGUAGE sql
AS $$
  SELECT round(1000 * extract(epoch FROM min(at) - since), 1),
    round(1000 * extract(epoch FROM max(at) - since), 1)
  FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM jobq_store.job
    WHERE headers ->> 'schedule' LIKE jobs_of) AS j
  WHERE at >= since
$$;

SELECT jobq.create_queue('q')
\g /dev/null
SELECT set_clock('2030-01-01 00:00:30+00')
\g /dev/null
SELECT count(jobq.schedule('many ' || i, '0 * * * *', queue => 'q', overlap => 'allow'))
FROM generate_series(1, :schedules) AS i
\g /dev/null

\echo
\echo schedules due in the same second: milliseconds to the commit of the first
\echo job, and of the last
SELECT set_clock('2030-01-01 01:00:00+00') AS since \gset
CALL wait_for_jobs(:schedules);
SELECT format('%s schedules, first run: %s, %s', :schedules, first, last)
FROM latency(:'since', 'many%');
SELECT set_clock('2030-01-01 02:00:00+00') AS since \gset
CALL wait_for_jobs(2 * :schedules);
SELECT format('%s schedules, second run: %s, %s', :schedules, first, last)
FROM latency(:'since', 'many%');
SELECT count(jobq.unschedule(name)) FROM jobq.schedules
\g /dev/null
TRUNCATE jobq_store.job;
VACUUM jobq_store.schedule;

-- The index that says what is due keeps an entry for each run that there was
-- until it can be removed, which a transaction that goes on for long prevents.
-- So: a thousand schedules have run every minute for an hour; how long after
-- it is due does one run then?

CREATE PROCEDURE run_for_an_hour(clock timestamptz)
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM jobq.schedule('minutely ' || i, '* * * * *', queue => 'q', overlap => 'allow')
  FROM generate_series(1, 1000) AS i;
  COMMIT;
  FOR minute IN 1 .. 60 LOOP
    PERFORM set_clock(clock + minute * interval '1 min');
    COMMIT;
    CALL wait_for_jobs(1000 * minute);
  END LOOP;
  PERFORM jobq.unschedule(name) FROM jobq.schedules;
END
$$;

-- Median milliseconds from due to commit.
CREATE PROCEDURE measure_latency(clock timestamptz, INOUT median numeric)
LANGUAGE plpgsql
AS $$
DECLARE
  times numeric[] := '{}';
  since timestamptz;
BEGIN
  PERFORM set_clock(clock);
  PERFORM jobq.schedule('probe', '* * * * * *', queue => 'q', overlap => 'allow');
  COMMIT;
  FOR run IN 1 .. 40 LOOP
    since := set_clock(clock + run * interval '1 s');
    COMMIT;
    CALL wait_for_jobs(run);
    times := times || (SELECT last FROM latency(since, 'probe'));
  END LOOP;
  median := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t)
    FROM unnest(times) AS t);
  PERFORM jobq.unschedule('probe');
END
$$;

\echo
\echo one schedule, after 60,000 runs of others: median milliseconds to its commit
SELECT set_clock('2030-01-02 00:00:30+00')
\g /dev/null
CALL run_for_an_hour('2030-01-02 00:00:30+00');
CALL measure_latency('2030-01-02 02:00:30+00', NULL) \gset
SELECT 'no transaction open: ' || :'median';
BEGIN;
SELECT pg_current_xact_id()
\g /dev/null
PREPARE TRANSACTION 'long';
CALL run_for_an_hour('2030-01-02 04:00:30+00');
CALL measure_latency('2030-01-02 06:00:30+00', NULL) \gset
SELECT 'a transaction open since before: ' || :'median';
ROLLBACK PREPARED 'long';
