-- The view groups.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS jobq;
SELECT jobq.create_queue('grouped', lease => '1 day', max_running_per_group => 1);

-- a group is in memory while it has jobs that run, or may start
SELECT count(*) FROM jobq.dequeue('grouped');
SELECT * FROM jobq.groups WHERE queue = 'grouped';
SELECT count(*) FROM jobq.enqueue_many('grouped', '{1,2,3,4}', group_keys => '{a,a,b,NULL}');
SELECT jobq.enqueue('grouped', group_key => 'later', run_at => 'tomorrow') > 0 AS added;
SELECT group_key, running, max_running, next_at = date 'tomorrow' AS tomorrow, why
FROM jobq.groups WHERE queue = 'grouped' ORDER BY group_key;
SELECT payload, group_key FROM jobq.dequeue('grouped', 3);
SELECT group_key, running, why FROM jobq.groups WHERE queue = 'grouped' ORDER BY group_key;
SELECT queue, group_key FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'a';

-- a limit that was changed
SELECT jobq.alter_queue('grouped', max_running_per_group => 2);
SELECT max_running, why FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'a';
SELECT jobq.alter_queue('grouped', max_running_per_group => 1);

-- what is in the way of the whole queue
SELECT count(jobq.enqueue('grouped', group_key => 'c'));
SELECT group_key, why FROM jobq.groups WHERE queue = 'grouped' ORDER BY group_key;
SELECT jobq.pause('grouped');
SELECT group_key, why FROM jobq.groups WHERE queue = 'grouped' ORDER BY group_key;
SELECT jobq.resume('grouped');
SELECT jobq.alter_queue('grouped', max_running => 1);
SELECT why FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'c';
SELECT jobq.reset_queue('grouped', 'max_running');
SELECT jobq.throttle('grouped', '1 hour');
SELECT why, next_at BETWEEN now() AND now() + interval '1 hour' AS within_the_hour
FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'c';
SELECT jobq.throttle('grouped', '0');
SELECT jobq.alter_queue('grouped', rate_limit => 1, rate_period => '1 hour', rate_burst => 1);
-- while somebody else reads the groups, a claim may find none
DO $$BEGIN
  WHILE NOT EXISTS (SELECT FROM jobq.dequeue('grouped')) LOOP
    PERFORM pg_sleep(0.01);
  END LOOP;
END$$;
SELECT count(jobq.enqueue('grouped', group_key => 'd'));
SELECT why FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'd';
SELECT jobq.reset_queue('grouped', 'rate_limit', 'rate_period', 'rate_burst');
SELECT jobq.create_limit('none', max_running => 0);
SELECT jobq.alter_queue('grouped', shared_limit => 'none');
SELECT why FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'd';
SELECT jobq.reset_queue('grouped', 'shared_limit');
SELECT jobq.drop_limit('none');
SELECT why FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'd';

-- more groups than are read at a time
SELECT jobq.drop_queue('grouped', force => true);
SELECT jobq.create_queue('grouped');
SELECT count(*) FROM jobq.dequeue('grouped');
SELECT count(*) FROM jobq.enqueue_many('grouped', '{1,2}', group_keys => '{x,y}');
SELECT count(jobq.enqueue('grouped', group_key => 'g' || i)) FROM generate_series(1, 300) AS i;
SELECT count(*), count(DISTINCT group_key) FROM jobq.groups WHERE queue = 'grouped';

SELECT jobq.drop_queue('grouped', force => true);
SELECT * FROM jobq.groups WHERE queue = 'grouped';

-- Claims that many jobs.  A look of another process holds a ticket for a moment, and
-- while it reads the groups, a claim may find none.
CREATE FUNCTION pg_temp.claim(n int) RETURNS TABLE (payload jsonb, group_key text) LANGUAGE plpgsql AS $$
DECLARE job jobq.job; BEGIN
  WHILE n > 0 LOOP
    FOR job IN SELECT * FROM jobq.dequeue('grouped', n) LOOP
      n := n - 1;
      payload := job.payload;
      group_key := job.group_key;
      RETURN NEXT;
    END LOOP;
    IF n > 0 THEN PERFORM pg_sleep(0.01); END IF;
  END LOOP;
END$$;

-- a paused group starts no job; others do
SELECT jobq.create_queue('grouped', lease => '1 day', max_running_per_group => 1);
SELECT jobq.pause('grouped', 'a'), jobq.pause('grouped', 'a') AS again;
SELECT count(*) FROM jobq.enqueue_many('grouped', '{1,2,3,4}', group_keys => '{a,a,b,NULL}');
SELECT * FROM pg_temp.claim(2) ORDER BY 1;
SELECT count(*) FROM jobq.dequeue('grouped', 10);
-- of b no other job is known, or it has not been looked for yet
SELECT group_key, running, max_running, weight, paused, nullif(why, 'max_running') AS why
FROM jobq.groups WHERE queue = 'grouped' ORDER BY group_key;
-- nor in the transaction that has added them
BEGIN;
SELECT count(jobq.enqueue('grouped', group_key => 'a'));
SELECT count(*) FROM jobq.take('grouped', 10);
ROLLBACK;
-- what is not committed says nothing
BEGIN;
SELECT jobq.resume('grouped', 'a');
SELECT count(*) FROM jobq.dequeue('grouped', 10);
ROLLBACK;
SELECT count(*) FROM jobq.dequeue('grouped', 10);
SELECT jobq.resume('grouped', 'a'), jobq.resume('grouped', 'a') AS again;
SELECT * FROM pg_temp.claim(1);
SELECT count(*) FROM jobq.dequeue('grouped', 10);

