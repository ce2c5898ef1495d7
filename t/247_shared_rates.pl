# t/247_shared_rates.pl: in no window of a shared limit's rate_period do more than
# rate_limit jobs of all its queues start, over crashes, and none waits longer than
# it must. There are no sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4);

create_idle_work($node);
$node->sql(
	q{CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN COMMIT; END$$;
	CREATE ROLE alice LOGIN; SELECT jobq.grant_usage('alice', may_create => true)});

# Executors of two roles, of functions and procedures; T is 1 ms, 1 ms with the
# default burst, and 100 ms. One queue has a slower rate of its own, and one limit
# lets two run at most.
$node->sql(
	q{SET ROLE alice;
	SELECT jobq.create_limit('ms', rate_limit => 100, rate_period => '100 ms', rate_burst => 1),
		jobq.create_limit('burst', max_running => 2, rate_limit => 100, rate_period => '100 ms'),
		jobq.create_limit('tenth', rate_limit => 10, rate_burst => 1);
	SELECT jobq.create_queue('ms_a', 'work(jobq.job)', shared_limit => 'ms', rate_limit => 30,
			rate_period => '100 ms'),
		jobq.create_queue('burst_a', 'work(jobq.job)', shared_limit => 'burst'),
		jobq.create_queue('tenth_a', 'work(jobq.job)', shared_limit => 'tenth');
	RESET ROLE;
	SELECT jobq.create_queue('ms_b', 'work_alone(jobq.job)', shared_limit => 'ms'),
		jobq.create_queue('burst_b', 'work_alone(jobq.job)', shared_limit => 'burst'),
		jobq.create_queue('tenth_b', 'work(jobq.job)', shared_limit => 'tenth');
	SELECT count(*) FROM unnest('{a,b}'::text[]) AS q,
		jobq.enqueue_many('ms_' || q, array_fill('1'::jsonb, ARRAY[200]));
	SELECT count(*) FROM unnest('{a,b}'::text[]) AS q,
		jobq.enqueue_many('burst_' || q, array_fill('1'::jsonb, ARRAY[300]));
	SELECT count(*) FROM unnest('{a,b}'::text[]) AS q,
		jobq.enqueue_many('tenth_' || q, array_fill('1'::jsonb, ARRAY[12]))});
is_within($node, 'ms_.', 100, '100 ms', 400);
is_within($node, 'ms_a', 30, '100 ms', 200);
is_within($node, 'burst_.', 100, '100 ms', 600);
is_within($node, 'tenth_.', 10, '1 s', 24);
limits_settled($node, 'executors');

# Looks that find nothing cost no start.
$node->sql(
	q{SELECT jobq.create_limit('hour', rate_limit => 1, rate_period => '1 h');
	SELECT jobq.create_queue('hour_1', shared_limit => 'hour'),
		jobq.create_queue('hour_2', shared_limit => 'hour')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('hour_1')}), '0', 'nothing is there') for 1 .. 3;
$node->sql(
	q{SELECT jobq.enqueue('hour_' || n) FROM generate_series(1, 2) AS n, generate_series(1, 3)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('hour_1', 3)}), '1', 'one starts');
is($node->sql(q{SELECT count(*) FROM jobq.take('hour_2', 3)}), '0', 'none of the other queue');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{hour_1,hour_2}', 3)}), '0', 'no other one');

# wait() sleeps, until the rate is changed, taken away, or the queue leaves.
my $first = start_session($node, name => 'first');
my $second = start_session($node, name => 'second');
my %change = (
	'a higher rate' => q{SELECT jobq.alter_limit('hour', rate_limit => 1000, rate_period => '1 s')},
	'no rate' => q{SELECT jobq.reset_limit('hour', 'rate_limit')});
