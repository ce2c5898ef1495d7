# t/028_large_values.pl: jobs with values so large that they are stored out of
# line: workers read and move them with no snapshot but the one they take for
# it.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.worker_idle_timeout = 1h' ]);

$node->sql(
	q{
	CREATE TABLE seen (what text, payload jsonb, headers jsonb);
	CREATE TABLE big AS SELECT jsonb_object_agg(i::text, md5(i::text)) AS j
		FROM generate_series(1, 3000) AS i;
	CREATE FUNCTION big() RETURNS jsonb LANGUAGE sql AS 'SELECT j FROM public.big';
	CREATE FUNCTION takes_payload(p jsonb) RETURNS jsonb LANGUAGE sql AS
		$$INSERT INTO public.seen VALUES ('payload', p, NULL); SELECT p$$;
	CREATE FUNCTION takes_job(j jobq.job) RETURNS jobq.job LANGUAGE sql AS
		$$INSERT INTO public.seen VALUES ('job', j.payload, j.headers); SELECT j$$;
	CREATE FUNCTION takes_nothing() RETURNS void LANGUAGE sql AS
		$$INSERT INTO public.seen SELECT 'nothing', payload, headers FROM jobq.current_job()$$;
	CREATE PROCEDURE commits(p jsonb) LANGUAGE plpgsql AS
		$$BEGIN COMMIT; INSERT INTO public.seen VALUES ('procedure', p, NULL); END$$;
	CREATE FUNCTION fails(p jsonb) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION '%', p; END$$;
	CREATE FUNCTION no_delay(int, jsonb) RETURNS interval LANGUAGE sql AS $$SELECT '0'::interval$$;
	SELECT jobq.create_queue('payload', 'takes_payload(jsonb)', max_attempts => 1),
		jobq.create_queue('job', 'takes_job(jobq.job)', max_attempts => 1),
		jobq.create_queue('nothing', 'takes_nothing()', max_attempts => 1),
		jobq.create_queue('procedure', 'commits(jsonb)', max_attempts => 1),
		jobq.create_queue('reports'),
		jobq.create_queue('fails', 'fails(jsonb)', max_attempts => 3, on_dead => 'reports',
			backoff_function => 'no_delay(int, jsonb)'),
		jobq.create_queue('external', max_attempts => 1, on_dead => 'reports', lease => '10 ms');
});

sub none_left
{
	my ($queue) = @_;
	return poll_ok(
		$node, qq{SELECT count(*) = 0 FROM jobq_store.job WHERE queue =
		(SELECT id FROM jobq_store.queue WHERE name = '$queue')}, "$queue: the jobs end");
}

foreach my $queue (qw(payload job nothing procedure))
{
	$node->sql(
		qq{SELECT jobq.enqueue('$queue', big()), jobq.enqueue('$queue', headers => big()),
		jobq.enqueue('$queue', big(), headers => big())});
	none_left($queue);
	is( $node->sql(
			qq{SELECT count(*), count(*) FILTER (WHERE payload = big()),
				count(*) FILTER (WHERE headers = big())
		FROM seen WHERE what = '$queue'}),
		$queue =~ /payload|procedure/ ? '3|2|0' : '3|2|2',
		"$queue: each handler call got the large values, once");
	is( $node->sql(
			qq{SELECT count(*), count(*) FILTER (WHERE payload = big()),
				count(*) FILTER (WHERE headers = big())
		FROM jobq.jobs WHERE queue = '$queue' AND state = 'completed' AND attempt = 1}),
		'3|2|2',
		"$queue: history has all large values");
}

$node->sql(
	q{SELECT jobq.run('INSERT INTO seen VALUES (''run'', $1, NULL)', big(), headers => big()),
	jobq.run('INSERT INTO seen VALUES (''run'', $1 || ''{}''::jsonb, NULL) -- ' ||
		(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i), big()),
	jobq.run('VACUUM seen -- ' || (SELECT string_agg(md5(i::text), '')
			FROM generate_series(1, 1000) AS i),
		big(), headers => big())}
);
none_left('run:' . $node->sql('SELECT current_user'));
is($node->sql(q{SELECT count(*), bool_and(payload = big()) FROM seen WHERE what = 'run'}),
	'2|t', 'run: commands got their large parameters');
is( $node->sql(q{SELECT count(*) FROM jobq.jobs WHERE command IS NOT NULL AND state = 'completed'}),
	'3', 'run: all commands succeed');

$node->sql(q{SELECT jobq.enqueue('fails', big(), headers => big())});
none_left('fails');
is( $node->sql(
		q{SELECT state, attempt, payload = big(), headers = big(), sqlstate FROM jobq.jobs
			WHERE queue = 'fails'}
	),
	'dead|3|t|t|P0001',
	'fails: the job is dead after all its attempts');
is( $node->sql(
		q{SELECT count(*), bool_and(payload -> 'payload' = big()) FROM jobq.jobs
			WHERE queue = 'reports'}
	),
	'1|t',
	'fails: the report has the payload');

# what the coordinator does
$node->sql(
	q{SELECT jobq.enqueue('external', big(), headers => big(), ttl => '1 ms', delay => '1 ms')});
none_left('external');
$node->sql(
	q{SELECT jobq.enqueue('external', big(), headers => big());
		SELECT id FROM jobq.dequeue('external')}
);
none_left('external');
is( $node->sql(
		q{SELECT string_agg(state, ' ' ORDER BY state), bool_and(payload = big()),
			bool_and(headers = big())
	FROM jobq.jobs WHERE queue = 'external'}),
	'dead expired|t|t',
	'external: one job expires, one loses its lease');
is( $node->sql(
		q{SELECT count(*), bool_and(payload -> 'payload' = big()) FROM jobq.jobs
			WHERE queue = 'reports'}
	),
	'2|t',
	'external: the report has the payload');
$node->sql(
	q{TRUNCATE seen;
		SELECT jobq.schedule('s', '@every 1 second', queue => 'payload', payload => big()),
	jobq.schedule('c', '@every 1 second', 'INSERT INTO seen VALUES (''command'', NULL, NULL) -- ' ||
		(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i))});
poll_ok(
	$node,
	q{SELECT count(*) FILTER (WHERE what = 'payload') > 1
		AND count(*) FILTER (WHERE what = 'command') > 1 FROM seen},
	'schedules fire');
is($node->sql(q{SELECT bool_and(payload = big()) FROM seen WHERE what = 'payload'}),
	't', 'large payloads arrive as they were given');

unlike(log_since($node, 0), qr/toast/, 'the log has no error about TOAST');

done_testing();
