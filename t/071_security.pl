# t/071_security.pl: a job is its owner, whatever it tries, and leaves nothing
# to the next one.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.worker_idle_timeout = 60s' ]);

$node->sql(
	q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	GRANT bob TO alice;
	GRANT CREATE ON SCHEMA public TO alice;
	SELECT jobq.grant_usage('alice', true);
	CREATE TABLE seen (n serial, t text);
	GRANT INSERT, SELECT ON seen TO alice;
	GRANT USAGE ON SEQUENCE seen_n_seq TO alice;
	CREATE FUNCTION me() RETURNS text
		LANGUAGE sql AS 'SELECT current_user || ''/'' || session_user';
	GRANT EXECUTE ON FUNCTION me() TO PUBLIC;
});

# Runs a command as alice's job; returns "sqlstate" if it failed, else ''.
sub job
{
	my ($command, %opt) = @_;
	my $id = $node->sql(
		"SET SESSION AUTHORIZATION alice; SELECT jobq.run(\$_j\$$command\$_j\$, max_attempts => 1)"
	);
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
	return $node->sql("SELECT coalesce(sqlstate, '') FROM jobq_store.history WHERE id = $id");
}

sub who_is_next
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->sql('TRUNCATE seen');
	is(job('INSERT INTO seen(t) SELECT me()'), '', "$name: the next job runs");
	return is($node->sql('SELECT t FROM seen'), 'alice/alice', "$name: as alice");
}

who_is_next('at first');

foreach my $command (
	'RESET ROLE',
	'SET ROLE bob',
	'SET ROLE NONE',
	'SET SESSION AUTHORIZATION DEFAULT',
	'RESET SESSION AUTHORIZATION',
	'SET SESSION AUTHORIZATION alice',
	"SELECT set_config('role', 'bob', false)",
	'RESET ALL',
	'SET LOCAL ROLE bob')
{
	is(job($command), '', "job: $command");
	who_is_next($command);
}
foreach my $command (
	'SET ROLE postgres',
	'SET SESSION AUTHORIZATION postgres',
	"SELECT set_config('session_authorization', 'postgres', false)",
	'SELECT * FROM pg_authid',
	'SELECT * FROM jobq_store.job',
	'COPY seen TO PROGRAM $_$cat$_$')
{
	is(job($command), '42501', "refused: $command") unless $command =~ /set_config/;
	isnt(job($command), '', "refused: $command") if $command        =~ /set_config/;
	who_is_next($command);
}

# the trick of a procedure that begins with ROLLBACK
$node->sql(
	q{SET SESSION AUTHORIZATION alice;
	CREATE PROCEDURE escape() LANGUAGE plpgsql AS $$
	DECLARE who text[];
	BEGIN
		ROLLBACK;
		who := who || me();
		COMMIT;
		who := who || me();
		SET ROLE bob;
		COMMIT;
		who := who || me();
		ROLLBACK;
		RESET ROLE;
		who := who || me();
		INSERT INTO seen(t) SELECT unnest(who);
	END$$;
});
$node->sql('TRUNCATE seen');
is(job('CALL escape()'), '', 'a procedure that rolls back first');
is( $node->sql("SELECT string_agg(t, ' ' ORDER BY n) FROM seen"),
	'alice/alice alice/alice bob/alice alice/alice',
	'a procedure that rolls back first stays alice');
who_is_next('after it');

# ---------------------------------------------- nothing leaks between jobs

is( job(q{DO $$BEGIN
	SET search_path = nowhere; SET work_mem = '1MB'; SET default_transaction_read_only = on;
	SET lock_timeout = '1ms'; SET DateStyle = 'German'; SET "my.own" = 'x';
	PERFORM pg_advisory_lock(42); PERFORM nextval('public.seen_n_seq');
	CREATE TEMP TABLE leftover (n int);
	EXECUTE 'PREPARE leftover AS SELECT 1';
	EXECUTE 'DECLARE leftover CURSOR WITH HOLD FOR SELECT 1';
END$$}),
	'',
	'a job leaves all kinds of things behind');
