# t/012_shared_entries.pl: what databases and roles share in a server: entries
# in shared memory, which go from one database to the next, and background
# worker slots.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', streaming => 1, conf => ['jobq.max_workers = 4']);

# A psql that goes on by itself.
sub start_sql
{
	my ($sql, $output) = @_;
	return IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>&', $output);
}

# Databases with the extension; nobody waits for a standby here.
sub make_database
{
	my ($db) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=local';
	$node->sql("CREATE DATABASE $db");
	$node->sql(
		q{CREATE EXTENSION jobq; CREATE TABLE done (n int);
			SELECT jobq.run('INSERT INTO done VALUES (1)')},
		$db);
	return;
}

sub set_standby
{
	my ($name) = @_;
	local $ENV{PGOPTIONS} = '-c synchronous_commit=local';
	$node->sql("ALTER SYSTEM SET synchronous_standby_names = '$name'");
	$node->reload;
	poll_query($node, "SELECT current_setting('synchronous_standby_names') = '$name'")
	  or die "the setting does not change\n";
	return;
}

# --------------------------------------- two commands that drop one database

# Both wait for the lock of somebody who comments on it.  The one that gets it
# has dropped the database, but waits for a standby that does not exist, and
# keeps the lock.  Meanwhile another database gets the entry.
make_database('one');
poll_ok($node, 'SELECT count(*) = 1 FROM done', 'a database runs jobs', db => 'one');
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; COMMENT ON DATABASE one IS 'mine'");
my ($first, $second) = ('', '');
my @drops = (start_sql('DROP DATABASE one', \$first), start_sql('DROP DATABASE one', \$second));
poll_ok(
	$node, q{SELECT count(*) = 2 FROM pg_stat_activity
	WHERE query LIKE 'DROP DATABASE%'
		AND wait_event_type = 'Lock'}, 'two DROP DATABASE commands wait for a lock');
set_standby('nobody');
$holder->query_safe('ROLLBACK');
$holder->quit;
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE 'DROP DATABASE%' AND wait_event = 'SyncRep'},
	'one DROP DATABASE is committing');
make_database('two');
set_standby('');
$_->finish foreach @drops;
like("$first$second", qr/^ERROR:  database "one" does not exist$/m,
	'the other DROP DATABASE fails');
$node->sql(q{SELECT jobq.run('INSERT INTO done VALUES (2)')}, 'two');
poll_ok(
	$node,
	'SELECT count(*) = 1 FROM done WHERE n = 2',
	'the database that took over the entry runs jobs',
	db => 'two');
is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'coordinator'}, 'two'),
	'0', 'nothing keeps workers away');

# ------------------------- a name that was another's by the time of the command

make_database('three');
$node->sql(
	q{SELECT jobq.create_queue('ext'); SELECT jobq.enqueue('ext'); SELECT jobq.enqueue('ext')},
	'three');
my ($id, $lease) =
  split(/\|/, $node->sql(q{SELECT id, lease FROM jobq.dequeue('ext', lease => '4 s')}, 'three'));
$node->sql('CREATE DATABASE empty');
my $renamer = $node->background_psql('postgres');
$renamer->query_safe("BEGIN; COMMENT ON DATABASE three IS 'mine'");
my $output = '';
my $drop = start_sql('DROP DATABASE three', \$output);
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE 'DROP DATABASE%' AND wait_event_type = 'Lock'}, 'a command drops a database');
$renamer->query_safe('ALTER DATABASE three RENAME TO survivor');
$renamer->query_safe('ALTER DATABASE empty RENAME TO three');
$renamer->query_safe('COMMIT');
$renamer->quit;
$drop->finish;
is( $node->sql(
		q{SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database
			WHERE datname IN ('three', 'survivor')}
	),
	'survivor',
	'the name of the database to be dropped belongs to another one');
$node->sql(q{SELECT jobq.run('INSERT INTO done VALUES (2)')}, 'survivor');
poll_ok(
	$node,
	'SELECT count(*) = 1 FROM done WHERE n = 2',
	'the other database is left alone: its jobs run',
	db => 'survivor');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.attempts WHERE job_id = $id AND outcome = 'lease lost'",
	'the leases of the surviving database end',
	db => 'survivor');

$node->stop;

# ------------------------------------------------- executors of a single role

$node = jobq_node('roles', conf => [ 'jobq.max_workers = 4', 'jobq.worker_idle_timeout = 1h' ]);
$node->sql('CREATE DATABASE other');
$node->sql('CREATE EXTENSION jobq', 'other');
$node->create_clock;
foreach my $role ('alice', 'mallory')
{
	$node->sql("CREATE ROLE $role LOGIN");
	$node->sql("SELECT jobq.grant_usage('$role', true)", $_) foreach ('postgres', 'other');
}

# Has a role run statements.
sub as
{
	return as_role($node, @_);
}

sub sleepers
{
	my ($role) = @_;
	return qq{SELECT count(*) FROM pg_stat_activity WHERE usename = '$role'
		AND backend_type = 'jobq executor' AND wait_event = 'PgSleep'};
}

sub executors
{
	my ($role) = @_;
	return qq{SELECT count(*) FROM pg_stat_activity WHERE usename = '$role'
		AND backend_type = 'jobq executor'};
}

