# t/263_time_of_day.pl: how long the coordinator has read the table of jobs is not
# measured by the time of day, which somebody may set meanwhile.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The server's time of day is set by a library that is preloaded.
my $dir = PostgreSQL::Test::Utils::tempdir();
my $compiler = $ENV{CC} || 'cc';
my $shim = "$dir/clock_shim.so";
if ($^O ne 'linux'
	|| system(
		"$compiler -shared -fPIC -o $shim " . source_dir() . '/test/lib/clock_shim.c 2>/dev/null'
	) != 0)
{
	plan skip_all => 'the clock of the server cannot be set here';
}
append_to_file("$dir/clock", pack('q', 0));
my $node = jobq_node(
	'main',
	start => 0,
	conf => [ 'autovacuum = off', 'jobq.max_workers = 0', 'jobq.sweep_interval = 0' ]);
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{JOBQ_CLOCK_FILE} = "$dir/clock";
	$node->start;
}
create_extension($node);
my $coordinator = wait_for_worker($node, 'jobq coordinator');
END { kill('CONT', $coordinator) if $coordinator; }
my $holder = start_session($node);

# Sets the clock of the server to this many seconds after the true time.
sub set_clock
{
	my ($seconds) = @_;
	open(my $fh, '+<', "$dir/clock") or die "$dir/clock: $!";
	binmode($fh);
	syswrite($fh, pack('q', $seconds * 1_000_000)) == 8 or die "$dir/clock: $!";
	close($fh);
	return;
}

# Queues with a running job that is not listed, since it has much time.
$node->sql(
	q{SELECT jobq.create_queue(q, lease => '1 day'), jobq.enqueue(q), jobq.enqueue(q)
	FROM unnest('{one,two}'::text[]) AS q;
	SELECT count(*) FROM jobq.dequeue('one');
	SELECT count(*) FROM jobq.dequeue('two')});

# The queue gets a limit: its jobs must be counted before the next one starts.
sub limit
{
	my ($queue) = @_;
	$node->sql("SELECT jobq.alter_queue('$queue', max_running => 2)");
	is($node->sql("SELECT count(*) FROM jobq.dequeue('$queue')"),
		'0', "$queue: running jobs must be counted");
	return;
}

# Whether they are counted soon, and not after a rest of a minute.
sub is_counted
{
	my ($queue) = @_;
	ok( poll_until(
			sub { return $node->sql("SELECT count(*) FROM jobq.dequeue('$queue')") eq '1' }, 25),
		"$queue: they are counted");
	return;
}

kill('STOP', $coordinator);
limit('one');
ask($holder, 'BEGIN; LOCK TABLE jobq_store.job');
kill('CONT', $coordinator);
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
	WHERE NOT l.granted AND a.backend_type = 'jobq coordinator'},
	'the coordinator is held up');
set_clock(3600);
ask($holder, 'ROLLBACK');
is_counted('one');
limit('two');
is_counted('two');

end_session($holder);
$node->stop;
done_testing();
