# t/060_crashes.pl: crashes: nothing is lost, nothing is done twice, and a job
# that crashes the server does not do so forever.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

my $sleeping = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'};

# ------------------------------------------ an executor killed in a job

$node->sql(
	q{
	CREATE TABLE effects (n bigint, attempt int);
	CREATE FUNCTION hangs_once(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO effects VALUES (j.id, j.attempt);
		IF j.attempt = 1 THEN PERFORM pg_sleep(600); END IF; END$$;
	CREATE PROCEDURE hangs_once_too(j jobq.job) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO effects VALUES (j.id, j.attempt); COMMIT;
		IF j.attempt = 1 THEN PERFORM pg_sleep(600); END IF; END$$;
	SELECT jobq.create_queue('hangs', 'hangs_once(jobq.job)', max_attempts => 2,
		backoff_base => '10 ms');
	SELECT jobq.create_queue('hangs_too', 'hangs_once_too(jobq.job)', max_attempts => 2,
		backoff_base => '10 ms');
});
my $id = $node->sql("SELECT jobq.enqueue('hangs')");
poll_ok($node, $sleeping, 'a job runs');
my $runner = $node->sql(
	q{SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'});
kill_9($node, worker_pids($node, 'jobq executor'));
poll_ok(
	$node,
	"SELECT state = 3 AND attempt = 2 FROM jobq_store.history WHERE id = $id",
	'a job that was killed runs again');
is($node->sql("SELECT string_agg(attempt::text, ' ') FROM effects WHERE n = $id"),
	'2', 'what the killed attempt did is rolled back');
is( $node->sql("SELECT outcome || attempt || worker FROM jobq_store.attempt WHERE job_id = $id"),
	"crashed1pid $runner",
	'the killed attempt is recorded with its process');

$id = $node->sql("SELECT jobq.enqueue('hangs_too')");
poll_ok($node, $sleeping, 'a procedure runs');
kill_9($node, worker_pids($node, 'jobq executor'));
poll_ok(
	$node,
	"SELECT state = 3 AND attempt = 2 FROM jobq_store.history WHERE id = $id",
	'a procedure that was killed runs again');
is( $node->sql("SELECT string_agg(attempt::text, ' ' ORDER BY attempt) FROM effects WHERE n = $id"),
	'1 2',
	'what the killed procedure had committed stays');
is($node->sql("SELECT outcome || attempt FROM jobq_store.attempt WHERE job_id = $id"),
	'lease lost1', 'the attempt of the killed procedure is recorded');

# terminated, not killed: at once, no restart of the server
$id = $node->sql("SELECT jobq.enqueue('hangs_too')");
poll_ok($node, $sleeping, 'a procedure runs');
$node->sql("SELECT pg_terminate_backend($_)") foreach worker_pids($node, 'jobq executor');
poll_ok(
	$node,
	"SELECT state = 3 AND attempt = 2 FROM jobq_store.history WHERE id = $id",
	'a procedure whose process was terminated runs again');

# ------------------------------------------------- a job that crashes

$node->sql(
	q{
	CREATE FUNCTION crashes(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -9 ' || pg_backend_pid()); END$$;
	SELECT jobq.create_queue('crashes', 'crashes(jobq.job)', max_attempts => 3,
		backoff_base => '10 ms',
		backoff => 'fixed');
});
my $position = log_position($node);
$id = $node->sql("SELECT jobq.enqueue('crashes')");
ok( poll_until(
		sub {
			my ($status, $out) = $node->psql('postgres',
				"SELECT state || ' ' || attempt FROM jobq_store.history WHERE id = $id");
			return $status == 0 && defined $out && $out eq '4 3';
		}),
	'a job that crashes the server is dead after its attempts');
is(scalar(() = log_since($node, $position) =~ /reinitializing/g),
	3, 'the server crashed once for each attempt');

# -------------------------------------- immediate stop and restart, under load

$node->sql(
	q{
	CREATE TABLE results (n int);
	CREATE FUNCTION works(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO results VALUES (p::int); END$$;
	SELECT jobq.create_queue('works', 'works(jsonb)', max_attempts => 100, backoff_base => '1 ms');
});
$node->sql(
	q{SELECT count(*) FROM (SELECT jobq.enqueue('works', to_jsonb(g))
		FROM generate_series(1, 20000) g) x}
);
foreach my $round (1 .. 3)
{
	poll_ok($node, "SELECT count(*) > $round * 2000 FROM results", "round $round: jobs are run");
	$node->stop('immediate');
	$node->start;
}
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'all jobs end');
is($node->sql('SELECT count(*), count(DISTINCT n), min(n), max(n) FROM results'),
	'20000|20000|1|20000', 'each job has done its work once');

# ------------------------------------- processes terminated, under load

$node->sql(
	q{
	TRUNCATE results;
	CREATE PROCEDURE works_too(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO results VALUES (p::int); COMMIT; END$$;
	SELECT jobq.create_queue('works_too', 'works_too(jsonb)', max_attempts => 100,
		backoff_base => '1 ms');
	SELECT count(*) FROM (SELECT jobq.enqueue('works', to_jsonb(g))
		FROM generate_series(100001, 115000) g) x;
	SELECT count(*) FROM (SELECT jobq.enqueue('works_too', to_jsonb(-g))
		FROM generate_series(1, 3000) g) x;
});
foreach my $round (1 .. 20)
{
	$node->sql(
		q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE backend_type IN ('jobq executor', 'jobq coordinator') AND random() < 0.6});
	$node->sql(
		q{SELECT count(jobq.cancel(id)) FROM (SELECT id FROM jobq_store.job
			ORDER BY random() LIMIT 5) x}
	);
}
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'all jobs end', seconds => 120);
is( $node->sql(
		q{
	WITH ended AS (
		SELECT h.payload::numeric AS n, h.state FROM jobq_store.history h
		WHERE CASE jsonb_typeof(h.payload) WHEN 'number' THEN h.payload::numeric > 100000 END)
	SELECT count(e.n), count(*) FILTER (WHERE (e.state IS NOT DISTINCT FROM 3) <> (r.n IS NOT NULL))
	FROM ended e FULL JOIN (SELECT n FROM results WHERE n > 100000) r ON r.n = e.n}),
	'15000|0',
	'a job is completed if and only if its work was committed');
is( $node->sql(
		'SELECT count(*) FROM (SELECT n FROM results WHERE n > 0 GROUP BY n HAVING count(*) > 1) x'
	),
	'0',
	'no work was done twice');

done_testing();
