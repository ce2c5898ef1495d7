# t/164_late_jobs.pl: jobs that should have ended, but whose rows are locked.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['log_statement = none']);
$node->create_clock;
$node->sql(
	q{CREATE ROLE amy; CREATE ROLE ben;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{amy,ben}'::regrole[]) AS r;
	SET ROLE amy;
	SELECT jobq.create_queue('leased', lease => '1 h'),
		jobq.create_queue('timed', lease => '10 h', timeout => '1 h'),
		jobq.create_queue('expiring', ttl => '1 h')});

# The finding, as the role sees it.
sub message
{
	my ($task, $role) = @_;
	return $node->sql(
		"SET ROLE $role; SELECT message FROM jobq.health WHERE topic = 'late' AND object = '$task'"
	);
}

foreach my $case (
	[ 'leased', 'ending leases' ],
	[ 'timed', 'ending leases' ],
	[ 'expiring', 'expiring jobs' ])
{
	my ($queue, $task) = @$case;
	my $job = $node->sql("SELECT jobq.enqueue('$queue')");
	$node->sql("SELECT count(*) FROM jobq.dequeue('$queue')") if $queue ne 'expiring';
	my $blocker = start_session($node);
	ask($blocker, "BEGIN; SELECT id FROM jobq_store.job WHERE id = $job FOR UPDATE");
	$node->advance_clock('2 h');
	poll_ok(
		$node,
		"SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'late' AND object = '$task')",
		"$queue: a job is late");
	my $named = qr/^part of the task, job $job of queue "$queue", is late because/;
	like(message($task, 'postgres'), qr/$named the transaction of pid \d+ /, '... which is named');
	like(message($task, 'amy'), qr/$named a transaction is in the way$/, '... to its owner, too');
	is( message($task, 'ben'),
		'part of the task is late because a transaction is in the way',
		'... and to nobody else');
	end_session($blocker);
	poll_ok(
		$node, qq{SELECT EXISTS (SELECT FROM jobq.attempts WHERE job_id = $job)
		OR EXISTS (SELECT FROM jobq.jobs WHERE id = $job AND state = 'expired')},
		'... until the row is free');
	$node->sql("SELECT jobq.delete($job)");
}

done_testing();
