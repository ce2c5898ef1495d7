# t/146_owner_only.pl: members of pg_write_all_data may write to all tables, but
# not to those of jobq: writing there would let them run SQL as any role.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

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
like(error(q{UPDATE jobq.queues SET paused = true}),
	qr/^(?:42501|55000)$/, 'an UPDATE of a view is refused');
is($node->sql(q{SELECT command FROM jobq.schedules WHERE name = 'nightly'}),
	'SELECT 1', 'refused writes have changed nothing');

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
