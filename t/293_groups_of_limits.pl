# t/293_groups_of_limits.pl: max_running_per_group of a shared limit counts the jobs with
# one group key over all queues of the limit, exactly, whatever is changed meanwhile. There
# are no sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 6',
		'jobq.worker_idle_timeout = 1h',
		'jobq.sweep_interval = 0',
		'track_commit_timestamp = on',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);
$node->sql(
	q{CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN IN ROLE alice;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{alice,bob}'::regrole[]) AS r});

# ---------------------------------------------------------------------- what runs

# The running jobs of the limit's queues: how many of each key.
sub running
{
	my ($limit) = @_;
	return $node->sql(
		qq{SELECT coalesce(string_agg(k || ':' || n, ' ' ORDER BY k), '') FROM (
		SELECT coalesce(j.group_key, '-') AS k, count(*) AS n FROM jobq.jobs AS j
		JOIN jobq.queues AS q USING (queue)
		WHERE j.state = 'running' AND q.shared_limit = '$limit' GROUP BY 1) AS x});
}

sub claim
{
	my ($queue, $n) = @_;
	return $node->sql("SELECT count(*) FROM jobq.dequeue('$queue', $n, lease => '1 day')");
}

# Ends n of the running jobs of the queue, those with that key.
sub complete
{
	my ($queue, $key, $n) = @_;
	return $node->sql(
		qq{SELECT jobq.complete(j.id, j.lease) FROM (SELECT j.id, j.lease FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = '$queue'
		AND coalesce(j.group_key, '-') = '$key' ORDER BY j.id LIMIT $n) AS j});
}

sub why
{
	my ($queue, $key) = @_;
	return $node->sql("SELECT why FROM jobq.groups WHERE queue = '$queue' AND group_key = '$key'");
}

# A limit, and queues with jobs: of each of these keys as many.
sub make
{
	my ($limit, $max, $n, @keys) = @_;
	$node->sql(
		qq{SELECT jobq.create_limit('$limit', max_running_per_group => $max);
		SELECT jobq.create_queue('$limit' || n, shared_limit => '$limit', lease => '1 day')
			FROM generate_series(1, 2) AS n});
	add($limit, $n, @keys);
	return;
}

sub add
{
	my ($limit, $n, @keys) = @_;
	foreach my $key (@keys)
	{
		$node->sql(
			qq{SELECT count(*) FROM generate_series(1, 2) AS q,
			jobq.enqueue_many('$limit' || q, array_fill('1'::jsonb, '{$n}'), group_key => '$key')});
	}
	return;
}

sub settled
{
	my ($name) = @_;
	limits_settled($node, $name);
	return;
}

# ------------------------------------------------------------------------ options

$node->sql(q{SELECT jobq.create_limit('o', max_running_per_group => 3, max_running => 5)});
is($node->sql(q{SELECT max_running, max_running_per_group FROM jobq.limits WHERE name = 'o'}),
	'5|3', 'the view shows it');
$node->sql(q{SELECT jobq.alter_limit('o', max_running_per_group => 4)});
is($node->sql(q{SELECT max_running_per_group FROM jobq.limits WHERE name = 'o'}),
	'4', 'alter_limit() changes it');
$node->sql(q{SELECT jobq.reset_limit('o', 'max_running_per_group')});
is($node->sql(q{SELECT max_running_per_group IS NULL FROM jobq.limits WHERE name = 'o'}),
	't', 'reset_limit() takes it away');
like(
	sql_error($node, q{SELECT jobq.alter_limit('o', max_running_per_group => 0)}),
	qr/22023.*max_running_per_group/,
	'0 is refused');
$node->sql(q{SELECT jobq.drop_limit('o')});

# ------------------------------------------------------- a number of each key

make('a', 2, 5, 'x', 'y');
is(claim('a1', 3), 3, 'the first three start');
is(claim('a2', 9), 1, 'one more of all that the other queue has');
is(running('a'), 'x:2 y:2', 'two of each key run, in both queues together');
is(claim('a1', 9), 0, 'no other one of the first queue');
is(why('a1', 'x'), 'shared limit', 'the view groups says why');
is(why('a2', 'y'), 'shared limit', 'the same of the other queue');
settled('two of each key');

# Jobs without a group are not limited.
$node->sql(q{SELECT jobq.enqueue('a1') FROM generate_series(1, 3)});
is(claim('a1', 9), 3, 'jobs without a group start');
is(running('a'), '-:3 x:2 y:2', 'beside the others');
complete('a1', '-', 3);

# A slot of one queue lets in a job of the other, whose waiting session is woken.
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query ~ '^CALL' AND wait_event_type = 'Extension'};
my $waiter = start_session($node);

sub is_woken
{
	my ($queue, $code, $name) = @_;
	order($waiter, "CALL jobq.wait('{$queue}', '1 h')");
	poll_query($node, $waits) or die "$name: the session does not wait\n";
	$code->();
	is(within(60, $name, sub { answer($waiter) }), "t\n", "$name: a waiting session is woken");
	return;
}
is_woken('a2', sub { complete('a1', 'x', 1) }, 'a job of the other queue ends');
is(claim('a2', 9), 1, 'a job of the other queue ends: the slot is taken');
is(running('a'), 'x:2 y:2', 'two of each key again');

# The same by all that ends a job, and by a rollback.
my $other = start_session($node);
complete('a1', 'x', 9);
complete('a2', 'x', 9);
ask($other, q{BEGIN; SELECT count(*) FROM jobq.take('a1', 9)});
is(claim('a2', 9), 0, 'jobs that a transaction has taken count');
is_woken('a2', sub { ask($other, 'ROLLBACK') }, 'rollback');
is(claim('a2', 9), 2, 'rollback: two start');
complete('a2', 'x', 9);
ask($other, q{BEGIN; SAVEPOINT s; SELECT count(*) FROM jobq.dequeue('a1', 9)});
is(claim('a2', 9), 0, 'those of a savepoint count');
is_woken('a2', sub { ask($other, 'ROLLBACK TO s') }, 'rollback to a savepoint');
ask($other, 'COMMIT');
is(claim('a2', 9), 2, 'rollback to a savepoint: two start');
$node->sql(
	q{SELECT jobq.release(j.id, j.lease, '1 day') FROM jobq_store.job AS j
	JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE j.state = 1 AND q.name = 'a2' AND j.group_key = 'x'}
);
is(claim('a1', 9), 2, 'release: two of the other queue start');
$node->sql(
	q{SELECT count(jobq.fail(j.id, j.lease, 'no', retry_in => '1 day')) FROM jobq_store.job AS j
	JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE j.state = 1 AND q.name = 'a1' AND j.group_key = 'x'});
add('a', 4, 'x');
is(claim('a2', 9), 2, 'fail: two of the other queue start');
settled('all ends');

# ------------------------------------------------------------------------- next()

make('n', 1, 3, 'x');
my $next = q{SELECT count(*), set_config('my.id', max(id)::text, false),
	set_config('my.lease', max(lease)::text, false) FROM };
like(ask($other, "$next jobq.dequeue('n1')"), qr/^1\|/, 'next(): one runs');
like(
	ask($other, "$next jobq.next('n1', ARRAY[current_setting('my.id')::bigint],
		current_setting('my.lease')::bigint)"),
	qr/^1\|/,
	'next() goes on with the slot of the job that it completes');
is(running('n'), 'x:1', 'next(): one runs again');
is(claim('n2', 9), 0, 'next(): the other queue does not start one');
settled('next');
complete('n1', 'x', 9);
is(claim('n2', 9), 1, 'next(): the slot is free after that');

# ------------------------------------------------------------------ changes of limits

make('c', 1, 9, 'x', 'y');
claim('c1', 1);
claim('c2', 9);
is(running('c'), 'x:1 y:1', 'changes: one of each key');
is_woken(
	'c1',
	sub { $node->sql(q{SELECT jobq.alter_limit('c', max_running_per_group => 3)}) },
	'a higher limit');
claim('c1', 9);
claim('c2', 9);
is(running('c'), 'x:3 y:3', 'a higher limit: three of each key');
$node->sql(q{SELECT jobq.alter_limit('c', max_running_per_group => 2)});
complete($_, 'x', 1) for 'c1', 'c2';
complete($_, 'y', 1) for 'c1', 'c2';
claim('c1', 9);
claim('c2', 9);
is(running('c'), 'x:2 y:2', 'a lower one: two of each, when what runs fits');
is_woken('c2', sub { $node->sql(q{SELECT jobq.reset_limit('c', 'max_running_per_group')}) },
	'no limit');
is(claim('c1', 4), 4, 'no limit: as many as are claimed');
is(claim('c2', 4), 4, 'no limit: in both queues');
settled('no limit');
$node->sql(q{SELECT jobq.alter_limit('c', max_running_per_group => 7)});
poll_until(sub { claim('c1', 99); claim('c2', 99); running('c') eq 'x:7 y:7' }, 60);
is(running('c'), 'x:7 y:7', 'a limit again: what ran before is counted');
settled('a limit again');

# One that has had none: what runs is counted first.
$node->sql(
	q{SELECT jobq.create_limit('s', max_running => 100);
	SELECT jobq.create_queue('s' || n, shared_limit => 's', lease => '1 day')
		FROM generate_series(1, 2) AS n});
add('s', 9, 'x', 'y');
is(claim('s1', 4) + claim('s2', 4), 8, 'set late: eight run');
is(running('s'), 'x:4 y:4', 'set late: four of each key');
$node->sql(q{SELECT jobq.alter_limit('s', max_running_per_group => 5)});
poll_until(sub { claim('s1', 99); running('s') eq 'x:5 y:5' }, 60);
is(running('s'), 'x:5 y:5', 'set late: one more of each key, whichever queue has run the others');
is(claim('s2', 99), 0, 'set late: none of the other queue');
settled('set late');

# ------------------------------------------------------------- queues come and go

complete($_, 'x', 9) for 's1', 's2';
complete($_, 'y', 9) for 's1', 's2';
$node->sql(q{SELECT jobq.alter_limit('s', max_running_per_group => 4)});
is(claim('s1', 99), 8, 'the first queue has all slots');
is(claim('s2', 99), 0, 'the second queue waits');
is_woken(
	's2',
	sub { $node->sql(q{SELECT jobq.drop_queue('s1', force => true)}) },
	'a queue is dropped');
is(claim('s2', 99), 8, 'dropped: the other queue starts as many');
$node->sql(
	q{SELECT jobq.create_queue('s3', lease => '1 day');
	SELECT count(*) FROM jobq.enqueue_many('s3', array_fill('1'::jsonb, '{9}'), group_key => 'x')});
is(claim('s3', 3), 3, 'a queue without a limit');
$node->sql(q{SELECT jobq.alter_queue('s3', shared_limit => 's')});
is(claim('s3', 9), 0, 'joins: its jobs with the key wait');
complete('s2', 'x', 4);
is(claim('s2', 9), 1, 'joins: what it runs counts');
is(claim('s3', 9), 0, 'joins: no other one');
is($node->sql(q{SELECT sum(running) FROM jobq.groups WHERE queue ~ '^s' AND group_key = 'x'}),
	'4', 'joins: four run together');
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('s2', array_fill('1'::jsonb, '{6}'), group_key => 'x')}
);
is_woken(
	's2',
	sub { $node->sql(q{SELECT jobq.reset_queue('s3', 'shared_limit')}) },
	'a queue leaves');
