# t/211_on_limit.pl: a rate that limits new jobs: they are left out or refused,
# and starts are not limited. What is rolled back costs nothing.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'max_prepared_transactions = 2' ]);

# Number of unfinished jobs of a queue.
sub jobs_in
{
	my ($queue) = @_;
	return $node->sql(qq{SELECT count(*) FROM jobq.jobs WHERE queue = '$queue'});
}

sub new_queue
{
	my ($queue, $on_limit, $limit) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', rate_limit => $limit, rate_period => '4 h',
			rate_burst => $limit, on_limit => '$on_limit')});
	return;
}

# --------------------------------------------------------------------- skip

new_queue('skip', 'skip', 3);
is($node->sql(q{SELECT jobq.enqueue('skip') IS NULL FROM generate_series(1, 2)}),
	"f\nf", 'jobs are added');
is( $node->sql(
		q{SELECT string_agg((id IS NULL)::text, ' ' ORDER BY n) FROM
		jobq.enqueue_many('skip', '{1,2,3}'::jsonb[]) WITH ORDINALITY AS e (id, n)}),
	'false true true',
	'enqueue_many() gives NULL for what is left out');
is($node->sql(q{SELECT jobq.enqueue('skip') IS NULL}), 't', 'one too many is left out');
is(jobs_in('skip'), '3', 'no more than three are there');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('skip', 5)}), '3', 'starts are not limited');
is($node->sql(q{SELECT jobq.run('SELECT 1') IS NULL}), 'f', 'other queues are not concerned');

# ---------------------------------------------------------------- unique keys

new_queue('keys', 'skip', 2);
is( $node->sql(
		q{SELECT count(DISTINCT jobq.enqueue('keys', unique_key => 'a')) FROM
		generate_series(1, 5)}),
	'1',
	'duplicates are the same job');
is($node->sql(q{SELECT jobq.enqueue('keys', unique_key => 'b') IS NULL}), 'f', 'they cost nothing');
is($node->sql(q{SELECT jobq.enqueue('keys', unique_key => 'c') IS NULL}),
	't', 'a new key is left out');
is( $node->sql(
		q{SELECT count(id), count(*) FROM
		jobq.enqueue_many('keys', '{1,2,3}'::jsonb[], unique_keys => '{a,d,b}') AS id}),
	'2|3',
	'only the new key of several is left out');
is( $node->sql(q{SELECT jobq.enqueue('keys', unique_key => 'a', on_conflict => 'replace') IS NULL}),
	'f', 'a job can be replaced');
is(jobs_in('keys'), '2', 'two are there');

# -------------------------------------------------------------------- error

new_queue('error', 'error', 2);
like(
	sql_error($node, q{SELECT jobq.enqueue_many('error', array_fill('1'::jsonb, ARRAY[3]))}),
	qr/ERROR:  JQ003: rate limit of queue "error" is exceeded.*It accepts at most 2 new jobs in/s,
	'JQ003');
is($node->sql(q{SELECT count(*) FROM jobq.enqueue_many('error', '{1,2}'::jsonb[])}),
	'2', 'an error has changed nothing');
like(sql_error($node, q{SELECT jobq.enqueue('error', unique_key => 'a')}),
	qr/JQ003/, 'no third one');

# ---------------------------------------------------------------- full queues

$node->sql(
	q{SELECT jobq.create_queue('full', max_queued => 1, on_full => 'drop_oldest',
		rate_limit => 2, rate_period => '4 h', rate_burst => 2, on_limit => 'skip')});
is( $node->sql(
		q{SELECT string_agg((jobq.enqueue('full') IS NULL)::text, ' ') FROM generate_series(1, 3)}),
	'false false true',
	'a full queue makes room for what the rate lets through');
is( $node->sql(q{SELECT string_agg(state, ' ' ORDER BY id) FROM jobq.jobs WHERE queue = 'full'}),
	'cancelled ready',
	'nothing is dropped for a job that is left out');
