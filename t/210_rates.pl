# t/210_rates.pl: in no window of rate_period do more than rate_limit jobs
# start, over crashes, and none waits longer than it must.  There are no
# sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(3, 'jobq.shared_commit_time = 100ms');

create_idle_work($node);

# Executors; T is 1 ms, 1 ms with the default burst, and 100 ms.
$node->sql(
	q{SELECT jobq.create_queue('ms', 'work(jobq.job)', rate_limit => 100,
		rate_period => '100 ms', rate_burst => 1);
	SELECT jobq.create_queue('burst', 'work(jobq.job)', rate_limit => 100,
		rate_period => '100 ms');
	SELECT jobq.create_queue('tenth', 'work(jobq.job)', rate_limit => 10, rate_burst => 1);
	SELECT count(*) FROM jobq.enqueue_many('ms', array_fill('1'::jsonb, ARRAY[500]));
	SELECT count(*) FROM jobq.enqueue_many('burst', array_fill('1'::jsonb, ARRAY[1000]));
	SELECT count(*) FROM jobq.enqueue_many('tenth', array_fill('1'::jsonb, ARRAY[25]))});
is_within($node, 'ms', 100, '100 ms', 500);
is_within($node, 'burst', 100, '100 ms', 1000);
is_within($node, 'tenth', 10, '1 s', 25);
is( $node->sql(
		q{SELECT count(DISTINCT h.xmin::text) < count(*) FROM jobq_store.history AS h
		JOIN jobq_store.queue AS q ON q.id = h.queue WHERE q.name = 'burst'}),
	't',
	'jobs of a burst share transactions');

# Looks that find nothing cost no start.
$node->sql(q{SELECT jobq.create_queue('hour', rate_limit => 1, rate_period => '1 h')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('hour')}), '0', 'nothing is there') for 1 .. 3;
$node->sql(q{SELECT jobq.enqueue('hour') FROM generate_series(1, 3)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('hour', 3)}), '1', 'one starts');
is($node->sql(q{SELECT count(*) FROM jobq.take('hour', 3)}), '0', 'no other one');

# wait() sleeps, until the rate is changed.
my $waiter = start_session($node, name => 'waiter');
is($node->sql(q{CALL jobq.wait('{hour}', '200 ms', NULL)}), 'f', 'wait() sleeps');
order($waiter, q{CALL jobq.wait('{hour}', '1 min', NULL)});
sleeps_in_wait($node, $waiter);
$node->sql(q{SELECT jobq.alter_queue('hour', rate_limit => 1000, rate_period => '1 s')});
is(within(10, 'at once', sub { answer($waiter) }), "t\n", 'a higher rate wakes it');

# The same for a limit that is taken away.
$node->sql(
	q{SELECT jobq.create_queue('reset', rate_limit => 1, rate_period => '1 h');
	SELECT jobq.enqueue('reset') FROM generate_series(1, 2);
	SELECT count(*) FROM jobq.dequeue('reset')});
order($waiter, q{CALL jobq.wait('{reset}', '1 min', NULL)});
sleeps_in_wait($node, $waiter);
$node->sql(q{SELECT jobq.reset_queue('reset', 'rate_limit')});
is(within(10, 'at once', sub { answer($waiter) }), "t\n", 'without a rate it is woken');
end_session($waiter);

# It returns when the gate opens, and not before.
$node->sql(
	q{SELECT jobq.create_queue('half', rate_limit => 2, rate_burst => 1);
	SELECT jobq.enqueue('half') FROM generate_series(1, 2);
	SELECT count(*) FROM jobq.dequeue('half')});
is($node->sql(q{CALL jobq.wait('{half}', '1 min', NULL)}), 't', 'wait() ends');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('half')}), '1', 'a job can be had then');
is(join('|', starts_in($node, 'half', '500 ms')), '1|2', 'half a second later');

# A start counts if its transaction is rolled back.
$node->sql(
	q{SELECT jobq.create_queue('undone', rate_limit => 1, rate_period => '1 h');
	SELECT jobq.enqueue('undone');
	BEGIN; SELECT jobq.take('undone'); ROLLBACK});
is($node->sql(q{SELECT count(*) FROM jobq.take('undone')}), '0', 'a rolled back start counts');

# Claims that find nothing cost no start, even at the same time.
$node->sql(
	q{SELECT jobq.create_queue('empty', rate_limit => 10, rate_period => '1 day',
		rate_burst => 5)});
