# t/326_groups_read_from_the_index.pl: groups that are read from the index, after a start
# and where memory has room for a few of them only: of all sizes, with all priorities, and
# with entries of jobs that are gone in between.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.sweep_interval = 0',
		'jobq.shared_memory = 1MB',
		'autovacuum = off',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);
$node->sql(
	q{SELECT jobq.create_queue('q', keep_completed => '0');
	CREATE TABLE done (nr bigint GENERATED ALWAYS AS IDENTITY, id bigint, grp text, priority int)}
);

# The sizes are below and above the number of entries that a walk passes over.
sub enqueue
{
	my ($prefix, $ngroups) = @_;
	$node->sql(
		qq{SELECT count(jobq.enqueue('q', group_key => '$prefix' || g,
				priority => CASE g % 3 WHEN 0 THEN 0 WHEN 1 THEN 5 ELSE j % 3 - 1 END))
			FROM generate_series(1, $ngroups) AS g,
			LATERAL (SELECT ('{1,2,3,14,15,1,65,130}'::int[])[g % 8 + 1] AS n) AS size,
			LATERAL generate_series(1, n) AS j}
	);
	return;
}

# Claims and completes jobs until there are none.
sub consume
{
	$node->sql('VACUUM jobq_store.job') if $_[0];
	return $node->sql(
		q{DO $$
		DECLARE n int;
		BEGIN
			LOOP
				WITH claimed AS MATERIALIZED (
					SELECT d.id, d.lease, d.ordinality, j.group_key, j.priority
					FROM jobq.dequeue('q', 20) WITH ORDINALITY AS d
						JOIN jobq.jobs AS j USING (id)),
				kept AS (
					INSERT INTO done (id, grp, priority)
					SELECT id, group_key, priority FROM claimed ORDER BY ordinality)
				SELECT count(jobq.complete(id, lease)) INTO n FROM claimed;
				COMMIT;
				EXIT WHEN n = 0;
			END LOOP;
		END $$}
	);
}

sub check
{
	my ($name) = @_;
	is($node->sql('SELECT count(*) FROM jobq_store.job'), '0', "$name: no job is left");
	is($node->sql('SELECT count(*) - count(DISTINCT id) FROM done'),
		'0', "$name: none is claimed twice");
	return;
}

enqueue('a', 240);
my $njobs = $node->sql('SELECT count(*) FROM jobq_store.job');
consume(0);
check('groups that were told of');
is($node->sql('SELECT count(*) FROM done'), $njobs, 'all were claimed');

# entries of the jobs of above are still in the index
enqueue('a', 240);
$node->restart;
consume(0);
check('after a start, with dead entries');

enqueue('b', 240);
$node->restart;
consume(1);
check('after a start');
is($node->sql('SELECT count(*) FROM done'), 3 * $njobs, 'all have been claimed');

# without lanes in memory, and with one group that has most of the jobs
$node->sql('TRUNCATE done');
$node->sql(
	q{SELECT count(jobq.enqueue('q', group_key => 'm', priority => i % 2))
	FROM generate_series(1, 500) AS i}
);
enqueue('l', 8);
enqueue('n', 8);
$node->restart;
consume(0);
check('a group between others');
is( $node->sql(
		q{SELECT count(*) FROM (SELECT lag(priority) OVER (PARTITION BY grp ORDER BY nr) AS last,
				priority FROM done) AS d
		WHERE last > priority}
	),
	'0',
	'each group in the order of its priorities');

# A claim finds out about the priorities of a group when there is a job of its own before the
# first one that was read.
$node->sql(
	q{SELECT jobq.enqueue('q', to_jsonb(g), group_key => g) FROM unnest('{r,s}'::text[]) AS g});
$node->restart;
is($node->sql(q{SELECT payload FROM jobq.dequeue('q')}), '"r"', 'the groups are read');
is( $node->sql(
		q{BEGIN;
		SELECT jobq.enqueue('q', '"own"', group_key => 's', priority => -1) IS NULL;
		SELECT payload FROM jobq.dequeue('q');
		ROLLBACK}),
	qq{f\n"own"},
	'a job of the transaction comes first');
is($node->sql(q{SELECT payload FROM jobq.dequeue('q')}),
	'"s"', 'after the rollback, the other job is found');

$node->stop;
done_testing();
