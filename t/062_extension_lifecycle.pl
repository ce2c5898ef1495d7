# t/062_extension_lifecycle.pl: the extension comes and goes: CREATE, DROP and
# ALTER EXTENSION while workers are at work, servers without the library or
# without the extension, a library that meets the SQL of another version.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# What a command that sends the workers away may take.
my $command_limit = 20;

my $node = jobq_node('main', extension => 0, conf => ['jobq.max_workers = 4']);

# A handler, in the public schema, that notes what it is given; if that has
# "sleep" it sleeps first.
my $make_handlers = q{
	CREATE TABLE IF NOT EXISTS done (n int);
	CREATE OR REPLACE FUNCTION handle(payload jsonb) RETURNS void
	LANGUAGE plpgsql AS $$
	BEGIN
	  IF payload ? 'sleep' THEN
	    PERFORM pg_sleep((payload ->> 'sleep')::float8);
	  END IF;
	  INSERT INTO done VALUES ((payload ->> 'n')::int);
	END $$;
};

sub make_queue
{
	my ($db, $on) = @_;
	($on // $node)->safe_psql($db,
			"$make_handlers SELECT jobq.create_queue('q', 'handle(jsonb)',"
		  . " max_attempts => 5, backoff_base => '20 ms')");
	return;
}

my $n = 0;

# A job is enqueued and run.
sub works_ok
{
	my ($db, $name, $on) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$n++;
	($on // $node)->safe_psql($db, "SELECT jobq.enqueue('q', '{\"n\": $n}')");
	poll_ok($on // $node, "SELECT count(*) = 1 FROM done WHERE n = $n", $name, db => $db);
	return;
}

sub start_long_job
{
	my ($db) = @_;
	$node->safe_psql($db, "SELECT jobq.enqueue('q', '{\"n\": 0, \"sleep\": 600}')");
	poll_query($node,
		"SELECT count(*) = 1 FROM jobq.workers WHERE kind = 'executor' AND state = 'running'",
		db => $db)
	  or die "no executor runs the job\n";
	return;
}

sub no_workers_ok
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_ok(
		$node,
		"SELECT count(*) = 0 FROM pg_stat_activity"
		  . " WHERE datname = '$db' AND backend_type LIKE 'jobq%'",
		$name);
	return;
}

# ------------------------------------------- library loaded, no extension

wait_for_worker($node, 'jobq launcher');
no_workers_ok('postgres', 'no extension: no coordinator stays');
is(join("\n", unexpected_log_lines($node, 0)), '', 'no extension: nothing in the log');
$node->safe_psql('postgres', 'CREATE DATABASE second; CREATE DATABASE third');
within(
	$command_limit,
	'no extension: CREATE DATABASE from any template',
	sub { $node->safe_psql('postgres', 'CREATE DATABASE fourth TEMPLATE second') });
within(
	$command_limit,
	'no extension: DROP DATABASE',
	sub { $node->safe_psql('postgres', 'DROP DATABASE fourth') });
like(sql_error($node, 'SELECT jobq.version()'), qr/3F000/, 'no extension: there are no functions');
is($node->safe_psql('postgres', "SHOW jobq.max_workers"), '4', 'no extension: there are settings');

# ------------------------------------------------- a second database

$node->safe_psql('postgres', 'CREATE EXTENSION jobq');
make_queue('postgres');
works_ok('postgres', 'first database: jobs run');

my $started = time();
$node->safe_psql('second', 'CREATE EXTENSION jobq');
my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'second');
make_queue('second');
works_ok('second', 'second database: jobs run, with no restart');
cmp_ok(time() - $started, '<', 10, 'second database: jobs run soon after CREATE EXTENSION');
is($node->safe_psql('postgres', 'SELECT count(*) FROM done WHERE n = 2'),
	'0', 'the job did not run in the first database');

