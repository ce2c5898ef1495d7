# t/080_races.pl: races between those who add, change, take and run jobs. First
# the narrow ones one by one, with a transaction held open so that they are sure
# to happen; then everything at once, under load, and an account of it: a
# completed job has exactly one effect, a cancelled or dead one none, and
# nothing is left.
#
# JOBQ_RACE_SECONDS says how long the load runs (8).

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{JOBQ_RACE_SECONDS} || 8;

# Executors stay: who is not woken is not saved by one that exits, either.
my $node = jobq_node(
	'main',
	conf => [
		'fsync = off',
		'log_statement = none',
		'jobq.max_workers = 4',
		'jobq.worker_idle_timeout = 1h',
	]);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE runs (job bigint, backend int, at timestamptz);
	CREATE FUNCTION work(job jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  INSERT INTO runs VALUES (job.id, pg_backend_pid(), clock_timestamp());
	  PERFORM pg_sleep(coalesce((job.payload ->> 'sleep')::float8, 0));
	END $$;
	SELECT jobq.create_queue('one', handler => 'work(jobq.job)');
	SELECT jobq.create_queue('late');
	SELECT jobq.create_queue('control');
});

my $unfinished =
  q{SELECT count(*) = 0 FROM jobq.jobs WHERE state IN ('ready', 'running', 'scheduled')};

# in_flight($enqueue, $change): commits a job after the change of its queue
# that the enqueueing session has not seen, and what the change has set off would
# find the job.
sub in_flight
{
	my ($enqueue, $change) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; $enqueue");
	$node->safe_psql('postgres', $change);
	wait_for_rest($node, 'control');
	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

# ------------------------------------------------------ lost wake-ups

$node->safe_psql('postgres', "SELECT jobq.create_queue('two', handler => 'work(jobq.job)')");
$node->safe_psql('postgres', "SELECT jobq.pause('two')");
in_flight("SELECT jobq.enqueue('two')", "SELECT jobq.resume('two')");
poll_ok($node, $unfinished, 'enqueued while paused, committed after resume()', seconds => 10);

$node->safe_psql('postgres', "SELECT jobq.pause('two')");
in_flight("SELECT jobq.enqueue('two', delay => '2 s')", "SELECT jobq.resume('two')");
poll_ok(
	$node, $unfinished,
	'a delayed job, enqueued while paused, committed after resume()',
	seconds => 12);

in_flight("SELECT jobq.enqueue('late')",
	"SELECT jobq.alter_queue('late', handler => 'work(jobq.job)')");
poll_ok($node, $unfinished, 'enqueued before the queue had a handler', seconds => 10);

# One idle executor is there, and must not keep the others' work to itself.
$node->safe_psql('postgres', 'SELECT jobq.stop()');
poll_query($node, q{SELECT count(*) = 0 FROM jobq.workers WHERE kind = 'executor'});
$node->safe_psql('postgres', 'SELECT jobq.start()');
$node->safe_psql('postgres', "SELECT jobq.enqueue('one')");
poll_query($node, $unfinished);
is($node->safe_psql('postgres', q{SELECT count(*) FROM jobq.workers WHERE kind = 'executor'}),
	1, 'one executor is running');
my $limit = wait_limit();
$node->safe_psql(
	'postgres', qq{
	SELECT jobq.enqueue('one', '{"sleep": $limit}',
	  run_at => clock_timestamp() + '500 ms') FROM generate_series(1, 4)});
poll_ok(
	$node,
	q{SELECT count(*) = 4 FROM jobq.jobs WHERE state = 'running'},
	'four jobs that become due together run together',
	seconds => 15);
$node->safe_psql('postgres', q{SELECT jobq.cancel(id) FROM jobq.jobs WHERE state <> 'completed'});
poll_query($node, $unfinished);

# Two roles share one slot: each gives way to the other.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE r1 LOGIN; CREATE ROLE r2 LOGIN;
	GRANT INSERT ON runs TO r1, r2;
	SELECT jobq.grant_usage(r, true) FROM unnest('{r1,r2}'::regrole[]) r;
	SELECT jobq.create_queue('of ' || r, handler => 'work(jobq.job)',
	  owner => r::regrole) FROM unnest('{r1,r2}'::text[]) r;
	ALTER SYSTEM SET jobq.max_workers = 1});
