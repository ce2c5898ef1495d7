# t/225_batch_options.pl: batches and what else queues and jobs have: changes of
# the handler, payload checks, time to live, snooze, drain, too little shared
# memory, health, dumps.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 2', 'jobq.log_jobs = none', 'max_prepared_transactions = 2' ]);

$node->sql(
	q{
	CREATE TABLE calls (kind text, ids bigint[], xact xid8 DEFAULT pg_current_xact_id());
	CREATE FUNCTION one(j jobq.job) RETURNS void LANGUAGE sql
		AS $$INSERT INTO calls VALUES ('one', ARRAY[(j).id])$$;
	CREATE FUNCTION many(j jobq.job[]) RETURNS void LANGUAGE sql
		AS $$INSERT INTO calls SELECT 'many', array_agg(id ORDER BY id) FROM unnest(j)$$;
	CREATE FUNCTION wait(j jobq.job[]) RETURNS void LANGUAGE sql
		AS $$SELECT pg_advisory_xact_lock_shared(1); SELECT many(j)$$});

sub completed
{
	my ($queue, $n, $name) = @_;
	poll_ok($node, "SELECT count(*) FROM jobq.jobs WHERE queue = '$queue' AND state = 'completed'",
		$name, expected => $n);
	return;
}

sub calls
{
	return $node->sql(
		"WITH d AS (DELETE FROM calls RETURNING *)
		SELECT string_agg(kind || ' ' || cardinality(ids), ', ' ORDER BY ids[1]) FROM d");
}

# ------------------------------------------------------------- large payloads

$node->sql(
	q{SELECT jobq.create_queue('l', 'many(jobq.job[])', batch_size => 500),
		jobq.pause('l');
	SELECT count(jobq.enqueue('l', jsonb_build_object('a', repeat('x', 7000000))))
		FROM generate_series(1, 7);
	SELECT jobq.resume('l')});
completed('l', 7, 'jobs too large for one batch complete');
like(calls(), qr/^many [12](, many [12])*$/, 'in several ones, as far as they fit');
$node->sql(
	q{SELECT jobq.pause('l');
	SELECT count(jobq.enqueue('l', jsonb_build_object('a', repeat('x', 1000000 * size))))
		FROM unnest('{1,20,1,2}'::int[]) AS size;
	SELECT jobq.resume('l')});
completed('l', 11, 'a job too large for a batch with others completes');
is( $node->sql(
		q{SELECT cardinality(ids) FROM calls JOIN jobq.jobs ON id = ANY(ids)
		WHERE length(payload ->> 'a') = 20000000}),
	'1',
	'it is alone');
calls();

# ------------------------------------------------------------ another handler

$node->sql(q{SELECT jobq.create_queue('c', 'one(jobq.job)')});
like(
	sql_error($node, q{SELECT jobq.alter_queue('c', batch_size => 3)}),
	qr/22023: .*takes one job, but option "batch_size" is 3.*HINT: .*jsonb\[\]/s,
	'a handler of one job cannot have batches');
like(
	sql_error($node, q{SELECT jobq.alter_queue('c', 'many(jobq.job[])')}),
	qr/22023: .*takes batches, but option "batch_size" is 1/s,
	'a handler of batches cannot have single jobs');
my $holder = start_session($node);
ask($holder, 'SELECT pg_advisory_lock(1)');
$node->sql(
	q{SELECT jobq.alter_queue('c', 'wait(jobq.job[])', batch_size => 3, batch_wait => '1 h')});
$node->sql(q{SELECT jobq.enqueue('c') FROM generate_series(1, 3)});
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
	'a batch is running',
	expected => '1');
$node->sql(q{SELECT jobq.alter_queue('c', 'one(jobq.job)', batch_size => 1)});
$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('c', '{1,2}')});
completed('c', 2, 'jobs that come after the change are run one by one');
is(calls(), 'one 1, one 1', 'by the new handler');
ask($holder, 'SELECT pg_advisory_unlock(1)');
completed('c', 5, 'the batch that was running completes');
is(calls(), 'many 3', 'with the old handler');
$node->sql(
	q{SELECT jobq.pause('c');
	SELECT count(*) FROM jobq.enqueue_many('c', array_fill('1'::jsonb, '{7}'));
	SELECT jobq.alter_queue('c', 'many(jobq.job[])', batch_size => 5, batch_wait => '1 ms');
	SELECT jobq.resume('c')}
);
completed('c', 12, 'jobs that came before the change are run in batches');
is(calls(), 'many 5, many 2', 'in order');
$node->sql(
	q{SELECT jobq.alter_queue('c', batch_size => 2, batch_wait => '1 h');
	SELECT jobq.enqueue('c')});
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'c' AND state = 'ready'}),
	'1', 'a job waits');
