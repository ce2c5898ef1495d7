# t/245_shared_limits.pl: no more jobs of the queues that share a limit run at the
# same time than its max_running, and none stands still while there is room. There
# are no sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node =
  limits_node(6, 'track_commit_timestamp = on', 'max_prepared_transactions = 5', 'fsync = off');

create_work($node, 'lim', q{j.payload ->> 'limit'});
$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN IN ROLE alice;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{alice,bob}'::regrole[]) AS r;
	GRANT ALL ON begun TO alice});

# Waits until no queue has a job, and judges what has been.
sub is_drained
{
	my ($limit, $max, $name) = @_;
	all_jobs_run($node, $name, "queue NOT LIKE 'ext%'");
	is($node->sql("SELECT n FROM most WHERE lim = '$limit' AND n > $max"),
		'', "$name: not more than $max at the same time");
	limits_settled($node, $name);
	is($node->sql("SELECT running FROM jobq.limits WHERE name = '$limit'"),
		'0', "$name: all slots are back");
	return;
}

# Three queues of two roles, functions and procedures; some jobs fail.
foreach my $max (1, 2, 3)
{
	my $limit = "l$max";
	$node->sql(
		qq{SET ROLE alice; SELECT jobq.create_limit('$limit', max_running => $max);
		SELECT jobq.create_queue('${limit}_a', 'work(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0);
		SELECT jobq.create_queue('${limit}_b', 'work_alone(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0);
		SET ROLE bob;
		SELECT jobq.create_queue('${limit}_c', 'work(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0, max_running => 2);
		SELECT count(*) FROM unnest('{a,b,c}'::text[]) AS q,
			jobq.enqueue_many('${limit}_' || q, ARRAY(
			SELECT jsonb_strip_nulls(jsonb_build_object('limit', '$limit',
				'ms', CASE WHEN n % 20 = 0 THEN 20 END, 'fail',
				CASE WHEN n % 17 = 0 THEN 1 END))
			FROM generate_series(1, 80) AS n))});
	is_drained($limit, $max, $limit);
}

# Jobs that come one by one while the limit is shut by those of another queue.
my $holder = start_session($node);
my $other = start_session($node);
$node->sql(
	q{SET ROLE alice; SELECT jobq.create_limit('shut', max_running => 2); RESET ROLE;
	SELECT jobq.create_queue('shut_a', 'work(jobq.job)', shared_limit => 'shut', owner => 'alice');
	SELECT jobq.create_queue('shut_b', 'work_alone(jobq.job)', shared_limit => 'shut')});
ask($holder, 'SELECT pg_advisory_lock(1)');
$node->sql(
	q{SELECT jobq.enqueue('shut_a', '{"limit": "shut", "wait_for": 1}') FROM generate_series(1, 2)}
);
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
	'shut: two run',
	expected => '2');
ask($_ % 2 ? $holder : $other, q{SELECT jobq.enqueue('shut_b', '{"limit": "shut"}')}) for 1 .. 10;
is( $node->sql(
		q{SELECT count(*) FROM jobq.jobs WHERE queue = 'shut_b' AND state = 'ready' AND attempt = 0}
	),
	'10',
	'shut: none of the other queue starts');
is($node->sql(q{SELECT running, queues FROM jobq.limits WHERE name = 'shut'}),
	'2|{shut_a,shut_b}', 'the view shows how many run');
ask($holder, 'SELECT pg_advisory_unlock(1)');
is_drained('shut', 2, 'shut');

# External workers, and every way in which a job ends.
$node->sql(
	q{SELECT jobq.create_limit('ext', max_running => 3);
	SELECT jobq.create_queue('ext_1', shared_limit => 'ext', lease => '1 hour', max_attempts => 3,
		backoff => 'fixed', backoff_base => '0 s');
	SELECT jobq.create_queue('ext_2', shared_limit => 'ext', lease => '1 hour');
	CREATE TABLE claim (id bigint, lease bigint);
	SELECT jobq.enqueue('ext_1') FROM generate_series(1, 40);
	SELECT jobq.enqueue('ext_2') FROM generate_series(1, 40);
	CREATE FUNCTION claim(n int) RETURNS bigint LANGUAGE sql AS $$
		WITH c AS (INSERT INTO claim SELECT id, lease FROM jobq.dequeue('ext_1', n) RETURNING 1)
		SELECT count(*) FROM c $$});
my $beside = q{SELECT count(*) FROM jobq.dequeue('ext_2', 9)};
is($node->sql('SELECT claim(10)'), '3', 'dequeue: no more than the limit');
is($node->sql(q{SELECT count(*) FROM jobq.take('ext_2', 5)}), '0', 'take: none is left');
is($node->sql($beside), '0', 'dequeue from the other queue: none is left');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{ext_2,ext_1}', 9)}),
	'0', 'dequeue_any: none is left');
is($node->sql(q{SELECT count(*) FROM claim, jobq.heartbeat(id, lease, '2 hours') AS h WHERE h}),
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
	is($node->sql($beside), '0', "$name: none for the other queue");
	limits_settled($node, $name);
}

# next: a job that ends leaves its slot to the one after it.
is( $node->sql(
		q{SELECT count(*) FROM (SELECT id, lease FROM claim LIMIT 1) AS c,
	jobq.next('ext_1', ARRAY[c.id], c.lease)}),
	'1',
	'next: the job that ends leaves its slot to the next one');
limits_settled($node, 'next');
foreach my $undo ('ROLLBACK', 'ROLLBACK TO s; COMMIT', 'RELEASE s; ROLLBACK')
{
	$node->sql(
		qq{BEGIN; SELECT id, lease FROM jobq_store.job WHERE state = 1 LIMIT 1 \\gset
		SAVEPOINT s;
		SELECT id, lease FROM jobq.next('ext_1', ARRAY[:id]::bigint[], :lease) \\gset
		SELECT id, lease FROM jobq.next('ext_1', ARRAY[:id]::bigint[], :lease) \\gset
		SELECT count(*) FROM jobq.next('ext_1', ARRAY[:id]::bigint[], :lease);
		$undo});
	is($node->sql($beside), '0', "next, three times, $undo: the limit is shut");
}
limits_settled($node, 'next that is rolled back');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# Sessions that end take their jobs along.
my $bound = start_session($node, name => 'bound');
is(ask($bound, q{SELECT count(*) FROM jobq.dequeue('ext_1', 5, session_bound => true)}) + 0,
	3, 'session_bound: no more than the limit');
is($node->sql($beside), '0', 'session_bound: the limit is shut');
$node->sql(
	q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'bound'}
);
eval { $bound->{run}->finish };
poll_ok($node, $beside, 'session_bound: three are free', expected => '3');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# A lost lease frees one slot, and what its old holder calls frees none.
$node->sql(
	q{SELECT jobq.alter_limit('ext', max_running => 1);
	SELECT jobq.alter_queue('ext_1', lease => '200 ms'); TRUNCATE claim; SELECT claim(1)});
