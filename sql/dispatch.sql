-- What claims find, where what shared memory knows of the queue is not all.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
RESET client_min_messages;
-- jobs of other priorities than the transaction's own, in a queue of which
-- nothing is known
SELECT jobq.create_queue('forgotten');
SELECT jobq.enqueue('forgotten', '"urgent"', priority => -5) > 0 AS enqueued;
SELECT jobq.start();
BEGIN;
SELECT jobq.enqueue('forgotten', '"mine"', delay => '1 hour') > 0 AS enqueued;
SELECT payload FROM jobq.dequeue('forgotten');
ROLLBACK;
SELECT payload FROM jobq.dequeue('forgotten');

-- the same in a queue with too many priorities
SELECT jobq.create_queue('crowded');
SELECT count(jobq.enqueue('crowded', to_jsonb(p), priority => p))
FROM generate_series(1, 100) AS p;
BEGIN;
SELECT jobq.enqueue('crowded', '"mine"', delay => '1 hour') > 0 AS enqueued;
SELECT count(*), min(priority), max(priority) FROM jobq.dequeue('crowded', 200);
COMMIT;
SELECT count(*) FROM jobq.dequeue('crowded', 200);

-- a job that the transaction has locked, after a rolled back change
SELECT jobq.create_queue('mine');
SELECT jobq.enqueue('mine', '"as it was"') AS id \gset
BEGIN;
SELECT jobq.promote(:id);
SAVEPOINT s;
SELECT jobq.set_payload(:id, '"changed"');
ROLLBACK TO s;
SELECT payload FROM jobq.dequeue('mine');
ROLLBACK;
BEGIN;
SELECT jobq.promote(:id);
SAVEPOINT s;
SELECT jobq.set_payload(:id, '"changed"');
ROLLBACK TO s;
SELECT payload FROM jobq.take('mine');
COMMIT;
SELECT payload FROM jobq.dequeue('mine');

-- jobs that are gone, with the pages they were on
SELECT jobq.create_queue('shrunk');
SELECT count(*) FROM jobq.dequeue('shrunk');
SELECT count(*) FROM jobq.enqueue_many('shrunk', array_fill('{}'::jsonb, '{600}'));
SELECT count(*) FROM jobq.dequeue('shrunk');
SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'shrunk' AND state = 'ready';
VACUUM (TRUNCATE) jobq_store.job;
SELECT count(*) FROM jobq.dequeue('shrunk');
SELECT jobq.enqueue('shrunk', '"new"') > 0 AS enqueued;
SELECT payload FROM jobq.dequeue('shrunk');

SELECT jobq.drop_queue(q, force => true)
FROM unnest('{forgotten,crowded,mine,shrunk}'::text[]) AS q;
