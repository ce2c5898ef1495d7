# t/328_rows_that_views_read.pl: no view reads a table again for each queue, limit,
# schedule or job of its reader, where nearly all rows of that table are one queue's:
# what others put into one queue would multiply with what they let a role read.  The
# groups of one queue are found without reading others' options.

use strict;
use warnings;

use JSON::PP qw(decode_json);
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = 2000;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'fsync = off', 'autovacuum = off' ]);

$node->sql(
	qq{
	SELECT jobq.stop();
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{alice,bob,carol}'::regrole[]) AS r;
	SET ROLE carol;
	SELECT jobq.create_queue('own');
	SELECT count(jobq.enqueue('own', group_key => 'group' || i)) FROM generate_series(1, 20) AS i;
	SET ROLE alice;
	SELECT count(jobq.create_limit('limit' || i)) FROM generate_series(1, $many) AS i;
	SELECT count(jobq.create_queue('queue' || i, shared_limit => 'limit1'))
	FROM generate_series(1, $many) AS i;
	SELECT count(jobq.grant_queue('queue' || i, 'bob', 'read')) FROM generate_series(1, $many) AS i;
	SELECT jobq.create_queue('groups', max_running_per_group => 1, group_on_failure => 'stop',
		max_attempts => 1);
	SELECT jobq.grant_queue('groups', 'bob', 'read');
	SELECT count(jobq.set_group('groups', 'option' || i, weight => 3))
	FROM generate_series(1, $many) AS i;
	SELECT count(jobq.enqueue('groups', '{}', group_key => 'stop' || i))
	FROM generate_series(1, $many) AS i;
	SELECT count(jobq.enqueue('queue1', '{}')) FROM generate_series(1, $many);
	SELECT count(jobq.schedule('schedule' || i, '0 0 1 1 *', queue => 'queue1'))
	FROM generate_series(1, $many) AS i});
$node->sql(
	qq{
	SELECT count(jobq.fail(id, lease, 'no')) FROM jobq.dequeue('groups', $many);
	SELECT count(*) FROM jobq.dequeue('queue1', $many / 2)});
is($node->sql('SELECT count(*) FROM jobq_store.group_stop'), $many, 'groups are stopped');
$node->sql('ANALYZE');

my %rows_of = map { split /\|/ }
  split /\n/, $node->sql(
	q{SELECT relname, reltuples::bigint FROM pg_class
		WHERE relnamespace = 'jobq_store'::regnamespace AND relkind = 'r'});

# Each scan of a table in a plan, as [table, rows that it has read in all its loops].
sub scans
{
	my ($plan) = @_;
	my $rows = $plan->{'Actual Rows'} + ($plan->{'Rows Removed by Filter'} // 0);
	return (
		(   defined $plan->{'Relation Name'}
			? [ $plan->{'Relation Name'}, $rows * $plan->{'Actual Loops'} ]
			: ()),
		map { scans($_) } @{ $plan->{Plans} // [] });
}

# The rows that a role's query reads of each table, as "table: rows" if more than that.
sub reads_more_than
{
	my ($role, $query, $limit_of) = @_;
	my $plan =
	  decode_json($node->sql("SET ROLE $role; EXPLAIN (ANALYZE, TIMING OFF, FORMAT json) $query"));

	return join ', ', map { "$_->[0]: $_->[1]" }
	  grep { $_->[1] > $limit_of->($_->[0]) } scans($plan->[0]{Plan});
}

my @views = split /\n/, $node->sql(
	q{SELECT oid::regclass FROM pg_class
		WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'v' ORDER BY 1});
foreach my $role (qw(bob alice postgres))
{
	foreach my $view (@views)
	{
		is( reads_more_than(
				$role,
				"SELECT * FROM $view",
				sub { return 20 * (($rows_of{ $_[0] } // 0) + $many); }),
			'',
			"$view, read by $role");
	}
}

is($node->sql(q{SET ROLE carol; SELECT count(*) FROM jobq.groups WHERE queue = 'own'}),
	'20', 'a role has groups');
is( reads_more_than('carol', q{SELECT * FROM jobq.groups WHERE queue = 'own'}, sub { return 100; }),
	'',
	'the groups of one queue are read without those of others');

$node->stop;
done_testing();
