# t/300_ids_used_up.pl: when all ids of queues and limits have been used, by transactions
# that roll back for example, those that are free are used again.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'max_prepared_transactions = 2' ]);
my $dir = PostgreSQL::Test::Utils::tempdir();

sub id_of
{
	my ($queue) = @_;
	return $node->sql("SELECT id FROM jobq_store.queue WHERE name = '$queue'");
}

# --------------------------------------------------------------- what is in use

# ids 1 to 8, of which 4 is free
$node->sql("SELECT jobq.create_queue('q' || g) FROM generate_series(1, 3) AS g");
$node->sql(q{BEGIN; SELECT jobq.create_queue('none'); ROLLBACK});
$node->sql("SELECT jobq.create_queue('q' || g) FROM generate_series(5, 7) AS g");
$node->sql(
	q{SELECT jobq.create_limit('l' || g) FROM generate_series(1, 2) AS g;
	SELECT jobq.schedule('s', '@yearly', queue => 'q7')});

# 6 was dropped, and leaves a finished job that is locked
$node->sql(q{SELECT jobq.enqueue('q6'); SELECT count(*) FROM jobq.take('q6')});
my $gone = id_of('q6');
my $holder = start_session($node, name => 'holder');
ask($holder, "BEGIN; SELECT FROM jobq_store.history WHERE queue = $gone FOR UPDATE");
$node->sql(q{SELECT jobq.drop_queue('q6')});

# 5 is being dropped, 8 is being made; 7 was dropped, and nothing is left of it
$node->sql(
	q{BEGIN; SELECT jobq.drop_queue('q5'); PREPARE TRANSACTION 'drop';
	BEGIN; SELECT jobq.create_queue('q8'), jobq.create_limit('l3');
	PREPARE TRANSACTION 'create'});
$node->sql(q{SELECT jobq.drop_queue('q7')});
$node->sql(
	q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
	WHERE backend_type = 'jobq coordinator'});
poll_ok(
	$node,
	"SELECT string_agg(id::text, ' ') FROM jobq_store.gone_queue",
	'a pass over dropped queues',
	expected => $gone);
is(join(' ', map { id_of("q$_") } 1, 2, 3, 5), '1 2 3 5', 'the ids that are in use');

# ----------------------------------------------------------------- used up

$node->sql(
	q{SELECT setval('jobq_store.queue_id_seq', 2147483646),
	setval('jobq_store.limit_id_seq', 2147483646)});
$node->sql(
	q{SELECT jobq.create_queue('n' || g) FROM generate_series(1, 4) AS g;
	SELECT jobq.create_limit('n' || g) FROM generate_series(1, 2) AS g});
is(join(' ', map { id_of("n$_") } 1 .. 4), '2147483647 4 7 9', 'free ids of queues are used again');
is( $node->sql(
		q{SELECT string_agg(id::text, ' ' ORDER BY name) FROM jobq_store.limit_def
		WHERE name LIKE 'n%'}),
	'2147483647 4',
	'free ids of limits are used again');
is($node->sql(q{SELECT jobq.run('SELECT 1') > 0}), 't', 'so they are for the queue of run()');
is($node->sql(q{SELECT queue IS NULL, enabled FROM jobq.schedules}),
	't|f', 'a schedule of a dropped queue is not given to the one that has its id');

# a queue with an id of another one has none of its jobs
$node->sql(q{ROLLBACK PREPARED 'drop'; COMMIT PREPARED 'create'});
ask($holder, 'COMMIT');
end_session($holder);
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue LIKE 'n%'}),
	'0', 'they have no jobs of others');
$node->sql(q{SELECT jobq.enqueue('n2'), jobq.enqueue('q5'), jobq.enqueue('q8')});
is( $node->sql(
		q{SELECT string_agg(queue, ' ' ORDER BY queue) FROM jobq.jobs WHERE state = 'ready'}),
	'n2 q5 q8',
	'jobs are in their queues');

# --------------------------------------------------------------------- a dump

$node->sql('CREATE DATABASE copy');
$node->command_ok([ 'pg_dump', '-f', "$dir/dump.sql", $node->connstr('postgres') ], 'pg_dump');
$node->command_ok(
	[
		'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', "$dir/out", '-f', "$dir/dump.sql",
		$node->connstr('copy')
	],
	'a dump can be restored');
$node->sql(q{SELECT jobq.create_queue('new'), jobq.create_limit('new')}, 'copy');
is( $node->sql(
		'SELECT count(*) = count(DISTINCT id) FROM jobq_store.queue
		UNION ALL SELECT count(*) = count(DISTINCT id) FROM jobq_store.limit_def', 'copy'),
	"t\nt",
	'new queues and limits of the copy have ids of their own');

done_testing();
