# t/261_looks_at_groups.pl: the coordinator looks at all groups of a queue that may
# start a job, and at each when its next job is due.  Nobody else looks: there are
# no executors, and the listener only claims what it is told of.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.notify_interval = 0',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 2',
		'fsync = off'
	]);
$node->create_clock;
my $listener = $node->background_psql('postgres');

sub create_queue
{
	my ($queue, $options) = @_;
	$node->sql("SELECT jobq.create_queue('$queue', lease => '1 hour' $options)");
	$listener->query_safe("SELECT jobq.listen('$queue')");
	return;
}

# Waits until a queue is notified.
sub is_notified
{
	my ($queue, $name) = @_;
	ok( poll_until(
			sub { return $listener->query_safe('SELECT 1') =~ /notification "jobq.$queue"/; }),
		$name);
	return;
}

# Takes whatever is ready; returns the number of jobs.
sub take
{
	my ($queue) = @_;
	return $node->sql("SELECT count(*) FROM jobq.take('$queue', 1000)");
}

# What health says of an area of memory.
sub short_of
{
	my ($area) = @_;
	return $node->sql(
		"SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object = '$area'");
}

# After a prepared transaction nothing is known of groups.
sub commit_prepared
{
	my ($sql) = @_;
	$node->sql("BEGIN; $sql; PREPARE TRANSACTION 'p'");
	$node->sql("COMMIT PREPARED 'p'");
	return;
}

# More groups than are looked at in one part, all of whose jobs are ahead.
create_queue('many', '');
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('many', array_fill('1'::jsonb, '{3000}'),
		group_keys => ARRAY(SELECT 'g' || i FROM generate_series(1, 3000) AS i),
		delay => '1 day')});
commit_prepared(q{SELECT jobq.enqueue('many', group_key => 'z')});
is_notified('many', 'a job of the last of 3,000 groups');
is(take('many'), '1', 'that one is ready');
$node->sql(q{SELECT jobq.drop_queue('many', force => true)});

# One group has a ready job, which ends the look; the job of the other is ahead.
create_queue('ahead', '');
commit_prepared(
	q{SELECT jobq.enqueue('ahead', group_key => 'a');
	SELECT jobq.enqueue('ahead', group_key => 'z', delay => '10 min')});
is_notified('ahead', 'the job of one group');
is(take('ahead'), '1', 'it is taken');
$node->advance_clock('10 min');
is_notified('ahead', 'the job of another group when it is due');

# A group is full when the coordinator looks, and its next job is ahead.
create_queue('full', ', max_running_per_group => 1');
$node->sql(
	q{SELECT jobq.enqueue('full', group_key => 'g');
	SELECT count(*) FROM jobq.dequeue('full');
	SELECT jobq.enqueue('full', group_key => 'g', delay => '20 min');
	SELECT jobq.enqueue('full', group_key => 'h', delay => '10 min')});
is_notified('full', 'the job that is running');
$node->advance_clock('10 min');
is_notified('full', 'a job of another group');
is(take('full'), '1', 'it is taken from there');
$node->sql(
	q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE lease_until IS NOT NULL});
$node->advance_clock('10 min');
is_notified('full', 'the next job of the group that was full');

# A group has no lanes, since it has too many priorities.
create_queue('crowded', '');
$node->sql(
	q{SELECT count(jobq.enqueue('crowded', group_key => 'g', priority => i, delay => '20 min'))
	FROM generate_series(1, 70) AS i;
	SELECT jobq.enqueue('crowded', delay => '10 min')});
$node->advance_clock('10 min');
is_notified('crowded', 'a job without a group');
is(take('crowded'), '1', 'it is taken alone');
$node->advance_clock('10 min');
is_notified('crowded', 'jobs of a group with 70 priorities when they are due');
is(take('crowded'), '70', 'all of them are ready');

# Other queues have all the room for groups, and make some.
$listener->quit;
$node->append_conf('postgresql.conf', 'jobq.shared_memory = 1MB');
$node->restart;
$listener = $node->background_psql('postgres');
$node->sql(
	q{SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues;
	SELECT jobq.create_queue('greedy', lease => '1 hour');
	SELECT count(*) FROM jobq.enqueue_many('greedy', array_fill('1'::jsonb, '{400}'),
		group_keys => ARRAY(SELECT 'g' || i FROM generate_series(1, 400) AS i))});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('greedy', 400)}),
	'400', 'jobs of 400 groups are running');
take_group_room($node, 'other');
create_queue('poor', ', max_running_per_group => 1');
$node->sql(q{SELECT jobq.enqueue('poor', group_key => 'p')});
is_notified('poor', 'a job whose group has no room');
is(take('poor'), '0', 'it does not start');
like(short_of('groups'), qr/no room for all groups of \d+ queues/,
	'health says that there is none');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE state = 1});
is_notified('poor', 'the same job when there is room');
is(take('poor'), '1', 'it starts');

# Groups have no lanes, since there is not enough room for them.
$node->sql(
	q{SELECT jobq.create_queue('wide');
	SELECT count(jobq.enqueue('wide', group_key => 'g' || i, priority => j))
	FROM generate_series(1, 30) AS i, generate_series(1, 50) AS j});
like(
	short_of('priorities'),
	qr/no room for the priorities of 1 queues/,
	'health says that groups have no lanes');

$listener->quit;
$node->stop;
done_testing();
