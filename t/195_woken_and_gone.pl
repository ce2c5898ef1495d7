# t/195_woken_and_gone.pl: an idle worker that is woken for a job and leaves
# before it has looked for it: another process does.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.worker_idle_timeout = 1h' ]);
$node->sql(
	q{
	CREATE TABLE ran (who name);
	GRANT INSERT ON ran TO PUBLIC;
	CREATE ROLE ann LOGIN; CREATE ROLE bea LOGIN;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{ann,bea}'::regrole[]) AS r;
	CREATE FUNCTION note(payload jsonb) RETURNS void LANGUAGE sql
		AS 'INSERT INTO ran VALUES (current_user)';
	SET ROLE ann; SELECT jobq.create_queue('a', 'note(jsonb)'); SELECT jobq.enqueue('a');
	SET ROLE bea; SELECT jobq.create_queue('b', 'note(jsonb)'); SELECT jobq.enqueue('b')});

# set_workers($n): how many workers there may be.
sub set_workers
{
	my ($n) = @_;

	$node->append_conf('postgresql.conf', "jobq.max_workers = $n");
	$node->reload;
	poll_ok($node, "SELECT current_setting('jobq.max_workers') = '$n'", "max_workers is $n");
	return;
}

# Both workers are stopped while they are idle; the one of ann is woken for a
# job, and there is room for one of them only when she goes on: she leaves, and
# the other one is asleep until she has left. Returns the pid of the latter, or
# nothing where the coordinator saw the job, too, and told the other one to
# leave.
sub leave_when_woken
{
	my ($ran) = @_;

	poll_ok($node, "SELECT count(*) = $ran FROM ran", 'each role has a worker');
	poll_ok(
		$node,
		"SELECT count(*) = 2 FROM jobq.workers WHERE kind = 'executor' AND state = 'idle'",
		'both are idle');
	my ($ann, $bea) =
	  map { $node->sql("SELECT pid FROM jobq.workers WHERE role = '$_'::regrole") } qw(ann bea);
	kill('STOP', $ann, $bea);
	$node->sql("SELECT jobq.enqueue('a')");
	set_workers(1);
	kill('CONT', $ann);
	poll_ok(
		$node,
		"SELECT count(*) = 0 OR (SELECT count(*) > $ran FROM ran)
		 FROM pg_stat_activity WHERE pid = $ann",
		'the worker that was woken has left, or run the job');
	return $bea if $node->sql("SELECT count(*) = $ran FROM ran") eq 't';
	kill('CONT', $bea);
	poll_ok(
		$node,
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $bea",
		'the other worker has left');
	set_workers(2);
	$node->sql("SELECT jobq.enqueue('b')");
	return;
}

my $ran = 2;
my $bea;
for my $try (1 .. 10)
{
	last if defined($bea = leave_when_woken($ran));
	$ran += 2;
}
ok(defined($bea), 'the worker that was woken has left');
kill('CONT', $bea);
within(
	30,
	'the job that it was woken for is run at once',
	sub { return poll_query($node, "SELECT count(*) > $ran FROM ran") });

done_testing();
