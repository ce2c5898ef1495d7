# t/075_other_roles.pl: ways to have SQL run as another role, or to get at its
# queues, by settings, functions and objects around jobq rather than by its
# arguments. See also t/071_security.pl, t/074_privileges.pl and
# t/070_attacks.pl.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 4', 'jobq.worker_idle_timeout = 1h' ]);

sub sql
{
	my ($sql, $role) = @_;
	return $node->safe_psql('postgres', ($role ? "SET SESSION AUTHORIZATION $role;\n" : '') . $sql);
}

sub error
{
	my ($role, $sql) = @_;
	return sql_error($node, "SET SESSION AUTHORIZATION $role;\n$sql");
}

sub all_done
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node, q{SELECT count(*) = 0 FROM jobq_store.job WHERE queue IN
		(SELECT id FROM jobq_store.queue WHERE handler IS NOT NULL OR is_run)}, $name);
}

sql(q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE mallory LOGIN;
	GRANT CREATE ON SCHEMA public TO alice, bob, mallory;
	SELECT jobq.grant_usage('alice', true), jobq.grant_usage('bob', true),
		jobq.grant_usage('mallory', true);
	CREATE TABLE seen (n serial, t text);
	GRANT INSERT, SELECT ON seen TO PUBLIC;
	GRANT USAGE ON SEQUENCE seen_n_seq TO PUBLIC;
	CREATE FUNCTION see(what text) RETURNS void LANGUAGE sql SET search_path = pg_catalog AS
		$$INSERT INTO public.seen(t) VALUES (what || ' ' || current_user || '/' || session_user)$$;
});

sub seen
{
	my ($what) = @_;
	return sql("SELECT string_agg(DISTINCT t, ', ' ORDER BY t) FROM seen WHERE t LIKE '$what %'");
}

# ------------------------------------ what the extension is made of

# C functions that run as their caller and elevate themselves, and views whose
# rules refer to nothing outside of pg_catalog and jobq_store. The one that is
# leakproof is an arithmetic one, which conditions on run_at must not stop at. No trigger,
# rule, policy, default or index expression leads to code of others, and
# nothing is resolved by search_path when it is used.
is( sql(q{SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc AS p
	WHERE pronamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
	AND (prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') OR prosecdef
		OR proleakproof AND proname <> 'real_run_at' OR proconfig IS NOT NULL)}
	),
	'',
	'all functions are in C, and run as who calls them');
is( sql(q{SELECT string_agg(DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0), ', ')
	FROM pg_class AS c JOIN pg_rewrite AS r ON r.ev_class = c.oid
		JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
	WHERE c.relnamespace IN ('jobq'::regnamespace, 'jobq_store'::regnamespace)
	AND NOT (d.refclassid = 'pg_proc'::regclass AND d.refobjid IN
		(SELECT oid FROM pg_proc WHERE pronamespace = 'jobq_store'::regnamespace))
	AND NOT (d.refclassid = 'pg_class'::regclass AND d.refobjid IN
		(SELECT oid FROM pg_class WHERE relnamespace IN ('jobq'::regnamespace,
			'jobq_store'::regnamespace)))}
	),
	'',
	'views refer to nothing but pg_catalog and jobq_store');
is( sql(q{SELECT (SELECT string_agg(format('%s %s', tgrelid::regclass, tgfoid::regprocedure), ', ')
		FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
			WHERE relnamespace = 'jobq_store'::regnamespace AND tgname NOT LIKE 'owner_only%'),
	(SELECT string_agg(DISTINCT tgfoid::regprocedure::text, ', ')
		FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
			WHERE relnamespace = 'jobq_store'::regnamespace AND tgname LIKE 'owner_only%'),
	(SELECT count(*) FROM pg_policy AS p JOIN pg_class AS c ON c.oid = polrelid
		WHERE relnamespace = 'jobq_store'::regnamespace),
	(SELECT count(*) FROM pg_class WHERE relnamespace IN ('jobq'::regnamespace,
		'jobq_store'::regnamespace)
		AND (relrowsecurity OR relkind IN ('r', 'p') AND relhasrules)),
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'v'
		AND NOT reloptions @> '{security_barrier=true}'),
	(SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = indrelid
		WHERE relnamespace = 'jobq_store'::regnamespace AND indexprs IS NOT NULL)}),
	'jobq_store.queue_grant jobq_store.skip_row()|jobq_store.refuse_others()|0|0|0|0',
	'triggers of its own only, no policy, rule or expression, and every view is a barrier');

