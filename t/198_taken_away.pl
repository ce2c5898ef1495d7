# t/198_taken_away.pl: a procedure whose job was cancelled, or dropped with its
# queue, by a prepared transaction is interrupted by COMMIT PREPARED.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# An executor that exits without work would have the coordinator look again.
my $node = jobq_node(
	'main',
	conf => [
		'max_prepared_transactions = 5',
		'jobq.max_workers = 3',
		'jobq.worker_idle_timeout = 1h',
		'jobq.sweep_interval = 0'
	]);

# Jobs run until their gate is opened, and say whether they came through.
$node->sql(
	q{
	CREATE TABLE log (queue text, what text);
	CREATE TABLE gate (queue text);
	CREATE PROCEDURE work(j jobq.job) LANGUAGE plpgsql AS
		$$BEGIN
			INSERT INTO log VALUES (j.queue, 'begun');
			COMMIT;
			WHILE NOT EXISTS (SELECT FROM gate WHERE queue = j.queue) LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
			INSERT INTO log VALUES (j.queue, 'ended');
		END$$});

# Which process ran a job.
$node->sql('CREATE TABLE runs (job bigint, pid int)');

# Begins a job in a queue of its own; returns its id.
sub begin_job
{
	my ($queue) = @_;
	$node->sql("SELECT jobq.create_queue('$queue', 'work(jobq.job)', max_attempts => 3)");
	my $id = $node->sql("SELECT jobq.enqueue('$queue')");
	poll_query($node, "SELECT count(*) = 1 FROM log WHERE queue = '$queue'")
	  or die "the job did not begin\n";
	$node->sql("INSERT INTO runs SELECT job_id, pid FROM jobq.workers WHERE job_id = $id");
	return $id;
}

sub is_running
{
	my ($id) = @_;
	return $node->sql("SELECT count(*) FROM jobq.workers WHERE kind = 'executor'"
		  . " AND state = 'running' AND pid = (SELECT pid FROM runs WHERE job = $id)");
}

sub prepare
{
	my ($statement) = @_;
	$node->sql("BEGIN; $statement; PREPARE TRANSACTION 'p'");
	return;
}

sub interrupted_ok
{
	my ($id, $queue, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_ok(
		$node,
		"SELECT count(*) = 0 FROM jobq.workers AS w JOIN runs USING (pid)
			WHERE job = $id AND state = 'running'",
		"$name: the procedure is interrupted",
		seconds => 20);
	is($node->sql("SELECT string_agg(what, ',') FROM log WHERE queue = '$queue'"),
		'begun', "$name: it has gone no further");
	return;
}

# ------------------------------------------------------------- what ends it

my %ends = (
	cancel => 'SELECT jobq.cancel(%d)',
	drop => q{SELECT jobq.drop_queue('drop', force => true)},
	savepoint => 'SAVEPOINT s; SELECT jobq.cancel(%d); RELEASE s');
foreach my $queue (sort keys %ends)
{
	my $id = begin_job($queue);
	prepare(sprintf($ends{$queue}, $id));
	is(is_running($id), '1', "$queue: it runs on while the transaction is prepared");
	$node->sql("COMMIT PREPARED 'p'");
	interrupted_ok($id, $queue, $queue);
}
is( $node->sql(
		"SELECT string_agg(state, ',') FROM jobq.jobs WHERE queue IN ('cancel', 'savepoint')"),
	'cancelled,cancelled',
	'the jobs are cancelled');

# ---------------------------------------------------------- what does not

foreach my $case (
	[ 'rolled_back', 'SELECT jobq.cancel(%d)', 'ROLLBACK' ],
	[
		'rolled_back_to',
		'SAVEPOINT s; SELECT jobq.cancel(%d); ROLLBACK TO s; SELECT jobq.pause(%s)', 'COMMIT'
	],
	[ 'other', q{SELECT jobq.cancel(jobq.enqueue('other', delay => '1 h'))}, 'COMMIT' ])
{
	my ($queue, $statement, $end) = @$case;
	my $id = begin_job($queue);
	prepare(sprintf($statement, $id, "'$queue'"));
	$node->sql("$end PREPARED 'p'");

	# one that is interrupted shows that the coordinator has looked
	my $control = begin_job("after_$queue");
	prepare("SELECT jobq.cancel($control)");
	$node->sql("COMMIT PREPARED 'p'");
	interrupted_ok($control, "after_$queue", "$queue: a control job");
	is(is_running($id), '1', "$queue: the procedure runs on");
	$node->sql("INSERT INTO gate VALUES ('$queue')");
	poll_ok(
		$node,
		"SELECT state = 'completed' FROM jobq.jobs WHERE id = $id",
		"$queue: its job is completed");
}

# ------------------------------------------------------------- a second life

my $id = begin_job('again');
prepare("SELECT jobq.cancel($id), jobq.retry($id)");
$node->sql("COMMIT PREPARED 'p'");
poll_ok(
	$node,
	"SELECT string_agg(what, ',') = 'begun,begun' FROM log WHERE queue = 'again'",
	'a job that is cancelled and retried begins again');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $id",
	'its first run is interrupted');
$node->sql("INSERT INTO gate VALUES ('again')");
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id", 'its second run is not');
is($node->sql("SELECT count(*) FROM log WHERE queue = 'again' AND what = 'ended'"),
	'1', 'it has come through once');

$node->stop;
done_testing();
