# t/220_batches.pl: handlers that are given several jobs at once: what they are
# given, results, failures of some jobs and of all, timeouts, cancels, kills,
# and what queues with batches refuse.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);

# ------------------------------------------------------------------ refusals

$node->sql(
	q{
	CREATE FUNCTION one(p jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION many(p jsonb[]) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION jobs(j jobq.job[]) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION texts(p text[]) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION rest(VARIADIC p jsonb[]) RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS 'SELECT';
	CREATE PROCEDURE call(p jsonb[]) LANGUAGE sql AS 'SELECT'});

sub refused
{
	my ($sql, $message, $name) = @_;
	like(sql_error($node, $sql), qr/22023: .*$message/s, $name);
}

refused(
	q{SELECT jobq.create_queue('q', 'one(jsonb)', batch_size => 2)},
	'takes one job, but option "batch_size" is 2',
	'a batch with a handler of one job');
refused(
	q{SELECT jobq.create_queue('q', 'nothing()', batch_size => 2)},
	'takes one job',
	'a batch with a handler of nothing');
refused(
	q{SELECT jobq.create_queue('q', 'many(jsonb[])')},
	'takes batches, but option "batch_size" is 1',
	'a handler of batches without batch_size');
refused(
	q{SELECT jobq.create_queue('q', 'jobs(jobq.job[])', batch_size => 1)},
	'takes batches',
	'a handler of batches with batch_size 1');
refused(qq{SELECT jobq.create_queue('q', '$_', batch_size => 2)}, 'cannot be a handler', $_)
  for 'texts(text[])', 'rest(jsonb[])', 'call(jsonb[])';
refused("SELECT jobq.create_queue('q', batch_size => $_)", 'between 1 and 500', "batch_size $_")
  for 0, 501;
refused(
	q{SELECT jobq.create_queue('q', batch_wait => '-1 s')},
	'must not be negative',
	'a negative batch_wait');
$node->sql(q{SELECT jobq.create_queue('q', 'many(jsonb[])', batch_size => 2)});
refused(q{SELECT jobq.alter_queue('q', batch_size => 1)}, 'takes batches', 'alter_queue');
refused(q{SELECT jobq.reset_queue('q', 'batch_size')}, 'takes batches', 'reset_queue');
refused(q{SELECT jobq.alter_queue('q', 'one(jsonb)')}, 'takes one job', 'another handler');
$node->sql(q{SELECT jobq.alter_queue('q', 'one(jsonb)', batch_size => 1)});
refused(
	q{SELECT jobq.create_queue('q', 'many(jsonb[])', or_replace => true)},
	'takes batches',
	'or_replace resets batch_size');
like(
	sql_error($node, q{SELECT jobq.fail_job(1, 'x')}),
	qr/55000: .*only be called by the handler of a batch/,
	'fail_job outside a batch');
$node->sql(q{SELECT jobq.drop_queue('q')});

# ------------------------------------------------------- what handlers are given

$node->sql(
	q{
	CREATE TABLE calls (n int, ids bigint[], payloads jsonb[], current bigint);
	CREATE FUNCTION record(j jobq.job[]) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE one jobq.job; ids bigint[]; payloads jsonb[]; results jsonb = '[]';
	BEGIN
		FOREACH one IN ARRAY j LOOP
			ids := ids || one.id; payloads := payloads || one.payload;
			results := results || jsonb_build_array(one.payload -> 'n');
		END LOOP;
		INSERT INTO calls VALUES (cardinality(j), ids, payloads, (jobq.current_job()).id);
		RETURN results;
	END$$;
	SELECT jobq.create_queue('b', 'record(jobq.job[])', batch_size => 10);
	SELECT jobq.pause('b');
	SELECT count(*) FROM jobq.enqueue_many('b',
		ARRAY(SELECT jsonb_build_object('n', i) FROM generate_series(1, 25) AS i));
	SELECT jobq.enqueue('b', '{"n": 0}', priority => -1);
	SELECT jobq.resume('b')});
poll_ok(
	$node,
	q{SELECT count(*) = 26 FROM jobq.jobs WHERE queue = 'b' AND state = 'completed'},
	'all jobs complete');
is($node->sql(q{SELECT string_agg(n::text, ' ') FROM calls}), '10 10 6', 'they come in batches');
is( $node->sql(
		q{SELECT bool_and(p ->> 'n' = (o - 1)::text) FROM (SELECT p, row_number() OVER () AS o
		FROM calls, unnest(payloads) AS p) AS x}),
	't',
	'in the order of the queue');
is($node->sql(q{SELECT bool_and(result = payload -> 'n') FROM jobq.jobs WHERE queue = 'b'}),
	't', 'each job has its result');
is($node->sql(q{SELECT count(current) FROM calls}), '0', 'there is no current job in a batch');

$node->sql(
	q{
	CREATE TABLE sums (n int);
	CREATE FUNCTION sum_up(p jsonb[]) RETURNS jsonb LANGUAGE sql
		AS $$INSERT INTO sums SELECT sum(x::int) FROM unnest(p) AS x; SELECT NULL::jsonb$$;
	SELECT jobq.create_queue('s', 'sum_up(jsonb[])', batch_size => 500);
	SELECT count(*) FROM jobq.enqueue_many('s',
		ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 500) AS i))}
);
poll_ok(
	$node,
	q{SELECT count(*) = 500 FROM jobq.jobs WHERE queue = 's' AND state = 'completed'},
	'payloads alone');
