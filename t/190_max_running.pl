# t/190_max_running.pl: no more jobs of a queue run at the same time than its
# max_running, and none stands still while there is room.  There are no sweeps:
# nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node =
  limits_node(4, 'track_commit_timestamp = on', 'max_prepared_transactions = 5', 'fsync = off');

# A run leaves a row, and its transaction's time of commit; one that is rolled
# back is seen by those that run beside it, which find no lock left.
create_most($node, 'queue');
$node->sql(
	q{
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE place int; BEGIN
		SELECT n INTO place FROM generate_series(1, (j.payload ->> 'limit')::int) AS n
			WHERE pg_try_advisory_lock(hashtext(j.queue), n) LIMIT 1;
		IF place IS NULL THEN PERFORM nextval('public.overlap_number'); END IF;
		INSERT INTO public.begun VALUES (j.queue);
		BEGIN
			PERFORM pg_sleep(coalesce((j.payload ->> 'ms')::float8 / 1000, 0));
			IF j.payload ? 'wait_for' THEN
				PERFORM pg_advisory_xact_lock_shared((j.payload ->> 'wait_for')::int);
			END IF;
			IF j.payload ? 'fail' AND j.attempt = 1 THEN RAISE 'no'; END IF;
		EXCEPTION WHEN query_canceled OR others THEN
			PERFORM pg_advisory_unlock(hashtext(j.queue), place);
			RAISE;
		END;
		PERFORM pg_advisory_unlock(hashtext(j.queue), place);
	END$$;
	CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM public.work(j); COMMIT; END$$;
});

# Waits until the queue has no job, and judges what has been.
sub is_drained
{
	my ($queue, $limit, $name) = @_;
	all_jobs_run($node, $name, "queue = '$queue'");
	is($node->sql("SELECT n <= $limit FROM most WHERE queue = '$queue'"),
		't', "$name: not more than $limit at the same time");
	is($node->sql('SELECT is_called FROM overlap_number'),
		'f', "$name: no overlap in what was rolled back");
	limits_settled($node, $name);
	return;
}

# Jobs run by four executors; some fail and are tried again.
foreach my $limit (1, 2, 3)
{
	foreach my $handler ('work', 'work_alone')
	{
		my $queue = "${handler}_$limit";
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', '$handler(jobq.job)', max_running => $limit,
				backoff => 'fixed', backoff_base => '10 ms', jitter => 0);
			SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(
				SELECT jsonb_strip_nulls(jsonb_build_object('limit', $limit,
					'ms', CASE WHEN n % 20 = 0 THEN 20 END, 'fail',
					CASE WHEN n % 17 = 0 THEN 1 END))
				FROM generate_series(1, 150) AS n))});
		is_drained($queue, $limit, $queue);
	}
}

# Jobs that come one by one, from two sessions, while the gate is shut.
my $holder = start_session($node);
my $other = start_session($node);
foreach my $handler ('work', 'work_alone')
{
	my $queue = "shut_$handler";
	$node->sql(qq{SELECT jobq.create_queue('$queue', '$handler(jobq.job)', max_running => 2)});
	ask($holder, 'SELECT pg_advisory_lock(1)');
	$node->sql(
		qq{SELECT jobq.enqueue('$queue', '{"limit": 2, "wait_for": 1}') FROM generate_series(1, 2)}
	);
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
		"$queue: two run",
		expected => '2');
	for my $n (1 .. 10)
	{
		ask($n % 2 ? $holder : $other, qq{SELECT jobq.enqueue('$queue', '{"limit": 2}')});
	}
	is( $node->sql(
			"SELECT count(*) FROM jobq.jobs WHERE queue = '$queue' AND state = 'ready'
			AND attempt = 0") >= 10,
		1,
		"$queue: no other one starts");
	ask($holder, 'SELECT pg_advisory_unlock(1)');
	is_drained($queue, 2, $queue);
}

# Jobs that are ended from outside: the place is free.
$node->sql(
	q{SELECT jobq.create_queue('ended', 'work(jobq.job)', max_running => 1, timeout => '300 ms',
		max_attempts => 1);
	SELECT jobq.create_queue('cancelled', 'work(jobq.job)', max_running => 1)});
