# t/034_wait.pl: CALL jobq.wait(): when it wakes, what it holds meanwhile, and
# that no wake-up gets lost. First without workers, so that only the commits
# themselves wake a session.

use strict;
use warnings;

use IPC::Run    ();
use JobqSession qw(start_session order ask end_session sleeps_in_wait);
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ["jobq.enabled = off"]);
my $connection = $node->connstr('postgres');

# start_wait($arguments): a client in CALL jobq.wait($arguments).
sub start_wait
{
	my ($arguments, $role) = @_;
	my $client = { out => '', err => '' };
	my $as = $role ? " user=$role" : '';
	$client->{run} = IPC::Run::start(
		[
			'psql', '-XAtq',
			'-v', 'VERBOSITY=verbose',
			'-d', "$connection$as application_name=waiter",
			'-c', "CALL jobq.wait($arguments)"
		],
		'<',
		\undef,
		'>',
		\$client->{out},
		'2>',
		\$client->{err});
	return $client;
}

# answer($client): what its call returned, or its error.
sub answer
{
	my ($client) = @_;
	my $done = poll_until(sub { $client->{run}->pump_nb; return !$client->{run}->pumpable; });
	$client->{run}->kill_kill unless $done;
	eval { $client->{run}->finish };
	my $answer = $client->{out} . $client->{err};
	chomp $answer;
	return $done ? $answer : 'no answer';
}

# waiting($n): wait until n clients are asleep in jobq.wait().
sub waiting
{
	my ($n) = @_;
	return poll_query(
		$node,
		"SELECT count(*) FROM pg_stat_activity"
		  . " WHERE application_name = 'waiter' AND backend_xmin IS NULL"
		  . " AND wait_event_type = 'Extension'",
		expected => $n);
}

sub waiter_pids
{
	return split(
		/\n/,
		$node->safe_psql(
			'postgres',
			"SELECT pid FROM pg_stat_activity"
			  . " WHERE application_name = 'waiter' ORDER BY backend_start"));
}

# nobody completes them: leases that run out would make the jobs ready again
$node->sql(
	"SELECT jobq.create_queue('a', lease => '1 hour'), jobq.create_queue('b', lease => '1 hour')");

# What it holds while it waits, and what wakes it
my $waiter = start_wait("'{a,b}', NULL");
ok(waiting(1), 'a session waits');
my ($pid) = waiter_pids();
is( $node->sql(
			"SELECT backend_xid IS NULL AND backend_xmin IS NULL"
		  . " FROM pg_stat_activity WHERE pid = $pid"),
	't',
	'a waiting session has no transaction id and no snapshot');
is( $node->sql("SELECT count(*) FROM pg_locks WHERE pid = $pid" . " AND locktype <> 'virtualxid'"),
	'0',
	'a waiting session holds no lock');
$node->sql("BEGIN; SELECT jobq.enqueue('a'); ROLLBACK");
$node->sql("BEGIN; SAVEPOINT s; SELECT jobq.enqueue('b'); ROLLBACK TO s; COMMIT");
$node->sql("SELECT jobq.enqueue('a', delay => '1 hour')");
my $session = start_session($node);
ask($session, "BEGIN; SELECT jobq.enqueue('b')");
ok(waiting(1), 'rollbacks, scheduled jobs and open transactions wake no waiter');
ask($session, "COMMIT");
is(answer($waiter), 't', 'a commit wakes the waiter');
$node->sql("SELECT jobq.dequeue('b')");

# Time out
within(
	10,
	'time is up in time',
	sub {
		is(answer(start_wait("'{a,b}', '100 ms'")), 'f', 'wait() returns false when time is up');
	});

# One job wakes one client, two wake two
my @waiters = map { start_wait("'{b}', NULL") } (1 .. 3);
ok(waiting(3), 'three clients wait');
$node->sql("SELECT jobq.enqueue('b')");
ok(waiting(2), 'one job wakes one');
$node->sql("SELECT jobq.enqueue_many('b', '{1,2}')");
ok(waiting(0), 'two jobs wake two');
is(join(' ', map { answer($_) } @waiters), 't t t', 'all waiters are told of jobs');
$node->sql("SELECT jobq.dequeue('b', 10)");

# A client that is gone before it could look passes the wake-up on. All are
# stopped, so that none can look before all but one are told to end.
foreach my $survivor (0, 3)
{
	my @four = map {
		my $client = start_wait("'{a,b}', NULL");
		waiting($_);
		$client
	} (1 .. 4);
	my @pids = waiter_pids();
	is(scalar(@pids), 4, 'four clients wait');
	kill('STOP', @pids);
	$node->sql("SELECT jobq.enqueue('b')");
	my @others = grep { $_ != $pids[$survivor] } @pids;
	if ($survivor == 0)
	{
		$node->sql("SELECT pg_terminate_backend(pid) FROM unnest('{"
			  . join(',', @others)
			  . "}'::int[]) AS pid");
	}
	else
	{
		$node->sql("SELECT pg_cancel_backend(pid) FROM unnest('{"
			  . join(',', @others)
			  . "}'::int[]) AS pid");
	}
	kill('CONT', @others);
	ok( poll_query(
			$node,
			"SELECT count(*) FROM pg_stat_activity" . " WHERE application_name = 'waiter'",
			expected => '1'),
		'three of the clients were terminated');
	kill('CONT', $pids[$survivor]);
	is(answer($four[$survivor]), 't', 'the fourth is told of the job');
	answer($_) foreach @four;
	is($node->sql("SELECT count(*) FROM jobq.dequeue('b', 10)"), '1', 'the job can be claimed');
}