$node->sql('TRUNCATE seen');
is( job(q{INSERT INTO seen(t) SELECT concat_ws(' ',
	current_setting('search_path'), current_setting('work_mem'),
	current_setting('default_transaction_read_only'), current_setting('lock_timeout'),
	current_setting('datestyle'), coalesce(nullif(current_setting('my.own', true), ''), 'unset'),
	(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
	(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors
		WHERE name = 'leftover'),
	to_regclass('pg_temp.leftover') IS NULL)}),
	'',
	'the job after one that changes its session runs');
is( $node->sql('SELECT t FROM seen'),
	'"$user", public 4MB off 0 ISO, MDY unset 0 0 0 t',
	'the next job finds a new session');
is(job("SELECT lastval()"), '55000', 'lastval() is not defined in the next job');
is($node->sql(q{SELECT count(DISTINCT worker) FROM jobq_store.history}),
	'1', 'all jobs have run in one process');

# the role's own settings are a job's defaults
$node->sql(
	q{ALTER ROLE alice SET search_path = alices; ALTER ROLE alice SET role = bob;
	ALTER ROLE alice SET default_transaction_read_only = on;
		ALTER ROLE alice SET work_mem = '2MB'});
my ($executor) = worker_pids($node, 'jobq executor');
$node->sql("SELECT pg_terminate_backend($executor)");
is(job('INSERT INTO public.seen DEFAULT VALUES'), '25006', 'a role that reads only');
is( job(q{SELECT 1 / (current_setting('search_path') = 'alices'
	AND current_setting('work_mem') = '2MB'
	AND public.me() = 'alice/alice')::int}),
	'',
	'settings of the role hold, except its role');
$node->sql('ALTER ROLE alice RESET ALL');
($executor) = worker_pids($node, 'jobq executor');
$node->sql("SELECT pg_terminate_backend($executor)");

# ------------------------------------ functions that run as a queue's owner

$node->sql(
	q{
	CREATE TABLE checked (t text);
	CREATE FUNCTION check_payload(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		IF p ? 'role' THEN EXECUTE 'SET ROLE postgres'; END IF;
		IF p ? 'path' AND current_setting('search_path') <> 'pg_catalog, pg_temp'
			THEN RETURN 'search_path'; END IF;
		IF p ? 'bad' THEN RETURN 'bad payload'; END IF;
		IF current_user <> 'alice' THEN RETURN current_user; END IF;
		RETURN NULL; END$$;
	SELECT jobq.create_queue('checked', payload_check => 'check_payload(jsonb)', owner => 'alice');
});
is($node->sql(q{SELECT jobq.enqueue('checked') > 0}),
	't', 'payload_check runs as the owner of the queue');
like(
	sql_error($node, q{SELECT jobq.enqueue('checked', '{"bad": 1}')}),
	qr/23514.*bad payload/s,
	'payload_check gives the reason for a refusal');
like(sql_error($node, q{SELECT jobq.enqueue('checked', '{"role": 1}')}),
	qr/42501/, 'payload_check cannot become the caller');
is( $node->sql(
		q{SET search_path = public, evil; SELECT jobq.enqueue('checked', '{"path": 1}') > 0}),
	't',
	q{it does not see the caller's search_path});
is($node->sql(q{SELECT jobq.enqueue('checked') > 0; SELECT current_user}),
	"t\npostgres", 'the caller is who it was');
$node->sql('REVOKE EXECUTE ON FUNCTION check_payload(jsonb) FROM PUBLIC');
like(sql_error($node, q{SELECT jobq.enqueue('checked')}),
	qr/42501/, 'the owner of a queue must have EXECUTE on its payload_check');

like(sql_error($node, 'SET SESSION AUTHORIZATION alice; SELECT jobq.stop()'),
	qr/42501/, 'stop() is not for everybody');
like(sql_error($node, 'SET SESSION AUTHORIZATION alice; SELECT jobq.start()'),
	qr/42501/, 'start() is not for everybody');
$node->create_clock;
$node->sql('GRANT USAGE ON SCHEMA clock TO alice');
like(sql_error($node, q{SET SESSION AUTHORIZATION alice; SELECT clock.advance('1 s')}),
	qr/42501/, 'the clock is not for everybody');
like(sql_error($node, 'SET jobq.max_workers = 9'), qr/55P02/,
	'settings cannot be set in a session');
like(sql_error($node, 'SET jobq.max_wokers = 9'), qr/42602/, 'settings cannot be misspelt');

# A procedure whose end cannot be written down leaves nothing either.
$node->sql(
	q{
	CREATE FUNCTION fails(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		$$BEGIN IF $1 = 0 THEN RETURN 0; END IF; RAISE EXCEPTION 'no space'; END$$;
	CREATE PROCEDURE leaves(p jsonb) LANGUAGE plpgsql AS
		$$BEGIN COMMIT; PERFORM set_config('my.secret', 'left', false); END$$;
	SELECT jobq.create_queue('leaves', 'leaves(jsonb)', owner => 'alice', max_attempts => 1);
	TRUNCATE jobq_store.history, jobq_store.attempt;
	CREATE INDEX ON jobq_store.history (fails(attempt));
	CREATE INDEX ON jobq_store.attempt (fails(attempt));
});
my $id = $node->sql(q{SELECT jobq.enqueue('leaves')});
poll_query($node, "SELECT count(*) = 1 FROM jobq_store.job WHERE id = $id AND state = 1");
my $pid = $node->sql("SELECT substr(worker, 5) FROM jobq_store.job WHERE id = $id");
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid",
	'an executor that cannot record an outcome exits');
$node->sql('DROP INDEX jobq_store.history_fails_idx, jobq_store.attempt_fails_idx');
# who has failed to end the lease tries again in a minute
$node->advance_clock('1 min');
poll_ok(
	$node,
	"SELECT state = 4 FROM jobq_store.history WHERE id = $id",
	'the job has lost its lease',
	seconds => 60 + wait_limit());
$node->sql('TRUNCATE seen');
is(job(q{INSERT INTO seen(t) SELECT coalesce(current_setting('my.secret', true), 'nothing')}),
	'', 'the next job runs');
is($node->sql('SELECT t FROM seen'), 'nothing', 'the next job sees nothing of the one before');

done_testing();
