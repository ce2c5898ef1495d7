# t/057_big_history.pl: a big history, with a limit by number for each of many
# queues, and attempts of jobs that are gone: expired rows are removed in
# parts, and schedules and delayed jobs are on time meanwhile.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($nqueues, $nrows, $nattempts) = (300, 400_000, 200_000);

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'fsync = off' ]);
my $coordinator = wait_for_worker($node, 'jobq coordinator');

$node->sql(
	qq{
	CREATE FUNCTION done() RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('done', 'done()', keep_completed => '0');
	SELECT jobq.schedule('tick', '* * * * * *', queue => 'done');
	SELECT jobq.create_queue('q' || i, keep_completed_count => 50, keep_dead_count => 20)
	FROM generate_series(1, $nqueues) AS i;
	SELECT jobq.create_queue('large', keep_completed_count => 60000);
	CREATE TABLE queues AS SELECT id, name, row_number() OVER (ORDER BY id) - 1 AS n
	FROM jobq_store.queue WHERE name ~ '^q';
});

# Every seventh is dead; the times go up and down, so that the newest rows are
# anywhere in the table.
sub add_history
{
	my ($from, $to, $of) = @_;
	$node->sql(
		qq{
		INSERT INTO jobq_store.history
			(id, run_at, finished_at, queue, attempt, priority, state, segment, payload)
		SELECT 1000000000 + i, now(), now() - (hashint8(i) & 65535) * interval '1 ms', q.id, 1, 0,
			CASE WHEN '$of' = 'q' AND i % 7 = 0 THEN 4 ELSE 3 END, i % 2, '{}'
		FROM generate_series($from, $to) AS i
		JOIN (SELECT id, n, count(*) OVER () AS m FROM
			(SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM jobq_store.queue
			 WHERE name ~ '^$of') AS r) AS q ON q.n = (i / 7) % q.m;
	});
	return;
}
add_history(1, $nrows, 'q');
add_history($nrows + 1, $nrows + 80_000, 'large');
$node->sql(
	qq{
	INSERT INTO jobq_store.attempt (job_id, finished_at, attempt, queue, outcome)
	SELECT CASE WHEN i % 1000 = 0 THEN 1000000000 ELSE 2000000000 END + i, now(), 1, q.id, 'failed'
	FROM generate_series(1, $nattempts) AS i JOIN queues AS q ON q.n = i % $nqueues;
	CREATE TABLE expected AS
	SELECT queue, state, id FROM (
		SELECT queue, state, id,
			row_number() OVER (PARTITION BY queue, state ORDER BY finished_at DESC, id DESC) AS n
		FROM jobq_store.history WHERE queue IN (SELECT id FROM queues)) AS h
	WHERE n <= CASE WHEN state = 3 THEN 50 ELSE 20 END;
	ANALYZE;
});

# A new coordinator looks at everything. While it does, others must not notice.
$node->sql("SELECT pg_terminate_backend($coordinator)");
$coordinator = wait_for_worker($node, 'jobq coordinator', not => $coordinator);
my $begin = $node->sql("SELECT clock_timestamp()");
my $slowest = 0;
my $done = poll_until(
	sub {
		my $time = time();
		my $job = $node->sql("SELECT jobq.enqueue('done', delay => '50 ms')");
		poll_query($node, "SELECT count(*) = 0 FROM jobq_store.job WHERE id = $job", seconds => 30);
		$slowest = time() - $time if time() - $time > $slowest;
		return $node->sql(
			"SELECT (SELECT count(*) FROM jobq_store.attempt WHERE job_id > 2000000000) = 0
			AND (SELECT count(*) FROM jobq_store.history WHERE queue IN (SELECT id FROM queues))
				<= (SELECT count(*) FROM expected)
			AND (SELECT count(*) FROM jobq_store.history AS h
				JOIN jobq_store.queue AS q ON q.id = h.queue
				WHERE q.name = 'large') < 70000") eq 't';
	},
	300);
ok($done, 'finished jobs beyond the limits are deleted');
cmp_ok($slowest, '<', 10, 'delayed jobs were not held up');
is( $node->sql(
		"SELECT count(*) FILTER (WHERE fired_at - slot > '10 s') FROM jobq.schedule_runs
		WHERE schedule = 'tick' AND slot > '$begin'"),
	0,
	'schedules were not held up');
is( $node->sql(
		"SELECT count(*), count(*) FILTER (WHERE h.id IS NULL OR e.id IS NULL)
		FROM (SELECT * FROM jobq_store.history WHERE queue IN (SELECT id FROM queues)) AS h
		FULL JOIN expected AS e ON e.id = h.id"),
	$node->sql("SELECT count(*), 0 FROM expected"),
	'the newest jobs of each queue stay, and no other');
cmp_ok(
	$node->sql(
		"SELECT count(*) FROM jobq_store.history AS h JOIN jobq_store.queue AS q ON q.id = h.queue
		WHERE q.name = 'large'"),
	'>=',
	60000,
	'a queue with very many jobs keeps at least its limit');
is( $node->sql(
		"SELECT count(*) FROM jobq_store.attempt AS a JOIN expected AS e ON e.id = a.job_id"),
	$node->sql(
		"SELECT count(*) FROM expected WHERE (id - 1000000000) % 1000 = 0
			AND id <= 1000000000 + $nattempts"
	),
	'attempts stay as long as their jobs');
is($node->sql("SELECT count(*) FROM jobq_store.attempt WHERE job_id > 2000000000"),
	0, 'no other attempts stay');
is(wait_for_worker($node, 'jobq coordinator'), $coordinator, 'nothing has ended the coordinator');

$node->stop;
done_testing();
