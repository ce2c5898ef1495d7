# t/035_wait_alone.pl: CALL jobq.wait() is a statement of its own: it never ends
# a transaction in which anything else has been done. Also how drivers send it,
# and what the session shows while it waits.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);

# refused($sql, $name): it raises 25001, and the job that it has taken, or
# enqueued, before the wait is as it was.
sub refused
{
	my ($statement, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = $node->sql("SELECT array_agg((id, state)) FROM jobq.jobs");

	like(sql_error($node, $statement), qr/25001/, "$name: refused");
	is($node->sql("SELECT array_agg((id, state)) FROM jobq.jobs"),
		$before, "$name: nothing was committed");
	return;
}

# pgbench_run($mode, $script): how often of three times it went through, and
# what pgbench said.
sub pgbench_run
{
	my ($mode, $script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my ($out, $err) = ('', '');
	append_to_file($file, $script);
	IPC::Run::run(
		[
			'pgbench', '-n', '-M', $mode, '-t', '3',
			'-f', $file, '-h', $node->host, '-p', $node->port,
			'postgres'
		],
		'>',
		\$out,
		'2>',
		\$err,
		IPC::Run::timeout(wait_limit()));
	my ($done) = $out =~ /actually processed: (\d+)/;
	return ($done // 0, $err);
}

$node->sql(
	q{
	SELECT jobq.create_queue('q'), jobq.create_queue('empty');
	SELECT jobq.enqueue('q');
	CREATE PROCEDURE take_and_wait() LANGUAGE plpgsql AS $$
	DECLARE
	  ready boolean;
	BEGIN
	  PERFORM jobq.take('q');
	  CALL jobq.wait('{empty}', '0', ready);
	  RAISE EXCEPTION 'the work has failed';
	END $$;
	CREATE PROCEDURE outer_one() LANGUAGE plpgsql AS $$
	BEGIN
	  CALL take_and_wait();
	END $$;
	CREATE PROCEDURE commit_and_wait() LANGUAGE plpgsql AS $$
	DECLARE
	  ready boolean;
	BEGIN
	  COMMIT;
	  CALL jobq.wait('{empty}', '0', ready);
	END $$;
	CREATE FUNCTION queues_to_wait_for() RETURNS text[] LANGUAGE plpgsql AS $$
	BEGIN
	  PERFORM jobq.take('q');
	  RETURN '{empty}';
	END $$;
	CREATE PROCEDURE dynamic() LANGUAGE plpgsql AS $$
	BEGIN
	  EXECUTE 'CALL jobq.wait(''{empty}'', ''0'')';
	END $$;
});

my $wait = "CALL jobq.wait('{empty}', '0')";
refused('CALL take_and_wait()', 'a procedure');
refused('CALL outer_one()', 'a procedure in a procedure');
refused('CALL commit_and_wait()', 'a procedure that has just committed');
refused('CALL dynamic()', 'EXECUTE in a procedure');
refused(
	"DO \$\$ DECLARE r boolean; BEGIN PERFORM jobq.take('q');"
	  . " CALL jobq.wait('{empty}', '0', r); END \$\$",
	'DO');
refused(
	"DO \$\$ DECLARE r boolean; BEGIN PERFORM jobq.take('q');"
	  . " BEGIN CALL jobq.wait('{empty}', '0', r);"
	  . " EXCEPTION WHEN division_by_zero THEN NULL; END; END \$\$",
	'a block with EXCEPTION');
refused("BEGIN; SELECT jobq.take('q'); $wait; COMMIT", 'a transaction block');
refused("BEGIN; SAVEPOINT s; SELECT jobq.take('q'); $wait; COMMIT", 'a savepoint');
refused("SELECT jobq.take('q')\\; $wait", 'several statements in one query');
refused("$wait\\; SELECT jobq.take('q')", 'the first of several statements');
refused("CALL jobq.wait(queues_to_wait_for(), '0')", 'arguments that take jobs');

# The ways of drivers
foreach my $mode (qw(simple extended prepared))
{
	my ($done, $errors) = pgbench_run($mode, "$wait;");
	is($done, 3, "$mode protocol") or diag $errors;
}
my ($done, $errors) = pgbench_run('extended',
	"\\startpipeline\n$wait;\nSELECT jobq.dequeue('empty');\n\\endpipeline\n");
is($done, 3, 'the first statement of a pipeline') or diag $errors;
($done, $errors) =
  pgbench_run('extended', "\\startpipeline\nSELECT jobq.take('q');\n$wait;\n\\endpipeline\n");
is($done, 0, 'wait() is refused behind other statements of a pipeline');
like(
	$errors,
	qr/cannot run (within a pipeline|inside a transaction block)/,
	'the error says that wait() is in a pipeline');
is($node->sql("SELECT state FROM jobq.jobs"), 'ready', 'the job of the pipeline is committed');
my $id = $node->sql("SELECT jobq.run(\$\$$wait\$\$)");
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $id",
	'the command of a job',
	expected => 'completed');

# How it looks: as an idle session, and active again when it looks for jobs
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my ($pid) = $waiter->query('SELECT pg_backend_pid()') =~ /(\d+)/;
$waiter->query_until(qr/waiting/,
	"\\echo waiting\nCALL jobq.wait('{empty}', NULL);\n\\echo woken\n");
my $look = "FROM pg_stat_activity WHERE pid = $pid";
poll_ok(
	$node,
	"SELECT state = 'idle' AND wait_event_type = 'Extension' $look",
	'a session that waits is idle');
is( $node->sql(
			"SELECT xact_start IS NULL AND backend_xid IS NULL"
		  . " AND backend_xmin IS NULL AND query LIKE 'CALL jobq.wait%' $look"),
	't',
	'a session that waits has no transaction, and shows its statement');
$node->sql("SELECT jobq.enqueue('empty')");
$waiter->query_until(qr/woken/, '');
my $seen = $waiter->query("SELECT state, xact_start IS NOT NULL, query LIKE 'SELECT state%' $look");
like($seen, qr/active\|t\|t/, 'a session that was woken is active');
$node->sql("SELECT count(*) FROM jobq.dequeue('empty')");
$waiter->query_until(qr/waiting/,
		"SET statement_timeout = '100 ms';\n\\echo waiting\n"
	  . "CALL jobq.wait('{empty}', NULL);\n\\echo ended\n");
$waiter->query_until(qr/ended/, '');
poll_ok(
	$node,
	"SELECT state = 'idle' AND wait_event = 'ClientRead' $look",
	'statement_timeout ends it, and the session is idle');
$waiter->quit;

done_testing();
