# t/135_names.pl: a role without a privilege on a queue does not learn its
# name from what refers to it: the queue may have been renamed since the role
# named it.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

my $seen = q{SELECT (SELECT on_dead FROM jobq.queues WHERE queue = 'mq'),
	(SELECT queue FROM jobq.schedules WHERE name = 'ms')};

$node->sql(
	q{CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN; CREATE ROLE monitor LOGIN;
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.grant_usage('alice', true), jobq.grant_usage('mallory', true),
		jobq.grant_usage('monitor', may_read => true);
	SELECT jobq.create_queue('secret', owner => 'alice'), jobq.grant_queue('secret', 'mallory',
		'enqueue');
	SET ROLE mallory;
	SELECT jobq.create_queue('mq', on_dead => 'secret'), jobq.schedule('ms', '* * * * * *',
		queue => 'secret', enabled => false),
	  jobq.schedule('active', '* * * * * *', queue => 'secret')});
is($node->sql("SET ROLE mallory; $seen"), 'secret|secret', 'the name is seen with a privilege');
$node->sql(q{SELECT jobq.rename_queue('secret', 'topsecret')});
is($node->sql("SET ROLE mallory; $seen"), 'topsecret|topsecret', 'a new one, too');

$node->sql(
	q{SELECT jobq.revoke_queue('topsecret', 'mallory', 'enqueue'), jobq.rename_queue('topsecret',
		'unspeakable')}
);
is($node->sql("SET ROLE mallory; $seen"), '|', 'without one it is not');
is($node->sql("SET ROLE monitor; $seen"),
	'unspeakable|unspeakable', 'the name is seen by a role that sees all');
is( $node->safe_psql(
		'postgres', "SET ROLE alice; SELECT count(*) FROM jobq.queues WHERE on_dead IS NOT NULL"),
	'0',
	'the owner of a queue does not see who refers to it');

# what the functions say
foreach my $call (
	q{alter_queue('mq', handler => 'public.work(jsonb)')},
	q{run_schedule('ms')},
	q{backfill('ms', now() - interval '3 s', now())},
	q{alter_schedule('ms', payload => '1')},
	q{enable_schedule('ms')})
{
	my $error = sql_error($node, "SET ROLE mallory; SELECT jobq.$call");
	like($error, qr/42501|55000/, "refused: $call");
	unlike($error, qr/unspeakable/, "the error does not have the queue's name");
}

# what is stored for later
poll_ok(
	$node,
	q{SELECT disabled_reason IS NOT NULL FROM jobq.schedules WHERE name = 'active'},
	'the schedule is disabled');
my $said = $node->sql(
	q{SET ROLE mallory;
	SELECT disabled_reason FROM jobq.schedules UNION ALL SELECT reason FROM jobq.schedule_runs
	UNION ALL SELECT concat(object, message, hint) FROM jobq.health});
like(
	$said,
	qr/role "mallory" has no privilege to enqueue into its queue/,
	'the schedule says why it is disabled');
unlike($said, qr/unspeakable/, "the reason does not have the queue's name");

# a worker that is at a job of a queue that was given away meanwhile
$node->sql(
	q{CREATE FUNCTION slow(jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('given', 'slow(jsonb)', owner => 'mallory'), jobq.enqueue('given')});
poll_ok($node, q{SELECT count(*) = 1 FROM jobq.workers WHERE queue = 'given' AND state = 'running'},
	'a job runs');
$node->sql(
	q{SELECT jobq.alter_queue('given', owner => 'alice'), jobq.rename_queue('given', 'hers')});
is( $node->sql(
		q{SET ROLE mallory; SELECT count(*), max(queue) FROM jobq.workers
			WHERE role = 'mallory'::regrole AND state = 'running'}
	),
	'1|',
	'its worker does not name it to its former owner');
is( $node->sql(
		q{SET ROLE alice;
			SELECT queue FROM jobq.workers WHERE kind = 'executor' AND state = 'running'}
	),
	'hers',
	'a worker names the queue to its new owner');
$node->sql(q{SELECT jobq.drop_queue('hers', force => true)});

$node->stop;
done_testing();
