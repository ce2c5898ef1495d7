# t/212_throttle.pl: throttle() keeps jobs from starting, at once and whatever
# becomes of the transaction. There are no sweeps: nothing but the protocol
# wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(2);

# ------------------------------------------------------------------ handlers

$node->sql(
	q{CREATE FUNCTION call(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF p ->> 'status' = '429' THEN
			PERFORM jobq.throttle('calls', (p ->> 'delay')::interval);
			RAISE 'too many requests';
		END IF; END$$;
	SELECT jobq.create_queue('calls', 'call(jsonb)', max_attempts => 1);
	SELECT jobq.enqueue('calls', '{"status": 429, "delay": "1 hour"}')});
poll_ok($node, q{SELECT count(*) FROM jobq.dead_letters}, 'the handler has failed',
	expected => '1');
$node->sql(q{SELECT jobq.enqueue('calls') FROM generate_series(1, 3)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('calls')}), '0', 'dequeue() gives nothing');
is($node->sql(q{SELECT count(*) FROM jobq.take('calls')}), '0', 'take() gives nothing');
is($node->sql(q{CALL jobq.wait('{calls}', '200 ms', NULL)}), 'f', 'wait() sleeps');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'calls' AND state = 'ready'}),
	'3', 'the other jobs wait');
$node->sql(q{BEGIN; SELECT jobq.throttle('calls', '0'); ROLLBACK});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE state = 'completed'},
	'a delay of 0 ends it, and wakes the workers',
	expected => '3');

# it ends by itself
$node->sql(q{SELECT jobq.enqueue('calls', '{"status": 429, "delay": "1 s"}')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dead_letters},
	'the handler has failed again',
	expected => '2');
$node->sql(q{SELECT jobq.enqueue('calls')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE state = 'completed'},
	'its end wakes the workers',
	expected => '4');
is( $node->sql(
		q{SELECT max(started_at) >= min(started_at) + interval '1 s' FROM
		(SELECT started_at FROM jobq.jobs WHERE queue = 'calls' ORDER BY id DESC LIMIT 2) AS j}),
	't',
	'no job has started before');

# --------------------------------------------------------- external workers

$node->sql(
	q{SELECT jobq.create_queue('ext'), jobq.create_queue('both', max_running => 1,
		rate_limit => 1000);
	SELECT jobq.enqueue('ext'), jobq.enqueue('both') FROM generate_series(1, 2);
	SELECT jobq.throttle('ext', '1 hour'), jobq.throttle('both', '1 hour')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{ext,both}', 4)}), '0', 'nothing starts');
my $waiter = start_session($node, name => 'waiter');
foreach my $queue (qw(ext both))
{
	order($waiter, "CALL jobq.wait('{$queue}', '1 min', NULL)");
	sleeps_in_wait($node, $waiter);
	$node->sql("SELECT jobq.enqueue('$queue')");
	$node->sql("SELECT jobq.throttle('$queue', '10 ms')");
	is(within(20, "$queue: soon", sub { answer($waiter) }),
		"t\n", "$queue: a shorter delay takes the place of a longer one");
	is($node->sql("SELECT count(*) FROM jobq.dequeue('$queue')"), '1', "$queue: a job starts");
}
end_session($waiter);

# -------------------------------------------------------------------- groups

# A handler of a serial group throttles it and fails; others go on.
$node->sql(
	q{CREATE FUNCTION call_group(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF j.payload ? 'delay' THEN
			PERFORM jobq.throttle('tenants', (j.payload ->> 'delay')::interval, j.group_key);
			RAISE 'too many requests';
		END IF; END$$;
	SELECT jobq.create_queue('tenants', 'call_group(jobq.job)', max_attempts => 1,
		max_running_per_group => 1);
	SELECT count(*) FROM jobq.enqueue_many('tenants', '{"{\"delay\": \"1 hour\"}",1,2,3}',
		group_keys => '{acme,acme,acme,emca}')});
my $of_tenants = q{SELECT string_agg(group_key || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'tenants'};
poll_ok(
	$node, $of_tenants,
	'a group is throttled, others are not',
	expected => 'acme dead, acme ready, acme ready, emca completed');
is( $node->sql(
		q{SELECT why, next_at > now() + interval '59 min' FROM jobq.groups
		WHERE queue = 'tenants' AND group_key = 'acme'}),
	'throttled|t',
	'the view shows it');
wait_for_rest($node, 'ext');
$node->sql(q{SELECT jobq.enqueue('tenants', group_key => 'emca')});
poll_ok(
	$node, $of_tenants,
	'a new job of another group runs',
	expected => 'acme dead, acme ready, acme ready, emca completed, emca completed');
$node->sql(q{BEGIN; SELECT jobq.throttle('tenants', '500 ms', 'acme'); ROLLBACK});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'tenants' AND state = 'completed'},
	'a shorter delay ends, and wakes the workers',
	expected => '4');
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('tenants', '{"{\"delay\": \"1 s\"}",1,2}',
		group_key => 'acme')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'tenants' AND state = 'completed'},
	'one that a handler has set ends, and wakes the workers',
	expected => '6');

# From outside; also in a transaction that adds a job, and by next().
$node->sql(q{SELECT jobq.create_queue('grouped'); SELECT jobq.throttle('grouped', '1 hour', 'a')});
is( $node->sql(
		q{BEGIN; SELECT count(jobq.enqueue('grouped', group_key => 'a'));
		SELECT count(*) FROM jobq.dequeue('grouped'); COMMIT}),
	"1\n0",
	'own jobs of the group do not start');
is($node->sql(q{CALL jobq.wait('{grouped}', '0', NULL)}), 'f', 'wait() does not return for it');
$node->sql(q{SELECT jobq.enqueue('grouped', group_key => 'b')});
is($node->sql(q{SELECT group_key FROM jobq.dequeue('grouped', 5)}), 'b', 'another group starts');
$node->sql(q{BEGIN; SELECT jobq.throttle('grouped', '0', 'a'); ROLLBACK});
is($node->sql(q{SELECT group_key FROM jobq.dequeue('grouped', 5)}), 'a', '0 ends it');
$node->sql(
	q{SELECT jobq.alter_queue('grouped', max_running_per_group => 1);
	SELECT jobq.enqueue('grouped', group_key => 'a');
	SELECT jobq.throttle('grouped', '1 hour', 'a')});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.job AS j, jobq.next('grouped', ARRAY[j.id], j.lease)
		WHERE j.state = 1 AND j.group_key = 'a'}),
	'0',
	'next() starts none of it');
like(
	sql_error($node, q{SELECT jobq.throttle('grouped', '1 s', '')}),
	qr/22023: .*group_key must not be empty/,
	'an empty key is refused');
$node->restart;
poll_ok(
	$node,
	q{SELECT group_key FROM jobq.dequeue('grouped', 5)},
	'a restart forgets it, once the running jobs are counted',
	expected => 'a');

# --------------------------------------------------------------------- ends

$node->sql(q{SELECT jobq.throttle('ext', '1 hour')});
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext')}), '1', 'a restart forgets it');

$node->sql(
	q{SELECT jobq.throttle('ext', '1 hour'); SELECT jobq.drop_queue('ext', force => true);
	SELECT jobq.create_queue('ext'); SELECT jobq.enqueue('ext')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext')}), '1', 'so does dropping the queue');

$node->stop;
done_testing();
