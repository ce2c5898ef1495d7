# t/253_groups_and_other_limits.pl: groups in queues that have batches, lifo, rates,
# shared limits, max_running, max_queued; and with what else ends, moves or copies
# their jobs.  There are no sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = limits_node(4, 'max_prepared_transactions = 5', 'fsync = off');

sub complete_all
{
	my ($queue) = @_;
	$node->sql(
		qq{SELECT jobq.complete(j.id, j.lease) FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = '$queue'});
	return;
}

# --------------------------------------------------------------------- own jobs

$node->sql(
	q{SELECT jobq.create_queue('own');
	SELECT jobq.enqueue('own', '"g1"', group_key => 'g')});
is(claim_jobs($node, 'own', 1), 'g1', 'a job of a group runs');
is( $node->sql(
		q{BEGIN; SELECT FROM jobq.enqueue('own', '"mine"');
		SELECT payload FROM jobq.dequeue('own'); ROLLBACK}),
	'"mine"',
	'a transaction claims a job without a group that it has added');
my $locker = start_session($node);
my $locked = $node->sql(q{SELECT jobq.enqueue('own', '"g2"', group_key => 'g')});
ask($locker, "BEGIN; SELECT FROM jobq_store.job WHERE id = $locked FOR UPDATE");
unlike(
	$node->sql(
		q{SET statement_timeout = '60 s';
		BEGIN; SELECT FROM jobq.enqueue('own', '"g3"', group_key => 'g');
		SELECT payload FROM jobq.dequeue('own', 3); ROLLBACK}),
	qr/g2/,
	'a claim ends beside a locked job');
end_session($locker);
$node->sql(q{SELECT jobq.drop_queue('own', force => true)});

# ----------------------------------------------------------------- how many jobs

$node->sql(
	q{SELECT jobq.create_queue('few', max_queued => 3);
	SELECT jobq.enqueue('few', group_key => 'g'), jobq.enqueue('few', group_key => 'h'),
		jobq.enqueue('few')});
$node->stop('immediate');
$node->start;
like(sql_error($node, q{SELECT jobq.enqueue('few')}),
	qr/JQ002/, 'jobs of groups count for max_queued, also after a crash');
$node->sql(q{SELECT jobq.drop_queue('few', force => true)});

# ---------------------------------------------------------------------- batches