is($node->sql(q{SELECT sum(n) FROM sums}), '125250', 'a batch of 500 is given all payloads');
is($node->sql(q{SELECT count(result) FROM jobq.jobs WHERE queue = 's'}), '0', 'no results');

# ------------------------------------------------------------------- failures

$node->sql(
	q{
	CREATE TABLE effects (id bigint);
	CREATE FUNCTION obey(j jobq.job[]) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE one jobq.job; answer jsonb;
	BEGIN
		FOREACH one IN ARRAY j LOOP
			INSERT INTO effects VALUES (one.id);
			IF one.payload ? 'do' THEN EXECUTE one.payload ->> 'do' USING one.id; END IF;
			IF one.payload ? 'return' THEN answer := one.payload -> 'return'; END IF;
		END LOOP;
		RETURN answer;
	END$$;
	SELECT jobq.create_queue('f', 'obey(jobq.job[])', batch_size => 5, max_attempts => 2,
		backoff => 'fixed', backoff_base => '1 h', jitter => 0);
	CREATE FUNCTION batch(VARIADIC payloads text[]) RETURNS void LANGUAGE sql
		AS $$TRUNCATE effects; SELECT jobq.pause('f');
		SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'f';
		SELECT count(*) FROM jobq.enqueue_many('f', payloads::jsonb[]); SELECT jobq.resume('f')$$});

# Runs a batch, and says what became of its jobs, in order.
sub outcome
{
	my @payloads = map { "'" . s/'/''/gr . "'" } @_;
	$node->sql('SELECT batch(' . join(', ', @payloads) . ')');
	poll_ok(
		$node,
		q{SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'f' AND
			(state = 'running' OR (state IN ('ready', 'scheduled') AND attempt = 0))},
		'the batch has ended');
	return $node->sql(
		q{SELECT string_agg(concat_ws(' ', j.state, j.attempt, a.error, '->' || j.result::text),
			', ' ORDER BY j.id)
		FROM jobq.jobs AS j LEFT JOIN jobq.attempts AS a ON a.job_id = j.id WHERE j.queue = 'f'});
}

is( outcome('{}', '{"do": "SELECT 1/0"}', '{}'),
	'scheduled 1 division by zero, scheduled 1 division by zero, scheduled 1 division by zero',
	'an error of the handler fails all jobs');
is($node->sql('SELECT count(*) FROM effects'), '0', 'its effects are undone');

is( outcome('{}', q[{"do": "SELECT jobq.fail_job($1, 'bad')"}], '{"return": [1, 2, null]}'),
	'completed 1 ->1, scheduled 1 bad, completed 1',
	'fail_job fails one job');
is($node->sql('SELECT count(*) FROM effects'), '3', 'the effects stay');
is( $node->sql(
		q{SELECT count(*) FROM jobq.jobs WHERE queue = 'f' AND state = 'scheduled'
		AND run_at - clock_timestamp() BETWEEN '59 min' AND '1 h'}),
	'1',
	'the backoff holds');

is( outcome(q[{"do": "SELECT jobq.fail_job($1, 'bad', retryable => false)"}], '{}'),
	'dead 1 bad, completed 1',
	'fail_job with retryable => false');
is( outcome(q[{"do": "SELECT jobq.fail_job($1, 'wait', '5 h')"}], '{}'),
	'scheduled 1 wait, completed 1',
	'fail_job with retry_in');
is( $node->sql(
		q{SELECT count(*) FROM jobq.jobs WHERE queue = 'f' AND state = 'scheduled'
		AND run_at - clock_timestamp() BETWEEN '4 h 59 min' AND '5 h'}),
	'1',
	'the delay holds');
is( outcome(q[{"do": "SELECT jobq.fail_job($1, 'a'), jobq.fail_job($1, 'b')"}], '{}'),
	'scheduled 1 b, completed 1',
	'the last call counts');
is( outcome(
		q[{"do": "DO $$BEGIN PERFORM jobq.fail_job(id, 'x') FROM effects; RAISE 'y'; ]
		  . q[EXCEPTION WHEN OTHERS THEN END$$"}],
		'{}'),
	'completed 1, completed 1',
	'fail_job is undone by a rollback');
like(
	outcome('{"do": "SELECT jobq.fail_job(0, \'x\')"}', '{}'),
	qr/^scheduled 1 job 0 is not in the current batch, scheduled 1 job 0/,
	'another job');

is( outcome('{}', '{"return": [1]}', '{}'),
	join(', ', ('scheduled 1 the handler returned 1 results for 3 jobs') x 3),
	'results of the wrong length fail all jobs');
is($node->sql('SELECT count(*) FROM effects'), '0', 'the effects are undone then');
is( outcome('{}', '{"return": {"a": 1}}'),
	join(', ', ('scheduled 1 the handler of a batch did not return an array') x 2),
	'a result that is no array');
is( outcome('{}', q[{"do": "SELECT jobq.discard('no')"}]),
	'dead 1 no, dead 1 no',
	'discard is about the batch');

# on_dead is told of each job that dies
$node->sql(
	q{
	SELECT jobq.create_queue('graves');
	SELECT jobq.alter_queue('f', on_dead => 'graves', max_attempts => 1)});
is( outcome('{}', '{"do": "SELECT 1/0"}'),
	'dead 1 division by zero, dead 1 division by zero',
	'last attempts');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'graves'}), '2', 'on_dead has both');
$node->sql(q{SELECT jobq.alter_queue('f', max_attempts => 2)});

# an error at the commit is the batch's
$node->sql(
	q{
	CREATE TABLE parents (id int PRIMARY KEY);
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused'; END$$;
	CREATE TABLE late (id bigint);
	CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION refuse()});
is( outcome('{}', '{"do": "INSERT INTO late VALUES ($1)"}'),
	'scheduled 1 refused, scheduled 1 refused',
	'deferred checks are part of the batch');

# ----------------------------------------------------------- timeouts, cancels

$node->sql(q{SELECT jobq.alter_queue('f', timeout => '100 ms')});
is( outcome('{}', '{"do": "SELECT pg_sleep(60)"}'),
	join(', ', ('scheduled 1 the job ran longer than its timeout') x 2),
	'a timeout fails all jobs');
$node->sql(q{SELECT jobq.reset_queue('f', 'timeout')});

my $wait = '{"do": "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)"}';
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(1)');
$node->sql("SELECT batch('{}', '$wait', '{}')");
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
	'a batch is running');