poll_ok($node, $beside, 'a lost lease: one slot is free', expected => '1');
foreach my $sql (
	'jobq.complete(id, lease)',
	'jobq.release(id, lease)',
	q{jobq.fail(id, lease, 'no')},
	'jobq.heartbeat(id, lease)')
{
	$node->psql('postgres', "SELECT $sql FROM claim");
	is($node->sql($beside), '0', "$sql frees none");
}
limits_settled($node, 'lost lease');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# next() gives no slot on while more run than may.
$node->sql(
	q{SELECT jobq.create_limit('less');
	SELECT jobq.create_queue('ext_less', shared_limit => 'less', lease => '1 hour');
	SELECT jobq.enqueue('ext_less') FROM generate_series(1, 9);
	SELECT count(*) FROM jobq.dequeue('ext_less', 3);
	SELECT jobq.alter_limit('less', max_running => 2)});
my $next = q{SELECT count(n.id) FROM jobq_store.job AS j,
	jobq.next('ext_less', ARRAY[j.id], j.lease) AS n
	WHERE j.id = (SELECT min(id) FROM jobq_store.job WHERE state = 1)};
is($node->sql($next), '0', 'next: three run, two may: none starts');
is($node->sql($next), '1', 'next: two run: one starts');
$node->sql(q{SELECT jobq.alter_limit('less', max_running => 0)});
is($node->sql($next), '0', 'next: none may run');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});
limits_settled($node, 'next that gives no slot on');

