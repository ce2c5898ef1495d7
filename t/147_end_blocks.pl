# t/147_end_blocks.pl: END blocks that code of a queue's owner has left in other
# sessions do not run: nobody could see or end such a process.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 2', 'jobq.worker_idle_timeout = 1s', 'log_disconnections = on' ]);
my $wait = wait_limit();

plan skip_all => 'PL/Perl is not installed'
  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'});

# Without care the process would live for longer than this test waits.
$node->sql(
	qq{CREATE EXTENSION plperl;
	CREATE ROLE owner LOGIN; CREATE ROLE caller LOGIN;
	GRANT CREATE ON SCHEMA public TO owner, caller;
	SELECT jobq.grant_usage('owner', true), jobq.grant_usage('caller', true);
	SET SESSION AUTHORIZATION owner;
	CREATE FUNCTION plant() RETURNS void LANGUAGE plperl AS \$\$
		eval 'END { my \$t = time; 1 while time - \$t < 2 * $wait }' unless \$_SHARED{planted}++;
		return;
	\$\$;
	CREATE FUNCTION checked(jsonb) RETURNS boolean LANGUAGE plpgsql AS
		'BEGIN PERFORM public.plant(); RETURN true; END';
	CREATE FUNCTION backoff(integer, jsonb) RETURNS interval LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM public.plant(); RETURN interval '1 h'; END\$\$;
	CREATE FUNCTION handle(jsonb) RETURNS void LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM public.plant(); RAISE 'no'; END\$\$;
	SELECT jobq.create_queue('checked', payload_check => 'checked(jsonb)');
	SELECT jobq.create_queue('failed', backoff_function => 'backoff(integer, jsonb)');
	SELECT jobq.grant_queue('checked', 'caller', 'enqueue'),
		jobq.grant_queue('failed', 'caller', 'enqueue', 'consume')}
);

# Whether a process goes away in time; it is ended if it does not.
sub exits
{
	my ($pid, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(poll_until(sub { !kill(0, $pid) }), $name) or kill('KILL', $pid);
	return;
}

sub log_has
{
	my ($from, $pattern) = @_;
	return log_since($node, $from) =~ $pattern;
}

my $from = log_position($node);
my $pid = $node->sql(
	q{SET SESSION AUTHORIZATION caller; SELECT jobq.enqueue('checked') \g /dev/null
	SELECT pg_backend_pid()});
exits($pid, 'a session that has enqueued exits');
ok(poll_until(sub { log_has($from, qr/\[$pid\].* disconnection: session time/) }),
	'as others do, with an entry in the log');
unlike(
	log_since($node, $from),
	qr/terminated by signal|exited with exit code/,
	'the log has no complaint');

$pid = $node->sql(
	q{SET SESSION AUTHORIZATION caller; SELECT jobq.enqueue('failed') \g /dev/null
	SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('failed') \g /dev/null
	SELECT pg_backend_pid()});
exits($pid, 'so does one that has failed a job');

$pid = $node->sql(
	q{SET SESSION AUTHORIZATION caller;
	CREATE FUNCTION never() RETURNS boolean LANGUAGE plpgsql AS
		'BEGIN RETURN public.plant() IS NULL; END';
	SELECT jobq.enqueue('checked') \g /dev/null
	SELECT never() \g /dev/null
	SELECT pg_backend_pid()});
exits($pid, 'a session with PL/Perl code of its own exits');

# executors: the code of their own role, and that of others
$node->sql(
	q{SET SESSION AUTHORIZATION owner;
	SELECT jobq.create_queue('run', 'handle(jsonb)', backoff_function => 'backoff(integer, jsonb)');
	SELECT jobq.enqueue('run')});
poll_ok($node, q{SELECT count(*) = 1 FROM jobq.attempts WHERE queue = 'run'}, 'a job has run');
my ($executor) = worker_pids($node, 'jobq executor');
exits($executor, 'its executor exits') if defined $executor;

$node->stop('fast');
ok(1, 'the server shuts down');

done_testing();
