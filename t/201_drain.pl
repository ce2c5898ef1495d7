# t/201_drain.pl: a queue that is drained takes no new jobs, and finishes those
# that it has.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

$node->sql(
	q{
	CREATE SEQUENCE calls;
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF nextval('calls') = 1 THEN RAISE 'the first attempt fails'; END IF; END$$;
	SELECT jobq.create_queue('q', 'work(jsonb)', backoff_base => '1 ms');
	SELECT jobq.create_queue('dies', max_attempts => 1, on_dead => 'q', lease => '1 h');
	SELECT jobq.pause('q')});
my $id = $node->sql(q{SELECT jobq.enqueue('q', unique_key => 'k')});

is($node->sql(q{SELECT jobq.drain('q')}), 't', 'drain() changes something');
is($node->sql(q{SELECT jobq.drain('q')}), 'f', 'once');
is($node->sql(q{SELECT paused, draining FROM jobq.queues WHERE queue = 'q'}),
	't|t', 'the queue is paused and draining');

# ------------------------------------------------------------- what is refused

foreach my $call (
	q{enqueue('q')},
	q{enqueue('q', unique_key => 'new')},
	q{enqueue_many('q', '{1, 2}')},
	q{enqueue_many('q', '{1, 2}', unique_keys => '{k, new}')})
{
	like(
		sql_error($node, "SELECT jobq.$call"),
		qr/ERROR:  JQ002: queue "q" is draining.*HINT:/s,
		"$call is refused");
}
is( $node->sql(
		q{DO $$BEGIN PERFORM jobq.enqueue('q', unique_key => 'k2');
		EXCEPTION WHEN SQLSTATE 'JQ002' THEN NULL; END$$;
		SELECT count(*) FROM jobq_store.job}),
	'1',
	'nothing is left of a refused call');
is($node->sql(q{SELECT jobq.enqueue('q', unique_key => 'k')}),
	$id, 'a call that adds nothing is not refused');
is($node->sql(q{SELECT jobq.enqueue('q', '1', unique_key => 'k', on_conflict => 'replace')}),
	$id, 'a call that replaces a job is not refused');
is( $node->sql(
		q{SELECT jobq.fail(id, lease, 'x') FROM (SELECT jobq.enqueue('dies')) AS e,
		jobq.dequeue('dies')}),
	'dead',
	'a job whose report goes there can die');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'q'}), '2', 'the report is there');

# ------------------------------------------------------------ the others end

is($node->sql(q{SELECT jobq.resume('q'), jobq.resume('q')}), 't|f', 'resume() ends both');
is($node->sql(q{SELECT paused, draining FROM jobq.queues WHERE queue = 'q'}), 'f|f', 'indeed');
$node->sql(q{SELECT jobq.drain('q')});
poll_ok(
	$node,
	q{SELECT count(*) = 2 FROM jobq.jobs WHERE queue = 'q' AND state = 'completed'},
	'a draining queue runs its jobs, with their retries');
is($node->sql(q{SELECT last_value FROM calls}), '3', 'one was run twice');
is($node->sql("SELECT jobq.retry($id)"), $id, 'retry() is not refused');

$node->sql(q{SELECT jobq.create_queue('q', 'work(jsonb)', or_replace => true)});
is($node->sql(q{SELECT draining FROM jobq.queues WHERE queue = 'q'}),
	't', 'create_queue() with or_replace leaves it draining');
$node->sql(q{SELECT jobq.resume('q')});
cmp_ok($node->sql(q{SELECT jobq.enqueue('q')}), '>', $id, 'after resume() it takes jobs');

$node->stop;
done_testing();