is( $node->sql(
		q{SELECT count(*) FILTER (WHERE jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'f' AND id IN
		(SELECT min(id) FROM jobq.jobs WHERE queue = 'f')}),
	'1',
	'its first job is cancelled');
is($node->sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}),
	'1', 'the batch goes on');
$holder->query_safe('SELECT pg_advisory_unlock(1)');
poll_ok(
	$node,
	q{SELECT count(*) = 3 FROM jobq.jobs WHERE queue = 'f' AND state = 'completed'},
	'the batch completes, with the job that was cancelled too late');

$holder->query_safe('SELECT pg_advisory_lock(1)');
$node->sql(
	q{SELECT batch('{}', '{"do":
		"SELECT pg_advisory_lock(1), 1 / (pg_advisory_unlock(1)::int - 1)"}', '{}')}
);
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted},
	'a batch is running that is going to fail');
$node->sql(q{SELECT jobq.cancel(max(id)) FROM jobq.jobs WHERE queue = 'f'});
$holder->query_safe('SELECT pg_advisory_unlock(1)');
poll_ok(
	$node, q{SELECT string_agg(state, ' ' ORDER BY id) = 'scheduled scheduled cancelled'
		FROM jobq.jobs WHERE queue = 'f'}, 'the job is cancelled when the batch fails');

# ----------------------------------------------------------------------- kills

for my $how ('terminated', 'killed')
{
	$holder->query_safe('SELECT pg_advisory_lock(1)') if $how eq 'terminated';
	$node->sql(
		$how eq 'terminated'
		? "SELECT batch('{}', '$wait', '{}')"
		: q{SELECT batch('{}', '{"do": "COPY (SELECT pg_sleep(60)) TO PROGRAM ''cat''"}', '{}')});
	poll_ok(
		$node,
		$how eq 'terminated'
		? q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}
		: q{SELECT count(*) = 1 FROM pg_stat_activity 
			WHERE application_name = 'jobq executor' AND wait_event = 'PgSleep'},
		"$how: a batch is running");
	my ($pid) = worker_pids($node, 'jobq executor');
	if ($how eq 'terminated')
	{
		$node->sql("SELECT pg_terminate_backend($pid, 60000)");
		$holder->query_safe('SELECT pg_advisory_unlock(1)');
	}
	else
	{
		$holder->quit;
		kill_9($node, $pid);

	}
	poll_ok(
		$node,
		q{SELECT count(*) = 3 FROM jobq.jobs WHERE queue = 'f'
			AND state = 'scheduled' AND attempt = 1},
		"$how: the attempt counts for each job");
	is( $node->sql(
			q{SELECT string_agg(DISTINCT a.outcome || ' ' || a.sqlstate, ', ') || ' ' || count(*)
			FROM jobq.attempts AS a JOIN jobq.jobs AS j ON j.id = a.job_id WHERE j.queue = 'f'}),
		$how eq 'terminated' ? 'crashed 57P01 3' : 'crashed 57P02 3',
		"$how: it is recorded");
	is(join(' ', grep { /job/ } slurp_dir($node->data_dir . '/pg_jobq')),
		'', "$how: no note is left");
}

done_testing();
