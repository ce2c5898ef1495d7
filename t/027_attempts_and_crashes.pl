# t/027_attempts_and_crashes.pl: what a crash must not undo, or must leave on
# record: the claim of a job's last attempt, and jobs that had ended in a
# transaction that another job has ended.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Nothing but commits flushes WAL.
my $node = jobq_node(
	'main',
	conf => [
		'wal_level = minimal',
		'max_wal_senders = 0',
		'wal_writer_delay = 10s',
		'autovacuum = off',
		'checkpoint_timeout = 1h',
		'jobq.max_workers = 1',
		'jobq.sweep_interval = 0',
		'jobq.shared_commit_time = 1s'
	]);

# ------------------------------------------------- the claim of the last attempt

$node->sql(
	q{
	SELECT jobq.create_queue('once', max_attempts => 1, lease => '1 h', notify => false);
	SELECT jobq.create_queue('often', max_attempts => 3, lease => '1 h', notify => false)});

# The first claim takes a block of leases, which waits for the disk.
$node->sql(q{SELECT jobq.enqueue('often'); SELECT id FROM jobq.dequeue('often')});

# Whether the commit of a claim has waited for the disk (as in t/022).
sub waits
{
	my ($sql) = @_;
	$node->sql(
		q{SELECT jobq.enqueue('once'), jobq.enqueue('once', max_attempts => 5),
			jobq.enqueue('often')
		FROM generate_series(1, 2)});
	my $out = $node->sql(
		"SELECT pg_switch_wal(); $sql;
		SELECT 'waited: ' || (pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn());");
	$node->sql(q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state IN ('ready', 'running')});
	return $out =~ /^waited: true$/m ? 'waits' : 'does not wait';
}

is( waits(q{SELECT id FROM jobq.dequeue('often')}),
	'does not wait',
	'claims: another attempt is left');
is(waits(q{SELECT id FROM jobq.dequeue('once')}), 'waits', 'last attempt: dequeue');
is(waits(q{SELECT id FROM jobq.dequeue('once', 10)}),
	'waits', 'last attempt: dequeue of several, some of which have more');
is(waits(q{SELECT id FROM jobq.dequeue_any('{often,once}', 4)}),
	'waits', 'last attempt: dequeue from several queues');
is(waits(q{SELECT id FROM jobq.next('once', NULL, NULL)}), 'waits', 'last attempt: next');
is(waits(q{SET synchronous_commit = off; SELECT id FROM jobq.dequeue('once')}),
	'waits', 'last attempt: dequeue with synchronous_commit off');
is( waits(q{SET synchronous_commit = off; SELECT id FROM jobq.dequeue('often')}),
	'does not wait',
	'the setting counts where another attempt is left');
is(waits(q{BEGIN; SAVEPOINT s; SELECT id FROM jobq.dequeue('once'); RELEASE s; COMMIT}),
	'waits', 'last attempt: dequeue in a savepoint');
is( waits(
		q{BEGIN; SELECT id FROM jobq.dequeue('once'); SELECT id FROM jobq.dequeue('often'); COMMIT}
	),
	'waits',
	'last attempt: followed by another claim');
is( waits(
		q{SELECT id FROM jobq.dequeue('once'); SELECT pg_switch_wal();
			SELECT id FROM jobq.dequeue('often')}
	),
	'does not wait',
	'the next transaction need not wait');

$node->sql(q{SELECT jobq.enqueue('once')});
my $claimed = $node->sql(q{SELECT id FROM jobq.dequeue('once')});
$node->stop('immediate');
$node->start;
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $claimed"),
	'running', 'last attempt: a crash does not lose the claim');

# the same of an executor, which claims procedures
$node->sql(
	q{
	CREATE TABLE ran (n int);
	CREATE PROCEDURE crashes(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		PERFORM pg_notify('ran', '');
		EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'echo x >> ' || (p #>> '{}'));
		PERFORM pg_sleep(600); END$$;
	ALTER ROLE postgres SET synchronous_commit = off;
	SELECT jobq.create_queue('procedure', 'crashes(jsonb)', max_attempts => 1)});
my $file = PostgreSQL::Test::Utils::tempdir() . '/ran';
chmod(0777, PostgreSQL::Test::Utils::tempdir());
$node->sql("SET synchronous_commit = on; SELECT jobq.enqueue('procedure', '\"$file\"')");
ok(poll_until(sub { -s $file }), 'a procedure runs');
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'procedure' AND state = 'dead'},
	'last attempt: a procedure is not run again');
