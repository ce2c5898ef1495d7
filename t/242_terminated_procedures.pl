# t/242_terminated_procedures.pl: procedures that are terminated at any moment, in
# queues with limits: no more run than may, and each ticket is given back once.  The
# same for sessions whose claims are bound to them, and whose jobs lend tickets.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;
use Time::HiRes qw(usleep);

my $kills = 100;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 4',
		'jobq.sweep_interval = 0',
		'jobq.worker_idle_timeout = 1h',
		"jobq.log_jobs = 'none'",
		'log_statement = none'
	]);

# Who runs, until when, and who was killed.
$node->sql(
	q{
	CREATE TABLE run (job bigint, queue text, pid int, ended boolean DEFAULT false);
	CREATE TABLE killed (pid int);
	CREATE TABLE violation (n int, queues text);

	CREATE PROCEDURE work(j jobq.job) LANGUAGE plpgsql AS $$
	DECLARE
		alive int;
	BEGIN
		DELETE FROM run WHERE pid = pg_backend_pid();
		INSERT INTO run VALUES (j.id, j.queue, pg_backend_pid());
		COMMIT;
		SELECT count(*) INTO alive FROM run AS r
			WHERE NOT r.ended AND r.queue = j.queue AND r.pid NOT IN (SELECT k.pid FROM killed AS k)
			AND r.pid IN (SELECT a.pid FROM pg_stat_activity AS a);
		IF alive > 2 THEN
			INSERT INTO violation VALUES (alive, j.queue);
		END IF;
		SELECT count(*) INTO alive FROM run AS r
			WHERE NOT r.ended AND r.pid NOT IN (SELECT k.pid FROM killed AS k)
			AND r.pid IN (SELECT a.pid FROM pg_stat_activity AS a);
		IF alive > 3 THEN
			INSERT INTO violation VALUES (alive, 'both');
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.003 * random());
		UPDATE run SET ended = true WHERE pid = pg_backend_pid();
		IF random() < 0.5 THEN
			COMMIT;
			IF random() < 0.2 THEN
				RAISE 'bad luck';
			END IF;
		END IF;
	END$$;

	-- kills an executor, which counts as gone from before that on
	CREATE PROCEDURE kill_one(INOUT done boolean DEFAULT NULL) LANGUAGE plpgsql AS $$
	DECLARE
		victim int := (SELECT w.pid FROM pg_stat_activity AS w
			WHERE w.backend_type = 'jobq executor' ORDER BY random() LIMIT 1);
	BEGIN
		INSERT INTO killed SELECT victim WHERE victim IS NOT NULL;
		COMMIT;
		done := coalesce(pg_terminate_backend(victim), false);
	END$$;

	SELECT jobq.create_limit('both', max_running => 3);
	SELECT jobq.create_queue(q, 'work(jobq.job)', max_running => 2, shared_limit => 'both',
		max_attempts => 10000, backoff => 'fixed', backoff_base => '1 ms', jitter => 0,
		keep_completed => '0') FROM unnest('{a,b}'::text[]) AS q});

# Works a queue: each transaction ends some jobs and claims others, or would have.
$node->sql(
	q{
	SELECT jobq.create_queue('c', max_running => 2, session_bound => true, max_attempts => 10000,
		keep_completed => '0');
	CREATE FUNCTION ended(j jobq.job) RETURNS void LANGUAGE sql AS '';
	CREATE PROCEDURE hold() LANGUAGE plpgsql AS $$
	DECLARE
		ids bigint[];
		held bigint;
		got bigint[];
		got_by bigint;
	BEGIN
		LOOP
			SELECT array_agg(n.id), max(n.lease) INTO got, got_by
				FROM jobq.next('c', ids, held, 2) AS n;
			IF got IS NULL OR random() < 0.3 THEN
				PERFORM pg_sleep(0.001 * random());
			END IF;
			IF random() < 0.3 THEN
				ROLLBACK;
			ELSE
				COMMIT;
				ids := got;
				held := got_by;
			END IF;
		END LOOP;
	END$$});

# Keeps the queues full meanwhile.
sub fill
{
	$node->sql(
		q{SELECT count(*) FROM unnest('{a,b,c}'::text[]) AS q,
			jobq.enqueue_many(q, array_fill('1'::jsonb, ARRAY[50]))
		WHERE (SELECT ready FROM jobq.queues WHERE queue = q) < 50});
	return;
}

# Sessions that work queue c; those that are killed are replaced.
my @holders;

sub replace_holders
{
	@holders = grep { $_->{run}->pumpable } @holders;
	while (@holders < 2)
	{
		push @holders, start_session($node, name => 'holder');
		order($holders[-1], 'CALL hold()');
	}
	return;
}

sub kill_holder
{
	$node->sql(
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE application_name = 'holder' ORDER BY random() LIMIT 1});
	return;
}

my $killed = 0;
my $tries = 0;
while ($killed < $kills && $tries++ < 20 * $kills)
{
	fill() if $tries % 5 == 1;
	$killed++ if $node->sql('CALL kill_one()') eq 't';
	replace_holders();
	kill_holder() if $tries % 2 == 0;
	usleep(rand(6000));
}
is($killed, $kills, 'executors were terminated');

# The rest of queue c.
poll_ok(
	$node,
	q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'holder'},
	'sessions have ended',
	expected => '0');
limits_settled($node, 'after kills');
$node->sql(
	q{SELECT jobq.alter_queue('c', 'ended(jobq.job)') FROM
		(SELECT jobq.reset_queue('c', 'session_bound')) AS r});

poll_ok($node, 'SELECT count(*) FROM jobq_store.job', 'all jobs are run', expected => '0');
limits_settled($node, 'after all');
is($node->sql('SELECT * FROM jobq_store.gates() WHERE running <> 0 OR NOT counted'),
	'', 'all tickets are back, once');
is($node->sql(q{SELECT running FROM jobq.limits WHERE name = 'both'}), '0', 'all slots, too');
is($node->sql('SELECT * FROM violation'), '', 'never did more run than may');
is($node->sql('SELECT count(*) > 0 FROM run'), 't', 'some jobs did run');

$node->stop;
done_testing();
