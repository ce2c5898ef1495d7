# t/289_own_groups.pl: a transaction finds the jobs that it has added itself, of very many
# groups, whether there is room for these or not.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

my $node = small_node(1);
my $groups = 1000;

$node->sql(
	q{SELECT jobq.create_queue('plain', lease => '1 day'),
		jobq.create_queue('limited', lease => '1 day', max_running_per_group => 1)});

# Adds jobs to groups from the n-th to the m-th.
sub add
{
	my ($queue, $n, $m) = @_;
	return qq{SELECT count(jobq.enqueue('$queue', group_key => 'g' || i))
	FROM generate_series($n, $m) AS i};
}

# Claims jobs; how many, and of how many groups.
sub claim
{
	my ($queue, $n) = @_;
	return
	  qq{SELECT count(*) || ' of ' || count(DISTINCT group_key) FROM jobq.dequeue('$queue', $n)};
}

# Without a limit.
my ($none) = $node->sql(claim('plain', 1));
is($none, '0 of 0', 'all groups are known');
my $add = add('plain', 1, $groups);
my $claim = claim('plain', 5000);
is( $node->sql("BEGIN; $add; $claim; ROLLBACK"),
	"$groups\n$groups of $groups",
	'one job of each group is found, if there is room or not');
is( $node->sql("BEGIN; $add; $add; $claim; $claim; COMMIT"),
	"$groups\n$groups\n" . 2 * $groups . " of $groups\n0 of 0",
	'two of each are found once');
is($node->sql($claim), '0 of 0', 'they are claimed');
is( $node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE state = 1}),
	2 * $groups,
	'they can be completed');

# The work is in proportion to the number of groups, where there is room for all of them.
$node->append_conf('postgresql.conf', 'jobq.shared_memory = 32MB');
$node->restart;
my $scans = q{SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index
	WHERE indrelid = 'jobq_store.job'::regclass};
$node->sql(q{SELECT jobq.create_queue('new', lease => '1 day')});
my @lines = split(
	/\n/,
	$node->sql(
		join('; ', 'BEGIN', add('new', 1, $groups), $scans, claim('new', 5000), $scans, 'COMMIT')));
is($lines[2], "$groups of $groups", 'with room for all of them one job of each is found');
cmp_ok($lines[3] - $lines[1], '<', 8 * $groups, 'by some scans of indexes for each');
$node->sql(q{SELECT jobq.drop_queue('new', force => true)});
$node->append_conf('postgresql.conf', 'jobq.shared_memory = 1MB');
$node->restart;

# Savepoints: what was rolled back is not found, and the rest is.
my ($one, $two, $three) = (add('plain', 1, 100), add('plain', 101, 200), add('plain', 201, 300));
my $some = claim('plain', 10);
is( $node->sql(
		"BEGIN; $one; $some; SAVEPOINT a; $two; $some; ROLLBACK TO a; $three; $claim; COMMIT"),
	"100\n10 of 10\n100\n10 of 10\n100\n190 of 190",
	'a savepoint is rolled back between two claims');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE state = 1});
is( $node->sql("BEGIN; $one; $some; SAVEPOINT a; $two; RELEASE a; $three; $claim; COMMIT"),
	"100\n10 of 10\n100\n100\n290 of 290",
	'one is released between two claims');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE state = 1});
my $each = q{DO $$ DECLARE n int; BEGIN
	FOR i IN 1 .. 300 LOOP
		BEGIN
			PERFORM jobq.enqueue('plain', group_key => 'g' || i);
			SELECT count(*) INTO n FROM jobq.dequeue('plain', 2) AS j WHERE j.group_key = 'g' || i;
			IF n <> 1 THEN
				RAISE EXCEPTION 'job % is not found', i;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP; END$$};
is($node->sql("BEGIN; $each; $claim; COMMIT"), '0 of 0', 'each is claimed in its subtransaction');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE state = 1});

# With a limit: as many as there is room for, one of each.
my ($added, $found) = split(/\n/,
	$node->sql('BEGIN; ' . add('limited', 1, $groups) . ';' . claim('limited', 5000) . '; COMMIT'));
my ($jobs, $of) = $found =~ /(\d+) of (\d+)/;
is($jobs, $of, 'with a limit one of each group starts');
cmp_ok($jobs, '>', 50, 'with a limit dozens of groups find room');
for (1 .. 100)
{
	$node->sql(
		q{SELECT count(jobq.complete(j.id, j.lease)) FROM jobq_store.job AS j WHERE state = 1});
	$jobs += $node->sql(q{SELECT count(*) FROM jobq.dequeue('limited', 5000)});
	last if $jobs >= $groups;
}
is($jobs, $groups, 'with a limit the other ones start when others have ended');
limits_settled($node, 'at the end');

$node->stop;
done_testing();
