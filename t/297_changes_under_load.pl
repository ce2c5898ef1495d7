# t/297_changes_under_load.pl: queues and limits are dropped and made again, with VACUUM FULL
# and ALTER EXTENSION under load, and no ticket and no group is left.

use strict;
use warnings;

use JobqClients;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'fsync = off',
		'jobq.max_workers = 4',
		'jobq.sweep_interval = 0',
		"jobq.log_jobs = 'none'"
	]);
$node->sql(
	q{CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_sleep(random() * 0.01); END$$;
	SELECT jobq.create_limit('l', max_running => 2);
	CREATE FUNCTION make(q text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		PERFORM jobq.create_queue(q, 'work(jobq.job)', max_running => 3,
			max_running_per_group => 1, shared_limit => 'l', lease => '1 s',
			max_attempts => 1000, backoff => 'fixed', backoff_base => '1 ms');
		END$$;
	SELECT make('a'), make('b')});
my @clients = map {
	client_start(
		$node, "c$_",
		q{SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease
FROM jobq.dequeue('Q') \gset
\if :id > 0
\sleep 5 ms
SELECT jobq.complete(:id, :lease);
\endif
\sleep 5 ms
} =~ s/Q/$_/r)
} qw(a b);
my @changes = (
	'VACUUM FULL jobq_store.job',
	q{SELECT jobq.drop_queue('a', force => true); SELECT make('a')},
	'ALTER EXTENSION jobq UPDATE',
	q{SELECT jobq.reset_queue(q, 'shared_limit') FROM unnest('{a,b}'::text[]) AS q;
	SELECT jobq.drop_limit('l'); SELECT jobq.create_limit('l', max_running => 2);
	SELECT jobq.alter_queue(q, shared_limit => 'l') FROM unnest('{a,b}'::text[]) AS q});
for my $round (1 .. 8)
{
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$_', array_fill('1'::jsonb, '{150}'),
		group_keys => ARRAY(SELECT 'g' || n % 20 FROM generate_series(1, 150) AS n))})
	  for qw(a b);
	my $ready = $node->sql(q{SELECT count(*) FROM jobq.jobs WHERE state = 'ready'});
	poll_query($node, "SELECT count(*) < $ready - 30 FROM jobq.jobs WHERE state = 'ready'");
	$node->sql($changes[ $round % @changes ]);
}
all_jobs_run($node, 'in the end');
client_kill($node, @clients);
limits_settled($node, 'in the end');
is($node->sql('SELECT sum(running) FROM jobq_store.gates()'), '0', 'no ticket is left');
is($node->sql('SELECT running FROM jobq.limits'), '0', 'no slot is left');
is($node->sql('SELECT count(*) FROM jobq.groups WHERE running > 0'), '0', 'no group is left');

$node->stop;
done_testing();