$node->sql(
	q{SELECT jobq.enqueue('ended', '{"limit": 1, "ms": 100000}');
	SELECT jobq.enqueue('ended', '{"limit": 1}')}
);
is_drained('ended', 1, 'timeout');
my $long = $node->sql(q{SELECT jobq.enqueue('cancelled', '{"limit": 1, "ms": 600000}')});
$node->sql(q{SELECT jobq.enqueue('cancelled', '{"limit": 1}')});
poll_query($node, "SELECT state = 'running' FROM jobq.jobs WHERE id = $long");
$node->sql("SELECT jobq.cancel($long)");
is_drained('cancelled', 1, 'cancel');

# A queue that is dropped while tickets are out, and made again.
$node->sql(
	q{SELECT jobq.create_queue('dropped', max_running => 2);
	SELECT jobq.enqueue('dropped') FROM generate_series(1, 5)});
ask($holder, q{BEGIN; SELECT count(*) FROM jobq.take('dropped', 1)});
ask($other, q{SELECT id, lease FROM jobq.dequeue('dropped') \gset});
order(my $dropper = start_session($node), q{SELECT jobq.drop_queue('dropped', force => true)});
ask($holder, 'ROLLBACK');
answer($dropper);
$node->sql(
	q{SELECT jobq.create_queue('dropped', max_running => 2);
	SELECT jobq.enqueue('dropped') FROM generate_series(1, 5)});
like(
	ask($other, 'SELECT jobq.complete(:id, :lease)'),
	qr/the lease is lost/,
	'the old lease is gone');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('dropped', 5)}),
	'2', 'a queue that is made again has a gate of its own');
limits_settled($node, 'dropped queue');
$node->sql(q{SELECT jobq.drop_queue('dropped', force => true)});

# A job that its queue's drop interrupts.
$node->sql(
	q{SELECT jobq.create_queue('interrupted', 'work_alone(jobq.job)', max_running => 1);
	SELECT jobq.enqueue('interrupted', '{"limit": 1, "ms": 600000}')});
poll_query($node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'interrupted' AND state = 'running'});
$node->sql(
	q{SELECT jobq.drop_queue('interrupted', force => true);
	SELECT jobq.create_queue('interrupted', 'work_alone(jobq.job)', max_running => 1);
	SELECT jobq.enqueue('interrupted', '{"limit": 1}')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'interrupted' AND state <> 'completed'},
	'the new queue runs',
	expected => '0');
limits_settled($node, 'interrupted');

# External workers, and every way in which a job ends.
$node->sql(
	q{SELECT jobq.create_queue('ext', max_running => 3, lease => '1 hour', max_attempts => 3,
		backoff => 'fixed', backoff_base => '0 s');
	CREATE TABLE claim (id bigint, lease bigint);
	SELECT jobq.enqueue('ext') FROM generate_series(1, 40);
	CREATE FUNCTION claim(n int) RETURNS bigint LANGUAGE sql AS $$
		WITH c AS (INSERT INTO claim SELECT id, lease FROM jobq.dequeue('ext', n) RETURNING 1)
		SELECT count(*) FROM c $$});
is($node->sql('SELECT claim(10)'), '3', 'dequeue: no more than the limit');
is($node->sql(q{SELECT count(*) FROM jobq.take('ext', 5)}), '0', 'take: none is left');
is($node->sql(q{SELECT count(*) FROM claim, jobq.heartbeat(id, lease) AS h WHERE h IS NOT NULL}),
	'3', 'heartbeats');
my @ends = (
	'complete' => 'SELECT jobq.complete(id, lease) FROM claim',
	'complete_many' => 'SELECT jobq.complete_many(array_agg(id), lease) FROM claim GROUP BY lease',
	'fail' => q{SELECT jobq.fail(id, lease, 'no') FROM claim},
	'release' => 'SELECT jobq.release(id, lease) FROM claim',
	'cancel' => 'SELECT jobq.cancel(id) FROM claim; SELECT jobq.complete(id, lease) FROM claim');
while (my ($name, $sql) = splice(@ends, 0, 2))
{
	my $err = sql_error($node, $sql);
	is($err, '', "$name: works") if $name ne 'cancel';
	$node->psql('postgres', $sql);    # once more: frees nothing
	is($node->sql('TRUNCATE claim; SELECT claim(10)'), '3', "$name: three are free, and not more");
	limits_settled($node, $name);
}
# next: one job for each
is( $node->sql(
		q{SELECT count(*) FROM (SELECT id, lease FROM claim LIMIT 1) AS c,
	jobq.next('ext', ARRAY[c.id], c.lease)}),
	'1',
	'next: the job that ends leaves its place to the next one');
