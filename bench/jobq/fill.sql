-- :n jobs in one transaction, 1000 with each call
SELECT sum(jobs) FROM generate_series(0, :n - 1, 1000) AS done, LATERAL (SELECT count(*) AS jobs FROM jobq.enqueue_many('q', array_fill('{"to":"user@example.com","n":12345}'::jsonb, ARRAY[least(1000, :n - done)]))) AS many;
