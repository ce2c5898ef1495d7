# t/134_missing_roles.pl: dumps of databases with roles that do not exist where
# they are restored: dropped before the dump, missing in the other cluster, or
# with an OID that is another role's there. What belonged to such a role belongs
# to nobody.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $old = jobq_node('old', extension => 0);
my $new = jobq_node('new', extension => 0);

sub run_ok
{
	my ($name, $node, @command) = @_;
	my $out = '';
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	IPC::Run::run(\@command, '<', \undef, '>&', \$out);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($?, 0, $name) or diag($out);
	return;
}

# What belongs to whom.
my $owners = q{
	SELECT string_agg(queue || ' ' || owner, ', ' ORDER BY queue) FROM jobq.queues
	UNION ALL SELECT string_agg(name || ' ' || owner, ', ' ORDER BY name) FROM jobq.schedules
	UNION ALL SELECT string_agg(q.name || ' ' || g.role::text, ', ' ORDER BY q.name, g.role::text)
	FROM jobq_store.queue_grant AS g JOIN jobq_store.queue AS q ON q.id = g.queue};

# The roles that are nobody are "dead" and "dead_too", whose OIDs are taken by
# superusers of the new cluster, and "missing", which is not there.
my @odd = ('-', '123', 'We"ird');
my $odd_roles = join(';', map { (my $name = $_) =~ s/"/""/g; qq{CREATE ROLE "$name" LOGIN} } @odd);
my $setup = q{
	CREATE SCHEMA app;
	CREATE TABLE app.log (what text, role name DEFAULT current_user);
	CREATE FUNCTION app.handle(jsonb) RETURNS void LANGUAGE sql
	  AS $$INSERT INTO app.log VALUES ($1 ->> 0)$$;
	CREATE FUNCTION app.is_good(jsonb) RETURNS boolean LANGUAGE sql
	  AS $$SELECT true$$;
	GRANT USAGE ON SCHEMA app TO PUBLIC;
	GRANT INSERT ON app.log TO PUBLIC};

$old->safe_psql(
	'postgres', qq{
	CREATE DATABASE shop;
	CREATE ROLE before LOGIN; CREATE ROLE missing LOGIN; $odd_roles});
$old->safe_psql(
	'shop', qq{CREATE EXTENSION jobq; $setup;
	CREATE ROLE dead LOGIN; CREATE ROLE dead_too LOGIN;});
my ($dead, $dead_too) =
  split(
	/\n/,
	$old->safe_psql(
		'shop', "SELECT 'dead'::regrole::oid UNION ALL SELECT 'dead_too'::regrole::oid"));
$old->safe_psql(
	'shop', q{
	SELECT jobq.grant_usage(oid::regrole, true) FROM pg_roles
	  WHERE oid >= 16384 AND rolname <> current_user;
	SELECT jobq.stop();
	SELECT jobq.create_queue('q_' || rolname, 'app.handle(jsonb)', owner => oid::regrole),
	  jobq.enqueue('q_' || rolname, '["job"]')
	  FROM pg_roles WHERE oid >= 16384 AND rolname <> current_user;
	SELECT jobq.alter_queue('q_missing', payload_check => 'app.is_good(jsonb)');
	SELECT jobq.create_queue('plain', owner => 'before');
	SELECT jobq.grant_queue('plain', r::regrole, 'enqueue')
		FROM unnest('{dead,dead_too,missing,"\"-\""}'::text[]) AS r;
	SELECT jobq.schedule('s_super', '@yearly', queue => 'plain');
	SET ROLE dead;
	SELECT jobq.schedule('s_dead', '* * * * * *', $$INSERT INTO app.log VALUES ('tick')$$);
	SELECT jobq.run($$INSERT INTO app.log VALUES ('command')$$);
	SET ROLE missing;
	SELECT jobq.schedule('s_missing', '* * * * * *', queue => 'q_missing');
	RESET ROLE;
	SELECT jobq.revoke_usage('dead'), jobq.revoke_usage('dead_too');
	DROP ROLE dead, dead_too;
	ALTER ROLE before RENAME TO after});

# in the original, too, nobody's is shown as such
like(
	$old->safe_psql('shop', $owners),
	qr/\Aplain after, q_- "-", q_123 "123", q_We"ird "We""ird"/,
	'original: odd names are quoted');
is( $old->safe_psql(
		'shop', q{SELECT string_agg(q.name || ' ' || q.owner::text, ', ' ORDER BY q.name)
		FROM jobq_store.queue AS q WHERE q.name LIKE '%dead%'}),
	'q_dead -, q_dead_too -, run:dead -',
	'original: a dropped role is nobody');

# ------------------------------------------------------- the other cluster

$new->stop;
run_ok('superusers get the OIDs of who was dropped',
	$new, 'pg_resetwal', '-o', $dead, '-D', $new->data_dir);
$new->start;
$new->safe_psql(
	'postgres', qq{CREATE ROLE victim SUPERUSER LOGIN; CREATE ROLE victim_too SUPERUSER LOGIN;
	CREATE ROLE after LOGIN; $odd_roles});
is($new->safe_psql('postgres', "SELECT 'victim'::regrole::oid, 'victim_too'::regrole::oid"),
	"$dead|$dead_too", 'superusers have the OIDs of roles that were dropped');

my $expected = join("\n",
	'plain after, q_- "-", q_123 "123", q_We"ird "We""ird", q_before after, '
	  . 'q_dead -, q_dead_too -, q_missing -, run:dead -',
	's_dead -, s_missing -, s_super ' . $old->safe_psql('shop', 'SELECT current_user::regrole'),
	'plain "-"');

# GRANTs to roles that are not there would be errors
run_ok('pg_dump', $old, 'pg_dump', '--no-acl', '-f', "$dir/plain.sql", 'shop');
$new->safe_psql('postgres', 'CREATE DATABASE plain');
run_ok(
	'restored by psql', $new, 'psql', '-X', '-q', '-v',
	'ON_ERROR_STOP=1', '-o', "$dir/out", '-f', "$dir/plain.sql", 'plain');
is($new->safe_psql('plain', $owners),
	$expected, "plain dump: what belonged to missing roles is nobody's");

run_ok('pg_dump -Fc', $old, 'pg_dump', '--no-acl', '-Fc', '-f', "$dir/custom", 'shop');
$new->safe_psql('postgres', 'CREATE DATABASE shop');
run_ok('pg_restore', $new, 'pg_restore', '-e', '-j', 2, '-d', 'shop', "$dir/custom");
is($new->safe_psql('shop', $owners),
	$expected, "custom dump: what belonged to missing roles is nobody's");

# ---------------------------------------------------------- what is nobody's

my $ownerless =
  q{SELECT severity, topic, object FROM jobq.health WHERE topic IN ('owner', 'schedule owner')};
is( $new->safe_psql('shop', $ownerless),
	join("\n",
		map({ "warning|owner|$_" } qw(q_dead q_dead_too q_missing run:dead)),
		map({ "warning|schedule owner|$_" } qw(s_dead s_missing))),
	'health says so before start()');

# the dumps are without privileges on objects
$new->safe_psql(
	'shop', q{
	GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT INSERT ON app.log TO PUBLIC;
	SELECT jobq.grant_usage(oid::regrole, true) FROM pg_roles WHERE oid >= 16384 AND NOT rolsuper;
	SELECT jobq.start();
	SELECT jobq.create_queue('last', 'app.handle(jsonb)', owner => 'after'), jobq.enqueue('last',
		'["last"]')}
);
poll_ok($new, q{SELECT count(*) = 5 FROM app.log}, 'jobs of existing roles run', db => 'shop');
poll_ok(
	$new,
	q{SELECT count(*) = 2 FROM jobq.schedules WHERE disabled_reason = 'its owner does not exist'},
	'schedules of nobody are disabled',
	db => 'shop');
is( $new->safe_psql('shop', q{SELECT what, role FROM app.log ORDER BY role, what}),
	qq{job|-\njob|123\njob|We"ird\njob|after\nlast|after},
	"jobs run as their queue's owner, and those of nobody's queues do not run");
is( $new->safe_psql('shop', "$ownerless AND severity = 'critical'"),
	join("\n", map { "critical|owner|$_" } qw(q_dead q_dead_too q_missing run:dead)),
	'health says that jobs wait');
is($new->safe_psql('shop', q{SET ROLE "123"; SELECT count(*) FROM jobq.queues WHERE owner = 0}),
	'0', 'nobody\'s queues are not everybody\'s');

like(
	sql_error($new, q{SELECT jobq.enqueue('q_missing')}, 'shop'),
	qr/42704.*DETAIL:.*owner.*HINT:.*alter_queue/s,
	'nobody\'s payload_check is not called');
like(
	sql_error($new, q{SELECT jobq.alter_queue('q_dead', handler => 'app.handle(jsonb)')}, 'shop'),
	qr/42704: queue "q_dead" has no owner.*HINT:.*owner => /s,
	'a queue of nobody gets no handler before it has an owner');
like(
	sql_error($new, q{SET ROLE after; SELECT jobq.alter_queue('q_dead', owner => 'after')}, 'shop'),
	qr/42704|42501/,
	'not everybody can take such a queue');
is( $new->safe_psql(
		'shop',
		q{SELECT count(jobq.pause(queue)), count(jobq.resume(queue)) FROM jobq.queues
			WHERE owner = 0}
	),
	'4|4',
	"a superuser may manage nobody's queues");

$new->safe_psql(
	'shop', q{
	CREATE ROLE missing LOGIN;
	SELECT jobq.alter_queue('q_missing', owner => 'missing');
	SELECT jobq.alter_queue('q_dead', owner => 'after');
	SELECT jobq.drop_queue('q_dead_too', force => true), jobq.drop_queue('run:dead', force => true);
	SELECT jobq.unschedule('s_dead'), jobq.unschedule('s_missing')});
poll_ok(
	$new,
	q{SELECT count(*) = 7 FROM app.log},
	'jobs run as the owner that a queue is given',
	db => 'shop');
is( $new->safe_psql(
		'shop',
		q{SELECT string_agg(role, ',' ORDER BY role) FROM app.log
			WHERE role IN ('missing', 'after')}
	),
	'after,after,after,missing',
	'jobs run as the new owners of their queues');
is($new->safe_psql('shop', $ownerless), '', 'health has no findings when all queues have owners');
is( $new->safe_psql(
		'shop',
		q{ALTER ROLE after RENAME TO at_last; SELECT owner FROM jobq.queues WHERE queue = 'plain'}),
	'at_last',
	'a new name of a role');

# -------------------------------------------------------------- the type

is( $new->safe_psql(
		'shop',
		qq{SELECT v::jobq_store.role_ref FROM unnest(ARRAY['-', '"-"', '$dead', '"123"',
			'At_Last', 'nowhere']) AS v}
	),
	qq{-\n"-"\n-\n"123"\nat_last\n-},
	'names are read, numbers are not');
foreach my $bad ('', 'a.b', '"a', 'a b')
{
	like(sql_error($new, "SELECT '$bad'::jobq_store.role_ref", 'shop'), qr/42602/, "no name: $bad");
}
my $contents = $new->safe_psql('shop', 'TABLE jobq_store.queue_grant');
$new->safe_psql(
	'shop', qq{
	COPY jobq_store.queue_grant TO '$dir/grants' (FORMAT binary);
	DELETE FROM jobq_store.queue_grant;
	COPY jobq_store.queue_grant FROM '$dir/grants' (FORMAT binary)});
is($new->safe_psql('shop', 'TABLE jobq_store.queue_grant'), $contents, 'binary form');
is( $new->safe_psql(
		'shop', q{
		SET enable_seqscan = off;
		EXPLAIN (COSTS off) SELECT FROM jobq_store.queue WHERE owner = 'at_last'::regrole}
	) =~ /Index.*queue_owner/,
	1,
	'indexes are used');

is( join(
		"\n",
		unexpected_log_lines(
			$new,
			0,
			qr/was disabled/,
			qr/due to administrator command/,
			qr/does not exist/,
			qr/cannot be called/,
			qr/has no owner/,
			qr/permission denied/,
			qr/invalid name syntax/,
			qr/must be owner/)),
	'',
	'nothing unexpected in the log');

$old->stop;
$new->stop;
done_testing();
