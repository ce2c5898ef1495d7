# t/132_terminations_and_restarts.pl: a job with a single attempt does not run
# again when its process was terminated during it, whatever happens to the
# server, and to the job's row, before the attempt is counted.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');
my $file = PostgreSQL::Test::Utils::tempdir() . '/runs';
chmod(0777, PostgreSQL::Test::Utils::tempdir());

# Jobs leave a trace outside the database when they begin.
$node->sql(
	qq{
	CREATE TABLE go_on (yes boolean);
	CREATE FUNCTION leave_trace() RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'cat >> $file'); END\$\$;
	CREATE FUNCTION works(j jobq.job) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		PERFORM leave_trace();
		IF j.payload = 'true' THEN PERFORM pg_sleep(600); END IF; END\$\$;
	SELECT jobq.create_queue('once', 'works(jobq.job)', max_attempts => 1)});

my $runs = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND wait_event = 'PgSleep'};
my $executors = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND state = 'active'};
my $coordinator =
  q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'};

# Starts a job, and returns its id when it sleeps.
sub start_job
{
	unlink($file);
	my $id = $node->sql(q{SELECT jobq.enqueue('once', 'true')});
	poll_query($node, $runs) or die "the job does not run\n";
	return $id;
}


sub terminate
{
	$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id IS NOT NULL});
	poll_query($node, $executors) or die "the executor does not end\n";
	return;
}

sub restart
{
	my ($mode) = @_;
	return if !defined $mode;
	$node->stop($mode);
	$node->start;
	return;
}

# Sets jobq.enabled, and waits until the coordinator has gone or come.
sub enable
{
	my ($on) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET jobq.enabled = $on");
	$node->reload;
	poll_query($node, $coordinator, expected => $on eq 'on' ? 't' : 'f')
	  or die "the coordinator does not go or come\n";
	return;
}

# How a job has ended, its attempts, and how often it was run.
sub fate
{
	my ($id) = @_;
	poll_query(
		$node,
		"SELECT count(*) = 1 FROM jobq.jobs WHERE id = $id AND state NOT IN ('ready', 'running',
			'scheduled')"
	);
	my $out = $node->sql(
		qq{SELECT concat_ws(' ', state, attempt,
			(SELECT string_agg(a.attempt || ' ' || outcome || ' ' || coalesce(sqlstate, ''), ', '
				ORDER BY a.attempt) FROM jobq.attempts a WHERE job_id = jobs.id))
		FROM jobq.jobs WHERE id = $id});
	return $out . ', runs: ' . ((-s $file // 0) / 2);
}

# The notes that wait for their attempts to be counted.
sub notes
{
	my @notes = glob($node->data_dir . '/pg_jobq/*job*');
	return scalar(@notes);
}

my $dead = 'dead 1 1 crashed 57P01, runs: 1';

# ------------------------------- what is called first when the process exits

# After the first temporary object of the session PostgreSQL begins by rolling
# back, and then drops what is left of it: here that waits, while others may
# already have the job.

{
	$node->sql(
		q{CREATE FUNCTION makes_table(p jsonb) RETURNS void LANGUAGE plpgsql AS
			$$BEGIN CREATE TEMP TABLE made (i int); END$$;
		SELECT jobq.create_queue('makes', 'makes_table(jsonb)')});
	my $first = $node->sql(q{SELECT jobq.enqueue('makes')});
	poll_query($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $first");
	my $id = start_job();
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK TABLE pg_catalog.pg_depend');
	my $pid = $node->sql(q{SELECT pid FROM jobq.workers WHERE job_id IS NOT NULL});
	$node->sql("SELECT pg_terminate_backend($pid)");
	poll_query(
		$node,
		"SELECT count(*) > 0 FROM pg_locks WHERE pid = $pid AND NOT granted
			AND relation = 'pg_depend'::regclass") or die "the process does not wait\n";
	is(fate($id), $dead, 'the session has made a temporary table before: the attempt counts');
	$session->quit;
	poll_query($node, $executors) or die "the executor does not end\n";
}

# ---------------------------------- nobody looks at the job before the restart

for my $mode (undef, 'fast', 'immediate')
{
	my $then = defined $mode ? "restart ($mode)" : 'no restart';

	my $id = start_job();
	$node->sql(q{SELECT jobq.pause('once')});
	terminate();
	restart($mode);
	is(fate($id), $dead, "the queue is paused, $then: the attempt counts");
	$node->sql(q{SELECT jobq.resume('once')});

	$id = start_job();
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/stopping/, "\\echo stopping\nSELECT jobq.stop();\n");
	poll_query(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT jobq.stop()%'
			AND state = 'active'}
	);
	terminate();
	$session->quit;
	restart($mode);
	is(fate($id), $dead, "stop(), $then: the attempt counts");
	$node->sql(q{SELECT jobq.start()});

	# who waits for the row gets it when the process ends
	$id = start_job();
	$session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/locking/,
		"\\echo locking\nBEGIN; SELECT id FROM jobq_store.job WHERE id = $id FOR UPDATE;\n");
	poll_query(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE%'
			AND wait_event_type = 'Lock'}
	);
	terminate();
	poll_query(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%FOR UPDATE%'
			AND state = 'idle in transaction'}
	);

	if (defined $mode)
	{
		restart($mode);
		eval { $session->quit; };
	}
	else
	{
		$session->query_safe("SELECT jobq.cancel($id)");
		$session->query_safe('ROLLBACK');
		$session->quit;
	}
	is(fate($id), $dead, "the row is locked, $then: the attempt counts");

	$id = start_job();
	enable('off');
	terminate();
	restart($mode);
	enable('on');
	is(fate($id), $dead, "no coordinator, $then: the attempt counts");
}

