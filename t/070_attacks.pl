# t/070_attacks.pl: attacks: what roles with few or no privileges try against
# other roles, the workers and the server.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 3', 'jobq.worker_idle_timeout = 2s' ]);

# The SQLSTATE with which a role fails; empty if it does not.
sub state_as
{
	my ($role, $sql) = @_;
	my $error = sql_error($node, "SET SESSION AUTHORIZATION $role; $sql");
	return $error =~ /ERROR:  ([0-9A-Z]{5}):/ ? $1 : $error;
}

sub refused
{
	my ($role, $state, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(state_as($role, $sql), $state, "$role: $sql");
}

$node->sql(
	q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE mallory LOGIN;
	CREATE ROLE guest LOGIN;
	CREATE ROLE stranger LOGIN;
	GRANT CREATE ON SCHEMA public TO alice, mallory, guest;
	SELECT jobq.grant_usage('alice', true), jobq.grant_usage('mallory', true),
		jobq.grant_usage('guest');
	CREATE TABLE seen (n serial, t text);
	GRANT INSERT, SELECT ON seen TO PUBLIC;
	GRANT USAGE ON SEQUENCE seen_n_seq TO PUBLIC;
});

# -------------------------------------------- other people's jobs and queues

$node->sql(
	q{SET SESSION AUTHORIZATION alice;
	SELECT jobq.create_queue('victim', max_attempts => 1), jobq.create_queue('secretname');
	SELECT jobq.enqueue('victim', '{"secret": 1}'), jobq.enqueue('victim', '{"secret": 2}',
		unique_key => 'secret'),
		jobq.enqueue('victim', '{"secret": 3}');
	SELECT jobq.fail(id, lease, 'secret') FROM jobq.dequeue('victim');
	SELECT jobq.schedule('alices', '@daily', 'SELECT 1'), jobq.create_limit('alices', 5);
	SELECT jobq.grant_queue('victim', 'guest', 'enqueue');
});
my $victim = $node->sql("SELECT id, lease FROM jobq.dequeue('victim', lease => '1 hour')");
my ($job, $lease) = split(/\|/, $victim);
my $dead = $job - 1;
my $ready = $job + 1;

foreach my $call (
	"cancel($job)",
	"cancel($ready)",
	"retry($dead)",
	"delete($dead)",
	"delete($ready)",
	"set_payload($ready, '{}')",
	"promote($ready)",
	"reschedule($ready, now())",
	"set_priority($ready, 1)",
	"complete($job, $lease)",
	"complete($ready, 0)",
	"fail($job, $lease, '')",
	"release($job, $lease)",
	"heartbeat($job, $lease)",
	"complete_many('{$job}', $lease)",
	"next('victim', '{$job}', $lease)",
	"take('victim')",
	"dequeue('victim')",
	"dequeue_any('{victim}')",
	"pause('victim')",
	"resume('victim')",
	"throttle('victim', '1 s')",
	"drop_queue('victim', true)",
	"alter_queue('victim', owner => 'guest')",
	"reset_queue('victim', 'ttl')",
	"grant_queue('victim', 'guest', 'read')",
	"revoke_queue('victim', 'alice', 'read')",
	"listen('victim')",
	"alter_limit('alices', 0)",
	"alter_limit('alices', owner => 'guest')",
	"reset_limit('alices', 'max_running')",
	"drop_limit('alices')",
	"create_limit('guests')",
	"unschedule('alices')",
	"run_schedule('alices')",
	"enable_schedule('alices', false)",
	"backfill('alices', now() - interval '2 days', now())",
	"enqueue('secretname')",
	"run('SELECT 1')",
	"create_queue('guests')",
	"schedule('alices', '\@daily', 'SELECT 1')",
	"grant_usage('guest', true)",
	"revoke_usage('alice')",
	"start()",
	"stop()")
{
	refused('guest', '42501', "SELECT jobq.$call");
}
refused('guest', '42501', "CALL jobq.wait('{victim}', '0')");
refused('guest', '42501', 'BEGIN; LOCK TABLE jobq.jobs IN ACCESS EXCLUSIVE MODE');
refused('guest', '42501', 'SELECT * FROM jobq.jobs FOR UPDATE');
refused('guest', '42501', 'SELECT jobq_store.worker_slots()');
refused('mallory', '42501', "SELECT jobq.schedule('alices', '\@daily', 'SELECT 1')");
refused('mallory', '42501', "SELECT jobq.create_queue('joins', shared_limit => 'alices')");
refused('mallory', '42501', "SELECT jobq.create_queue('mine', owner => '$_')")
  foreach ('postgres', 'alice', 'pg_monitor');
