-- The UPDATE, the job's result and the end of the job were one commit.
SELECT id, item, shipped_at IS NOT NULL AS shipped FROM orders;
SELECT id, queue, state, attempt, worker, finished_at - enqueued_at AS after
FROM jobq.jobs;

-- Nobody started a worker. They come when there is work, and go when idle.
SELECT kind, role, state FROM jobq.workers ORDER BY kind;