# ------------------------------- objects in the caller's schemas and pg_temp

# a superuser is made to have all of mallory's schema and temporary objects
# before pg_catalog; whatever is looked up by name leaves a trace
sql(q{CREATE SCHEMA trap;
	GRANT USAGE ON SCHEMA trap TO PUBLIC;
	CREATE TABLE trap.log (what text);
	GRANT INSERT ON trap.log TO PUBLIC;
	CREATE FUNCTION trap.spring(what text) RETURNS void LANGUAGE sql AS $$INSERT INTO trap.log
		VALUES ($1)$$;
	DO $do$DECLARE f record; BEGIN
		-- every function of one or two arguments that jobq or the server might call by name
		FOR f IN SELECT DISTINCT proname, oidvectortypes(proargtypes) AS args,
			format_type(prorettype, NULL) AS result
			FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
				AND NOT proretset AND provariadic = 0 AND prorettype <> 'void'::regtype
			AND proname IN ('now', 'clock_timestamp', 'to_jsonb', 'coalesce', 'nextval', 'setval',
				'current_setting', 'set_config',
				'format_type', 'quote_ident', 'quote_literal', 'to_regprocedure', 'int4eq',
					'texteq', 'timestamptz_pl_interval',
				'has_schema_privilege', 'pg_notify', 'lower', 'length', 'jsonb_build_object',
					'date_part', 'greatest', 'text', 'int4', 'int8')
			AND NOT EXISTS (SELECT FROM unnest(proargtypes) AS a
				WHERE a::regtype::text LIKE 'any%' OR a::regtype::text IN ('cstring', 'internal'))
		LOOP
			EXECUTE format('CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS
				$f$BEGIN PERFORM trap.spring(%L); RETURN NULL; END$f$',
				f.proname, f.args, f.result, f.proname);
		END LOOP;
		FOR f IN SELECT DISTINCT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r,
			o.oprresult::regtype AS result, o.oprcode
			FROM pg_operator AS o WHERE oprname IN ('=', '<>', '<', '>', '<=', '>=', '||', '+',
				'-', '->>', '->') AND oprleft <> 0
			AND (o.oprleft::regtype::text IN ('text', 'name', 'integer', 'bigint', 'smallint',
				'oid', 'boolean', 'interval', 'jsonb')
				OR o.oprleft::regtype::text LIKE 'timestamp with%')
		LOOP
			EXECUTE format('CREATE FUNCTION trap.%I(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS
				$f$BEGIN PERFORM trap.spring(%L); RETURN NULL; END$f$',
				'operator_' || f.oprcode::oid || '_' || f.l::oid || '_' || f.r::oid, f.l, f.r,
					f.result, f.oprname);
			EXECUTE format('CREATE OPERATOR trap.%s (LEFTARG = %s, RIGHTARG = %s,
				FUNCTION = trap.%I)', f.oprname, f.l, f.r,
				'operator_' || f.oprcode::oid || '_' || f.l::oid || '_' || f.r::oid);
		END LOOP;
	END$do$;
	CREATE TABLE trap.job (id int); CREATE TABLE trap.queue (id int);
		CREATE TABLE trap.schedule (id int);
	CREATE TYPE trap.jobq AS (id int);
});
my $trapped = q{SET search_path = trap, pg_temp, pg_catalog, public;
	CREATE TEMP TABLE job (id int); CREATE TEMP TABLE queue (id int);
		CREATE TEMP TABLE pg_class (oid int);
	CREATE TEMP TABLE pg_proc (oid int); CREATE TEMP TABLE service (stopped int);
};
is(sql("$trapped SELECT 1 = 1, now(); SELECT pg_catalog.count(*) FROM trap.log") =~ s/^\|\n//r,
	'2', 'the traps are set');
