# t/311_claims_before_notes_are_read.pl: after a restart, sessions claim jobs that have
# notes before a coordinator has read these: they read few files.

use strict;
use warnings;

use Fcntl qw(O_NONBLOCK O_WRONLY);
use JobqSession;
use JobqTest;
use POSIX qw(mkfifo);
use Test::More;

my $jobs = 50;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);

# Executions count in a sequence, whatever becomes of their transactions.
$node->sql(
	qq{CREATE SEQUENCE begun;
	CREATE TABLE go_on (yes bool);
	CREATE FUNCTION once(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		PERFORM nextval('begun') FROM unnest(j);
		WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); END LOOP; END\$\$;
	SELECT jobq.create_queue('once', 'once(jobq.job[])', batch_size => $jobs,
		max_attempts => 1)});
my $database = $node->sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
my $claim = "SET client_min_messages = error;
	BEGIN; SELECT count(*) FROM jobq.dequeue('once', $jobs); ROLLBACK";

sub run_batch
{
	$node->sql(
		qq{SELECT setval('begun', 1, false);
		SELECT count(*) FROM jobq.enqueue_many('once', array_fill('{}'::jsonb, ARRAY[$jobs]))});
	return poll_ok($node, 'SELECT last_value FROM begun', 'a batch runs', expected => $jobs);
}

# Makes a file of notes whose reader waits for a writer, and returns its path.
sub make_pipe
{
	my ($name) = @_;
	my $path = $node->data_dir . "/pg_jobq/pgsql_tmp.$database.$name";
	mkfifo($path, 0600) or die "mkfifo $path: $!\n";
	return $path;
}

# Whether a session reads the pipe when it claims jobs. Removes the pipe, and lets the
# session read on.
sub reads
{
	my ($session, $pipe) = @_;
	my ($writer, $is_open);
	order($session, $claim);
	poll_until(
		sub {
			$session->{run}->pump_nb;
			$is_open = sysopen($writer, $pipe, O_WRONLY | O_NONBLOCK);
			return $is_open || $session->{out} =~ /done\n/;
		});
	unlink($pipe) or die "unlink $pipe: $!\n";
	close($writer) if $is_open;
	is(answer($session), "0\n", 'it gets no job');
	return $is_open ? 1 : 0;
}

# The coordinator comes, and counts.
sub count_all
{
	$node->sql('ALTER SYSTEM RESET jobq.databases');
	$node->reload;
	poll_ok(
		$node,
		q{SELECT count(*) FROM jobq.jobs WHERE state = 'dead'},
		'the coordinator counts all attempts',
		expected => $_[0]);
	return is($node->sql('SELECT count(*), count(DISTINCT job_id) FROM jobq.attempts'),
		"$_[0]|$_[0]", 'each job has had one');
}

# Notes put aside
run_batch();
dismiss_coordinator($node);
$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id IS NOT NULL});
poll_query($node, 'SELECT count(*) FROM jobq.workers', expected => '0');
$node->restart;
my $session = start_session($node);
is(reads($session, make_pipe('job9999.1')), 0, "a claim does not read another job's note");
is(reads($session, make_pipe('200')), 0, "the session's next claim reads no executor's file");
end_session($session);
count_all($jobs);

# Notes in an executor's own file
run_batch();
dismiss_coordinator($node);
$node->stop('immediate');
$node->start;
$session = start_session($node);
is(reads($session, make_pipe('200')), 1, "a session's first claim reads the executors' files");
is(reads($session, make_pipe('200')), 0, 'its next claim does not');
is(reads($session, make_pipe('job9999.1')), 0, "nor does it read another job's note");
end_session($session);
count_all(2 * $jobs);

$node->stop;
done_testing();
