-- reset_key() and unique_when_dead.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;

SELECT jobq.create_queue('keyed');
SELECT jobq.enqueue('keyed', '1', unique_key => 'k') AS ready \gset
SELECT jobq.reset_key('keyed', 'other');
SELECT jobq.reset_key('keyed', 'k'), jobq.reset_key('keyed', 'k') AS again;
SELECT state, unique_key FROM jobq.jobs WHERE id = :ready;
SELECT jobq.enqueue('keyed', '2', unique_key => 'k') <> :ready AS new_job;
-- of a job that is claimed: its lease goes on
SELECT id AS running, lease FROM jobq.dequeue('keyed', 2) WHERE unique_key = 'k' \gset
SELECT jobq.reset_key('keyed', 'k');
SELECT jobq.heartbeat(:running, :lease);
SELECT jobq.enqueue('keyed', '3', unique_key => 'k') <> :running AS new_job;
SELECT jobq.complete(:running, :lease);
SELECT state, unique_key FROM jobq.jobs WHERE id = :running;
-- a completed job and one that is scheduled
SELECT id AS done FROM jobq.take('keyed') \gset
SELECT jobq.enqueue('keyed', '4', unique_key => 'k', unique_for => '1 hour') = :done AS held;
SELECT jobq.reset_key('keyed', 'k');
SELECT jobq.enqueue('keyed', '5', unique_key => 'k', unique_for => '1 hour', delay => '1 hour') AS scheduled \gset
SELECT :scheduled <> :done AS new_job, jobq.reset_key('keyed', 'k');
SELECT state, unique_key, run_at > now() AS ahead FROM jobq.jobs WHERE id = :scheduled;
-- undone with its transaction
SELECT jobq.enqueue('keyed', '6', unique_key => 'k') AS kept \gset
BEGIN;
SELECT jobq.reset_key('keyed', 'k');
ROLLBACK;
SELECT jobq.enqueue('keyed', '7', unique_key => 'k') = :kept AS held;
-- in a group, the job keeps its place
SELECT jobq.create_queue('keyed_groups', max_running_per_group => 1);
SELECT jobq.enqueue('keyed_groups', to_jsonb(i), unique_key => i::text, group_key => 'g')
FROM generate_series(1, 3) AS i \g /dev/null
SELECT jobq.reset_key('keyed_groups', '1');
SELECT payload FROM jobq.take('keyed_groups');
SELECT payload FROM jobq.take('keyed_groups');

-- a dead, cancelled or expired job frees its key, or not
SELECT jobq.create_queue('failing', max_attempts => 1);
SELECT jobq.enqueue('failing', unique_key => k) FROM unnest('{dead,cancelled,done}'::text[]) AS k \g /dev/null
SELECT unique_key, CASE unique_key WHEN 'dead' THEN jobq.fail(id, lease, 'failed') END AS fail,
  CASE unique_key WHEN 'done' THEN jobq.complete(id, lease) END AS complete,
  CASE unique_key WHEN 'cancelled' THEN jobq.cancel(id) END AS cancel
FROM jobq.dequeue('failing', 3);
SELECT unique_key, state FROM jobq.jobs WHERE queue = 'failing' ORDER BY id;
SELECT jobq.alter_queue('failing', unique_when_dead => true);
SELECT k, state, count(*) FROM unnest('{dead,cancelled,done}'::text[]) AS k,
  jobq.enqueue('failing', unique_key => k) AS job JOIN jobq.jobs ON id = job
GROUP BY k, state ORDER BY k;
\set VERBOSITY terse
SELECT jobq.enqueue('failing', unique_key => 'dead', on_conflict => 'error') \g /dev/null
\set VERBOSITY default
SELECT id AS dead FROM jobq.dead_letters WHERE queue = 'failing' \gset
SELECT jobq.enqueue('failing', unique_key => 'dead', unique_for => '1 hour') = :dead AS held;
SELECT jobq.retry(:dead) = :dead AS retried, jobq.enqueue('failing', unique_key => 'dead') = :dead AS held;
SELECT jobq.cancel(:dead), jobq.reset_key('failing', 'dead');
SELECT jobq.enqueue('failing', unique_key => 'dead') <> :dead AS new_job;
SELECT jobq.reset_queue('failing', 'unique_when_dead');
SELECT count(DISTINCT job) FROM jobq.jobs AS j,
  jobq.enqueue('failing', unique_key => 'cancelled') AS job WHERE j.queue = 'failing' AND j.id <> job;
SELECT unique_when_dead FROM jobq.queues WHERE queue = 'failing';

-- errors
\set VERBOSITY terse
SELECT jobq.reset_key('nowhere', 'k');
SELECT jobq.reset_key(NULL, 'k');
SELECT jobq.reset_key('keyed', NULL);
SELECT jobq.reset_key('keyed', repeat('k', 1001));
