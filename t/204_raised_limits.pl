# t/204_raised_limits.pl: a limit that is raised or removed lets jobs start at once,
# without another enqueue; and one that is set counts open claims.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Nothing but the change itself makes anybody look.
my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 4',
		'jobq.worker_idle_timeout = 1h',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5'
	]);
$node->sql(
	q{
	CREATE TABLE running (job bigint);
	CREATE FUNCTION block(job jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(1);
	END $$;
	CREATE FUNCTION nothing(payload jsonb) RETURNS void LANGUAGE sql AS ''});

# A query: do that many jobs of a queue run?
sub running
{
	my ($queue, $n) = @_;
	return "SELECT count(*) = $n FROM jobq.workers WHERE queue = '$queue' AND state = 'running'";
}

# No worker of the queue's owner is there when the limit is raised.
my $n = 0;
foreach my $change (
	q{SELECT jobq.alter_queue('QUEUE', max_running => 5)},
	q{SELECT jobq.reset_queue('QUEUE', 'max_running')},
	q{SELECT jobq.create_queue('QUEUE', 'nothing(jsonb)', or_replace => true)},
	q{BEGIN; SELECT jobq.alter_queue('QUEUE', max_running => 5);
	  PREPARE TRANSACTION 'raise'; COMMIT PREPARED 'raise'})
{
	my $queue = 'none' . ++$n;
	my $command = $change =~ s/QUEUE/$queue/r;
	$node->sql("CREATE ROLE $queue LOGIN");
	$node->sql("SELECT jobq.grant_usage('$queue', may_create => true)");
	$node->sql(
		"SET ROLE $queue; SELECT jobq.create_queue('$queue', 'nothing(jsonb)', max_running => 0);
		 SELECT jobq.enqueue('$queue')");
	$node->sql($command);
	within(
		30,
		"a job starts: $command",
		sub {
			return poll_query($node,
				"SELECT state = 'completed' FROM jobq.jobs WHERE queue = '$queue'");
		});
}

# Workers are idle when it is raised.
$node->sql(
	q{SELECT jobq.create_queue('three', 'block(jobq.job)');
	  SELECT count(jobq.enqueue('three')) FROM generate_series(1, 3)});
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'three' AND state <> 'completed'",
	'three jobs have run');
my $lock = $node->background_psql('postgres');
$lock->query_safe('SELECT pg_advisory_lock(1)');
$node->sql(
	q{SELECT jobq.alter_queue('three', max_running => 1);
	  SELECT count(jobq.enqueue('three')) FROM generate_series(1, 3)});
poll_ok($node, running('three', 1), 'one of three runs');
$node->sql(q{SELECT jobq.alter_queue('three', max_running => 3)});
within(
	30,
	'three run when the limit is three',
	sub { return poll_query($node, running('three', 3)) });
$lock->quit;

# Somebody waits for the queue.
$node->sql(
	q{SELECT jobq.create_queue('outside', max_running => 0); SELECT jobq.enqueue('outside')});
my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/waits/, "\\echo waits\nCALL jobq.wait('{outside}', '1h');\n");
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE wait_event = 'Extension' AND query LIKE 'CALL jobq.wait%'",
	'a session waits');
$node->sql(q{SELECT jobq.alter_queue('outside', max_running => 1)});
within(
	30,
	'wait() returns',
	sub {
		return poll_query(
			$node,
			"SELECT count(*) = 0 FROM pg_stat_activity
				WHERE state = 'active' AND query LIKE 'CALL jobq.wait%'");
	});
$waiter->quit;

# next() gives no place on while more jobs are running than may.
my $next = q{FROM jobq_store.job AS j, jobq.next('less', ARRAY[j.id], j.lease) AS n
	WHERE j.id = (SELECT min(id) FROM jobq_store.job
		WHERE state = 1 AND queue = (SELECT id FROM jobq_store.queue WHERE name = 'less'))};
$node->sql(
	q{SELECT jobq.create_queue('less');
	SELECT count(jobq.enqueue('less')) FROM generate_series(1, 20);
	SELECT count(*) FROM jobq.dequeue('less', 5, '1h');
	SELECT jobq.alter_queue('less', max_running => 3)});
is($node->sql("SELECT count(n.id) $next"), '0', 'five run, three may: one ends, none starts');
is($node->sql("SELECT count(n.id) $next"), '0', 'four run: one ends, none starts');
is($node->sql("SELECT count(n.id) $next"), '1', 'three run: one ends, one starts');
$node->sql(q{SELECT jobq.alter_queue('less', max_running => 0)});
is($node->sql("SELECT count(n.id) $next"), '0', 'none may run: none starts');
is($node->sql(q{SELECT running FROM jobq.queues WHERE queue = 'less'}), '2', 'two still run');

# A claim made before a limit was set cannot be prepared any more.
foreach my $claim ("jobq.dequeue('late')", "jobq.take('late')")
{
	$node->sql(
		q{SELECT jobq.create_queue('late');
		SELECT count(jobq.enqueue('late')) FROM generate_series(1, 3)});
	my $open = $node->background_psql('postgres', on_error_stop => 0);
	$open->query_safe("BEGIN; SELECT id FROM $claim");
	$node->sql(q{SELECT jobq.alter_queue('late', max_running => 1)});
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue('late')}), '0', "$claim counts");
	$open->query(q{PREPARE TRANSACTION 'late'});
	like($open->{stderr}, qr/cannot PREPARE/, "$claim cannot be prepared");
	$open->quit;
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue('late')}), '1', "$claim: its job is free");
	$node->sql(q{SELECT jobq.drop_queue('late', force => true)});
}
is($node->sql('SELECT count(*) FROM jobq_store.flow_check()'), '0', 'memory agrees with tables');

done_testing();
