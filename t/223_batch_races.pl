# t/223_batch_races.pl: queues with batch_wait under several workers at a time:
# each batch is full, though all look at the same jobs, and none stands still.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4, 'fsync = off');
$node->create_clock;

$node->sql(
	q{
	CREATE TABLE calls (queue text, n int);
	CREATE TABLE go (done boolean);
	CREATE PROCEDURE produce(queue text, n int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. n LOOP
			PERFORM jobq.enqueue(queue, priority => i % 3);
			COMMIT;
		END LOOP;
	END$$;
	CREATE PROCEDURE consume(q text, total int) LANGUAGE plpgsql AS $$
	DECLARE k int;
	BEGIN
		LOOP
			EXECUTE format('SELECT count(*) FROM jobq.%s(%L, 100)',
				CASE WHEN random() < 0.3 THEN 'take' ELSE 'dequeue' END, q) INTO k;
			IF k > 0 THEN INSERT INTO calls VALUES (q, k); END IF;
			COMMIT;
			EXIT WHEN (SELECT sum(c.n) FROM calls AS c WHERE c.queue = q) >= total
				OR EXISTS (SELECT FROM go);
		END LOOP;
	END$$;
	CREATE FUNCTION work(j jobq.job[]) RETURNS void LANGUAGE sql
		AS 'INSERT INTO calls VALUES ((j)[1].queue, cardinality(j))'});

# What the calls of a queue were given: how many were full, and others.
sub sizes
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT count(*) FILTER (WHERE n = 5), count(*) FILTER (WHERE n <> 5)
		FROM calls WHERE queue = '$queue'");
}

# Clients, with and without a limit.
foreach my $limit ('NULL', '200')
{
	my $queue = "clients $limit";
	$node->sql(
		"SELECT jobq.create_queue('$queue', batch_size => 5, batch_wait => '1 h', lease => '1 h',
			max_running => $limit)");
	my @sessions = map { start_session($node) } 1 .. 6;
	order($sessions[$_], "CALL produce('$queue', 300)") foreach 0, 1;
	order($sessions[$_], "CALL consume('$queue', 600)") foreach 2 .. 5;
	answer($sessions[$_])                               foreach 0, 1;
	poll_ok(
		$node,
		"SELECT sum(n) FROM calls WHERE queue = '$queue'",
		"$queue: all jobs are claimed",
		expected => '600');
	$node->sql('INSERT INTO go VALUES (true)');
	answer($_)      foreach @sessions[ 2 .. 5 ];
	end_session($_) foreach @sessions;
	$node->sql('TRUNCATE go');
	is(sizes($queue), '120|0', "$queue: each batch is full");
	limits_settled($node, $queue);
	$node->sql("SELECT jobq.drop_queue('$queue', force => true)");
}

# Executors.
$node->sql(
	q{SELECT jobq.create_queue('executors', 'work(jobq.job[])', batch_size => 5,
		batch_wait => '1 h')}
);
my @sessions = map { start_session($node) } 1 .. 3;
order($_, q{CALL produce('executors', 200)}) foreach @sessions;
answer($_) foreach @sessions;
poll_ok(
	$node,
	q{SELECT sum(n) FROM calls WHERE queue = 'executors'},
	'executors: all jobs are run',
	expected => '600');
is(sizes('executors'), '120|0', 'executors: each batch is full');
$node->sql(q{SELECT jobq.enqueue('executors') FROM generate_series(1, 4)});
$node->sql(
	q{BEGIN; SELECT jobq.enqueue('executors') FROM generate_series(1, 6); SAVEPOINT s;
	SELECT jobq.enqueue('executors') FROM generate_series(1, 4); ROLLBACK TO s; COMMIT});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'executors' AND state = 'ready'},
	'executors: many at once',
	expected => '0');
is(sizes('executors'), '122|0', 'executors: what is enqueued at once, too');

# Full batches that come at once, and wake all executors: each finds all jobs.
$node->sql(
	q{SELECT jobq.create_queue('large', 'work(jobq.job[])', batch_size => 400, batch_wait => '1 h')}
);
foreach my $round (1 .. 15)
{
	$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('large', array_fill('1'::jsonb, '{400}'))});
	poll_query($node, q{SELECT sum(n) FROM calls WHERE queue = 'large'}, expected => 400 * $round);
}
is($node->sql(q{SELECT count(*), min(n) FROM calls WHERE queue = 'large'}),
	'15|400', 'large batches: each is full');

# A batch that waits for its last job, which others hold for a while.
$node->sql(
	q{SELECT jobq.create_queue('held', batch_size => 3, batch_wait => '1 h');
	SELECT jobq.enqueue('held') FROM generate_series(1, 3)});
ask($sessions[0], q{BEGIN; SELECT count(*) FROM jobq.take('held', 1)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('held', 3)}), '0', 'one of three is held');
order($sessions[1], q{CALL jobq.wait('{held}', '60 s')});
ask($sessions[0], 'ROLLBACK');
like(answer($sessions[1]), qr/^t/, 'wait is woken when it is given back');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('held', 3)}), '3', 'then it is full');

# Claims of other sessions' open transactions are in nobody's way.
$node->sql(q{SELECT jobq.enqueue('held') FROM generate_series(1, 6)});
is(ask($sessions[0], q{BEGIN; SELECT count(*) FROM jobq.dequeue('held', 3)}) =~ s/\s//gr,
	'3', 'a claim that is not committed');
is($node->sql(q{SET statement_timeout = '30 s'; SELECT count(*) FROM jobq.dequeue('held', 3)}),
	'3', 'another one does not wait for it');
ask($sessions[0], 'COMMIT');

# A claim that has found a full batch is held up before it has its jobs: another
# one must not take a part of them.  A job that has expired is none of a batch;
# its row cannot be moved to history, which holds the claim up.
dismiss_coordinator($node);
$node->sql(
	q{SELECT jobq.create_queue('turns', batch_size => 3, batch_wait => '1 h');
	SELECT jobq.enqueue('turns', ttl => '1 min', priority => -1);
	SELECT count(*) FROM jobq.enqueue_many('turns', '{1,2}')});
$node->advance_clock('2 min');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('turns', 3)}),
	'0', 'a job that has expired does not fill a batch');
$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('turns', '{3,4,5}')});
ask($sessions[0],
	'BEGIN; ' . join('; ', map { "LOCK TABLE jobq_store.history_$_ IN SHARE MODE" } 0 .. 7));
order($sessions[1], q{SELECT string_agg(payload::text, ' ') FROM jobq.dequeue('turns', 3)});
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'},
	'a claim is held up',
	expected => '1');
order($sessions[2], q{SELECT count(*) FROM jobq.dequeue('turns', 3)});
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'object'},
	'another one waits for its turn',
	expected => '1');
is($node->sql(q{CALL jobq.wait('{turns}', '0')}), 't', 'a look does not wait');
ask($sessions[0], 'ROLLBACK');
like(answer($sessions[1]), qr/^1 2 3$/m, 'the first claim has the batch');
like(answer($sessions[2]), qr/^0$/m, 'the other one has no part of it');

# Without a coordinator claims end leases, so such jobs count.
$node->sql(
	q{SELECT jobq.create_queue('over', batch_size => 2, batch_wait => '1 h', backoff => 'fixed',
		backoff_base => '0 s');
	SELECT jobq.enqueue('over'), jobq.enqueue('over');
	SELECT count(*) FROM jobq.dequeue('over', 2, lease => '1 min')});
$node->advance_clock('2 min');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('over', 2)}),
	'2', 'jobs whose leases are over make a batch');
end_session($_) foreach @sessions;

done_testing();