# one transaction that creates everything
$node->safe_psql('third',
		"BEGIN; CREATE EXTENSION jobq; $make_handlers"
	  . " SELECT jobq.create_queue('q', 'handle(jsonb)');"
	  . " SELECT jobq.enqueue('q', '{\"n\": 1000}'); COMMIT");
poll_ok(
	$node,
	'SELECT count(*) = 1 FROM done WHERE n = 1000',
	'third database: a job that came with the extension runs',
	db => 'third');

# a CREATE EXTENSION that is rolled back leaves nothing
$node->safe_psql('postgres', 'CREATE DATABASE fourth');
$node->safe_psql('fourth', 'BEGIN; CREATE EXTENSION jobq; ROLLBACK');
no_workers_ok('fourth', 'CREATE EXTENSION rolled back: no worker starts');
$node->safe_psql('fourth', 'CREATE EXTENSION jobq');
make_queue('fourth');
works_ok('fourth', 'jobs run after a second CREATE EXTENSION');

like(sql_error($node, 'CREATE EXTENSION jobq', 'second'),
	qr/42710/, 'a second CREATE EXTENSION fails');

# --------------------------------------------------------- ALTER EXTENSION

my ($status, $out, $err) = $node->psql('second', 'ALTER EXTENSION jobq UPDATE');
is($status, 0, 'ALTER EXTENSION UPDATE to the same version');
like(
	$err,
	qr/NOTICE: .*is already installed/,
	'ALTER EXTENSION UPDATE to the same version does nothing');
works_ok('second', 'jobs run after an update that does nothing');
like(sql_error($node, "ALTER EXTENSION jobq UPDATE TO '99.0'", 'second'),
	qr/22023/, 'ALTER EXTENSION UPDATE to an unknown version fails');
works_ok('second', 'jobs run after an update that fails');

# an update waits for running jobs, but not forever
start_long_job('second');
within(
	$command_limit,
	'ALTER EXTENSION UPDATE while a job runs',
	sub { $node->safe_psql('second', 'ALTER EXTENSION jobq UPDATE') });
is($node->safe_psql('second', "SELECT count(*) FROM jobq.jobs WHERE state = 'running'"),
	'1', 'the running job continues during an update');
works_ok('second', 'other jobs run beside it after an update');

# ---------------------------------------------------------- DROP EXTENSION

# a handler that takes a jobq.job depends on the extension
$node->safe_psql(
	'second', q{
	CREATE FUNCTION handle_job(job jobq.job) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO done VALUES ((job.payload ->> 'n')::int) $$;
	SELECT jobq.create_queue('j', 'handle_job(jobq.job)')});
is($node->safe_psql('second', "SELECT count(*) FROM jobq.jobs WHERE state = 'running'"),
	'1', 'a job is running');
my $error;
within(
	$command_limit,
	'DROP EXTENSION without CASCADE, workers active',
	sub { $error = sql_error($node, 'DROP EXTENSION jobq', 'second') });
like($error, qr/2BP01/, 'DROP EXTENSION fails because of a handler');
works_ok('second', 'jobs run after a failed DROP EXTENSION');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.jobs WHERE state = 'running' AND queue = 'q'",
	'the interrupted job runs again',
	db => 'second');

# in a transaction that is rolled back
{
	my $session = $node->background_psql('second');
	$session->query_safe('BEGIN');
	within(
		$command_limit,
		'DROP EXTENSION CASCADE in a transaction',
		sub { $session->query('DROP EXTENSION jobq CASCADE') });
	$session->query('ROLLBACK');
	$session->quit;
}
is($node->safe_psql('second', "SELECT count(*) FROM pg_proc WHERE proname = 'handle_job'"),
	'1', 'ROLLBACK of DROP EXTENSION: all jobs are there');
works_ok('second', 'jobs run after a rolled back DROP EXTENSION');