foreach my $change (sort keys %change)
{
	$node->sql(
		q{SELECT jobq.alter_limit('hour', rate_limit => 1, rate_period => '1 h');
		SELECT count(*) FROM jobq.dequeue('hour_1')});
	order($first, q{CALL jobq.wait('{hour_1}', '1 min', NULL)});
	order($second, q{CALL jobq.wait('{hour_2}', '1 min', NULL)});
	sleeps_in_wait($node, $_) foreach $first, $second;
	$node->sql($change{$change});
	is(within(10, "$change: at once", sub { answer($_) }), "t\n", "$change wakes $_->{name}")
	  foreach $first, $second;
	$node->sql(q{SELECT jobq.enqueue('hour_1')});
}
$node->sql(
	q{SELECT jobq.alter_limit('hour', rate_limit => 1, rate_period => '1 h');
	SELECT count(*) FROM jobq.dequeue('hour_1')});
order($second, q{CALL jobq.wait('{hour_2}', '1 min', NULL)});
sleeps_in_wait($node, $second);
$node->sql(q{SELECT jobq.reset_queue('hour_2', 'shared_limit')});
is(within(10, 'left: at once', sub { answer($second) }), "t\n", 'a queue that leaves is woken');

# It returns when the gate opens, and not before; whichever queue used it up.
$node->sql(
	q{SELECT jobq.create_limit('half', rate_limit => 2, rate_burst => 1);
	SELECT jobq.create_queue('half_1', shared_limit => 'half'),
		jobq.create_queue('half_2', shared_limit => 'half');
	SELECT jobq.enqueue('half_1'), jobq.enqueue('half_2');
	SELECT count(*) FROM jobq.dequeue('half_1')});
is($node->sql(q{CALL jobq.wait('{half_2}', '1 min', NULL)}), 't', 'wait() ends');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('half_2')}), '1', 'a job can be had then');
is(join('|', starts_in($node, 'half_.', '500 ms')), '1|2', 'half a second later');

# A job that is enqueued while the gate is shut wakes a waiter when it opens.
order($first, q{CALL jobq.wait('{half_1}', '1 min', NULL)});
$node->sql(q{SELECT jobq.enqueue('half_1')});
is(within(10, 'enqueued', sub { answer($first) }), "t\n", 'a job behind a shut gate is told of');

# A start counts if its transaction is rolled back.
$node->sql(
	q{SELECT jobq.create_limit('undone', rate_limit => 1, rate_period => '1 h');
	SELECT jobq.create_queue('undone', shared_limit => 'undone'); SELECT jobq.enqueue('undone');
	BEGIN; SELECT jobq.take('undone'); ROLLBACK});
is($node->sql(q{SELECT count(*) FROM jobq.take('undone')}), '0', 'a rolled back start counts');
limits_settled($node, 'rolled back');

# T of 10 s, over a crash; with two queues.
$node->sql(
	q{SELECT jobq.create_limit('slow', rate_limit => 2, rate_period => '10 s', rate_burst => 2);
	SELECT jobq.create_queue('slow_' || n, 'work(jobq.job)', shared_limit => 'slow')
		FROM generate_series(1, 2) AS n;
	SELECT jobq.enqueue('slow_1'), jobq.enqueue('slow_2'), jobq.enqueue('slow_2')});
poll_ok($node, q{SELECT count(*) FROM jobq.jobs WHERE queue ~ '^slow' AND state = 'completed'},
	'two have run', expected => '2');
$node->stop('immediate');
$node->start;
is_within($node, 'slow_.', 2, '10 s', 3);
is($node->sql(q{SELECT count(*) > 0 FROM jobq_store.rate_start WHERE queue < 0}),
	't', 'what has started is kept');
$node->sql(
	q{SELECT jobq.drop_queue('slow_1', force => true), jobq.drop_queue('slow_2', force => true);
	SELECT jobq.drop_limit('slow')});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.rate_start AS r JOIN jobq_store.limit_def AS l
	ON l.id = -r.queue}),
	$node->sql(q{SELECT count(*) FROM jobq_store.rate_start WHERE queue < 0}),
	'nothing is kept of a dropped limit');

end_session($_) foreach $first, $second;
limits_settled($node, 'at the end');
$node->stop;
done_testing();
