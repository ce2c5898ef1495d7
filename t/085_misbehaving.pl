# t/085_misbehaving.pl: handlers, and a clock, that do what they should not.
#
# A handler that ignores a cancel is terminated with its worker; nothing else
# suffers. t/071 has what handlers leave in their session, t/020 timeouts,
# t/042 schedules and the clock.
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
  && system(
	"$compiler -shared -fPIC -o $shim " . source_dir() . '/test/lib/clock_shim.c 2>/dev/null') == 0;
my $node;

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

my $clock;
my $asleep_since;
if ($have_shim)
{
	append_to_file("$dir/clock", pack('q', 0));
	$clock = jobq_node(
		'clock',
		start => 0,
		conf => [ @conf, 'jobq.worker_idle_timeout = 100ms' ]);
	{
		local $ENV{LD_PRELOAD} = $shim;
		local $ENV{JOBQ_CLOCK_FILE} = "$dir/clock";
		$clock->start;
	}
	create_extension($clock);
	load_set_up($clock);
	$clock->sql(q{SELECT jobq.alter_queue(queue, keep_completed => '100 days') FROM jobq.queues});

	# The coordinator sleeps until tomorrow; then it is tomorrow, and nobody
	# tells it, as after the sleep of a virtual machine.
	$clock->sql(
		q{INSERT INTO load.placed SELECT jobq.enqueue('load_h', delay => '1 day');
		INSERT INTO load.placed SELECT jobq.enqueue('load_h')});
	poll_ok($clock, 'SELECT count(*) = 1 FROM load.effects', 'clock: jobs run');
	# nobody is left whose exit would wake it
	poll_ok(
		$clock, q{SELECT count(*) = 1 AND bool_and(wait_event_type = 'Extension' AND state = 'idle')
		FROM pg_stat_activity WHERE backend_type IN ('jobq coordinator', 'jobq executor')},
		'clock: the coordinator sleeps');
	# It is stopped meanwhile, since it could wake up just now, and run the job.
	my $coordinator = wait_for_worker($clock, 'jobq coordinator');
	kill('STOP', $coordinator);
	set_clock(86_400 + 60);
	$asleep_since = time();
	is( $clock->sql(q{SELECT state FROM jobq.jobs WHERE queue = 'load_h' AND finished_at IS NULL}),
		'ready', 'clock: the job of tomorrow is ready');
	kill('CONT', $coordinator);
}

# ---------------------------------------------- handlers that do not stop

# They catch what is to end them: always, the first time only, or once.
$node =
  jobq_node('main', conf => [ @conf, 'jobq.max_workers = 8', 'jobq.worker_idle_timeout = 60s' ]);
