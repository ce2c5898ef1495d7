# t/222_batch_limits.pl: a batch counts once for max_running, until its last job
# has ended, however that comes about.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4, 'max_prepared_transactions = 5');
$node->create_clock;

# How many of a queue's tickets are out.
sub tickets
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT running FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
		WHERE q.name = '$queue'");
}

# Claims a batch; its jobs are in table "held".  Returns how many they are.
sub claim
{
	my ($queue, $more) = @_;
	$more = $more ? ", $more" : '';
	return $node->sql(
		"WITH c AS (INSERT INTO held
			SELECT id, lease FROM jobq.dequeue('$queue', 100$more) RETURNING 1)
		SELECT count(*) FROM c");
}

# Does something to the n jobs that were claimed first.
sub finish
{
	my ($n, $call) = @_;
	$call //= 'jobq.complete(id, lease)';
	$node->sql(
		"WITH d AS (DELETE FROM held
			WHERE id IN (SELECT id FROM held ORDER BY id LIMIT $n) RETURNING *)
		SELECT $call FROM d");
	return;
}

$node->sql(
	q{
	CREATE TABLE held (id bigint, lease bigint);
	SELECT jobq.create_queue('b', batch_size => 3, max_running => 1, lease => '1 h',
		max_attempts => 100, backoff => 'fixed', backoff_base => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('b', array_fill('1'::jsonb, '{1000}'))});

is(claim('b'), '3', 'a batch');
is(tickets('b'), '1', 'it has one ticket');
is(claim('b'), '0', 'there is no place for another one');
is($node->sql(q{SELECT count(*) FROM jobq.take('b', 3)}), '0', 'there is none for take');
is($node->sql(q{CALL jobq.wait('{b}', '0')}), 'f', 'wait says so');
limits_settled($node, 'a batch is running');
finish(2);
is(tickets('b'), '1', 'the ticket is out until the last job has ended');
is(claim('b'), '0', 'so is the place');
limits_settled($node, 'one job of it is left');
finish(1);
is(tickets('b'), '0', 'the last job gives it back');

# Every way in which jobs end.
foreach my $call (
	q{jobq.fail(id, lease, 'no')},
	q{jobq.fail(id, lease, 'no', retryable => false)},
	'jobq.release(id, lease)',
	'jobq.cancel(id)')
{
	is(claim('b'), '3', "$call: a batch");
	finish(1, $call);
	is(claim('b'), '0', "$call: two are left");
	finish(2, $call);
	is(tickets('b'), '0', "$call: none is left");
	limits_settled($node, $call);
}
claim('b', q{lease => '1 min'});
finish(1);
$node->advance_clock('2 min');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'b' AND state = 'running'},
	'the lease runs out',
	expected => '0');
$node->sql('TRUNCATE held');
limits_settled($node, 'lease lost');
is(claim('b'), '3', 'the place is free then');

# Heartbeats change nothing.
$node->sql(q{SELECT jobq.heartbeat(id, lease, '10 h') FROM held});
is(tickets('b'), '1', 'after heartbeats');
limits_settled($node, 'heartbeats');

# next() lends the ticket if it ends all jobs that share it.
sub next_after
{
	my ($n) = @_;
	return "WITH n AS (INSERT INTO held SELECT id, lease FROM jobq.next('b',
		(SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM held ORDER BY id LIMIT $n) AS h),
		(SELECT max(lease) FROM held), 100) RETURNING id)
		SELECT count(*) FROM n";
}
is($node->sql("BEGIN; " . next_after(2) . "; ROLLBACK"), '0', 'next: a job is left');
limits_settled($node, 'next that is rolled back');
is($node->sql("BEGIN; " . next_after(3) . "; ROLLBACK"), '3', 'next: none is left');
is(tickets('b'), '1', 'next that is rolled back: the old batch has the ticket again');
limits_settled($node, 'next that is rolled back after a batch');
is(claim('b'), '0', 'it is running');
my $session = start_session($node);
is( ask($session,
		"BEGIN; SELECT jobq.complete(id, lease) FROM held ORDER BY id LIMIT 1; SAVEPOINT s; "
		  . "SELECT count(*) FROM jobq.next('b',
			(SELECT array_agg(id) FROM (SELECT id FROM held ORDER BY id
		OFFSET 1) AS h), (SELECT max(lease) FROM held), 100)") =~ s/^\s*|\s*$//gr,
	'3',
	'next: the first job has ended at an outer level');