is(-s $file, 2, 'the procedure ran once');

# a function's end is the end of its attempt
$node->append_conf('postgresql.conf', 'wal_writer_delay = 10s');
$node->reload;
$node->sql(
	q{
	CREATE FUNCTION traces(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'cat >> ' || (p #>> '{}')); END$$;
	SELECT jobq.create_queue('function', 'traces(jsonb)', max_attempts => 1)});
unlink($file);
my $function =
  $node->sql("SET synchronous_commit = on; SELECT jobq.enqueue('function', '\"$file\"')");
poll_ok(
	$node,
	"SELECT state = 'completed' FROM jobq.jobs WHERE id = $function",
	'a function has run');
$node->stop('immediate');
$node->start;
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $function"),
	'completed', 'last attempt: a crash does not lose the completion');
is(-s $file, 2, 'the function ran once');
$node->sql(q{ALTER ROLE postgres RESET synchronous_commit});

# ---------------------------------------- what is ended in the middle, once only

# A procedure commits, and is ended by what is done then; its only attempt is over.
$node->sql(
	q{
	CREATE TABLE begun (id bigint);
	CREATE PROCEDURE begins(j jobq.job) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO begun VALUES (j.id); COMMIT;
		PERFORM jobq.enqueue('begins', delay => '1 day');
		PERFORM pg_sleep(600); END$$;
	CREATE FUNCTION sleeps(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF j.attempt = 1 AND (SELECT count(*) FROM jobq.workers WHERE job_id = j.id) > 0 THEN
			PERFORM pg_sleep(CASE WHEN nextval('runs') = 1 THEN 600 ELSE 0 END);
		END IF; END$$;
	CREATE SEQUENCE runs;
	SELECT jobq.create_queue('begins', 'begins(jobq.job)', max_attempts => 1);
	SELECT jobq.create_queue('sleeps', 'sleeps(jobq.job)', max_attempts => 2,
		backoff_base => '1 ms')}
);

# Runs a job, does something when it sleeps, and returns what it has become of.
sub end_in_the_middle
{
	my ($queue, $do) = @_;
	my $job =
	  $node->sql("SELECT setval('runs', 1, false); SELECT jobq.enqueue('$queue')") =~ s/.*\n//sr;
	poll_ok(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
			AND wait_event = 'PgSleep'},
		"a job of queue \"$queue\" runs");
	$do->();
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $job");
	return $node->sql(
		"SELECT concat_ws(' ', state, attempt, (SELECT count(*) FROM begun
			WHERE begun.id = jobs.id),
		(SELECT string_agg(outcome || ' ' || sqlstate, ', ') FROM jobq.attempts
			WHERE job_id = jobs.id))
		FROM jobq.jobs WHERE id = $job");
}

sub terminate_executors
{
	$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id IS NOT NULL});
	poll_query($node, q{SELECT count(*) = 0 FROM jobq.workers WHERE job_id IS NOT NULL});
}

my $stop_waits = sub {
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/stopping/, "\\echo stopping\nSELECT jobq.stop();\n");
	poll_query(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT jobq.stop()%'
			AND state = 'active'}
	);
	terminate_executors();
	$session->quit;
	$node->sql('SELECT jobq.start()');
};
my $held_for_copy = sub {
	$node->sql('CREATE DATABASE copy TEMPLATE postgres');
	$node->sql('DROP DATABASE copy');
};
my $queue_is_dropped = sub {
	$node->sql(q{BEGIN; SELECT jobq.drop_queue('begins', force => true); ROLLBACK});
};
is( end_in_the_middle('begins', $stop_waits),
	'dead 1 1 crashed 57P01',
	'terminated while stop() waits: a procedure runs once');
is( end_in_the_middle('begins', $held_for_copy),
	'dead 1 1 lease lost JQ001',
	'CREATE DATABASE ... TEMPLATE: a procedure runs once');
is( end_in_the_middle('begins', $queue_is_dropped),
	'dead 1 1 failed 57014',
	'drop_queue that is rolled back: a procedure runs once');
is( end_in_the_middle('sleeps', $stop_waits),
	'completed 2 0 crashed 57P01',
	'terminated while stop() waits: the attempt counts');