# A batch has one slot.
$node->sql(
	q{SELECT jobq.create_limit('b', max_running => 1);
	SELECT jobq.create_queue('ext_b' || n, shared_limit => 'b', lease => '1 hour', batch_size => 3)
		FROM generate_series(1, 2) AS n;
	SELECT jobq.enqueue('ext_b' || n) FROM generate_series(1, 2) AS n, generate_series(1, 9);
	TRUNCATE claim;
	INSERT INTO claim SELECT id, lease FROM jobq.dequeue('ext_b1', 3)});
my $batch = q{SELECT count(*) FROM jobq.dequeue('ext_b2', 3)};
is($node->sql(q{SELECT running FROM jobq.limits WHERE name = 'b'}), '1', 'batch: one slot');
limits_settled($node, 'batch');
for my $left (2, 1)
{
	is($node->sql($batch), '0', 'batch: the limit is shut');
	$node->sql(
		q{WITH c AS (DELETE FROM claim WHERE id = (SELECT min(id) FROM claim) RETURNING id, lease)
		SELECT jobq.complete(id, lease) FROM c});
}
is($node->sql($batch), '0', 'batch: one job is left');
$node->sql(q{SELECT jobq.complete(id, lease) FROM claim; TRUNCATE claim});
is($node->sql($batch), '3', 'batch: the slot is free when all have ended');
limits_settled($node, 'next batch');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# Changes while jobs run.
$node->sql(
	q{SELECT jobq.alter_limit('ext', max_running => 4);
	SELECT jobq.alter_queue('ext_1', lease => '1 hour')});
is($node->sql($beside), '4', 'raised: as many as it lets in');
my $end_one = q{SELECT jobq.complete(id, lease) FROM (SELECT id, lease FROM jobq_store.job
	WHERE state = 1 ORDER BY id LIMIT 1) AS c};
$node->sql(q{SELECT jobq.alter_limit('ext', max_running => 2)});
for my $left (3, 2)
{
	$node->sql($end_one);
	is($node->sql(q{SELECT claim(9)}), '0', "lowered: nothing starts while $left of 2 run");
}
$node->sql($end_one);
is($node->sql(q{SELECT claim(9)}), '1', 'lowered: one starts when it fits');
$node->sql(q{SELECT jobq.alter_limit('ext', max_running => 0)});
$node->sql($end_one) for 1 .. 2;
is($node->sql(q{SELECT claim(9)}), '0', '0: nothing starts');
is($node->sql($beside), '0', '0: nothing of the other queue starts');
$node->sql(q{SELECT jobq.reset_limit('ext', 'max_running'); TRUNCATE claim});
is($node->sql(q{SELECT claim(6)}), '6', 'reset: no limit');
$node->sql(q{SELECT jobq.alter_limit('ext', max_running => 7)});
is($node->sql($beside), '1', 'a limit that is set counts what runs');
limits_settled($node, 'changed');

# A queue that leaves takes its running jobs along; one that joins brings none.
$node->sql(q{SELECT jobq.reset_queue('ext_1', 'shared_limit')});
is($node->sql($beside), '0', 'left: the slots are held until the jobs end');
is($node->sql(q{SELECT claim(2)}), '2', 'left: no limit');
$node->sql(q{SELECT jobq.complete(id, lease) FROM claim; TRUNCATE claim});
is($node->sql($beside), '6', 'left: the slots are free');
is($node->sql(q{SELECT claim(3)}), '3', 'to join');
$node->sql(
	q{SELECT jobq.alter_queue('ext_1', shared_limit => 'ext');
	SELECT jobq.complete(j.id, j.lease) FROM (SELECT j.id, j.lease FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = 'ext_2') AS j});
is($node->sql(q{SELECT claim(20)}), '7', 'joined: counts from the next start on');
is($node->sql(q{SELECT running FROM jobq.limits WHERE name = 'ext'}), '7', 'joined: the slots');
is( $node->sql(
		q{WITH c AS (SELECT c.id, c.lease FROM claim AS c
			LIMIT 1) SELECT count(*) FROM c, jobq.next('ext_1', ARRAY[c.id], c.lease)}) <= 1,
	1,
	'next of a job that started before');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1; TRUNCATE claim});