ask($session, 'ROLLBACK TO s');
is($node->sql("SELECT count(*) FROM jobq.dequeue('b', 100)"), '0', 'the savepoint is rolled back');
ask($session, 'COMMIT');
$node->sql('DELETE FROM held WHERE id = (SELECT min(id) FROM held)');
is(tickets('b'), '1', 'the others have the ticket');
limits_settled($node, 'next at a savepoint');
is($node->sql(next_after(2)), '3', 'next ends the rest');
$node->sql('DELETE FROM held WHERE lease <> (SELECT max(lease) FROM held)');
is(tickets('b'), '1', 'the new batch has the ticket');
limits_settled($node, 'next');

foreach my $n (1 .. 3)
{
	is($node->sql(next_after(3)), '3', "next, time $n");
	$node->sql('DELETE FROM held WHERE lease <> (SELECT max(lease) FROM held)');
}
limits_settled($node, 'several calls of next');
finish(3);
is(tickets('b'), '0', 'all is given back');

# One call gives one batch of a queue.
is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{b,b,b}', 100)}),
	'3', 'dequeue_any: a queue that is named twice');
limits_settled($node, 'dequeue_any');
$node->sql(
	q{SELECT jobq.release(j.id, j.lease) FROM jobq_store.job AS j WHERE state = 1 ORDER BY id});

# take(), and rollbacks.
ask($session, q{BEGIN; SELECT count(*) FROM jobq.take('b', 100)});
is(tickets('b'), '1', 'take: one ticket');
is(claim('b'), '0', 'take: no place for others');
ask($session, 'ROLLBACK');
is(tickets('b'), '0', 'take: rolled back');
ask($session, q{BEGIN; SAVEPOINT s; SELECT count(*) FROM jobq.dequeue('b', 100); ROLLBACK TO s});
is(tickets('b'), '0', 'dequeue: rolled back to a savepoint');
ask($session,
	q{SELECT jobq.complete(id, lease) FROM jobq.dequeue('b', 100) ORDER BY id LIMIT 2; COMMIT});
is(tickets('b'), '1', 'claimed, and ended but for one, in a transaction');
limits_settled($node, 'a transaction that ends a part');
$node->sql(
	q{SELECT jobq.release(j.id, j.lease) FROM jobq_store.job AS j WHERE state = 1 ORDER BY id});

# Claims bound to a session, which ends.
ask($session, q{SELECT count(*) FROM jobq.dequeue('b', 100, session_bound => true)});
is(tickets('b'), '1', 'session_bound');
end_session($session);
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'b' AND state = 'running'},
	'session_bound: the session has ended',
	expected => '0');
limits_settled($node, 'session_bound');
is(tickets('b'), '0', 'session_bound: the place is free');

# A batch that was claimed when there was no limit, over restarts and changes of
# the options.
$node->sql(q{SELECT jobq.reset_queue('b', 'max_running')});
is(claim('b'), '3', 'without a limit');
is(tickets('b'), '1', 'without a limit there is one ticket, too');
$node->sql(q{SELECT jobq.alter_queue('b', max_running => 2)});
limits_settled($node, 'a limit');
$node->stop('immediate');
$node->start;
limits_settled($node, 'immediate stop');
is(claim('b'), '3', 'another batch');
is(claim('b'), '0', 'there is no place for a third one');
is(tickets('b'), '2', 'two tickets are out after a restart');
$node->sql(q{SELECT jobq.alter_queue('b', batch_size => 1, max_running => 5)});
limits_settled($node, 'batches are turned off');
is(claim('b'), '3', 'from then on each job counts');
limits_settled($node, 'single jobs and batches');
$node->sql(q{SELECT jobq.alter_queue('b', batch_size => 3, max_running => 6)});
$node->restart;
ok(poll_until(sub { tickets('b') eq '5' }), 'what counted before counts as before');
limits_settled($node, 'batches are turned on, and a restart');
is(claim('b'), '3', 'a batch takes the last place');
is(claim('b'), '0', 'none is left');
finish(12);
limits_settled($node, 'all have ended');
is(tickets('b'), '0', 'all is given back again');

