# t/318_recorded_afresh.pl: the outcome of a job was rolled back, and its executor is about
# to record it in another transaction: meanwhile nobody else counts the attempt.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

# No attempt can be recorded while there is a row in "broken".
$node->sql(
	q{CREATE TABLE broken (i int);
	CREATE FUNCTION check_index(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
		IF EXISTS (SELECT FROM public.broken) THEN RAISE 'the index is broken'; END IF;
		RETURN 1; END$$;
	CREATE INDEX ON jobq_store.attempt (check_index(attempt))});

# Jobs fail, but for "fine"; calls of the handlers count in a sequence, whatever becomes of
# their transactions. The backoff_function is interrupted when it may go on.
$node->sql(
	q{CREATE SEQUENCE begun; CREATE SEQUENCE asked; CREATE TABLE go_on (i int);
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF p = '"fine"' THEN RETURN; END IF;
		PERFORM nextval('public.begun');
		RAISE 'no'; END$$;
	CREATE FUNCTION work(p jsonb[]) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM public.work(p[1]); END$$;
	CREATE FUNCTION delay(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$BEGIN
		PERFORM nextval('public.asked');
		WHILE NOT EXISTS (SELECT FROM public.go_on) LOOP PERFORM pg_sleep(0.01); END LOOP;
		RAISE 'as if cancelled' USING ERRCODE = '57014'; END$$;
	SELECT jobq.create_queue('single', 'work(jsonb)', backoff_function => 'delay(int, jsonb)',
		backoff_base => '20 min');
	SELECT jobq.create_queue('batches', 'work(jsonb[])', batch_size => 2,
		batch_wait => '1 min', backoff_function => 'delay(int, jsonb)',
		backoff_base => '20 min');
	SELECT jobq.create_queue('serial', 'work(jsonb)', max_running_per_group => 1,
		group_on_failure => 'wait', backoff_function => 'delay(int, jsonb)',
		backoff_base => '20 min')});

# Runs jobs of a queue until their executor is between its two transactions, and stops it
# there. It waits for the table of jobs, which a session gets first that has come to wait
# while the first transaction was open. Returns its PID and the jobs.
sub stop_between
{
	my ($queue, $njobs, $options) = @_;
	my $session = start_session($node, name => 'first');
	$node->sql(q{TRUNCATE go_on; SELECT setval('begun', 1, false), setval('asked', 1, false)});
	my $ids = $node->sql(
		"SELECT string_agg(jobq.enqueue('$queue'$options)::text, ', ')
			FROM generate_series(1, $njobs)");
	poll_query($node, 'SELECT is_called FROM asked');
	my $pid = $node->sql(
		"SELECT holder FROM (SELECT l.pid AS holder FROM pg_locks l
			JOIN pg_stat_activity a USING (pid) WHERE backend_type = 'jobq executor'
				AND relation = 'jobq_store.job'::regclass AND mode = 'RowExclusiveLock') h");
	order($session, 'BEGIN; LOCK TABLE jobq_store.job IN SHARE MODE');
	waits_for_lock($node, $session) or die 'the session does not wait';
	$node->sql('INSERT INTO go_on VALUES (1)');
	answer($session);
	poll_query(
		$node,
		"SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted",
		expected => '1');
	kill('STOP', $pid) or die "kill: $!";
	ask($session, 'COMMIT');
	end_session($session);
	return ($pid, $ids);
}

# What is recorded of the jobs
sub states
{
	my ($ids) = @_;
	return $node->sql(
		qq{SELECT concat_ws(' ', state, jobs.attempt, attempts.sqlstate, attempts.error)
			FROM jobq.jobs LEFT JOIN jobq.attempts ON job_id = id
			WHERE id IN ($ids) ORDER BY id}) =~ s/\n/; /gr;
}

# Runs another job of the queue, or as many as make a batch.
sub others_run
{
	my ($queue, $njobs, $options) = @_;
	my $ids = $node->sql(
		qq{SELECT string_agg(jobq.enqueue('$queue', '"fine"'$options)::text, ', ')
			FROM generate_series(1, $njobs)});
	return poll_query(
		$node,
		"SELECT count(*) FROM jobq.jobs WHERE id IN ($ids) AND state = 'completed'",
		expected => $njobs);
}

my $recorded = 'scheduled 1 P0001 no';

foreach my $case ([ 'single', 1, 'ready 0' ], [ 'batches', 2, 'ready 0; ready 0' ])
{
	my ($queue, $njobs, $untouched) = @$case;
	my ($pid, $ids) = stop_between($queue, $njobs, '');
	ok(others_run($queue, $njobs, ''), "$queue: another executor runs other jobs");
	is(states($ids), $untouched, "$queue: it does not count the attempt");
	is($node->sql("SELECT count(*) FROM jobq.take('$queue')"),
		'0', "$queue: take() passes over the job");

	my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
	kill('TERM', $coordinator);
	poll_until(sub { !kill(0, $coordinator) }) or die 'the coordinator is still there';
	ok(others_run($queue, $njobs, ''), "$queue: jobs run with a new coordinator");
	is(states($ids), $untouched, "$queue: a new coordinator does not count the attempt");

	kill('CONT', $pid);
	poll_query(
		$node,
		"SELECT count(*) FROM jobq.jobs WHERE id IN ($ids) AND state = 'scheduled'",
		expected => $njobs);
	is( states($ids),
		join('; ', ($recorded) x $njobs),
		"$queue: the executor that has run the job records its outcome");
	is($node->sql('SELECT last_value FROM begun'), '1', "$queue: it has run once");
	$node->sql("SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = '$queue'");
}

# Its successors in a serial group wait for it.
{
	my ($pid, $ids) = stop_between('serial', 1, q{, group_key => 'g'});
	my $next = $node->sql(q{SELECT jobq.enqueue('serial', '"fine"', group_key => 'g')});
	ok(others_run('serial', 1, q{, group_key => 'h'}), 'a job of another group runs');
	is(states("$ids, $next"), 'ready 0; ready 0', 'the job in the serial group is not overtaken');
	kill('CONT', $pid);
	poll_query($node, "SELECT state = 'scheduled' FROM jobq.jobs WHERE id = $ids");
	is(states("$ids, $next"), "$recorded; ready 0", 'its outcome is recorded');
	$node->sql("SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'serial'");
}

# An executor that does not come to record it: the attempt counts once.
{
	my ($pid, $ids) = stop_between('single', 1, '');
	ok(others_run('single', 1, ''), 'other jobs run');
	kill('TERM', $pid);
	kill('CONT', $pid);
	poll_query($node, "SELECT state = 'scheduled' FROM jobq.jobs WHERE id = $ids");
	is( states($ids),
		'scheduled 1 57P01 the background worker was terminated while the job was running',
		'the attempt counts if the executor is terminated');
	is($node->sql('SELECT last_value FROM begun'), '1', 'the job has run once');
	$node->sql("SELECT jobq.delete($ids)");
}
{
	my ($pid, $ids) = stop_between('single', 1, '');
	ok(others_run('single', 1, ''), 'other jobs run');
	$node->sql('INSERT INTO broken VALUES (1)');
	my $position = log_position($node);
	kill('CONT', $pid);
	poll_until(sub { log_since($node, $position) =~ /the index is broken/ })
	  or die 'nothing has failed';
	is(states($ids), 'ready 0', 'nothing is recorded while nothing can be');
	$node->sql('TRUNCATE broken');
	poll_query($node, "SELECT state = 'scheduled' FROM jobq.jobs WHERE id = $ids");
	like(
		states($ids),
		qr/^scheduled 1 \w{5} the outcome of the job could not be recorded/,
		'the attempt counts if the executor could not record it');
	is($node->sql('SELECT last_value FROM begun'), '1', 'the job has run once');
	ok(others_run('single', 1, ''), 'jobs run again');
}

$node->stop;
done_testing();
