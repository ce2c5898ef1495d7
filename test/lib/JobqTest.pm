# JobqTest.pm
#
# What the TAP tests in t/ share: servers with jobq preloaded, waiting with an
# upper bound, killing workers. Built on PostgreSQL::Test::Cluster.
#
#   use JobqTest;
#   use Test::More;
#
#   my $node = jobq_node('main', conf => ["jobq.max_workers = 4"]);
#   poll_ok($node, "SELECT count(*) = 1 FROM jobq.job", 'job is there');
#   my ($pid) = worker_pids($node, 'jobq launcher');
#   kill_9($node, $pid);
#   done_testing();
#
# Nothing here sleeps for a fixed time; every wait ends after wait_limit()
# seconds (JOBQ_TEST_WAIT, default 60), which a test can lower per call.

package JobqTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use Cwd            qw(abs_path);
use IPC::Run       ();
use JobqNode;
use Time::HiRes qw(time usleep);
use Test::More;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  jobq_node create_extension source_dir wait_limit
  poll_query poll_ok poll_until within
  worker_pids wait_for_worker
  kill_9 crash_and_recover wait_for_recovery disturb seed_random
  as_role coordinator_on_time dismiss_coordinator
  all_jobs_run limits_settled wait_for_rest wait_for_first_rest
  sql_error log_position log_since unexpected_log_lines
);

# A test that is interrupted must still stop its servers (Cluster's END block).
$SIG{$_} = sub { die "interrupted\n" }
  for qw(INT TERM HUP);

# The top of the source tree.
sub source_dir
{
	return $ENV{JOBQ_TOP} || abs_path(dirname(__FILE__) . '/../..');
}

# How long to wait for anything that must happen, in seconds.
sub wait_limit
{
	return $ENV{JOBQ_TEST_WAIT} || 60;
}

