# t/078_owner_code.pl: payload checks and backoff functions, the code of a
# queue's owner, find nothing in the session of another role that calls
# them, and leave nothing there.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 4', 'max_prepared_transactions = 2' ]);

# bob owns the queue "bobs", alice enqueues into it.  What "sql" in the payload
# returns is why bob refuses it, so that the caller sees what bob has seen.
$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN;
	GRANT CREATE ON SCHEMA public TO alice, bob, carol;
	SELECT jobq.grant_usage(r, true) FROM unnest(ARRAY['alice', 'bob', 'carol']::regrole[]) AS r;
	SET SESSION AUTHORIZATION bob;
	CREATE TABLE bobs (t text);
	CREATE FUNCTION check_bobs(p jsonb) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE seen text;
	BEGIN
		IF p ? 'sql' THEN EXECUTE p ->> 'sql' INTO seen; END IF;
		IF p ? 'run' THEN EXECUTE p ->> 'run'; END IF;
		RETURN seen;
	END$$;
	CREATE FUNCTION attempt_sql(sql text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE sql;
		RETURN 'done';
	EXCEPTION WHEN OTHERS THEN RETURN sqlstate;
	END$$;
	CREATE FUNCTION fetch_from(name refcursor) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE r record;
	BEGIN
		FETCH name INTO r;
		RETURN r;
	EXCEPTION WHEN OTHERS THEN RETURN sqlstate;
	END$$;
	CREATE FUNCTION close_it(name refcursor) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		CLOSE name;
		RETURN 'closed';
	EXCEPTION WHEN OTHERS THEN RETURN sqlstate;
	END$$;
	SELECT jobq.create_queue('bobs', payload_check => 'check_bobs(jsonb)');
	SELECT jobq.grant_queue('bobs', 'alice', 'enqueue');
	SET SESSION AUTHORIZATION alice;
	CREATE TABLE secrets (id int PRIMARY KEY, s text);
	INSERT INTO secrets SELECT n, 'secret ' || n FROM generate_series(1, 200) AS n;
	-- what bob's code has seen: the DETAIL of the refusal, or its SQLSTATE
	CREATE FUNCTION bob_sees(sql text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE detail text;
	BEGIN
		PERFORM jobq.enqueue('bobs', jsonb_build_object('sql', sql));
		RETURN 'nothing';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN CASE WHEN sqlstate = '23514' THEN detail ELSE sqlstate END;
	END$$;
});

my $as_alice = 'SET SESSION AUTHORIZATION alice;';

# The last line of what a script of alice's prints.
sub alice
{
	my ($script) = @_;
	my $output = $node->sql("$as_alice $script");
	$output =~ s/.*\n//s;
	return $output;
}

# What bob sees, after what alice has done.
sub seen
{
	my ($sql, $before) = @_;
	$before //= '';
	return alice("$before; SELECT public.bob_sees(\$_\$$sql\$_\$)");
}

is(seen('SELECT current_user'), 'bob', 'a payload_check runs as the owner of the queue');

# ---------------------------------------------------------------- open cursors