limits_settled($node, 'left and joined');
is($node->sql(q{SELECT running FROM jobq.limits WHERE name = 'ext'}), '0', 'all slots are back');

# A limit that is dropped while slots are out, and made again.
$node->sql(
	q{SELECT jobq.create_limit('gone', max_running => 2);
	SELECT jobq.alter_queue('ext_1', shared_limit => 'gone')});
ask($holder, q{BEGIN; SELECT count(*) FROM jobq.take('ext_1', 1)});
ask($other, q{SELECT id, lease FROM jobq.dequeue('ext_1') \gset});
$node->sql(
	q{SELECT jobq.reset_queue('ext_1', 'shared_limit'); SELECT jobq.drop_limit('gone');
	SELECT jobq.create_limit('gone', max_running => 2);
	SELECT jobq.alter_queue('ext_1', shared_limit => 'gone')});
is($node->sql(q{SELECT claim(5)}), '2', 'a limit that is made again has slots of its own');
ask($holder, 'ROLLBACK');
ask($other, 'SELECT jobq.complete(:id, :lease)');
is($node->sql(q{SELECT claim(5)}), '0', 'the old ones are not its own');
is($node->sql(q{SELECT running FROM jobq.limits WHERE name = 'gone'}), '2', 'two are out');
limits_settled($node, 'dropped limit');
$node->sql(
	q{SELECT jobq.complete(id, lease) FROM claim; TRUNCATE claim;
	SELECT jobq.alter_queue('ext_1', shared_limit => 'ext'); SELECT jobq.drop_limit('gone')});

# A queue that is dropped with its running jobs.
$node->sql(
	q{SELECT jobq.alter_limit('ext', max_running => 1);
	SELECT jobq.create_queue('ext_3', shared_limit => 'ext', lease => '1 hour');
	SELECT jobq.enqueue('ext_3'); SELECT count(*) FROM jobq.dequeue('ext_3')});
is($node->sql($beside), '0', 'drop_queue: the limit is shut');
$node->sql(q{SELECT jobq.drop_queue('ext_3', force => true)});
is($node->sql($beside), '1', 'drop_queue: the slot is free');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});
limits_settled($node, 'dropped queue');

# Waiting: each slot that becomes free wakes a worker in each queue that was turned
# away, as long as there are jobs; 20 queues are more than a limit remembers.
sub waiting
{
	my ($n, $name) = @_;
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^w'
			AND wait_event_type = 'Extension' AND backend_xmin IS NULL},
		$name,
		expected => $n);
	return;
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

foreach my $queues (3, 20)
{
	$node->sql(
		qq{SELECT jobq.create_limit('w$queues', max_running => 1);
		SELECT jobq.create_queue('ext_w$queues' || n, shared_limit => 'w$queues', lease => '1 hour')
			FROM generate_series(1, $queues) AS n;
		SELECT count(*) FROM jobq.enqueue('ext_w${queues}1')});
	ask($holder, qq{SELECT id, lease FROM jobq.dequeue('ext_w${queues}1') \\gset});

	# they see empty queues, which get a job afterwards
	my @sessions = map { start_session($node, name => "w$_") } 2 .. $queues;
	order($sessions[ $_ - 2 ], qq{CALL jobq.wait('{ext_w$queues$_}', '1 h')}) for 2 .. $queues;
	waiting($queues - 1, "$queues queues: a session waits at each of the others");
	$node->sql(qq{SELECT jobq.enqueue('ext_w$queues' || n) FROM generate_series(2, $queues) AS n});
	waiting($queues - 1, "$queues queues: new jobs wake none");
	ask($holder, 'BEGIN; SELECT jobq.complete(:id, :lease); ROLLBACK');
	waiting($queues - 1, "$queues queues: a completion that is rolled back wakes none");
	ask($holder, 'SELECT jobq.complete(:id, :lease)');
	is( scalar woken($queues - 1, @sessions),
		$queues - 1,
		"$queues queues: a job that ends wakes one in each of the others");
	is( $node->sql(
			qq{SELECT sum((SELECT count(*) FROM jobq.dequeue('ext_w$queues' || n, 9)))
			FROM generate_series(2, $queues) AS n}),
		'1',
		"$queues queues: one finds a job");

	# the same at a limit that lets in none, and is raised
	$node->sql(
		qq{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1;
		SELECT jobq.alter_limit('w$queues', max_running => 0);
		SELECT jobq.enqueue('ext_w$queues' || n) FROM generate_series(2, $queues) AS n});
	order($sessions[ $_ - 2 ], qq{CALL jobq.wait('{ext_w$queues$_}', '1 h')}) for 2 .. $queues;
	waiting($queues - 1, "$queues queues: sessions wait where nothing may start");
	$node->sql(qq{SELECT jobq.alter_limit('w$queues', max_running => 2)});
	is( scalar woken($queues - 1, @sessions),
		$queues - 1,
		"$queues queues: a limit that is raised wakes one in each");

	# and at one that the queues leave
	$node->sql(qq{SELECT jobq.alter_limit('w$queues', max_running => 0)});
	order($sessions[0], qq{CALL jobq.wait('{ext_w${queues}2}', '1 h')});
	waiting(1, "$queues queues: a session waits");
	$node->sql(qq{SELECT jobq.reset_queue('ext_w${queues}2', 'shared_limit')});
	is(scalar woken(1, $sessions[0]), 1,
		"$queues queues: a queue that leaves has its worker woken");
	end_session($_) foreach @sessions;
	limits_settled($node, "$queues queues");
}