# in one that takes its time, with others that enqueue meanwhile
poll_query(
	$node,
	"SELECT count(*) = 1 FROM jobq.jobs WHERE state = 'running' AND queue = 'q'",
	db => 'second') or die "no executor runs the job\n";
{
	my $session = $node->background_psql('second');
	my $other = $node->background_psql('second', on_error_stop => 0);
	$session->query_safe('BEGIN');
	within(
		$command_limit,
		'DROP EXTENSION CASCADE, workers active',
		sub { $session->query('DROP EXTENSION jobq CASCADE') });
	$other->query_until(qr/begun/,
		"\\echo begun\nSELECT jobq.enqueue('q', '{\"n\": 2000}');\n\\echo over\n");
	within($command_limit, 'COMMIT', sub { $session->query('COMMIT') });
	my $answer = $other->query_until(qr/over/, '');
	unlike($answer, qr/^\d+$/m, 'an enqueue that waited for DROP EXTENSION fails');
	$session->quit;
	$other->quit;
}
no_workers_ok('second', 'DROP EXTENSION ends the workers');
is($node->safe_psql('second', "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jobq%'"),
	'0', 'DROP EXTENSION leaves nothing');
is($node->safe_psql('second', "SELECT count(*) FROM pg_proc WHERE proname LIKE 'handle%'"),
	'1', 'the handler that does not depend on the extension is left');
works_ok('postgres', 'other databases are not disturbed');

# and again, with what sessions had cached
{
	my $session = $node->background_psql('second', on_error_stop => 0);
	$node->safe_psql('second', 'CREATE EXTENSION jobq');
	make_queue('second');
	works_ok('second', 'CREATE EXTENSION again');
	$n++;
	$session->query_safe("SELECT jobq.enqueue('q', '{\"n\": $n}')");
	for my $round (1 .. 3)
	{
		$started = time();
		within(
			$command_limit,
			"DROP EXTENSION $round",
			sub { $node->safe_psql('second', 'DROP EXTENSION jobq CASCADE') });
		like(sql_error($node, "SELECT jobq.enqueue('q')", 'second'),
			qr/3F000/, 'functions fail after DROP EXTENSION');
		$node->safe_psql('second', 'CREATE EXTENSION jobq; TRUNCATE done');
		make_queue('second');
		$n++;
		$session->query_safe("SELECT jobq.enqueue('q', '{\"n\": $n}')");
		poll_ok(
			$node,
			"SELECT count(*) = 1 FROM done WHERE n = $n",
			'a session that used the dropped extension can enqueue into the new one',
			db => 'second');
		cmp_ok(time() - $started, '<', 5, 'jobs run soon after DROP and CREATE EXTENSION');
	}
	$session->quit;
}

# A lease is never used twice, though sequences start again with the
# extension and shared memory does not.
$node->safe_psql(
	'second', q{
	DROP EXTENSION jobq CASCADE;
	CREATE EXTENSION jobq;
	SELECT jobq.create_queue('leases');
	SELECT jobq.enqueue('leases')});
my $lease = $node->safe_psql('second', "SELECT lease FROM jobq.dequeue('leases')");
$node->safe_psql(
	'second', q{
	DROP EXTENSION jobq CASCADE;
	CREATE EXTENSION jobq;
	SELECT jobq.create_queue('leases');
	SELECT jobq.enqueue_many('leases', array_fill('1'::jsonb, '{20}'))});
my @leases =
  split(/\n/, $node->safe_psql('second', "SELECT lease FROM jobq.dequeue('leases');\n" x 10));
$node->restart;
push @leases,
  split(/\n/, $node->safe_psql('second', "SELECT lease FROM jobq.dequeue('leases');\n" x 10));
my %seen;
is(scalar(grep { $seen{$_}++ } @leases), 0, 'no lease is used twice, not even after a restart')
  or diag("@leases");
is(scalar(@leases), 20, 'all jobs were leased');

# DROP OWNED and DROP SCHEMA
within(
	$command_limit,
	'DROP SCHEMA of the extension',
	sub { $error = sql_error($node, 'DROP SCHEMA jobq CASCADE', 'second') });
