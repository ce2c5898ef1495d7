# t/283_slow_backoffs.pl: the backoff functions of a batch do not keep a worker for long.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);

$node->sql(
	q{
	CREATE FUNCTION fail(j jsonb[]) RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
	CREATE FUNCTION slow(attempt int, error jsonb) RETURNS interval LANGUAGE plpgsql AS $$
	BEGIN
	  RAISE LOG 'asked for a delay';
	  PERFORM pg_sleep(3);
	  RETURN '10 h';
	END$$;
	SELECT jobq.create_queue('q', 'fail(jsonb[])', batch_size => 10, batch_wait => '1 min',
		backoff_function => 'slow(int,jsonb)', backoff_base => '1 min');
	SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, '{10}'))});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND attempt = 1},
	'all jobs of the batch have failed',
	expected => '10');
my @asked = log_since($node, 0) =~ /LOG:  asked for a delay/g;
is(scalar(@asked), 2, 'no job is asked for after 5 seconds');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE run_at > now() + interval '9 h'}),
	'2', 'those that were asked for have their delays');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE run_at < now() + interval '2 min'}),
	'8', 'the others that of the queue');

$node->stop;
done_testing();