# A limit that is raised wakes as many of a queue's workers as it lets in.
$node->sql(
	q{SELECT jobq.create_limit('raised', max_running => 0);
	SELECT jobq.create_queue('ext_raised', shared_limit => 'raised', lease => '1 hour');
	SELECT jobq.enqueue('ext_raised') FROM generate_series(1, 9)});
my @raised = map { start_session($node, name => "w$_") } 1 .. 3;
order($_, q{CALL jobq.wait('{ext_raised}', '1 h')}) foreach @raised;
waiting(3, 'three sessions wait');
$node->sql(q{SELECT jobq.alter_limit('raised', max_running => 3)});
is(scalar woken(3, @raised), 3, 'a limit that is raised by three wakes three');
end_session($_) foreach @raised;

# Executors of two roles take turns for one slot, and none is left asleep.
$node->sql(
	q{SET ROLE alice; SELECT jobq.create_limit('turns', max_running => 1); RESET ROLE;
	SELECT jobq.create_queue('turns_a', 'work(jobq.job)', shared_limit => 'turns',
		owner => 'alice');
	SELECT jobq.create_queue('turns_b', 'work(jobq.job)', shared_limit => 'turns');
	SELECT jobq.create_queue('turns_c', 'work_alone(jobq.job)', shared_limit => 'turns',
		owner => 'bob')}
);
for my $round (1 .. 30)
{
	$node->sql(
		q{SELECT jobq.enqueue('turns_' || q, '{"limit": "turns"}')
			FROM unnest('{a,b,c}'::text[]) AS q});
}
is_drained('turns', 1, 'turns');

# A prepared transaction has no slots, and its end is known.
$node->sql(q{SELECT jobq.alter_limit('ext', max_running => 1)});
foreach my $claim ('take', 'dequeue')
{
	like(
		sql_error($node, qq{BEGIN; SELECT jobq.$claim('ext_1'); PREPARE TRANSACTION 'x'}),
		qr/0A000.*shared limit/,
		"$claim: is not prepared");
	limits_settled($node, "$claim, not prepared");
}
is($node->sql($beside), '1', 'not prepared: the slot is free');
$node->sql(
	q{BEGIN; SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
		WHERE state = 1) AS j; PREPARE TRANSACTION 'x'});
is($node->sql($beside), '0', 'a prepared completion holds the slot');
$node->sql(q{COMMIT PREPARED 'x'});
poll_ok($node, $beside, 'COMMIT PREPARED frees it', expected => '1');
$node->sql(
	q{SELECT jobq.alter_limit('ext', max_running => 0);
	BEGIN; SELECT jobq.alter_limit('ext', max_running => 2); PREPARE TRANSACTION 'x'});
