-- How late the handler of a batch starts, :batches times: a batch of one job, when
-- batch_wait is over, and a full one, when the last of its jobs is committed.  Prints
-- the median and the 99th percentile of each, in milliseconds.  The first batches of
-- each, which start the worker, do not count.  The producer does not wait for the disk.

\set QUIET on
SET synchronous_commit = off;

CREATE TABLE batch_start (at timestamptz);

CREATE FUNCTION gather(payloads jsonb[]) RETURNS void
LANGUAGE sql
AS 'INSERT INTO batch_start SELECT clock_timestamp()';

SELECT jobq.create_queue('lone', 'gather(jsonb[])', batch_size => 10, batch_wait => '50 ms',
    keep_completed => '0'),
  jobq.create_queue('full', 'gather(jsonb[])', batch_size => 10, batch_wait => '1 h',
    keep_completed => '0')
\g /dev/null

-- Returns when the batch was due: a job's batch_wait begins with its enqueuing.
CREATE PROCEDURE run_batch(queue text, jobs integer, wait interval, INOUT late float8 = NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  since timestamptz := clock_timestamp();
  deadline timestamptz := since + '1 min';
  started timestamptz;
BEGIN
  PERFORM jobq.enqueue(queue, '{"to":"user@example.com","n":12345}')
  FROM generate_series(1, jobs);
  IF wait = '0' THEN
    since := clock_timestamp();
  END IF;
  COMMIT;
  LOOP
    DELETE FROM batch_start RETURNING at INTO started;
    COMMIT;
    EXIT WHEN started IS NOT NULL;
    IF clock_timestamp() > deadline THEN
      RAISE 'the batch does not start';
    END IF;
    PERFORM pg_sleep(0.002);
  END LOOP;
  late := 1000 * extract(epoch FROM started - since - wait);
END
$$;

CREATE PROCEDURE run_batches(queue text, jobs integer, wait interval, batches integer,
  INOUT median float8 = NULL, INOUT p99 float8 = NULL)
LANGUAGE plpgsql
AS $$
DECLARE
  late float8;
  all_late float8[] := '{}';
BEGIN
  FOR i IN 1 .. batches + 3 LOOP
    CALL run_batch(queue, jobs, wait, late);
    IF i > 3 THEN
      all_late := all_late || late;
    END IF;
  END LOOP;
  SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms),
    percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) INTO median, p99
  FROM unnest(all_late) AS ms;
END
$$;

CALL run_batches('lone', 1, '50 ms', :batches);
CALL run_batches('full', 10, '0', :batches);
