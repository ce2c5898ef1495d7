# t/092_findings.pl: what errors and jobq.health say of a broken database: which
# object is missing, one row for one cause, replication that hangs or should not
# exist.

use strict;
use warnings;

use JobqTest;
use Test::More;

# A table of the extension that is not there
my $missing = qr/of extension "jobq" does not exist/;

my $node = jobq_node(
	'main',
	streaming => 'logical',
	conf => ['jobq.databases = MyDb']);

# findings($topic): severity and object of each row.
sub findings
{
	my ($topic, $db) = @_;
	return $node->sql(
		"SELECT severity || ' ' || coalesce(object, '-') FROM jobq.health"
		  . " WHERE topic = '$topic' ORDER BY 1",
		$db);
}

sub hint
{
	my ($topic, $db) = @_;
	return $node->sql("SELECT string_agg(hint, ' ') FROM jobq.health WHERE topic = '$topic'", $db);
}

# A name that must be quoted in the setting
$node->sql('CREATE DATABASE "MyDb"');
create_extension($node, 'MyDb');
like(
	hint('disabled', 'MyDb'),
	qr/^Add "MyDb" to jobq\.databases, with the double quotes/,
	'the hint has the name in quotes');
like(
	hint('disabled'),
	qr/^Add postgres to jobq\.databases, and/,
	'the hint has a plain name without quotes');
$node->append_conf('postgresql.conf', q{jobq.databases = '"MyDb", postgres'});
$node->reload;
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq.health WHERE topic = 'disabled'",
	'the quoted command of the hint works',
	db => 'MyDb');

# One cause, one row
$node->sql(
	q{
	CREATE ROLE shut LOGIN;
	SELECT jobq.grant_usage('shut');
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('q' || i, 'work(jsonb)', owner => 'shut')
	FROM generate_series(1, 5) AS i;
	REVOKE CONNECT ON DATABASE postgres FROM PUBLIC});
is(findings('owner'), 'warning q1', 'five queues of a role that may not connect');
is( hint('owner'),
	'Use GRANT CONNECT ON DATABASE postgres TO shut.',
	'a role that may not connect: the hint');
$node->sql("SELECT jobq.enqueue('q3')");
is(findings('owner'), "critical q3\nwarning q1", 'a queue in which jobs wait is critical');
$node->sql('GRANT CONNECT ON DATABASE postgres TO shut');
is(findings('owner'), '', 'no finding is left when the role may connect');

# Logical replication
$node->sql('CREATE PUBLICATION everything FOR ALL TABLES');
is(findings('logical replication'), 'info everything', 'a publication for all tables is a finding');
$node->sql(q{SELECT jobq.create_queue('published')});
is($node->sql(q{SELECT jobq.drop_queue('published')}), '', 'queues can be dropped nevertheless');
$node->sql('CREATE PUBLICATION one FOR TABLE jobq_store.job');
$node->sql('CREATE PUBLICATION schema_of_it FOR TABLES IN SCHEMA jobq_store');
$node->sql('CREATE TABLE mine (a int); CREATE PUBLICATION other FOR TABLE mine');
is( findings('logical replication'),
	"info everything\nwarning one\nwarning schema_of_it",
	"publications of jobq's tables are findings, those of an application are not");
$node->sql("CREATE PUBLICATION copy FOR TABLE jobq_store.attempt", 'MyDb');
my $source = $node->connstr('MyDb');
$node->sql("SELECT pg_create_logical_replication_slot('copy', 'pgoutput')", 'MyDb');
$node->sql("CREATE SUBSCRIPTION copy CONNECTION \$\$$source\$\$ PUBLICATION copy"
	  . " WITH (create_slot = false, copy_data = false)");
like(
	findings('logical replication'),
	qr/^critical copy$/m,
	"a subscription to jobq's tables is critical");
$node->sql('ALTER SUBSCRIPTION copy DISABLE');
$node->sql('ALTER SUBSCRIPTION copy SET (slot_name = NONE)');
$node->sql('DROP SUBSCRIPTION copy');
$node->sql("SELECT pg_drop_replication_slot('copy')", 'MyDb');
$node->sql('DROP PUBLICATION everything, one, schema_of_it, other');
is(findings('logical replication'), '',
	'no finding is left without publications and subscriptions');

# Names of what is missing
$node->sql('ALTER TABLE jobq_store.job RENAME TO work');
like(
	sql_error($node, "SELECT jobq.enqueue('q1')"),
	qr/55000: relation "jobq_store\.job" $missing.*HINT:  It was renamed/s,
	'a table');
$node->sql('ALTER TABLE jobq_store.work RENAME TO job');
$node->sql('ALTER INDEX jobq_store.queue_name_key RENAME TO other');
like(
	sql_error($node, "SELECT jobq.enqueue('q1')"),
	qr/55000: relation "jobq_store\.queue_name_key"/,
	'an index');
$node->sql('ALTER INDEX jobq_store.other RENAME TO queue_name_key');
$node->sql('ALTER SCHEMA jobq_store RENAME TO other');
like(
	sql_error($node, "SELECT jobq.enqueue('q1')"),
	qr/55000: schema "jobq_store" of extension "jobq" does not exist/,
	'the schema');
$node->sql('ALTER SCHEMA other RENAME TO jobq_store');
like($node->sql("SELECT jobq.enqueue('q1')"),
	qr/^\d+$/, 'no finding is left when all names exist again');

# in the log, too, when the coordinator has something to do with it
my $position = -s $node->logfile;
$node->sql("SELECT jobq.create_queue('leased'); SELECT jobq.enqueue('leased')");
$node->sql('ALTER TABLE jobq_store.attempt RENAME TO other');
$node->sql("SELECT jobq.dequeue('leased', lease => '100 ms')");
ok( poll_until(
		sub {
			return log_since($node, $position) =~
			  /jobq failed in ending leases: relation "jobq_store\.attempt" $missing/;
		}),
	'the coordinator names a table that is missing');
$node->sql('ALTER TABLE jobq_store.other RENAME TO attempt');
poll_ok(
	$node,
	"SELECT state = 'ready' FROM jobq.jobs WHERE queue = 'leased'",
	'jobs run when the table exists again');

# Synchronous replication that hangs
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'gone'");
$node->reload;
my $stuck = $node->background_psql('postgres', on_error_stop => 0);
$stuck->query_until(qr/sent/, "\\echo sent\nSELECT jobq.enqueue('q1');\n");
poll_ok(
	$node,
	"SELECT severity || ' ' || object FROM jobq.health"
	  . " WHERE topic = 'synchronous replication'",
	'a commit that waits for a standby is a finding',
	expected => 'critical synchronous_standby_names');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
poll_ok(
	$node,
	"SELECT count(*) FROM jobq.health WHERE topic = 'synchronous replication'",
	'no finding is left when replication works',
	expected => '0');
$stuck->quit;

done_testing();
