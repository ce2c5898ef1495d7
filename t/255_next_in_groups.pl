# t/255_next_in_groups.pl: a transaction that ends a job of a group and claims another
# one needs no second place in the group, and nobody else gets it before the commit.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);

# The last claim of a session is in its settings.
my $claim = q{SELECT coalesce(string_agg(payload #>> '{}', ' '), ''),
	set_config('my.done', coalesce(array_agg(id)::text, '{}'), false) IS NULL,
	set_config('my.lease', coalesce(max(lease), 0)::text, false) IS NULL FROM };

sub next_of
{
	my ($session, $queue, $n) = @_;
	return (
		split(
			/\|/,
			ask($session,
				"$claim jobq.next('$queue', current_setting('my.done')::bigint[],
			current_setting('my.lease')::bigint, $n)")))[0];
}

sub first_of
{
	my ($session, $queue, $n) = @_;
	return (split(/\|/, ask($session, "$claim jobq.dequeue('$queue', $n)")))[0];
}

my $worker = start_session($node);
my $other = start_session($node);

$node->sql(
	q{SELECT jobq.create_queue('serial', max_running_per_group => 1, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('serial', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 9) AS n), group_key => 'g')});
is(first_of($worker, 'serial', 1), '1', 'the first job');
is(next_of($worker, 'serial', 1), '2', 'next() claims the next one of the group');
is(next_of($worker, 'serial', 5), '3', 'one, however many are wanted');
is(first_of($other, 'serial', 1), '', 'nobody else gets one');
limits_settled($node, 'next()');

# A rollback gives the place back to the job that has not ended.
ask($worker, 'BEGIN');
is(next_of($worker, 'serial', 1), '4', 'in a transaction');
ask($worker, 'ROLLBACK');
limits_settled($node, 'a rollback');
is(first_of($other, 'serial', 1), '', 'after the rollback, the first one has the place');
is( $node->sql(
		q{SELECT string_agg(payload::text, ' ') FROM jobq.jobs
		WHERE queue = 'serial' AND state = 'running'}),
	'3',
	'it runs');
ask($worker, 'BEGIN; SAVEPOINT s');
my $mine = q{SELECT j.id, j.lease FROM jobq_store.job AS j WHERE j.state = 1};
ask($worker, "SELECT jobq.complete(id, lease) FROM ($mine) AS j");
is(first_of($worker, 'serial', 1), '4', 'complete() and dequeue() do the same');
ask($worker, 'ROLLBACK TO s');
is(first_of($worker, 'serial', 1), '', 'nothing has ended any more');
ask($worker, "SELECT jobq.complete(id, lease) FROM ($mine) AS j");
is(first_of($worker, 'serial', 1), '4', 'again');
ask($worker, 'COMMIT');
limits_settled($node, 'a savepoint');
is(first_of($other, 'serial', 1), '', 'the new one has the place');

# The new job ends in the same transaction, and lends the place on.
ask($worker, 'BEGIN');
is(next_of($worker, 'serial', 1), '5', 'the next one');
is(next_of($worker, 'serial', 1), '6', 'one more in the same transaction');
is(first_of($other, 'serial', 1), '', 'nobody else gets one before the commit');
ask($worker, 'COMMIT');
limits_settled($node, 'lent on');

# Another group is served first.
$node->sql(q{SELECT jobq.enqueue('serial', '"other"', group_key => 'other')});
is(next_of($worker, 'serial', 1), 'other', 'another group comes first');
is(first_of($other, 'serial', 1), '7', 'the place in the first one is free');
ask($other, "SELECT jobq.complete(id, lease) FROM ($mine) AS j");
limits_settled($node, 'another group');

# Also where the queue has a limit of its own.
$node->sql(q{SELECT jobq.alter_queue('serial', max_running => 1)});
is(first_of($worker, 'serial', 1), '8', 'max_running: the first');
is(next_of($worker, 'serial', 1), '9', 'max_running: next() has the place in both');
ask($worker, 'BEGIN');
is(next_of($worker, 'serial', 1), '', 'no other one is there');
ask($worker, 'ROLLBACK');
limits_settled($node, 'max_running');

# A limit that was lowered.
$node->sql(
	q{SELECT jobq.create_queue('lowered', max_running_per_group => 2, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('lowered', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 4) AS n), group_key => 'g')});
is(first_of($other, 'lowered', 1), '1', 'two jobs');
is(first_of($worker, 'lowered', 1), '2', 'run');
$node->sql(q{SELECT jobq.alter_queue('lowered', max_running_per_group => 1)});
is(next_of($worker, 'lowered', 1), '', 'a lowered limit: none starts');
is(next_of($other, 'lowered', 1), '3', 'then one does');
limits_settled($node, 'a lowered limit');

# Batches: the place is lent when all jobs of a batch end.
$node->sql(
	q{SELECT jobq.create_queue('batched', max_running_per_group => 1, batch_size => 2,
		lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('batched', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 6) AS n), group_key => 'g')});
is(first_of($worker, 'batched', 2), '1 2', 'a batch');
is(next_of($worker, 'batched', 2), '3 4', 'the next batch');
limits_settled($node, 'a batch');
ask($worker, 'BEGIN');
like(
	ask($worker,
		q{SELECT count(*) FROM jobq.next('batched', (current_setting('my.done')::bigint[])[1:1],
		current_setting('my.lease')::bigint, 2)}),
	qr/^0$/m,
	'not when a part of it ends');
ask($worker, 'ROLLBACK');
limits_settled($node, 'a part of a batch');
is(next_of($worker, 'batched', 2), '5 6', 'the last batch');

# After a crash nothing is lost.
end_session($worker);
end_session($other);
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('batched')},
	'after a crash: nothing starts',
	expected => '0');
limits_settled($node, 'a crash');

$node->stop;
done_testing();
