# t/336_depending_on_temporary_objects.pl: code of a queue's owner makes nothing that
# depends on the temporary objects of the session that calls it, so that the session can
# change and drop them.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main');

# bob's check runs "run" of the payload.  alice's functions return what has become of it,
# and whether she can drop her temporary objects.
$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN;
	GRANT CREATE ON SCHEMA public TO alice, bob, carol;
	SELECT jobq.grant_usage(r, true) FROM unnest(ARRAY['alice', 'bob', 'carol']::regrole[]) AS r;
	SET SESSION AUTHORIZATION bob;
	CREATE TABLE own (a int, b text);
	CREATE TABLE viewed (a int, b text);
	CREATE VIEW own_view AS SELECT a, b FROM viewed;
	CREATE DOMAIN own_domain AS int;
	CREATE TYPE own_type AS (i int);
	CREATE SEQUENCE own_sequence;
	CREATE TEXT SEARCH CONFIGURATION own_search (COPY = simple);
	CREATE FUNCTION own_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE FUNCTION check_bobs(p jsonb) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		IF p ? 'caught' THEN
			BEGIN
				EXECUTE p ->> 'caught';
			EXCEPTION WHEN OTHERS THEN
			END;
		END IF;
		IF p ? 'run' THEN EXECUTE p ->> 'run'; END IF;
		RETURN NULL;
	END$$;
	CREATE FUNCTION delay(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE error ->> 'run';
		RETURN '0 s';
	END$$;
	SELECT jobq.create_queue('bobs', payload_check => 'check_bobs(jsonb)',
		backoff_function => 'delay(int, jsonb)');
	SELECT jobq.grant_queue('bobs', 'alice', 'enqueue', 'consume');
	SELECT jobq.grant_queue('bobs', 'carol', 'enqueue');
	SET SESSION AUTHORIZATION carol;
	CREATE FUNCTION check_carols(p jsonb) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM jobq.enqueue('bobs', p);
		RETURN NULL;
	END$$;
	SELECT jobq.create_queue('carols', payload_check => 'check_carols(jsonb)');
	SELECT jobq.grant_queue('carols', 'alice', 'enqueue');
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION tries(payload jsonb, queue text DEFAULT 'bobs') RETURNS text
	LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM jobq.enqueue(queue, payload);
		RETURN 'done';
	EXCEPTION WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm;
	END$$;
	CREATE FUNCTION drops(command text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE command;
		RETURN 'dropped';
	EXCEPTION WHEN OTHERS THEN RETURN sqlstate || ' ' || sqlerrm;
	END$$;
});

