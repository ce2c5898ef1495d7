# t/017_stop.pl: stop() holds from the call until the end of its transaction,
# and for good if that commits, however the transaction ends.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 3', 'max_prepared_transactions = 2', 'jobq.worker_idle_timeout = 1h' ]);

sub session
{
	return $node->background_psql('postgres', on_error_stop => 0);
}

# run_one(): a job whose id is returned. It must not have run (is_held) or
# run (goes_on).
sub run_one
{
	return $node->sql("SELECT jobq.run('SELECT 1')");
}

# Until the schedule is overdue, the coordinator was made to look at everything,
# also at the table that says it is not stopped; and the job is still there.
sub is_held
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $id = run_one();
	my $runs = $node->sql('SELECT runs FROM jobq.schedules');
	poll_until(
		sub {
			$node->sql("BEGIN; PREPARE TRANSACTION 'look'");
			$node->sql("COMMIT PREPARED 'look'");
			return $node->sql("SELECT next_run < now() - interval '200 ms' FROM jobq.schedules") eq
			  't';
		});
	is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'ready', $name);
	is($node->sql("SELECT state FROM jobq.workers WHERE kind = 'coordinator'"),
		'stopped', "$name: jobq.workers says so");
	is($node->sql("SELECT count(*) FROM jobq.workers WHERE kind = 'executor'"),
		'0', "$name: there is no executor");
	is($node->sql('SELECT runs FROM jobq.schedules'), $runs, "$name: no schedule has fired");
	return $id;
}

sub goes_on
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $id = run_one();
	poll_ok($node, "SELECT state FROM jobq.jobs WHERE id = $id", $name, expected => 'completed');
	poll_ok(
		$node,
		"SELECT count(*) FROM jobq.jobs WHERE state = 'ready'",
		"$name: jobs that were held run, too",
		expected => '0');
	return;
}

goes_on('to begin with');
$node->sql("SELECT jobq.schedule('s', '* * * * * *', 'SELECT 1')");
poll_ok($node, 'SELECT runs > 0 FROM jobq.schedules', 'a schedule fires');

# Its end by rollback, also to a savepoint
my $stopper = session();
$stopper->query("BEGIN; SELECT jobq.stop()");
is_held('stopped in an open transaction');
like(
	$node->sql(
			"SELECT severity || ' ' || object || ' ' || message FROM jobq.health"
		  . " WHERE topic = 'stopped'"),
	qr/^critical pid \d+ .*by an open transaction/m,
	'jobq.health names the session that called stop()');
$stopper->query('ROLLBACK');
goes_on('after a rollback');
is($node->sql("SELECT count(*) FROM jobq.health WHERE topic = 'stopped'"),
	'0', 'jobq.health has no finding after a rollback');

$stopper->query("BEGIN; SAVEPOINT a; SAVEPOINT b; SELECT jobq.stop(); RELEASE b");
is_held('stopped in a savepoint that was released');
$stopper->query('ROLLBACK TO a');
goes_on('after a rollback to the savepoint around it');
$stopper->query("SELECT jobq.stop(); SAVEPOINT c; SELECT jobq.stop(); ROLLBACK TO c");
is_held('rolled back to a savepoint behind the first call');
$stopper->query('ROLLBACK');
goes_on('after the rollback');
$stopper->query("DO \$\$ BEGIN PERFORM jobq.stop(); RAISE division_by_zero;"
	  . " EXCEPTION WHEN OTHERS THEN NULL; END \$\$");
goes_on('after a block that caught an error');

# Prepared transactions
like(sql_error($node, "BEGIN; SELECT jobq.stop(); PREPARE TRANSACTION 'stop'"),
	qr/0A000.*jobq\.stop/s, 'cannot be prepared');
goes_on('after that');
$node->sql("BEGIN; SAVEPOINT a; SELECT jobq.stop(); ROLLBACK TO a;"
	  . " SELECT jobq.run('SELECT 1'); PREPARE TRANSACTION 'no stop'");
$node->sql("COMMIT PREPARED 'no stop'");
goes_on('one that was undone is no hindrance');

# The death of the session
$stopper->query('BEGIN; SELECT jobq.stop()');
is_held('stopped');
$node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	  . " WHERE state = 'idle in transaction'");
goes_on('after the death of the session');
eval { $stopper->quit };

# For good
$stopper = session();
$stopper->query('BEGIN; SELECT jobq.stop()');
my $held = is_held('stopped');
$stopper->query('COMMIT');
is_held('stopped for good after COMMIT');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $held"),
	'ready', 'the first job has not run either');
$stopper->query('BEGIN; SELECT jobq.start(); SELECT jobq.stop()');
is_held('started and stopped in a transaction');
$stopper->query('COMMIT');
is_held('started and stopped in a transaction, after COMMIT');
$stopper->query('BEGIN; SELECT jobq.stop(); SELECT jobq.start()');
is_held('stopped and started in a transaction');
$stopper->query('COMMIT');
goes_on('stopped and started in a transaction, after COMMIT');

# It waits for jobs, and none begins while it does: a job that holds the
# advisory lock goes on, and two are behind it.
my $locker = session();
$locker->query('SELECT pg_advisory_lock(1)');
my $id = $node->sql("SELECT jobq.run('SELECT pg_advisory_xact_lock(1)')");
poll_ok($node, "SELECT state FROM jobq.jobs WHERE id = $id", 'a job runs', expected => 'running');
my $waits = $node->background_psql('postgres', on_error_stop => 0);
$waits->query_until(qr/called/, "\\echo called\nSELECT jobq.stop();\n\\echo through\n");
poll_ok(
	$node,
	"SELECT state FROM jobq.workers WHERE kind = 'coordinator'",
	'stop() is waiting',
	expected => 'stopped');
my $behind = run_one();
$locker->query('SELECT pg_advisory_unlock(1)');
$waits->query_until(qr/through/, '');
is( $node->sql(
		"SELECT string_agg(state, ' ' ORDER BY id) FROM jobq.jobs" . " WHERE id IN ($id, $behind)"),
	'completed ready',
	'stop() has waited for the running job, and kept the next one from starting');
$node->sql('SELECT jobq.start()');
goes_on('started');

# One that is cancelled while it waits
$locker->query('SELECT pg_advisory_lock(1)');
$id = $node->sql("SELECT jobq.run('SELECT pg_advisory_xact_lock(1)')");
poll_ok($node, "SELECT state FROM jobq.jobs WHERE id = $id", 'a job runs', expected => 'running');
like(sql_error($node, "SET statement_timeout = '200 ms'; SELECT jobq.stop()"),
	qr/57014/, 'stop() is cancelled');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"),
	'running', 'a cancelled stop() leaves the job running');
goes_on('others run') if $node->sql("SELECT count(*) FROM jobq.workers") > 0;
$locker->query('SELECT pg_advisory_unlock(1)');
$locker->quit;
$waits->quit;
$stopper->quit;

done_testing();