$node->reload;
poll_query($node, q{SELECT count(*) <= 1 FROM jobq.workers WHERE kind = 'executor'});
foreach my $pair ([ 'r1', 'r2' ], [ 'r2', 'r1' ])
{
	my ($many, $few) = @$pair;
	$node->safe_psql(
		'postgres', qq{
		SELECT jobq.enqueue('of $many', '{"sleep": 0.05}')
		  FROM generate_series(1, 60)});
	poll_query(
		$node,
		qq{SELECT count(*) > 0 FROM jobq.jobs
		    WHERE queue = 'of $many' AND state = 'completed'},
		seconds => 20);
	$node->safe_psql('postgres', "SELECT jobq.enqueue('of $few')");
	poll_ok($node, $unfinished, "$many has many jobs, $few has one: all jobs end", seconds => 20);
	is( $node->safe_psql(
			'postgres', qq{
			SELECT min(started_at) FILTER (WHERE queue = 'of $few')
			     < max(started_at) FILTER (WHERE queue = 'of $many')
			  FROM jobq.jobs WHERE queue IN ('of $few', 'of $many')}),
		't',
		"$few did not wait for all of them");
	$node->safe_psql('postgres', q{SELECT jobq.delete(id) FROM jobq.jobs WHERE queue LIKE 'of %'});
}
$node->safe_psql('postgres', 'ALTER SYSTEM RESET jobq.max_workers');
$node->reload;

# ------------------------------------------------------- all at once