# A batch has jobs of one group, and one place in it.
$node->sql(
	q{SELECT jobq.create_queue('batched', batch_size => 3, max_running_per_group => 1,
		lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('batched', ARRAY['"a1"', '"a2"', '"a3"', '"a4"',
		'"b1"']::jsonb[], group_keys => '{a,a,a,a,b}')});
is(claim_jobs($node, 'batched', 10), 'a1 a2 a3', 'a batch has jobs of one group');
is(claim_jobs($node, 'batched', 10), 'b1', 'then it is the turn of another group');
is(claim_jobs($node, 'batched', 10), '', 'a batch takes the place of its group');
limits_settled($node, 'a batch runs');
my ($first, $lease) =
  split(/\|/, $node->sql(q{SELECT id, lease FROM jobq_store.job WHERE payload = '"a1"'}));
$node->sql("SELECT jobq.complete($first, $lease)");
is(claim_jobs($node, 'batched', 10), '', 'a part of it has ended');
complete_all('batched');
is(claim_jobs($node, 'batched', 10), 'a4', 'all of it has');
$node->stop('immediate');
$node->start;
$node->sql(q{SELECT jobq.enqueue('batched', '"b2"', group_key => 'b')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('batched', 10)},
	'after a crash: a batch of another group',
	expected => '1');
limits_settled($node, 'batches after a crash');
complete_all('batched');

# Each group waits for a full batch of its own.
$node->sql(
	q{SELECT jobq.create_queue('gathers', batch_size => 2, batch_wait => '1 h', lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('gathers', ARRAY['"a1"', '"b1"', '"1"']::jsonb[],
		group_keys => '{a,b,NULL}')});
is(claim_jobs($node, 'gathers', 10), '', 'no group has a full batch');
is($node->sql(q{CALL jobq.wait('{gathers}', '0')}), 'f', 'wait() does not return for them');
my $waits = start_session($node);
order($waits, q{CALL jobq.wait('{gathers}', '60 s')});
poll_ok(
	$node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'JobqWait'
	OR query LIKE 'CALL jobq.wait(%' AND state = 'idle'}, 'a session waits', expected => '1');
$node->sql(q{SELECT jobq.enqueue('gathers', '"b2"', group_key => 'b')});
like(answer($waits), qr/^t$/m, 'it is woken for a full batch');
is(claim_jobs($node, 'gathers', 10), 'b1 b2', 'a batch of that group');
$node->sql(q{SELECT jobq.enqueue('gathers', '"2"')});
is(claim_jobs($node, 'gathers', 10), '1 2', 'a full batch of jobs without a group');
$node->sql(q{SELECT jobq.alter_queue('gathers', batch_wait => '300 ms')});
order($waits, q{CALL jobq.wait('{gathers}', '60 s')});
like(answer($waits), qr/^t$/m, 'it is woken when jobs of a group have waited enough');
is(claim_jobs($node, 'gathers', 10), 'a1', 'they are handed out then');
complete_all('gathers');

# A delayed job makes a batch full when it is due, though nobody adds anything then.
$node->sql(
	q{SELECT jobq.alter_queue('gathers', batch_wait => '1 day');
	SELECT jobq.enqueue('gathers', '"a2"', group_key => 'a', delay => '1 s');
	SELECT jobq.enqueue('gathers', '"a1"', group_key => 'a')});
order($waits, q{CALL jobq.wait('{gathers}', '30 s')});
like(answer($waits), qr/^t$/m, 'it is woken when a delayed job makes a batch full');
is(claim_jobs($node, 'gathers', 10), 'a1 a2', 'a batch with a delayed job');
complete_all('gathers');

# ------------------------------------------------------------------------ order

$node->sql(
	q{SELECT jobq.create_queue('lifo', lifo => true, lease => '1 h');
	SELECT jobq.enqueue('lifo', '"a1"', group_key => 'a');
	SELECT jobq.enqueue('lifo', '"a2"', group_key => 'a');
	SELECT jobq.enqueue('lifo', '"b1"', group_key => 'b');
	SELECT jobq.enqueue('lifo', '"a3"', group_key => 'a');
	SELECT jobq.enqueue('lifo', '"b2"', group_key => 'b')});
is(join(' ', sort(split(/ /, claim_jobs($node, 'lifo', 2)))),
	'a3 b2', 'lifo: the newest of each group');
is(join(' ', sort(split(/ /, claim_jobs($node, 'lifo', 2)))), 'a2 b1', 'then the one before it');

# ----------------------------------------------------------------- other limits

# A limit of the queue, of its groups, and one that is shared.
$node->sql(
	q{SELECT jobq.create_limit('shared', max_running => 3);
	SELECT jobq.create_queue('limited', max_running => 4, max_running_per_group => 2,
		shared_limit => 'shared', lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('limited', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 12) AS n), group_keys => ARRAY(SELECT 'g' || n % 2
		FROM generate_series(1, 12) AS n))});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}), '3', 'the shared limit');
$node->sql(q{SELECT jobq.alter_limit('shared', max_running => 10)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}),
	'1', 'the limits of the queue and of its groups');
$node->sql(q{SELECT jobq.alter_queue('limited', max_running => 10)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}), '0', 'that of its groups');
limits_settled($node, 'three limits');
$node->sql(q{SELECT jobq.alter_queue('limited', max_running_per_group => 3)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}),
	'2', 'raised: one more of each group');
$node->sql(
	q{SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'limited' AND state = 'running'
	ORDER BY id LIMIT 2});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}),
	'2', 'jobs that are cancelled make room');
