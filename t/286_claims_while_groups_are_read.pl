# t/286_claims_while_groups_are_read.pl: a claim gets a job while other processes are
# still reading the queue's groups from the index.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

use constant {
	DEAD_ROWS => 50_000,
	ROUNDS => 10,
	CLAIMERS => 3
};

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 1',
		'autovacuum = off',
		'fsync = off'
	]);
$node->sql(q{SELECT jobq.create_queue('control'), jobq.create_queue('read')});

# Reading groups takes a while: it passes rows that are gone, but not for all.
my $keeper = start_session($node);
ask($keeper, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->sql(
	sprintf(
		q{SELECT count(*) FROM jobq.enqueue_many('read', array_fill('1'::jsonb, '{%d}'),
			group_key => 'gone');
		DELETE FROM jobq_store.job}, DEAD_ROWS));

# Jobs that were prepared are not known in memory, so the groups are read after that.
my @claimers = map { start_session($node) } 1 .. CLAIMERS;
my $maker = start_session($node);
my $claim = q{BEGIN; SELECT count(*) FROM jobq.take('read')};
my %claimed;
for (1 .. ROUNDS)
{
	ask($maker, 'BEGIN');
	ask($maker, qq{SELECT jobq.enqueue('read', group_key => 'group $_')}) foreach 1 .. CLAIMERS;
	ask($maker, q{PREPARE TRANSACTION 'p'});
	ask($maker, q{COMMIT PREPARED 'p'});
	order($_, $claim)                    foreach @claimers;
	$claimed{ answer($_) =~ s/\n//gr }++ foreach @claimers;
	ask($_, 'COMMIT')                    foreach @claimers;
	wait_for_rest($node, 'control');
}
is_deeply(\%claimed, { 1 => ROUNDS * CLAIMERS }, 'each claim gets a job');
end_session($_) foreach @claimers, $maker, $keeper;

limits_settled($node, 'after that');

$node->stop;
done_testing();
