# t/023_own_transactions.pl: what a job may see of earlier jobs: with
# share_commits => false each job has a transaction of its own; claims that are
# bound to the session end with the job, and the seed of random() does not reach
# the next one.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 1', 'jobq.shared_commit_time = 1s', 'jobq.worker_idle_timeout = 1h' ]);

sub all_done
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok($node, "SELECT count(*) = 0 FROM jobq_store.job", $name);
}

# Enqueues this many jobs at once, and returns in how many transactions they
# ran.
sub transactions
{
	my ($queue, $jobs) = @_;
	$node->sql("SELECT jobq.pause('$queue')");
	my $first = $node->sql(
		"SELECT min(id) FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb, '{$jobs}')) id");
	$node->sql("SELECT jobq.resume('$queue')");
	poll_query(
		$node,
		"SELECT count(*) = $jobs FROM jobq.jobs WHERE queue = '$queue' AND id >= $first
			AND state = 'completed'"
	) or die 'jobs do not complete';
	return $node->sql(
		"SELECT count(DISTINCT result) FROM jobq.jobs WHERE queue = '$queue' AND id >= $first");
}

# ------------------------------------------------------------- share_commits

$node->sql(
	q{
	CREATE EXTENSION dblink;
	CREATE FUNCTION short(p jsonb) RETURNS text LANGUAGE sql AS 'SELECT pg_current_xact_id()::text';
	SELECT jobq.create_queue('short', 'short(jsonb)');
	SELECT jobq.create_queue('alone', 'short(jsonb)', share_commits => false);
});
is( $node->sql(
		"SELECT string_agg(queue || ' ' || share_commits, ', ' ORDER BY queue) FROM jobq.queues"),
	'alone false, short true',
	'share_commits is on by default');
transactions('short', 100);
cmp_ok(transactions('short', 100), '<', 90, 'short jobs share transactions');
is(transactions('alone', 100), 100, 'with share_commits => false each job has a transaction');
$node->sql("SELECT jobq.alter_queue('short', share_commits => false)");
is(transactions('short', 100), 100, 'share_commits can be turned off');
$node->sql("SELECT jobq.reset_queue('short', 'share_commits')");
cmp_ok(transactions('short', 100), '<', 90, 'with share_commits on again jobs share transactions');

# The second of two jobs changes the row that the first has changed through
# another session, which waits for the first one's transaction
my $connection = $node->connstr('postgres') =~ s{'}{''}gr;
$node->sql(
	qq{
	CREATE TABLE counter (n int);
	INSERT INTO counter VALUES (0);
	CREATE FUNCTION counts(p jsonb) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		IF p = '1' THEN UPDATE counter SET n = n + 1;
		ELSE PERFORM dblink_exec('$connection',
			'SET lock_timeout = ''60s''; UPDATE counter SET n = n + 1'); END IF;
	END\$\$;
	SELECT jobq.create_queue('counts', 'counts(jsonb)', share_commits => false, max_attempts => 2);
	UPDATE counter SET n = 0;
	SELECT count(jobq.enqueue('counts', '1')) FROM generate_series(1, 50);
});
all_done('jobs are known to be short');
$node->sql(q{SELECT jobq.enqueue_many('counts', '{1,2,1,2}')});
all_done('jobs that come to the database by another session do not wait for those before them');
is($node->sql('SELECT n FROM counter'), '54', 'all have done their work');

# Where sharing is not forbidden health says so
$node->sql(q{SELECT jobq.reset_queue('counts', 'share_commits')});
my $blocked = q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%UPDATE counter%'
	AND cardinality(pg_blocking_pids(pid)) > 0};
foreach (1 .. 20)
{
	# on a busy machine a job may take too long to be known as short
	next if transactions('counts', 100) > 90;
	$node->sql(
		q{SELECT jobq.pause('counts'); SELECT jobq.enqueue_many('counts', '{1,2}');
			SELECT jobq.resume('counts')}
	);
	poll_query($node, "SELECT EXISTS ($blocked) OR NOT EXISTS (SELECT FROM jobq_store.job)")
	  or die 'the jobs do not run';
	last if $node->sql("SELECT EXISTS ($blocked)") eq 't';
}
poll_ok(
	$node,
	q{SELECT string_agg(concat_ws(' ', severity, object, regexp_replace(message, '\d+', 'N', 'g'),
		since < now()), ', ')
	FROM jobq.health WHERE topic = 'shared commit'},
	'health says that a job keeps the commit of others waiting',
	expected => 'warning counts job N is still running in process N, and the commit of earlier jobs'
	  . ' that share its transaction waits for it: N t');
my ($waiter) = $node->sql(q{SELECT hint FROM jobq.health WHERE topic = 'shared commit'}) =~
  /^Session \d+ waits for its locks\..* use pg_cancel_backend\((\d+)\)/;
is( $waiter,
	$node->sql("SELECT pid FROM ($blocked) b"),
	'health says which session waits for its locks');
is($node->sql("SELECT pg_cancel_backend($waiter)"), 't', 'the waiting session is ended');
all_done('all jobs end once the waiting session is ended');
is( $node->sql(
		"SELECT n - (SELECT count(*) FROM jobq.jobs WHERE queue = 'counts'
			AND state = 'completed') FROM counter"
	),
	'0',
	'each job has had its effect once');

# --------------------------------------------------- claims of jobs

