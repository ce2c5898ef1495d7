# t/176_requests_of_jobs.pl: which errors count as a job's request to be
# discarded, or to be tried again at a time: its own, and not those of other
# roles' code that it calls, or of other servers.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

$node->sql(
	q{
	CREATE EXTENSION dblink;
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN IN ROLE alice;
	GRANT CREATE ON SCHEMA public TO alice, bob, carol;
	GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO alice;
	SELECT jobq.grant_usage(r, true) FROM unnest(ARRAY['alice', 'bob', 'carol']::regrole[]) AS r;
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION throw(code text, message text DEFAULT 'gotcha') RETURNS int
		LANGUAGE plpgsql SECURITY DEFINER PARALLEL SAFE
		AS $$BEGIN RAISE EXCEPTION USING MESSAGE = message, ERRCODE = code; END$$;
	CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
		AS $$BEGIN RAISE EXCEPTION 'gotcha' USING ERRCODE = 'JQ102'; END$$;
	CREATE TABLE traps (i int);
	GRANT INSERT ON traps TO alice;
	CREATE TRIGGER spring BEFORE INSERT ON traps FOR EACH ROW EXECUTE FUNCTION spring();
	-- it may say what it likes, as long as it catches its errors
	CREATE FUNCTION talk() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
		RAISE NOTICE 'gotcha' USING ERRCODE = 'JQ102';
		BEGIN RAISE EXCEPTION 'gotcha' USING ERRCODE = 'JQ102';
		EXCEPTION WHEN OTHERS THEN NULL; END; END$$;
	SET SESSION AUTHORIZATION carol;
	CREATE FUNCTION discard_for_alice() RETURNS void LANGUAGE sql SECURITY DEFINER
		AS $$SELECT jobq.discard('by carol')$$;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION own_throw(code text) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = code; END$$;
	CREATE FUNCTION call_and_raise(sql text) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN EXECUTE sql; EXCEPTION WHEN OTHERS THEN RAISE; END$$;
	CREATE FUNCTION discard_and_talk() RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.discard('mine'); EXCEPTION WHEN OTHERS THEN PERFORM talk(); RAISE; END$$;
	CREATE FUNCTION discard_then(sql text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		BEGIN PERFORM jobq.discard('mine'); EXCEPTION WHEN OTHERS THEN NULL; END;
		EXECUTE sql; END$$;
	CREATE TABLE many AS SELECT FROM generate_series(1, 1000);
	ALTER TABLE many SET (parallel_workers = 2);
	CREATE FUNCTION in_parallel() RETURNS void LANGUAGE plpgsql SET parallel_setup_cost = 0
		SET parallel_tuple_cost = 0 SET min_parallel_table_scan_size = 0
		SET parallel_leader_participation = off
		AS $$BEGIN PERFORM sum(throw('JQ102')) FROM many; END$$;
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN EXECUTE p ->> 'do'; END$$;
	SELECT jobq.create_queue('work', 'work(jsonb)', max_attempts => 2, backoff => 'fixed',
		backoff_base => '1 ms')});
my $connection = sprintf('host=%s port=%s dbname=postgres user=bob', $node->host, $node->port);
as_role(
	$node, 'alice', qq{
	CREATE FUNCTION from_elsewhere() RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		IF dblink_get_connections() IS NULL THEN
			PERFORM dblink_connect_u('elsewhere', '$connection'); END IF;
		PERFORM * FROM dblink('elsewhere', 'SELECT throw(''JQ102'')') AS t (i int); END\$\$});

# How a job of alice's has ended that has run a command.
sub end_of
{
	my ($sql) = @_;
	my $id = as_role($node, 'alice',
		"SELECT jobq.enqueue('work', jsonb_build_object('do', \$q\$$sql\$q\$))");
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id")
	  or die "job $id has not ended\n";
	return $node->sql(
		"SELECT concat_ws(' ', state, attempt, sqlstate, error) FROM jobq.jobs WHERE id = $id");
}

foreach my $code ('JQ101', 'JQ102', 'JQ103')
{
	is( end_of("SELECT throw('$code')"),
		'dead 2 P0001 gotcha',
		"$code of another role's function is a failure like others");
}
is( end_of('INSERT INTO traps VALUES (1)'),
	'dead 2 P0001 gotcha',
	q{another role's trigger does not discard the job});
is( end_of(q{SELECT call_and_raise($a$SELECT throw('JQ102')$a$)}),
	'dead 2 P0001 gotcha',
	'an error of another role that the job raises again is a failure like others');
is( end_of('SELECT from_elsewhere()'),
	'dead 2 P0001 gotcha',
	'an error that comes from another server is a failure like others');
is( end_of('SELECT in_parallel()'),
	'dead 2 P0001 gotcha',
	'an error of a parallel worker is a failure like others');
is( $node->sql(
		q{SELECT count(*) FROM jobq.attempts WHERE sqlstate = 'P0001'
		AND context ~ 'parallel worker'}),
	'2',
	'an error was raised in a parallel worker');
foreach my $code ('JQ102', '38000', 'XX000')
{
	is( end_of("SELECT discard_then(\$a\$SELECT throw('$code', 'mine')\$a\$)"),
		'dead 2 ' . ($code eq 'JQ102' ? 'P0001' : $code) . ' mine',
		"a discard() that was caught is not meant by another role's $code");
}

is(end_of(q{SELECT own_throw('JQ102')}), 'dead 1 JQ102 mine', 'the job itself may raise JQ102');
is( end_of(q{SELECT own_throw('JQ101')}),
	'dead 2 JQ101 mine',
	'JQ101 without retry_in() is a failure like others');
is( end_of(q{SELECT call_and_raise($a$SELECT own_throw('JQ102')$a$)}),
	'dead 1 JQ102 mine',
	'the job may raise it again');
is(end_of(q{SELECT jobq.discard('mine')}), 'dead 1 JQ102 mine', 'discard() discards the job');
is( end_of('SELECT discard_for_alice()'),
	'dead 1 JQ102 by carol',
	q{discard() works in code of a role with the privileges of the job's role});
is( end_of('SELECT discard_and_talk()'),
	'dead 1 JQ102 mine',
	'discard() counts even if others raise and catch errors meanwhile');

$node->stop;
done_testing();
