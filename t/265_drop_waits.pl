# t/265_drop_waits.pl: drop_queue() and stop() wait in a way that the server knows: it
# finds deadlocks with those who have jobs, and lock_timeout ends the wait.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

# A wait that nothing ends is a failure.
my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		"statement_timeout = '100s'",
		"deadlock_timeout = '100ms'",
		'max_prepared_transactions = 1'
	]);

$node->sql(
	q{
	CREATE TABLE go_on ();
	CREATE FUNCTION went_on() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN
		RETURN EXISTS (SELECT FROM go_on); END$$;
	CREATE FUNCTION waits(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT went_on() LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	CREATE FUNCTION swallows(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT went_on() LOOP
			BEGIN PERFORM pg_sleep(0.01); EXCEPTION WHEN query_canceled THEN NULL; END;
		END LOOP; END$$;
	CREATE FUNCTION takes(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.take('q');
		WHILE NOT went_on() LOOP PERFORM pg_sleep(0.01); END LOOP;
		PERFORM jobq.enqueue('q'); END$$});

# new_queue($jobs, $options): a new queue with that number of jobs.
sub new_queue
{
	my ($jobs, $options) = @_;
	$node->sql("SELECT jobq.create_queue('q' " . ($options // '') . ')');
	$node->sql(q{SELECT jobq.enqueue('q')}) foreach 1 .. $jobs;
	return;
}

my $drop = q{SELECT jobq.drop_queue('q', force => true)};

# Waits until a session is waiting for a lock.
sub waits_ok
{
	my ($query, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node,
		"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND query LIKE '%$query%'",
		$name);
}

sub queue_is
{
	my ($there, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->sql(q{SELECT count(*) FROM jobq.queues WHERE queue = 'q'}), $there, $name);
}

# Both answers, one of which must have the error of a deadlock.
sub deadlock_ok
{
	my ($name, @answers) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(scalar(grep { /40P01/ } @answers), 1, $name) || diag(@answers);
}

my $client = start_session($node, verbosity => 'verbose');
my $dropper = start_session($node, verbosity => 'verbose');

# ------------------------------------------------------------- deadlocks

new_queue(2);
like(ask($client, q{BEGIN; SELECT count(*) FROM jobq.take('q')}), qr/^1$/m, 'a job is taken');
order($dropper, $drop);
waits_ok('drop_queue', 'drop_queue() waits for the lock of a job');
order($client, q{SELECT jobq.enqueue('q')});
deadlock_ok('deadlock over the lock of the queue', answer($client), answer($dropper));
ask($client, 'ROLLBACK');
$node->sql(q{SELECT jobq.drop_queue('q', force => true, if_exists => true)});

new_queue(1);
$node->sql(q{SELECT jobq.create_queue('other'); SELECT jobq.enqueue('other')});
my $other = $node->sql(q{SELECT id FROM jobq.jobs WHERE queue = 'other'});
ask($client, q{BEGIN; SELECT jobq.enqueue('q')});
ask($dropper, qq{BEGIN; SELECT jobq.set_priority($other, 1)});
order($dropper, $drop);
waits_ok('drop_queue', 'drop_queue() waits for the lock of the queue');
order($client, qq{SELECT jobq.set_priority($other, 2)});
deadlock_ok('deadlock over a job of another queue', answer($client), answer($dropper));
ask($client, 'ROLLBACK');
ask($dropper, 'ROLLBACK');
$node->sql($drop);

# The job of another queue is not interrupted.
new_queue(1);
$node->sql(
	q{SELECT jobq.create_queue('takes', 'takes(jsonb)', max_attempts => 1);
	SELECT jobq.enqueue('takes')});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'},
	'a SQL job of another queue has taken one');
order($dropper, $drop);
waits_ok('drop_queue', 'drop_queue() waits for the SQL job of another queue');
$node->sql('INSERT INTO go_on DEFAULT VALUES');
my $said = answer($dropper);
poll_ok(
	$node,
	q{SELECT state IN ('dead', 'completed') FROM jobq.jobs WHERE queue = 'takes'},
	'the SQL job of another queue has ended');
deadlock_ok('deadlock with a SQL job of another queue',
	$said, $node->sql(q{SELECT sqlstate FROM jobq.attempts WHERE queue = 'takes'}));
$node->sql('TRUNCATE go_on');
$node->sql(q{SELECT jobq.drop_queue('q', force => true, if_exists => true)});

# ---------------------------------------------------------- lock_timeout

my $impatient = "SET lock_timeout = '200ms'; $drop";
new_queue(2);
ask($client, q{BEGIN; SELECT count(*) FROM jobq.take('q')});
like(ask($dropper, $impatient), qr/55P03/, 'lock_timeout: a job is locked');
queue_is(1, 'lock_timeout, a job is locked: the queue is there');
ask($client, q{SELECT jobq.enqueue('q')});
like(ask($dropper, $impatient), qr/55P03/, 'lock_timeout: the queue is locked');
ask($client, q{PREPARE TRANSACTION 'p'});
like(ask($dropper, $impatient), qr/55P03/, 'lock_timeout: a prepared transaction has it');
$node->sql(q{ROLLBACK PREPARED 'p'});
is(ask($dropper, $impatient), "\n", 'lock_timeout: nobody has it');
queue_is(0, 'lock_timeout, nobody has it: it is dropped');

# Executors are interrupted, and it is not the lock manager that waits for them.
new_queue(3, ", 'swallows(jsonb)'");
my $running = q{SELECT count(*) > 0 FROM jobq.workers WHERE kind = 'executor'
	AND job_id IS NOT NULL};
poll_ok($node, $running, 'SQL jobs that catch interrupts are running');
like(ask($dropper, $impatient), qr/55P03/, 'lock_timeout: a SQL job does not end');
queue_is(1, 'lock_timeout, a SQL job does not end: the queue is there');
ask($dropper, q{SET lock_timeout = 0});
is(ask($dropper, $drop), "\n", 'SQL jobs that catch interrupts are terminated');
queue_is(0, 'SQL jobs that catch interrupts: the queue is dropped');

# ----------------------------------------------------------- all at once

new_queue(4, ", 'waits(jsonb)'");
poll_ok($node, $running, 'SQL jobs are running');
$node->sql(q{SELECT count(*) FROM jobq.dequeue('q', lease => '1 h')});
ask($client, q{BEGIN; SELECT count(*) FROM jobq.take('q')});
order($dropper, $drop);
waits_ok('drop_queue', 'drop_queue() waits for a client');
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.workers WHERE kind = 'executor' AND job_id IS NOT NULL},
	'the SQL jobs are interrupted meanwhile');
ask($client, 'COMMIT');
is(answer($dropper), "\n", 'SQL jobs, leases and clients: the queue is dropped');
queue_is(0, 'SQL jobs, leases and clients: it is gone');
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.job WHERE queue NOT IN
	(SELECT id FROM jobq_store.queue)}),
	'0',
	'SQL jobs, leases and clients: no job is left');

