# t/256_outdated_candidates.pl: candidates whose jobs were changed since they were read
# from the index. Looks at a serial group get past them, as claims do.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);

# Makes a queue whose group `g` has jobs 1 to n.
sub serial_queue
{
	my ($queue, $n, $options) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', max_running_per_group => 1, lease => '1 h',
			backoff => 'fixed', backoff_base => '1 h', jitter => 0 $options);
		SELECT jobq.enqueue('$queue', to_jsonb(n), group_key => 'g')
			FROM generate_series(1, $n) AS n});
	return;
}

# Whether a session that waits is told of a job, at once unless it may take some time.
sub waited
{
	my ($queue, $timeout) = @_;
	return $node->sql("CALL jobq.wait('{$queue}', '" . ($timeout // 0) . "')");
}

# The payload of the job that is claimed.
sub claimed
{
	my ($queue) = @_;
	return $node->sql("SELECT payload #>> '{}' FROM jobq.dequeue('$queue', 5)");
}

# Calls a function of (id, lease, ...) for the running job of the queue.
sub end_running
{
	my ($queue, $call) = @_;
	$node->sql(
		"SELECT jobq.$call FROM jobq_store.job WHERE state = 1 AND queue =
			(SELECT id FROM jobq_store.queue WHERE name = '$queue')");
	return;
}

# Calls a function of (id, ...) for the job with this payload, in its own transaction.
sub change
{
	my ($queue, $payload, $call) = @_;
	$node->sql("SELECT jobq.$call FROM jobq.jobs WHERE queue = '$queue' AND payload = '$payload'");
	return;
}

# After what the jobs of the group are read from the index.
my %reset = (
	'a restart' => sub { $node->restart },
	'COMMIT PREPARED' => sub {
		my ($queue) = @_;
		$node->sql(
			qq{BEGIN; SELECT jobq.enqueue('$queue', '4', group_key => 'g');
			PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'});
	},
	'set_group()' => sub {
		my ($queue) = @_;
		$node->sql("SELECT jobq.set_group('$queue', 'g', weight => 2)");
	});

foreach my $after (sort keys %reset)
{
	foreach my $change ('set_payload(id, payload)', 'set_priority(id, 0)')
	{
		my $name = "$after, $change";

		serial_queue('q', 3, '');
		$reset{$after}('q');
		is(waited('q', '60 s'), 't', "$name: there is a job");
		change('q', $_, $change) foreach 1, 2;
		is(waited('q'), 't', "$name: there is one when two were changed");
		foreach my $payload (1 .. 3)
		{
			is(claimed('q'), $payload, "$name: job $payload is next");
			end_running('q', 'complete(id, lease)');
		}
		$node->sql(q{SELECT jobq.drop_queue('q', force => true)});
	}
}

# A change by hand is not reported: the candidate stays until a look meets it.
serial_queue('by_hand', 2, '');
$node->restart;
is(waited('by_hand', '60 s'), 't', 'a change by hand: there is a job');
$node->sql(q{UPDATE jobq_store.job SET payload = '"changed"' WHERE payload = '1'});
is(waited('by_hand', '60 s'), 't', 'a change by hand: it is found a second later');
is(claimed('by_hand'), 'changed', 'a change by hand: it is the first one');

# A job that comes before one that is to be tried again, and is only in the index.
serial_queue('held', 1, ', lifo => true');
is(claimed('held'), '1', 'lifo: a job starts');
end_running('held', q{fail(id, lease, 'no')});
is(waited('held'), 'f', 'lifo: it is to be tried again');
$node->sql(q{SELECT jobq.enqueue('held', '2', group_key => 'g')});
change('held', 2, 'set_payload(id, payload)');
is(waited('held'), 't', 'lifo: a newer job is found');
is(claimed('held'), '2', 'lifo: it starts');
limits_settled($node, 'lifo');

$node->stop;
done_testing();
