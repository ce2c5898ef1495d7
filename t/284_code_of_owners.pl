# t/284_code_of_owners.pl: who has an owner's privileges on a queue, but cannot SET ROLE
# to the owner, cannot have functions run as that role.

use strict;
use warnings;

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

$node->stop;
done_testing();