is( alice(
		q{CREATE TEMP TABLE result (n int, stolen text);
	DO $$DECLARE r record; n int := 0; stolen text := ''; BEGIN
		FOR r IN SELECT * FROM public.secrets ORDER BY id LOOP
			stolen := stolen || public.bob_sees(
				'SELECT string_agg(public.fetch_from(name::refcursor), '' '')
				FROM (SELECT ''<unnamed portal '' || i || ''>'' AS name
					FROM generate_series(1, 9) AS i) AS c');
			n := n + 1;
		END LOOP;
		INSERT INTO result VALUES (n, substring(stolen from 'secret'));
	END$$;
	SELECT n, stolen IS NULL FROM result}),
	'200|t',
	q{a loop over a query is not read by a payload_check});

my $cursor =
  'BEGIN; DECLARE cc SCROLL CURSOR FOR SELECT * FROM public.secrets ORDER BY id; FETCH cc';
foreach my $try (
	[ q{SELECT public.fetch_from('cc')}, '55000' ],
	[ q{SELECT public.close_it('cc')}, '24000' ],
	[ q{SELECT public.attempt_sql('FETCH cc')}, '55000' ],
	[ q{SELECT public.attempt_sql('MOVE LAST IN cc')}, '55000' ],
	[ q{SELECT public.attempt_sql('CLOSE cc')}, '42501' ],
	[ q{SELECT public.attempt_sql('DECLARE cc CURSOR FOR SELECT 1')}, '42P03' ],
	[
		q{SELECT public.attempt_sql('UPDATE public.bobs SET t = '''' WHERE CURRENT OF cc')},
		'24000'
	],
	[ 'FETCH cc', '55000' ],
	[ 'CLOSE cc', '42501' ],
	[ q{SELECT count(*) FROM pg_cursors}, '42501' ],
	[ q{SELECT cursor_to_xmlschema('cc', true, false, '')}, '42501' ],
	[ q{SELECT cursor_to_xml('cc', 1, true, false, '')}, '55000' ])
{
	my ($sql, $expected) = @$try;
	is(alice(qq{$cursor; SELECT public.bob_sees(\$_\$$sql\$_\$); FETCH cc}),
		'2|secret 2', "$sql: the caller's cursor goes on");
	is(seen($sql, $cursor), $expected, "$sql: refused");
}
is( alice(qq{$cursor; SAVEPOINT s; SELECT public.bob_sees('SELECT 1/0'); ROLLBACK TO s; FETCH cc}),
	'2|secret 2',
	'a cursor can be used after an error in a payload_check, too');
is( alice(
		q{BEGIN;
			SELECT public.bob_sees(
				'SELECT public.attempt_sql(''DECLARE kept CURSOR FOR SELECT 1'')');
			SELECT count(*) FROM pg_cursors}
	),
	'0',
	'a cursor of the code is gone with it');
is( alice(
		q{BEGIN; SELECT jobq.enqueue('bobs', '{"run": "DECLARE kept CURSOR FOR SELECT 1"}') > 0;
	SELECT count(*) FROM pg_cursors}),
	'0',
	'also if it accepts the payload');

# ------------------------------------------------- what a session has, to read

my $secret = q{PREPARE secret_statement AS SELECT 'hunter2'};
is(seen(q{SELECT string_agg(statement, ' ') FROM pg_prepared_statements}, $secret),
	'42501', 'prepared statements are not shown');
foreach my $sql (
	'EXECUTE secret_statement',
	'EXPLAIN EXECUTE secret_statement',
	'CREATE TABLE public.stolen AS EXECUTE secret_statement',
	'EXPLAIN CREATE TABLE public.stolen AS EXECUTE secret_statement')
{
	is(seen($sql, $secret), '42501', "$sql: refused");
}
unlike(seen(q{SELECT coalesce(current_query(), 'none')}),
	qr/bob_sees/, 'the text of the query is not shown');
$node->sql(
	q{SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION stack() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE here text; there text; BEGIN
		GET DIAGNOSTICS here = PG_CONTEXT;
		BEGIN PERFORM 1/0;
			EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS there = PG_EXCEPTION_CONTEXT; END;
		RETURN replace(here || there, E'\n', ' ');
	END$$});
my $stack = seen('SELECT public.stack()');
like($stack, qr/function stack\(\)|function public\.stack\(\)/, 'the code sees its own call stack');
unlike($stack, qr/bob_sees|enqueue/, q{and not its caller's});
like(
	sql_error(
		$node, q{SET SESSION AUTHORIZATION alice;
	DO $$BEGIN PERFORM jobq.enqueue('bobs', '{"sql": "SELECT 1/0"}'); END$$}),
	qr/check_bobs\(jsonb\) line 4.*SELECT jobq\.enqueue.*inline_code_block/s,
	'an error of the code has the whole context');
is(seen(q{SELECT string_agg(c, ',') FROM pg_listening_channels() AS c}, 'LISTEN x'),
	'42501', 'the code sees no channels of the session');
foreach my $value ('lastval()', "currval('public.s')")
{
	is( seen(
			"SELECT $value",
			q{CREATE SEQUENCE IF NOT EXISTS public.s; GRANT USAGE ON SEQUENCE public.s TO bob;
				SELECT nextval('public.s')}
		),
		'42501',
		"the code sees no last value of a sequence by $value");
}
my $large =
  q{BEGIN; SELECT lo_create(4711); SELECT lo_put(4711, 0, 'secret'); SELECT lo_open(4711, 262144)};
foreach my $sql (
	q{SELECT convert_from(loread(0, 100), 'UTF8')},
	q{SELECT lowrite(0, 'x')},
	'SELECT lo_lseek(0, 0, 0)',
	'SELECT lo_tell(0)',
	'SELECT lo_truncate(0, 0)',
	'SELECT lo_close(0)',
	'SELECT lo_open(4711, 262144)',
	'SELECT lo_lseek64(0, 0, 0)',
	'SELECT lo_tell64(0)',
	'SELECT lo_truncate64(0, 0)')
{
	is(seen($sql, $large), '42501', "$sql: refused");
}

# ----------------------------------------------- what a session has, to change

# PostgreSQL 17 and later refuse such functions themselves
my $has_seed_functions =
  $node->sql(q{SELECT current_setting('server_version_num')::int < 170000}) eq 't';
$node->sql(
	q{SET SESSION AUTHORIZATION bob; CREATE FUNCTION with_seed() RETURNS int
		LANGUAGE sql SET seed = 0.5 AS 'SELECT 1'}
) if $has_seed_functions;
$node->sql(
	q{SET SESSION AUTHORIZATION bob; CREATE FUNCTION with_exits() RETURNS int
		LANGUAGE sql SET exit_on_error = on AS 'SELECT 1'});
my $has_transaction_timeout =
  $node->sql(q{SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'});
$node->sql(
	q{ALTER ROLE bob REPLICATION; SELECT pg_replication_origin_create('origin');
	GRANT EXECUTE ON FUNCTION pg_backup_start, pg_replication_origin_session_setup,
		pg_replication_origin_session_reset, pg_replication_origin_xact_setup TO bob});
foreach my $sql (
	q{SELECT pg_create_physical_replication_slot('slot', false, true)},
	q{SELECT pg_create_logical_replication_slot('slot', 'test_decoding', true)},
	q{SELECT pg_copy_physical_replication_slot('slot', 'copy', true)},
	q{SELECT pg_copy_logical_replication_slot('slot', 'copy', true)},
	q{SELECT pg_backup_start('backup', true)},
	q{SELECT pg_replication_origin_session_setup('origin')},
	q{SELECT pg_replication_origin_session_reset()},
	q{SELECT pg_replication_origin_xact_setup('0/1', now())},
	'SELECT pg_advisory_lock(1)',
	'SELECT pg_try_advisory_lock(1)',
	'SELECT pg_advisory_xact_lock(1, 2)',
	'SELECT pg_advisory_lock_shared(1)',
	'SELECT pg_try_advisory_xact_lock_shared(1, 2)',
	'SELECT pg_advisory_unlock(1)',
	'SELECT pg_advisory_unlock_shared(1)',
	'SELECT pg_advisory_unlock_all()',
	'SELECT pg_export_snapshot()',
	'SELECT setseed(0.5)',
	'SET seed = 0.5',
	'SET LOCAL seed = 0.5',
	q{LOAD 'plpgsql'},
	'SET CONSTRAINTS ALL DEFERRED',
	'SET CONSTRAINTS ALL IMMEDIATE',
	q{SELECT FROM unnest(ARRAY[1]) AS x WHERE pg_try_advisory_lock(x)},
	q{SELECT count(pg_advisory_lock(1))},
	q{DO 'BEGIN PERFORM pg_advisory_unlock_all(); END'},
	q{SELECT jobq.listen('bobs')},
	q{SELECT jobq.unlisten('bobs')},
	q{SELECT jobq.discard('bye')},
	q{SELECT jobq.retry_in('1 s')},
	q{SELECT set_config('seed', '0.5', true)},
	$has_seed_functions ? 'SELECT public.with_seed()' : (),
	'SET exit_on_error = on',
	'SET LOCAL exit_on_error = on',
	q{SELECT set_config('exit_on_error', 'on', true)},
	'SELECT public.with_exits()',
	$has_transaction_timeout
	? ( q{SET LOCAL transaction_timeout = '1ms'},
		q{SELECT set_config('transaction_timeout', '0', true)})
	: (),
	'LISTEN x',
	'UNLISTEN *',
	'PREPARE p AS SELECT 1',
	'DEALLOCATE ALL',
	'DISCARD ALL',
	'CLOSE ALL',
	'CREATE TEMP TABLE t (i int)')
{
	is(seen($sql), '42501', "$sql: refused");
	is(seen("SELECT public.attempt_sql(\$a\$$sql\$a\$)"),
		'42501', "$sql: refused even if the code catches the error");
}
is( alice(
		q{SET exit_on_error = on; SELECT public.bob_sees('SET exit_on_error = off');
	SELECT current_setting('exit_on_error')}),
	'on',
	'the caller keeps an exit_on_error of its own');
is( alice(
		q{SELECT pg_advisory_lock(42); SELECT public.bob_sees('SELECT pg_advisory_unlock_all()');
	SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()}),
	'1',
	q{the caller's advisory locks stay});
is( alice(q{SELECT public.bob_sees('SELECT pg_advisory_lock(1)'); SELECT pg_try_advisory_lock(2)}),
	't', 'the caller may do all that, also after an error in the code');
is(alice(q{SELECT public.bob_sees('SELECT 1'); SELECT pg_try_advisory_lock(2)}),
	't', 'a cancel after the code has ended');
$node->sql(
	q{SET SESSION AUTHORIZATION alice;
	CREATE TABLE children (id int REFERENCES secrets DEFERRABLE INITIALLY IMMEDIATE);
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO public.bobs VALUES ('sprung as ' || current_user); RETURN NULL; END$$;
	CREATE TABLE traps (i int);
	CREATE CONSTRAINT TRIGGER trap AFTER INSERT ON traps DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION spring()});
is(seen('INSERT INTO public.traps VALUES (1)'),
	'42501', 'no trigger is left for the end of the transaction');
like(
	sql_error(
		$node, q{SET SESSION AUTHORIZATION alice; BEGIN;
	SELECT public.bob_sees('SET CONSTRAINTS ALL DEFERRED'); INSERT INTO children VALUES (1000)}),
	qr/23503/,
	'constraints are checked when the caller wants them checked');
is( alice(
		q{SET work_mem = '5MB';
			SELECT public.bob_sees('SELECT set_config(''work_mem'', ''1MB'', false)');
	SELECT jobq.enqueue('bobs', '{"run": "SET work_mem = ''2MB''"}') > 0;
		SELECT current_setting('work_mem')}
	),
	'5MB',
	'settings are as they were');

# ------------------------------------------------- the caller's temporary schema

is( alice(
		q{CREATE FUNCTION pg_temp.f(bigint) RETURNS text LANGUAGE sql AS $$SELECT 'alice'$$;
	SELECT public.bob_sees('CREATE FUNCTION pg_temp.f(int) RETURNS text
		LANGUAGE sql AS ''SELECT text $a$bob$a$''');
	SELECT pg_temp.f(1)}),
	'alice',
	q{no function hides the caller's});
foreach my $sql (
	q{CREATE FUNCTION pg_temp.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'},
	q{CREATE OR REPLACE FUNCTION pg_temp.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'},
	q{CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS 'SELECT 1'},
	'CREATE AGGREGATE pg_temp.a(int) (sfunc = int4pl, stype = int)',
	'CREATE OPERATOR pg_temp.+ (function = int4pl, leftarg = int, rightarg = int)',
	'CREATE COLLATION pg_temp.c FROM "C"',
	'CREATE TEXT SEARCH CONFIGURATION pg_temp.c (copy = simple)',
	'CREATE TEXT SEARCH DICTIONARY pg_temp.d (template = simple)',
	q{CREATE CONVERSION pg_temp.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8},
	'CREATE STATISTICS pg_temp.s ON i, (i + 1) FROM public.traps',
	'CREATE TYPE pg_temp.t AS (i int)',
	'CREATE DOMAIN pg_temp.d AS int',
	q{CREATE TYPE pg_temp.e AS ENUM ('x')},
	'CREATE SEQUENCE pg_temp.s',
	'CREATE VIEW pg_temp.v AS SELECT 1')
{
	is(seen($sql, 'CREATE TEMP TABLE mine (i int)'), '42501', "$sql: refused");
	is(seen($sql), '42501', "$sql: refused where there is no temporary schema yet");
}
is( seen(
		q{SELECT public.attempt_sql('CREATE FUNCTION public.bob_made() RETURNS int
			LANGUAGE sql AS ''SELECT 1''')}
	),
	'done',
	'objects in other schemas can be made');

# ------------------------------------------------------ functions of operators

# The planner calls them with values of the statistics.
$node->sql(
	q{SET SESSION AUTHORIZATION bob;
	CREATE OPERATOR public.### (LEFTARG = int, RIGHTARG = int, PROCEDURE = pg_try_advisory_lock,
		RESTRICT = eqsel);
	CREATE OPERATOR public.##! (LEFTARG = int, RIGHTARG = int, PROCEDURE = pg_advisory_unlock,
		RESTRICT = eqsel);
	CREATE TABLE common (a int, b int);
	INSERT INTO common SELECT 5, 5 FROM generate_series(1, 100);
	CREATE STATISTICS common_values (mcv) ON a, b FROM common;
	CREATE INDEX ON common ((a + 0));
	ANALYZE common;
});
my $own_locks =
  q{SELECT string_agg(classid || ' ' || objid, ', ' ORDER BY classid, objid) FROM pg_locks
	WHERE locktype = 'advisory' AND pid = pg_backend_pid()};
foreach my $where (
	'a OPERATOR(public.%s) 77',
	'a + 0 OPERATOR(public.%s) 77',
	'a OPERATOR(public.%s) 77 AND b = 5 AND b OPERATOR(public.%1$s) 77')
{
	foreach my $operator ('###', '##!')
	{
		my $condition = sprintf($where, $operator);
		is( alice(
				qq{SELECT pg_advisory_lock(5, 77), pg_advisory_lock(5, 1);
					SELECT public.bob_sees('SELECT public.attempt_sql(
			''SELECT FROM public.common WHERE $condition'')');
				SELECT pg_advisory_unlock(5, 77) AS held \\gset
			SELECT :'held' || ' ' || ($own_locks)}),
			't 5 1',
			"$condition: no lock is taken or released");
	}
}

# ------------------------------------------- expressions that the caller has used

# PL/pgSQL keeps simple expressions that are ready until the transaction ends.
$node->sql(
	q{
	CREATE FUNCTION helper(k bigint) RETURNS boolean LANGUAGE plpgsql AS $$
	DECLARE result boolean; BEGIN
		result := pg_try_advisory_lock(k);
		RETURN result;
	END$$;
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION use_helper() RETURNS text LANGUAGE plpgsql AS $$BEGIN
		PERFORM set_config('search_path', 'public', true);
		RETURN public.attempt_sql('SELECT public.helper(99)');
	END$$});
foreach my $try (
	[ q{SELECT public.helper(1)}, q{SELECT public.bob_sees('SELECT public.use_helper()')} ],
	[
		q{SELECT public.bob_sees('SELECT 1'); SELECT public.helper(1)},
		q{SELECT public.bob_sees('SELECT public.use_helper()')}
	],
	[
		q{SELECT public.helper(1)}, q{SELECT public.bob_sees('SELECT 1'); SELECT public.helper(1);
		SELECT public.bob_sees('SELECT public.use_helper()')}
	],
	[
		'SELECT 1', q{DO $$BEGIN FOR i IN 1..2 LOOP PERFORM public.helper(1);
		PERFORM public.bob_sees('SELECT public.use_helper()'); END LOOP; END$$}
	])
{
	my ($before, $then) = @$try;
	is( alice(
			qq{SET search_path = public; BEGIN; SELECT public.helper(1); $before; $then; COMMIT;
		SELECT public.bob_sees('SELECT public.use_helper()') || ' ' || (
		$own_locks)}),
		'42501 0 1',
		"$before; $then: refused, though the caller's expression is ready");
}

# -------------------------------------------------------------- the caller's job

$node->sql(
	q{SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION see_job() RETURNS text LANGUAGE sql SECURITY DEFINER
		AS 'SELECT (jobq.current_job()).payload::text';
	CREATE FUNCTION end_job() RETURNS void
		LANGUAGE sql SECURITY DEFINER AS 'SELECT jobq.discard(''bye'')';
	CREATE FUNCTION delay_job() RETURNS void
		LANGUAGE sql SECURITY DEFINER AS 'SELECT jobq.retry_in(''1 s'')';
	CREATE FUNCTION raise(code text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		RAISE EXCEPTION 'bye' USING ERRCODE = code; END$$;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION work(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE result text; BEGIN
		EXECUTE p ->> 'do' INTO result;
		RETURN to_jsonb(result);
	END$$;
	SELECT jobq.create_queue('alices', handler => 'work(jsonb)', max_attempts => 2,
		backoff => 'fixed',
		backoff_base => '0 s');
});

# Runs alice's job, and returns how it has ended.
sub run_job
{
	my ($sql) = @_;
	my $id = alice("SELECT jobq.enqueue('alices', jsonb_build_object('do', \$_\$$sql\$_\$))");
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
	return $node->sql(
		"SELECT concat_ws(' ', state, attempt, sqlstate, result) FROM jobq.jobs WHERE id = $id");
}

like(run_job('SELECT (jobq.current_job()).queue'), qr/^completed 1 "alices"/, 'a job sees itself');
is( run_job(q{SELECT public.bob_sees('SELECT (jobq.current_job()).payload')}),
	'completed 1 "nothing"',
	'the code does not see the job that enqueues');
is(run_job(q{SELECT public.see_job()}), 'completed 1', q{nor does another role's function});
is(run_job(q{SELECT jobq.enqueue('bobs', '{"sql": "SELECT jobq.discard()"}')}),
	'dead 2 42501', 'the code cannot discard the job');
is(run_job(q{SELECT jobq.enqueue('bobs', '{"sql": "SELECT jobq.retry_in(''1 h'')"}')}),
	'dead 2 42501', 'the code cannot delay the job');
is(run_job('SELECT public.end_job()'),
	'dead 2 42501', q{another role's function cannot discard the job});
is(run_job('SELECT public.delay_job()'),
	'dead 2 42501', 'a function of another role cannot delay the job');
is(run_job(q{SELECT jobq.enqueue('bobs', '{"sql": "SELECT public.raise(''JQ102'')"}')}),
	'dead 2 P0001', 'the SQLSTATE of discard() does not work either');
is(run_job(q{SELECT jobq.enqueue('bobs', '{"sql": "SELECT public.raise(''JQ101'')"}')}),
	'dead 2 P0001', 'the SQLSTATE of retry_in() does not work either');
is(run_job(q{SELECT jobq.enqueue('bobs', '{"sql": "SELECT public.raise(''22000'')"}')}),
	'dead 2 22000', 'other errors are as they were raised');
is(run_job('SELECT jobq.discard()'), 'dead 1 JQ102', 'the job itself can be discarded');
$node->sql(
	q{SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION goes_on(code text, theirs boolean) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		BEGIN PERFORM jobq.discard('bye'); EXCEPTION WHEN OTHERS THEN NULL; END;
		IF theirs THEN PERFORM jobq.enqueue('bobs', jsonb_build_object('sql',
			format('SELECT public.raise(%L)', code)));
		ELSE RAISE 'bye' USING ERRCODE = code; END IF; END$$});
foreach my $code ('38000', '39000', 'XX000')
{
	is(run_job("SELECT public.goes_on('$code', true)"),
		"dead 2 $code", "a discard() that was caught is not meant by an error $code of the code");
	is(run_job("SELECT public.goes_on('$code', false)"),
		"dead 2 $code", "a discard() that was caught is not meant by a later error of the job");
}

# ------------------------------------------------------------ session-bound claims

$node->sql(
	q{SET SESSION AUTHORIZATION bob; SELECT jobq.create_queue('work'); SELECT jobq.enqueue('work')}
);
is(seen(q{SELECT id FROM jobq.dequeue('work', session_bound => true)}),
	'42501', 'no claim is bound to the session of the caller');
like(seen(q{SELECT id FROM jobq.dequeue('work')}), qr/^\d+$/, 'a claim by a lease can be made');

# ------------------------------------------------------------------------ nesting

$node->sql(
	q{SET SESSION AUTHORIZATION carol;
	CREATE FUNCTION check_carols(p jsonb) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE seen text; r record; BEGIN
		FOR i IN 1..9 LOOP
			BEGIN
				EXECUTE format('FETCH "<unnamed portal %s>"', i) INTO r;
				seen := concat_ws(' ', seen, r::text);
			EXCEPTION WHEN OTHERS THEN
			END;
		END LOOP;
		RETURN seen;
	END$$;
	SELECT jobq.create_queue('carols', payload_check => 'check_carols(jsonb)');
	SELECT jobq.grant_queue('carols', 'bob', 'enqueue');
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION loop_over() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE r record; n int := 0; locked text; BEGIN
		FOR r IN SELECT g FROM generate_series(1, 100) AS g LOOP
			PERFORM jobq.enqueue('carols', '{}');
			n := n + 1;
		END LOOP;
		BEGIN
			PERFORM pg_advisory_lock(1);
		EXCEPTION WHEN OTHERS THEN locked := sqlstate;
		END;
		RETURN concat_ws(' ', n, locked, current_user);
	END$$;
});
is( alice(
		q{CREATE TEMP TABLE result (t text);
	DO $$DECLARE r record; n int := 0; seen text; BEGIN
		FOR r IN SELECT * FROM public.secrets WHERE id <= 60 LOOP
			seen := public.bob_sees('SELECT public.loop_over()');
			n := n + 1;
		END LOOP;
		INSERT INTO result VALUES (concat_ws(' ', n, seen));
	END$$; SELECT t FROM result}),
	'60 100 42501 bob',
	q{code in code: nobody reads another's cursor, the rules hold on});

# -------------------------------------------------------------- backoff functions

$node->sql(
	q{SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION delay(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	DECLARE seen text; BEGIN
		EXECUTE error ->> 'sql' INTO seen;
		INSERT INTO public.bobs VALUES (seen);
		RETURN '0 s';
	END$$;
	SELECT jobq.create_queue('delayed', backoff_function => 'delay(int, jsonb)');
	SELECT jobq.grant_queue('delayed', 'alice', 'enqueue', 'consume');
});
is( alice(
		q{SELECT jobq.enqueue('delayed'); BEGIN;
			DECLARE cc CURSOR FOR SELECT * FROM public.secrets ORDER BY id;
	SELECT jobq.fail(id, lease, 'x', '{"sql": "SELECT public.fetch_from(''cc'')"}')
		FROM jobq.dequeue('delayed');
	FETCH cc}),
	'1|secret 1',
	q{a backoff_function does not fetch from the caller's cursor});

# ------------------------------------------------------------------- pins of portals

# PL/Perl takes the pin off a portal, and fails to close it then.
SKIP:
{
	skip 'PL/Perl is not installed', 2
	  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'});
	$node->sql(
		q{CREATE EXTENSION plperl;
		SET SESSION AUTHORIZATION bob;
		CREATE FUNCTION close_in_perl() RETURNS text LANGUAGE plperl AS $$
		spi_cursor_close("<unnamed portal $_>") foreach 1 .. 9; return 'closed' $$;
		CREATE FUNCTION unpin() RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			RETURN public.close_in_perl();
		EXCEPTION WHEN OTHERS THEN RETURN sqlstate;
		END$$;
	});
	is( alice(
			q{CREATE TEMP TABLE result (t text); INSERT INTO result VALUES ('');
		DO $$DECLARE r record; BEGIN
			FOR r IN SELECT g FROM generate_series(1, 3) AS g LOOP
				UPDATE result SET t = t || public.bob_sees('SELECT public.unpin()') || ' ';
			END LOOP;
		END$$; SELECT t FROM result}),
		'24000 24000 24000 ',
		'a loop ends well whose portal has been unpinned');
	is( alice(
			q{CREATE TEMP TABLE result (n int); INSERT INTO result VALUES (0);
		DO $$DECLARE r record; q record; BEGIN
			FOR r IN SELECT g FROM generate_series(1, 100) AS g LOOP
				IF r.g = 1 THEN PERFORM public.bob_sees('SELECT public.unpin()'); END IF;
				COMMIT;
				FOR q IN SELECT 1 LOOP UPDATE result SET n = n + 1; END LOOP;
			END LOOP;
		END$$; SELECT n FROM result}),
		'100',
		'a procedure that commits');
}

# ------------------------------------------------------------ signals and events

SKIP:
{
	skip 'PL/Perl is not installed', 3
	  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'plperl'});
	$node->sql(
		q{SET SESSION AUTHORIZATION bob;
		CREATE FUNCTION deafen() RETURNS text LANGUAGE plperl AS $$
			$SIG{$_} = 'IGNORE' for qw(ALRM INT TERM HUP USR1); return 'deaf' $$;
		CREATE FUNCTION deafen(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN
			PERFORM public.deafen(); RAISE 'deaf' USING ERRCODE = $1; END$$});
	foreach my $sql ('SELECT public.deafen()', q{SELECT public.deafen('22000')})
	{
		like(
			sql_error(
				$node, qq{SET SESSION AUTHORIZATION alice; SELECT public.bob_sees(\$_\$$sql\$_\$);
			SET statement_timeout = '100ms'; SELECT pg_sleep(20)}),
			qr/57014/,
			"$sql: timeouts work afterwards");
	}
	like(
		sql_error(
			$node,
			q{SET SESSION AUTHORIZATION alice; SELECT public.bob_sees('SELECT public.deafen()');
		SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(20)}),
		qr/57P01|terminat/,
		'a session deafened by the code can be terminated');
}

# PL/Tcl has one queue of events for all roles.
SKIP:
{
	skip 'PL/Tcl is not installed', 5
	  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pltcl'});
	$node->sql(
		q{CREATE EXTENSION pltcl;
		SET SESSION AUTHORIZATION bob;
		CREATE FUNCTION plant() RETURNS text LANGUAGE pltcl AS $$
			after idle {spi_exec "SET my.role = 'planted'"}; return planted $$;
		CREATE FUNCTION plant_too() RETURNS trigger LANGUAGE pltcl AS $$
			after idle {spi_exec "SET my.role = 'planted'"}; return SKIP $$;
		CREATE FUNCTION leave() RETURNS text LANGUAGE pltcl AS $$ elog FATAL bye $$;
		CREATE FUNCTION check_tcl(jsonb) RETURNS text LANGUAGE pltcl AS $$ elog FATAL bye $$;
		CREATE TABLE tcl_traps (i int);
		CREATE TRIGGER trap BEFORE INSERT ON tcl_traps FOR EACH ROW EXECUTE FUNCTION plant_too();
		SELECT jobq.create_queue('tcl', payload_check => 'check_tcl(jsonb)');
		SELECT jobq.grant_queue('tcl', 'alice', 'enqueue')});
	foreach my $sql (
		'SELECT public.plant()',
		'INSERT INTO public.tcl_traps VALUES (1)',
		'SELECT public.leave()')
	{
		is(seen($sql), '42501', "$sql: refused, since it is in PL/Tcl");
	}
	like(
		sql_error($node, q{SET SESSION AUTHORIZATION alice; SELECT jobq.enqueue('tcl')}),
		qr/ERROR:  42501: cannot execute check_tcl\(\), which is in language pltcl,/,
		'a payload_check in PL/Tcl');
	is( alice(
			q{CREATE FUNCTION pg_temp.nap() RETURNS text LANGUAGE pltcl AS 'update; return slept';
		SET my.role = 'alice';
			SELECT public.bob_sees('SELECT public.attempt_sql(''SELECT public.plant()'')');
		SELECT pg_temp.nap() || ' ' || current_setting('my.role')}),
		'slept alice',
		'no event is left for the caller');
}

# ------------------------------------------------------------------------- memory

SKIP:
{
	skip 'needs /proc', 1 unless -r '/proc/self/status';
	my $peak = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::int AS};
	cmp_ok(
		$node->sql(
			qq{SELECT count(*) FROM jobq.enqueue_many('bobs', array_fill('{}'::jsonb, ARRAY[200]));
			$peak before \\gset
			SELECT count(*) FROM jobq.enqueue_many('bobs', array_fill('{}'::jsonb, ARRAY[10000]));
			$peak after \\gset
			SELECT :after - :before}) =~ s/.*\n//sr,
		'<', 30000,
		'the checks of many payloads take no memory each (kB)');
}

$node->stop;
done_testing();