limits_settled($node, 'next');
# each lends its ticket to the one after it: all of them are rolled back
foreach my $undo ('ROLLBACK', 'ROLLBACK TO s; COMMIT', 'RELEASE s; ROLLBACK')
{
	$node->sql(
		qq{BEGIN; SELECT id, lease FROM jobq_store.job WHERE state = 1 LIMIT 1 \\gset
		SAVEPOINT s;
		SELECT id, lease FROM jobq.next('ext', ARRAY[:id]::bigint[], :lease) \\gset
		SELECT id, lease FROM jobq.next('ext', ARRAY[:id]::bigint[], :lease) \\gset
		SELECT count(*) FROM jobq.next('ext', ARRAY[:id]::bigint[], :lease);
		$undo});
	is($node->sql('SELECT claim(10)'), '0', "next, three times, $undo: the gate is shut");
}
limits_settled($node, 'next that is rolled back');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# Sessions that end take their jobs along.
my $bound = start_session($node);
is(ask($bound, q{SELECT count(*) FROM jobq.dequeue('ext', 5, session_bound => true)}) + 0,
	3, 'session_bound: no more than the limit');
is($node->sql('TRUNCATE claim; SELECT claim(10)'), '0', 'session_bound: the gate is shut');
$node->sql(
	q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ~ 'session_bound'
		AND pid <> pg_backend_pid()}
);
eval { $bound->{run}->finish };
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq_store.job WHERE state = 1},
	'session_bound: it has ended',
	expected => '0');
is($node->sql('TRUNCATE claim; SELECT claim(10)'), '3', 'session_bound: three are free');
$node->sql(q{SELECT jobq.complete(id, lease) FROM claim; TRUNCATE claim});

# A lost lease frees one place, and what its old holder calls frees none.
$node->sql(q{SELECT jobq.alter_queue('ext', max_running => 1, lease => '200 ms'); SELECT claim(1)});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq_store.job WHERE state = 1},
	'the lease is over',
	expected => '0');
is( $node->sql(
		q{SELECT jobq.alter_queue('ext', lease => '1 hour');
		SELECT count(*) FROM jobq.dequeue('ext', 5)}
	),
	"\n1",
	'a lost lease: one place is free');
foreach my $sql (
	'jobq.complete(id, lease)',
	'jobq.release(id, lease)',
	q{jobq.fail(id, lease, 'no')},
	'jobq.heartbeat(id, lease)')
{
	$node->psql('postgres', "SELECT $sql FROM claim");
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 5)}), '0', "$sql frees none");
}
limits_settled($node, 'lost lease');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# Leases that are longer than what is listed, of before the limit was set.
$node->sql(
	q{SELECT jobq.create_queue('long', lease => '2 hours');
	SELECT jobq.enqueue('long') FROM generate_series(1, 20);
	SELECT count(*) FROM jobq.dequeue('long', 3);
	SELECT count(*) FROM jobq.dequeue('long', 1, lease => '1 min')});
$node->sql(q{SELECT jobq.alter_queue('long', max_running => 5)});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('long', 9)},
	'long leases count',
	expected => '1');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 9)}),
	'0', 'long leases: nothing more starts');
limits_settled($node, 'long leases');
$node->sql(q{SELECT jobq.alter_queue('long', max_running => 2)});
my $end_one = q{SELECT jobq.complete(id, lease) FROM (SELECT j.id, j.lease FROM jobq_store.job AS j
	JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = 'long'
	ORDER BY j.id LIMIT 1) AS c};
for my $left (4, 3, 2)
{
	$node->sql($end_one);
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 9)}),
		'0', "lowered: nothing starts while $left of 2 run");
}
$node->sql($end_one);
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 9)}),
	'1', 'lowered: one starts when it fits');
$node->sql(q{SELECT jobq.alter_queue('long', max_running => 0)});
$node->sql($end_one);
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 9)}), '0', '0: nothing starts');
$node->sql(q{SELECT jobq.alter_queue('long', max_running => 4)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 9)}),
	'3', 'raised: as many as it lets in');
$node->sql(q{SELECT jobq.reset_queue('long', 'max_running')});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('long', 3)}), '3', 'reset: no limit');
limits_settled($node, 'reset');

# Waiting: it sleeps while the gate is shut, and each place that becomes free
# wakes somebody as long as there are jobs.
sub waiting
{
	my ($n, $name) = @_;
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^w'
			AND wait_event_type = 'Extension'
			AND backend_xmin IS NULL},
		$name,
		expected => $n);
	return;
}