# A job that another transaction holds is none to wait for; when it is given
# back, it is one.
$node->sql("SELECT jobq.enqueue('b')");
ask($session, "BEGIN");
like(ask($session, "SELECT count(*) FROM jobq.take('b')"), qr/^1$/m, 'taken');
is(answer(start_wait("'{b}', '100 ms'")), 'f', 'a taken job is not ready');
$waiter = start_wait("'{b}', NULL");
ok(waiting(1), 'a session waits for the taken job');
ask($session, "ROLLBACK");
end_session($session);
is(answer($waiter), 't', 'a session is told when the job is given back');
$node->sql("SELECT jobq.dequeue('b')");

# What becomes of those who may not wait any longer
$node->sql("CREATE ROLE walter LOGIN");
$node->sql("SELECT jobq.grant_usage('walter'), jobq.grant_queue('b', 'walter', 'consume')");
$waiter = start_wait("'{b}', NULL", 'walter');
ok(waiting(1), 'a session waits as another role');
$node->sql("SELECT jobq.revoke_queue('b', 'walter', 'consume'), jobq.enqueue('b')");
like(
	answer($waiter),
	qr/42501: permission denied for queue "b"/,
	'privileges are checked when it wakes');
is($node->sql("SELECT count(*) FROM jobq.dequeue('b')"), '1', 'the job can be claimed');
$node->sql("SELECT jobq.grant_queue('b', 'walter', 'consume')");
$waiter = start_wait("'{b}', NULL", 'walter');
ok(waiting(1), 'the other role waits again');
$node->sql("SELECT jobq.revoke_usage('walter'), jobq.enqueue('b')");
like(
	answer($waiter),
	qr/42501: permission denied for function wait.*grant_usage\('walter'\)/s,
	'the right to use jobq is checked when it wakes');
is($node->sql("SELECT count(*) FROM jobq.dequeue('b')"), '1', 'the next job can be claimed');

$waiter = start_wait("'{a,b}', NULL");
ok(waiting(1), 'a session waits for two queues');
$node->sql("SELECT jobq.drop_queue('b', force => true)");
like(
	answer($waiter),
	qr/42704: queue "b" does not exist/,
	'a session is told that its queue was dropped');

# Names of channels are not cut within a character
$node->sql("SELECT jobq.create_queue(repeat(U&'\\00e9', 31))");
is($node->sql("SELECT octet_length(jobq.channel(repeat(U&'\\00e9', 31)))"),
	'62', 'a channel of two-byte characters');

# With the coordinator: jobs that become due, and clients that do not dequeue
$node->sql("SELECT jobq.drop_queue('a', force => true)");
$node->append_conf('postgresql.conf', "jobq.enabled = on");
$node->reload;
wait_for_worker($node, '%coordinator%', db => 'postgres');
$node->sql("SELECT jobq.create_queue('c')");
$waiter = start_wait("'{c}', NULL");
ok(waiting(1), 'a session waits for a scheduled job');
$node->sql("SELECT jobq.enqueue('c', delay => '300 ms')");
is(answer($waiter), 't', 'the session is told when the job is due');
$node->sql("SELECT jobq.dequeue('c')");

@waiters = map { start_wait("'{c}', NULL") } (1 .. 2);
ok(waiting(2), 'two clients wait');
$node->sql("SELECT jobq.enqueue('c')");
is(join(' ', map { answer($_) } @waiters),
	't t', 'the second client is told, too, since the first took nothing');

# Notifications do not stay in the server's queue because of a session that waits.
my $listener = start_session($node, name => 'listener', verbosity => 'verbose');
$node->sql(q{SELECT jobq.create_queue('d')});
ask($listener, 'LISTEN here');
order($listener, q{CALL jobq.wait('{d}', NULL)});
sleeps_in_wait($node, $listener);
$node->sql(q{SELECT pg_notify('here', 'first')});
$node->sql(
	q{SELECT count(pg_notify('elsewhere', i || repeat('x', 7000)))
	FROM generate_series(1, 2000) AS i});
poll_ok(
	$node, q{SELECT pg_notification_queue_usage() < 0.0002 FROM (
		SELECT count(pg_notify('elsewhere', i || repeat('x', 7000)))
		FROM generate_series(1, 10) AS i) AS n},
	'a session that waits reads its notifications');
sleeps_in_wait($node, $listener);
is( $node->sql(
		q{SELECT state || ' ' || (xact_start IS NULL) FROM pg_stat_activity
		WHERE application_name = 'listener'}),
	'idle true',
	'a session that has read notifications is idle again');
$node->sql(q{SELECT jobq.enqueue('d')});
like(
	JobqSession::answer($listener),
	qr/^t\n.*"here" with payload "first"/s,
	'the session is told of its job and of the notification');
ask($listener, q{SELECT jobq.dequeue('d')});
order($listener, q{CALL jobq.wait('{d}', NULL)});
sleeps_in_wait($node, $listener);
$node->sql(q{SELECT pg_notify('here', 'second')});
$node->sql(
	q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'listener'});
like(JobqSession::answer($listener),
	qr/57014/, 'a session that reads notifications can be cancelled');
is(ask($listener, 'SELECT 1'), "1\n", 'the session goes on after that');
end_session($listener);

done_testing();