load_set_up($node);
$node->sql(
	q{
	CREATE SEQUENCE swallows;
	CREATE SEQUENCE tries;
	CREATE FUNCTION swallow() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  PERFORM pg_sleep(600);
	EXCEPTION WHEN query_canceled THEN
	  PERFORM nextval('swallows');
	END $$;
	CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN LOOP PERFORM swallow(); END LOOP; END $$;
	CREATE PROCEDURE stubborn_too() LANGUAGE plpgsql AS $$
	BEGIN COMMIT; LOOP PERFORM swallow(); END LOOP; END $$;
	CREATE PROCEDURE stubborn_once() LANGUAGE plpgsql AS $$
	BEGIN
	  COMMIT;
	  WHILE nextval('tries') < 1000 LOOP
	    PERFORM swallow();
	  END LOOP;
	END $$;
	CREATE FUNCTION obeys() RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN PERFORM swallow(); RETURN '"tidied up"'; END $$;
	CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN RAISE EXCEPTION 'no'; END $$;
	CREATE FUNCTION stubborn_delay(int, jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	BEGIN
	  LOOP
	    BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END;
	  END LOOP;
	END $$;
	CREATE FUNCTION fatal_delay(int, jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(600); END $$;
	SELECT jobq.create_queue(q, (q || '()')::regprocedure, max_attempts => 1)
	FROM unnest('{stubborn,stubborn_too,stubborn_once,obeys}'::text[]) AS q;
	SELECT jobq.create_queue(q, 'fails()', max_attempts => 2,
	  backoff_function => (q || '(int,jsonb)')::regprocedure)
	FROM unnest('{stubborn_delay,fatal_delay}'::text[]) AS q});

# Starts a job of the queue; returns its id and the process that runs it.
sub start_job
{
	my ($queue, $options) = @_;
	my $id = $node->sql("SELECT jobq.enqueue('$queue'" . ($options ? ", $options" : '') . ')');
	my $pid;
	poll_until(
		sub {
			# it sleeps in the middle of this very job
			return $pid = $node->sql(
				qq{SELECT a.pid FROM jobq.workers AS w
				JOIN pg_stat_activity AS a USING (pid)
				WHERE w.job_id = $id AND a.wait_event = 'PgSleep'});
		}) or die "no job of queue $queue runs\n";
	return ($id, $pid);
}

# How a job has ended, and what is written down of its attempts.
sub ended_as
{
	my ($id, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
	return is(
		$node->sql(
			qq{SELECT concat_ws(' ', state, attempt, error, result,
			(SELECT string_agg(a.outcome || ' ' || a.sqlstate, ', ' ORDER BY a.attempt)
			   FROM jobq.attempts AS a WHERE a.job_id = j.id))
			FROM jobq.jobs AS j WHERE id = $id}),
		$expected,
		$name);
}

# A handler that ends soon after a cancel keeps its process and its result.
my $position = log_position($node);
my ($id, $pid) = start_job('obeys');
$node->sql("SELECT jobq.cancel($id, 'enough')");
ended_as($id, 'completed 1 "tidied up"', 'a handler may catch a cancel and end');
ended_as(
	$node->sql(q{SELECT jobq.enqueue('obeys', timeout => '50 ms')}),
	'completed 1 "tidied up"',
	'a handler may catch its timeout and end');
is(kill(0, $pid), 1, 'a handler that ends keeps its process');
is(join("\n", grep { /terminat|did not end/ } jobq_log_lines($node, $position)),
	'', 'no process was terminated');

# A job that was cancelled is cancelled, no matter who finds it after its
# process is gone; here it is an executor.
($id, $pid) = start_job('stubborn');
my $other;
poll_until(
	sub {
		load_runs_ok($node, 'another executor') if !$other;
		return $other = $node->sql(
			qq{SELECT min(pid) FROM jobq.workers
			WHERE kind = 'executor' AND state = 'idle'});
	});
my $coordinator = wait_for_worker($node, 'jobq coordinator');
kill('STOP', $coordinator);
$node->sql("SELECT jobq.cancel($id)");
$node->sql("SELECT pg_terminate_backend($pid)");
ended_as($id, 'cancelled 1', 'terminated: it is cancelled, without a reason');
kill('CONT', $coordinator);
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.cancel_request', 'the request is gone');

# What does not end at all is ended some seconds later; nobody else suffers.
# All of them at once: seven executors are theirs.
my $load = load_start($node);
$position = log_position($node);
my %stubborn;
foreach my $queue ('stubborn', 'stubborn_too')
{
	$stubborn{"$queue, cancelled"} = [ start_job($queue) ];
	$stubborn{"$queue, timeout"} = [ start_job($queue, q{timeout => '50 ms'}) ];
}
$stubborn{'stubborn_once'} = [ start_job('stubborn_once') ];
my $delayed = $node->sql(q{SELECT jobq.enqueue('stubborn_delay')});
my $fatal = $node->sql(q{SELECT jobq.enqueue('fatal_delay')});
foreach my $name (grep { !/timeout/ } sort keys %stubborn)
{
	$node->sql("SELECT jobq.cancel($stubborn{$name}[0], 'enough')");
}
poll_ok(
	$node,
	'SELECT last_value >= 10 FROM swallows',
	'handlers catch what is to end them, again and again');
load_goes_on_ok($node, 'beside stubborn jobs');
foreach my $queue ('stubborn', 'stubborn_too')
{
	my ($cancelled, $late) = @stubborn{ "$queue, cancelled", "$queue, timeout" };
	ended_as($cancelled->[0], 'cancelled 1 enough', "$queue is cancelled in the end");
	ended_as(
		$late->[0],
		'dead 1 the job ran longer than its timeout timed out 57014',
		"$queue is ended by its timeout");
	is( $node->sql("SELECT worker FROM jobq.attempts WHERE job_id = $late->[0]"),
		"pid $late->[1]",
		'the attempt names the process that ran it');
}
foreach my $name (sort keys %stubborn)
{
	($id, $pid) = @{ $stubborn{$name} };
	my $why = $name =~ /timeout/ ? 'after its timeout' : 'when it was cancelled';
	ok(poll_until(sub { !kill(0, $pid) }), "$name: the process is gone");
	like(
		log_since($node, $position),
		qr/\[$pid\] .*LOG:  job $id of queue "[a-z_]+" did not end $why/,
		"$name: the log says why");
}
$id = $stubborn{'stubborn_once'}[0];
$node->sql(q{SELECT setval('tries', 1000)});
is($node->sql("SELECT jobq.retry($id)"), $id, 'a stubborn job is retried');
ended_as($id, 'completed 1', 'the end of its process does not count against the job');
ended_as(
	$fatal,
	'dead 2 no crashed 57P01, failed P0001',
	'a backoff_function that ends its process uses up an attempt');
ended_as($delayed, 'dead 2 no crashed 57P01, failed P0001', 'a backoff_function that does not end');
like(
	log_since($node, $position),
	qr/LOG:  backoff_function of queue "stubborn_delay" did not end for job $delayed/,
	'the log says why the process was terminated');
load_runs_ok($node, 'after stubborn jobs');
load_stop($load);
load_account_ok($node, 'stubborn jobs');
quiet_log_ok($node, $position, 60, 'stubborn jobs');

# Who is told to go in the middle of a job that does not end.
$node->sql('ALTER SYSTEM SET jobq.worker_idle_timeout = DEFAULT');
$node->reload;
($id, $pid) = start_job('stubborn');
like(sql_error($node, q{SET statement_timeout = '300 ms'; SELECT jobq.stop()}),
	qr/57014/, 'stop() waits for it, and can be cancelled');
within(20, 'a fast shutdown does not wait for it', sub { $node->stop('fast'); 1 });

# ------------------------------------------------- the clock, back and forth

SKIP:
{
	skip 'the clock of a server cannot be set here', 1 if !$have_shim;

	# Waking up by itself takes up to a minute.
	poll_ok(
		$clock,
		'SELECT count(*) = 2 FROM load.effects',
		'clock: the coordinator notices that it is tomorrow',
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
		$clock->sql("SELECT pg_terminate_backend($coordinator, 5000)");
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
