# t/077_may_read.pl: roles that see everything, for monitoring:
# grant_usage(may_read).

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');

# What a role sees of queues, jobs, schedules, their runs, and health.
sub seen
{
	my ($role, $db) = @_;
	return $node->sql(
		qq{SET SESSION AUTHORIZATION "$role";
		SELECT (SELECT string_agg(queue, ',' ORDER BY queue) FROM jobq.queues),
		(SELECT string_agg(DISTINCT queue, ',' ORDER BY queue) FROM jobq.jobs),
		(SELECT string_agg(name, ',' ORDER BY name) FROM jobq.schedules),
		(SELECT string_agg(DISTINCT schedule, ',') FROM jobq.schedule_runs),
		(SELECT string_agg(DISTINCT topic, ',' ORDER BY topic) FROM jobq.health
			WHERE topic IN ('paused', 'schedule disabled'))},
		$db);
}

$node->sql(
	q{CREATE ROLE shop LOGIN; CREATE ROLE monitor LOGIN; CREATE ROLE agent LOGIN;
		CREATE ROLE apart LOGIN;
	GRANT monitor TO agent;
	ALTER ROLE apart NOINHERIT; GRANT monitor TO apart;
	SELECT jobq.grant_usage(r::regrole) FROM unnest('{agent,apart}'::text[]) AS r;
	SELECT jobq.grant_usage('shop', true), jobq.grant_usage('monitor', may_read => true);
	CREATE FUNCTION handle() RETURNS void LANGUAGE sql AS '';
	SET SESSION AUTHORIZATION shop;
	SELECT jobq.create_queue('orders', 'handle()'), jobq.create_queue('mail');
	SELECT jobq.pause('orders');
	SELECT jobq.enqueue('orders'), jobq.enqueue('mail');
	SELECT jobq.schedule('report', '@yearly', queue => 'mail');
	SELECT jobq.run_schedule('report')});
$node->sql(
	q{UPDATE jobq_store.schedule SET disabled_reason = 'x', enabled = false WHERE name = 'report'});
my $all = 'mail,orders|mail,orders|report|report|paused,schedule disabled';

is(seen('shop'), $all, 'an owner sees its own queues');
is(seen('monitor'), $all, "a role that may read all sees the owner's queues");
is(seen('agent'), $all, "a member of a role that may read all sees the owner's queues");
is(seen('apart'), '||||', 'a member that does not inherit sees no queue');
is( $node->sql(
		q{SET SESSION AUTHORIZATION apart; SET ROLE monitor; SELECT count(*) FROM jobq.queues}),
	'2',
	'a member sees it after SET ROLE');

$node->sql(q{SET SESSION AUTHORIZATION shop; SELECT jobq.create_queue('new'), jobq.enqueue('new')});
like(
	seen('agent'),
	qr/^mail,new,orders\|mail,new,orders/,
	'a role that may read all sees queues made later');
like(
	sql_error($node, q{SET SESSION AUTHORIZATION monitor; SELECT jobq.enqueue('maill')}),
	qr/42704.*Perhaps you meant the queue "mail"/s,
	'the closest name may be told');

foreach my $call (
	q{enqueue('mail')}, q{dequeue('mail')},
	q{pause('mail')}, q{cancel((SELECT min(id) FROM jobq.jobs))},
	q{grant_queue('mail', 'agent', 'consume')}, q{drop_queue('mail')},
	q{unschedule('report')}, q{create_queue('x')},
	q{run('SELECT 1')}, q{start()})
{
	like(sql_error($node, "SET SESSION AUTHORIZATION monitor; SELECT jobq.$call"),
		qr/42501/, "not to be done: $call");
}

# It is a privilege like others: dumped and restored, granted by no other means
# than the catalogs, and gone with the rest.
is( $node->sql(
		q{SELECT string_agg(r::text, ' ' ORDER BY r::text)
			FROM unnest('{shop,monitor,agent,apart}'::regrole[]) AS r
	WHERE has_function_privilege(r, 'jobq_store.may_read_all()', 'EXECUTE')}),
	'agent monitor',
	'the catalogs show who may read all');
$node->sql('CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
command_ok([ $node->installed_command('pg_dump'), '-d', $node->connstr('postgres'), '-f', $dump ],
	'pg_dump');
$node->command_ok(
	[
		$node->installed_command('psql'),
		'-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'),
		'-f', $dump
	],
	'restored');
like(
	seen('agent', 'restored'),
	qr/^mail,new,orders\|mail,new,orders\|report\|/,
	'a role that may read all may do so in a restored dump');

$node->sql(q{SELECT jobq.grant_usage('monitor')});
like(seen('agent'), qr/^mail,new,orders/, 'grant_usage takes nothing away');
$node->sql(q{SELECT jobq.revoke_usage('monitor')});
is(seen('agent'), '||||', 'revoke_usage takes may_read away');
like(sql_error($node, 'SET SESSION AUTHORIZATION monitor; SELECT * FROM jobq.queues'),
	qr/42501/, 'all of it');
$node->sql(q{SELECT jobq.grant_usage('monitor', may_read => true); DROP OWNED BY monitor});
is(seen('agent'), '||||', 'DROP OWNED takes may_read away');

# ------------------------------ a dump without one of its roles, or its queues

$node->sql(
	q{CREATE ROLE gone LOGIN; SELECT jobq.grant_usage('gone');
	SELECT jobq.create_queue('theirs', owner => 'gone'); SELECT jobq.enqueue('theirs')});
$dump = $node->basedir . '/dump.custom';
command_ok(
	[ $node->installed_command('pg_dump'), '-Fc', '-d', $node->connstr('postgres'), '-f', $dump ],
	'pg_dump');
$node->sql(
	q{SELECT jobq.drop_queue('theirs', force => true); DROP OWNED BY gone; DROP ROLE gone;
		CREATE DATABASE lossy}
);
my @restore = ($node->installed_command('pg_restore'), '-d', $node->connstr('lossy'));
command_fails([ @restore, $dump ], 'a restore without one of the roles has errors');
is($node->sql(q{SELECT owner FROM jobq.queues WHERE queue = 'theirs'}, 'lossy'),
	'-', "the queue of a missing role is restored as nobody's");
my $finding = q{SELECT severity || ': ' || message FROM jobq.health WHERE topic = 'lost queues'};
is($node->sql($finding, 'lossy'), '', 'no queue is lost in the restored database');
$node->sql('TRUNCATE jobq_store.queue', 'lossy');
is( $node->sql($finding, 'lossy'),
	'critical: there are jobs of 4 queues that do not exist',
	'health says that queues were lost');
is($node->sql("SELECT jobq.grant_usage('shop'); SET ROLE shop; $finding", 'lossy'),
	'', 'health tells of lost queues only those that may read all');
$node->sql('CREATE ROLE gone LOGIN');
command_ok([ @restore, '--data-only', '-n', 'jobq_store', '-t', 'queue', $dump ],
	'the queues are restored alone');
is($node->sql($finding, 'lossy'), '', 'no queue is lost after the queues are restored');
is($node->sql(q{SELECT jobq.start(); SELECT count(*) FROM jobq.take('theirs')}, 'lossy'),
	"\n1", 'jobs of the given queues run');

$node->stop;
done_testing();