my $own = q{
	CREATE TEMP TABLE secret (a text, b int);
	CREATE FUNCTION pg_temp.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
	CREATE FUNCTION pg_temp.sum2(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
	CREATE FUNCTION pg_temp.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE DOMAIN pg_temp.d AS int;
	CREATE TYPE pg_temp.c AS (i int);
	CREATE TYPE pg_temp.e AS ENUM ('x');
	CREATE TYPE pg_temp.r AS RANGE (subtype = int);
	CREATE COLLATION pg_temp.l FROM "C";
	CREATE OPERATOR pg_temp.### (function = pg_temp.sum2, leftarg = int, rightarg = int);
	CREATE TEXT SEARCH DICTIONARY pg_temp.w (template = simple);
	CREATE TEMP SEQUENCE s;
	GRANT ALL ON SEQUENCE s TO PUBLIC;
	GRANT ALL ON TABLE secret TO PUBLIC;
};
my $drop = q{DROP TEXT SEARCH DICTIONARY pg_temp.w; DROP OPERATOR pg_temp.### (int, int);
	DROP COLLATION pg_temp.l; DROP TYPE pg_temp.r; DROP TYPE pg_temp.e; DROP TYPE pg_temp.c;
	DROP DOMAIN pg_temp.d; DROP FUNCTION pg_temp.t(); DROP FUNCTION pg_temp.sum2(int, int);
	DROP FUNCTION pg_temp.f(int); DROP SEQUENCE s; ALTER TABLE secret ALTER a TYPE varchar(10);
	DROP TABLE secret};
my $refused = '42501 cannot make an object depend on a temporary object'
  . ' within security-restricted operation';

# What becomes of a command of bob's, and of alice's temporary objects.
sub outcome
{
	my ($sql, %options) = @_;
	my $run = $options{run} // 'run';
	my $queue = $options{queue} // 'bobs';
	my $output = $node->sql(
		qq{SET SESSION AUTHORIZATION alice; $own
		SELECT public.tries(jsonb_build_object('$run', \$_\$$sql\$_\$), '$queue');
		SELECT public.drops(\$_\$$drop\$_\$)});
	return $output =~ s/^\n+//r;
}

# ------------------------------------------------------- what may not be made

foreach my $sql (
	'CREATE TABLE public.x (a pg_temp.secret)',
	'CREATE TABLE public.x (a pg_temp.secret[])',
	'CREATE TABLE public.x (a pg_temp.d)',
	'CREATE TABLE public.x (a pg_temp.e)',
	'CREATE TABLE public.x (a pg_temp.r)',
	'CREATE TABLE public.x OF pg_temp.c',
	'CREATE TABLE public.x AS SELECT NULL::pg_temp.secret AS a',
	'CREATE TABLE public.x (a text COLLATE pg_temp.l)',
	q{CREATE TABLE public.x (a bigint DEFAULT nextval('pg_temp.s'))},
	'CREATE TABLE public.x (a int DEFAULT pg_temp.f(1))',
	'CREATE TABLE public.x (a int CHECK (pg_temp.f(a) > 0))',
	'CREATE TABLE public.x (a int, b int GENERATED ALWAYS AS (pg_temp.f(a)) STORED)',
	'CREATE TABLE public.x (a int) PARTITION BY RANGE (pg_temp.f(a))',
	'CREATE TABLE public.x (a int, EXCLUDE ((pg_temp.f(a)) WITH =))',
	'ALTER TABLE public.own ADD COLUMN c pg_temp.secret',
	'ALTER TABLE public.own ALTER a SET DEFAULT pg_temp.f(1)',
	'ALTER TABLE public.own ALTER a TYPE pg_temp.d',
	'ALTER TABLE public.own ALTER b TYPE text COLLATE pg_temp.l',
	'ALTER TABLE public.own ADD CHECK (pg_temp.f(a) > 0)',
	'CREATE INDEX ON public.own (pg_temp.f(a))',
	'CREATE INDEX ON public.own (a) WHERE pg_temp.f(a) > 0',
	'CREATE STATISTICS public.x ON (pg_temp.f(a)), b FROM public.own',
	'CREATE VIEW public.x AS SELECT pg_temp.f(1)',
	'CREATE VIEW public.x AS SELECT 1 OPERATOR(pg_temp.###) 2',
	q{CREATE OR REPLACE VIEW public.own_view AS
		SELECT a, b, NULL::pg_temp.d AS c FROM public.viewed},
	'CREATE MATERIALIZED VIEW public.x AS SELECT NULL::pg_temp.e AS a',
	'CREATE RULE x AS ON INSERT TO public.own DO ALSO DELETE FROM pg_temp.secret',
	'CREATE TRIGGER x BEFORE INSERT ON public.own FOR EACH ROW EXECUTE FUNCTION pg_temp.t()',
	q{CREATE TRIGGER x BEFORE INSERT ON pg_temp.secret
		FOR EACH ROW EXECUTE FUNCTION public.own_trigger()},
	'CREATE POLICY x ON public.own USING (pg_temp.f(a) > 0)',
	'CREATE POLICY x ON public.own USING (EXISTS (SELECT FROM pg_temp.secret))',
	q{CREATE FUNCTION public.x(pg_temp.secret) RETURNS int LANGUAGE sql AS 'SELECT 1'},
	q{CREATE FUNCTION public.x() RETURNS SETOF pg_temp.secret LANGUAGE sql AS 'SELECT NULL, 1'},
	q{CREATE FUNCTION public.x(int DEFAULT pg_temp.f(1)) RETURNS int LANGUAGE sql AS 'SELECT 1'},
	q{CREATE FUNCTION public.x() RETURNS bigint
		BEGIN ATOMIC SELECT count(*) FROM pg_temp.secret; END},
	q{CREATE PROCEDURE public.x(pg_temp.d) LANGUAGE sql AS ''},
	'CREATE AGGREGATE public.x(int) (sfunc = pg_temp.sum2, stype = int)',
	'CREATE OPERATOR public.### (function = pg_temp.sum2, leftarg = int, rightarg = int)',
	'CREATE DOMAIN public.x AS pg_temp.d',
	'CREATE DOMAIN public.x AS int CHECK (pg_temp.f(VALUE) > 0)',
	'ALTER DOMAIN public.own_domain ADD CHECK (pg_temp.f(VALUE) > 0)',
	'ALTER DOMAIN public.own_domain SET DEFAULT pg_temp.f(1)',
	'CREATE TYPE public.x AS (a pg_temp.secret)',
	'CREATE TYPE public.x AS RANGE (subtype = pg_temp.d)',
	'ALTER TEXT SEARCH CONFIGURATION public.own_search ALTER MAPPING FOR word WITH pg_temp.w',
	q{DO $a$BEGIN EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT ALL ON TABLES
		TO PUBLIC', pg_my_temp_schema()::regnamespace); END$a$})
{
	is(outcome($sql), "$refused\ndropped", $sql);
}

my $table = 'CREATE TABLE public.x (a pg_temp.secret)';
is(outcome($table, run => 'caught'), "$refused\ndropped", 'in a block with an exception handler');
is(outcome($table, queue => 'carols'), "$refused\ndropped", 'in a check that a check has called');
is(outcome("DO \$a\$BEGIN $table; CREATE VIEW public.y AS SELECT * FROM public.x; END\$a\$"),
	"$refused\ndropped", 'several objects');
like(
	sql_error(
		$node, qq{SET SESSION AUTHORIZATION alice; $own
		SELECT jobq.enqueue('bobs', '{"run": "$table"}')}),
	qr/42501:\scannot\smake\san\sobject\sdepend\s.*
	DETAIL:\s+column\sa\sof\stable\s(?:public\.)?x\sdepends\son\stype\s(?:pg_temp\.)?secret\./sx,
	'the error says what depends on what');
is( $node->sql(
		qq{SET SESSION AUTHORIZATION alice; $own
		SELECT jobq.enqueue('bobs') AS id \\gset
		SELECT jobq.fail(id, lease, 'x', '{"run": "$table"}') FROM jobq.dequeue('bobs');
		SELECT public.drops(\$_\$$drop\$_\$) || ' ' || (SELECT state FROM jobq.jobs WHERE id = :id)}
	) =~ s/.*\n//sr,
	'dropped scheduled',
	'a backoff function');
is($node->sql(q{SELECT to_regclass('public.x') IS NULL}), 't', 'nothing is left');

# These the server refuses.
foreach my $sql (
	'CREATE TABLE public.x () INHERITS (pg_temp.secret)',
	'ALTER TABLE public.own INHERIT pg_temp.secret',
	'ALTER TABLE pg_temp.secret ADD COLUMN c int',
	'DROP TABLE pg_temp.secret',
	'CREATE INDEX ON pg_temp.secret (a)',
	'CREATE RULE x AS ON INSERT TO pg_temp.secret DO NOTHING',
	'CREATE POLICY x ON pg_temp.secret',
	'CREATE STATISTICS public.x ON a, b FROM pg_temp.secret',
	'CREATE PUBLICATION x FOR TABLE pg_temp.secret',
	q{COMMENT ON TABLE pg_temp.secret IS 'x'},
	'ALTER SEQUENCE public.own_sequence OWNED BY pg_temp.secret.b',
	'ALTER FUNCTION pg_temp.f(int) SET SCHEMA public',
	'CREATE CAST (pg_temp.c AS public.own_type) WITH INOUT',
	'CREATE TABLE public.x (a int REFERENCES pg_temp.secret (b))')
{
	unlike(outcome($sql), qr/^done|\n(?!dropped)/, "$sql: refused");
}

# ------------------------------------------------------------------ what may be made

is(outcome('CREATE TABLE public.x (a serial PRIMARY KEY, b int DEFAULT 1 CHECK (b > 0))'),
	"done\ndropped", 'objects that depend on no temporary one');
is(outcome('DROP TABLE public.x'), "done\ndropped", 'they can be dropped');
is(outcome("DO \$a\$BEGIN $table; DROP TABLE public.x; END\$a\$"),
	"done\ndropped", 'an object that does not stay');
is( outcome(
		"DO \$a\$BEGIN BEGIN $table; RAISE 'x'; EXCEPTION WHEN OTHERS THEN END;
		CREATE TABLE public.x (a int); DROP TABLE public.x; END\$a\$"),
	"done\ndropped",
	'an object whose creation was undone');
is( $node->sql(
		qq{SET SESSION AUTHORIZATION alice; $own
		BEGIN;
		CREATE TABLE public.hers (a pg_temp.secret, b int DEFAULT pg_temp.f(1));
		SELECT public.tries('{"run": "CREATE TABLE public.x (a int)"}');
		CREATE TEMP TABLE result AS SELECT 'text'::text AS t,
			public.tries('{"run": "CREATE TABLE public.y (a text)"}') AS r;
		SELECT r FROM result;
		CREATE TABLE public.hers_too AS SELECT NULL::pg_temp.secret AS s, 'text'::text AS t,
			public.tries('{"run": "CREATE TABLE public.z (a text)"}') AS r;
		SELECT r FROM public.hers_too;
		ROLLBACK}
	),
	"done\ndone\ndone",
	q{the caller's own objects may depend on them});
is( $node->sql(
		q{SET SESSION AUTHORIZATION alice;
		SELECT public.tries('{"run": "CREATE TABLE public.x (a int)"}')}
	),
	'done',
	'where there is no temporary schema');

$node->stop;
done_testing();