# What this transaction itself has locked, and changed in a savepoint that is gone.
new_queue(1);
my $id = $node->sql(q{SELECT id FROM jobq.jobs WHERE queue = 'q'});
$said = ask(
	$dropper, qq{BEGIN; SELECT jobq.set_priority($id, 1); SAVEPOINT a;
	SELECT jobq.set_priority($id, 2); ROLLBACK TO a; $drop; COMMIT});
unlike($said, qr/ERROR/, 'the session itself has locked the job');
queue_is(0, 'the session itself has locked the job: the queue is dropped');

# ----------------------------------------------------------------- stop()

ask($client, 'BEGIN; SELECT pg_advisory_xact_lock(1)');
$id = $node->sql(q{SELECT jobq.run('SELECT pg_advisory_xact_lock(1)')});
waits_ok('pg_advisory_xact_lock(1)', 'a command waits for a lock');
like(ask($dropper, q{SET lock_timeout = '200ms'; SELECT jobq.stop()}),
	qr/55P03/, 'lock_timeout: stop()');
like(ask($client, 'SELECT jobq.stop()'), qr/40P01/, 'deadlock with stop()');
ask($client, 'ROLLBACK');
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $id",
	'the command runs in the end',
	expected => 'completed');
is($node->sql(q{SELECT jobq.stop()}), '', 'stop() without a lock in the way');

end_session($client);
end_session($dropper);
$node->stop;
done_testing();