as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)') FROM generate_series(1, 6)});
poll_ok($node, sleepers('mallory'), 'without a limit a role takes all workers', expected => 4);
as('alice', q{SELECT jobq.run('SELECT 1')});
poll_ok(
	$node, q{SELECT count(*) = 1 FROM jobq.health WHERE topic = 'worker slots'
	AND message ~ 'all 4 workers of the server are busy, 4 of them with jobs of role "mallory"'},
	'health names the role');
is(as('alice', q{SELECT count(*) FROM jobq.health WHERE message ~ 'mallory'}),
	'0', 'health does not name the role to everybody');
is(as('alice', q{SELECT count(*) FROM jobq.health WHERE topic = 'worker slots'}),
	'1', 'the role without a worker hears that all are busy');

# a limit: as many leave as there are too many, when their job ends
$node->append_conf('postgresql.conf', 'jobq.max_workers_per_role = 2');
$node->reload;
poll_ok($node, q{SELECT current_setting('jobq.max_workers_per_role') = '2'}, 'a limit is set');
as('mallory', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state = 'running'});
poll_ok($node, executors('mallory'), "two of the role's four executors exit", expected => 2);
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'run:alice' AND state <> 'completed'},
	'the others\' jobs run');
poll_ok($node, sleepers('mallory'), 'the role runs as many as it may', expected => 2);
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)')}, 'other');
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)')});
as('alice', q{SELECT jobq.run('SELECT pg_sleep(600)') FROM generate_series(1, 2)});
poll_ok($node, sleepers('alice'), 'another role runs as many as it may', expected => 2);
is($node->sql(sleepers('mallory')), '2', 'the limit for a role is for all databases together');
is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'worker slots'}),
	'0', 'no worker is missing');
$node->advance_clock('6 min');
is( $node->sql(
		q{SELECT object, message ~ 'maximum of 2 workers', hint ~ 'max_workers_per_role'
			FROM jobq.health
	WHERE topic = 'worker slots'}),
	'run:mallory|t|t',
	'health says which limit keeps jobs waiting');

# one that has its limit in one database, and is idle there, has it in another
as('mallory', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state <> 'completed'});
poll_ok(
	$node, sleepers('mallory'),
	'a role whose executors are idle here works in another database',
	expected => 1);
is( $node->sql(
		q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'mallory' AND datname = 'other'
	AND backend_type = 'jobq executor'}),
	'1',
	'the role works in the other database only');

# one that always has work here has its turn there, too
as('mallory', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state = 'running'}, 'other');
poll_ok(
	$node,
	executors('mallory') . q{ AND datname = 'other' AND state = 'idle'},
	"the role's executors are idle in the other database",
	expected => 1);
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(0.2)') FROM generate_series(1, 500)});
poll_ok(
	$node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE usename = 'mallory'
	AND datname = 'postgres' AND backend_type = 'jobq executor'},
	'a role has all its executors in this database');
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)')}, 'other');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'mallory'
	AND datname = 'other' AND backend_type = 'jobq executor' AND wait_event = 'PgSleep'},
	"an executor gives way to the role's other database");

# at its limit a role drives away its own executors only; who has come first is
# looked at first
as('mallory', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state <> 'completed'}, $_)
  foreach ('postgres', 'other');
as('alice', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state <> 'completed'});
# what runs at the restart would be run again
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE finished_at IS NULL},
	"$_: all jobs have ended",
	expected => 0,
	db => $_)
  foreach ('postgres', 'other');
$node->restart;
as('alice', q{SELECT jobq.run('SELECT 1')});
poll_ok($node, executors('alice'), 'a role has an executor', expected => 1);
my $whose =
  q{SELECT pid FROM pg_stat_activity WHERE usename = 'alice' AND backend_type = 'jobq executor'};
my $stays = $node->sql($whose);
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)') FROM generate_series(1, 2)});
poll_ok($node, sleepers('mallory'), 'a role has as many as it may', expected => 2);
as('mallory', q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state <> 'completed'});
poll_ok($node, sleepers('mallory'), 'workers whose jobs were cancelled are idle', expected => 0);
as('mallory', q{SELECT jobq.run('SELECT pg_sleep(600)')}, 'other');
poll_ok(
	$node, sleepers('mallory'),
	"one idle executor leaves for the role's other database",
	expected => 1);
is($node->sql($whose), $stays, 'the executor of another role stays');
$node->stop;

# ------------------------------------------------------ no worker slot at all

# Logical replication's launcher takes the first one.
foreach my $slots (0 .. 2)
{
	my $none = jobq_node("slots_$slots", conf => ["max_worker_processes = $slots"]);
	poll_ok(
		$none, q{SELECT count(*) = 1 FROM jobq.health WHERE severity = 'critical'
		AND topic = 'coordinator' AND object = 'max_worker_processes'
		AND hint = 'Increase max_worker_processes, which is }
		  . $slots
		  . q{, and restart the server.'},
		"max_worker_processes = $slots: health names the setting");
	$none->append_conf('postgresql.conf', 'max_worker_processes = 8');
	$none->restart;
	poll_ok(
		$none,
		q{SELECT count(*) = 0 FROM jobq.health},
		'max_worker_processes raised: health has nothing to say');
	$none->stop;
}

done_testing();
