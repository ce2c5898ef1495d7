# t/334_slots_used_by_others.pl: SQL jobs go on soon after a worker slot is free, however
# long parallel queries have used them all.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

# the launcher, the coordinator and logical replication's launcher leave one
my $node = jobq_node('main', conf => [ 'max_worker_processes = 4', 'jobq.max_workers = 2' ]);

# Delays that doubled up to a minute would have the coordinator try after 1, 3, 7, 15, 31
# and 63 seconds.
my $seconds = 33;

$node->sql(
	q{
	CREATE TABLE done (n int);
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS
		'INSERT INTO public.done VALUES (1)';
	SELECT jobq.create_queue('work', 'work(jsonb)')});

my $busy = start_session($node);
my $setting = $node->sql(
	q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
order($busy,
	"SET $setting = on; SET max_parallel_workers_per_gather = 1; SELECT pg_sleep($seconds)");
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'parallel worker'},
	'a parallel query uses the only worker slot');
$node->sql(q{SELECT jobq.enqueue('work')});
poll_ok($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'},
	'it ends', seconds => 2 * $seconds);
poll_ok($node, 'SELECT count(*) = 1 FROM done', 'the job runs', seconds => 15);
end_session($busy);
$node->stop;
done_testing();