$node->sql(q{SELECT jobq.alter_queue('c', 'one(jobq.job)', batch_size => 1)});
completed('c', 13, 'until the queue has no batches');
is(calls(), 'one 1', 'batch_wait means nothing then');
$node->sql(
	q{SELECT jobq.alter_queue('c', 'many(jobq.job[])', batch_size => 2); SELECT jobq.enqueue('c')});
$node->sql(q{SELECT jobq.reset_queue('c', 'batch_wait')});
completed('c', 14, 'a job does not wait after batch_wait was reset');
calls();

# a handler that was replaced behind the queue's back
$node->sql(
	q{
	CREATE FUNCTION changing(j jobq.job[]) RETURNS void LANGUAGE sql AS 'SELECT';
	SELECT jobq.create_queue('gone', 'changing(jobq.job[])', batch_size => 2, max_attempts => 1);
	DROP FUNCTION changing(jobq.job[]);
	SELECT count(*) FROM jobq.enqueue_many('gone', '{1,2}')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dead_letters WHERE queue = 'gone' AND sqlstate = '42883'},
	'a handler that is gone: all jobs fail',
	expected => '2');

# ------------------------------------------------------------- shared commits

$node->sql(
	q{SELECT jobq.pause('c'); SELECT jobq.create_queue('short', 'one(jobq.job)');
	SELECT jobq.pause('short');
	SELECT count(*) FROM jobq.enqueue_many('short', array_fill('1'::jsonb, '{20}'));
	SELECT count(*) FROM jobq.enqueue_many('c', array_fill('1'::jsonb, '{6}'));
	SELECT jobq.resume('short'); SELECT jobq.resume('c')});
completed('short', 20, 'short jobs beside batches');
completed('c', 20, 'batches beside short jobs');
is( $node->sql(
		q{SELECT count(*) FROM calls AS a JOIN calls AS b USING (xact)
			WHERE a.kind = 'many' AND a.ids <> b.ids}
	),
	'0',
	'a batch shares its transaction with no job');
calls();

# ------------------------------------------------------- jobs with other options

# the payload check is about each job, when it is enqueued
$node->sql(
	q{
	CREATE FUNCTION is_even(p jsonb) RETURNS boolean IMMUTABLE LANGUAGE sql
		AS 'SELECT p::int % 2 = 0';
	SELECT jobq.alter_queue('c', payload_check => 'is_even(jsonb)', batch_wait => '1 h')});
like(sql_error($node, q{SELECT jobq.enqueue_many('c', '{2,3}')}), qr/23514/,
	'a payload is refused');
$node->sql(q{SELECT count(*) FROM jobq.enqueue_many('c', '{2,4}')});
completed('c', 22, 'others are run');
is(calls(), 'many 2', 'as a batch');

# a job that has expired is in no batch
$node->sql(
	q{SELECT jobq.pause('c'); SELECT jobq.enqueue('c', '2');
	SELECT jobq.enqueue('c', '4', ttl => '1 ms'); SELECT jobq.enqueue('c', '6')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'c' AND state = 'expired'},
	'a job expires',
	expected => '1');
$node->sql(q{SELECT jobq.resume('c')});
completed('c', 24, 'the others are run');
is(calls(), 'many 2', 'as one batch');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'c' AND state = 'expired'}),
	'1', 'the one that has expired is not');

# attempts: the last one of one job, the first of another
$node->sql(
	q{
	CREATE FUNCTION fails(j jobq.job[]) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN RAISE 'no' USING DETAIL = cardinality(j); END$$;
	SELECT jobq.create_queue('fails', 'fails(jobq.job[])', batch_size => 3, batch_wait => '1 ms',
		backoff => 'fixed',
		backoff_base => '1 h');
	SELECT jobq.pause('fails');
	SELECT jobq.enqueue('fails', max_attempts => 1), jobq.enqueue('fails', max_attempts => 2);
	SELECT jobq.resume('fails')});
poll_ok(
	$node,
	q{SELECT string_agg(state || attempt, ' ' ORDER BY id) FROM jobq.jobs WHERE queue = 'fails'},
	'each job has its own max_attempts',
	expected => 'dead1 scheduled1');
$node->sql(
	q{SELECT jobq.pause('fails'); SELECT jobq.enqueue('fails', max_attempts => 1);
	SELECT jobq.promote(id) FROM jobq.jobs WHERE queue = 'fails' AND state = 'scheduled';
	SELECT jobq.resume('fails')});
poll_ok(
	$node,
	q{SELECT string_agg(state || attempt, ' ' ORDER BY id) FROM jobq.jobs WHERE queue = 'fails'},
	'jobs with different attempts are in one batch',
	expected => 'dead1 dead2 dead1');
