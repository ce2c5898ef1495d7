# t/010_processes.pl: launcher, coordinators and executors come up, and come
# back after their end.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.worker_idle_timeout = 300ms']);

sub make_queue
{
	my ($db) = @_;
	$node->safe_psql(
		$db, q{
		CREATE TABLE done (payload jsonb, db text DEFAULT current_database());
		CREATE FUNCTION work(payload jsonb) RETURNS void LANGUAGE sql
			AS 'INSERT INTO done VALUES ($1)';
		SELECT jobq.create_queue('work', 'work(jsonb)');
	});
	return;
}

sub run_job
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql($db, "SELECT jobq.enqueue('work', '\"$name\"')");
	return poll_ok(
		$node, "SELECT count(*) = 1 FROM done WHERE payload = '\"$name\"'",
		$name,
		db => $db,
		seconds => 30);
}

# ----------------------------------------------------------- two databases

make_queue('postgres');
run_job('postgres', 'a job runs after CREATE EXTENSION, without a restart');

$node->safe_psql('postgres', 'CREATE DATABASE other');
create_extension($node, 'other');
make_queue('other');
run_job('other', 'a job runs in a new database');
run_job('postgres', 'a job still runs in the first database');
is( $node->safe_psql(
		'postgres', q{SELECT string_agg(datname, ' ' ORDER BY datname)
	FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'}),
	'other postgres',
	'each database has one coordinator');
poll_ok(
	$node, q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor'}, 'idle executors leave');

# ------------------------------------------------- each process terminated

foreach my $type ('jobq launcher', 'jobq coordinator')
{
	my $db = $type eq 'jobq launcher' ? undef : 'other';
	my $pid = wait_for_worker($node, $type, db => $db);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	isnt(wait_for_worker($node, $type, db => $db, not => $pid), $pid, "$type comes back");
	run_job('other', "a job runs after the end of the $type");
}
my ($coordinator) = worker_pids($node, 'jobq coordinator', 'postgres');
my ($launcher) = worker_pids($node, 'jobq launcher');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
wait_for_worker($node, 'jobq launcher', not => $launcher);
run_job('postgres', 'a job runs after the launcher has come back');
is(join(' ', worker_pids($node, 'jobq coordinator', 'postgres')),
	$coordinator, 'the new launcher has kept the coordinator');

# an executor: its job is rolled back, and runs again
$node->safe_psql(
	'postgres', q{
	CREATE TABLE tries (at timestamptz);
	CREATE SEQUENCE try;
	CREATE FUNCTION slow_once(payload jsonb) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN
			INSERT INTO tries VALUES (clock_timestamp());
			IF nextval('try') = 1 THEN PERFORM pg_sleep(600); END IF;
		END$$;
	SELECT jobq.create_queue('slow', 'slow_once(jsonb)', max_attempts => 2,
		backoff_base => '10 ms');
	SELECT jobq.enqueue('slow');
});
poll_ok($node, q{SELECT last_value = 1 AND is_called FROM try}, 'a job is running');
my ($executor) = worker_pids($node, 'jobq executor', 'postgres');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($executor)");
poll_ok($node, q{SELECT count(*) = 1 FROM tries}, 'a job whose executor was terminated runs again');
is($node->safe_psql('postgres', q{SELECT state || attempt FROM jobq.jobs WHERE queue = 'slow'}),
	'completed2', 'the terminated executor used up an attempt');

# ------------------------------------------------- settings at run time

$node->safe_psql('postgres', 'ALTER SYSTEM SET jobq.enabled = off');
$node->reload;
poll_ok(
	$node, q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type IN ('jobq coordinator', 'jobq executor')},
	'jobq.enabled = off ends all processes but the launcher');
$node->safe_psql('postgres', "SELECT jobq.enqueue('work', '\"later\"')");
$node->safe_psql('postgres', q{ALTER SYSTEM SET jobq.databases = 'other, nosuch'});
$node->safe_psql('postgres', 'ALTER SYSTEM RESET jobq.enabled');
$node->reload;
run_job('other', 'jobq.databases: a database that is named is served');
is($node->safe_psql('postgres', q{SELECT count(*) FROM done WHERE payload = '"later"'}),
	'0', 'a database that jobq.databases does not name is not served');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET jobq.databases');
$node->reload;
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"later"'},
	'a database that may be served again is served');

$node->safe_psql('postgres', 'ALTER SYSTEM SET jobq.max_workers = 0');
$node->reload;
poll_ok($node, q{SELECT current_setting('jobq.max_workers') = '0'}, 'jobq.max_workers is 0');
poll_ok(
	$node, q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor'}, 'no executor is left');
$node->safe_psql('postgres', "SELECT jobq.enqueue('work', '\"waits\"')");
$node->safe_psql('postgres', 'ALTER SYSTEM RESET jobq.max_workers');
$node->reload;
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"waits"'},
	'a job that waited for jobq.max_workers runs');

like(sql_error($node, q{ALTER SYSTEM SET jobq.timezone = 'Europe/Nowhere'}),
	qr/22023/, 'jobq.timezone is checked');

# --------------------------------------------------- a role without login

my $position = log_position($node);
$node->safe_psql(
	'postgres', q{
	CREATE ROLE nobody NOLOGIN;
	GRANT ALL ON done TO nobody;
	SELECT jobq.create_queue('nobodys', 'work(jsonb)');
	UPDATE jobq_store.queue SET owner = 'nobody' WHERE name = 'nobodys';
	SELECT jobq.alter_queue('nobodys', description => 'owned by nobody');
	SELECT jobq.enqueue('nobodys', '"nobody"');
});
run_job('postgres', 'others are served beside a role that cannot log in');
SKIP:
{
	skip 'such roles can run jobs', 1 if $node->pg_version >= 17;
	poll_until(sub { log_since($node, $position) =~ /cannot run the jobs of role "nobody"/ });
	is(scalar(() = log_since($node, $position)   =~ /cannot run the jobs of role "nobody"/g),
		1, 'the log says so once');
}
$node->safe_psql('postgres', 'ALTER ROLE nobody LOGIN');
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"nobody"'},
	'the job runs once its role may log in');

# ------------------------------------------------------- fast shutdown

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION forever(payload jsonb) RETURNS void LANGUAGE sql
		AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('forever', 'forever(jsonb)');
	SELECT jobq.enqueue('forever');
});
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'}, 'a long job runs');
within(20, 'a fast shutdown does not wait for it', sub { $node->stop('fast') });
$node->start;
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'},
	'the job runs again after the restart');
is( $node->safe_psql(
		'postgres', q{SELECT attempt FROM jobq_store.job
	WHERE queue = (SELECT id FROM jobq_store.queue WHERE name = 'forever')}),
	'0',
	'the job has lost no attempt');
within(20, 'a smart shutdown does not wait for it', sub { $node->stop('smart') });

# -------------------------------------------- without the library preloaded

my $bare = jobq_node('bare', preload => 0);
like(
	sql_error($bare, 'CREATE EXTENSION jobq'),
	qr/ERROR:  55000:.*HINT:  Add jobq to shared_preload_libraries/s,
	'CREATE EXTENSION says that the library must be preloaded');
is($bare->safe_psql('postgres', 'SELECT 1'), '1', 'the server works');

done_testing();
