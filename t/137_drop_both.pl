# t/137_drop_both.pl: a queue and its on_dead queue are dropped at the same
# time, while a job of the former is dying: no session waits forever.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 0', "statement_timeout = '30s'" ]);

$node->sql(
	q{SELECT jobq.create_queue('deaths');
	SELECT jobq.create_queue('dying', on_dead => 'deaths', max_attempts => 1);
	SELECT jobq.enqueue('dying');
	CREATE TABLE held AS SELECT id, lease FROM jobq.dequeue('dying', lease => '10 min');
	CREATE TABLE go ()});

my $worker = start_order(
	$node, q{BEGIN;
	SELECT jobq.heartbeat(id, lease) FROM held;
	DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.05); END LOOP;
	END $$;
	SELECT jobq.fail(id, lease, 'no') FROM held;
	COMMIT});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DO%'},
	'a session has the job');
my $dropper = start_order($node, q{SELECT jobq.drop_queue('dying', force => true)});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object'
		AND classid = 'jobq_store.queue'::regclass
	AND mode = 'AccessExclusiveLock'
		AND granted}, 'another one drops its queue, and waits for the job');
my $other = start_order($node, q{SELECT jobq.drop_queue('deaths', force => true)});
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.queues WHERE queue = 'deaths'},
	'a third session drops the on_dead queue without waiting');
$node->sql('INSERT INTO go DEFAULT VALUES');
my $said = last_answer($worker);
like($said, qr/^dead$/m, 'the job is dead');
unlike($said, qr/ERROR/, 'the death was reported to no queue');
unlike(last_answer($dropper), qr/ERROR/, "the job's queue is dropped");
unlike(last_answer($other), qr/ERROR/, 'the on_dead queue is dropped');
is($node->sql(q{SELECT count(*) FROM jobq_store.queue}), '0', 'both queues are gone');
is( $node->sql(
		q{SELECT (SELECT count(*) FROM jobq_store.job)
			+ (SELECT count(*) FROM jobq_store.finished_jobs)}
	),
	'0',
	'no job is left');

done_testing();