is(claim('s3', 9), 6, 'leaves: its jobs start');
is(claim('s2', 9), 3, 'leaves: the other queue has the slots');
is(running('s'), 'x:4 y:4', 'leaves: what it runs does not count any more');
settled('joined and left');
$node->sql(q{SELECT jobq.rename_queue('s2', 'renamed')});
complete('renamed', 'x', 1);
is(claim('renamed', 9), 1, 'renamed: its slots stay');
is(running('s'), 'x:4 y:4', 'renamed: no more run');

# What is not committed counts for nobody.
$node->sql(
	q{SELECT jobq.create_queue('u', lease => '1 day'); SELECT jobq.enqueue('u', group_key => 'x')
	FROM generate_series(1, 3)});
is(claim('u', 1), 1, 'not committed: one runs');
like(
	ask($other, q{BEGIN; SELECT jobq.alter_queue('u', shared_limit => 's');
		SELECT count(*) FROM jobq.dequeue('u', 9)}),
	qr/0\s*\z/,
	'not committed: no job of a group starts in the transaction that has changed the queue');
complete('renamed', 'x', 1);
is(claim('renamed', 9), 1, 'not committed: the limit does not count that queue');
ask($other, 'ROLLBACK');
is(claim('u', 9), 2, 'rolled back: no limit');
settled('rolled back');