# Leases that end late are not listed without a limit: they are counted later.
$node->sql(q{SELECT jobq.reset_queue('b', 'max_running')});
is(claim('b', q{lease => '100 h'}), '3', 'leases that end late');
$node->sql(q{SELECT jobq.alter_queue('b', max_running => 2)});
poll_until(sub { claim('b') eq '3' }, 30);
is(tickets('b'), '2', 'they are one batch');
is(claim('b'), '0', 'so there is no third one');
limits_settled($node, 'leases that end late');
finish(6);
is(tickets('b'), '0', 'both have ended');

# Prepared transactions.
like(
	sql_error(
		$node, q{BEGIN; SELECT count(*) FROM jobq.dequeue('b', 100); PREPARE TRANSACTION 'x'}),
	qr/0A000: .*claimed a job of a queue with max_running/s,
	'a batch of a queue with a limit cannot be prepared');
limits_settled($node, 'a refused PREPARE');
is(tickets('b'), '0', 'a refused PREPARE gives the ticket back');
$node->sql(q{SELECT jobq.reset_queue('b', 'max_running')});
$node->sql(q{BEGIN; SELECT count(*) FROM jobq.dequeue('b', 100); PREPARE TRANSACTION 'x'});
is(tickets('b'), '0', 'what is prepared does not count');
$node->sql(q{COMMIT PREPARED 'x'; SELECT jobq.alter_queue('b', max_running => 1)});
is(claim('b'), '0', 'the running jobs must be counted');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq_store.gates() WHERE running = 1 AND counted},
	'after COMMIT PREPARED it does',
	expected => '1');
limits_settled($node, 'COMMIT PREPARED of a claim');
is(claim('b'), '0', 'it takes the only place');
$node->sql('INSERT INTO held SELECT id, lease FROM jobq_store.job WHERE state = 1');

foreach my $end ('ROLLBACK', 'COMMIT')
{
	$node->sql(
		"BEGIN; SELECT jobq.complete(id, lease) FROM held ORDER BY id; PREPARE TRANSACTION 'x'");
	is(claim('b'), '0', "$end: the end is prepared");
	$node->sql("$end PREPARED 'x'");
	limits_settled($node, "$end PREPARED of an end");
	is(tickets('b'), $end eq 'COMMIT' ? '0' : '1', "$end PREPARED");
}

# Executors: one call at a time, of all jobs that are ready.
$node->sql(
	q{
	CREATE TABLE calls (n int);
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION alone(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF NOT pg_try_advisory_lock(7) THEN PERFORM nextval('overlap_number'); END IF;
		PERFORM pg_sleep(0.02);
		INSERT INTO calls VALUES (cardinality(j));
		PERFORM pg_advisory_unlock(7);
	END$$;
	SELECT jobq.create_queue('e', 'alone(jobq.job[])', batch_size => 10, max_running => 1);
	SELECT count(*) FROM jobq.enqueue_many('e', array_fill('1'::jsonb, '{200}'))});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'e' AND state IN ('ready', 'running')},
	'executors run all batches',
	expected => '0');
is($node->sql('SELECT is_called FROM overlap_number'), 'f', 'one at a time');
is($node->sql('SELECT sum(n), max(n) FROM calls'), '200|10', 'each job once');
limits_settled($node, 'executors');
is(tickets('e'), '0', 'executors: all is given back');

done_testing();
