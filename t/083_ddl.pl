# t/083_ddl.pl: DDL under running workers and clients: on their database and on
# others, on the extension, on the roles and functions that they work with. Each
# command ends in time, nothing hangs or crashes, and each job is done once.
#
# t/063 and t/062 have the same commands one by one and without a load, and
# what is undone by ROLLBACK; t/086 has those that rewrite jobq's tables.

use strict;
use warnings;

use JobqLoad;
use JobqTest;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

# What any command may take, in seconds.
my $limit = 30;

my $node = jobq_node(
	'main',
	extension => 0,
	conf => [
		'jobq.max_workers = 4',
		'log_statement = none',
		'fsync = off',
		'log_error_verbosity = verbose'
	]);

sub in_time_ok
{
	my ($command, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	within($limit, $opt{name} // $command, sub { $node->sql($command, $opt{db}); 1 });
	return;
}

# Some hundred short jobs and two long ones, all under way.
sub make_busy
{
	my ($db) = @_;
	load_place($node, 'load_h', 2, db => $db, sleep => 1);
	load_place($node, 'load_h', 300, db => $db);
	poll_query(
		$node,
		qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '$db'
		AND backend_type = 'jobq executor' AND wait_event = 'PgSleep'}) or die "no job runs\n";
	return;
}

$node->sql('CREATE DATABASE shop');
create_extension($node, 'shop');
load_set_up($node, db => 'shop');

# ------------------------------------------- other databases, under a load

my $load = load_start($node, db => 'shop');
load_goes_on_ok($node, 'before all', db => 'shop');
my $position = log_position($node);

my $space = PostgreSQL::Test::Utils::tempdir();
my $space_two = PostgreSQL::Test::Utils::tempdir();
$node->sql("CREATE TABLESPACE one LOCATION '$space'");
$node->sql("CREATE TABLESPACE two LOCATION '$space_two'");

# they wait until each process of the server has taken notice
load_place($node, 'load_h', 2, db => 'shop', sleep => 2);
in_time_ok($_)
  foreach (
	'CREATE DATABASE plain',
	'ALTER DATABASE plain SET TABLESPACE one',
	'ALTER DATABASE plain RENAME TO plainer',
	'CREATE DATABASE copy TEMPLATE plainer',
	'DROP DATABASE plainer',
	'DROP DATABASE copy WITH (FORCE)',
	'CREATE DATABASE other');
create_extension($node, 'other');
load_set_up($node, db => 'other');
load_place($node, 'load_h', 5, db => 'other', sleep => 600);
in_time_ok('DROP DATABASE other');
in_time_ok('DROP TABLESPACE one');
load_goes_on_ok($node, 'DDL on other databases', db => 'shop');

in_time_ok('ALTER EXTENSION jobq UPDATE', db => 'shop');
load_goes_on_ok($node, 'ALTER EXTENSION UPDATE', db => 'shop');

# a user who does not want to wait is not made to, and loses nothing
my $session = $node->background_psql('shop');
$session->query_safe('BEGIN; LOCK TABLE jobq_store.job');
like(sql_error($node, q{SET lock_timeout = '50 ms'; SELECT jobq.enqueue('load_h')}, 'shop'),
	qr/55P03/, 'lock_timeout is heeded by enqueue()');
like(sql_error($node, q{SET lock_timeout = '50 ms'; SELECT * FROM jobq.take('load_t')}, 'shop'),
	qr/55P03/, 'lock_timeout is heeded by take()');
$session->query_safe('COMMIT');
$session->quit;
load_goes_on_ok($node, 'the table was locked', db => 'shop');

# ---------------------------------------------- their own, with a backlog

load_stop($load);
my $db = 'shop';
foreach my $command (
	'ALTER DATABASE shop RENAME TO store',
	'ALTER DATABASE store SET TABLESPACE two',
	'CREATE DATABASE copy TEMPLATE store',
	'ALTER DATABASE store RENAME TO shop')
{
	make_busy($db);
	in_time_ok($command);
	$db = $1 if $command =~ /RENAME TO (\w+)/;
	load_runs_ok($node, $command, db => $db, seconds => 15);
}
load_account_ok($node, 'DDL on the database', db => 'shop');
# those that were done in a transaction of which the next job was interrupted are listed
is( $node->sql(
		q{SELECT count(*) FILTER (WHERE outcome <> 'interrupted'),
		count(*) FILTER (WHERE attempt > 1) FROM jobq.attempts}, 'shop'),
	'0|0',
	'interrupted jobs have lost no attempt');
in_time_ok('DROP DATABASE copy');

# A worker notices that it is to end when the command has been cancelled: its job reads
# from a FIFO until then, and from an empty file when it runs again.
my $pipe = PostgreSQL::Test::Utils::tempdir() . '/pipe';
mkfifo($pipe, 0600) or die "$pipe: $!\n";
$node->sql(
	qq{CREATE TABLE nothing (n int);
	CREATE FUNCTION deaf(p jsonb) RETURNS void LANGUAGE sql AS
	  \$\$COPY nothing FROM PROGRAM 'cat $pipe'\$\$;
	SELECT jobq.create_queue('deaf', 'deaf(jsonb)', max_attempts => 1)}, 'shop');
my $deaf = $node->sql(q{SELECT jobq.enqueue('deaf')}, 'shop');
poll_ok(
	$node, "SELECT count(*) FROM jobq.workers WHERE job_id = $deaf",
	'a job that checks for no interrupts runs',
	db => 'shop',
	expected => '1');
like(sql_error($node, q{SET statement_timeout = '300 ms'; ALTER DATABASE shop RENAME TO store}),
	qr/57014/, 'ALTER DATABASE is cancelled');
open(my $writer, '>', $pipe) or die "$pipe: $!\n";
rename($pipe, "$pipe.old") or die "$pipe: $!\n";
append_to_file($pipe, '');
close($writer);
poll_ok(
	$node,
	"SELECT state || ' ' || attempt FROM jobq.jobs WHERE id = $deaf",
	'the interrupted attempt does not count',
	db => 'shop',
	expected => 'completed 1');
quiet_log_ok($node, $position, 150, 'DDL on databases');

# ------------------------------------------------- roles and their functions

$position = log_position($node);
$node->sql(
	q{
	CREATE ROLE ann LOGIN;
	CREATE ROLE ben LOGIN;
	SELECT jobq.grant_usage('ann', true);
	SELECT jobq.grant_usage('ben', true);
	GRANT CREATE ON SCHEMA public TO ann;
	CREATE TABLE did (n int);
	GRANT ALL ON did TO ann, ben;
	SET SESSION AUTHORIZATION ann;
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS
	  'INSERT INTO did VALUES ($1::int); SELECT pg_sleep(0.02)';
	SELECT jobq.create_queue('anns', 'work(jsonb)', max_attempts => 1000,
	  backoff => 'fixed', backoff_base => '100 ms');
	ALTER ROLE ann SET lock_timeout = '1ms';
	ALTER ROLE ann SET statement_timeout = '1ms';
}, 'shop');

# Adds a few jobs to Ann's queue; returns the numbers that they add.
my $n = 0;

sub add_jobs
{
	$node->sql(
		"SELECT jobq.enqueue('anns', to_jsonb(i)) FROM generate_series($n + 1, $n + 20) AS i",
		'shop');
	$n += 20;
	return;
}

sub did_ok
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_ok($node, "SELECT count(*) = $n AND count(DISTINCT n) = $n FROM did", $name, db => 'shop');
	load_runs_ok($node, $name, db => 'shop');
	return;
}