my $prepared = start_session($node, name => 'w');
order($prepared, q{CALL jobq.wait('{ext_1}', '1 h')});
waiting(1, 'a session waits for a prepared change');
$node->sql(q{COMMIT PREPARED 'x'});
is(scalar woken(1, $prepared), 1, 'COMMIT PREPARED of a change wakes it');
end_session($prepared);
$node->sql(
	q{BEGIN; SELECT jobq.create_limit('prepared', max_running => 1); PREPARE TRANSACTION 'x';
	COMMIT PREPARED 'x';
	SELECT jobq.create_queue('ext_p', shared_limit => 'prepared', lease => '1 hour');
	SELECT jobq.enqueue('ext_p') FROM generate_series(1, 3)});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('ext_p', 9)},
	'a limit that was prepared lets in one',
	expected => '1');
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1});

# Four clients do what comes to their minds; the seed gives the same again, except
# for the order in which they come.
seed_random();
$node->sql(
	q{SELECT jobq.create_limit('r', max_running => 3);
	SELECT jobq.create_queue('ext_r' || n, shared_limit => 'r', lease => '1 hour',
		max_attempts => 1000, backoff => 'fixed', backoff_base => '0 s',
		max_running => CASE WHEN n = 2 THEN 2 END)
		FROM generate_series(1, 2) AS n;
	SELECT count(*) FROM jobq.enqueue_many('ext_r1', array_fill('1'::jsonb, '{1000}'));
	SELECT count(*) FROM jobq.enqueue_many('ext_r2', array_fill('1'::jsonb, '{1000}'))});
my @clients = map { start_session($node, name => "r$_") } 1 .. 4;
my $held = q{(SELECT j.id, j.lease, q.name FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE j.state = 1 AND q.name ~ '^ext_r\d' ORDER BY random() LIMIT 1) AS j};
my @moves = (
	q{SELECT count(*) FROM jobq.dequeue('ext_r1', 2)},
	q{SELECT count(*) FROM jobq.dequeue('ext_r2', 2)},
	q{SELECT count(*) FROM jobq.dequeue_any('{ext_r1,ext_r2}', 3)},
	q{SELECT count(*) FROM jobq.dequeue('ext_r1', 1, session_bound => true)},
	q{SELECT count(*) FROM jobq.dequeue('ext_r2', 1, lease => '10 ms')},
	q{SELECT count(*) FROM jobq.take('ext_r1', 2)},
	q{SELECT count(*) FROM jobq.take('ext_r2', 2)},
	"SELECT jobq.complete(j.id, j.lease) FROM $held",
	"SELECT jobq.fail(j.id, j.lease, 'no') FROM $held",
	"SELECT jobq.release(j.id, j.lease) FROM $held",
	"SELECT jobq.heartbeat(j.id, j.lease) FROM $held",
	"SELECT jobq.next(j.name, ARRAY[j.id], j.lease) FROM $held",
	"SELECT jobq.next('ext_r1', ARRAY[j.id], j.lease) FROM $held");
my $running = q{SELECT count(*) FROM jobq.jobs WHERE queue ~ '^ext_r\d' AND state = 'running'};
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
	my $n = $node->sql($running);
	next if $n <= 3;
	is($n, 3, "no more than the limit in round $round");
	last;
}
end_session($_) foreach @clients;
limits_settled($node, 'what comes to mind');
poll_until(
	sub {
		$node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{ext_r1,ext_r2}', 9)});
		return $node->sql($running) == 3;
	},
	20);
is($node->sql($running), '3', 'all slots can be taken');

# Listeners.
$node->sql(
	q{SELECT jobq.create_limit('n', max_running => 1);
	SELECT jobq.create_queue('ext_n1', shared_limit => 'n', lease => '1 hour'),
		jobq.create_queue('ext_n2', shared_limit => 'n', lease => '1 hour');
	SELECT jobq.enqueue('ext_n1');
	INSERT INTO claim SELECT id, lease FROM jobq.dequeue('ext_n1')});
my $listener = start_session($node);
ask($listener, q{SELECT 'LISTEN ' || quote_ident(jobq.channel('ext_n2')) \gexec});
$node->sql(q{SELECT jobq.enqueue('ext_n2')});
unlike(ask($listener, 'SELECT 1'), qr/notification/, 'a listener is not told while it is shut');
$node->sql(q{SELECT jobq.complete(id, lease) FROM claim});
ok(poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification/ }),
	'a listener is told of a slot that is free');

end_session($_) foreach $holder, $other, $listener;
limits_settled($node, 'at the end');
$node->stop;
done_testing();
