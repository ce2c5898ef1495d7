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