is( end_in_the_middle('sleeps', $held_for_copy),
	'completed 1 0',
	'CREATE DATABASE ... TEMPLATE: no attempt of a function counts');

my $postmaster_dies = sub {
	my @pids = worker_pids($node, 'jobq%');
	$node->kill9;
	poll_until(
		sub {
			return !grep { kill(0, $_) } @pids;
		},
		30);
	poll_until(sub { $node->start(fail_ok => 1) }, 30) or die "the server does not start\n";
};
is( end_in_the_middle('sleeps', $postmaster_dies),
	'completed 2 0 crashed 57P02',
	'the postmaster is killed: the attempt counts');

# ---------------------------------------------- jobs that shared a transaction

# Jobs are short, and say "bad" in one of them.
$node->sql(
	q{
	CREATE FUNCTION short(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF j.payload ->> 'do' = 'table' THEN
			CREATE TEMP TABLE made (i int);
		ELSIF j.payload ->> 'do' = 'exit' AND j.attempt = 1 THEN
			PERFORM pg_terminate_backend(pg_backend_pid());
			PERFORM pg_sleep(600);
		ELSIF j.payload ->> 'do' = 'crash' AND j.attempt = 1 THEN
			EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -9 ' || pg_backend_pid());
		END IF; END$$;
	SELECT jobq.create_queue('short', 'short(jobq.job)', backoff_base => '1 ms');
	SELECT count(*) FROM jobq.enqueue_many('short', array_fill('{}'::jsonb, '{40}'))});
poll_ok(
	$node, q{SELECT count(*) = 0 FROM jobq_store.job WHERE queue =
	(SELECT id FROM jobq_store.queue WHERE name = 'short')},
	'jobs of the queue may share transactions');

# The last of ten, which share a transaction, ends it.
sub share
{
	my ($do, $how) = @_;
	my $first = $node->sql(q{SELECT coalesce(max(id), 0) FROM jobq_store.history});
	my $ids = $node->sql(
		qq{
		SELECT string_agg(id::text, ',') FROM jobq.enqueue_many('short',
			array_fill('{}'::jsonb, '{9}') || '{"do": "$do"}'::jsonb) AS id});
	ok( poll_until(
			sub {
				my ($status, $out) = $node->psql('postgres',
					"SELECT count(*) FROM jobq.jobs WHERE id IN ($ids) AND state = 'completed'");
				return $status == 0 && $out eq '10';
			}),
		"$how: all jobs have run in the end");
	poll_ok(
		$node,
		qq{SELECT count(*) = 9 FROM jobq.attempts WHERE job_id IN ($ids)
			AND outcome = 'interrupted'},
		"$how: the jobs that had ended are recorded");
	is( $node->sql(
			qq{SELECT string_agg(DISTINCT attempt || ' '
			|| (detail ~ 'ended while running job')::text, ',')
		FROM jobq.attempts WHERE job_id IN ($ids) AND outcome = 'interrupted'}),
		'1 true',
		"$how: the record names the job that ended them");
	is( $node->sql(
			qq{SELECT string_agg(DISTINCT attempt::text, ',' ORDER BY attempt::text) || ' '
		|| count(*) FILTER (WHERE attempt = 2)
		FROM jobq.jobs WHERE id IN ($ids)}),
		'1,2 1',
		"$how: only the running job's attempt counts");
	is( $node->sql(
			qq{SELECT count(*) FROM jobq.attempts WHERE job_id IN ($ids) AND outcome = 'crashed'}),
		'1',
		"$how: one attempt is recorded as crashed");
	run_alike('{}', "$how: later jobs run");
	return;
}

# Runs many jobs, with short ones at the end.
sub run_alike
{
	my ($payload, $name) = @_;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('short', array_fill('$payload'::jsonb, '{40}'));
		SELECT count(*) FROM jobq.enqueue_many('short', array_fill('{}'::jsonb, '{600}'))});
	poll_ok(
		$node, q{SELECT count(*) = 0 FROM jobq_store.job WHERE queue =
		(SELECT id FROM jobq_store.queue WHERE name = 'short')}, $name);
	return;
}

share('exit', 'a job that ends its process');
# the first temporary table of a session changes what is done first at its end
run_alike('{"do": "table"}', 'jobs that make temporary tables run');
share('exit', 'a job that ends a process which has made a temporary table');
share('crash', 'a job that crashes the server');

$node->stop;
done_testing();
