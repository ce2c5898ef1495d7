-- The queue "q" has a maximum of one running job for each group, and a group
-- with :jobs jobs, of which one is running

\set QUIET on

SELECT jobq.alter_queue('q', max_running_per_group => 1)
\g /dev/null
SELECT count(id)
FROM generate_series(0, :jobs - 1, 1000) AS done, least(1000, :jobs - done) AS n,
  jobq.enqueue_many('q', array_fill(
    '{"to":"user@example.com","n":12345}'::jsonb, ARRAY[n]),
    group_keys => array_fill('large'::text, ARRAY[n])) AS id
\g /dev/null
SELECT FROM jobq.dequeue('q', 1, '10 days')
\g /dev/null
