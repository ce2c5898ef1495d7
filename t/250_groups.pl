# t/250_groups.pl: groups take turns, none runs more jobs at the same time than it
# may, and none stands still while it may start one.  There are no sweeps: nothing
# but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node =
  limits_node(4, 'track_commit_timestamp = on', 'max_prepared_transactions = 5', 'fsync = off');

create_work($node, 'queue, grp', 'j.queue, j.group_key');

# Waits until the queue has no job, and judges what has been.
sub is_drained
{
	my ($queue, $limit, $name) = @_;
	all_jobs_run($node, $name, "queue = '$queue'");
	is( $node->sql("SELECT max(n) <= $limit FROM most WHERE queue = '$queue' AND grp IS NOT NULL"),
		't', "$name: not more than $limit of a group at the same time");
	limits_settled($node, $name);
	return;
}

# Jobs run by four executors; some fail and are tried again.
foreach my $limit (1, 2)
{
	foreach my $handler ('work', 'work_alone')
	{
		my $queue = "${handler}_$limit";
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', '$handler(jobq.job)',
				max_running_per_group => $limit,
				backoff => 'fixed', backoff_base => '10 ms', jitter => 0);
			SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(
				SELECT jsonb_strip_nulls(jsonb_build_object(
					'ms', CASE WHEN n % 20 = 0 THEN 20 END,
					'fail', CASE WHEN n % 17 = 0 THEN 1 END))
				FROM generate_series(1, 150) AS n), group_keys => ARRAY(
				SELECT CASE WHEN n % 10 > 0 THEN 'group ' || n % 7 END
				FROM generate_series(1, 150) AS n))});
		is_drained($queue, $limit, $queue);
	}
}

# Jobs that come one by one while their group is full; another group is not held up.
my $holder = start_session($node);
foreach my $handler ('work', 'work_alone')
{
	my $queue = "full_$handler";
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', '$handler(jobq.job)', max_running_per_group => 1)});
	ask($holder, 'SELECT pg_advisory_lock(1)');
	$node->sql(qq{SELECT jobq.enqueue('$queue', '{"wait_for": 1}', group_key => 'full')});
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
		"$queue: one runs",
		expected => '1');
	$node->sql(qq{SELECT jobq.enqueue('$queue', group_key => 'full')}) for 1 .. 5;
	my $other = $node->sql(qq{SELECT jobq.enqueue('$queue', group_key => 'other')});
	poll_ok(
		$node,
		"SELECT state FROM jobq.jobs WHERE id = $other",
		"$queue: a job of another group runs",
		expected => 'completed');
	is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = '$queue' AND state = 'ready'"),
		'5', "$queue: no other one of the group starts");
	ask($holder, 'SELECT pg_advisory_unlock(1)');
	is_drained($queue, 1, $queue);
}

# A job that is ahead starts when it is due, also if its group is full then.
$node->sql(q{SELECT jobq.create_queue('ahead', 'work(jobq.job)', max_running_per_group => 1)});
ask($holder, 'SELECT pg_advisory_lock(1)');
$node->sql(
	q{SELECT jobq.enqueue('ahead', '{"wait_for": 1}', group_key => 'a');
	SELECT jobq.enqueue('ahead', group_key => 'a', delay => '0.3 s');
	SELECT jobq.enqueue('ahead', group_key => 'b', delay => '0.3 s')});
poll_ok(
	$node,
	q{SELECT count(*) FROM begun WHERE queue = 'ahead' AND grp = 'b'},
	'a job ahead starts when it is due',
	expected => '1');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'ahead' AND state = 'ready'}),
	'1', 'that of the full group does not');
ask($holder, 'SELECT pg_advisory_unlock(1)');
is_drained('ahead', 1, 'ahead');

# One group has very many jobs: the only one of another is next.
$node->sql(
	q{SELECT jobq.create_queue('turns', lease => '1 day');
	SELECT count(*) FROM jobq.enqueue_many('turns', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 2000) AS n), group_key => 'very many');
	SELECT count(*) FROM jobq.dequeue('turns', 100);
	SELECT jobq.enqueue('turns', '"one"', group_key => 'one')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('turns', 2) WHERE group_key = 'one'}),
	'1', 'a group with one job does not wait for one with 2,000');

# Leases are counted again after a crash, for their groups, too.
$node->sql(
	q{SELECT jobq.create_queue('leased', lease => '1 hour', max_running_per_group => 2);
	SELECT count(*) FROM jobq.enqueue_many('leased', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 40) AS n), group_keys => ARRAY(SELECT 'g' || n % 4
		FROM generate_series(1, 40) AS n));
	SET jobq.async_claims = off;
	SELECT count(*) FROM jobq.dequeue('leased', 7)});
end_session($holder);
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('leased')},
	'after a crash: there is room for one more',
	expected => '1');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('leased', 10)}),
	'0', 'after a crash: and for no other');
is( $node->sql(
		q{SELECT min(n) || ' ' || max(n) FROM (SELECT count(*) AS n FROM jobq.jobs
		WHERE queue = 'leased' AND state = 'running' GROUP BY group_key) AS g}),
	'2 2',
	'after a crash: each group runs two');
limits_settled($node, 'after a crash');

# Claims in a transaction that is prepared are refused; jobs of a group that a
# prepared transaction adds are found when it is committed.
$holder = start_session($node);
$node->sql(
	q{SELECT jobq.create_queue('prepared', lease => '1 hour', max_running_per_group => 1);
	SELECT jobq.enqueue('prepared', '1', group_key => 'p')});
like(
	sql_error($node, q{BEGIN; SELECT count(*) FROM jobq.take('prepared'); PREPARE TRANSACTION 'p'}),
	qr/cannot PREPARE a transaction that has claimed a job of a queue with max_running_per_group/,
	'a claim of a limited group cannot be prepared');
$node->sql(
	q{BEGIN; SELECT jobq.enqueue('prepared', '2', group_key => 'q'); PREPARE TRANSACTION 'q'});
is($node->sql(q{SELECT group_key FROM jobq.dequeue('prepared', 5)}), 'p', 'it is ready again');
$node->sql(q{COMMIT PREPARED 'q'});
is($node->sql(q{SELECT group_key FROM jobq.dequeue('prepared', 5)}),
	'q', 'a group that a prepared transaction has added is found');

# jobq.wait() does not return for a group that is full, and does when it is not.
$node->sql(q{SELECT jobq.enqueue('prepared', '3', group_key => 'q')});
is($node->sql(q{CALL jobq.wait('{prepared}', '0')}), 'f',
	'wait() does not return for a full group');
order($holder, q{CALL jobq.wait('{prepared}', '60 s')});
poll_ok(
	$node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'JobqWait'
	OR query LIKE 'CALL jobq.wait(%' AND state = 'idle'}, 'a session waits', expected => '1');
$node->sql(
	q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE group_key = 'q' AND state = 1});
like(answer($holder), qr/^t$/m, 'it returns when the group has room');
end_session($holder);

# A dropped queue takes its groups along.
$node->sql(
	q{SELECT jobq.drop_queue(q, force => true) FROM unnest('{prepared,leased,turns}'::text[]) AS q}
);
limits_settled($node, 'queues are dropped');
is($node->sql(q{SELECT count(*) FROM jobq_store.job WHERE group_key IS NOT NULL}),
	'0', 'no job of a group is left');

$node->stop;
done_testing();