like($error, qr/2BP01/, 'DROP SCHEMA of the extension fails');
make_queue('second');
works_ok('second', 'jobs run after a new CREATE EXTENSION');

# a database that goes with its workers
start_long_job('second');
within(
	$command_limit,
	'DROP DATABASE, workers active',
	sub { $node->safe_psql('postgres', 'DROP DATABASE second') });
works_ok('postgres', 'jobs of other databases run after DROP DATABASE');
is( join(
		"\n",
		unexpected_log_lines(
			$node, 0,
			qr/does not exist/, qr/is not installed in this database/,
			qr/cache lookup failed for function/,    # of core, for a call that comes at this moment
			qr/already exists/,
			qr/has no update path/, qr/could not open relation/, qr/depend on it/,
			qr/cannot drop schema/, qr/terminating (?:background|connection)/)),
	'',
	'nothing unexpected in the log');

# ------------------------------- a new library and the SQL of another version

# Whatever touches a table says what to do; nothing crashes.
make_queue('postgres')
  if $node->safe_psql('postgres', "SELECT count(*) FROM jobq.queues WHERE queue = 'q'") eq '0';
$node->safe_psql('postgres', q{SELECT jobq.enqueue('q', '{"n": 4000}', delay => '1 hour')});
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'jobq'");
my $routines = $node->safe_psql(
	'postgres', q{
	SELECT format('%s %s(%s)',
		CASE WHEN p.prokind = 'p' THEN 'CALL' ELSE 'SELECT * FROM' END,
		p.oid::regproc,
		(SELECT coalesce(string_agg(CASE t::regtype::text
				WHEN 'text' THEN quote_literal('q')
				WHEN 'bigint' THEN '1' WHEN 'integer' THEN '1' WHEN 'smallint' THEN '1::smallint'
				WHEN 'double precision' THEN '1'
				WHEN 'boolean' THEN 'true'
				WHEN 'jsonb' THEN quote_literal('{}') || '::jsonb'
				WHEN 'interval' THEN quote_literal('1 second') || '::interval'
				WHEN 'timestamp with time zone' THEN quote_literal('2000-01-01') || '::timestamptz'
				WHEN 'text[]' THEN quote_literal('{q}') || '::text[]'
				WHEN 'jsonb[]' THEN quote_literal('{1}') || '::jsonb[]'
				WHEN 'regrole' THEN quote_literal('postgres') || '::regrole'
				WHEN 'oid' THEN '10::oid'
				WHEN 'regprocedure' THEN quote_literal('handle(jsonb)') || '::regprocedure'
				ELSE 'NULL::' || t::regtype END, ', ' ORDER BY i), '')
			FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, i)))
	FROM pg_proc AS p
	WHERE p.pronamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
	  AND p.provariadic = 0 AND p.proname NOT IN ('grant_usage', 'revoke_usage')
	ORDER BY p.oid});
my @routines = split(/\n/, $routines);
cmp_ok(scalar(@routines), '>', 50, 'another version: there are functions to try');
my $position = log_position($node);
my @works;
foreach my $call (@routines,
	map { "SELECT * FROM jobq.$_" }
	qw(jobs queues dead_letters attempts schedules schedule_runs workers))
{
	my $said = sql_error($node, $call);
	if ($said eq '')
	{
		push @works, $call =~ /\.(\w+)/;
		next;
	}
	like($said, qr/ERROR:  (?!XX000)\w{5}: /, "another version: $call");
}
diag("works with another version: @works");
unlike(
	join(' ', @works),
	qr/\b(?:enqueue|dequeue|complete|schedule|jobs|queues)\b/,
	'another version: functions that touch tables are refused');
my $has_version = qr/extension "jobq" has version/;
like(
	sql_error($node, "SELECT jobq.enqueue('q')"),
	qr/55000: $has_version 0.0.1 in this database.*HINT: .*ALTER EXTENSION jobq UPDATE/s,
	'another version: the error says what to do');
