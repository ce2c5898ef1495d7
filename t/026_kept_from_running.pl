# t/026_kept_from_running.pl: SQL jobs that cannot run because transactions
# are read only by default, and jobs that cannot be ended: what happens to
# them, and what jobq.health says.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.worker_idle_timeout = 50ms']);

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', "SET default_transaction_read_only = off; $sql");
}

sub findings
{
	my ($topic) = @_;
	return "SELECT string_agg(concat_ws(' ', severity, object, message), ', ') FROM jobq.health
		WHERE topic = '$topic'";
}

sub no_executors
{
	return poll_query($node,
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
}

sql(q{
	CREATE TABLE done (n int);
	CREATE FUNCTION writes(p jsonb) RETURNS text
		LANGUAGE sql AS 'INSERT INTO done VALUES (1) RETURNING ''done''';
	CREATE FUNCTION reads(p jsonb) RETURNS text
		LANGUAGE sql AS 'SELECT current_setting(''transaction_read_only'')';
	SELECT jobq.create_queue('writes', 'writes(jsonb)', max_attempts => 1);
	CREATE ROLE reader LOGIN;
	SELECT jobq.grant_usage('reader');
	SELECT jobq.create_queue('reads', 'reads(jsonb)', owner => 'reader', max_attempts => 1);
});

# --------------------------------------------------------------- read only

foreach my $freeze (
	[
		'ALTER DATABASE',
		'ALTER DATABASE postgres SET default_transaction_read_only = on',
		'ALTER DATABASE postgres RESET default_transaction_read_only'
	],
	[
		'ALTER ROLE ALL',
		'ALTER ROLE ALL SET default_transaction_read_only = on',
		'ALTER ROLE ALL RESET default_transaction_read_only'
	],
	[
		'ALTER SYSTEM',
		'ALTER SYSTEM SET default_transaction_read_only = on',
		'ALTER SYSTEM RESET default_transaction_read_only'
	])
{
	my ($name, $on, $off) = @{$freeze};
	no_executors() or die 'executors stay';
	my $position = log_position($node);
	sql($on);
	$node->reload;
	poll_query($node, 'SHOW default_transaction_read_only', expected => 'on')
	  or die 'the setting is not on';
	my $id = sql("SELECT jobq.enqueue('writes')");
	poll_ok($node, findings('read only'), "$name: health says that jobs wait",
		expected => 'critical default_transaction_read_only transactions are read-only by default'
		  . ' in this database, so SQL jobs wait');
	is(sql("SELECT concat_ws(' ', state, attempt) FROM jobq.jobs WHERE id = $id"),
		'ready 0', "$name: SQL jobs wait");
	sql($off);
	$node->reload;
	poll_ok(
		$node,
		"SELECT concat_ws(' ', state, attempt, result) FROM jobq.jobs WHERE id = $id",
		"$name: SQL jobs run when it is off",
		expected => 'completed 1 "done"');
	is(sql(findings('read only')), '', "$name: the finding is gone");
	my @lines = log_since($node, $position) =~ /LOG:  jobq does not run jobs while/g;
	is(scalar(@lines), 1, "$name: the log says so once");
}

# An executor that is there already, and a change of the configuration
no_executors() or die 'executors stay';
$node->append_conf('postgresql.conf', "jobq.worker_idle_timeout = 1h");
$node->reload;
my $id = sql("SELECT jobq.enqueue('writes')");
poll_query($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id")
  or die 'a job does not run';
sql('ALTER SYSTEM SET default_transaction_read_only = on');
$node->reload;
poll_query($node, 'SHOW default_transaction_read_only', expected => 'on')
  or die 'the setting is not on';
$id = sql("SELECT jobq.enqueue('writes')");
poll_ok(
	$node,
	'SELECT count(*) FROM (' . findings('read only') . ') f WHERE string_agg IS NOT NULL',
	'a running executor sees the setting, too',
	expected => '1');
is(sql("SELECT concat_ws(' ', state, attempt) FROM jobq.jobs WHERE id = $id"),
	'ready 0', 'the job waits');
sql('ALTER SYSTEM RESET default_transaction_read_only');
$node->reload;
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $id",
	'the job runs in the end',
	expected => 'completed');

# What a role wants for itself is no freeze
sql('ALTER ROLE reader SET default_transaction_read_only = on');
$id = sql("SELECT jobq.enqueue('reads')");
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, result) FROM jobq.jobs WHERE id = $id",
	'jobs of a role that only reads run',
	expected => 'completed "on"');

# ------------------------------------------------- jobs that cannot be ended

my $file = $node->basedir . '/go_on';
sql(qq{
	CREATE TABLE lines (line text);
	CREATE FUNCTION is_deaf(p jsonb) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		COPY lines FROM PROGRAM 'while [ ! -e $file ]; do sleep 0.1; done'; END\$\$;
	SELECT jobq.create_queue('deaf', 'is_deaf(jsonb)', max_attempts => 1);
});
my $late = sql("SELECT jobq.enqueue('deaf', timeout => '100 ms')");
my $cancelled = sql("SELECT jobq.enqueue('deaf')");
poll_query($node, "SELECT count(*) = 2 FROM jobq.jobs WHERE queue = 'deaf' AND state = 'running'")
  or die 'jobs do not run';
is(sql("SELECT jobq.cancel($cancelled)"), 't', 'a job is cancelled');
is(sql(findings('stuck')), '', 'health gives a cancelled job a moment to end');
my $stuck =
  q{SELECT string_agg(concat_ws(' ', severity, object, regexp_replace(message, 'process \d+',
	'process N')), ', '
	ORDER BY message) || ' ' || bool_and(since < now() - interval '5 s') FROM jobq.health
		WHERE topic = 'stuck'};
poll_ok($node, $stuck, 'jobs that do not end are findings of health',
	expected =>
	  "warning deaf job $late is still running in process N although its timeout has passed, "
	  . "warning deaf job $cancelled is still running in process N although it was cancelled true");
is( $node->safe_psql(
		'postgres', "SET ROLE reader; SELECT count(*) FROM jobq.health WHERE topic = 'stuck'"),
	'0',
	'the finding is hidden from roles that may not see the queue');
append_to_file($file, 'yes');
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, sqlstate) FROM jobq.jobs WHERE id = $late",
	'the job past its timeout has timed out in the end',
	expected => 'dead 57014');
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $cancelled",
	'the cancelled job is cancelled in the end',
	expected => 'cancelled');
is(sql(findings('stuck')), '', 'health has no finding left');

done_testing();