refused('mallory', '42704', "SELECT jobq.create_queue('mine', owner => '$_'::regrole)")
  foreach ('0', '4294967295');
refused('mallory', '22023', "SELECT jobq.create_queue('run:alice')");
refused('stranger', '42501', "SELECT jobq.cron_describe('* * * * *')");
refused('stranger', '42501', 'SELECT * FROM jobq.jobs');
unlike(sql_error($node, "SET SESSION AUTHORIZATION guest; SELECT jobq.enqueue('secretnam')"),
	qr/"secretname"/, 'no hint at queues that a role may not see');

# functions that cost nothing, in conditions and before the barrier
$node->sql(
	q{SET SESSION AUTHORIZATION guest;
	CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN
		INSERT INTO public.seen(t) VALUES ('leak ' || $1); RETURN true; END$$;
});
foreach my $view (qw(jobs queues dead_letters attempts schedules))
{
	$node->sql(
		"SET SESSION AUTHORIZATION guest;
			SELECT count(*) FROM jobq.$view AS v WHERE leak(v::text) OR leak(v::text)"
	);
}
is($node->sql("SELECT count(*) FROM seen WHERE t LIKE 'leak%'"),
	'0', 'views show a function nothing that its caller may not see');
is( $node->sql(
		"SET SESSION AUTHORIZATION alice; SELECT string_agg(state, ' ' ORDER BY id) FROM jobq.jobs"
	),
	'dead running ready',
	'the victim is untouched');

# ------------------------- code of a queue's owner in another role's session

$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	CREATE FUNCTION evil(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		EXECUTE p ->> 'sql';
		INSERT INTO public.seen(t) VALUES ('evil ' || current_user);
		RETURN true; END$$;
	CREATE FUNCTION spring(t pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO public.seen(t) VALUES ('sprung ' || current_user); RETURN true; END$$;
	SELECT jobq.create_queue('evil', payload_check => 'evil(jsonb)'), jobq.create_queue('mallorys');
});
foreach my $command (
	'RESET ROLE',
	'SET ROLE postgres',
	'SET LOCAL ROLE postgres',
	'SET SESSION AUTHORIZATION postgres',
	'RESET SESSION AUTHORIZATION',
	q{SELECT set_config('role', 'postgres', false)},
	q{SELECT set_config('session_authorization', 'postgres', false)},
	'LISTEN x',
	'UNLISTEN *',
	'PREPARE p AS SELECT 1',
	'DEALLOCATE ALL',
	'DISCARD ALL',
	'DISCARD TEMP',
	'CLOSE ALL',
	'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
	'CREATE TEMP TABLE t (i int)',
	'CREATE TEMP VIEW t AS SELECT 1',
	'ALTER ROLE mallory SUPERUSER',
	q{COPY public.seen TO PROGRAM 'cat'})
{
	my $error = sql_error($node,
		"SELECT jobq.enqueue('evil', jsonb_build_object('sql', \$_\$$command\$_\$))");
	like($error, qr/ERROR:  42501/, "payload_check: $command");
}
like(
	sql_error($node, q{SELECT jobq.enqueue('evil', '{"sql": "DO $x$BEGIN COMMIT; END$x$"}')}),
	qr/ERROR:  2D000/,
	'payload_check cannot commit');
is( $node->sql(
		q{SELECT jobq.enqueue('evil', jsonb_build_object('sql', s)) > 0
			FROM unnest(ARRAY['SET search_path = public',
		'SET LOCAL work_mem = ''1MB''', 'SET default_transaction_read_only = on',
			'SET statement_timeout = 1']) AS s;
	SELECT concat_ws(' ', current_user, session_user, current_setting('search_path'),
		current_setting('work_mem'),
		current_setting('default_transaction_read_only'), current_setting('statement_timeout'))}),
	qq{t\nt\nt\nt\npostgres postgres "\$user", public 4MB off 0},
	'its settings do not outlive it');
is($node->sql(q{SELECT DISTINCT t FROM seen WHERE t LIKE 'evil%'}),
	'evil mallory', 'a payload_check is its owner all the time');