sub waiters
{
	my ($n) = @_;
	my @sessions = map { start_session($node, name => "w$_") } 1 .. $n;
	order($_, q{CALL jobq.wait('{w}', '1 h')}) foreach @sessions;
	return @sessions;
}
# Those whose call has returned.
sub woken
{
	my ($n, @sessions) = @_;
	my @woken;
	poll_until(
		sub {
			$_->{run}->pump_nb foreach @sessions;
			@woken = grep { $_->{out} =~ /done\n/ } @sessions;
			return @woken >= $n;
		});
	return @woken;
}

$node->sql(
	q{SELECT jobq.create_queue('w', max_running => 2, lease => '1 hour');
	SELECT jobq.enqueue('w') FROM generate_series(1, 20)});
ask($holder, q{SELECT id, lease FROM jobq.dequeue('w') \gset});
ask($other, q{SELECT id, lease FROM jobq.dequeue('w') \gset});
my @sessions = waiters(4);
waiting(4, 'four wait at the shut gate');
$node->sql(q{SELECT jobq.enqueue('w')});
waiting(4, 'a new job wakes none');
ask($holder, 'BEGIN; SELECT jobq.complete(:id, :lease); ROLLBACK');
waiting(4, 'a completion that is rolled back wakes none');
ask($holder, 'SELECT jobq.complete(:id, :lease)');
my ($woken) = woken(1, @sessions);
ok($woken, 'a job that ends wakes one');
is(ask($woken, q{SELECT count(*) FROM jobq.dequeue('w', 9)}) + 0, 1, 'who finds one job');
end_session($woken);

# Who comes back is free to wait again.
@sessions = grep { $_ ne $woken && $_->{out} eq '' } @sessions;
push(@sessions, waiters(3 - @sessions));
waiting(3, 'three wait at the shut gate');
$node->sql(q{SELECT jobq.alter_queue('w', max_running => 4)});
is(woken(2, @sessions) >= 2, 1, 'a limit that is raised by two wakes two');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('w', 9)}),
	'2', 'a limit that is raised by two lets in two');
