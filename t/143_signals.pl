# t/143_signals.pl: handlers in PL/Perl that change how signals are handled, and
# what PL/Perl runs when a process exits: they do not affect the next job, the
# executor or the server.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 1', 'jobq.worker_idle_timeout = 10min', 'max_worker_processes = 6' ]);

plan skip_all => 'PL/Perl is not installed'
  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'});

$node->sql(
	q{
	CREATE EXTENSION plperl;
	CREATE TABLE pids (what text, pid int);
	CREATE FUNCTION default_left() RETURNS void LANGUAGE plperl AS $$
		{ local @SIG{qw(ALRM INT HUP USR1 QUIT)} = (sub { 1 }) x 5; } return $$;
	CREATE FUNCTION own_left() RETURNS void
		LANGUAGE plperl AS $$ $SIG{$_} = sub { 1 } for qw(ALRM INT USR1 HUP) $$;
	CREATE FUNCTION ignored() RETURNS void LANGUAGE plperl AS $$
		$SIG{$_} = 'IGNORE' for qw(ALRM INT USR1 HUP TERM); return $$;
	-- its timeout comes in vain
	CREATE FUNCTION alarm_lost() RETURNS void LANGUAGE plperl AS $$
		$SIG{ALRM} = 'IGNORE'; select(undef, undef, undef, 0.5) $$;
	CREATE FUNCTION fails() RETURNS void LANGUAGE plperl AS $$ $SIG{ALRM} = 'IGNORE'; die "gone" $$;
	CREATE PROCEDURE procedure_left() LANGUAGE plperl AS $$ spi_commit();
		{ local $SIG{ALRM} = sub { 1 }; } $$;
	CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO public.pids VALUES ('slow', pg_backend_pid()); PERFORM pg_sleep(600); END $$;
	CREATE FUNCTION who() RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(pg_backend_pid())';
	SELECT jobq.create_queue('slow', 'slow()', max_attempts => 1),
		jobq.create_queue('who', 'who()'), jobq.create_queue('lost', 'alarm_lost()',
			max_attempts => 1, timeout => '100 ms'),
		jobq.create_queue('procedure_left', 'procedure_left()', max_attempts => 1);
	SELECT jobq.create_queue(f, (f || '()')::regprocedure, max_attempts => 1)
		FROM unnest('{default_left,own_left,ignored,fails}'::text[]) AS f});

# The job ends, in that state.
sub ends_ok
{
	my ($id, $state, $name) = @_;
	return poll_ok($node, "SELECT state = '$state' FROM jobq.jobs WHERE id = $id", $name);
}

my $start = $node->sql('SELECT pg_postmaster_start_time()');
my $position = log_position($node);
foreach my $queue ('default_left', 'own_left', 'ignored', 'fails', 'lost', 'procedure_left')
{
	my $id = $node->sql("SELECT jobq.enqueue('$queue')");
	poll_ok(
		$node,
		"SELECT state IN ('completed', 'dead') FROM jobq.jobs WHERE id = $id",
		"$queue: the job that changes signals has run");
	$id = $node->sql("SELECT jobq.enqueue('slow', timeout => '300 ms')");
	ends_ok($id, 'dead', "$queue: the next job's timeout takes effect");
	is($node->sql("SELECT outcome FROM jobq.attempts WHERE job_id = $id"),
		'timed out', "$queue: the next job has timed out");
	$id = $node->sql("SELECT jobq.enqueue('slow')");
	poll_ok(
		$node,
		"SELECT state = 'running' FROM jobq.jobs WHERE id = $id",
		"$queue: another job runs");
	$node->sql("SELECT jobq.cancel($id)");
	ends_ok($id, 'cancelled', "$queue: another job is cancelled");
}
unlike(log_since($node, $position), qr/terminated by signal/, 'no process was killed');

# A process stays, unless it may have lost the signal to end.
my $who = sub {
	my $id = $node->sql("SELECT jobq.enqueue('who')");
	ends_ok($id, 'completed', 'a job tells its process');
	return $node->sql("SELECT result FROM jobq.jobs WHERE id = $id");
};
my $pid = $who->();
ends_ok($node->sql("SELECT jobq.enqueue('own_left')"),
	'completed', 'signals are handled in another way');
is($who->(), $pid, 'the process stays');
ends_ok($node->sql("SELECT jobq.enqueue('ignored')"), 'completed', 'SIGTERM is ignored');
isnt($who->(), $pid, 'the process leaves');

# The last thing that a process does is not the owner's code.
$node->sql(
	q{
	CREATE FUNCTION ends() RETURNS void LANGUAGE plperl AS $$ eval 'END { 1 while 1 }'; return $$;
	SELECT jobq.create_queue('ends', 'ends()')});
$pid = $who->();
ends_ok($node->sql("SELECT jobq.enqueue('ends')"), 'completed', 'a job leaves an END block');
$node->append_conf('postgresql.conf', 'jobq.worker_idle_timeout = 100ms');
$node->reload;
$who->();
ok(poll_until(sub { !kill(0, $pid) }), 'the process exits');
kill('KILL', $pid);

$node->stop('fast');
done_testing();
