# t/146_owner_only.pl: members of pg_write_all_data may write to all tables, but
# not to those of jobq: writing there would let them run SQL as any role.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		'wal_level = logical',
		'max_wal_senders = 4',
		'max_replication_slots = 4'
	]);

sub error
{
	my ($sql) = @_;
	my ($code) = sql_error($node, "SET SESSION AUTHORIZATION mallory;\n$sql") =~ /ERROR:  (\w{5}):/;
	return $code;
}

$node->sql(
	q{CREATE ROLE mallory LOGIN;
	GRANT pg_write_all_data, pg_read_all_data TO mallory;
	GRANT SET ON PARAMETER session_replication_role TO mallory;
	SELECT jobq.create_queue('mail');
	SELECT jobq.schedule('nightly', '0 0 1 1 *', 'SELECT 1')});

# ------------------------------------------------------------- what is refused

my @tables = split /\n/, $node->sql(
	q{SELECT oid::regclass FROM pg_class
	WHERE relnamespace = 'jobq_store'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1});
cmp_ok(scalar @tables, '>=', 17, 'jobq_store has tables');
foreach my $table (@tables)
{
	my $column = $node->sql(
		qq{SELECT attname FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum = 1});
	is(error("INSERT INTO $table SELECT * FROM $table WHERE false"), '42501', "$table: INSERT");
	is(error("UPDATE $table SET $column = $column"), '42501', 'UPDATE');
	is(error("DELETE FROM $table WHERE false"), '42501', 'DELETE');
	is(error("SET session_replication_role = replica; UPDATE $table SET $column = $column"),
		'42501', 'as a replica');
}
is( error(
		"MERGE INTO jobq_store.schedule AS s USING (SELECT 1) AS o ON true
			WHEN MATCHED THEN UPDATE SET command = 'x'"
	),
	'42501',
	'MERGE');
is(error("COPY jobq_store.queue_grant FROM stdin;\n\\.\n"), '42501', 'COPY');
is( error(
		q{WITH w AS (UPDATE jobq_store.schedule SET command = 'ALTER ROLE mallory SUPERUSER'
			RETURNING 1) SELECT count(*) FROM w}
	),
	'42501',
	'an UPDATE in a CTE is refused');
is( $node->sql(
		q{SELECT string_agg(c.relname, ' ' ORDER BY 1) FROM pg_class AS c
		WHERE relnamespace = 'jobq_store'::regnamespace AND relkind = 'r' AND NOT EXISTS
			(SELECT FROM pg_trigger AS t WHERE tgrelid = c.oid AND tgtype & 1 = 1
			AND tgfoid = 'jobq_store.refuse_others'::regproc AND tgenabled = 'A')}),
	'',
	'each table has the trigger for rows');
like(error(q{UPDATE jobq.queues SET paused = true}),
	qr/^(?:42501|55000)$/, 'an UPDATE of a view is refused');
is($node->sql(q{SELECT command FROM jobq.schedules WHERE name = 'nightly'}),
	'SELECT 1', 'refused writes have changed nothing');

# A subscription whose owner is no superuser any more; what it brings is written as him.
sub subscribe
{
	my ($table) = @_;
	my $publisher = $node->connstr . ' dbname=pub';
	my $options = q{create_slot = false, slot_name = 's', copy_data = false};

	$options .= ', run_as_owner = true, password_required = false'
	  if $node->sql('SHOW server_version_num') >= 160000;
	$node->sql(
		qq{CREATE PUBLICATION p FOR TABLE $table;
		SELECT pg_create_logical_replication_slot('s', 'pgoutput')}, 'pub');
	$node->sql(
		qq{ALTER ROLE mallory SUPERUSER;
		GRANT CREATE ON DATABASE postgres TO mallory;
		SET SESSION AUTHORIZATION mallory;
		CREATE SUBSCRIPTION s CONNECTION '$publisher' PUBLICATION p WITH ($options)});
	$node->sql('ALTER ROLE mallory NOSUPERUSER');
	return;
}

sub unsubscribe
{
	$node->sql(
		q{ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE);
		DROP SUBSCRIPTION s});
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_replication_slots WHERE active},
		'the subscription has ended',
		expected => '0');
	$node->sql(q{SELECT pg_drop_replication_slot('s'); DROP PUBLICATION p}, 'pub');
	return;
}

# Each kind of write, to a table with one row.
$node->sql('CREATE DATABASE pub');
$node->sql(
	q{CREATE SCHEMA jobq_store;
	CREATE TABLE jobq_store.queue_grant (queue int, role text, privileges int,
		PRIMARY KEY (queue, role))}, 'pub');
my $queue = $node->sql(q{SELECT id FROM jobq_store.queue WHERE name = 'mail'});
$node->sql(
	q{CREATE ROLE ann LOGIN; SELECT jobq.grant_usage('ann');
	SELECT jobq.grant_queue('mail', 'ann', 'enqueue')});
my $granted = q{SELECT role, privileges FROM jobq_store.queue_grant};
my $before = $node->sql($granted);
my $row = qq{INSERT INTO jobq_store.queue_grant VALUES ($queue, 'ann', 1)};
$node->sql($row, 'pub');
foreach my $write (
	qq{INSERT INTO jobq_store.queue_grant VALUES ($queue, 'mallory', 15)},
	'UPDATE jobq_store.queue_grant SET privileges = 15',
	'DELETE FROM jobq_store.queue_grant')
{
	my ($verb) = $write =~ /^(\w+)/;
	subscribe('jobq_store.queue_grant');
	$node->sql($write, 'pub');
	poll_ok(
		$node,
		q{SELECT apply_error_count > 0 FROM pg_stat_subscription_stats WHERE subname = 's'},
		"$verb by a subscription fails");
	is($node->sql($granted), $before, "$verb by a subscription has changed nothing");
	unsubscribe();
	$node->sql("DELETE FROM jobq_store.queue_grant; $row", 'pub');
}

# ------------------------------------------------------------- what still works

like($node->sql('SET SESSION AUTHORIZATION mallory; SELECT name FROM jobq_store.queue'),
	qr/^mail$/m, 'pg_read_all_data reads, for dumps');
$node->sql(
	q{UPDATE jobq_store.queue SET description = 'by hand' WHERE name = 'mail';
		TRUNCATE jobq_store.cancel_request}
);
is($node->sql(q{SELECT description FROM jobq.queues WHERE queue = 'mail'}),
	'by hand', 'a superuser may write to the tables');
$node->sql(
	q{SELECT jobq.grant_usage('mallory', true);
	SET SESSION AUTHORIZATION mallory;
	SELECT jobq.create_queue('own');
	SELECT jobq.enqueue('own', unique_key => 'a', delay => '1 h');
	SELECT jobq.enqueue('own', unique_key => 'a', delay => '2 h', on_conflict => 'replace');
	SELECT jobq.schedule('own', '0 0 1 1 *', 'SELECT 2');
	SELECT jobq.run('SELECT 3')});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE state = 'completed' AND command = 'SELECT 3'},
	'a command runs');
$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	SELECT jobq.unschedule('own'); SELECT jobq.drop_queue('own', force => true)});
is($node->sql(q{SELECT count(*) FROM jobq.queues WHERE queue = 'own'}),
	'0', 'the functions write for the role');

done_testing();