$node->safe_psql('postgres',
	"UPDATE pg_extension SET extversion = '10.0.1' WHERE extname = 'jobq'");
like(
	sql_error($node, "SELECT jobq.enqueue('q')"),
	qr/55000: $has_version 10.0.1 in this database.*HINT: .*Install the library of version 10.0.1/s,
	'a later version: the error says to update the library');
is($node->safe_psql('postgres', q{SELECT hint ~ 'library of version 10.0.1' FROM jobq.health}),
	't', 'a later version: health says so too');
unlike(
	log_since($node, $position),
	qr/PANIC|terminated by signal|TRAP/,
	'another version: nothing crashed');
$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS jobq');
$node->safe_psql('postgres',
	"UPDATE pg_extension SET extversion = jobq.version() WHERE extname = 'jobq'");
is($node->safe_psql('postgres', q{SELECT count(*) FROM jobq.jobs WHERE payload = '{"n": 4000}'}),
	'1', 'the right version: the job is still there');
$node->safe_psql('postgres', 'SELECT jobq.start()');
works_ok('postgres', 'the right version: jobs run');

# ---------------------------------------------------- library not loaded

my $bare = jobq_node('bare', preload => 0);
$error = sql_error($bare, 'CREATE EXTENSION jobq');
like($error, qr/55000/, 'library not preloaded: CREATE EXTENSION fails');
like(
	$error,
	qr/HINT: .*shared_preload_libraries/,
	'library not preloaded: the error says what to do');
is($bare->safe_psql('postgres', "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jobq%'"),
	'0', 'library not preloaded: nothing is left');
($status) = $bare->psql('postgres', "LOAD 'jobq'");
is($bare->psql('postgres', 'SELECT 1'), 0, 'LOAD does no harm');
is(join("\n", unexpected_log_lines($bare, 0, qr/must be loaded|preload/)),
	'', 'nothing unexpected in the log');

# a server that had it loaded, and no more
$bare->append_conf('postgresql.conf', "shared_preload_libraries = 'jobq'");
$bare->restart;
$bare->safe_psql('postgres', 'CREATE EXTENSION jobq');
make_queue('postgres', $bare);
works_ok('postgres', 'preloaded: it works', $bare);
$bare->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$bare->restart;

foreach my $call (
	"SELECT jobq.enqueue('q')",
	"SELECT * FROM jobq.dequeue('q')",
	"SELECT * FROM jobq.take('q')",
	"CALL jobq.wait('{q}', '0 s')",
	"SELECT jobq.create_queue('r')",
	"SELECT jobq.drop_queue('q')",
	'SELECT jobq.start()',
	'SELECT jobq.stop()',
	'SELECT jobq.cancel(1)',
	"SELECT jobq.schedule('s', '\@daily', 'SELECT 1')",
	'SELECT * FROM jobq.queues',
	'SELECT * FROM jobq.jobs',
	'SELECT * FROM jobq.workers')
{
	like(
		sql_error($bare, $call),
		qr/55000.*HINT: .*shared_preload_libraries/s,
		"no longer preloaded: $call");
}
is( $bare->safe_psql('postgres', "SELECT jobq.cron_next('\@yearly', '2030-05-05', 'UTC')"),
	'2031-01-01 00:00:00+00',
	'functions that need no shared memory work');
like($bare->safe_psql('postgres', 'SELECT jobq.version()'),
	qr/^\d+\.\d+/, 'version() works without shared memory');
run_log(
	[
		'pg_dump', '-h', $bare->host, '-p', $bare->port, '-f',
		$bare->basedir . '/dump.sql', 'postgres'
	]);
is($? >> 8, 0, 'pg_dump works without the library');
$bare->safe_psql('postgres', 'DROP EXTENSION jobq');
pass('library not preloaded: the extension can be dropped');
$bare->stop;

$node->stop;
done_testing();
