# t/145_prepared.pl: after a prepared transaction is finished, others look for
# jobs again only in the queues in which it has changed some.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'max_prepared_transactions = 5',
		'autovacuum = off',
		'jobq.sweep_interval = 0',
		'log_statement = none'
	]);

$node->sql(
	q{
	CREATE ROLE stranger LOGIN;
	CREATE TABLE t (i int);
	GRANT ALL ON t TO stranger;
	SELECT jobq.grant_usage('stranger', may_create => true);
	SELECT jobq.create_queue('q', lease => '1 h'), jobq.create_queue('other');
	SELECT jobq.alter_queue('other', owner => 'stranger');
	SELECT count(*) FROM generate_series(1, 10) AS i, LATERAL jobq.enqueue_many('q',
		array_fill('1'::jsonb, '{50}'), priority => i);
	SELECT count(*) FROM jobq.dequeue('q', 5)});

# How often a claim reads the index on which jobs are found: not, if its lanes
# are there.
sub reads
{
	return $node->sql(
		q{BEGIN; SELECT 1 FROM jobq.dequeue('q');
		SELECT 'read ' || pg_stat_get_xact_numscans('jobq_store.job_dispatch'::regclass); COMMIT}
	  ) =~ /read (\d+)/
	  ? $1
	  : die "no statistics\n";
}

sub reads_after
{
	my ($role, $statement, $end) = @_;
	$node->sql(
		"SET SESSION AUTHORIZATION $role; BEGIN; $statement; PREPARE TRANSACTION 'p';
			$end PREPARED 'p'"
	);
	return reads();
}

# the coordinator, which is told to look again as well, must not be the first
my $coordinator = wait_for_worker($node, 'jobq coordinator');
kill('STOP', $coordinator);
END { kill('CONT', $coordinator) if $coordinator; }
reads();
is(reads(), '0', 'a claim reads no index');
foreach my $end ('COMMIT', 'ROLLBACK')
{
	foreach my $statement (
		'SELECT 1',
		'INSERT INTO t VALUES (1)',
		'SELECT i FROM t FOR UPDATE',
		'CREATE TABLE u (i int); DROP TABLE u')
	{
		my $role = $statement =~ /CREATE/ ? 'postgres' : 'stranger';
		is(reads_after($role, $statement, $end),
			'0', "$end PREPARED after $statement: no index is read");
	}
	is(reads_after('postgres', 'SELECT count(*) FROM jobq.jobs', $end),
		'0', "$end PREPARED of a transaction that has read jobs: no index is read");
	foreach my $statement (
		"SELECT jobq.enqueue('other')",
		"SELECT count(*) FROM jobq.dequeue('other')",
		"SELECT jobq.pause('other')",
		"SELECT jobq.create_queue('made')",
		"SELECT jobq.schedule('daily', '0 0 * * *', queue => 'other')")
	{
		is(reads_after('stranger', $statement, $end),
			'0', "$end PREPARED after $statement in another queue: no index is read");
		$node->sql(
			q{SELECT jobq.resume('other');
			SELECT jobq.drop_queue(queue) FROM jobq.queues WHERE queue = 'made';
			SELECT jobq.unschedule(name) FROM jobq.schedules});
	}
	foreach my $statement (
		"SELECT jobq.enqueue('q')",
		"SELECT count(*) FROM jobq.dequeue('q')",
		"SELECT jobq.cancel(max(id)) FROM jobq.jobs WHERE queue = 'q' AND state = 'ready'")
	{
		cmp_ok(reads_after('postgres', $statement, $end),
			'>', 0, "$end PREPARED after $statement: the index is read again");
		reads();
	}
}

$node->sql("BEGIN; SELECT jobq.enqueue('q'); PREPARE TRANSACTION 'theirs'");
reads();
like(sql_error($node, "SET SESSION AUTHORIZATION stranger; $_ PREPARED 'theirs'"),
	qr/42501/, "$_ PREPARED of another's transaction fails")
  foreach 'COMMIT', 'ROLLBACK';
is(reads(), '0', 'a refused COMMIT PREPARED or ROLLBACK PREPARED leaves the lanes alone');
$node->sql("ROLLBACK PREPARED 'theirs'");

$node->sql("BEGIN; SELECT jobq.enqueue('q'); PREPARE TRANSACTION 'it''s'");
reads();
is(reads(), '0', 'prepared: no index is read');
$node->sql("ROLLBACK PREPARED 'it''s'");
cmp_ok(reads(), '>', 0, 'a prepared transaction with a quote in its name is found');

# Before a restart, too.
kill('CONT', $coordinator);
$coordinator = 0;
$node->sql(
	"BEGIN; SELECT jobq.enqueue('q', priority => -5, payload => '\"first\"');
		PREPARE TRANSACTION 'p'"
);
$node->restart;
reads() foreach 1 .. 3;
$node->sql("COMMIT PREPARED 'p'");
is($node->sql(q{SELECT payload FROM jobq.dequeue('q')}),
	'"first"', 'prepared before a restart: found at once');
like(sql_error($node, "COMMIT PREPARED 'none'"),
	qr/42704/, 'COMMIT PREPARED of an unknown transaction fails');
like(sql_error($node, "BEGIN; COMMIT PREPARED 'none'"),
	qr/25001/, 'COMMIT PREPARED in a transaction fails');

$node->stop;
done_testing();
