# t/333_called_while_it_waits.pl: a coordinator that waits for I/O, which resets its latch,
# does not miss what it is called for meanwhile.
#
# The lease of a job ends, and the coordinator commits that.  This leaves it nothing else
# to do, so without the call it would sleep for a minute.

use strict;
use warnings;

use JobqTest;
use JobqSession;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $shim = "$dir/latch_shim.so";
my $compiler = $ENV{CC} || 'cc';
plan(skip_all => 'no process of a server can be held here')
  if $^O ne 'linux'
  || system(
	"$compiler -shared -fPIC -o $shim " . source_dir() . '/test/lib/latch_shim.c 2>/dev/null') != 0;

my $node = jobq_node('main', conf => ['jobq.worker_idle_timeout = 0']);
$node->sql(
	q{
	CREATE TABLE done (n int);
	SELECT jobq.create_queue('ext', lease => '2 s', max_attempts => 1, notify => false)});

# A new coordinator finds that it is needed, so it does not look each second whether it is.
$node->stop;
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{JOBQ_HOLD_DIRECTORY} = $dir;
	$node->start;
}

# Its commits do not wait for WAL to be written, which the held coordinator prevents.
my $session = start_session($node);
ask($session, 'SET synchronous_commit = off');

foreach my $round (1 .. 3)
{
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
		"round $round: no executor is left",
		expected => '0');
	wait_for_worker($node, 'jobq coordinator');
	my ($pid) = worker_pids($node, 'jobq coordinator');
	$node->sql(q{SELECT jobq.enqueue('ext'); SELECT count(*) FROM jobq.dequeue('ext')});
	append_to_file("$dir/hold", $pid);
	ok(poll_until(sub { -e "$dir/held" }), "round $round: the coordinator is held");
	ask($session, "SELECT jobq.run('INSERT INTO done VALUES ($round)')");
	unlink("$dir/hold", "$dir/held");
	poll_ok(
		$node,
		"SELECT count(*) = 1 FROM done WHERE n = $round",
		"round $round: a job that was added meanwhile runs",
		seconds => 20);
}
end_session($session);
$node->stop;
done_testing();
