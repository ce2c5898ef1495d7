# t/177_slow_paths.pl: a payload_path that would take years has seconds.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);

$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT CREATE ON SCHEMA public TO alice;
	SELECT jobq.grant_usage(r, true) FROM unnest(ARRAY['alice', 'bob']::regrole[]) AS r;
	SET SESSION AUTHORIZATION bob;
	-- back references
	SELECT jobq.create_queue('regex', payload_path => ('"' || repeat('a', 301)
		|| '" like_regex "^(a*)(a*)(a*)(a*)(a*)(a*)\\\\1\\\\2\\\\3\\\\4\\\\5\\\\6$"')::jsonpath);
	SELECT jobq.create_queue('plain', payload_path => '$.n > 0');
	SELECT jobq.grant_queue(q, 'alice', 'enqueue') FROM unnest('{regex,plain}'::text[]) AS q;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION produce(p jsonb) RETURNS bigint LANGUAGE sql
		AS $$SELECT jobq.enqueue('regex')$$;
	SELECT jobq.create_queue('produce', 'produce(jsonb)', max_attempts => 1);
});

# The error of what alice does, unless it takes a minute.
sub error_of
{
	my ($sql) = @_;
	return sql_error($node,
		"SET SESSION AUTHORIZATION alice; SET statement_timeout = '60 s'; $sql");
}

my $slow = qr/57014: payload_path of queue "regex" took longer than 5 seconds/;
like(error_of(q{SELECT jobq.enqueue('regex')}), $slow, 'one payload');
like(
	error_of(q{SELECT jobq.enqueue_many('regex', array_fill('1'::jsonb, '{30}'))}),
	qr/$slow.*Element 1: /s,
	'several payloads');
like(
	error_of(q{SET statement_timeout = '1 s'; SELECT jobq.enqueue('regex')}),
	qr/57014: canceling statement due to statement timeout/,
	'a shorter timeout of the session holds, with its own error');
is( as_role(
		$node, 'alice',
		q{DO $$BEGIN PERFORM jobq.enqueue('regex'); EXCEPTION WHEN query_canceled THEN NULL; END$$;
		SELECT count(*) FROM jobq.enqueue_many('plain', array_fill('{"n": 1}'::jsonb, '{1000}'))}),
	'1000',
	'the session goes on, and other paths have time again');
my $id = as_role($node, 'alice', q{SELECT jobq.enqueue('produce')});
poll_ok(
	$node,
	qq{SELECT state || ' ' || sqlstate = 'dead 57014' AND error ~ 'payload_path' FROM jobq.jobs
		WHERE id = $id AND state = 'dead'},
	'a job that enqueues fails');

$node->stop;
done_testing();