$node->sql(q{SELECT jobq.alter_queue('limited', max_running_per_group => 1)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 10)}), '0', 'lowered');
limits_settled($node, 'the limits are changed');
$node->sql(
	q{SELECT jobq.rename_queue('limited', 'renamed');
	SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('renamed', 10)}), '2', 'a queue that is renamed');
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('renamed', 10)},
	'after a crash nothing more starts',
	expected => '0');
limits_settled($node, 'after a crash');

# A rate counts starts of all groups.
$node->sql(
	q{SELECT jobq.create_queue('rate', rate_limit => 3, rate_period => '1 h', rate_burst => 3,
		lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('rate', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 9) AS n), group_keys => ARRAY(SELECT 'g' || n % 3
		FROM generate_series(1, 9) AS n))});
is($node->sql(q{SELECT count(DISTINCT group_key) FROM jobq.dequeue('rate', 10)}),
	'3', 'a rate: one start of each group');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('rate', 10)}), '0', 'a rate: no more than that');
$node->sql(q{SELECT jobq.reset_queue('rate', 'rate_limit', 'rate_period', 'rate_burst')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('rate', 10)}), '6', 'without it');

# A full queue: the oldest of a group that runs as many jobs as it may is dropped, too.
$node->sql(
	q{SELECT jobq.create_queue('full', max_queued => 3, on_full => 'drop_oldest',
		max_running_per_group => 1, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('full', ARRAY['1', '2', '3']::jsonb[],
		group_key => 'a')});
is(claim_jobs($node, 'full', 1), '1', 'one of a full queue is claimed');
$node->sql(q{SELECT jobq.enqueue('full', '4', group_key => 'a')});
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id)
		FROM jobq.jobs WHERE queue = 'full'}),
	'1 running, 2 cancelled, 3 ready, 4 ready',
	'the oldest one that waits for its group is dropped');
limits_settled($node, 'a job is dropped');
complete_all('full');
is(claim_jobs($node, 'full', 5), '3', 'the group goes on');
is($node->sql(q{SELECT jobq.drain('full')}), 't', 'drained');
complete_all('full');
is(claim_jobs($node, 'full', 5), '4', 'the rest is finished');

# ------------------------------------------------------- ends that are prepared

$node->sql(
	q{SELECT jobq.create_queue('doubt', max_running_per_group => 1, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('doubt', ARRAY['1', '2', '3']::jsonb[],
		group_key => 'a')});
is(claim_jobs($node, 'doubt', 5), '1', 'one of the group runs');
$node->sql(
	q{BEGIN; SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1
		AND queue = (SELECT id FROM jobq_store.queue WHERE name = 'doubt');
	PREPARE TRANSACTION 'end'});
is(claim_jobs($node, 'doubt', 5), '', 'its end is prepared: it counts');
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('doubt', 5)},
	'after a crash it still does',
	expected => '0');
$node->sql(q{COMMIT PREPARED 'end'});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('doubt', 5)},
	'the commit makes room',
	expected => '1');
is(claim_jobs($node, 'doubt', 5), '', 'for one');
limits_settled($node, 'a prepared end');

# --------------------------------------------------------------- dump, restore

my $dump = $PostgreSQL::Test::Utils::tmp_check . '/groups.dump';
$node->sql(
	q{SELECT jobq.create_queue('dumped', max_running_per_group => 1, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('dumped', ARRAY['1', '2', '3', '4']::jsonb[],
		group_keys => '{a,a,b,NULL}')});
command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->sql('CREATE DATABASE copy');
command_ok([ 'pg_restore', '-d', $node->connstr('copy'), $dump ], 'restore');
$node->safe_psql('copy', 'SELECT jobq.start()');
my $claimed = '';
poll_until(
	sub {
		# its coordinator counts first
		$claimed = $node->safe_psql(
			'copy',
			q{SELECT string_agg(payload::text, ' ' ORDER BY payload::text)
			FROM jobq.dequeue('dumped', 9)});
		return $claimed ne '';
	});
is($claimed, '1 3 4', 'the groups of a copy');

end_session($waits);
$node->stop;
done_testing();
