# t/074_privileges.pl: privileges that could be bypassed easily: through the
# owner of a queue, a search_path, or functions that others are made to call.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');
$node->create_clock;

sub sql
{
	my ($sql, $role) = @_;
	return $node->safe_psql('postgres', $sql, extra_params => $role ? [ '-U', $role ] : []);
}

# error($role, $sql): SQLSTATE and message that the role gets, or ''.
sub error
{
	my ($role, $sql) = @_;
	my $err = '';
	$node->psql(
		'postgres', $sql,
		stderr => \$err,
		on_error_stop => 1,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	return $err =~ /(?:ERROR|FATAL):  (.*)/ ? $1 : '';
}

sql(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE team NOLOGIN;
CREATE ROLE admin SUPERUSER;
GRANT admin, team TO mallory;
SELECT jobq.grant_usage('mallory', may_create => true);
CREATE FUNCTION public.work(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION public.secret(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION public.check_payload(jsonb) RETURNS boolean LANGUAGE sql AS 'SELECT true';
REVOKE EXECUTE ON FUNCTION public.secret, public.check_payload FROM PUBLIC;
SQL

# Handlers run as the queue's owner: who may choose whom
like(
	error('mallory', "SELECT jobq.create_queue('m', owner => 'admin')"),
	qr/^42501: must be superuser to make superuser "admin" the owner/,
	'being a member of a superuser is not enough');
like(
	error('mallory', "SELECT jobq.create_queue('m', owner => 'postgres')"),
	qr/^42501: must be able to SET ROLE "postgres"/,
	'a role that is no member of a superuser is refused');
SKIP:
{
	skip 'workers connect as any role', 1 if $node->pg_version >= 17;
	like(
		error('mallory', "SELECT jobq.create_queue('m', 'public.work(jsonb)', owner => 'team')"),
		qr/^22023: role "team" cannot log in/,
		'a worker must be able to connect as the owner');
}
is(error('mallory', "SELECT jobq.create_queue('m', 'public.work(jsonb)')"),
	'', 'a role may create a queue of its own');
SKIP:
{
	skip 'workers connect as any role', 1 if $node->pg_version >= 17;
	like(
		error('mallory', "SELECT jobq.alter_queue('m', owner => 'team')"),
		qr/^22023: role "team" cannot log in/,
		'a new owner must have the privileges, too');
}
like(
	error('mallory', "SELECT jobq.alter_queue('m', 'public.secret(jsonb)')"),
	qr/^42501: permission denied for function/,
	'a handler that the owner may not execute');
like(
	error(
		'mallory', "SELECT jobq.alter_queue('m', payload_check => 'public.check_payload(jsonb)')"),
	qr/^42501: permission denied for function/,
	'a check of payloads that the owner may not execute');

# Objects in the caller's search_path, or in that of the whole database, do
# not get into jobq's own queries
sql(<<'SQL');
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE evil.traps (who text);
GRANT INSERT ON evil.traps TO PUBLIC;
SQL
foreach my $type ('int', 'text', 'name', 'bigint', 'timestamptz', 'smallint')
{
	sql(<<"SQL");
CREATE FUNCTION evil.trap($type, $type) RETURNS boolean LANGUAGE plpgsql AS
  'BEGIN INSERT INTO evil.traps VALUES (current_user); RETURN false; END';
CREATE OPERATOR evil.= (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.trap);
CREATE OPERATOR evil.<> (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.trap);
CREATE OPERATOR evil.> (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.trap);
CREATE OPERATOR evil.< (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.trap);
SQL
}
sql("ALTER DATABASE postgres SET search_path = evil, pg_catalog, public");
sql("SELECT 1 = 1");
is(sql("SELECT count(*) FROM evil.traps"), '1', 'the traps work');
sql("TRUNCATE evil.traps");
sql(<<'SQL');
CREATE ROLE victim LOGIN;
SELECT jobq.grant_usage('victim', true);
SELECT jobq.create_queue('s', max_attempts => 1, keep_completed_count => 1);
SELECT jobq.create_queue('t', on_dead => 's');
SELECT jobq.grant_queue('s', 'victim', 'enqueue', 'read');
SELECT jobq.enqueue('s'), jobq.enqueue('s'),
	jobq.enqueue('t', unique_key => 'k', unique_for => '1 s');
SELECT jobq.complete(id, lease) FROM jobq.dequeue('s');
SELECT jobq.fail(id, lease, 'x') FROM jobq.dequeue('s');
SELECT count(*) FROM jobq.jobs;
SELECT * FROM jobq.queues;
SELECT * FROM jobq.dead_letters;
SELECT * FROM jobq.schedules;
SELECT * FROM jobq.workers;
SELECT jobq.pause('s'), jobq.resume('s');
SELECT jobq.drop_queue('s', force => true);
SELECT jobq.drop_queue('t', force => true);
SELECT jobq.revoke_usage('victim');
SQL
is(sql("SELECT pg_catalog.count(*) FROM evil.traps"),
	'0', 'a superuser who calls jobq steps into no trap');

# nor by the coordinator, which connects to this database
sql("SELECT jobq.create_queue('u', keep_completed_count => 1)");
sql("SELECT jobq.enqueue('u'); SELECT jobq.complete(id, lease) FROM jobq.dequeue('u')");
my $segment = sql("SELECT history_segment FROM jobq_store.service");
$node->advance_clock('5 hours');
poll_ok(
	$node,
	"SELECT history_segment OPERATOR(pg_catalog.<>) '$segment'" . " FROM jobq_store.service",
	'the coordinator does its work among traps');
is(sql("SELECT pg_catalog.count(*) FROM evil.traps"), '0', 'retention is not trapped');

done_testing();