$node->sql(
	q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^w'});

# Who comes for the next job at once needs no help: those who wait are left alone.
# But for once it may be slow, so that somebody is woken.
sub goes_alone
{
	my ($others, $work, $name, $prepare) = @_;
	my $alone;
	foreach my $try (1 .. 5)
	{
		$prepare->() if $prepare;
		my $before = $node->sql($others);
		$work->();
		$alone = $node->sql($others) eq $before;
		last if $alone;
	}
	ok($alone, $name);
	return;
}

my $rounds = q{DO $$ DECLARE j record; BEGIN
	SELECT * INTO STRICT j FROM held;
	FOR i IN 1 .. 50 LOOP
		PERFORM jobq.complete(j.id, j.lease); COMMIT;
		SELECT id, lease INTO STRICT j FROM jobq.dequeue('p'); COMMIT;
	END LOOP; END$$};
$node->sql(
	q{CREATE VIEW held AS SELECT s.id, s.lease
		FROM jobq.jobs AS j JOIN jobq_store.job AS s USING (id)
		WHERE j.queue = 'p' AND j.state = 'running';
	SELECT jobq.create_queue('p', max_running => 1, lease => '1 hour');
	SELECT jobq.enqueue('p') FROM generate_series(1, 500)});
ask($holder, q{SELECT id FROM jobq.dequeue('p')});
$node->sql(q{SELECT jobq.enqueue('p')});
is(ask($holder, $rounds), "", "jobs one after the other");
my $waiter = start_session($node, name => 'w1');
order($waiter, q{CALL jobq.wait('{p}', '1 h')});
goes_alone(
	q{SELECT state_change FROM pg_stat_activity WHERE application_name = 'w1'
		AND wait_event_type = 'Extension'},
	sub { is(ask($holder, $rounds), '', 'they are done') },
	'who waits is not woken by that',
	sub {
		order($waiter, q{CALL jobq.wait('{p}', '1 h')}) if woken(0, $waiter);
		waiting(1, 'somebody waits at the gate');
	});
ask($holder, 'SELECT jobq.complete(id, lease) FROM held');
is(scalar(woken(1, $waiter)), 1, 'one that does not come back is missed');
is(ask($waiter, q{SELECT count(*) FROM jobq.dequeue('p', 9)}) + 0,
	1, 'so that another one finds a job');
end_session($waiter);

# The same for executors: one of them runs all jobs.
$node->sql(
	q{CREATE TABLE ran (at timestamptz DEFAULT clock_timestamp(), pid int DEFAULT pg_backend_pid());
	CREATE FUNCTION run() RETURNS void LANGUAGE plpgsql
		AS 'BEGIN INSERT INTO public.ran DEFAULT VALUES; END';
	SELECT jobq.create_queue('alone', 'run()', max_running => 1, share_commits => false)});
cmp_ok($node->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'}),
	'>', 1, 'there are executors');
goes_alone(
	q{SELECT count(*) > 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
		AND state_change > (SELECT at FROM ran ORDER BY at OFFSET 10 LIMIT 1)},
	sub {
		$node->sql(q{SELECT count(jobq.enqueue('alone')) FROM generate_series(1, 50)});
		poll_ok(
			$node,
			q{SELECT count(*) FROM jobq.jobs
				WHERE queue = 'alone' AND state IN ('ready', 'running')},
			'one after the other',
			expected => '0');
	},
	'an executor that goes on wakes no other one',
	sub { $node->sql('TRUNCATE ran') });
limits_settled($node, 'after promises');

# Four clients do what comes to their minds; the seed gives the same again, except
# for the order in which they come.
seed_random();
$node->sql(
	q{SELECT jobq.create_queue('r', max_running => 3, lease => '1 hour', max_attempts => 1000,
		backoff => 'fixed', backoff_base => '0 s');
	SELECT count(*) FROM jobq.enqueue_many('r', array_fill('1'::jsonb, '{1000}'))});
my @clients = map { start_session($node, name => "r$_") } 1 .. 4;
my $held = q{(SELECT j.id, j.lease FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE j.state = 1 AND q.name = 'r' ORDER BY random() LIMIT 1) AS j};
my @moves = (
	q{SELECT count(*) FROM jobq.dequeue('r', 2)},
	q{SELECT count(*) FROM jobq.dequeue('r', 1, session_bound => true)},
	q{SELECT count(*) FROM jobq.dequeue('r', 1, lease => '10 ms')},
	q{SELECT count(*) FROM jobq.take('r', 2)},
	"SELECT jobq.complete(j.id, j.lease) FROM $held",
	"SELECT jobq.fail(j.id, j.lease, 'no') FROM $held",
	"SELECT jobq.release(j.id, j.lease) FROM $held",
	"SELECT jobq.heartbeat(j.id, j.lease) FROM $held",
	"SELECT jobq.next('r', ARRAY[j.id], j.lease) FROM $held");
for my $round (1 .. 60)
{
	foreach my $client (@clients)
	{
		my @do = map { $moves[ rand(@moves) ] } 1 .. 3;
		my $end = rand(3) < 1 ? 'ROLLBACK' : 'COMMIT';
		order($client,
				"SET lock_timeout = '1 s'; BEGIN; $do[0]; SAVEPOINT s; $do[1];"
			  . (rand(2) < 1 ? ' ROLLBACK TO s;' : '')
			  . " $do[2]; $end");
	}
	answer($_) foreach @clients;
	my $running =
	  $node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'r' AND state = 'running'});
	next if $running <= 3;
	is($running, 3, "no more than the limit in round $round");
	last;
}
end_session($_) foreach @clients;
limits_settled($node, 'what comes to mind');
poll_until(
	sub {
		$node->sql(q{SELECT count(*) FROM jobq.dequeue('r', 9)});
		return $node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'r' AND state = 'running'})
		  == 3;
	},
	20);
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'r' AND state = 'running'}),
	'3', 'all places can be taken');

# Listeners.
$node->sql(q{SELECT jobq.create_queue('n', max_running => 1, lease => '1 hour')});
my $listener = start_session($node);
ask($listener, q{SELECT 'LISTEN ' || quote_ident(jobq.channel('n')) \gexec});
$node->sql(q{SELECT jobq.enqueue('n'), jobq.enqueue('n')});
ok(poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification/ }),
	'a listener is told of jobs');
$node->sql(q{TRUNCATE claim; INSERT INTO claim SELECT id, lease FROM jobq.dequeue('n')});
$node->sql(q{SELECT count(*) FROM jobq.dequeue('n')});
$node->sql(q{SELECT jobq.complete(id, lease) FROM claim});
ok(poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification/ }),
	'a listener is told of a place that is free');

end_session($_) foreach $holder, $other, $dropper, $listener;
limits_settled($node, 'at the end');
$node->stop;
done_testing();
