# t/226_batch_room.pl: batches of queues without room in shared memory, and of
# leases without room.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.shared_memory = 1MB' ]);

# Other queues take all the room.
$node->sql(
	q{
	CREATE ROLE alice LOGIN;
	SELECT jobq.grant_usage('alice', true);
	GRANT CREATE ON SCHEMA public TO alice;
	CREATE TABLE calls (n int);
	GRANT INSERT ON calls TO alice;
	SELECT count(jobq.create_queue('m' || i)) FROM generate_series(1, 5000) AS i;
	CREATE FUNCTION work(j jobq.job[]) RETURNS void LANGUAGE sql
		AS 'INSERT INTO calls VALUES (cardinality(j))';
	SELECT jobq.create_queue('b', batch_size => 3, lease => '1 h');
	SELECT jobq.create_queue('w', batch_size => 3, batch_wait => '300 ms', lease => '1 h');
	SELECT jobq.create_queue('e', 'work(jobq.job[])', batch_size => 3, batch_wait => '300 ms')});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
		WHERE q.name IN ('b', 'w', 'e')}),
	'0',
	'the queues have no room in shared memory');

$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('b', array_fill('1'::jsonb, '{4}'))});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('b', 100)}), '3', 'a batch');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('b', 100)}), '1', 'the rest');
$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('w', array_fill('1'::jsonb, '{4}'))});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('w', 100)}), '3', 'a full batch');
$node->sql(q{SELECT jobq.enqueue('w')});
is($node->sql(q{CALL jobq.wait('{w}', '60 s')}), 't', 'wait returns when the first has waited');
is($node->sql(q{SELECT count(*) BETWEEN 1 AND 2 FROM jobq.dequeue('w', 100)}), 't', 'for them');
$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('e', array_fill('1'::jsonb, '{4}'))});
poll_ok($node, 'SELECT sum(n) FROM calls', 'executors run all jobs', expected => '4');
is($node->sql('SELECT max(n) FROM calls'), '3', 'in batches');

done_testing();