-- a limit of its own
SELECT jobq.set_group('grouped', 'a', max_running => 3);
SELECT count(jobq.enqueue('grouped', to_jsonb(i), group_key => 'a')) FROM generate_series(5, 9) AS i;
SELECT * FROM pg_temp.claim(2);
SELECT count(*) FROM jobq.dequeue('grouped', 10);
SELECT group_key, running, max_running, why FROM jobq.groups
WHERE queue = 'grouped' AND group_key = 'a';
SELECT jobq.reset_group('grouped', 'a'), jobq.reset_group('grouped', 'a') AS again;
SELECT count(*) FROM jobq.dequeue('grouped', 10);
SELECT count(*) FROM jobq_store.group_option;

-- a full queue drops jobs of a paused group, too
SELECT jobq.pause('grouped', 'b');
SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'grouped' AND state = 'ready';
SELECT jobq.enqueue('grouped', '"old"', group_key => 'b') IS NOT NULL AS added;
SELECT jobq.alter_queue('grouped', on_full => 'drop_oldest', max_queued => (
  SELECT count(*)::int FROM jobq.jobs WHERE queue = 'grouped' AND state IN ('ready', 'running')));
SELECT jobq.enqueue('grouped', '"new"', group_key => 'b') IS NOT NULL AS added;
SELECT payload, state, error FROM jobq.jobs WHERE queue = 'grouped' AND payload IN ('"old"', '"new"')
ORDER BY id;
SELECT jobq.reset_queue('grouped', 'max_queued', 'on_full');
SELECT jobq.resume('grouped', 'b');

-- weights
SELECT jobq.reset_queue('grouped', 'max_running_per_group');
SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'grouped' AND state = 'ready';
SELECT jobq.set_group('grouped', 'heavy', weight => 3);
SELECT count(*) FROM (
  SELECT jobq.enqueue('grouped', to_jsonb(i), group_key => g)
  FROM unnest('{heavy,light}'::text[]) AS g, generate_series(1, 6) AS i) AS added;
SELECT string_agg(group_key, ' ') FROM pg_temp.claim(12);
SELECT group_key, weight, why FROM jobq.groups WHERE queue = 'grouped' AND group_key ~ 'y$';
SELECT * FROM jobq_store.flow_check();

-- rates: the queue's for each group, and one of its own
SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'grouped' AND finished_at IS NULL;
SELECT jobq.alter_queue('grouped', group_rate_limit => 2, group_rate_period => '1 hour', group_rate_burst => 2);
SELECT jobq.set_group('grouped', 'own', rate_limit => 3, rate_period => '2 hours', rate_burst => 3);
SELECT count(*) FROM (
  SELECT jobq.enqueue('grouped', to_jsonb(i), group_key => g)
  FROM unnest('{own,rated}'::text[]) AS g, generate_series(1, 4) AS i) AS added;
SELECT string_agg(group_key, ' ' ORDER BY group_key) FROM pg_temp.claim(5);
SELECT count(*) FROM jobq.dequeue('grouped', 10);
SELECT group_key, running, rate_limit, rate_period, rate_burst, next_at > now() AS later, why
FROM jobq.groups WHERE queue = 'grouped' AND group_key IN ('own', 'rated') ORDER BY 1;
SELECT jobq.reset_group('grouped', 'own');
SELECT rate_limit, rate_period FROM jobq.groups WHERE queue = 'grouped' AND group_key = 'own';
SELECT group_rate_limit, group_rate_period, group_rate_burst FROM jobq.queues WHERE queue = 'grouped';
SELECT jobq.alter_queue('grouped', group_rate_limit => 1);
SELECT jobq.reset_queue('grouped', 'group_rate_limit', 'group_rate_period', 'group_rate_burst');
SELECT string_agg(group_key, ' ' ORDER BY group_key) FROM pg_temp.claim(3);
SELECT * FROM jobq_store.flow_check();

-- errors
SELECT jobq.pause('grouped', '');
SELECT jobq.resume('none', 'a');
SELECT jobq.set_group('grouped', 'a', max_running => 0);
SELECT jobq.set_group('grouped', 'a', weight => 1001);
SELECT jobq.set_group('grouped', 'a', rate_limit => 0);
SELECT jobq.set_group('grouped', 'a', rate_limit => 5, rate_period => '0');
SELECT jobq.set_group('grouped', 'a', rate_limit => 5, rate_burst => 6);
SELECT jobq.set_group('grouped', 'a', rate_burst => 2);
SELECT jobq.set_group('grouped', 'a', rate_period => '1 min');
SELECT jobq.set_group('grouped', NULL, weight => 1);
SELECT jobq.set_group('grouped', repeat('g', 128), weight => 1);
SELECT jobq.set_group('grouped', 'a');
SELECT count(*) FROM jobq_store.group_option;

SELECT jobq.drop_queue('grouped', force => true);
SELECT count(*) FROM jobq_store.group_option;
