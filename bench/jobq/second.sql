-- A second queue, which is created with :options, and :jobs jobs in it that
-- start :delay later, 1000 with each call

\set QUIET on

SELECT jobq.create_queue('second', :options)
\g /dev/null
SELECT count(id)
FROM generate_series(0, :jobs - 1, 1000) AS done,
  jobq.enqueue_many('second', array_fill(
    '{"to":"user@example.com","n":12345}'::jsonb,
    ARRAY[least(1000, :jobs - done)]), delay => :'delay') AS id
\g /dev/null
