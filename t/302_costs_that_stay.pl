# t/302_costs_that_stay.pl: what does not cost more the more there is: unique_for with many
# finished jobs of a key, flow_check() with many queues, and the passes over history for
# dropped queues, which take a share of the time.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'jobq.max_workers = 2' ]);

# ------------------------------------------------------------------- unique_for

# What a statement reads of history, in rows.
sub history_read_by
{
	my ($sql) = @_;
	return $node->sql(
		qq{BEGIN; $sql;
		SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables
		WHERE schemaname = 'jobq_store' AND relname ~ '^history';
		ROLLBACK}) =~ s/.*\n//sr;
}

$node->sql(q{SELECT jobq.create_queue('u'), jobq.create_queue('rest')});
foreach my $key (qw(cancelled completed))
{
	$node->sql(
		qq{DO \$\$ BEGIN
		FOR i IN 1 .. 500 LOOP
			PERFORM jobq.enqueue('u', unique_key => '$key');
			IF '$key' = 'completed' THEN
				PERFORM jobq.take('u');
			ELSE
				PERFORM jobq.cancel(id) FROM jobq.jobs WHERE queue = 'u' AND finished_at IS NULL;
			END IF;
		END LOOP;
		END \$\$});
}
is($node->sql(q{SELECT count(*) FROM jobq_store.history WHERE unique_key = 'completed'}),
	'500', 'a key has many finished jobs');
my $enqueue = q{SELECT jobq.enqueue('u', unique_key => '%s', unique_for => '1 h')};
cmp_ok(history_read_by(sprintf($enqueue, 'cancelled')),
	'<', 10, 'cancelled jobs of a key are not read for unique_for');
cmp_ok(history_read_by(sprintf($enqueue, 'completed')),
	'<', 10, 'of completed ones only the newest is');
is( $node->sql(sprintf($enqueue, 'completed')),
	$node->sql(q{SELECT max(id) FROM jobq_store.history WHERE unique_key = 'completed'}),
	'it is what enqueue() returns');
is( $node->sql(
		q{SELECT jobq.enqueue('u', unique_key => 'cancelled', unique_for => '1 h')
		> max(id) FROM jobq_store.history}),
	't',
	'a cancelled job does not count');

# ------------------------------------------------------------------ flow_check()

my $count = 'SELECT count(*) FROM jobq_store.flow_check()';
my $scans = q{SELECT seq_scan + idx_scan FROM pg_stat_xact_all_tables
	WHERE relid = 'jobq_store.job'::regclass};
$node->sql(
	"SELECT jobq.create_queue('z' || g, max_running => 3) FROM generate_series(1, 200) AS g");
my ($differences, $n) = split(/\n/, $node->sql("BEGIN; $count; $scans; COMMIT"));
is($differences, '0', 'flow_check() finds nothing');
cmp_ok($n, '<', 20, 'flow_check() does not read the jobs for each queue');

done_testing();
