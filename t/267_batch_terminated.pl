# t/267_batch_terminated.pl: the process of a batch is terminated while the outcomes of
# its jobs are being recorded: each attempt is shown once.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);

# The backoff function takes its time for one of the jobs.
$node->sql(
	q{
	CREATE FUNCTION work(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM jobq.fail_job(id, payload #>> '{}') FROM unnest(j);
	END$$;
	CREATE FUNCTION delays(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	BEGIN
		IF error ->> 'message' = 'slow' THEN
			PERFORM pg_sleep(4);
		END IF;
		RETURN '1 h';
	END$$;
	SELECT jobq.create_queue('rest')});

foreach my $slow (0 .. 2)
{
	$node->sql(
		qq{SELECT jobq.create_queue('b$slow', 'work(jobq.job[])', batch_size => 3,
			max_attempts => 2, backoff_function => 'delays(int,jsonb)')});
	$node->sql(
		"SELECT count(*) FROM jobq.enqueue_many('b$slow', ARRAY(SELECT to_jsonb(
			CASE i WHEN $slow THEN 'slow' ELSE 'quick' END) FROM generate_series(0, 2) AS i))");
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'
			AND wait_event = 'PgSleep'},
		"job $slow: its backoff function is running",
		expected => '1');
	$node->sql(
		q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'});
	poll_ok(
		$node,
		"SELECT count(DISTINCT job_id) FROM jobq.attempts WHERE queue = 'b$slow' AND attempt = 1",
		"job $slow: the attempt is recorded for each job",
		expected => '3');

	# a job that was rolled back would be shown by another task: let that be over
	wait_for_rest($node, 'rest');
	is( $node->sql(
			"SELECT string_agg(concat_ws(' ', outcome, sqlstate), ', ' ORDER BY job_id, outcome)
				FROM jobq.attempts WHERE queue = 'b$slow' AND attempt = 1"
		),
		'crashed 57P01, crashed 57P01, crashed 57P01',
		"job $slow: each attempt is shown once");
	$node->sql("SELECT jobq.drop_queue('b$slow', force => true)");
}

$node->stop;
done_testing();
