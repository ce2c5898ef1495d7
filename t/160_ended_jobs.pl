# t/160_ended_jobs.pl: jobs whose code has ended, and whose outcome is not
# committed yet.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 2', 'max_locks_per_transaction = 10', 'log_statement = none' ]);

$node->sql(
	q{
	CREATE SEQUENCE runs;
	CREATE TABLE seen (temporary bigint);
	CREATE PROCEDURE hoard(p jsonb) LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1 .. 40 LOOP
				FOR j IN 1 .. 150 LOOP
					EXECUTE format('CREATE TEMP TABLE t_%s_%s ()', i, j);
				END LOOP;
				COMMIT;
			END LOOP;
			PERFORM nextval('public.runs');
			IF p = '"fail"' THEN
				RAISE EXCEPTION 'I fail';
			END IF;
		END $$;
	CREATE PROCEDURE look() LANGUAGE sql AS $$
		INSERT INTO public.seen SELECT count(*) FROM pg_class
			WHERE relnamespace = pg_my_temp_schema() $$;
	CREATE PROCEDURE lock_all() LANGUAGE plpgsql AS $$
		DECLARE n bigint := 0;
		BEGIN
			PERFORM nextval('public.runs');
			LOOP
				PERFORM pg_advisory_lock(n);
				n := n + 1;
			END LOOP;
		EXCEPTION WHEN out_of_memory THEN
			NULL;
		END $$;
	CREATE FUNCTION answer() RETURNS jsonb LANGUAGE sql AS $$ SELECT '1'::jsonb $$;
	SELECT jobq.create_queue('hoards', 'hoard(jsonb)', max_attempts => 2, backoff_base => '1 ms'),
		jobq.create_queue('locks', 'lock_all()', max_attempts => 2, backoff_base => '1 ms'),
		jobq.create_queue('looks', 'look()'),
		jobq.create_queue('answers', 'answer()');
});

# How a job has ended, how often it was run, and its attempts.
sub end_of
{
	my ($job) = @_;
	poll_ok($node, "SELECT finished_at IS NOT NULL FROM jobq.jobs WHERE id = $job", 'the job ends');
	return $node->sql(
		qq{SELECT state, attempt, (SELECT last_value FROM runs),
			(SELECT string_agg(outcome || ': ' || error, '; ' ORDER BY attempt)
			FROM jobq.attempts WHERE job_id = $job)
		FROM jobq.jobs WHERE id = $job});
}

# more temporary tables than the server has locks for
my $position = log_position($node);
my $job = $node->sql(q{SELECT jobq.enqueue('hoards', '"succeed"')});
is(end_of($job), 'completed|1|1|',
	'a procedure with more temporary tables than can be removed at once completes');
ok( !$node->log_contains(qr/out of shared memory/, $position),
	'the temporary tables are removed in portions');

$node->sql('ALTER SEQUENCE runs RESTART');
$job = $node->sql(q{SELECT jobq.enqueue('hoards', '"fail"', max_attempts => 1)});
is(end_of($job), 'dead|1|1|failed: I fail', '... or fails for its own reason');

$node->sql(q{SELECT jobq.enqueue('looks') FROM generate_series(1, 3)});
poll_ok($node, 'SELECT count(*) = 3 FROM seen', 'jobs run after that');
is($node->sql('SELECT max(temporary) FROM seen'), '0', 'later jobs find no temporary table');

# the session holds all locks that there are
$node->sql('ALTER SEQUENCE runs RESTART');
$job = $node->sql(q{SELECT jobq.enqueue('locks')});
is(end_of($job), 'completed|1|1|', 'a procedure whose end is recorded at the second try completes');

# the outcome takes its time, as a large one does
foreach my $queue (qw(answers looks))
{
	my $blocker = start_session($node);
	ask($blocker,
			'BEGIN; LOCK TABLE '
		  . join(', ', map { "jobq_store.history_$_" } 0 .. 7)
		  . ' IN SHARE MODE');
	$job = $node->sql("SELECT jobq.enqueue('$queue')");
	poll_ok(
		$node, q{SELECT EXISTS (SELECT FROM pg_locks AS l JOIN jobq.workers AS w USING (pid)
			WHERE NOT l.granted AND l.relation::regclass::text LIKE 'jobq_store.history%')},
		"$queue: the outcome cannot be written down yet");
	is( $node->sql(
			qq{SELECT j.state, j.attempt, j.started_at IS NOT NULL, j.worker = 'pid ' || w.pid,
				w.state, w.queue, w.attempt, q.running
			FROM jobq.jobs AS j JOIN jobq.workers AS w ON w.job_id = j.id
			JOIN jobq.queues AS q ON q.queue = j.queue WHERE j.id = $job}),
		"running|1|t|t|running|$queue|1|1",
		'$queue: the job is shown as running until its outcome is recorded');
	end_session($blocker);
	poll_ok(
		$node,
		"SELECT state = 'completed' FROM jobq.jobs WHERE id = $job",
		'$queue: the job ends when its outcome can be recorded');
	poll_ok(
		$node,
		"SELECT count(*) = 0 FROM jobq.workers WHERE job_id = $job",
		'$queue: no worker shows the job after its end');
}

done_testing();
