-- Managing single jobs.
CREATE EXTENSION IF NOT EXISTS jobq;
SELECT jobq.create_queue('manage');

-- promote, reschedule
SELECT jobq.enqueue('manage', delay => '1 day') AS id \gset
SELECT state FROM jobq.jobs WHERE id = :id;
SELECT jobq.promote(:id);
SELECT state FROM jobq.jobs WHERE id = :id;
SELECT jobq.promote(:id);
SELECT jobq.reschedule(:id, now() + interval '2 days');
SELECT state, run_at > now() + interval '1 day' AS later FROM jobq.jobs WHERE id = :id;
SELECT jobq.reschedule(:id, '2000-01-01');
SELECT state, run_at > now() - interval '1 min' AS now FROM jobq.jobs WHERE id = :id;
SELECT jobq.reschedule(:id, 'infinity');
-- priority, payload
SELECT jobq.set_priority(:id, -3), jobq.set_payload(:id, '{"new": 1}');
SELECT priority, payload FROM jobq.jobs WHERE id = :id;
SELECT jobq.set_priority(:id, 99999);
-- not while it is running
SELECT lease FROM jobq.dequeue('manage') \gset
SELECT jobq.promote(:id), jobq.reschedule(:id, now()), jobq.set_priority(:id, 1),
       jobq.set_payload(:id, '1'), jobq.delete(:id), jobq.retry(:id);
SELECT jobq.complete(:id, :lease);
-- nor when it is finished; but then it may run again
SELECT jobq.promote(:id), jobq.reschedule(:id, now()), jobq.set_priority(:id, 1),
       jobq.set_payload(:id, '1'), jobq.cancel(:id);
SELECT jobq.retry(:id) = :id AS again;
SELECT state, attempt, payload, priority FROM jobq.jobs WHERE id = :id;
SELECT jobq.retry(:id);
SELECT attempt FROM jobq.take('manage');
SELECT jobq.retry(:id, '{"other": 1}') = :id AS again;
SELECT payload FROM jobq.jobs WHERE id = :id;
SELECT count(*) FROM jobq_store.history WHERE id = :id;
-- a key that is taken meanwhile
SELECT jobq.enqueue('manage', '"a"', unique_key => 'k') AS keyed \gset
SELECT jobq.cancel(:keyed);
SELECT jobq.enqueue('manage', '"b"', unique_key => 'k') <> :keyed;
\set VERBOSITY terse
SELECT jobq.retry(:keyed);
\set VERBOSITY default
SELECT state FROM jobq.jobs WHERE id = :keyed;
-- in bulk, where some of the keys are taken
SELECT jobq.cancel(jobq.enqueue('manage', '"c"', unique_key => 'k2')),
       jobq.cancel(jobq.enqueue('manage', '"d"', unique_key => 'k2')),
       jobq.cancel(jobq.enqueue('manage', '"e"', unique_key => 'k3'));
SET client_min_messages = warning;
SELECT count(*), count(jobq.retry(id)) FROM jobq.jobs WHERE unique_key LIKE 'k_' AND state = 'cancelled';
RESET client_min_messages;
SELECT unique_key, state, count(*) FROM jobq.jobs WHERE unique_key LIKE 'k_' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE unique_key LIKE 'k_';
-- cancel
SELECT jobq.cancel(:id, 'changed my mind');
SELECT state, error FROM jobq.jobs WHERE id = :id;
SELECT jobq.cancel(:id);
BEGIN;
SELECT jobq.enqueue('manage', '"x"') AS id \gset
SELECT jobq.cancel(:id);
SELECT state FROM jobq.jobs WHERE id = :id;
ROLLBACK;
-- in the same command
SELECT jobq.cancel(jobq.enqueue('manage', '"y"'));
SELECT jobq.delete(jobq.enqueue('manage', '"z"'));
SELECT payload, state FROM jobq.jobs WHERE payload IN ('"y"', '"z"');
-- in bulk
SELECT count(*) FROM jobq.enqueue_many('manage', '{1,2,3,4}', tags => '{beta}');
SELECT count(*) FILTER (WHERE jobq.cancel(id, 'beta is over'))
FROM jobq.jobs WHERE queue = 'manage' AND tags @> '{beta}' AND payload <> '4';
SELECT payload, state FROM jobq.jobs WHERE tags @> '{beta}' ORDER BY id;
-- delete
SELECT jobq.delete(id) FROM jobq.jobs WHERE tags @> '{beta}';
SELECT count(*) FROM jobq.jobs WHERE tags @> '{beta}';
-- when a job was enqueued stays, whatever becomes of run_at
SELECT jobq.create_queue('manage_when');
SELECT jobq.enqueue('manage_when') AS id \gset
SELECT enqueued_at FROM jobq.jobs WHERE id = :id \gset
\set look 'SELECT state, enqueued_at = :''enqueued_at'' AS same, run_at > enqueued_at AS later FROM jobq.jobs WHERE id = :id;'
:look
SELECT jobq.reschedule(:id, now() + interval '1 hour');
:look
SELECT jobq.promote(:id);
:look
SELECT lease FROM jobq.dequeue('manage_when') \gset
:look
SELECT jobq.release(:id, :lease, '1 hour');
:look
SELECT jobq.promote(:id);
SELECT lease FROM jobq.dequeue('manage_when') \gset
SELECT jobq.fail(:id, :lease, 'no', retry_in => '1 hour');
:look
SELECT jobq.cancel(:id);
:look
SELECT jobq.retry(:id) = :id AS again;
:look
SELECT jobq.drop_queue('manage_when', force => true);
-- what does not exist
SELECT jobq.cancel(-1), jobq.retry(-1), jobq.promote(-1), jobq.delete(-1),
       jobq.set_priority(-1, 1), jobq.set_payload(-1, '1'), jobq.reschedule(-1, now());
SELECT jobq.cancel(NULL);
SELECT jobq.retry(NULL);
SELECT jobq.promote(NULL);
-- a job that is deleted takes its attempts along
SELECT jobq.create_queue('manage_gone', max_attempts => 1);
SELECT jobq.enqueue('manage_gone') AS gone \gset
SELECT jobq.fail(id, lease, 'with personal data') FROM jobq.dequeue('manage_gone');
SELECT error FROM jobq.attempts WHERE job_id = :gone;
SELECT jobq.delete(:gone);
SELECT count(*) FROM jobq_store.attempt WHERE job_id = :gone;
SELECT jobq.drop_queue('manage_gone');

-- outside of a worker
SELECT jobq.current_job() IS NULL AS none;
SELECT jobq.retry_in('5 s', 'later');
SELECT jobq.discard('never');
SELECT jobq.snooze('5 s', 'not now');
SELECT jobq.snooze('-1 s');

SELECT jobq.drop_queue('manage', force => true);