is( $node->sql(
		q{SELECT string_agg(DISTINCT detail, ' ') FROM jobq.attempts AS a JOIN jobq.jobs AS j
	ON j.id = a.job_id WHERE j.queue = 'fails'}),
	'2',
	'so it was');

# the shortest timeout
$node->sql(
	q{
	CREATE FUNCTION sleeps(p jsonb[]) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('sleeps', 'sleeps(jsonb[])', batch_size => 3, batch_wait => '1 ms',
		max_attempts => 1, timeout => '1 h');
	SELECT jobq.pause('sleeps');
	SELECT jobq.enqueue('sleeps'), jobq.enqueue('sleeps', timeout => '100 ms');
	SELECT jobq.resume('sleeps')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dead_letters WHERE queue = 'sleeps' AND error ~ 'timeout'},
	'a timeout of one job ends the batch',
	expected => '2');

# snooze
$node->sql(
	q{
	CREATE FUNCTION later(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO calls VALUES ('later', '{0}');
		PERFORM jobq.fail_job((j)[1].id, 'not this time');
		IF (j)[1].payload = '1' THEN PERFORM jobq.snooze('1 h', 'busy'); END IF;
	END$$;
	SELECT jobq.create_queue('later', 'later(jobq.job[])', batch_size => 3, batch_wait => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('later', '{1,2,3}')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'later' AND state = 'scheduled' AND attempt = 0
		AND run_at > now() + '50 min'},
	'snooze puts off the whole batch, and no attempt counts', expected => '3');
is(calls(), '', 'what it did is undone');
is( $node->sql(
		q{SELECT count(*) FROM jobq.attempts AS a JOIN jobq.jobs AS j ON j.id = a.job_id
	WHERE j.queue = 'later'}),
	'0',
	'no failure is recorded');

# drain
$node->sql(
	q{SELECT jobq.create_queue('d', 'many(jobq.job[])', batch_size => 4, batch_wait => '400 ms');
	SELECT count(*) FROM jobq.enqueue_many('d', '{1,2}'); SELECT jobq.drain('d')});
like(sql_error($node, q{SELECT jobq.enqueue('d')}), qr/JQ002/, 'a queue that is draining');
completed('d', 2, 'runs what it has, when that has waited');
is(calls(), 'many 2', 'as a batch');

# fail_job by somebody who may not, and of what is none of the batch's
$node->sql(
	q{
	CREATE TABLE answers (n int, message text);
	CREATE ROLE other;
	SELECT jobq.grant_usage('other');
	CREATE FUNCTION sneaky(job bigint) RETURNS void SECURITY DEFINER LANGUAGE sql
		AS $$SELECT jobq.fail_job(job, 'x')$$;
	ALTER FUNCTION sneaky OWNER TO other;
	CREATE FUNCTION try(n int, command text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE command;
		INSERT INTO answers VALUES (n, 'done');
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO answers VALUES (n, SQLSTATE || ' ' || SQLERRM);
	END$$;
	CREATE FUNCTION tries(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM try(1, format('SELECT sneaky(%s)', (j)[1].id));
		PERFORM try(2, format('SELECT jobq.fail_job(%s, %L)', (j)[1].payload, 'x'));
		PERFORM try(3, format('SELECT jobq.fail_job(NULL, %L)', 'x'));
		PERFORM try(4, format('SELECT jobq.fail_job(%s, NULL)', (j)[1].id));
		PERFORM try(5, format('SELECT jobq.fail_job(%s, %L, %L)', (j)[1].id, 'x', '-1 s'));
		PERFORM jobq.fail_job((j)[2].id, 'first', retryable => false);
		PERFORM jobq.fail_job((j)[2].id, 'second', '2 h');
	END$$;
	SELECT jobq.create_queue('elsewhere');
	SELECT jobq.create_queue('tries', 'tries(jobq.job[])', batch_size => 2, batch_wait => '1 h')});
my $foreign = $node->sql(q{SELECT jobq.enqueue('elsewhere')});
$node->sql("SELECT count(*) FROM jobq.enqueue_many('tries', '{$foreign,2}')");
poll_ok(
	$node,
	q{SELECT string_agg(state, ' ' ORDER BY id) FROM jobq.jobs WHERE queue = 'tries'},
	'fail_job twice',
	expected => 'completed scheduled');
is( $node->sql('SELECT message FROM answers ORDER BY n'),
	join("\n",
		'42501 permission denied for the current job',
		"22023 job $foreign is not in the current batch",
		'22004 job_id must not be null',
		'22004 error must not be null',
		'22023 retry_in must not be negative'),
	'what fail_job refuses');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $foreign"), 'ready',
	'no other job is failed');
is( $node->sql(
		q{SELECT a.error FROM jobq.attempts AS a JOIN jobq.jobs AS j ON j.id = a.job_id
	WHERE j.queue = 'tries'}),
	'second',
	'the second call counts');

# a transaction that has called fail_job outside cannot be confused
like(sql_error($node, q{BEGIN; SELECT jobq.fail_job(1, 'x'); PREPARE TRANSACTION 'x'}),
	qr/55000/, 'fail_job in a client');

# the newest jobs first
$node->sql(
	q{SELECT jobq.create_queue('newest', batch_size => 2, batch_wait => '1 h', lifo => true)});
$node->sql("SELECT jobq.enqueue('newest', '$_')") foreach 1 .. 3;
is($node->sql(q{SELECT string_agg(payload::text, ' ') FROM jobq.dequeue('newest', 2)}),
	'3 2', 'lifo: a full batch of the newest jobs');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('newest', 2)}), '0', 'lifo: one job waits');
