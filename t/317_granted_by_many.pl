# t/317_granted_by_many.pl: privileges on very many queues, which others can grant to
# any role, make its queries about a queue or a job of its own read no more, and its
# health and errors only up to a number. Nothing here is measured in time.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $granted = 5000;
my $node = jobq_node(
	'main',
	conf => [
		'max_locks_per_transaction = 2000',
		'jobq.max_workers = 1',
		'fsync = off',
		'autovacuum = off'
	]);

# Rows of the tables of queues, grants and jobs that a statement of a role has read.
sub rows_read
{
	my ($role, $statement) = @_;
	my $output = $node->sql(
		qq{
		BEGIN;
		SET LOCAL ROLE $role;
		$statement;
		SET LOCAL ROLE postgres;
		SELECT 'read ' || coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)
		FROM pg_stat_xact_all_tables WHERE schemaname = 'jobq_store'
			AND relname IN ('queue', 'queue_grant', 'job');
		ROLLBACK});
	return $output =~ /^read (\d+)$/m ? $1 : die "no number in: $output\n";
}

$node->sql(
	q{CREATE ROLE alice LOGIN; CREATE ROLE many LOGIN;
	SELECT jobq.grant_usage('alice', true), jobq.grant_usage('many', true);
	SET ROLE alice;
	SELECT jobq.create_queue('ali');
	SELECT jobq.enqueue('ali') FROM generate_series(1, 20)});
my $id = $node->sql('SELECT min(id) FROM jobq_store.job');

my @calls = (
	[ "jobs of a queue", q{SELECT count(*) FROM jobq.jobs WHERE queue = 'ali'} ],
	[ "a job", qq{SELECT count(*) FROM jobq.jobs WHERE id = $id} ],
	[ "a queue", q{SELECT count(*) FROM jobq.queues WHERE queue = 'ali'} ],
	[ "groups of a queue", q{SELECT count(*) FROM jobq.groups WHERE queue = 'ali'} ],
	[ "dead letters of a queue", q{SELECT count(*) FROM jobq.dead_letters WHERE queue = 'ali'} ],
	[ "attempts of a job", qq{SELECT count(*) FROM jobq.attempts WHERE job_id = $id} ]);
my @bounded = (
	[ "health", q{SELECT count(*) FROM jobq.health} ],
	[
		"an error's hint",
		q{DO $$ BEGIN PERFORM jobq.enqueue('alj'); EXCEPTION WHEN undefined_object THEN END $$}
	]);
my %alone = map { $_->[0] => rows_read('alice', $_->[1]) } @calls, @bounded;

$node->sql(
	qq{SET ROLE many;
	SELECT count(jobq.create_queue('g' || g)) FROM generate_series(1, $granted) AS g;
	SELECT count(jobq.grant_queue('g' || g, 'alice', 'read'))
		FROM generate_series(1, $granted) AS g;
	RESET ROLE;
	ANALYZE});

foreach my $call (@calls)
{
	my ($name, $statement) = @$call;
	cmp_ok(rows_read('alice', $statement),
		'<=', $alone{$name} + 50, "$name: no more is read with $granted grants");
}
foreach my $call (@bounded)
{
	my ($name, $statement) = @$call;
	cmp_ok(rows_read('alice', $statement),
		'<=', $alone{$name} + $granted, "$name: not all queues with a grant are read");
}
is( as_role($node, 'alice', q{SELECT topic FROM jobq.health WHERE severity = 'info'}),
	'grants', 'health says that it does not look at all of them');
is( as_role($node, 'many', q{SELECT count(*) FROM jobq.health WHERE topic = 'grants'}),
	'0', 'health looks at all queues of their owner');

# Of a role's own queues, nothing is left out.
$node->sql(q{SELECT jobq.alter_queue('ali', owner => 'alice')});
is(as_role($node, 'alice', q{SELECT count(*) FROM jobq.jobs}),
	'20', 'the views show all jobs');
is( as_role($node, 'alice', q{SELECT count(*) FROM jobq.queues}),
	$granted + 1,
	'the views show all queues with a grant');

done_testing();
