# t/329_workers_that_have_left.pl: jobq.health does not blame max_worker_processes for a
# shortage that the coordinator saw while all workers of jobq were busy, when some have
# exited since and it has not looked again.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);
my $slots = q{SELECT string_agg(object || ': ' || message, '; ') FROM jobq.health
	WHERE topic = 'worker slots'};

$node->sql(
	q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	GRANT CREATE ON SCHEMA public TO alice, bob;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{alice,bob}'::regrole[]) AS r;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION sleeps(jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('sleeps', 'sleeps(jsonb)', max_attempts => 1);
	SELECT jobq.enqueue('sleeps');
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION works(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
	SELECT jobq.create_queue('works', 'works(jsonb)')});
poll_ok($node, q{SELECT count(*) = 1 FROM jobq.jobs WHERE state = 'running'}, 'a job runs');
$node->sql(q{SELECT jobq.enqueue('works')});
poll_ok($node, "SELECT ($slots) LIKE 'jobq.max_workers: %'", 'the other waits for a worker');

my $coordinator = wait_for_worker($node, 'jobq coordinator');
kill('STOP', $coordinator);
$node->sql(
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'the worker has exited');
is($node->sql($slots), '', 'nothing is said of the slots of the server');
kill('CONT', $coordinator);
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'works' AND state = 'completed'},
	'the other job runs');

$node->stop;
done_testing();
