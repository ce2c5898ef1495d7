-- How long it takes until a job of a group starts, which is enqueued while the queue
-- "q" has no other jobs, or very many of another group: :jobs times. Prints the
-- median and the 99th percentile, in milliseconds.

\set QUIET on

CREATE TEMP TABLE IF NOT EXISTS start (ms float8);
TRUNCATE start;

CREATE OR REPLACE PROCEDURE start_one_by_one(jobs integer)
LANGUAGE plpgsql
AS $$
DECLARE
  wanted bigint;
  claimed record;
  ids bigint[];
  leases bigint[];
  since timestamptz;
BEGIN
  FOR i IN 1 .. jobs LOOP
    wanted := jobq.enqueue('q', '{"to":"user@example.com","n":12345}', group_key => 'small');
    COMMIT;
    since := clock_timestamp();
    ids := '{}';
    leases := '{}';
    LOOP
      SELECT id, lease INTO STRICT claimed FROM jobq.dequeue('q');
      COMMIT;
      ids := ids || claimed.id;
      leases := leases || claimed.lease;
      EXIT WHEN claimed.id = wanted;
      IF cardinality(ids) > 10 THEN
        RAISE 'the group does not get its turn';
      END IF;
    END LOOP;
    INSERT INTO start VALUES (1000 * extract(epoch FROM clock_timestamp() - since));
    PERFORM jobq.complete(id, lease) FROM unnest(ids, leases) AS done (id, lease);
    COMMIT;
  END LOOP;
END
$$;

CALL start_one_by_one(:jobs);
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms),
  percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM start;
