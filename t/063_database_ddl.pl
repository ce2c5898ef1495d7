# t/063_database_ddl.pl: the workers do not hinder DDL that needs exclusive use
# of a database or the extension, and come back after it.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf =>
	  [ 'jobq.worker_idle_timeout = 1h', 'jobq.max_workers = 8', 'max_prepared_transactions = 5' ]);

sub set_up
{
	my ($db) = @_;
	$node->sql(
		q{
		CREATE EXTENSION jobq;
		CREATE TABLE done (payload jsonb);
		CREATE FUNCTION work(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
			INSERT INTO done VALUES (payload);
			IF payload = '"sleep"' THEN PERFORM pg_sleep(600); END IF; END$$;
		SELECT jobq.create_queue('work', 'work(jsonb)');
	}, $db);
	return;
}

# Has a database with an idle executor and one that runs a long job.
sub make_busy
{
	my ($db) = @_;
	$node->sql("SELECT jobq.enqueue('work', '\"sleep\"')", $db);
	poll_query(
		$node, qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$db'
		AND backend_type = 'jobq executor'
			AND wait_event = 'PgSleep'}) or die 'the job does not run';
	return;
}

sub run_job
{
	my ($db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->sql("SELECT jobq.enqueue('work', '\"$name\"')", $db);
	return poll_ok(
		$node, "SELECT count(*) = 1 FROM done WHERE payload = '\"$name\"'", $name,
		db => $db,
		seconds => 30);
}

$node->sql('CREATE DATABASE one');
set_up('one');
run_job('one', 'jobs run');
make_busy('one');

# ---------------------------------------------------- each command in turn

my $limit = 4;
within(
	$limit,
	'CREATE DATABASE ... TEMPLATE',
	sub { $node->sql('CREATE DATABASE copy TEMPLATE one') });
run_job('one', 'jobs run after CREATE DATABASE ... TEMPLATE');
make_busy('one')
  if $node->sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") eq '0';
is($node->sql(q{SELECT attempt FROM jobq_store.job}, 'one'),
	'0', 'the interrupted job has lost no attempt');

within($limit, 'ALTER DATABASE RENAME', sub { $node->sql('ALTER DATABASE one RENAME TO two') });
run_job('two', 'jobs run after ALTER DATABASE RENAME');

my $space = PostgreSQL::Test::Utils::tempdir();
$node->sql("CREATE TABLESPACE space LOCATION '$space'");
within(
	$limit,
	'ALTER DATABASE SET TABLESPACE',
	sub { $node->sql('ALTER DATABASE two SET TABLESPACE space') });
run_job('two', 'jobs run after ALTER DATABASE SET TABLESPACE');

# one that fails: they come back, too
like(sql_error($node, 'ALTER DATABASE two RENAME TO postgres'),
	qr/42P04/, 'ALTER DATABASE RENAME to an existing name fails');
run_job('two', 'jobs run after a command that failed');
like(sql_error($node, 'BEGIN; DROP DATABASE two'),
	qr/25001/, 'DROP DATABASE in a transaction block fails');
run_job('two', 'jobs run after it');

# one that its user may not give disturbs nobody
$node->sql('CREATE ROLE carl LOGIN');
my ($coordinator) = worker_pids($node, 'jobq coordinator', 'two');
like(sql_error($node, 'SET SESSION AUTHORIZATION carl; DROP DATABASE two'),
	qr/42501/, 'a command that is refused');
is(join(' ', worker_pids($node, 'jobq coordinator', 'two')),
	$coordinator, 'a refused command leaves the coordinator alone');

# the copy does nothing until start()
$node->sql("SELECT jobq.resume('work')", 'copy');
is($node->sql('SELECT count(*) FROM jobq_store.job', 'copy'), '1', 'the copy has the job');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
	AND datname = 'copy'}, 'the copy has a coordinator');
is( $node->sql(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND datname = 'copy'}),
	'0',
	'the copy runs nothing');
$node->sql('SELECT jobq.start()', 'copy');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'copy'
	AND backend_type = 'jobq executor'
		AND wait_event = 'PgSleep'}, 'after start() it runs the job');

within($limit, 'DROP DATABASE', sub { $node->sql('DROP DATABASE copy') });
within($limit, 'DROP DATABASE of the other', sub { $node->sql('DROP DATABASE two WITH (FORCE)') });
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'all executors have exited');

# DROP DATABASE of one that never had it
$node->sql('CREATE DATABASE plain');
within($limit, 'DROP DATABASE without jobq', sub { $node->sql('DROP DATABASE plain') });

# ----------------------------------------------------------- the extension

$node->sql('DROP EXTENSION jobq; CREATE DATABASE five');
set_up('five');
run_job('five', 'jobs run');
make_busy('five');
within($limit, 'DROP EXTENSION', sub { $node->sql('DROP EXTENSION jobq CASCADE', 'five') });
poll_ok(
	$node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'five'
	AND backend_type LIKE 'jobq%'}, 'the workers exit after DROP EXTENSION');