# a type that hides pg_catalog's from the session that enqueued: not all
# releases of the server forbid it themselves
foreach my $command (
	  'CREATE DOMAIN pg_temp.text AS pg_catalog.text'
	. ' CHECK (public.spring(value::pg_catalog.text))',
	q{CREATE TYPE pg_temp.text AS ENUM ('x')},
	'CREATE TYPE pg_temp.text AS RANGE (subtype = int)',
	'CREATE TYPE public.sprung AS RANGE (subtype = int, multirange_type_name = pg_temp.text)',
	'CREATE TYPE pg_temp.text AS (x int)',
	'CREATE TYPE pg_temp.text',
	'SET LOCAL search_path = pg_temp, pg_catalog; CREATE DOMAIN text AS pg_catalog.text')
{
	my $error = sql_error(
		$node, qq{
		SELECT jobq.enqueue('evil', jsonb_build_object('sql', \$_\$$command\$_\$))});
	like($error, qr/ERROR:  42501/, "payload_check: $command");
}
$node->psql(
	'postgres', q{
	SELECT jobq.enqueue('evil', jsonb_build_object('sql',
		'CREATE DOMAIN pg_temp.text AS pg_catalog.text
			CHECK (public.spring(value::pg_catalog.text))'));
	SELECT 'x'::text});
is($node->sql("SELECT count(*) FROM seen WHERE t LIKE 'sprung postgres'"),
	'0', 'a payload_check leaves no type as a trap for its caller');

{
	my $listening = '';
	$node->psql(
		'postgres',
		q{SELECT FROM jobq.enqueue('evil', '{"sql": "SELECT jobq.listen(''mallorys'')"}');
		SELECT 'channels: ' || count(*) FROM pg_listening_channels()},
		stdout => \$listening,
		on_error_stop => 0);
	like($listening, qr/channels: 0/, 'payload_check does not make its caller listen');
}

# ------------------------------------------------------- what jobs do to jobq

$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	CREATE PROCEDURE again(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		ROLLBACK;
		INSERT INTO public.seen(t) VALUES ('job ' || current_user || '/' || session_user);
		COMMIT;
		EXECUTE p ->> 'sql';
		ROLLBACK; RESET ROLE;
		INSERT INTO public.seen(t) VALUES ('job ' || current_user || '/' || session_user);
	END$$;
	CREATE PROCEDURE nested(p jsonb) LANGUAGE plpgsql AS $$BEGIN ROLLBACK; CALL public.again(p);
		ROLLBACK; CALL public.again(p); END$$;
	SELECT jobq.create_queue('nested', handler => 'nested(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('selfless', handler => 'nested(jsonb)', max_attempts => 1);
});
$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	SELECT jobq.enqueue('nested', jsonb_build_object('sql', s)) FROM unnest(ARRAY[
		'SELECT jobq.complete(id, lease) FROM jobq.current_job()',
			'SELECT jobq.cancel(id) FROM jobq.current_job()',
		'SELECT jobq.fail(id, lease, '''') FROM jobq.current_job()',
			'SELECT jobq.delete(id) FROM jobq.current_job()',
		'SELECT jobq.alter_queue(''nested'', owner => ''postgres'')', 'SELECT jobq.stop()',
			'SET ROLE postgres',
		'SELECT pg_cancel_backend(pg_backend_pid())', 'SELECT * FROM jobq_store.job', 'DISCARD ALL',
		'SELECT jobq.take(''nested'')', 'SELECT pg_advisory_lock(1)']) AS s;
	SELECT jobq.enqueue('selfless', '{"sql": "SELECT jobq.drop_queue(''selfless'', true)"}');
	SELECT jobq.run(s, max_attempts => 1)
		FROM unnest(ARRAY['SELECT jobq.delete(id) FROM jobq.current_job()',
		'SELECT jobq.cancel(id) FROM jobq.current_job()', 'SELECT jobq.take(''mallorys'')',
			'SET ROLE postgres',
		'SELECT jobq.stop()', 'DROP EXTENSION jobq', 'CREATE ROLE x SUPERUSER',
			'ALTER SYSTEM SET work_mem = 1']) AS s;
	SELECT jobq.run('INSERT INTO seen(t)
		VALUES (''job '' || current_user || ''/'' || session_user)');
});
poll_ok(
	$node, q{SELECT count(*) = 0 FROM jobq_store.job j JOIN jobq_store.queue q ON q.id = j.queue
	WHERE q.name IN ('nested', 'selfless', 'run:mallory')}, 'jobs that attack jobq come to an end');
is( $node->sql(q{SELECT DISTINCT t FROM seen WHERE t LIKE 'job%'}),
	'job mallory/mallory',
	'jobs that attack jobq have always been their owner');
is($node->sql(q{SELECT count(*) FROM jobq_store.history WHERE sqlstate LIKE 'XX%'}),
	'0', 'attacks cause no internal error');
foreach my $command (
	'SELECT 1; SELECT 2',
	'', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT x',
	q{PREPARE TRANSACTION 'x'},
	'COPY seen FROM STDIN',
	'COPY seen TO STDOUT')
{
	refused('mallory', '22023', "SELECT jobq.run(\$_\$$command\$_\$)");
}

# a job that terminates its own process
my $from = log_position($node);
$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	SELECT jobq.run('SELECT pg_terminate_backend(pg_backend_pid())', max_attempts => 2)});
{
	ok( poll_until(
			sub {
				return $node->sql(
					q{SELECT count(*) FROM jobq_store.history WHERE command LIKE '%terminate%'
						AND state = 4}
				) eq '1';
			},
			3),
		'a job that terminates its own process uses up its attempts');
	my @fatal = log_since($node, $from) =~ /FATAL:  terminating background worker/g;
	cmp_ok(scalar(@fatal), '<=', 10, 'a job that terminates its own process does not fill the log');
}
poll_until(
	sub {
		$node->sql(
			q{SELECT jobq.delete(id) FROM jobq.jobs
	WHERE command LIKE '%terminate%' AND state <> 'dead'});
		return $node->sql(
			q{SELECT count(*) FROM jobq_store.job
	WHERE command LIKE '%terminate%'}) eq '0';
	},
	10);

# a backoff_function without end
$node->sql(
	q{SET SESSION AUTHORIZATION mallory;
	CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$;
	CREATE FUNCTION spins(int, jsonb) RETURNS interval
		LANGUAGE plpgsql AS $$BEGIN LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('spins', handler => 'fails()',
		backoff_function => 'spins(int,jsonb)', timeout => '200 ms');
	SELECT jobq.enqueue('spins');
});
my $spinning =
  q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobq executor' AND query LIKE '%fails%'
	AND state = 'active'};
poll_until(sub { return $node->sql($spinning) ne '' }, 5);
{
	ok( poll_until(
			sub {
				$node->sql("SELECT pg_cancel_backend(pid) FROM ($spinning) AS s");
				return $node->sql($spinning) eq '';
			},
			2),
		'a backoff_function can be cancelled');
}
$node->sql(q{SET SESSION AUTHORIZATION mallory; SELECT jobq.pause('spins')});
$node->sql("SELECT pg_terminate_backend(pid) FROM ($spinning) AS s");

# --------------------------------------------------------- hostile arguments

foreach my $call (
	"enqueue('mallorys', delay => '178000000 years')",
	"enqueue('mallorys', delay => '-1 s')",
	"enqueue('mallorys', run_at => 'infinity')",
	"enqueue('mallorys', priority => 32768)",
	"enqueue('mallorys', tags => '{{a},{b}}')",
	"enqueue('mallorys', tags => array_fill('x'::text, ARRAY[2000]))",
	"enqueue('mallorys', headers => '[]')",
	"enqueue('mallorys', unique_key => repeat('x', 3000))",
	"enqueue('mallorys', unique_key => '')",
	"enqueue('mallorys', max_attempts => -2147483647)",
	"create_queue(repeat('x', 1000))",
	"create_queue(E'a\\nb')",
	"create_queue('')",
	"create_queue('m', jitter => 'NaN')",
	"create_queue('m', backoff_factor => 'Infinity')",
	"create_queue('m', backoff_steps => '{}')",
	"create_queue('m', lease => '178000000 years')",
	"create_queue('m', handler => 'count(*)')",
	"create_queue('m', handler => 'jsonb_in(cstring)')",
	"schedule('m', '* * * * *', command => repeat('x', 10000000))",
	"schedule('m', '0 0 30 2 *', 'SELECT 1')",
	"schedule('m', repeat('1,', 100000) || '1 * * * *', 'SELECT 1')",
	"schedule('m', '0-99999999999 * * * *', 'SELECT 1')",
	"schedule('m', '* * * * *', 'SELECT 1', timezone => '../../../etc/passwd')",
	"schedule('m', '* * * * *', 'SELECT 1', starts_at => 'infinity')")
{
	like(state_as('mallory', "SELECT jobq.$call"),
		qr/^(?:22...|42...|54000)$/, substr($call, 0, 70));
}
foreach my $call (
	"enqueue(NULL)", "enqueue('mallorys', NULL)",
	"dequeue(NULL)", "dequeue_any(NULL)",
	"complete(NULL, 1)", "complete(1, NULL)",
	"fail(1, 1, NULL)", "cancel(NULL)",
	"retry(NULL)", "create_queue(NULL)",
	"schedule(NULL, '* * * * *')", "schedule('m', NULL, 'SELECT 1')",
	"run(NULL)")
{
	refused('mallory', '22004', "SELECT jobq.$call");
}
foreach
  my $call ("dequeue_any('{NULL}')", "complete_many('{NULL}', 1)", "next('mallorys', '{NULL}', 1)")
{
	refused('mallory', '22023', "SELECT jobq.$call");
}
is(state_as('mallory', "SELECT jobq.complete_many(array_fill(1::bigint, ARRAY[20000]), -1)"),
	'', 'many ids');

{
	$node->sql(q{SET SESSION AUTHORIZATION mallory; SELECT jobq.create_queue('late')});
	my $state = state_as(
		'mallory',
		q{SELECT jobq.enqueue('late', run_at => '294276-12-31 23:59:59Z', ttl => t::interval)
		FROM unnest(ARRAY['5 days', '1 year']) AS t});
	ok( $state eq '22008' || $state eq '22023' || (
			$state eq ''
			&& $node->sql(
				q{SELECT bool_and(expires_at IS NULL
					OR expires_at <= '294276-12-31 23:59:59.999999Z') AND count(*) = 2
			FROM jobq_store.job WHERE queue = (SELECT id FROM jobq_store.queue
				WHERE name = 'late')}) eq 't'),
		'a time to live beyond the end of time');
	$node->sql(q{SELECT jobq.drop_queue('late', true)});
}
{
	isnt(
		state_as(
			'mallory',
			"SELECT jobq.create_queue('steps', backoff_steps => array_fill('1 s'::interval,
				ARRAY[1000000]))"
		),
		'',
		'a list of backoff_steps that would fill the memory of every session');
	$node->psql('postgres', q{SELECT jobq.drop_queue('steps', true)});
}

# ------------------- a job that makes retention fail, and others' dead letters

$node->safe_psql('postgres', 'CREATE DATABASE retention');
create_extension($node, 'retention');
$node->create_clock('retention');
my $keep = $node->sql(
	q{
	SELECT jobq.grant_usage('guest');
	SELECT jobq.create_queue('kept', keep_dead => '10 years'), jobq.create_queue('open');
	SELECT jobq.grant_queue('open', 'guest', 'enqueue');
	SELECT jobq.enqueue('kept');
	SELECT jobq.fail(id, lease, 'boom', retryable => false) FROM jobq.dequeue('kept');
	SET SESSION AUTHORIZATION guest;
	SELECT jobq.enqueue('open', unique_key => 'k', unique_for => '170000000 years');
	RESET SESSION AUTHORIZATION;
	SELECT jobq.complete(id, lease) FROM jobq.dequeue('open');
	SELECT 1}, 'retention');
my $position = log_position($node);
for my $turn (1 .. 14)
{
	my $segment = $node->sql('SELECT history_segment FROM jobq_store.service', 'retention');
	$node->advance_clock('5 hours', 'retention');
	$node->sql(q{SELECT jobq.enqueue('open', delay => '1 ms')}, 'retention');
	poll_until(
		sub {
			return $node->sql('SELECT history_segment FROM jobq_store.service', 'retention') ne
			  $segment;
		},
		0.6);
}
{
	is($node->sql(q{SELECT count(*) FROM jobq.dead_letters WHERE queue = 'kept'}, 'retention'),
		'1', q{a role with nothing but "enqueue" cannot have other queues' dead letters deleted});
	unlike(
		log_since($node, $position),
		qr/jobq failed in retention/,
		'a role with nothing but "enqueue" cannot stop retention');
}

unlike(
	log_since($node, 0),
	qr/PANIC|TRAP:|terminated by signal|XX000/,
	'the server has survived all attacks');

done_testing();