$node->sql(q{SELECT jobq.alter_queue('newest', batch_size => 3, batch_wait => '500 ms')});
$node->sql("SELECT jobq.enqueue('newest', '4')");
is($node->sql(q{CALL jobq.wait('{newest}', '60 s')}), 't', 'lifo: wait returns in time');
is($node->sql(q{SELECT string_agg(payload::text, ' ') FROM jobq.dequeue('newest', 3)}),
	'4 1', 'lifo: the oldest one has waited, and the newest comes first');
$node->sql(
	q{SELECT jobq.create_queue('newest run', 'many(jobq.job[])', batch_size => 3,
		batch_wait => '300 ms', lifo => true)});
$node->sql(q{SELECT jobq.enqueue('newest run')}) foreach 1 .. 2;
completed('newest run', 2, 'lifo: executors');
calls();

# making room takes jobs that wait for a full batch
$node->sql(
	q{SELECT jobq.create_queue('full', batch_size => 3, batch_wait => '1 h', max_queued => 2,
		on_full => 'drop_oldest')});
$node->sql("SELECT jobq.enqueue('full', '$_')") foreach 1 .. 3;
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
		WHERE queue = 'full'}),
	'1 cancelled, 2 ready, 3 ready',
	'drop_oldest drops jobs that wait for a full batch');

# -------------------------------------------------------------------- health

$node->sql(
	q{SELECT jobq.create_queue('patient', batch_size => 2, batch_wait => '1 h');
	SELECT jobq.create_queue('hasty', batch_size => 2, batch_wait => '1 s');
	INSERT INTO calls
		SELECT 'x', ARRAY[jobq.enqueue(q)] FROM unnest('{patient,hasty}'::text[]) AS q});
$node->sql(
	q{UPDATE jobq_store.job SET run_at = now() - interval '50 min' WHERE queue IN
		(SELECT id FROM jobq_store.queue WHERE name IN ('patient', 'hasty'))});
is( $node->sql(
		q{SELECT string_agg(DISTINCT object, ' ') FROM jobq.health
			WHERE object IN ('patient', 'hasty')}
	),
	'hasty',
	'health: a job that waits for a full batch is not late');
$node->sql(
	q{UPDATE jobq_store.job SET run_at = now() - interval '2 h' WHERE queue IN
		(SELECT id FROM jobq_store.queue WHERE name = 'patient')});
is( $node->sql(
		q{SELECT string_agg(DISTINCT object, ' ') FROM jobq.health
			WHERE object IN ('patient', 'hasty')}
	),
	'hasty patient',
	'health: one that has waited for longer is');

# -------------------------------------------------------------------- a dump

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->sql('CREATE DATABASE copy');
$node->sql(
	q{SELECT jobq.create_queue('leased', batch_size => 3, batch_wait => '7 min', max_running => 1);
	SELECT count(*) FROM jobq.enqueue_many('leased', '{1,2,3,4,5,6}');
	SELECT count(*) FROM jobq.dequeue('leased', 3, lease => '10 h')});
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	system_or_bail('pg_dump', '-f', $dump, 'postgres');
	system_or_bail('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-o', '/dev/null',
		'copy');
}
is( $node->safe_psql(
		'copy', q{SELECT batch_size, batch_wait FROM jobq.queues WHERE queue = 'leased'}),
	'3|00:07:00',
	'the options are in a dump');
is( $node->safe_psql(
		'copy', q{SELECT count(*) FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.in_batch AND q.name = 'leased'}),
	'3',
	'so is which jobs were claimed together');
$node->safe_psql('copy', 'SELECT jobq.start()');
ok( $node->poll_query_until(
		'copy',
		q{SELECT running = 1 AND counted FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q
			ON q.id = g.queue WHERE q.name = 'leased'}),
	'the batch counts once in the copy');
is($node->safe_psql('copy', q{SELECT count(*) FROM jobq.dequeue('leased', 3)}),
	'0', 'so there is no place for another one');
end_session($holder);

done_testing();