my @pollers = map { start_session($node, name => "poller_$_") } 1 .. 2;
order($_,
	q{DO $$ BEGIN FOR i IN 1 .. 2000 LOOP PERFORM FROM jobq.dequeue('empty'); END LOOP; END$$})
  foreach @pollers;
is(answer($_), '', 'a session finds nothing') foreach @pollers;
end_session($_) foreach @pollers;
$node->sql(q{SELECT jobq.enqueue('empty') FROM generate_series(1, 6)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('empty', 6)}), '5', 'the burst is whole');
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.rate_start AS r
		JOIN jobq_store.queue AS q ON q.id = r.queue WHERE q.name = 'empty'}),
	'1',
	'a call keeps one row');

# A batch is one start, in executors and outside.
$node->sql(
	q{CREATE FUNCTION works(p jsonb[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END$$;
	SELECT jobq.create_queue('batches', rate_limit => 2, rate_period => '1 day',
		rate_burst => 2, batch_size => 3);
	SELECT count(*) FROM jobq.enqueue_many('batches', array_fill('1'::jsonb, ARRAY[10]))});
is($node->sql(q{SELECT count(*), count(DISTINCT attempt) FROM jobq.dequeue('batches', 5)}),
	'3|1', 'a batch is claimed');
is( $node->sql(
		q{SELECT count(DISTINCT started_at) FROM jobq.jobs WHERE started_at IS NOT NULL
		AND queue = 'batches'}),
	'1',
	'its jobs have one start');
$node->sql(q{SELECT jobq.alter_queue('batches', 'works(jsonb[])')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'batches' AND state = 'completed'},
	'another one is run',
	expected => '3');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('batches', 5)}), '0', 'no third one');

# Lateness costs no rate: 300 jobs after a burst of 50, at 151 per second.
$node->sql(
	q{SELECT jobq.create_queue('late', 'work(jobq.job)', rate_limit => 200, rate_burst => 50);
	SELECT count(*) FROM jobq.enqueue_many('late', array_fill('1'::jsonb, ARRAY[350]))});
is_within($node, 'late', 200, '1 s', 350);
cmp_ok(
	$node->sql(
		q{SELECT 300 / extract(epoch FROM max(started_at) - min(started_at)) FROM jobq.jobs
		WHERE queue = 'late'}),
	'>=',
	0.98 * 151,
	'late wake-ups cost no rate');

# Over a restart, slow rates are neither forgotten nor taken to be used up.
$node->sql(
	q{SELECT jobq.create_queue(q, rate_limit => 10, rate_period => '1 day', rate_burst => 5)
	FROM unnest('{day,unused,dropped}'::text[]) AS q;
	SELECT jobq.enqueue(q) FROM unnest('{day,unused,dropped}'::text[]) AS q,
		generate_series(1, 10)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('dropped', 3)}), '3', 'three start');
$node->sql(q{SELECT jobq.drop_queue('dropped', force => true)});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.rate_start
		WHERE queue NOT IN (SELECT id FROM jobq_store.queue)}),
	'0',
	'a dropped queue leaves no row');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day')}), '1', 'one starts') for 1 .. 2;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day')}), '1', 'a third one starts');
$node->stop('immediate');
$node->start;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day', 10)}), '2', 'two are left of the burst');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('unused', 10)}), '5', 'an unused burst is whole');
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day', 10)}), '0', 'none is left');

# T of 10 s, over a crash.
$node->sql(
	q{SELECT jobq.create_queue('slow', 'work(jobq.job)', rate_limit => 2,
		rate_period => '10 s', rate_burst => 2);
	SELECT jobq.enqueue('slow') FROM generate_series(1, 3)});
poll_ok($node, q{SELECT count(*) FROM jobq.jobs WHERE queue = 'slow' AND state = 'completed'},
	'two have run', expected => '2');
$node->stop('immediate');
$node->start;
is_within($node, 'slow', 2, '10 s', 3);

# The intervals of days pass.
$node->create_clock;
$node->advance_clock('150 minutes');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day', 10)}), '0', 'T is 4 hours');
$node->advance_clock('90 minutes');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day', 10)}), '1', 'one more has started then');
$node->advance_clock('1 day');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('day', 10)}),
	'5', 'the burst is back after a day');

$node->stop;
done_testing();
