-- What is in front of the jobs that can be had: :future jobs of the same
-- queue, more urgent but scheduled ahead, and :paused ones of a paused queue.

\set QUIET on

CREATE FUNCTION enqueue_jobs(queue text, jobs integer, delay interval) RETURNS bigint
LANGUAGE sql
AS $$
  SELECT count(id)
  FROM generate_series(0, jobs - 1, 1000) AS done,
    jobq.enqueue_many(queue, array_fill(
      '{"to":"user@example.com","n":12345}'::jsonb,
      ARRAY[least(1000, jobs - done)]), delay => delay, priority => -10) AS id
$$;

SELECT jobq.create_queue('paused', keep_completed => '0'), jobq.pause('paused')
\g /dev/null
SELECT enqueue_jobs('paused', :paused, '0')
\g /dev/null
SELECT enqueue_jobs('q', :future, '10 days')
\g /dev/null
