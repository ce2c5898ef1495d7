# t/305_groups_of_limits_kills.pl: max_running_per_group of a shared limit over kills and
# restarts: it is not exceeded for any group key, and none of its slots is lost.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 4',
		'jobq.worker_idle_timeout = 1h',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'"
	]);

# ------------------------------------------------------ kills at random moments

# Each job takes a place of its limit and key for as long as its transaction runs, and
# finds one free, if no more run than may.
$node->sql(
	q{CREATE TABLE place (key text, n int, xact xid8);
	INSERT INTO place SELECT 'one' || k, 1 FROM generate_series(1, 2) AS k
		UNION ALL SELECT 'two' || k, n FROM generate_series(1, 2) AS k, generate_series(1, 2) AS n;
	CREATE TABLE effect (job bigint, key text);
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		PERFORM FROM public.place
			WHERE key = j.group_key AND xact = pg_current_xact_id();
		IF NOT FOUND THEN
			-- places are looked at one after the other: others may change theirs meanwhile
			FOR i IN 1 .. 5 LOOP
				UPDATE public.place SET xact = pg_current_xact_id()
				WHERE key = j.group_key AND n = (
					SELECT n FROM public.place WHERE key = j.group_key
					FOR UPDATE SKIP LOCKED LIMIT 1);
				EXIT WHEN FOUND;
			END LOOP;
			IF NOT FOUND THEN PERFORM nextval('public.overlap_number'); END IF;
		END IF;
		PERFORM pg_sleep(random() * 0.01);
		INSERT INTO public.effect VALUES (j.id, j.group_key);
	END$$;
	CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM public.work(j); COMMIT; END$$});
my $jobs = 0;
foreach my $limit ([ one => 1 ], [ two => 2 ])
{
	my ($name, $max) = @$limit;
	$node->sql(
		qq{SELECT jobq.create_limit('$name', max_running_per_group => $max);
		SELECT jobq.create_queue('$name' || n, CASE n WHEN 1 THEN 'work(jobq.job)' ELSE
			'work_alone(jobq.job)' END::regprocedure, shared_limit => '$name', max_attempts => 1000,
			backoff => 'fixed', backoff_base => '1 ms', jitter => 0, lease => '500 ms')
			FROM generate_series(1, 2) AS n});
}

seed_random();
for my $round (1 .. 8)
{
	my @sessions;
	$node->sql(
		q{SELECT count(*) FROM unnest('{one,two}'::text[]) AS l, generate_series(1, 2) AS n,
			generate_series(1, 2) AS k, jobq.enqueue_many(l || n, array_fill('1'::jsonb, '{12}'),
			group_key => l || k)});
	$jobs += 96;
	foreach my $limit ('one', 'two')
	{
		push(@sessions, start_session($node, name => "taker$_")) for 1 .. 2;
		order($_, take_all($limit)) foreach @sessions[ -2, -1 ];
	}
	disturb($node, 0.1, $round);
	foreach my $session (@sessions)
	{
		eval { answer($session); end_session($session) };
	}
	all_jobs_run($node, "round $round");
	limits_settled($node, "round $round");
	is($node->sql('SELECT is_called FROM overlap_number'),
		'f', "round $round: no more ran of a key than the limit lets in");
}
is($node->sql('SELECT count(DISTINCT job) FROM effect'), $jobs, 'each job has had its effect');

# --------------------------------------------- leases over kills and restarts

sub running
{
	return $node->sql(
		q{SELECT coalesce(string_agg(k || ':' || n, ' ' ORDER BY k), '') FROM (
		SELECT j.group_key AS k, count(*) AS n FROM jobq.jobs AS j
		WHERE j.state = 'running' GROUP BY 1) AS x});
}

# The limit is filled exactly, by both queues.
sub fills
{
	my ($name) = @_;
	poll_until(
		sub {
			$node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{l1,l2}', 99, lease => '1 h')});
			return running() eq 'x:2 y:2';
		},
		60);
	is(running(), 'x:2 y:2', "$name: exactly two of each key run");
	limits_settled($node, $name);
	return;
}

sub end_one
{
	my ($queue) = @_;
	$node->sql(
		qq{SELECT jobq.complete(j.id, j.lease) FROM (SELECT j.id, j.lease FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = '$queue'
		ORDER BY j.id LIMIT 1) AS j});
	return;
}
$node->sql(
	q{SELECT jobq.create_limit('l', max_running_per_group => 2);
	SELECT jobq.create_queue('l' || n, shared_limit => 'l', max_attempts => 1000)
		FROM generate_series(1, 2) AS n;
	SELECT count(*) FROM generate_series(1, 2) AS n, unnest('{x,y}'::text[]) AS key,
		jobq.enqueue_many('l' || n, array_fill('1'::jsonb, '{200}'), group_key => key);
	SELECT count(*) FROM jobq.dequeue('l1', 1, lease => '1 h');
	SELECT count(*) FROM jobq.dequeue('l2', 1, lease => '1 h')});
my %kill = claimers_killed($node);
foreach my $who (sort keys %kill)
{
	$kill{$who}->();
	fills($who);
	end_one($_) for 'l1', 'l2';
	limits_settled($node, "$who, some less");
}

# Prepared ends of jobs, finished before and after restarts.
foreach my $restart ('', 'immediate')
{
	foreach my $end ('COMMIT', 'ROLLBACK')
	{
		my $name = "$end PREPARED" . ($restart ? " after $restart stop" : '');
		fills($name);
		$node->sql(
			q{BEGIN; SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
			WHERE state = 1 ORDER BY id LIMIT 1) AS j; PREPARE TRANSACTION 'x'});
		if ($restart) { $node->stop($restart); $node->start; }
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{l1,l2}', 9)}),
			'0', "$name: not yet");
		limits_settled($node, "$name, prepared");
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{l2,l1}', 9)}),
			'0', "$name: not yet counted");
		$node->sql("$end PREPARED 'x'");
		limits_settled($node, $name);
		fills("after $name");
	}
}

# No coordinator: claims count by themselves.
$node->append_conf('postgresql.conf', 'jobq.enabled = off');
end_one($_) for 'l1', 'l2';
my $ran = running();
$node->restart;
$node->sql(q{SELECT count(*) FROM jobq.dequeue('l2', 9, lease => '1 h')});
$node->sql(q{SELECT count(*) FROM jobq.dequeue('l1', 9, lease => '1 h')});
isnt($ran, 'x:2 y:2', 'no coordinator: fewer ran');
is(running(), 'x:2 y:2', 'no coordinator: exactly two of each key are started');
limits_settled($node, 'no coordinator');

$node->stop;
done_testing();