add_jobs();
did_ok('a role with tiny timeouts');

# The executor has to wait for the table between two jobs, longer than the
# role would: that is not the next job's fault.
my $blocker = $node->background_psql('shop');
add_jobs();
$blocker->query_safe('BEGIN; LOCK TABLE jobq_store.job');
poll_query(
	$node, q{SELECT count(*) > 0 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND usename = 'ann'
	AND wait_event = 'relation' AND now() - query_start > '50 ms'}
) or die "the executor does not wait\n";
$blocker->query_safe('COMMIT');
$blocker->quit;
did_ok('a role that does not wait for locks');
is($node->sql(q{SELECT count(*) FROM jobq.attempts WHERE queue = 'anns'}, 'shop'),
	'0', 'a lock_timeout of the role has failed no job');

in_time_ok('REASSIGN OWNED BY ann TO ben', db => 'shop');
add_jobs();
did_ok('REASSIGN OWNED');

in_time_ok('DROP FUNCTION work(jsonb)', db => 'shop');
add_jobs();
poll_ok(
	$node,
	"SELECT count(*) > 20 FROM jobq.attempts WHERE queue = 'anns' AND sqlstate = '42883'",
	'DROP FUNCTION: jobs of the queue fail, and are tried again',
	db => 'shop');
load_runs_ok($node, 'DROP FUNCTION', db => 'shop');
$node->sql(
	'CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS
	  $$INSERT INTO did VALUES ($1::int)$$', 'shop');
did_ok('jobs run when the function exists again');

# what Ann may do is gone
in_time_ok('DROP OWNED BY ann', db => 'shop');
add_jobs();
poll_ok(
	$node,
	"SELECT count(*) > 0 FROM jobq.attempts WHERE queue = 'anns' AND sqlstate = '42501'",
	'DROP OWNED: jobs of the queue fail',
	db => 'shop');
load_runs_ok($node, 'DROP OWNED', db => 'shop');

# and Ann herself; her executor is the last that knows her
in_time_ok('DROP ROLE ann', db => 'shop');
$node->sql(
	q{SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
	WHERE backend_type = 'jobq executor'});
ok( poll_until(
		sub {
			log_since($node, $position) =~
			  /jobq cannot run the jobs of role "\d+": it does not exist|for role with OID/;
		}),
	'DROP ROLE: the log says that nobody runs the jobs');
load_runs_ok($node, 'DROP ROLE', db => 'shop');
$node->sql(q{SELECT jobq.alter_queue('anns', owner => 'ben')}, 'shop');
add_jobs();
did_ok('the queue of a role that was dropped has a new owner');
cmp_ok(scalar(() = log_since($node, $position) =~ /jobq cannot run the jobs of role/g),
	'<=', 4, 'the log says at most once per executor that the role cannot run jobs');
quiet_log_ok($node, $position, 60, 'DDL on roles and functions');

# ---------------------------------------------------------- jobq's tables

# Superusers only can do that; the jobs are gone, and nothing else.
load_place($node, 'load_h', 50, db => 'shop', sleep => 0.2);
in_time_ok('TRUNCATE jobq_store.job', db => 'shop');
$node->sql(
	'DELETE FROM load.placed AS p WHERE NOT EXISTS (SELECT FROM jobq_store.history AS h
	WHERE h.id = p.job)', 'shop');
load_runs_ok($node, 'TRUNCATE', db => 'shop');
load_account_ok($node, 'TRUNCATE', db => 'shop');
is( $node->sql(
		q{SELECT count(*) FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^pg_'
	AND (has_table_privilege(rolname, 'jobq_store.job', 'TRUNCATE')
	  OR has_schema_privilege(rolname, 'jobq_store', 'USAGE'))}, 'shop'),
	'0',
	"only superusers can truncate jobq's tables");

# ------------------------------------- the extension comes and goes, under load

$position = log_position($node);
$load = load_start($node, db => 'shop');
load_goes_on_ok($node, 'before the cycles', db => 'shop');
foreach my $round (1 .. 2)
{
	load_place($node, 'load_h', 20, db => 'shop', sleep => 0.1);
	in_time_ok(
		'DROP EXTENSION jobq CASCADE',
		db => 'shop',
		name => "DROP EXTENSION $round");
	$node->sql('DROP SCHEMA load CASCADE', 'shop');
	in_time_ok(
		'CREATE EXTENSION jobq',
		db => 'shop',
		name => "CREATE EXTENSION $round");
	load_set_up($node, db => 'shop');
	load_goes_on_ok($node, "round $round", db => 'shop');
}
load_stop($load);
load_account_ok($node, 'the extension came and went', db => 'shop');
quiet_log_ok($node, $position, 120, 'the extension came and went');

# ------------------------------------------------------------ the last one

$load = load_start($node, db => 'shop');
make_busy('shop');
in_time_ok('DROP DATABASE shop WITH (FORCE)');
load_stop($load);
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('jobq coordinator',
		'jobq executor')},
	'all workers have exited');
in_time_ok('DROP TABLESPACE two');

# PostgreSQL itself says so of the row type of dequeue() and take() when it
# is dropped while somebody waits for it.
my $log = log_since($node, 0);
my $of_claim = qr/.*STATEMENT:.*\n?.*FROM jobq\.(?:dequeue|take)\(.*\n/;
$log =~ s/^.*XX000: could not open relation.*\n.*LOCATION:.*\n$of_claim//mg;
# And of a function that a statement has found by its name just before it is dropped.
$log =~ s/^.*client backend.*XX000: cache lookup failed for function.*\n//mg;
is( join(
		"\n", grep { /XX000|PANIC|TRAP|was terminated by signal/ }
		  split(/\n/, $log)),
	'',
	'no internal error, no crash');

$node->stop;
done_testing();
