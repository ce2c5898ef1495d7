# The functions that queues are given: where they may be.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# -------------------------------------------------------- in temporary schemas

sql(q{
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
foreach my $option (q{handler => 'pg_temp.f(jsonb)'}, q{handler => 'pg_temp.p(jsonb)'}, q{payload_check => 'pg_temp.f(jsonb)'},
	q{backoff_function => 'pg_temp.f(int, jsonb)'}, q{handler => 'public.f(t)'}, q{payload_check => 'public.f(t)'},
	q{backoff_function => 'public.f(t)'})
{
	foreach my $call ("jobq.create_queue('new', $option)", "jobq.alter_queue('victim', $option)")
	{
		my $error = sql_error($node, "$temp SELECT $call");
		like($error, qr/ERROR:  22023: .*DETAIL:  It depends on a temporary schema/s, "$call is refused");
	}
}

# a name that has been stored all the same, as in a dump that is restored
foreach my $try (
	[ 'payload_check', 'f(jsonb)', q{SELECT jobq.enqueue('victim')}, qr/ERROR:  42883/ ],
	[ 'payload_check', 'f(pg_temp.t)', q{SELECT jobq.enqueue('victim')}, qr/ERROR:  42883/ ])
{
	my ($option, $function, $call, $expected) = @$try;
	my $error = sql_error($node, qq{SET SESSION AUTHORIZATION mallory; $temp
		RESET SESSION AUTHORIZATION;
		UPDATE jobq_store.queue SET $option = replace('pg_temp.$function', 'pg_temp', pg_my_temp_schema()::regnamespace::text)
			WHERE name = 'victim';
		SELECT jobq.pause('victim'), jobq.resume('victim');
		SET SESSION AUTHORIZATION mallory;
		$call} =~ s/public\.f\(t\)/pg_temp.f(t)/r);
	like($error, $expected, "$option pg_temp.$function is not found");
}
is(sql('SELECT count(*) FROM seen'), '0', 'no function in a temporary schema was called');
sql(q{UPDATE jobq_store.queue SET payload_check = NULL, handler = 'pg_temp_3.f(jsonb)' WHERE name = 'victim';
	SELECT jobq.pause('victim'), jobq.resume('victim'); SELECT jobq.alter_queue('victim', max_attempts => 1)});
my $id = sql(q{SELECT jobq.enqueue('victim')});
poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id");
is(sql("SELECT state, sqlstate FROM jobq.jobs WHERE id = $id"), 'dead|42883', 'nor is a handler');

$node->stop;
done_testing();