$node->sql(q{SELECT jobq.drain('full')});
like(sql_error($node, q{SELECT jobq.enqueue('full')}), qr/JQ002/, 'a draining queue refuses jobs');

# ----------------------------------------------------------------- rollbacks

foreach my $count (1, 200)
{
	my $queue = "back_$count";
	new_queue($queue, 'skip', $count);
	my $add = "SELECT count(jobq.enqueue('$queue')) FROM generate_series(1, $count)";
	is( $node->sql(
			qq{BEGIN; SAVEPOINT s; $add; ROLLBACK TO s; $add; SAVEPOINT t; $add; RELEASE t;
			ROLLBACK; BEGIN; SAVEPOINT s; $add; RELEASE s; ROLLBACK; $add; $add}),
		"$count\n$count\n0\n$count\n$count\n0",
		"$count: what is rolled back is taken back");
}

# two queues by turns
new_queue("turn_$_", 'skip', 3) for 1 .. 2;
my $both = q{SELECT count(jobq.enqueue('turn_1')) + count(jobq.enqueue('turn_2'))
	FROM generate_series(1, 3)};
is($node->sql("BEGIN; $both; ROLLBACK; BEGIN; $both; COMMIT"), "6\n6", 'of two queues, too');

# what others have added since is in the way
my $other = start_session($node, name => 'other');
new_queue('between', 'skip', 2);
ask($other, q{BEGIN; SELECT jobq.enqueue('between') IS NULL});
$node->sql(q{SELECT jobq.enqueue('between')});
ask($other, 'ROLLBACK');
is($node->sql(q{SELECT jobq.enqueue('between') IS NULL}), 't', 'after others it stays counted');
new_queue('prepared', 'skip', 1);
$node->sql(
	q{BEGIN; SELECT jobq.enqueue('prepared'); PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'});
is($node->sql(q{SELECT jobq.enqueue('prepared') IS NULL}), 't', 'what is prepared stays counted');
end_session($other);

# ----------------------------------------------------- jobs that jobq makes

new_queue('dead', 'error', 1);
$node->sql(
	q{SELECT jobq.enqueue('dead');
	CREATE FUNCTION fail(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
	SELECT jobq.create_queue('fails', 'fail(jsonb)', max_attempts => 1, on_dead => 'dead');
	SELECT jobq.enqueue('fails')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'dead'},
	'the report of a dead job is not refused',
	expected => '2');
new_queue('runs', 'skip', 1);
$node->sql(
	q{SELECT jobq.schedule('s', '0 0 1 1 *', queue => 'runs');
	SELECT jobq.run_schedule('s')});
is(jobs_in('runs'), '1', 'a run of a schedule is let through');
is($node->sql(q{SELECT jobq.enqueue('runs') IS NULL}), 't', 'it counts');

# ------------------------------------------------------------------ restarts

new_queue('restart', 'skip', 2);
new_queue('aborted', 'skip', 1);
$node->sql(
	q{BEGIN; SELECT jobq.enqueue('aborted'); ROLLBACK;
	SELECT jobq.enqueue('restart')});
$node->stop('immediate');
$node->start;
is($node->sql(q{SELECT count(jobq.enqueue('restart')) FROM generate_series(1, 2)}),
	'1', 'new jobs are counted over a crash');
is($node->sql(q{SELECT jobq.enqueue('aborted') IS NULL}),
	'f', 'those that were rolled back are not');

# ------------------------------------------------------------------- changes

$node->sql(q{SELECT jobq.alter_queue('skip', on_limit => 'wait')});
is($node->sql(q{SELECT jobq.enqueue('skip') IS NULL}), 'f', 'with wait, all are added');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('skip')}), '0', 'with wait, they do not start');
$node->sql(q{SELECT jobq.alter_queue('skip', on_limit => 'skip')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('skip')}), '1', 'with skip they start');

$node->stop;
done_testing();