my $log_from = log_position($node);
$node->safe_psql(
	'postgres', q{
	TRUNCATE runs;
	CREATE TABLE placed (job bigint);
	CREATE TABLE effects (job bigint);
	CREATE FUNCTION effect(job jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  INSERT INTO effects VALUES (job.id);
	  PERFORM pg_sleep(0.005 * random());
	  IF random() < 0.1 THEN RAISE 'bad luck'; END IF;
	END $$;
	SELECT jobq.create_queue(q, backoff => 'fixed', backoff_base => '50 ms',
	  max_attempts => 3) FROM unnest('{t,d}'::text[]) q;
	SELECT jobq.create_queue('h', handler => 'effect(jobq.job)',
	  backoff => 'fixed', backoff_base => '50 ms', max_attempts => 3);

	-- what a client does with a job that it has dequeued
	CREATE FUNCTION finish(id bigint, lease bigint) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE luck float8 := random();
	BEGIN
	  IF luck < 0.05 THEN RETURN; END IF;  -- the lease runs out
	  IF luck < 0.15 THEN PERFORM jobq.fail(id, lease, 'bad luck');
	  ELSIF luck < 0.2 THEN PERFORM jobq.release(id, lease);
	  ELSE
	    IF luck < 0.3 THEN PERFORM jobq.heartbeat(id, lease); END IF;
	    INSERT INTO effects VALUES (id);
	    PERFORM jobq.complete(id, lease);
	  END IF;
	EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
	END $$;
});

my $dir = $node->basedir;
my %script = (
	produce => q{
\set r random(1, 100)
\set p random(-3, 3)
\set d random(0, 200)
BEGIN;
INSERT INTO placed SELECT jobq.enqueue((array['h', 't', 'd'])[1 + :r % 3],
  delay => :d * interval '1 ms', priority => :p);
SAVEPOINT s;
INSERT INTO placed SELECT jobq.enqueue((array['t', 'd', 'h'])[1 + :r % 3], priority => :p);
\if :r <= 30
ROLLBACK TO s;
\endif
\if :r > 90
ROLLBACK;
\else
COMMIT;
\endif
\set pause random(0, 20000)
\sleep :pause us
},
	take => q{
\set r random(1, 100)
CALL jobq.wait('{t}', '50 ms');
BEGIN;
SAVEPOINT s;
INSERT INTO effects SELECT id FROM jobq.take('t', 1 + :r % 3);
\if :r <= 15
ROLLBACK TO s;
\endif
\if :r > 85
ROLLBACK;
\else
COMMIT;
\endif
},
	dequeue => q{
SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease
  FROM jobq.dequeue('d', lease => '500 ms') \gset
SELECT finish(:id, :lease) WHERE :id > 0;
\sleep 3 ms
},
	# one client only: what it sees as dead nobody else retries
	manage => q{
\set r random(1, 10)
\set q random(1, 3)
\set p random(-3, 3)
\if :r <= 4
SELECT jobq.cancel(job) FROM placed WHERE ctid = (SELECT max(ctid) FROM placed);
\elif :r <= 6
SELECT jobq.pause((array['h', 't', 'd'])[:q]);
\sleep 5 ms
SELECT jobq.resume((array['h', 't', 'd'])[:q]);
\elif :r <= 7
SELECT jobq.retry(id) FROM jobq.jobs WHERE state IN ('dead', 'cancelled')
  AND queue IN ('h', 't', 'd') LIMIT 1;
\elif :r <= 8
SELECT jobq.promote(id) FROM jobq.jobs WHERE state = 'scheduled' LIMIT 3;
\elif :r <= 9
SELECT jobq.set_priority(id, :p) FROM jobq.jobs WHERE state IN ('ready', 'scheduled') LIMIT 3;
\else
SELECT jobq.reschedule(id, now() + '100 ms') FROM jobq.jobs WHERE state = 'ready' LIMIT 3;
\endif
\sleep 20 ms
});
my %clients = (produce => 4, take => 3, dequeue => 3, manage => 1);
my @running;

foreach my $name (sort keys %script)
{
	my ($out, $err) = ('', '');
	PostgreSQL::Test::Utils::append_to_file("$dir/$name.sql", $script{$name});
	push @running,
	  {
		name => $name,
		err => \$err,
		run => IPC::Run::start(
			[
				'pgbench', '-n', '-c', $clients{$name}, '-T', $seconds,
				'-f', "$dir/$name.sql", $node->connstr('postgres')
			],
			'>',
			\$out,
			'2>',
			\$err)
	  };
}
foreach my $bench (@running)
{
	my $done = $bench->{run}->finish;
	unlike(${ $bench->{err} }, qr/ERROR|aborted/, "$bench->{name}: no errors")
	  or diag(${ $bench->{err} });
	ok($done, "$bench->{name}: went through");
}

# The executors finish by themselves; clients are asked until they have.
my $done = poll_until(
	sub {
		$node->safe_psql(
			'postgres', q{
			INSERT INTO effects SELECT id FROM jobq.take('t', 1000);
			SELECT finish(id, lease)
			  FROM jobq.dequeue('d', 100, lease => '500 ms')});
		return $node->safe_psql('postgres', $unfinished) eq 't';
	});
ok($done, 'all jobs end')
  or
  diag($node->safe_psql('postgres', q{SELECT queue, state, count(*) FROM jobq.jobs GROUP BY 1, 2}));

my $counts = $node->safe_psql('postgres',
	'SELECT (SELECT count(*) FROM placed), (SELECT count(*) FROM effects)');
note("jobs and effects: $counts");
is( $node->safe_psql(
		'postgres', q{
		SELECT j.queue, j.state, count(e.job), j.id
		  FROM placed p LEFT JOIN jobq.jobs j ON j.id = p.job
		  LEFT JOIN effects e ON e.job = p.job
		 GROUP BY j.queue, j.state, j.id, p.job
		HAVING j.state IS NULL
		    OR count(e.job) <> (j.state = 'completed')::int}),
	'',
	'a completed job has one effect, any other none');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM effects e
		 WHERE NOT EXISTS (SELECT FROM placed p WHERE p.job = e.job)}),
	0,
	'no effect of a job that was rolled back');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM jobq.jobs j WHERE queue IN ('h', 't', 'd')
		   AND NOT EXISTS (SELECT FROM placed p WHERE p.job = j.id)}),
	0,
	'no job of a transaction that was rolled back');
poll_ok(
	$node,
	q{SELECT (SELECT count(*) FROM jobq_store.job)
	       + (SELECT count(*) FROM jobq_store.cancel_request) = 0},
	'nothing is left behind', seconds => 15);
is_deeply([ unexpected_log_lines($node, $log_from) ], [], 'the log has no warnings');

$node->stop;
done_testing();
