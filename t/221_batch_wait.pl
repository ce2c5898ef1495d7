# t/221_batch_wait.pl: batch_size and batch_wait of queues for external workers
# and for executors: a batch comes when it is full or its first job has waited.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);

sub claimed
{
	my ($call) = @_;
	return $node->sql("SELECT count(*) FROM jobq.$call");
}

# ---------------------------------------------------------------- from outside

$node->sql(
	q{
	SELECT jobq.create_queue('b', batch_size => 3, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('b', array_fill('{}'::jsonb, ARRAY[11]))});
is(claimed("dequeue('b', 100)"), '3', 'dequeue gives one batch');
is(claimed("take('b', 100)"), '3', 'so does take');
is(claimed("dequeue('b', 2)"), '2', 'max_jobs bounds the batch');
is(claimed("next('b', NULL, NULL, 100)"), '3', 'so does next');

$node->sql(
	q{
	SELECT jobq.drop_queue('b', force => true);
	SELECT jobq.create_queue('w', batch_size => 3, batch_wait => '1 h', lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('w', '{1,2}')});
is(claimed("$_('w', 100)"), '0', "$_ waits for a full batch") for qw(dequeue take);
is($node->sql(q{CALL jobq.wait('{w}', '0')}), 'f', 'so does wait');
is( $node->sql(
		q{BEGIN; SELECT jobq.enqueue('w', '4', priority => 5) > 0;
		SELECT count(*) FROM jobq.dequeue('w', 100); ROLLBACK}),
	"t\n3",
	'own uncommitted jobs count');
$node->sql(q{SELECT jobq.enqueue('w', '3', priority => -5)});
is($node->sql(q{CALL jobq.wait('{w}', '0')}), 't', 'wait sees a full batch');
is($node->sql(q{SELECT string_agg(payload::text, ' ') FROM jobq.dequeue('w', 100)}),
	'3 1 2', 'over all priorities, in order');

# a job that is gone does not count
$node->sql(
	q{
	SELECT count(*) FROM jobq.enqueue_many('w', '{1,2,3}');
	SELECT jobq.delete(min(id)) FROM jobq.jobs WHERE queue = 'w' AND state = 'ready'});
is(claimed("dequeue('w', 100)"), '0', 'a job that was deleted does not count');
is($node->sql(q{CALL jobq.wait('{w}', '0')}), 'f', 'it does not count for wait');

# jobs that the transaction has locked itself, and given back, count
$node->sql(
	q{
	SELECT jobq.create_queue('own', batch_size => 2, lease => '1 h');
	SELECT jobq.enqueue('own', run_at => now() - interval '1 day') FROM generate_series(1, 2);
	CREATE TABLE own AS SELECT id, lease FROM jobq.dequeue('own', 2);
	SELECT jobq.alter_queue('own', batch_wait => '1 h')});
is( $node->sql(
		q{BEGIN; SELECT sum(length(jobq.fail(id, lease, 'failed', retry_in => '0'))) FROM own;
		SELECT count(*) FROM jobq.dequeue('own', 2); ROLLBACK}),
	"10\n2",
	'own jobs that were given back count');
is( $node->sql(
		q{BEGIN; SAVEPOINT s; SELECT jobq.release(min(id), min(lease)) FROM own; RELEASE s;
		SAVEPOINT s; SELECT jobq.release(max(id), max(lease)) FROM own;
		SELECT sum(jobq.set_priority(id, 1)::int) FROM own;
		SELECT count(*) FROM jobq.dequeue('own', 2); ROLLBACK}),
	"\n\n2\n2",
	'over savepoints, too');

# wait wakes up when the time is over
$node->sql(q{SELECT jobq.alter_queue('w', batch_wait => '300 ms')});
is($node->sql(q{CALL jobq.wait('{w}', '60 s')}), 't', 'a shorter batch_wait wakes');
is(claimed("dequeue('w', 100)"), '2', 'the time of what waited is over');
is( $node->sql(
		q{
		SELECT jobq.enqueue('w') > 0;
		CALL jobq.wait('{w}', '60 s');
		SELECT clock_timestamp() - run_at BETWEEN '300 ms' AND '10 s',
			cardinality(array_agg(id) OVER ())
		FROM jobq.dequeue('w', 100)}),
	"t\nt\nt|1",
	'wait returns when the first job has waited');

# ------------------------------------------------------------------- executors

$node->sql(
	q{
	CREATE TABLE calls (n int, waited interval);
	CREATE FUNCTION record(j jobq.job[]) RETURNS void LANGUAGE sql
		AS $$INSERT INTO calls
			SELECT count(*), clock_timestamp() - min(run_at) FROM unnest(j) AS u$$;
	SELECT jobq.create_queue('e', 'record(jobq.job[])', batch_size => 5, batch_wait => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('e', array_fill('{}'::jsonb, ARRAY[4]))});
$node->sql(q{SELECT jobq.enqueue('e')});
poll_ok($node, q{SELECT string_agg(n::text, ' ') = '5' FROM calls},
	'an executor gets a full batch');
$node->sql(
	q{
	SELECT jobq.alter_queue('e', batch_wait => '300 ms');
	SELECT jobq.enqueue('e')});
poll_ok(
	$node,
	q{SELECT string_agg(n::text, ' ') = '5 1' FROM calls},
	'or what is there when the time is over');
is($node->sql(q{SELECT max(waited) BETWEEN '300 ms' AND '10 s' FROM calls WHERE n = 1}),
	't', 'after that time');

done_testing();