$node->sql('DROP TABLE done; DROP FUNCTION work', 'five');
set_up('five');
run_job('five', 'jobs run after CREATE EXTENSION');
make_busy('five');
within(
	$limit,
	'DROP EXTENSION that is rolled back',
	sub { $node->sql('BEGIN; DROP EXTENSION jobq; ROLLBACK', 'five') });
run_job('five', 'jobs run after the rollback');
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'},
	'the long job runs again after the rollback');
within(12, 'ALTER EXTENSION UPDATE', sub { $node->sql('ALTER EXTENSION jobq UPDATE', 'five') });
run_job('five', 'jobs run after ALTER EXTENSION UPDATE');

# it waits for the long job, though not forever; a job that comes meanwhile
# has to be run afterwards, even if nothing else happens
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'},
	'the long job runs again after ALTER EXTENSION');
{
	my $command = IPC::Run::start(
		[
			$node->installed_command('psql'),
			'-XAtq', '-d', $node->connstr('five'),
			'-c', 'ALTER EXTENSION jobq UPDATE'
		]);
	poll_ok(
		$node, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE query LIKE 'ALTER EXTENSION%'
			AND wait_event_type = 'Extension'}, 'ALTER EXTENSION waits');
	$node->sql("SELECT jobq.enqueue('work', '\"meanwhile\"')", 'five');
	ok($command->finish, 'ALTER EXTENSION ends');
}
poll_ok(
	$node, q{SELECT count(*) = 1 FROM done WHERE payload = '"meanwhile"'},
	'a job that came while it waited runs',
	db => 'five',
	seconds => 20);
within(30, 'DROP OWNED', sub { $node->sql('CREATE ROLE owner; DROP OWNED BY owner', 'five') });
run_job('five', 'jobs run after DROP OWNED');

# coordinator_starts($db, $round): soon, in this round of several.  A delay that
# doubles each time exceeds that in the fifth.
sub coordinator_starts
{
	my ($db, $round) = @_;
	poll_query(
		$node, qq{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'jobq coordinator' AND datname = '$db'}, seconds => 12
	) or die "no coordinator in round $round\n";
	return;
}

# again and again: an orderly exit is no reason to wait longer each time
within(
	72,
	'CREATE EXTENSION and DROP EXTENSION, again and again',
	sub {
		foreach my $round (1 .. 6)
		{
			$node->sql('CREATE EXTENSION jobq');
			coordinator_starts('postgres', $round);
			$node->sql('DROP EXTENSION jobq');
		}
	});
within(
	72,
	'CREATE DATABASE ... TEMPLATE, again and again',
	sub {
		foreach my $round (1 .. 6)
		{
			$node->sql("CREATE DATABASE copy$round TEMPLATE five");
			coordinator_starts('five', $round);
			$node->sql("DROP DATABASE copy$round");
		}
	});

# --------------------------------------------------------- two-phase commit

$node->sql(q{BEGIN; SELECT jobq.enqueue('work', '"prepared"'); PREPARE TRANSACTION 'p'}, 'five');
is($node->sql(q{SELECT count(*) FROM done WHERE payload = '"prepared"'}, 'five'),
	'0', 'a prepared job does not run');
$node->sql(q{COMMIT PREPARED 'p'}, 'five');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM done WHERE payload = '"prepared"'},
	'the job runs after COMMIT PREPARED',
	db => 'five',
	seconds => 10);

# ---------------------------------------------------------- stop and start

poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'},
	'a long job runs');
like(sql_error($node, q{SET statement_timeout = '300 ms'; SELECT jobq.stop()}, 'five'),
	qr/57014/, 'stop() waits for the running job');
run_job('five', 'after a stop() that was cancelled jobs run');
$node->sql('SELECT jobq.cancel(id) FROM jobq_store.job', 'five');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'the job is cancelled', db => 'five');
within($limit, 'stop()', sub { $node->sql('SELECT jobq.stop()', 'five') });
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'no executor after stop()');
$node->sql("SELECT jobq.enqueue('work', '\"stopped\"')", 'five');
$node->restart;
is($node->sql(q{SELECT count(*) FROM done WHERE payload = '"stopped"'}, 'five'),
	'0', 'nothing runs after stop(), even after a restart');
$node->sql('BEGIN; SELECT jobq.start(); ROLLBACK', 'five');
is($node->sql(q{SELECT count(*) FROM done WHERE payload = '"stopped"'}, 'five'),
	'0', 'a start() that is rolled back has no effect');
$node->sql('SELECT jobq.start()', 'five');
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM done WHERE payload = '"stopped"'},
	'the job runs after start()',
	db => 'five');

done_testing();
