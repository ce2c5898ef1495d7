# t/284_code_of_owners.pl: who has an owner's privileges on a queue, but cannot SET ROLE
# to the owner, cannot have functions run as that role, and cannot give other parameters
# to commands that do.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);

$node->sql(
	q{
	DROP EXTENSION jobq;
	CREATE ROLE dba SUPERUSER LOGIN;
	GRANT CREATE ON SCHEMA public TO dba});
as_role($node, 'dba', 'CREATE EXTENSION jobq');
$node->sql(
	q{
	ALTER ROLE dba NOSUPERUSER;
	CREATE FUNCTION good(jsonb) RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
	SELECT jobq.create_queue('mail', 'good(jsonb)')});
as_role(
	$node, 'dba',
	q{
	CREATE FUNCTION mine(jsonb) RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
	CREATE FUNCTION wait_for(int, jsonb) RETURNS interval LANGUAGE sql
		AS $$SELECT interval '1 s'$$});

# The error of a call by a role
sub refused
{
	my ($role, $sql) = @_;
	local $ENV{PGUSER} = $role;
	my ($code, $detail) = sql_error($node, $sql) =~ /ERROR:  (\w{5}):.*DETAIL:  (.*?)\n/s;
	return ($code // '') . ' ' . ($detail // '');
}

my $refused = qr/^42501 The function runs as the queue's owner/;
foreach my $role ('dba', 'inherits')
{
	my $queue = $role eq 'dba' ? 'mail' : 'letters';
	if ($role eq 'inherits')
	{
		last if $node->sql('SHOW server_version_num') < 160000;
		$node->sql(
			q{
			CREATE ROLE alice LOGIN;
			CREATE ROLE inherits LOGIN;
			GRANT alice TO inherits WITH INHERIT TRUE, SET FALSE;
			SELECT jobq.grant_usage('alice', may_create => true);
			SELECT jobq.create_queue('letters', 'good(jsonb)', owner => 'alice')});
	}
	like(refused($role, "SELECT jobq.alter_queue('$queue', handler => 'mine(jsonb)')"),
		$refused, "$role: handler");
	like(refused($role, "SELECT jobq.alter_queue('$queue', payload_check => 'mine(jsonb)')"),
		$refused, "$role: payload_check");
	like(
		refused(
			$role, "SELECT jobq.alter_queue('$queue', backoff_function => 'wait_for(int,jsonb)')"),
		$refused,
		"$role: backoff_function");
	like(refused($role, "SELECT jobq.create_queue('$queue', 'mine(jsonb)', or_replace => true)"),
		$refused, "$role: or_replace");
	as_role($node, $role, "SELECT jobq.alter_queue('$queue', max_attempts => 3)");
	as_role($node, $role, "SELECT jobq.create_queue('$queue', 'good(jsonb)', or_replace => true)");
	is($node->sql("SELECT handler FROM jobq.queues WHERE queue = '$queue'"),
		'public.good(jsonb)', "$role: the handler is as it was");
	as_role($node, $role, "SELECT jobq.reset_queue('$queue', 'handler')");
	like(refused($role, "SELECT jobq.alter_queue('$queue', handler => 'mine(jsonb)')"),
		$refused, "$role: a queue without a handler");
}

# Commands: two of them have not been started, and one is completed.
sub commands_of
{
	my ($role) = @_;
	my $ids = as_role(
		$node, $role,
		q{SELECT jobq.run('SELECT current_user, $1', '{"is": "given"}', delay => d::interval)
			FROM unnest('{0,1 d,1 d}'::text[]) AS d});
	my ($done, @waiting) = split(/\n/, $ids);
	poll_ok(
		$node,
		"SELECT state FROM jobq.jobs WHERE id = $done",
		"a command of $role is completed",
		expected => 'completed');
	return ($done, @waiting);
}

my $params = qr/^42501 Its command runs as the owner of queue/;

# May a role manage the commands, and give them other parameters?
sub parameters_ok
{
	my ($role, $done, $waiting) = @_;
	my $other = q{'{"is": "mine"}'};
	like(refused($role, "SELECT jobq.retry($done, $other)"), $params, "$role: retry");
	like(refused($role, "SELECT jobq.set_payload($waiting, $other)"),
		$params, "$role: set_payload");
	is( $node->sql(
			"SELECT string_agg(DISTINCT payload::text, ' ') FROM jobq.jobs
				WHERE id IN ($done, $waiting)"
		),
		'{"is": "given"}',
		"$role: the parameters are as they were");
	is(as_role($node, $role, "SELECT jobq.set_priority($waiting, 5)"), 't', "$role: set_priority");
	is(as_role($node, $role, "SELECT jobq.retry($done)"), $done, "$role: retry with the old ones");
	return;
}

my ($done, $waiting, $another) = commands_of('postgres');
parameters_ok('dba', $done, $waiting);
is($node->sql(qq{SELECT jobq.set_payload($waiting, '{"is": "mine"}')}), 't', 'a superuser may');

$node->sql(
	q{
	CREATE ROLE carol LOGIN;
	CREATE ROLE manager LOGIN;
	CREATE ROLE heir LOGIN IN ROLE carol;
	SELECT jobq.grant_usage('carol', may_create => true);
	SELECT jobq.grant_usage('manager')});
($done, $waiting, $another) = commands_of('carol');
as_role($node, 'carol', q{SELECT jobq.grant_queue('run:carol', 'manager', 'manage')});
parameters_ok('manager', $done, $waiting);
foreach my $role ('carol', 'heir')
{
	is(as_role($node, $role, qq{SELECT jobq.set_payload($another, '{"is": "mine"}')}),
		't', "$role can SET ROLE: set_payload");
}
if ($node->sql('SHOW server_version_num') >= 160000)
{
	$node->sql('GRANT carol TO inherits WITH INHERIT TRUE, SET FALSE');
	($done, $waiting) = commands_of('carol');
	parameters_ok('inherits', $done, $waiting);
}

# The right is judged again after a wait.
my $holder = start_session($node);
my $waiter = start_session($node, verbosity => 'verbose');
ask($holder, "BEGIN; SELECT jobq.set_priority($another, 7)");
order($waiter, qq{SET ROLE heir; SELECT jobq.set_payload($another, '{"is": "late"}')});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND query LIKE '%late%'},
	'set_payload waits');
ask($holder, q{SELECT jobq.grant_queue('run:carol', 'heir', 'manage'); REVOKE carol FROM heir});
ask($holder, 'COMMIT');
like(answer($waiter), qr/42501: .*parameters/, 'the role was revoked while set_payload waited');
end_session($holder);
end_session($waiter);

$node->stop;
done_testing();