sql('TRUNCATE trap.log');
foreach my $calls (
	q{jobq.create_queue('t', 'public.see_job(jsonb)', on_dead => NULL,
		payload_check => 'public.accept(jsonb)',
		backoff_function => 'public.backoff(int, jsonb)')},
	q{jobq.create_queue('x', max_attempts => 1, on_dead => 't', keep_completed_count => 1)},
	q{jobq.grant_usage('bob', true), jobq.grant_queue('x', 'bob', 'enqueue', 'read')},
	q{jobq.enqueue('x', '{}', delay => '1 s', unique_key => 'a', unique_for => '1 day',
		tags => '{a}', headers => '{"a": 1}')},
	q{jobq.enqueue('x', '{}', unique_key => 'a', on_conflict => 'replace',
		ttl => '1 hour', timeout => '1 s')},
	q{jobq.enqueue_many('x', '{1,2,3,4}')},
	q{jobq.run('SELECT 1')},
	q{* FROM jobq.dequeue('x')},
	q{* FROM jobq.dequeue_any('{x}')},
	q{* FROM jobq.take('x')},
	q{jobq.complete(id, lease) FROM jobq.dequeue('x')},
	q{jobq.enqueue_many('x', '{1,2}')},
	q{jobq.fail(id, lease, 'x') FROM jobq.dequeue('x')},
	q{jobq.release(id, lease) FROM jobq.dequeue('x')},
	q{* FROM jobq.next('x', '{}', 1)},
	q{jobq.retry(id) FROM jobq.dead_letters},
	q{jobq.cancel(id, 'x') FROM jobq.jobs},
	q{jobq.schedule('t', '@daily', 'SELECT 1')},
	q{jobq.run_schedule('t')},
	q{jobq.enable_schedule('t', false)},
	q{jobq.backfill('t', pg_catalog.timestamptz '2026-01-01', pg_catalog.timestamptz '2026-01-03')},
	q{jobq.unschedule('t')},
	q{jobq.cron_next('@daily')},
	q{jobq.cron_describe('@daily')},
	q{jobq.throttle('x', '0'), jobq.throttle('x', '0', 'g')},
	q{jobq.create_limit('x', 1), jobq.alter_limit('x', 2), jobq.reset_limit('x', 'max_running')},
	q{jobq.alter_queue('x', shared_limit => 'x'), jobq.reset_queue('x', 'shared_limit')},
	q{jobq.alter_limit('x', owner => 'bob'), jobq.drop_limit('x')},
	q{jobq.pause('x', 'g'), jobq.resume('x', 'g')},
	q{jobq.set_group('x', 'g', 1), jobq.reset_group('x', 'g')},
	q{jobq.reset_key('x', 'k')},
	q{jobq.pause('x'), jobq.resume('x'), jobq.channel('x'), jobq.listen('x'), jobq.unlisten('x')},
	q{jobq.alter_queue('x', lease => '1 s'), jobq.reset_queue('x', 'lease')},
	q{jobq.stop()},
	q{jobq.start()},
	(   map { "pg_catalog.count(*) FROM jobq.$_" }
		  qw(jobs queues attempts dead_letters schedules schedule_runs workers)),
	q{jobq.revoke_queue('x', 'bob', 'read'), jobq.drop_queue('x', true), jobq.drop_queue('t', true)}
  )
{
	$node->psql(
		'postgres',
		q{CREATE OR REPLACE FUNCTION public.see_job(jsonb) RETURNS void LANGUAGE sql AS '';
		CREATE OR REPLACE FUNCTION public.accept(jsonb) RETURNS boolean
			LANGUAGE sql AS 'SELECT true';
		CREATE OR REPLACE FUNCTION public.backoff(int, jsonb) RETURNS interval
			LANGUAGE sql AS $$SELECT '1 s'::interval$$}
	) if $calls =~ /create_queue\('t'/;
	is(sql_error($node, "$trapped SELECT $calls"), '', "$calls, among traps");
}
is(sql(q{SELECT string_agg(DISTINCT what, ' ') FROM trap.log}), '', 'no call steps into a trap');

# --------------------------------------- settings of databases and of roles

# Those that the owner of a database may set, and what they would do to the
# coordinator and the executors that connect to it
sql('ALTER DATABASE postgres OWNER TO mallory');
my $turn = 0;
foreach my $setting (
	q{role = 'bob'},
	q{session_authorization = 'bob'},
	q{search_path = trap, pg_temp, pg_catalog},
	'statement_timeout = 1',
	'lock_timeout = 1',
	'idle_in_transaction_session_timeout = 1',
	q{default_transaction_isolation = 'serializable'},
	'default_transaction_deferrable = on',
	'row_security = off',
	q{DateStyle = 'SQL, DMY'},
	'standard_conforming_strings = off',
	'transform_null_equals = on',
	q{default_tablespace = 'x'},
	q{session_replication_role = 'replica'},
	q{jobq.log_jobs = 'all'})
{
	# not even the SET that would turn it off is done within a millisecond
	local $ENV{PGOPTIONS} =
	  '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0';
	my $by = $setting =~ /^(?:session_replication|jobq)/ ? undef : 'mallory';
	my ($name) = $setting =~ /^(\S+)/;
	my $refused = sql_error($node,
		($by ? "SET SESSION AUTHORIZATION $by; " : '') . "ALTER DATABASE postgres SET $setting");
	if ($refused)
	{
		like(
			$refused,
			qr/ERROR:  (?:22023|42501|42704|55P02|0A000)/,
			"ALTER DATABASE SET $setting is refused");
		next;
	}
	# all of them connect again
	$node->restart;
	$turn++;
	my $id = $node->safe_psql(
		'postgres', qq{SET role = none; SET search_path = public; SET SESSION AUTHORIZATION alice;
		SELECT jobq.run('SELECT public.see(''turn $turn'')', max_attempts => 1)});
	my $psql = 'SET role = none; SET search_path = pg_catalog, public;';
	poll_ok(
		$node,
		"$psql SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id",
		"a job ends with $setting");
	my $state = $node->safe_psql('postgres',
		"$psql SELECT state, sqlstate FROM jobq_store.history WHERE id = $id");
	# alice's own work is slow for a statement_timeout of 1 ms
	my $who = $node->safe_psql('postgres', "$psql SELECT t FROM seen WHERE t LIKE 'turn $turn %'");
	ok( $who eq "turn $turn alice/alice" || ($state =~ /^4\|(?:57014|55P03|25006)$/ && $who eq ''),
		"a job runs as alice, with $setting") or diag("$state $who");
	$node->safe_psql('postgres', "$psql ALTER DATABASE postgres RESET $name");
}
$node->safe_psql('postgres',
	q{SET ROLE NONE; ALTER DATABASE postgres RESET ALL; ALTER DATABASE postgres OWNER TO postgres});

# A limit of transactions is none of jobs: theirs are jobq's, and have several
SKIP:
{
	skip 'there is no transaction_timeout before PostgreSQL 17', 2
	  if sql(q{SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'}) eq '0';
	local $ENV{PGOPTIONS} = '-c transaction_timeout=0';
	sql(q{ALTER DATABASE postgres SET transaction_timeout = '100ms'});
	$node->safe_psql(
		'template1', q{SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
		WHERE backend_type ~ 'jobq (coordinator|executor)'});
	foreach
	  my $command (q{SELECT pg_sleep(0.5)}, q{DO $$BEGIN COMMIT; PERFORM pg_sleep(0.5); END$$})
	{
		my $id = sql("SELECT jobq.run(\$_\$$command\$_\$, max_attempts => 1)");
		poll_ok(
			$node,
			"SELECT state = 'completed' FROM jobq.jobs WHERE id = $id",
			"transaction_timeout does not end $command");
	}
	sql('ALTER DATABASE postgres RESET transaction_timeout');
}

# An error of a job is no end of its process
{
	local $ENV{PGOPTIONS} = '-c exit_on_error=off';
	sql(q{ALTER DATABASE postgres SET exit_on_error = on});
	$node->safe_psql(
		'template1', q{SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
		WHERE backend_type ~ 'jobq (coordinator|executor)'});
	my $caught = 'DO $$BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END$$';
	my %ends = ('SELECT 1 / 0' => 'dead 22012', $caught => 'completed');
	foreach my $command (sort keys %ends)
	{
		my $id = sql("SELECT jobq.run(\$_\$$command\$_\$, max_attempts => 1)");
		poll_ok(
			$node,
			"SELECT concat_ws(' ', state, sqlstate) FROM jobq.jobs WHERE id = $id",
			"exit_on_error: $command",
			expected => $ends{$command});
	}
	sql('ALTER DATABASE postgres RESET exit_on_error');
}

# executors have what they have begun with
$node->safe_psql('template1',
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
is(sql(q{SELECT count(*) FROM trap.log WHERE what <> ''}), '0', 'the workers step into no trap');

# -------------------------------------------- functions around jobq's functions

# who counts is current_user, as for tables: a SECURITY DEFINER function lends
# its owner's privileges, and its jobs are its owner's
sql(q{SELECT jobq.create_queue('alices', owner => 'alice'), jobq.create_queue('bobs',
	owner => 'bob')}
);
sql(q{CREATE FUNCTION lend(p jsonb) RETURNS bigint
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
		$$SELECT jobq.enqueue('alices', p)$$;
	CREATE FUNCTION lend_run() RETURNS bigint
		LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
		$$SELECT jobq.run('SELECT public.see(''lent'')')$$;
	CREATE FUNCTION lend_look() RETURNS bigint
		LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
		$$SELECT count(*) FROM jobq.jobs WHERE queue = 'alices'$$;
	CREATE VIEW public.alices_view AS SELECT * FROM jobq.jobs;
	GRANT SELECT ON public.alices_view TO mallory;}, 'alice');
like(error('mallory', q{SELECT jobq.enqueue('alices')}), qr/42501/, 'mallory may not enqueue');
is(sql(q{SELECT lend('{}') > 0, lend_look()}, 'mallory'),
	't|1', 'a function of alice lets mallory enqueue');
sql('SELECT lend_run()', 'mallory');
all_done('a command that a SECURITY DEFINER function gave to run() is run');
is(seen('lent'), 'lent alice/alice', 'a lent command runs as the owner of the function');
is(sql('SELECT count(*) FROM jobq.jobs', 'mallory'), '0', 'mallory sees nothing');
is(sql('SELECT count(*) FROM alices_view', 'mallory'),
	'0', 'mallory sees nothing by a view of one who does');
sql('CREATE VIEW public.supers_view AS SELECT * FROM jobq.jobs;
	GRANT SELECT ON public.supers_view TO mallory'
);
is(sql('SELECT count(*) FROM supers_view', 'mallory'),
	'0', 'mallory sees nothing by a view of a superuser');

# code that a superuser runs as mallory without meaning to: by index
# expressions, materialized views, and triggers of her tables
sql(q{CREATE FUNCTION enqueues(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
		PERFORM jobq.run('SELECT public.see(''indexed'')'); RETURN i; END$$;
	CREATE TABLE indexed (i int); INSERT INTO indexed VALUES (1);
	CREATE INDEX ON indexed (public.enqueues(i));
	CREATE MATERIALIZED VIEW materialized AS SELECT public.enqueues(1) WITH NO DATA;}, 'mallory');
sql(    'REINDEX TABLE indexed; ANALYZE indexed; VACUUM FULL indexed; '
	  . 'REFRESH MATERIALIZED VIEW materialized');
all_done('what maintenance has enqueued is run');
is( seen('indexed'),
	'indexed mallory/mallory',
	"jobs enqueued during maintenance run as the table's owner");

# ----------------------------------------------- handlers, and what becomes of them

sql(q{CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO PUBLIC});
sql(q{CREATE FUNCTION app.handler(p jsonb) RETURNS void
	LANGUAGE sql AS $$SELECT public.see('handler')$$;
	SELECT jobq.create_queue('handled', 'app.handler(jsonb)', max_attempts => 1)}, 'alice');
my $run = q{SELECT jobq.enqueue('handled')};
my $last =
  q{SELECT coalesce(sqlstate, '') FROM jobq.jobs WHERE queue = 'handled' ORDER BY id DESC LIMIT 1};

sub handle
{
	my ($expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sql('TRUNCATE seen');
	sql($run);
	poll_query(
		$node,
		q{SELECT count(*) = 0 FROM jobq_store.job WHERE queue = (SELECT id FROM jobq_store.queue
			WHERE name = 'handled')}
	);
	return is(sql($last) . ' ' . seen('handler'), $expected, $name);
}
handle(' handler alice/alice', 'a handler runs as the owner of the queue');
sql('ALTER FUNCTION app.handler(jsonb) OWNER TO bob');
handle(' handler alice/alice', 'not as its own new owner');
sql('ALTER FUNCTION app.handler(jsonb) SECURITY DEFINER');
handle(' handler bob/alice', 'unless it says so itself');
sql('ALTER FUNCTION app.handler(jsonb) SECURITY INVOKER;
	REVOKE EXECUTE ON FUNCTION app.handler(jsonb) FROM PUBLIC'
);
handle('42501 ', 'one that may not be executed any more is not');
sql(q{DROP FUNCTION app.handler(jsonb);
	CREATE FUNCTION app.handler(p text) RETURNS void
		LANGUAGE sql AS $$SELECT public.see('handler')$$;
	CREATE FUNCTION app.handler(p json) RETURNS void
		LANGUAGE sql AS $$SELECT public.see('handler')$$;
	CREATE FUNCTION app.handler() RETURNS void LANGUAGE sql AS $$SELECT public.see('handler')$$;
	CREATE FUNCTION public.handler(p jsonb) RETURNS void
		LANGUAGE sql AS $$SELECT public.see('handler')$$}
);
handle('42883 ', 'one that was dropped is not replaced by one that is like it');
sql(q{REVOKE USAGE ON SCHEMA app FROM PUBLIC;
	CREATE FUNCTION app.handler(p jsonb) RETURNS void
		LANGUAGE sql AS $$SELECT public.see('handler')$$}
);
handle('42501 ', 'a handler in a schema that its role may not use is not found');
sql('GRANT USAGE ON SCHEMA app TO PUBLIC');

# row security and triggers of others are those of the job's role
sql(q{CREATE TABLE secured (owner name DEFAULT current_user, t text);
	INSERT INTO secured VALUES ('bob', 'x'), ('alice', 'y');
	ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON secured USING (owner = current_user);
	GRANT SELECT, INSERT ON secured TO alice;
	CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		PERFORM public.see('fired'); RETURN NEW; END$$;
	CREATE TRIGGER t AFTER INSERT ON secured FOR EACH ROW EXECUTE FUNCTION fired();
	CREATE CONSTRAINT TRIGGER d AFTER INSERT ON secured DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		EXECUTE FUNCTION fired()}
);
# one after another: jobs that run side by side see each other's rows, or not
sql(q{SELECT jobq.run('INSERT INTO seen(t) SELECT ''rows '' || count(*) FROM secured')}, 'alice');
all_done('a job with row security ends');
is(seen('rows'), 'rows 1', 'a job sees the rows of its role');
sql(q{SELECT jobq.run('INSERT INTO secured(t) VALUES (1)')}, 'alice');
all_done('a job with triggers ends');
is( sql(q{SELECT count(*), min(t), max(t) FROM seen WHERE t LIKE 'fired %'}),
	'2|fired alice/alice|fired alice/alice',
	'triggers of a job, even deferred ones, run as its role');

# ------------------------------------------------------ ids of others' jobs

sql(q{SELECT jobq.create_queue('topsecret');
	SELECT jobq.enqueue('topsecret'), jobq.enqueue('topsecret');
	SELECT jobq.fail(id, lease, 'topsecret', retryable => false) FROM jobq.dequeue('topsecret')},
	'alice');
my $ready = sql(q{SELECT id FROM jobq.jobs WHERE queue = 'topsecret' AND state = 'ready'});
my $dead = sql(q{SELECT id FROM jobq.dead_letters WHERE queue = 'topsecret'});
sql(q{SELECT jobq.enqueue('topsecret', '{"topsecret": 1}', priority => -1)}, 'alice');
my ($held, $lease) = split(/\|/, sql(q{SELECT id, lease FROM jobq.dequeue('topsecret')}, 'alice'));
foreach my $call (
	"cancel($ready)",
	"cancel($held)",
	"retry($dead)",
	"delete($ready)",
	"delete($dead)",
	"promote($ready)",
	"reschedule($ready, now())",
	"set_priority($ready, 1)",
	"set_payload($ready, '{}')",
	"complete($held, $lease)",
	"fail($held, $lease, 'x')",
	"release($held, $lease)",
	"heartbeat($held, $lease)",
	"complete_many('{$held}', $lease)")
{
	my $error = error('mallory', "SELECT jobq.$call");
	like($error, qr/ERROR:  42501: permission denied for job \d+\n/, "$call is refused");
	unlike($error, qr/topsecret|alice/, "$call: the error names neither the queue nor its owner");
}
sql(q{SELECT jobq.grant_queue('topsecret', 'mallory', 'enqueue')}, 'alice');
like(
	error('mallory', "SELECT jobq.cancel($ready)"),
	qr/permission denied for queue "topsecret"/,
	'a role that may know the queue is told its name');

# ---------------------------------------------------------- roles that change

sql(q{CREATE ROLE temp LOGIN; GRANT temp TO mallory; SELECT jobq.grant_usage('temp', true);
	SELECT jobq.create_queue('temps', 'public.handler(jsonb)', owner => 'temp'),
		jobq.grant_queue('bobs', 'temp', 'read')}
);
sql('ALTER ROLE temp RENAME TO temporary; TRUNCATE seen');
sql(q{SELECT jobq.enqueue('temps')});
all_done('a queue goes on when its owner gets another name');
is(seen('handler'), 'handler temporary/temporary', 'jobs run as the renamed role');
sql(q{ALTER ROLE temporary SUPERUSER;
	SELECT jobq.alter_queue('temps', handler => 'public.handler(jsonb)')}
);
like(error('mallory', q{SELECT jobq.create_queue('more', owner => 'temporary')}),
	qr/42501/, 'a superuser is not made an owner by its members');
sql('ALTER ROLE temporary NOSUPERUSER');
like(sql_error($node, 'DROP ROLE temporary'),
	qr/2BP01/, 'DROP ROLE fails for a role that may use jobq');
sql(q{REVOKE temporary FROM mallory; SELECT jobq.revoke_usage('temporary')});
like(error('mallory', q{SELECT jobq.enqueue('temps')}),
	qr/42501/, 'a former member has lost the queue');
sql('DROP ROLE temporary; CREATE ROLE temporary LOGIN; TRUNCATE seen');
sql(q{SELECT jobq.grant_usage('temporary', true)});
like(error('temporary', q{SELECT jobq.enqueue('temps')}),
	qr/42501/, 'a new role of the name does not inherit the queue of the old one');
is(sql(q{SELECT count(*) FROM jobq.queues}, 'temporary'),
	'0', 'a new role of the name does not inherit the old privileges');
sql(q{SELECT jobq.enqueue('temps')});
poll_ok(
	$node,
	q{SELECT count(*) > 0 FROM jobq.queues WHERE queue = 'temps' AND ready = 1 AND running = 0},
	'jobs of a role that is gone wait');
sql(q{SELECT jobq.alter_queue('temps', owner => 'bob')});
all_done('jobs run when somebody else owns the queue');
is(seen('handler'), 'handler bob/bob', 'jobs run as the new owner');

unlike(
	log_since($node, 0),
	qr/PANIC|TRAP:|terminated by signal|XX000/,
	'the server has survived all traps');
done_testing();
