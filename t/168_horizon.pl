# t/168_horizon.pl: who holds the horizon is who has done so for long: not a
# process that has just begun, whatever the age of the transaction it works for.

use strict;
use warnings;

use JobqTest;
use JobqSession;
use Test::More;

my $node = jobq_node('main', conf => [q{jobq.health_transaction_age = '10 s'}]);
$node->sql('CREATE TABLE t AS SELECT FROM generate_series(1, 1000)');

my $leader = start_session($node);
my ($pid) =
  ask($leader, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_backend_pid()') =~ /(\d+)/;
poll_ok(
	$node,
	"SELECT now() - xact_start > '10.5 s' FROM pg_stat_activity WHERE pid = $pid",
	'a transaction is old');

# Its worker has the transaction's time, and began later.
order(
	$leader, q{SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
	SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 1;
	SELECT count(*) FROM t WHERE pg_sleep(0.1)::text = ''});
poll_ok(
	$node, qq{SELECT count(*) = 1 FROM pg_stat_activity AS w JOIN pg_stat_activity AS l
		ON l.pid = w.leader_pid WHERE l.pid = $pid AND w.xact_start = l.xact_start
		AND w.backend_xmin IS NOT NULL},
	'it has a worker that has just begun');
is($node->sql(q{SELECT string_agg(object, ', ') FROM jobq.health WHERE topic = 'horizon'}),
	"pid $pid", 'the worker is not accused');
$node->sql("SELECT pg_terminate_backend($pid)");
$leader->{run}->finish;

$node->stop;
done_testing();