$node->sql(
	q{
	CREATE TABLE claimed (id bigint, lease bigint);
	SELECT jobq.create_queue('bound', session_bound => true, max_attempts => 5);
	CREATE FUNCTION claims(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO claimed SELECT id, lease FROM jobq.dequeue('bound');
		RETURN pg_backend_pid(); END$$;
	SELECT jobq.create_queue('looks');
	CREATE PROCEDURE claims_too(p jsonb) LANGUAGE plpgsql AS $$DECLARE looks bigint; BEGIN
		COMMIT;
		INSERT INTO claimed SELECT id, lease FROM jobq.dequeue('bound');
		COMMIT;
		/* the coordinator ends leases before it expires jobs */
		looks := jobq.enqueue('looks', ttl => '1 ms', run_at => now() - interval '1 day');
		COMMIT;
		WHILE EXISTS (SELECT FROM jobq.jobs WHERE id = looks AND finished_at IS NULL) LOOP
			COMMIT; PERFORM pg_sleep(0.01); END LOOP;
		IF (SELECT state FROM jobq.jobs WHERE queue = 'bound') <> 'running' THEN
			RAISE EXCEPTION 'the claim has ended before the job'; END IF; END$$;
	SELECT jobq.create_queue('claims', 'claims(jsonb)'), jobq.create_queue('claims_too',
		'claims_too(jsonb)', max_attempts => 1);
});
my $id = $node->sql("SELECT jobq.enqueue('bound')");
my $pid = wait_for_worker($node, 'jobq executor');
my $attempt = 0;
foreach my $queue ('claims', 'claims_too')
{
	$attempt++;
	my $claimer = $node->sql("SELECT jobq.enqueue('$queue')");
	poll_ok(
		$node,
		"SELECT state FROM jobq.jobs WHERE id = $claimer",
		"the job of $queue has ended",
		expected => 'completed');
	poll_ok(
		$node,
		"SELECT concat_ws(' ', state, attempt) FROM jobq.jobs WHERE id = $id",
		"$queue: the job that it claimed is ready again",
		expected => "ready $attempt");
	is($node->sql("SELECT outcome FROM jobq.attempts WHERE job_id = $id AND attempt = $attempt"),
		'lease lost', "$queue: the claim was lost");
}
is($node->sql('SELECT count(*) FROM claimed'), '2', 'the job was claimed twice');
is(wait_for_worker($node, 'jobq executor'),
	$pid, 'the worker that claimed the job twice is still there');

# ------------------------------------------------------------ random()

$node->sql(
	q{
	CREATE FUNCTION seeds(p jsonb) RETURNS double precision LANGUAGE plpgsql AS $$BEGIN
		IF p = '1' THEN PERFORM setseed(0.5);
		ELSIF p = '3' THEN SET seed = 0.5;
		ELSIF p = '5' THEN SET LOCAL seed = 0.5;
		ELSIF p = '7' THEN PERFORM set_config('seed', '0.5', false);
		ELSIF p = '9' THEN SET seed = 0.5; RAISE 'no';
		ELSE RETURN random();
		END IF;
		RETURN NULL; END$$;
	SELECT jobq.create_queue('seeds', 'seeds(jsonb)', max_attempts => 1);
	SELECT jobq.enqueue_many('seeds', '{1,2,3,2,5,2,7,2,9,2}');
});
poll_ok(
	$node,
	"SELECT count(*) = 10 FROM jobq.jobs WHERE queue = 'seeds' AND state IN ('completed', 'dead')",
	'random numbers are drawn');
is( $node->sql(
		q{SELECT count(DISTINCT result) || ' ' || count(*) FILTER (WHERE result = to_jsonb(
		(SELECT random() FROM (SELECT setseed(0.5)) s))) FROM jobq.jobs WHERE queue = 'seeds'
			AND payload = '2'}
	),
	'5 0',
	'the seed that a job sets does not reach the next one');

# --------------------------------------------- a procedure that gives itself back

$node->sql(
	q{
	CREATE TABLE refusals (what text, sqlstate text);
	CREATE PROCEDURE gives_back(p jsonb) LANGUAGE plpgsql AS $$
	DECLARE j jobq.job := jobq.current_job(); s text;
	BEGIN
		FOREACH s IN ARRAY '{"release($1, $2)","complete($1, $2)","fail($1, $2, ''no'')",
			"complete_many(ARRAY[$1], $2)"}'::text[] LOOP
			BEGIN
				EXECUTE 'SELECT jobq.' || s USING j.id, j.lease;
				INSERT INTO refusals VALUES (s, 'none');
			EXCEPTION WHEN OTHERS THEN INSERT INTO refusals VALUES (s, SQLSTATE);
			END;
		END LOOP;
		INSERT INTO refusals SELECT 'heartbeat', jobq.heartbeat(j.id, j.lease, progress => '1');
		COMMIT;
	END$$;
	SELECT jobq.create_queue('gives_back', 'gives_back(jsonb)', max_attempts => 1)});
my $giver = $node->sql("SELECT jobq.enqueue('gives_back')");
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, attempt, progress) FROM jobq.jobs WHERE id = $giver",
	'a procedure cannot end its own job',
	expected => 'completed 1 1');
is( $node->sql(
		"SELECT string_agg(split_part(what, '(', 1) || ' ' || sqlstate, ', ') FROM refusals"),
	'release 55000, complete 55000, fail 55000, complete_many 55000, heartbeat true',
	"a job's own heartbeat may report progress");

done_testing();