# -------------------------------------------------- ends of processes otherwise

my $id = start_job();
$node->sql('DELETE FROM jobq_store.attempt');
$node->sql(
	q{CREATE OR REPLACE FUNCTION works(j jobq.job) RETURNS void
		LANGUAGE plpgsql AS $$BEGIN PERFORM leave_trace(); END$$}
);
restart('fast');
is( fate($id),
	'completed 1, runs: 2',
	'the server is shut down in the middle of a job: no attempt counts');
ok(poll_until(sub { return !notes() }), 'no note is left');

# Its code is through, and nothing is committed.
unlink($file);
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE jobq_store.history IN ACCESS EXCLUSIVE MODE');
$id = $node->sql(q{SELECT jobq.enqueue('once')});
poll_query(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
		AND wait_event_type = 'Lock'}
);
$node->sql(
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
poll_query(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
		AND wait_event_type = 'Lock'}
);
$session->query_safe('COMMIT');
$session->quit;
is(fate($id), $dead, 'terminated between the end of its code and the commit: the attempt counts');

# ------------------------------------------------- another life of the same job

$node->sql(
	q{CREATE OR REPLACE FUNCTION works(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
	PERFORM leave_trace(); IF j.payload = 'true' THEN PERFORM pg_sleep(600); END IF; END$$});
$id = start_job();
enable('off');
terminate();
$node->sql(qq{SELECT jobq.cancel($id); SELECT jobq.retry($id, 'false')});
enable('on');
is( fate($id),
	'completed 1, runs: 2',
	'the job is cancelled and retried: its earlier attempt does not count');
ok(poll_until(sub { return !notes() }), 'no note is left');

# ------------------------------------------------------------- once only

$node->sql(
	q{
	CREATE FUNCTION fails(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'failed'; END$$;
	CREATE FUNCTION no_end(attempt int, p jsonb) RETURNS interval
		LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(600); END$$;
	SELECT jobq.create_queue('no_end', 'fails(jsonb)', max_attempts => 2, backoff_base => '1 ms',
		backoff_function => 'no_end(int,jsonb)')});
unlink($file);
$id = $node->sql(q{SELECT jobq.enqueue('no_end')});
poll_query($node, $runs);
$node->sql(
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'jobq executor'
		AND wait_event = 'PgSleep'}
);
is( fate($id),
	'dead 2 1 crashed 57P01, 2 failed P0001, runs: 0',
	'terminated in its backoff_function: the attempt is shown once');

# ---------------------------------------------- somebody has locked the job's row

$node->sql(
	q{
	CREATE PROCEDURE commits(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		COMMIT; WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); COMMIT;
			END LOOP; END$$;
	SELECT jobq.create_queue('commits', 'commits(jsonb)')});
$id = $node->sql(q{SELECT jobq.enqueue('commits')});
poll_query($node, q{SELECT count(*) = 1 FROM jobq.workers WHERE queue = 'commits'});
$session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT id FROM jobq_store.job WHERE id = $id FOR UPDATE");
$node->sql('INSERT INTO go_on VALUES (true)');
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.health WHERE topic = 'stuck' AND object = 'commits'
		AND message ~ ('which has run a job, waits for a lock '
			|| 'held by the transaction of pid \d+ ')},
	'a job has ended and its row is locked: health says by whom');
$session->query_safe('COMMIT');
$session->quit;
is( fate($id),
	'completed 1, runs: 0',
	"the job's end is recorded when the locking transaction has ended");

$node->stop;
done_testing();
