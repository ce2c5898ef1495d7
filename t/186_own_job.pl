# t/186_own_job.pl: a handler that claims jobs of its own queue does not get the
# job that it is running, and cannot replace it.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main');

# Jobs of one queue share a transaction. One of them makes another one ready, so
# that claims of this transaction read the index.
$node->sql(
	q{
	CREATE TABLE ran (id bigint, attempt int, got bigint[]);
	CREATE FUNCTION runs(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$
		DECLARE got bigint[];
		BEGIN
			IF j.payload = '"adds"' THEN PERFORM jobq.enqueue(j.queue); END IF;
			IF j.payload = '"dequeues"' THEN
				SELECT array_agg(id) INTO got FROM jobq.dequeue(j.queue, 3, '1 s');
			END IF;
			IF j.payload = '"takes"' THEN
				SELECT array_agg(id) INTO got FROM jobq.take(j.queue, 3);
			END IF;
			INSERT INTO ran VALUES (j.id, j.attempt, got);
		END$$;
	SELECT jobq.create_queue('own', 'runs(jobq.job)', max_attempts => 5)});

# Short jobs first, after which the queue's jobs share transactions.
$node->sql(q{SELECT count(jobq.enqueue('own')) FROM generate_series(1, 50)});
poll_ok($node, 'SELECT count(*) = 50 FROM ran', 'short jobs have run');

$node->sql(
	q{
	SELECT jobq.pause('own');
	SELECT count(jobq.enqueue('own', to_jsonb(CASE i % 20 WHEN 5 THEN 'adds' WHEN 9 THEN 'dequeues'
		WHEN 12 THEN 'takes' ELSE '' END))) FROM generate_series(1, 400) i;
	SELECT jobq.resume('own')});
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'own'
		AND state IN ('ready', 'running', 'scheduled')},
	'all jobs have ended');
is($node->sql('SELECT count(*) FROM ran WHERE id = ANY(got)'), '0', 'no job got itself');
cmp_ok($node->sql('SELECT count(*) FROM ran WHERE got IS NOT NULL'),
	'>', 0, 'jobs were claimed by others');
is( $node->sql(
		q{SELECT count(*) FROM (SELECT FROM ran WHERE NOT EXISTS (SELECT FROM ran r
			WHERE ran.id = ANY(r.got)) GROUP BY id HAVING count(*) > 1) twice}
	),
	'0',
	'none of the others ran twice');

# ------------------------------------------------- replacing the running job

$node->sql(
	q{
	CREATE FUNCTION again(j jobq.job) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN
		RETURN jobq.enqueue(j.queue, '"second"', unique_key => j.unique_key,
			on_conflict => 'replace', delay => '1 ms'); END$$;
	SELECT jobq.create_queue('page', 'again(jobq.job)')});
my $page = $node->sql(q{SELECT jobq.enqueue('page', '"first"', unique_key => 'k')});
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $page", 'the job has run');
is($node->sql("SELECT payload, result = to_jsonb(id) FROM jobq.jobs WHERE id = $page"),
	'"first"|t', 'on_conflict => replace leaves the job alone that its own handler runs');

done_testing();
