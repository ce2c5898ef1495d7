# t/054_queue_functions.pl: the functions of queues: where they may be, and
# what happens when they change what jobq is working on, or fail.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

# -------------------------------------------------------- in temporary schemas

$node->sql(
	q{
	CREATE ROLE mallory LOGIN;
	SELECT jobq.grant_usage('mallory', true);
	CREATE TABLE seen (t text);
	GRANT INSERT ON seen TO mallory;
	SELECT jobq.create_queue('victim', max_attempts => 1, backoff_function => NULL);
	SELECT jobq.grant_queue('victim', 'mallory', 'enqueue', 'consume');
});
my $temp = q{
	CREATE FUNCTION pg_temp.f(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO public.seen VALUES ('ran as ' || current_user); RETURN true; END$$;
	CREATE FUNCTION pg_temp.f(int, jsonb) RETURNS interval LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO public.seen VALUES ('ran as ' || current_user); RETURN '0 s'; END$$;
	CREATE PROCEDURE pg_temp.p(jsonb) LANGUAGE sql AS '';
	CREATE TEMP TABLE t (i int);
	CREATE FUNCTION public.f(t) RETURNS boolean LANGUAGE sql AS 'SELECT true';};
foreach my $option (
	q{handler => 'pg_temp.f(jsonb)'},
	q{handler => 'pg_temp.p(jsonb)'},
	q{payload_check => 'pg_temp.f(jsonb)'},
	q{backoff_function => 'pg_temp.f(int, jsonb)'},
	q{handler => 'public.f(t)'},
	q{payload_check => 'public.f(t)'},
	q{backoff_function => 'public.f(t)'})
{
	foreach my $call ("jobq.create_queue('new', $option)", "jobq.alter_queue('victim', $option)")
	{
		my $error = sql_error($node, "$temp SELECT $call");
		like(
			$error,
			qr/ERROR:  22023: .*DETAIL:  It depends on a temporary schema/s,
			"$call is refused");
	}
}

# a name that has been stored all the same, as in a dump that is restored
foreach my $try (
	[ 'payload_check', 'f(jsonb)', q{SELECT jobq.enqueue('victim')}, qr/ERROR:  42883/ ],
	[ 'payload_check', 'f(pg_temp.t)', q{SELECT jobq.enqueue('victim')}, qr/ERROR:  42883/ ])
{
	my ($option, $function, $call, $expected) = @$try;
	my $error = sql_error(
		$node, qq{SET SESSION AUTHORIZATION mallory; $temp
		RESET SESSION AUTHORIZATION;
		UPDATE jobq_store.queue SET $option = replace('pg_temp.$function', 'pg_temp',
			pg_my_temp_schema()::regnamespace::text)
			WHERE name = 'victim';
		SELECT jobq.pause('victim'), jobq.resume('victim');
		SET SESSION AUTHORIZATION mallory;
		$call} =~ s/public\.f\(t\)/pg_temp.f(t)/r);
	like($error, $expected, "$option pg_temp.$function is not found");
}
$node->sql(
	q{UPDATE jobq_store.queue SET payload_check = NULL WHERE name = 'victim';
	SELECT jobq.pause('victim'), jobq.resume('victim');
		SELECT jobq.alter_queue('victim', max_attempts => 5)}
);
is( $node->sql(
		qq{SET SESSION AUTHORIZATION mallory; $temp
		RESET SESSION AUTHORIZATION;
		UPDATE jobq_store.queue SET backoff_function =
				pg_my_temp_schema()::regnamespace::text || '.f(int,jsonb)'
			WHERE name = 'victim';
		SELECT jobq.pause('victim'), jobq.resume('victim');
		SET SESSION AUTHORIZATION mallory;
		SELECT FROM jobq.enqueue('victim');
		SELECT jobq.fail(id, lease, 'no')
			FROM jobq.dequeue('victim')} =~ s/public\.f\(t\)/pg_temp.f(t)/r) =~ s/.*\n//sr,
	'scheduled',
	'a backoff_function in pg_temp is not found; the backoff of the queue holds');
is($node->sql('SELECT count(*) FROM seen'), '0', 'no function in a temporary schema was called');
$node->sql(
	q{UPDATE jobq_store.queue SET backoff_function = NULL, handler = 'pg_temp_3.f(jsonb)'
		WHERE name = 'victim';
	SELECT jobq.pause('victim'), jobq.resume('victim');
		SELECT jobq.alter_queue('victim', max_attempts => 1)}
);
my $id = $node->sql(q{SELECT jobq.enqueue('victim')});
poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
is($node->sql("SELECT state, sqlstate FROM jobq.jobs WHERE id = $id"),
	'dead|42883', 'a handler in pg_temp is not found');

# ------------------- functions that change what they are called for meanwhile

$node->sql(
	q{
	CREATE FUNCTION check_re(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		IF p ? 'sql' THEN EXECUTE p ->> 'sql'; END IF;
		RETURN true; END$$;
	CREATE FUNCTION delay_re(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$BEGIN
		IF error ? 'sql' THEN EXECUTE error ->> 'sql'; END IF;
		RETURN '1 h'; END$$;
});

# A queue with a job in the state given.
sub new_job
{
	my ($how) = @_;
	$node->sql(
		q{SELECT jobq.drop_queue('re', true) FROM jobq.queues WHERE queue = 're';
		SELECT jobq.create_queue('re', payload_check => 'check_re(jsonb)',
			backoff_function => 'delay_re(int, jsonb)',
			max_attempts => 5)});
	my $job = $node->sql(q{SELECT jobq.enqueue('re')});
	$node->sql("SELECT jobq.cancel($job)") if $how eq 'finished';
	return $job;
}

# Calls a function of jobq with a payload that has the payload_check do something
# to the job; returns the results or the SQLSTATE, and what has become of the job.
sub try_payload
{
	my ($how, $call, $doing) = @_;
	my $job = new_job($how);
	$doing =~ s/ID/$job/g;
	$call  =~ s/ID/$job/g;
	my $payload = "jsonb_build_object('sql', \$_\$$doing\$_\$)";
	$call =~ s/PAYLOAD/$payload/g;
	my ($out, $err) = ('', '');
	$node->psql(
		'postgres', "\\set VERBOSITY verbose\nSELECT $call",
		stdout => \$out,
		stderr => \$err);
	$out = $1 if $err =~ /ERROR:  (\w{5}):/;
	return "$out "
	  . $node->sql("SELECT concat_ws(' ', state, priority) FROM jobq.jobs WHERE id = $job");
}

foreach my $try (
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', 'SELECT jobq.delete(ID)', 'f ' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', 'SELECT jobq.cancel(ID)', 'f cancelled 0' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', 'SELECT jobq.set_priority(ID, 3)', 't ready 3' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', q{SELECT jobq.set_payload(ID, '{}')}, 't ready 0' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', q{SELECT jobq.take('re')}, 'f completed 0' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', q{SELECT jobq.dequeue('re')}, 'f running 0' ],
	[ 'ready', 'jobq.set_payload(ID, PAYLOAD)', q{SELECT jobq.drop_queue('re', true)}, 'f ' ],
	[ 'finished', 'jobq.retry(ID, PAYLOAD) > 0', 'SELECT jobq.retry(ID)', ' ready 0' ],
	[ 'finished', 'jobq.retry(ID, PAYLOAD) > 0', 'SELECT jobq.delete(ID)', ' ' ],
	[
		'finished',
		'jobq.retry(ID, PAYLOAD) > 0',
		q{SELECT jobq.alter_queue('re', priority => 7)},
		't ready 0'
	],
	[ 'finished', 'jobq.retry(ID, PAYLOAD) > 0', q{SELECT jobq.drop_queue('re', true)}, ' ' ],
	[
		'ready',
		q{jobq.enqueue('re', PAYLOAD) > 0},
		q{SELECT jobq.drop_queue('re', true)},
		'42704 ready 0'
	],
	[
		'ready',
		q{jobq.enqueue('re', PAYLOAD) > 0},
		q{SELECT jobq.alter_queue('re', priority => 7)},
		't ready 0'
	],
	[
		'ready',
		q{count(*) FROM jobq.enqueue_many('re', ARRAY[PAYLOAD, PAYLOAD])},
		q{SELECT jobq.dequeue('re')},
		'2 running 0'
	],
	[
		'ready',
		q{jobq.enqueue('re', PAYLOAD, unique_key => 'k', on_conflict => 'replace') > 0},
		q{SELECT jobq.enqueue('re', unique_key => 'k')},
		't ready 0'
	],
	[
		'ready',
		q{jobq.schedule('s', '0 0 * * *', queue => 're', payload => PAYLOAD)},
		q{SELECT jobq.drop_queue('re', true)},
		'42704 ready 0'
	],
	[
		'ready',
		q{jobq.schedule('s', '0 0 * * *', queue => 're', payload => PAYLOAD)},
		q{SELECT jobq.schedule('s', '1 0 * * *', queue => 're')},
		'1 ready 0'
	])
{
	my ($how, $call, $doing, $expected) = @$try;
	is(try_payload($how, $call, $doing), $expected, "$call, where the check does $doing");
}

foreach my $try (
	[ 'SELECT jobq.complete(ID, LEASE)', 'JQ001 running' ],
	[ q{SELECT jobq.fail(ID, LEASE, 'x', retry_in => '0 s')}, 'JQ001 running' ],
	[ 'SELECT jobq.release(ID, LEASE)', 'JQ001 running' ],
	[ 'SELECT jobq.cancel(ID)', 'JQ001 running' ],
	[ q{SELECT jobq.heartbeat(ID, LEASE, '1 min')}, 'scheduled scheduled' ],
	[ q{SELECT jobq.drop_queue('re', true)}, 'JQ001 running' ],
	[ q{SELECT jobq.reset_queue('re', 'backoff_function')}, 'scheduled scheduled' ])
{
	my ($doing, $expected) = @$try;
	my $job = new_job('ready');
	my $lease = $node->sql(q{SELECT lease FROM jobq.dequeue('re')});
	$doing =~ s/ID/$job/;
	$doing =~ s/LEASE/$lease/;
	my ($out, $err) = ('', '');
	$node->psql(
		'postgres',
		"\\set VERBOSITY verbose\n"
		  . "SELECT jobq.fail($job, $lease, 'x', jsonb_build_object('sql', \$_\$$doing\$_\$))",
		stdout => \$out,
		stderr => \$err);
	$out = $1 if $err =~ /ERROR:  (\w{5}):/;
	is("$out " . $node->sql("SELECT state FROM jobq.jobs WHERE id = $job"),
		$expected, "jobq.fail(), where the backoff_function does $doing");
}

# ---------------------------------------------------------- in executors

$node->sql(
	q{
	CREATE FUNCTION fail(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		RAISE EXCEPTION 'no' USING DETAIL = 'own detail'; END$$;
	CREATE FUNCTION delay(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	DECLARE mine bigint := (SELECT id FROM jobq.jobs WHERE queue = 'fails' AND state <> 'dead');
		BEGIN
		CASE (SELECT payload ->> 'do' FROM jobq.jobs WHERE id = mine)
			WHEN 'raise' THEN RAISE EXCEPTION 'out of order' USING ERRCODE = '22000';
			WHEN 'raise 57014' THEN RAISE EXCEPTION 'as if cancelled' USING ERRCODE = '57014';
			WHEN 'null' THEN RETURN NULL;
			WHEN 'priority' THEN UPDATE jobq_store.job SET priority = 9 WHERE id = mine;
			WHEN 'delete' THEN DELETE FROM jobq_store.job WHERE id = mine;
		END CASE;
		RETURN '1 h'; END$$;
	SELECT jobq.create_queue('fails', handler => 'fail(jsonb)',
		backoff_function => 'delay(int, jsonb)', max_attempts => 3,
		backoff => 'fixed', backoff_base => '20 min', jitter => 0);
});

# What becomes of a job that fails once.
sub run_once
{
	my ($do) = @_;
	my $job = $node->sql("SELECT jobq.enqueue('fails', '{\"do\": \"$do\"}')");
	poll_query($node,
		"SELECT count(*) = 0 FROM jobq.jobs WHERE id = $job AND state IN ('ready', 'running')");
	my $result = $node->sql(
		"SELECT concat_ws(' ', state, priority, round(extract(epoch FROM run_at - now()) / 60))
			FROM jobq.jobs WHERE id = $job"
	);
	$result .= '; ' . $node->sql(
		"SELECT concat_ws(' ', sqlstate, error), replace(detail, E'\\n', ' / ') FROM jobq.attempts
			WHERE job_id = $job"
	);
	$node->sql("SELECT jobq.delete($job)");
	return $result;
}

my $position = log_position($node);
my $backoff_holds = qr/DETAIL:  The queue's backoff is used instead/;
is( run_once('raise'),
	q{scheduled 0 20; P0001 no|own detail / The queue's backoff_function failed}
	  . ' with SQLSTATE 22000: out of order',
	'a backoff_function that fails: the backoff of the queue holds, and the attempt tells');
like(
	log_since($node, $position),
	qr/LOG:  backoff_function of queue "fails" failed for job \d+: out of order.*$backoff_holds/s,
	'the log tells of a backoff_function that fails');
is( run_once('raise 57014'),
	q{scheduled 0 20; P0001 no|own detail / The queue's backoff_function failed}
	  . ' with SQLSTATE 57014: it was interrupted',
	'the same where it was interrupted');
is(run_once('null'), 'dead 0 0; P0001 no|own detail', 'NULL means that the job is dead');
like(
	run_once('priority'),
	qr/^scheduled 9 60;/,
	'a backoff_function that changes the row of the job');
is(run_once('delete'), '; ', 'a backoff_function that deletes the row of the job');
unlike(log_since($node, $position),
	qr/XX000/, "a backoff_function that changes its job's row causes no internal error");

# from outside
$node->sql(
	q{SELECT jobq.create_queue('outside', backoff_function => 'delay_re(int, jsonb)',
		backoff => 'fixed',
	backoff_base => '20 min', jitter => 0); SELECT jobq.enqueue('outside')});
$position = log_position($node);
is( $node->sql(
		q{SELECT jobq.fail(id, lease, 'no', '{"sql": "SELECT 1/0"}') FROM jobq.dequeue('outside')}),
	'scheduled',
	'jobq.fail() succeeds where the backoff_function fails');
is( $node->sql(
		q{SELECT round(extract(epoch FROM run_at - now()) / 60), detail FROM jobq.jobs
			JOIN jobq.attempts ON job_id = id
	WHERE jobs.queue = 'outside'}),
	q{20|The queue's backoff_function failed with SQLSTATE 22012: division by zero},
	'the backoff of the queue holds where the backoff_function fails');
like(
	log_since($node, $position),
	qr/LOG:  backoff_function of queue "outside" failed/,
	'the log has the failed backoff_function of jobq.fail()');

# What a session prints that fails a job of the queue with that error data, and
# goes on afterwards; how much of an error is shown; and the job's state.
sub fail_and_go_on
{
	my ($queue, $data, $before) = @_;
	my ($out, $err) = ('', '');
	my $job = $node->sql("SELECT jobq.enqueue('$queue')");
	my $lease = $node->sql("SELECT lease FROM jobq.dequeue('$queue')");
	$node->psql(
		'postgres', qq{\\set VERBOSITY sqlstate
		$before;
		SELECT jobq.fail($job, $lease, 'no', '$data');
		SELECT 'goes on';
		ROLLBACK;
		SELECT 'and on'},
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 0);
	$out .= ' ' . $node->sql("SELECT state FROM jobq.jobs WHERE id = $job");
	$node->sql("SELECT jobq.cancel($job)");
	return join(' ', split(/\n/, $out), $err =~ /(?:ERROR|FATAL):  (\w+)/g);
}

is( fail_and_go_on('outside', '{"sql": "SELECT pg_sleep(180)"}', q{SET statement_timeout = '1s'}),
	'goes on and on running 57014',
	'a statement that is cancelled in a backoff_function leaves the session in order');
is( fail_and_go_on(
		'outside',
		'{"sql": "SELECT pg_sleep(180)"}',
		q{SET statement_timeout = '1s'; BEGIN}),
	'and on running 57014 25P02',
	'a statement that is cancelled in a backoff_function aborts its transaction');
foreach my $code ('57000', '57P01', '57P02', '57P03', 'XX000')
{
	is( fail_and_go_on(
			'outside', qq[{"sql": "DO \$\$BEGIN RAISE ''x'' USING ERRCODE = ''$code''; END\$\$"}],
			'SELECT'),
		'scheduled goes on and on scheduled',
		"jobq.fail() succeeds where the backoff_function raises $code");
}

# ---------------------------------------- functions that were made anew otherwise

$node->sql(
	q{CREATE FUNCTION anew(jsonb) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
	CREATE FUNCTION anew(int, jsonb) RETURNS interval LANGUAGE sql AS $$SELECT interval '1 h'$$;
	CREATE FUNCTION anew_state(bool, jsonb) RETURNS bool LANGUAGE sql AS 'SELECT true';
	SELECT jobq.create_queue('anew', payload_check => 'anew(jsonb)');
	SELECT jobq.create_queue('later', backoff_function => 'anew(int, jsonb)', backoff => 'fixed',
		backoff_base => '20 min')}
);
foreach my $made (
	q{FUNCTION anew(jsonb) RETURNS varchar LANGUAGE sql AS $$SELECT 'refused'::varchar$$},
	q{FUNCTION anew(jsonb) RETURNS bigint LANGUAGE sql AS 'SELECT 4711::bigint'},
	q{FUNCTION anew(jsonb) RETURNS SETOF text LANGUAGE sql AS $$SELECT 'refused'$$},
	q{FUNCTION anew(jsonb) RETURNS void LANGUAGE sql AS ''},
	q{AGGREGATE anew(jsonb) (sfunc = anew_state, stype = bool)},
	q{PROCEDURE anew(jsonb) LANGUAGE sql AS ''})
{
	$node->sql("DROP ROUTINE anew(jsonb); CREATE $made");
	like(
		sql_error($node, q{SELECT jobq.enqueue('anew')}),
		qr/ERROR:  22023: public\.anew\(jsonb\) cannot (?:check payloads|be used by a queue)/,
		"a payload_check that is now $made");
}
foreach my $made (
	q{FUNCTION anew(int, jsonb) RETURNS text LANGUAGE sql AS $$SELECT '1 s'$$},
	q{FUNCTION anew(int, jsonb) RETURNS float8 LANGUAGE sql AS 'SELECT 1.0::float8'},
	q{FUNCTION anew(int, jsonb) RETURNS SETOF interval LANGUAGE sql AS $$SELECT interval '1 s'$$},
	q{PROCEDURE anew(int, jsonb) LANGUAGE sql AS ''})
{
	$node->sql("DROP ROUTINE anew(int, jsonb); CREATE $made");
	my $job = $node->sql(q{SELECT jobq.enqueue('later')});
	is($node->sql(q{SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('later')}),
		'scheduled', "a backoff_function that is now $made is refused");
	like(
		$node->sql("SELECT detail FROM jobq.attempts WHERE job_id = $job"),
		qr/SQLSTATE 22023: public\.anew\(integer,jsonb\) cannot/,
		'the attempt tells what is wrong with the function');
}

$node->stop;
done_testing();