# ------------------------------------------------------------ prepared transactions

make('p', 1, 5, 'x');
like(sql_error($node, q{BEGIN; SELECT count(*) FROM jobq.take('p1'); PREPARE TRANSACTION 'p'}),
	qr/0A000/, 'a claim cannot be prepared');
is(claim('p1', 9), 1, 'prepared: one runs');
$node->sql(
	q{BEGIN; SELECT jobq.complete(j.id, j.lease) FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE j.state = 1 AND q.name = 'p1'; PREPARE TRANSACTION 'p'});
is(claim('p2', 9), 0, 'prepared: its end is not yet');
is_woken('p2', sub { $node->sql(q{COMMIT PREPARED 'p'}) }, 'COMMIT PREPARED of an end');
is(claim('p2', 9), 1, 'COMMIT PREPARED: the slot is free');
$node->sql(
	q{BEGIN; SELECT jobq.alter_limit('p', max_running_per_group => 2); PREPARE TRANSACTION 'p'});
is(claim('p1', 9), 0, 'a prepared change: not yet');
$node->sql(q{COMMIT PREPARED 'p'});
is(claim('p1', 9), 1, 'COMMIT PREPARED of a change: one more');
is(running('p'), 'x:2', 'COMMIT PREPARED: two run');
settled('prepared');
end_session($other);
end_session($waiter);

