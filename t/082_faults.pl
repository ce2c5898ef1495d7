# t/082_faults.pl: processes that die in the middle of work: those of jobq,
# those of its clients, the postmaster. A load runs all the time. After each
# death the workers come back, and in the end each job has been done once.
#
# t/060 has what becomes of the job of an executor that dies, t/010 the same
# deaths without a load, t/081 many rounds of crashes.

use strict;
use warnings;

use JobqLoad;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node =
  jobq_node('main', conf => [ 'jobq.max_workers = 3', 'log_statement = none', 'fsync = off' ]);

# The last fault: when it was, and where the log of it begins.
my ($position, $since);

# Something is about to break.
sub at_fault
{
	$position = log_position($node);
	$since = time();
	return;
}

# What must hold after a fault.  Each process that dies or that is started
# in vain may leave a line or two in the log.
sub recovered_ok
{
	my ($name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	load_runs_ok($node, $name, seconds => 30, since => $since);
	load_goes_on_ok($node, $name, seconds => 30);
	wait_for_worker($node, 'jobq launcher', seconds => 30);
	wait_for_worker($node, 'jobq coordinator', seconds => 30);
	quiet_log_ok($node, $position, $opt{lines} // 15, $name);
	return;
}

# One process of a kind; there is a load, so that there is one soon.
sub pid_of
{
	my ($type) = @_;
	load_place($node, 'load_h', 1);
	return wait_for_worker($node, $type);
}

load_set_up($node);
my $load = load_start($node);
load_goes_on_ok($node, 'before all');

# ------------------------------------------------------- jobq's processes

foreach my $type ('jobq launcher', 'jobq coordinator', 'jobq executor')
{
	my $pid = pid_of($type);
	at_fault();
	$node->sql("SELECT pg_terminate_backend($pid)");
	ok(poll_until(sub { !kill(0, $pid) }, 10), "$type: is terminated");
	recovered_ok("$type terminated");

	at_fault();
	# an executor may have left since it was seen
	my $killed = poll_until(
		sub {
			my $victim = pid_of($type);
			return kill('KILL', $victim);
		});
	wait_for_recovery($node, $position);
	ok($killed, "$type: is killed");
	recovered_ok("$type killed");
}

# all at once, several times: the launcher does not wait longer and longer
at_fault();
foreach my $round (1 .. 3)
{
	$node->sql(
		q{SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
		WHERE backend_type LIKE 'jobq%'});
	wait_for_worker($node, 'jobq launcher', seconds => 30);
}
recovered_ok('all terminated, three times', lines => 80);

# ------------------------------------------------------- clients of jobq

# Claims two jobs in a session of its own: one by a lease of an hour, one that
# is bound to the session.  Returns the session's PID and the jobs.
sub claim_in_session
{
	my ($session) = @_;
	$node->sql(
		q{
		SELECT jobq.create_queue(q, keep_completed => '1 h', backoff_base => '1 ms')
		FROM unnest('{leased,bound}'::text[]) AS q
		WHERE NOT EXISTS (SELECT FROM jobq.queues WHERE queue = q);
		SELECT jobq.enqueue(q) FROM unnest('{leased,bound}'::text[]) AS q});
	# a claim that did not wait for the disk may be lost with the server
	$session->query_safe('SET jobq.async_claims = off');
	my $leased =
	  $session->query_safe(q{SELECT id, lease FROM jobq.dequeue('leased', lease => '1 h')});
	my $bound =
	  $session->query_safe(q{SELECT id, lease FROM jobq.dequeue('bound', session_bound => true)});
	return (
		$session->query_safe('SELECT pg_backend_pid()'),
		split(/\|/, $leased),
		split(/\|/, $bound));
}

foreach my $how ('terminated', 'killed')
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my ($pid, $leased, $lease, $bound, $bound_lease) = claim_in_session($session);
	at_fault();
	if ($how eq 'killed')
	{
		kill_9($node, $pid);
	}
	else
	{
		$node->sql("SELECT pg_terminate_backend($pid, 5000)");
	}
	poll_ok(
		$node,
		"SELECT state IN ('ready', 'scheduled') AND attempt = 1 FROM jobq.jobs WHERE id = $bound",
		"session $how: its session-bound job is ready at once",
		seconds => 15);
	is( $node->sql(
			"SELECT j.state, s.lease = $lease FROM jobq.jobs AS j
		JOIN jobq_store.job AS s USING (id) WHERE id = $leased"),
		'running|t',
		"session $how: its lease still holds the job");
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue('leased')}),
		'0', "session $how: no other session gets the leased job");
	$node->sql("SELECT jobq.heartbeat($leased, $lease, extend => '1 ms')");
	poll_ok(
		$node,
		"SELECT count(*) = 1 FROM jobq.dequeue('leased') WHERE id = $leased",
		"session $how: the job is ready when the lease is over");
	like(sql_error($node, "SELECT jobq.complete($leased, $lease)"),
		qr/JQ001/, "session $how: the old lease is not accepted");
	like(sql_error($node, "SELECT jobq.complete($bound, $bound_lease)"),
		qr/JQ001/, "session $how: the session-bound lease is not accepted");
	$node->sql(
		q{SELECT jobq.drop_queue(q, force => true) FROM unnest('{leased,bound}'::text[]) AS q});
	recovered_ok("session $how");
	eval { $session->quit };
}

# --------------------------------------------------------- the postmaster

# with a long job in each executor, so that somebody has to notice
foreach my $how ('KILL', 'QUIT')
{
	load_place($node, 'load_h', 3, sleep => 2);
	poll_query(
		$node, q{SELECT count(*) > 0 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor'
			AND wait_event = 'PgSleep'}) or die "no long job runs\n";
	my @pids = worker_pids($node, 'jobq%');
	at_fault();
	if ($how eq 'KILL')
	{
		$node->kill9;
	}
	else
	{
		$node->stop('immediate');
	}
	ok( poll_until(
			sub {
				return !grep { kill(0, $_) } @pids;
			},
			20),
		"postmaster gets SIG$how: jobq's processes leave");
	poll_until(sub { $node->start(fail_ok => 1) }, 30)
	  or die "the server does not start\n";
	recovered_ok("postmaster gets SIG$how");
}

# ------------------------------------------- a job that crashes the server

# All workers are at it, and others' jobs are in the same queue.
$node->sql(
	q{
	CREATE FUNCTION load.crash(job jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -9 ' || pg_backend_pid());
	END $$;
	SELECT jobq.create_queue('crash', 'load.crash(jobq.job)', max_attempts => 3,
	  backoff => 'fixed', backoff_base => '10 ms')});
at_fault();
my $crash = $node->sql(q{SELECT jobq.enqueue('crash')});
ok( poll_until(
		sub {
			my ($status, $out) = $node->psql('postgres',
				"SELECT state || ' ' || attempt FROM jobq.jobs WHERE id = $crash");
			return $status == 0 && ($out // '') eq 'dead 3';
		}),
	'a job that crashes the server is dead after its attempts');
is(scalar(() = log_since($node, $position) =~ /reinitializing/g),
	3, 'the job has crashed the server no more often than it has attempts');
recovered_ok('a job that crashes the server', lines => 30);

# ------------------------------------------------------------ the account

load_stop($load);
load_account_ok($node, 'all faults');
is($node->sql(q{SELECT count(*) FROM jobq.dead_letters WHERE queue LIKE 'load%'}),
	'0', 'no other job has died');

$node->stop;
done_testing();
