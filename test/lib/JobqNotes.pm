# JobqNotes.pm
#
# What the tests of attempts that are not counted yet share: batches whose workers are
# terminated, and claims that must not get their jobs. Executions count in a sequence
# "begun", whatever becomes of their transactions, and go on when the table "go_on" has a row.

package JobqNotes;

use strict;
use warnings;

use Exporter 'import';
use JobqTest;
use Test::More;

our @EXPORT = qw(run_batches terminate_workers none_is_claimed coordinator_comes_round);

# run_batches($node, $each, @queues): each queue has a batch of that many jobs with a single
# attempt, and all of them run.
sub run_batches
{
	my ($node, $each, @queues) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->sql(
		q{CREATE SEQUENCE begun;
		CREATE TABLE go_on (yes bool);
		CREATE FUNCTION once(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$BEGIN
			PERFORM nextval('begun') FROM unnest(j);
			WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); END LOOP; END$$});
	foreach my $queue (@queues)
	{
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', 'once(jobq.job[])', batch_size => $each,
				max_attempts => 1);
			SELECT count(*)
			FROM jobq.enqueue_many('$queue', array_fill('{}'::jsonb, ARRAY[$each]))});
	}
	return poll_ok($node, 'SELECT last_value FROM begun', 'all jobs run',
		expected => $each * @queues);
}

# terminate_workers($node, @queues): those of one queue after the other.
sub terminate_workers
{
	my ($node, @queues) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $queue (@queues)
	{
		my $workers = "FROM jobq.workers WHERE queue = '$queue'";
		$node->sql("SELECT pg_terminate_backend(pid) $workers");
		poll_ok(
			$node,
			"SELECT count(*) $workers",
			"the worker of queue $queue is terminated",
			expected => '0');
	}
	return;
}

# none_is_claimed($node, $when, @queues): no claim of any kind gets a job. Each is rolled
# back, so that the next one could.
sub none_is_claimed
{
	my ($node, $when, @queues) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $queue (@queues)
	{
		foreach my $claim (
			"dequeue('$queue', 1000)",
			"dequeue_any('{$queue}', 1000)",
			"take('$queue', 1000)")
		{
			is( $node->sql(
					"SET client_min_messages = error;
					BEGIN; SELECT count(*) FROM jobq.$claim; ROLLBACK"),
				'0',
				"$when: $claim gets no job");
		}
	}
	return;
}

# coordinator_comes_round($node, $name): it does again what it tries each second. That comes
# before the job of a queue "expires" expires, which it sees to later in the same round.
sub coordinator_comes_round
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->sql(
		q{SELECT jobq.create_queue('expires')
		WHERE NOT EXISTS (SELECT FROM jobq_store.queue WHERE name = 'expires')});
	my $id = $node->sql(q{SELECT jobq.enqueue('expires', ttl => '1200 ms')});
	return poll_ok($node, "SELECT state FROM jobq.jobs WHERE id = $id",
		$name, expected => 'expired');
}

1;