# --------------------------------------------------------- a database is dropped

$node->sql('CREATE DATABASE gone');
my $gone = sub { return $node->sql($_[0], 'gone') };
$gone->(
	q{CREATE EXTENSION jobq; SELECT jobq.create_limit('l', max_running_per_group => 1);
	SELECT jobq.create_queue('q' || n, shared_limit => 'l', lease => '1 day')
		FROM generate_series(1, 2) AS n;
	SELECT jobq.enqueue('q' || n, group_key => 'x') FROM generate_series(1, 2) AS n});
is($gone->(q{SELECT count(*) FROM jobq.dequeue('q1')}), 1, 'another database: one runs');
is($gone->(q{SELECT count(*) FROM jobq.dequeue('q2')}), 0, 'another database: one waits');
$node->sql('DROP DATABASE gone WITH (FORCE)');
settled('another database is dropped');

# ---------------------------------------------------------------------- executors

# A run leaves a row, and its transaction's time of commit.
$node->sql(
	q{CREATE TABLE begun (lim text, key text, at timestamptz DEFAULT clock_timestamp(),
		xact xid DEFAULT pg_current_xact_id()::xid);
	GRANT ALL ON begun TO alice;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO public.begun VALUES (j.payload ->> 'limit', j.group_key);
		PERFORM pg_sleep(random() * 0.004);
		IF j.payload ? 'fail' AND j.attempt = 1 THEN RAISE 'no'; END IF;
	END$$;
	CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM public.work(j); COMMIT; END$$;
	CREATE VIEW most AS
	WITH run AS (SELECT lim, key, min(at) AS at, pg_xact_commit_timestamp(xact) AS until
			FROM begun GROUP BY lim, key, xact),
		step AS (SELECT lim, key, at, 1 AS n FROM run
			UNION ALL SELECT lim, key, until, -1 FROM run),
		depth AS (SELECT lim, sum(n) OVER (PARTITION BY lim, key ORDER BY at, n) AS n FROM step)
	SELECT lim, max(n) AS n FROM depth GROUP BY lim});
foreach my $max (1, 2)
{
	my $limit = "e$max";
	$node->sql(
		qq{SET ROLE alice; SELECT jobq.create_limit('$limit', max_running_per_group => $max);
		SELECT jobq.create_queue('${limit}_a', 'work(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0);
		SELECT jobq.create_queue('${limit}_b', 'work_alone(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0, max_running_per_group => 1);
		SET ROLE bob;
		SELECT jobq.create_queue('${limit}_c', 'work(jobq.job)', shared_limit => '$limit',
			backoff => 'fixed', backoff_base => '10 ms', jitter => 0, max_running => 2);
		SELECT count(*) FROM unnest('{a,b,c}'::text[]) AS q, unnest('{x,y,z}'::text[]) AS key,
			jobq.enqueue_many('${limit}_' || q, ARRAY(
			SELECT jsonb_strip_nulls(jsonb_build_object('limit', '$limit', 'fail',
				CASE WHEN n % 17 = 0 THEN 1 END))
			FROM generate_series(1, 40) AS n), group_key => key)});
	all_jobs_run($node, "executors, $max", "queue LIKE '$limit%'");
	is($node->sql("SELECT n FROM most WHERE lim = '$limit' AND n > $max"),
		'', "executors: never more than $max of a key at the same time");
	settled("executors, $max");
}

$node->stop;
done_testing();
