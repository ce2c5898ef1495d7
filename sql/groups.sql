-- Groups: jobs with the same group_key take turns with others.
CREATE EXTENSION IF NOT EXISTS jobq;
SELECT jobq.create_queue('groups', lease => '1 day');

-- one of each group in turn, and of those without one; within a group by priority
SELECT count(jobq.enqueue('groups', to_jsonb(i), group_key => 'a')) FROM generate_series(1, 3) AS i;
SELECT jobq.enqueue('groups', '4', group_key => 'a', priority => -1) > 0 AS added;
SELECT count(*) FROM jobq.enqueue_many('groups', '{5,6}', group_key => 'b');
SELECT count(*) FROM jobq.enqueue_many('groups', '{7,8,9}', group_keys => '{c,NULL,c}');
SELECT payload, group_key FROM jobq.dequeue('groups', 4);
SELECT payload, group_key FROM jobq.dequeue('groups', 10);
SELECT group_key, state, count(*) FROM jobq.jobs WHERE queue = 'groups' GROUP BY 1, 2 ORDER BY 1;
SELECT * FROM jobq_store.flow_check();

-- a job keeps its group in history and when it is retried
SELECT id, lease FROM jobq_store.job WHERE group_key = 'b' ORDER BY id LIMIT 1 \gset
SELECT jobq.fail(:id, :lease, 'no', retryable => false);
SELECT group_key, state FROM jobq.jobs WHERE id = :id;
SELECT group_key FROM jobq.dead_letters WHERE id = :id;
SELECT jobq.retry(:id) = :id AS retried;
SELECT payload, group_key FROM jobq.dequeue('groups', 10);

-- jobs ahead
SELECT jobq.enqueue('groups', '"later"', group_key => 'd', delay => '1 day') AS later \gset
SELECT payload FROM jobq.dequeue('groups');
SELECT jobq.promote(:later);
SELECT payload FROM jobq.dequeue('groups');

-- a transaction finds its own jobs
BEGIN;
SELECT count(*) FROM jobq.enqueue_many('groups', '{11,12}', group_keys => '{d,e}');
SELECT payload, group_key FROM jobq.take('groups', 10);
ROLLBACK;
SELECT payload, group_key FROM jobq.take('groups', 10);

-- at most two of each group
SELECT jobq.drop_queue('groups', force => true);
SELECT jobq.create_queue('groups', lease => '1 day', max_running_per_group => 2);
SELECT count(*) FROM jobq.enqueue_many('groups', '{1,2,3,4,5,6,7,8}', group_keys => '{a,a,a,a,b,NULL,NULL,NULL}');
SELECT payload, group_key FROM jobq.dequeue('groups', 10);
SELECT payload, group_key FROM jobq.dequeue('groups', 10);
SELECT count(jobq.complete(id, lease)) FROM (SELECT id, lease FROM jobq_store.job WHERE group_key = 'a' AND state = 1 ORDER BY id LIMIT 1) AS j;
SELECT payload, group_key FROM jobq.dequeue('groups', 10);
SELECT jobq.alter_queue('groups', max_running_per_group => 3);
SELECT payload, group_key FROM jobq.dequeue('groups', 10);
SELECT max_running_per_group FROM jobq.queues WHERE queue = 'groups';
SELECT jobq.reset_queue('groups', 'max_running_per_group');
SELECT * FROM jobq_store.flow_check();
-- take() holds no more either
SELECT count(jobq.enqueue('groups', to_jsonb(i), group_key => 'f')) FROM generate_series(1, 3) AS i;
SELECT jobq.alter_queue('groups', max_running_per_group => 1);
BEGIN;
SELECT payload FROM jobq.take('groups', 10);
SELECT payload FROM jobq.take('groups', 10);
COMMIT;
SELECT payload FROM jobq.take('groups', 10);
SELECT * FROM jobq_store.flow_check();

-- errors
SELECT jobq.enqueue('groups', group_key => '');
SELECT jobq.enqueue('groups', group_key => repeat('g', 128));
SELECT jobq.enqueue('groups', group_key => repeat('g', 127)) > 0 AS added;
SELECT jobq.enqueue_many('groups', '{1,2}', group_keys => '{a}');
SELECT jobq.enqueue_many('groups', '{1}', group_keys => '{""}');
SELECT jobq.enqueue_many('groups', '{1}', group_key => 'a', group_keys => '{a}');
SELECT jobq.alter_queue('groups', max_running_per_group => 0);

SELECT jobq.drop_queue('groups');
SELECT jobq.drop_queue('groups', force => true);
SELECT count(*) FROM jobq_store.job WHERE group_key IS NOT NULL;
