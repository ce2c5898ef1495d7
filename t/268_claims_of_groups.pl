# t/268_claims_of_groups.pl: what one claim does in a queue with groups when others
# have locked jobs, or nothing is there for it: it looks behind them, and comes to
# an end.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = small_node(1);

# The payloads of the jobs that are claimed, sorted.
sub claimed
{
	my ($queue, $n, $before) = @_;
	my $jobs = $node->sql(
		qq{SET statement_timeout = '60 s'; BEGIN; $before;
		SELECT string_agg(payload #>> '{}', ' ' ORDER BY payload #>> '{}')
		FROM jobq.dequeue('$queue', $n); ROLLBACK});
	$jobs =~ s/^\n//;
	return $jobs;
}

# Locks the jobs with payloads from 1 to $n, as a session does that changes them.
sub lock_jobs
{
	my ($session, $queue, $n) = @_;
	ask($session,
		qq{BEGIN; SELECT FROM jobq_store.job WHERE queue = (
			SELECT id FROM jobq_store.queue WHERE name = '$queue')
		AND CASE jsonb_typeof(payload) WHEN 'number' THEN payload::int <= $n END FOR UPDATE});
	return;
}

my $locker = start_session($node);

# ------------------------------------------------- jobs that others have locked

# A transaction that has added a job to a group reads its index.
my $own = q{SELECT FROM jobq.enqueue('behind', '"own"', group_key => 'g')};
$node->sql(
	q{SELECT jobq.create_queue('behind');
	SELECT jobq.enqueue('behind', to_jsonb(n), group_key => 'g') FROM generate_series(1, 40) AS n;
	SELECT jobq.enqueue('behind', '"h"', group_key => 'h')});
lock_jobs($locker, 'behind', 38);
is(claimed('behind', 5, $own), '39 40 h own', 'a claim finds the jobs behind many locked ones');
is(claimed('behind', 3, $own), '39 40 h', 'in turn');
ask($locker, 'ROLLBACK');
lock_jobs($locker, 'behind', 40);
is(claimed('behind', 5, $own), 'h own', 'all of a group are locked: jobs of others, and its own');
ask($locker, 'ROLLBACK');

# The same where groups, or the queue, have no room in shared memory.
$node->sql(
	q{SELECT jobq.create_queue('crowd');
	SELECT count(*) FROM jobq.enqueue_many('crowd', ARRAY(SELECT to_jsonb('x'::text)
		FROM generate_series(1, 3000) AS n), group_keys => ARRAY(SELECT 'x' || n
		FROM generate_series(1, 3000) AS n));
	DO $$BEGIN FOR i IN 1 .. 6 LOOP PERFORM jobq.dequeue('crowd', 500); END LOOP; END$$;
	SELECT jobq.enqueue('crowd', to_jsonb(n), group_key => 'g') FROM generate_series(1, 40) AS n;
	SELECT jobq.enqueue('crowd', '"a"', group_key => 'a')});
$node->sql(
	q{SELECT count(jobq.create_queue('q' || i)) FROM generate_series(1, 2000) AS i;
	SELECT jobq.create_queue('outside');
	SELECT jobq.enqueue('outside', to_jsonb(n), group_key => 'g') FROM generate_series(1, 40) AS n;
	SELECT jobq.enqueue('outside', '"a"', group_key => 'a')});
like(
	$node->sql(q{SELECT message FROM jobq.health WHERE object = 'queues'}),
	qr/no room for \d+ queues/,
	'shared memory has no room for a queue');
foreach my $queue ('crowd', 'outside')
{
	lock_jobs($locker, $queue, 38);
	is(claimed($queue, 1000, 'SELECT'), '39 40 a', "$queue: behind many locked jobs");
	like(claimed($queue, 1, 'SELECT'), qr/^(39|a)$/, "$queue: one of them");
	ask($locker, 'ROLLBACK');
}
end_session($locker);

# Names of groups that have nothing to give are not kept.
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('outside', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 20000) AS n), delay => '1 day', group_keys => ARRAY(
		SELECT 'later' || n FROM generate_series(1, 20000) AS n))});
cmp_ok(
	$node->sql(
		q{BEGIN; SELECT count(*) FROM jobq.dequeue('outside', 100);
		SELECT total_bytes FROM pg_backend_memory_contexts WHERE name = 'TopTransactionContext';
		ROLLBACK}) =~ s/.*\n//sr,
	'<', 200_000,
	'a claim keeps no names of groups where it has found nothing');

# ---------------------------------------------------------------- drop_oldest

# The only job that could make room is the new one itself.
$node->sql(
	q{SELECT jobq.drop_queue('behind', force => true);
	SELECT jobq.create_queue('full', max_queued => 1, on_full => 'drop_oldest')});
like(
	sql_error(
		$node,
		q{SET statement_timeout = '60 s'; BEGIN;
		SELECT FROM jobq.enqueue('full', group_key => 'g'); SELECT FROM jobq.dequeue('full');
		SELECT FROM jobq.enqueue('full', group_key => 'g', unique_key => 'k')}),
	qr/JQ002/,
	'an enqueue that can drop nothing but its own job is refused');

# The newest is first there; the oldest jobs are dropped, whatever their groups.
$node->sql(
	q{SELECT jobq.create_queue('lifo', lifo => true, max_queued => 7,
		on_full => 'drop_oldest');
	SELECT jobq.enqueue('lifo', to_jsonb(name), group_key => nullif(left(name, 1), 'x'))
		FROM unnest('{a1,a2,b1,b2,x1,x2}'::text[]) AS name;
	DO $$BEGIN FOR i IN 1 .. 5 LOOP
		PERFORM jobq.enqueue('lifo', to_jsonb('c' || i), group_key => 'c');
	END LOOP; END$$});
is( $node->sql(
		q{SELECT string_agg(payload #>> '{}', ' ' ORDER BY payload #>> '{}') FROM jobq.jobs
		WHERE queue = 'lifo' AND state = 'cancelled'}),
	'a1 a2 b1 b2',
	'lifo: the oldest jobs are dropped');
is(claimed('lifo', 4, 'SELECT'), 'c4 c5 x1 x2', 'lifo: the newest are left');

$node->stop;
done_testing();