# jobq_node($name, %options): a new server with jobq preloaded, a JobqNode.
#   conf       => [lines] for postgresql.conf, after the defaults
#   preload    => 0 for a server without jobq (default 1)
#   start      => 0 to leave it stopped (default 1)
#   extension  => 0 for no CREATE EXTENSION in "postgres" (default: if started)
#   streaming  => 1 for a server that can have standbys; "logical" likewise
#   initdb     => [more options of initdb]
#   install    => another installation of PostgreSQL (a directory with bin/)
sub jobq_node
{
	my ($name, %opt) = @_;
	my $node = JobqNode->new($name, $opt{install} ? (install_path => $opt{install}) : ());
	my $preload = $opt{preload} // 1;
	my $start = $opt{start} // 1;

	$node->init(
		allows_streaming => $opt{streaming} // 0,
		extra => [ '--locale=C', '--encoding=UTF8', @{ $opt{initdb} || [] } ]);
	$node->append_conf(
		'postgresql.conf',
		join("\n",
			($preload ? "shared_preload_libraries = 'jobq'" : ()),
			'max_connections = 50',
			'max_worker_processes = 32',
			'restart_after_crash = on',
			"timezone = 'UTC'",
			"log_timezone = 'UTC'",
			"log_line_prefix = '%m [%p] %b %q%a '",
			@{ $opt{conf} || [] }));

	if ($start)
	{
		$node->start;
		create_extension($node) if $preload && ($opt{extension} // 1);
	}
	return $node;
}

# create_extension($node, $database): CREATE EXTENSION jobq there.
sub create_extension
{
	my ($node, $db) = @_;
	$node->safe_psql($db // 'postgres', 'CREATE EXTENSION jobq');
	return;
}

# poll_until($code, $seconds): call $code until it returns true. Returns what
# it returned, or nothing after that many seconds. The last call begins after that time,
# so that a machine that stood still meanwhile is no failure.
sub poll_until
{
	my ($code, $seconds) = @_;
	my $end = time() + ($seconds // wait_limit());

	while (1)
	{
		my $is_last = time() > $end;
		my $result = $code->();
		return $result if $result;
		return if $is_last;
		usleep(20_000);
	}
}

# poll_query($node, $sql, %options): run the query until it returns "t" (or
# the option "expected"). Options: db, seconds, expected. True if it did.
sub poll_query
{
	my ($node, $sql, %opt) = @_;
	my $expected = $opt{expected} // 't';
	my ($out, $err) = ('', '');

	my $done = poll_until(
		sub {
			(undef, $out, $err) = $node->run_psql($opt{db} // 'postgres', $sql);
			return defined $out && $out eq $expected;
		},
		$opt{seconds});
	if (!$done)
	{
		diag("gave up waiting for \"$expected\" from: $sql");
		diag('last answer: ' . join("\n", grep { defined } $out, $err));
		diag(state_of_work($node, $opt{db} // 'postgres'));
	}
	return $done ? 1 : 0;
}

# What a server does, as text: where to look first after a wait in vain.
sub state_of_work
{
	my ($node, $db) = @_;
	my $text = '';

	foreach my $sql (
		q{SELECT backend_type, state, wait_event, now() - xact_start, query
		  FROM pg_stat_activity WHERE pid <> pg_backend_pid()},
		'SELECT * FROM jobq.health',
		'SELECT * FROM jobq.workers',
		'SELECT to_jsonb(j) - \'{payload,result}\'::text[] FROM jobq_store.job AS j LIMIT 20')
	{
		my (undef, $out, $err) =
		  $node->run_psql($db, "SET ROLE NONE; SET statement_timeout = '10 s'; $sql");
		$text .= "-- $sql\n$out\n$err\n";
	}
	return $text;
}

# poll_ok($node, $sql, $name, %options): poll_query as a test.
sub poll_ok
{
	my ($node, $sql, $name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(poll_query($node, $sql, %opt), $name);
}

# dismiss_coordinator($node): the databases are left without one.
sub dismiss_coordinator
{
	my ($node) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->safe_psql('postgres', "ALTER SYSTEM SET jobq.databases = 'other'");
	$node->reload;
	return poll_ok(
		$node,
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'",
		'the coordinator has left',
		expected => '0');
}

# all_jobs_run($node, $name, $condition): wait until no job is left to be run, of those
# in jobq.jobs that meet the condition (all by default).
sub all_jobs_run
{
	my ($node, $name, $condition) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return poll_ok(
		$node,
		q{SELECT count(*) FROM jobq.jobs WHERE state IN ('ready', 'running', 'scheduled') AND }
		  . ($condition // 'true'),
		"$name: all jobs are run",
		expected => '0');
}

# limits_settled($node, $name): wait until shared memory agrees with the tables
# about what is running.
sub limits_settled
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return poll_ok(
		$node,
		'SELECT count(*) FROM jobq_store.flow_check()',
		"$name: memory agrees with the tables",
		expected => '0');
}

# wait_for_rest($node, $queue): wait until what was set off is over: the
# coordinator has expired a job of this queue, which nobody takes, after it was
# woken for everything before, and it and the executors are asleep. Dies if they
# do not come to rest.
sub wait_for_rest
{
	my ($node, $queue) = @_;

	my $id = $node->safe_psql('postgres', "SELECT jobq.enqueue('$queue', ttl => '1 ms')");
	poll_query($node, "SELECT state = 'expired' FROM jobq.jobs WHERE id = $id")
	  or die "the control job has not expired\n";
	poll_query(
		$node,
		q{SELECT bool_and(wait_event_type = 'Extension') FROM pg_stat_activity
		WHERE datname = 'postgres' AND backend_type IN ('jobq coordinator', 'jobq executor')}
	) or die "the processes are not at rest\n";
	return;
}

# within($seconds, $name, $code): the code must return within this many
# seconds, after which it is interrupted. Returns what the code returned.
sub within
{
	my ($seconds, $name, $code) = @_;
	my $result;
	my $start = time();

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $done = eval {
		local $SIG{ALRM} = sub { die "time is up\n" };
		alarm($seconds);
		$result = $code->();
		alarm(0);
		1;
	};
	my $error = $@;
	alarm(0);
	ok($done, $name)
	  or diag(sprintf("after %.1f s: %s", time() - $start, $error));
	return $result;
}

# wait_for_first_rest($node): wait after a start of the server until the coordinator has
# done what it begins with: it has read the leases and counted what is running, and
# writes no more WAL. Dies if it does not come to rest.
sub wait_for_first_rest
{
	my ($node) = @_;

	poll_query(
		$node,
		q{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'postgres'
		AND backend_type = 'jobq coordinator' AND wait_event_type = 'Extension'}
	) or die "the coordinator does not come to rest\n";
	return;
}

# worker_pids($node, $type, $database): PIDs of the processes with this
# pg_stat_activity.backend_type (a LIKE pattern), ascending.
sub worker_pids
{
	my ($node, $type, $db) = @_;
	$type =~ s/'/''/g;
	my $sql = "SELECT pid FROM pg_stat_activity" . " WHERE backend_type LIKE '$type'";
	$sql .= " AND datname = '$db'" if defined $db;
	my ($status, $out) = $node->run_psql('postgres', "$sql ORDER BY pid");
	return $status == 0 ? split(/\n/, $out // '') : ();
}

# wait_for_worker($node, $type, %options): wait until one is there and return
# its PID; dies if none comes. Options: db, seconds, not (a PID that does not
# count, since it is the former one).
sub wait_for_worker
{
	my ($node, $type, %opt) = @_;
	my $found = poll_until(
		sub {
			my ($pid) = grep { $_ != ($opt{not} // 0) } worker_pids($node, $type, $opt{db});
			return $pid;
		},
		$opt{seconds});
	die "no process \"$type\" came up\n" unless $found;
	return $found;
}

# kill_9($node, $pid): kill a server process as the kernel would. The server
# restarts all its processes then; returns when it takes connections again.
sub kill_9
{
	my ($node, $pid) = @_;
	crash_and_recover($node, sub { kill('KILL', $pid) or die "kill $pid: $!" });
	return;
}

# crash_and_recover($node, $code): run code that makes a server process crash,
# and wait until the server has recovered.
sub crash_and_recover
{
	my ($node, $code) = @_;
	my $from = log_position($node);
	$code->();
	wait_for_recovery($node, $from);
	return;
}

# wait_for_recovery($node, $position): wait until the server has gone through
# a crash since that position in its log, and takes connections. Reads the
# log only: an attempt to connect would leave a FATAL there.
sub wait_for_recovery
{
	my ($node, $from) = @_;
	poll_until(
		sub {
			log_since($node, $from) =~
			  /terminated; reinitializing.*ready to accept (?:read-only )?conn/s;
		}) or die "the server did not crash, or did not recover\n";
	return;
}

# seed_random(): another seed for rand() each time, unless the environment names one.
sub seed_random
{
	my $seed = $ENV{JOBQ_SEED} // int(time());
	note("seed $seed (JOBQ_SEED)");
	srand($seed);
	return;
}

# disturb($node, $seconds, $round): up to three times, after a pause of up to that many
# seconds, kills or terminates an executor, which is what comes most often, the coordinator,
# or a client whose name begins with "taker", or restarts the server after a crash. A crash
# is the last disturbance.
sub disturb
{
	my ($node, $seconds, $round) = @_;
	my @kinds = (('jobq executor') x 3, 'jobq coordinator', 'client backend', 'postmaster');

	for (1 .. 1 + int(rand(3)))
	{
		my $kind = $kinds[ rand(@kinds) ];
		$node->sql('SELECT pg_sleep(' . rand($seconds) . ')');
		if ($kind eq 'postmaster')
		{
			note("round $round: restart");
			$node->stop('immediate');
			$node->start;
			return;
		}
		my $pid = $node->sql(
			"SELECT pid FROM pg_stat_activity WHERE backend_type = '$kind'
			AND pid <> pg_backend_pid() AND (backend_type <> 'client backend'
				OR application_name ~ '^taker') ORDER BY random() LIMIT 1");
		next if $pid eq '';
		note("round $round: $kind");
		if (rand(2) < 1) { kill_9($node, $pid); return; }
		$node->sql("SELECT pg_terminate_backend($pid, 10000)");
	}
	return;
}

# as_role($node, $role, $sql, $database): what a role gets for statements.
sub as_role
{
	my ($node, $role, $sql, $db) = @_;
	local $ENV{PGUSER} = $role;
	return $node->safe_psql($db // 'postgres', $sql);
}

# coordinator_on_time($node, $name, $claims, $ttl, $set): leases, times to live,
# delayed jobs and schedules are on time. The first two are of queues of these
# names, the others of a queue "done" and a schedule "tick", which fires each
# second; $set is run first in each session.
sub coordinator_on_time
{
	my ($node, $name, $claims, $ttl, $set) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $sql = sub { return $node->safe_psql('postgres', ($set // '') . ";$_[0]") };

	my $answers = $sql->(
		"SELECT jobq.enqueue('$claims', unique_key => 'lease');
			SELECT jobq.dequeue('$claims', lease => '200 ms');
			SELECT jobq.enqueue('$ttl', ttl => '200 ms', priority => 9);
			SELECT jobq.enqueue('done', delay => '200 ms');
			SELECT runs FROM jobq.schedules WHERE name = 'tick'"
	);
	my ($expires, $delayed, $runs) = (split(/\n/, $answers))[ -3 .. -1 ];
	ok( poll_query(
			$node,
			"SELECT (SELECT state = 'expired' FROM jobq.jobs WHERE id = $expires)
			 AND (SELECT state = 'completed' FROM jobq.jobs WHERE id = $delayed)
			 AND NOT EXISTS (SELECT FROM jobq.jobs WHERE queue = '$claims' AND state = 'running')
			 AND (SELECT runs > $runs FROM jobq.schedules WHERE name = 'tick')",
			seconds => 30),
		$name);
	$sql->("SELECT jobq.complete(id, lease) FROM jobq.dequeue('$claims')");
	return;
}

# sql_error($node, $sql, $database): run SQL that must fail; returns psql's
# error output (with SQLSTATE), or an empty string if it did not fail.
sub sql_error
{
	my ($node, $sql, $db) = @_;
	my $err = '';
	my $status = $node->psql(
		$db // 'postgres',
		"\\set VERBOSITY verbose\n$sql",
		stderr => \$err,
		on_error_stop => 1);
	return $status == 0 ? '' : $err;
}

# log_position($node): where the server's log ends now.
sub log_position
{
	my ($node) = @_;
	return -s $node->logfile || 0;
}

# log_since($node, $position): the server's log from there on.
sub log_since
{
	my ($node, $position) = @_;
	open(my $fh, '<', $node->logfile) or return '';
	seek($fh, $position // 0, 0);
	local $/ = undef;
	my $text = <$fh>;
	close($fh);
	return $text // '';
}

# Autovacuum starts a worker for a database that is dropped meanwhile.
my $autovacuum_comes_late =
  qr/autovacuum worker .*FATAL:  (?:database \S+ does not exist|.* invalid database)/;

# unexpected_log_lines($node, $position, @allowed): WARNING and worse in the
# log since then, without those that match one of the regular expressions.
sub unexpected_log_lines
{
	my ($node, $position, @allowed) = @_;
	my @found;
	foreach my $line (split(/\n/, log_since($node, $position)))
	{
		next unless $line =~ /\b(?:WARNING|ERROR|FATAL|PANIC):  /;
		push @found, $line unless grep { $line =~ $_ } @allowed, $autovacuum_comes_late;
	}
	return @found;
}

1;
