# t/078_misbehaving.pl
#
# Handlers that do what they should not, and a clock that does.
#
# A handler that does not want to be cancelled holds its worker; nobody else
# suffers, and an administrator gets rid of it.  t/012 has what handlers leave
# in their session, t/011 timeouts, t/042 schedules and the clock.
#
# The server's clock is set by a library that is preloaded into all of its
# processes, so that the system's own is left alone.

use strict;
use warnings;

use JobqLoad;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my @conf = ('jobq.max_workers = 3', 'log_statement = none', 'fsync = off');

# ------------------------------------------------------------ a false clock

my $dir = PostgreSQL::Test::Utils::tempdir();
my $compiler = $ENV{CC} || 'cc';
my $shim = "$dir/clock_shim.so";
my $have_shim = $^O eq 'linux'
  && system("$compiler -shared -fPIC -o $shim "
	  . source_dir()
	  . '/test/lib/clock_shim.c 2>/dev/null') == 0;
my $node;

sub sql
{
	my ($sql, $on) = @_;
	return ($on // $node)->safe_psql('postgres', $sql);
}

# Sets the clock of the server to so many seconds after the true time.
sub set_clock
{
	my ($seconds) = @_;
	open(my $fh, '+<', "$dir/clock") or die "$dir/clock: $!";
	binmode($fh);
	syswrite($fh, pack('q', $seconds * 1_000_000)) == 8 or die "$dir/clock: $!";
	close($fh);
	return;
}

my $clock;
my $asleep_since;
if ($have_shim)
{
	append_to_file("$dir/clock", pack('q', 0));
	$clock = jobq_node('clock', start => 0,
		conf => [ @conf, 'jobq.worker_idle_timeout = 100ms' ]);
	{
		local $ENV{LD_PRELOAD} = $shim;
		local $ENV{JOBQ_CLOCK_FILE} = "$dir/clock";
		$clock->start;
	}
	create_extension($clock);
	load_set_up($clock);
	sql(q{SELECT jobq.alter_queue(queue, keep_completed => '100 days') FROM jobq.queues}, $clock);

	# The coordinator sleeps until tomorrow; then it is tomorrow, and nobody
	# tells it, as after the sleep of a virtual machine.
	sql(q{INSERT INTO load.placed SELECT jobq.enqueue('load_h', delay => '1 day');
		INSERT INTO load.placed SELECT jobq.enqueue('load_h')}, $clock);
	poll_ok($clock, 'SELECT count(*) = 1 FROM load.effects', 'clock: jobs run');
	# nobody is left whose exit would wake it
	poll_ok($clock, q{SELECT count(*) = 1 AND bool_and(wait_event = 'Extension' AND state = 'idle')
		FROM pg_stat_activity WHERE backend_type IN ('jobq coordinator', 'jobq executor')},
		'clock: the coordinator sleeps');
	set_clock(86_400 + 60);
	$asleep_since = time();
	is(sql(q{SELECT state FROM jobq.jobs WHERE queue = 'load_h' AND finished_at IS NULL}, $clock),
		'ready', 'clock: it is tomorrow');
}

# ---------------------------------------------- a handler that does not stop

$node = jobq_node('main', conf => \@conf);
load_set_up($node);
sql(q{
	CREATE TABLE swallowed (n int);
	CREATE SEQUENCE swallows;
	CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  LOOP
	    BEGIN
	      PERFORM pg_sleep(600);
	    EXCEPTION WHEN query_canceled THEN
	      PERFORM nextval('swallows');
	    END;
	  END LOOP;
	END $$;
	SELECT jobq.create_queue('stubborn', 'stubborn()', max_attempts => 1)});

# Starts such a job; returns its id and the process that runs it.
sub start_stubborn
{
	my (%opt) = @_;
	my $id = sql(q{SELECT jobq.enqueue('stubborn'} . ($opt{timeout} ? ", timeout => '$opt{timeout}')" : ')'));
	poll_query($node, "SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $id")
	  or die "the job does not run\n";
	poll_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'})
	  or die "the job does not sleep\n";
	return ($id, sql(q{SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'}));
}

my $position = log_position($node);
my ($id, $pid) = start_stubborn();
my $load = load_start($node);
sql("SELECT jobq.cancel($id, 'enough')");
poll_ok($node, 'SELECT last_value >= 2 AND is_called FROM swallows',
	'a handler swallows cancels, again and again');
load_runs_ok($node, 'beside it');
load_goes_on_ok($node, 'beside it');
is(sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'running', 'it goes on');
sql("SELECT pg_terminate_backend($pid)");
poll_ok($node, "SELECT state = 'cancelled' FROM jobq.jobs WHERE id = $id",
	'terminated: it is cancelled');

sql(q{ALTER SEQUENCE swallows RESTART});
($id, $pid) = start_stubborn(timeout => '50 ms');
poll_ok($node, 'SELECT last_value >= 2 AND is_called FROM swallows',
	'it swallows timeouts, too');
load_goes_on_ok($node, 'beside that');
sql("SELECT pg_terminate_backend($pid)");
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $id",
	'terminated: it is dead');
load_stop($load);
load_account_ok($node, 'stubborn jobs');
quiet_log_ok($node, $position, 30, 'stubborn jobs');

($id, $pid) = start_stubborn();
like(sql_error($node, q{SET statement_timeout = '300 ms'; SELECT jobq.stop()}),
	qr/57014/, 'stop() waits for it, and can be cancelled');
within(20, 'a fast shutdown does not wait for it',
	sub { $node->stop('fast'); 1 });

# ------------------------------------------------- the clock, back and forth

SKIP:
{
	skip 'the clock of a server cannot be set here', 1 if !$have_shim;

	# Waking up by itself takes up to a minute.
	poll_ok($clock, 'SELECT count(*) = 2 FROM load.effects',
		'clock: somebody wakes up and sees that it is tomorrow',
		seconds => 90 - (time() - $asleep_since));
	$position = log_position($clock);
	$load = load_start($clock);
	foreach my $to (0, 3600, -3600, 86_400 * 5, 0, -86_400, 30, 0)
	{
		set_clock($to);
		load_runs_ok($clock, "clock set to $to", seconds => 30);
		load_goes_on_ok($clock, "clock set to $to", seconds => 30);
	}

	# What tries again after a while does not wait until the clock is where it
	# was: a coordinator that has died twice.
	set_clock(0);
	foreach my $round (1, 2)
	{
		my $coordinator = wait_for_worker($clock, 'jobq coordinator');
		set_clock(-86_400 * $round);
		sql("SELECT pg_terminate_backend($coordinator, 5000)", $clock);
		wait_for_worker($clock, 'jobq coordinator', not => $coordinator, seconds => 30);
		pass("clock: set back before the coordinator has died, $round");
	}
	load_stop($load);

	# Times are times: what was enqueued when the clock was ahead is for later.
	set_clock(86_400 * 6);
	load_account_ok($clock, 'clock');
	quiet_log_ok($clock, $position, 15, 'clock');
	$clock->stop;
}

done_testing();
