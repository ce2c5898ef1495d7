# t/020_running_jobs.pl: outcomes of jobs: handlers of each kind, commands,
# retries, cancellation, timeouts.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ["jobq.log_jobs = 'failures'"]);

# The end of a job: "state attempt result" when it is finished.
sub ended
{
	my ($id, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node, qq{SELECT concat_ws(' ', state, attempt, sqlstate, result)
		FROM jobq_store.history WHERE id = $id}, $name, expected => $expected);
}

# history.state
my ($completed, $dead, $cancelled) = (3, 4, 5);

$node->sql(
	q{
	CREATE TABLE log (n serial, t text);
	CREATE FUNCTION no_arguments() RETURNS text LANGUAGE sql AS $$SELECT 'none'$$;
	CREATE FUNCTION with_payload(p jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT $1';
	CREATE FUNCTION with_job(j jobq.job) RETURNS text LANGUAGE sql AS $$
		SELECT concat_ws(' ', j.queue, j.attempt, j.max_attempts, j.payload, j.lease IS NULL,
			(jobq.current_job()).id = j.id)$$;
	CREATE FUNCTION returns_row(p jsonb, OUT a int, OUT b text) LANGUAGE sql AS $$SELECT 1, 'x'$$;
	CREATE FUNCTION returns_null(p jsonb) RETURNS int LANGUAGE sql AS 'SELECT NULL::int';
	CREATE PROCEDURE commits(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO log(t) VALUES ('commits 1'); COMMIT;
		INSERT INTO log(t) VALUES ('commits 2'); ROLLBACK;
		INSERT INTO log(t) VALUES ('commits 3');
		IF p ->> 'fail' IS NOT NULL THEN RAISE EXCEPTION 'procedure failed'; END IF;
	END$$;
	CREATE PROCEDURE with_job_too(j jobq.job) LANGUAGE plpgsql AS $$BEGIN
		COMMIT;
		INSERT INTO log(t) VALUES (concat_ws(' ', 'job', j.queue, j.attempt, j.lease > 0,
			(jobq.current_job()).lease = j.lease));
	END$$;
	SELECT jobq.create_queue('no_arguments', 'no_arguments()');
	SELECT jobq.create_queue('with_payload', 'with_payload(jsonb)');
	SELECT jobq.create_queue('with_job', 'with_job(jobq.job)');
	SELECT jobq.create_queue('returns_null', 'returns_null(jsonb)');
	SELECT jobq.create_queue('commits', 'commits(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('with_job_too', 'with_job_too(jobq.job)');
});

# ------------------------------------------------------------- handlers

ended(
	$node->sql("SELECT jobq.enqueue('no_arguments')"),
	qq{$completed 1 "none"},
	'a handler without arguments');
ended(
	$node->sql(qq{SELECT jobq.enqueue('with_payload', '{"a": [1]}')}),
	qq{$completed 1 {"a": [1]}},
	'a handler that takes jsonb and returns it');
ended(
	$node->sql("SELECT jobq.enqueue('with_payload', 'null')"),
	"$completed 1 null",
	'the payload null');
ended($node->sql("SELECT jobq.enqueue('returns_null')"), "$completed 1", 'a result that is NULL');
ended(
	$node->sql("SELECT jobq.enqueue('with_job', '7', max_attempts => 3)"),
	qq{$completed 1 "with_job 1 3 7 t t"},
	'a handler that takes the job');
ended($node->sql("SELECT jobq.enqueue('commits')"),
	"$completed 1", 'a procedure that ends transactions');
is( $node->sql("SELECT string_agg(t, ',' ORDER BY n) FROM log"),
	'commits 1,commits 3',
	"the procedure's commits are there");
ended(
	$node->sql(qq{SELECT jobq.enqueue('commits', '{"fail": 1}')}),
	"$dead 1 P0001",
	'a procedure that fails');
is( $node->sql("SELECT string_agg(t, ',' ORDER BY n) FROM log"),
	'commits 1,commits 3,commits 1',
	'the commits of a procedure that fails later stay');
ended($node->sql("SELECT jobq.enqueue('with_job_too')"),
	"$completed 1", 'a procedure that takes the job');
is( $node->sql("SELECT t FROM log ORDER BY n DESC LIMIT 1"),
	'job with_job_too 1 t t',
	"a procedure sees its job's lease");
like(
	sql_error($node, "SELECT jobq.create_queue('x', 'returns_row(jsonb)')"),
	qr/22023.*cannot be a handler/s,
	'a function with OUT parameters is refused');
like(sql_error($node, "SELECT jobq.create_queue('x', 'pg_catalog.generate_series(int, int)')"),
	qr/22023/, 'a handler that returns a set is refused');
like(sql_error($node, "SELECT jobq.create_queue('x', 'pg_catalog.lower(text)')"),
	qr/22023.*HINT/s, 'a handler with other arguments is refused');

# ------------------------------------------------------------- commands

ended($node->sql("SELECT jobq.run('VACUUM log')"), "$completed 1", 'VACUUM');
ended($node->sql("SELECT jobq.run('CREATE INDEX CONCURRENTLY ON log (t)')"),
	"$completed 1", 'CREATE INDEX CONCURRENTLY');
ended($node->sql("SELECT jobq.run('REINDEX TABLE CONCURRENTLY log')"),
	"$completed 1", 'REINDEX CONCURRENTLY');
ended($node->sql(q{SELECT jobq.run('CALL commits($1)', '{}')}),
	"$completed 1", 'CALL with parameters');
ended($node->sql(q{SELECT jobq.run('DO $_$BEGIN COMMIT; END$_$')}),
	"$completed 1", 'DO with COMMIT');
ended($node->sql(q{SELECT jobq.run('CREATE DATABASE made')}), "$completed 1", 'CREATE DATABASE');
ended($node->sql(q{SELECT jobq.run('DROP DATABASE made')}), "$completed 1", 'DROP DATABASE');
ended($node->sql(q{SELECT jobq.run('INSERT INTO log(t) VALUES ($1 ->> ''v'')', '{"v": "param"}')}),
	"$completed 1", 'INSERT with parameters');
is($node->sql("SELECT count(*) FROM log WHERE t = 'param'"), '1', 'the INSERT got its parameters');
ended(
	$node->sql(q{SELECT jobq.run('SELECT g AS n, $1 AS p FROM generate_series(1, 100000) g', '1')}),
	qq{$completed 1 {"n": 1, "p": 1}},
	'the first row is the result');

foreach my $command ('SELECT 1; SELECT 2', '', 'COMMIT', 'BEGIN', 'COPY log FROM STDIN')
{
	like(sql_error($node, "SELECT jobq.run('$command')"), qr/22023/, "refused: \"$command\"");
}
like(sql_error($node, "SELECT jobq.run('SELEKT 1')"), qr/42601/,
	'a syntax error is raised at once');

# ------------------------------------------------------------- failures

$node->sql(
	q{
	CREATE FUNCTION fails(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO log(t) VALUES ('trace of a failure');
		RAISE EXCEPTION 'no luck with %', p USING ERRCODE = 'ZZ123', DETAIL = 'some detail',
			HINT = 'some hint';
	END$$;
	CREATE FUNCTION again(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		IF (jobq.current_job()).attempt < 3 THEN PERFORM jobq.retry_in('10 ms', 'not yet'); END IF;
		RETURN 'at last';
	END$$;
	CREATE FUNCTION discards(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.discard('hopeless'); END$$;
	SELECT jobq.create_queue('fails', 'fails(jsonb)', max_attempts => 3, backoff_base => '10 ms',
		backoff => 'fixed');
	SELECT jobq.create_queue('again', 'again(jsonb)', backoff_base => '1 hour');
	SELECT jobq.create_queue('discards', 'discards(jsonb)');
	SELECT jobq.create_queue('gone', 'discards(jsonb)', max_attempts => 1);
	UPDATE jobq_store.queue SET handler = 'public.gone(jsonb)' WHERE name = 'gone';
	SELECT jobq.alter_queue('gone', description => 'its handler does not exist');
});
my $position = log_position($node);
my $id = $node->sql("SELECT jobq.enqueue('fails', '13')");
ended($id, "$dead 3 ZZ123", 'a job that fails is tried again, and dies');
is( $node->sql(
		"SELECT string_agg(concat_ws('/', attempt, outcome, sqlstate, message, detail, hint), ' '
	ORDER BY attempt) FROM jobq_store.attempt WHERE job_id = $id"),
	join(' ', map { "$_/failed/ZZ123/no luck with 13/some detail/some hint" } (1 .. 3)),
	'each attempt is recorded');
is($node->sql("SELECT count(*) FROM log WHERE t LIKE 'trace%'"),
	'0', 'the work of failed attempts is rolled back');
like(
	log_since($node, $position),
	qr/LOG:  job $id of queue "fails" failed, attempt 3: no luck/,
	'failed attempts are logged');
ended(
	$node->sql("SELECT jobq.enqueue('again')"),
	qq{$completed 3 "at last"},
	'retry_in() says when to try again');
ended($node->sql("SELECT jobq.enqueue('discards')"), "$dead 1 JQ102", 'discard() ends it');
ended(
	$node->sql("SELECT jobq.enqueue('gone')"),
	"$dead 1 42883",
	'a handler that is gone is a failure');
is($node->sql('SELECT jobq.current_job() IS NULL'), 't', 'current_job() is NULL elsewhere');

# a deferred constraint, and one that fires at COMMIT only
$node->sql(
	q{
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE FUNCTION orphan(p jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO child VALUES (1)';
	CREATE PROCEDURE orphan_too(p jsonb) LANGUAGE sql AS 'INSERT INTO child VALUES (1)';
	SELECT jobq.create_queue('orphan', 'orphan(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('orphan_too', 'orphan_too(jsonb)', max_attempts => 1);
});
ended(
	$node->sql("SELECT jobq.enqueue('orphan')"),
	"$dead 1 23503",
	'a deferred constraint fails the job');
ended($node->sql("SELECT jobq.enqueue('orphan_too')"), "$dead 1 23503", 'the same in a procedure');

# ----------------------------------------------------- cancel and timeout

$node->sql(
	q{
	CREATE FUNCTION sleeps(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM pg_sleep(600); END$$;
	CREATE FUNCTION swallows(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END;
		PERFORM pg_sleep(600); END$$;
	CREATE PROCEDURE sleeps_too(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		COMMIT; PERFORM pg_sleep(600); END$$;
	SELECT jobq.create_queue('sleeps', 'sleeps(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('sleeps_too', 'sleeps_too(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('swallows', 'swallows(jsonb)', max_attempts => 1);
});

sub sleeping
{
	my ($name) = @_;
	return poll_ok(
		$node, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'}, "$name runs");
}
foreach my $queue ('sleeps', 'sleeps_too')
{
	$id = $node->sql("SELECT jobq.enqueue('$queue')");
	sleeping($queue);
	is($node->sql("SELECT jobq.cancel($id, 'enough')"), 't', "$queue is cancelled");
	poll_ok(
		$node,
		"SELECT state = $cancelled AND error = 'enough' FROM jobq_store.history WHERE id = $id",
		"a job of $queue ends as cancelled");
	poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.cancel_request', 'the request is gone');
	poll_ok(
		$node, q{SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'}, "$queue has stopped");
}
foreach my $queue ('sleeps', 'sleeps_too', 'swallows')
{
	$id = $node->sql("SELECT jobq.enqueue('$queue', timeout => '200 ms')");
	ended($id, "$dead 1 57014", "$queue is ended by its timeout");
	is($node->sql("SELECT outcome FROM jobq_store.attempt WHERE job_id = $id"),
		'timed out', 'the attempt is recorded as timed out');
}

# a cancel for an executor that runs nothing is for no job
$node->sql(q{SELECT jobq.create_queue('checks', 'with_payload(jsonb)', max_attempts => 1)});
$id = $node->sql(q{SELECT jobq.enqueue('checks', '1')});
ended($id, "$completed 1 1", 'there is an executor');
poll_ok(
	$node,
	q{SELECT count(*) > 0 AND count(*) = count(*) FILTER (WHERE state = 'idle') FROM jobq.workers
	WHERE kind = 'executor'}, 'the executor is idle');
$node->sql(q{SELECT pg_cancel_backend(pid) FROM jobq.workers WHERE kind = 'executor'});
$id = $node->sql(q{SELECT jobq.enqueue('checks', '2')});
ended($id, "$completed 1 2", 'a job that comes after a cancel is not cancelled');

# a handler that is replaced under its name while the executor knows the old one
my $old = '';
foreach my $new (
	q{FUNCTION renamed(p jsonb) RETURNS void LANGUAGE sql AS 'SELECT'},
	q{FUNCTION renamed(p jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT $1'},
	q{PROCEDURE renamed(p jsonb) LANGUAGE plpgsql AS 'BEGIN COMMIT; END'})
{
	$node->sql(
		"$old; CREATE $new; SELECT jobq.create_queue('renamed', 'renamed(jsonb)', max_attempts => 1)
		WHERE NOT EXISTS (SELECT FROM jobq_store.queue WHERE name = 'renamed')");
	$id = $node->sql(q{SELECT jobq.enqueue('renamed', '7')});
	ended($id, "$completed 1" . ($new =~ /RETURNS jsonb/ ? ' 7' : ''), "CREATE $new");
	$old = 'ALTER ROUTINE renamed(jsonb) RENAME TO old_' . $id;
}

# many cancels, of jobs that are just being finished: nobody else is hit
$node->sql(
	q{
	CREATE FUNCTION short(p jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.001)';
	SELECT jobq.create_queue('short', 'short(jsonb)', max_attempts => 1);
});
$node->sql(q{SELECT count(*) FROM (SELECT jobq.enqueue('short') FROM generate_series(1, 400)) x});
$node->safe_psql(
	'postgres',
	join("\n",
		map { "SELECT count(jobq.cancel(id)) FROM (SELECT id FROM jobq_store.job LIMIT 8) x;" }
		  (1 .. 60)));
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'all jobs end');
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.history JOIN jobq_store.queue q ON q.id = queue
	WHERE q.name = 'short' AND state NOT IN (3, 5)}),
	'0',
	'all jobs ended as completed or cancelled');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.cancel_request', 'no request remains');
is(join("\n", unexpected_log_lines($node, 0, qr/ERROR:  /)),
	'', 'no WARNING or worse of the workers in the log');

done_testing();
