# t/051_drop_queue.pl: drop_queue() while others use the queue.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');

sub dropper_waits
{
	my ($name) = @_;
	return poll_ok(
		$node,
		"SELECT count(*) = 1 FROM pg_stat_activity"
		  . " WHERE application_name = 'dropper' AND state = 'active'"
		  . " AND wait_event IS NOT NULL",
		$name);
}

my $user = start_session($node, name => 'user', verbosity => 'verbose');
my $dropper = start_session($node, name => 'dropper', verbosity => 'verbose');

# Somebody is adding a job
$node->sql("SELECT jobq.create_queue('a')");
ask($user, "BEGIN; SELECT jobq.enqueue('a');");
order($dropper, "SELECT jobq.drop_queue('a');");
dropper_waits('waits for a transaction that adds a job');
ask($user, "COMMIT;");
like(answer($dropper), qr/55006: cannot drop queue "a"/,
	'drop_queue() sees the job after its wait');

# A job is claimed by a lease
my ($id, $lease) =
  split(/\|/, $node->sql("SELECT id, lease FROM jobq.dequeue('a', lease => '1 day')"));
like(ask($dropper, "SELECT jobq.drop_queue('a', force => true);"),
	qr/^$/m, 'a leased job is dropped');
like(ask($user, "SELECT jobq.complete($id, $lease);"), qr/JQ001/, 'its holder is told');

# A job is taken
$node->sql("SELECT jobq.create_queue('a'); SELECT jobq.enqueue('a')");
like(ask($user, "BEGIN; SELECT count(*) FROM jobq.take('a');"), qr/^1$/m, 'taken');
order($dropper, "SELECT jobq.drop_queue('a', force => true);");
dropper_waits('waits for a transaction that has taken a job');
unlike(ask($user, "COMMIT;"), qr/ERROR/, 'the transaction that has taken a job commits');
unlike(answer($dropper), qr/ERROR/, 'the queue is dropped after that commit');
is( $node->sql(
			"SELECT (SELECT count(*) FROM jobq_store.job)"
		  . " + (SELECT count(*) FROM jobq_store.finished_jobs)"),
	'0',
	'the queue is dropped with all its jobs');

# Under another isolation level what others committed is found, too
$node->sql("SELECT jobq.create_queue('a')");
ask($dropper, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;");
$node->sql("SELECT jobq.enqueue('a')");
like(ask($dropper, "SELECT jobq.drop_queue('a');"), qr/55006/, 'repeatable read sees the job');
ask($dropper, "ROLLBACK;");
$node->sql("SELECT jobq.drop_queue('a', force => true)");

# Background workers are at it
$node->sql(<<'SQL');
CREATE FUNCTION work_long(jsonb) RETURNS void LANGUAGE plpgsql AS
  'BEGIN PERFORM jobq.enqueue(''h''); PERFORM pg_sleep(1000); END';
SELECT jobq.create_queue('h', 'work_long(jsonb)');
SELECT jobq.enqueue_many('h', array_fill('{}'::jsonb, '{20}'));
SELECT jobq.schedule('hourly', '0 * * * *', queue => 'h');
SQL
poll_ok($node, "SELECT count(*) > 0 FROM jobq.jobs WHERE state = 'running'", 'jobs run');
within(30, 'they are interrupted',
	sub { $node->sql("SELECT jobq.drop_queue('h', force => true)") });
is( $node->sql(
			"SELECT (SELECT count(*) FROM jobq_store.job)"
		  . " + (SELECT count(*) FROM jobq_store.finished_jobs)"
		  . " + (SELECT count(*) FROM jobq.attempts)"),
	'0',
	'nothing of the dropped queues is shown');
is( $node->sql(
			"SELECT enabled, next_run IS NULL, disabled_reason"
		  . " FROM jobq.schedules WHERE name = 'hourly'"),
	'f|t|its queue was dropped',
	'the schedule is disabled');
$node->sql("SELECT jobq.create_queue('h', 'work_long(jsonb)')");
is($node->sql("SELECT ready + running + scheduled FROM jobq.queues WHERE queue = 'h'"),
	'0', 'a new queue of that name has another id');

done_testing();
