# t/252_many_behind_one_group.pl: jobs of a group that may not start cost the
# others nothing, however many they are.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.sweep_interval = 0', 'fsync = off' ]);

$node->sql(
	q{SELECT jobq.create_queue(q, lease => '1 day', max_running_per_group => 1)
		FROM unnest('{alone,behind}'::text[]) AS q;
	SELECT jobq.enqueue('behind', group_key => 'full');
	SELECT count(*) FROM jobq.dequeue('behind')});
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('behind', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 5000) AS n), group_key => 'full')}) for 1 .. 20;

# The buffers that claiming jobs of 20 other groups, one at a time, touches.
sub buffers
{
	my ($queue) = @_;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, 25) AS n), group_keys => ARRAY(SELECT 'other ' || n
			FROM generate_series(1, 25) AS n))});
	my $out = $node->sql(
		qq{SELECT count(*) FROM jobq.dequeue('$queue', 5);
		EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
			SELECT jobq.dequeue('$queue') FROM generate_series(1, 20)});
	my @hits = $out =~ /shared hit=(\d+)/g;
	return $hits[0];
}

my $alone = buffers('alone');
my $behind = buffers('behind');
ok($alone > 20, "claims of 20 jobs touch $alone buffers");
cmp_ok(
	$behind, '<=',
	$alone * 1.5 + 20,
	"beside a full group with 100,000 jobs they touch no more ($behind)");
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'behind' AND state = 'running'}),
	'26', 'those of the full group are left alone');
my $nothing = $node->sql(
	q{EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
	SELECT jobq.dequeue('behind') FROM generate_series(1, 100)});
like($nothing, qr/^ProjectSet \(actual rows=0 /, 'other claims find nothing');
my ($hits) = $nothing =~ /shared hit=(\d+)/;
cmp_ok($hits // 0, '<', 300, 'hardly a buffer is read');

# The group goes on as soon as it may.
$node->sql(
	q{SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE group_key = 'full' AND state = 1});
is($node->sql(q{SELECT group_key FROM jobq.dequeue('behind', 5)}), 'full', 'it goes on');

$node->stop;
done_testing();
