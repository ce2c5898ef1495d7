# t/290_limit_set_while_locked.pl: a transaction changes the first job of a group, and
# max_running_per_group is set meanwhile: when it ends, the next job can be claimed at once.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'jobq.max_workers = 0', 'jobq.sweep_interval = 0', 'fsync = off' ]);
my $changer = start_session($node);

foreach my $option ('queue', 'group')
{
	my $limit =
	  $option eq 'queue'
	  ? q{jobq.alter_queue('q', max_running_per_group => 1)}
	  : q{jobq.set_group('q', 'g', max_running => 1)};
	$node->sql(
		q{SELECT jobq.create_queue('q');
		SELECT jobq.enqueue('q', to_jsonb(n), group_key => 'g') FROM generate_series(1, 2) AS n});
	ask($changer,
		q{BEGIN; SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'q' AND payload = '1'});
	$node->sql("SELECT $limit");
	is(claim_jobs($node, 'q', 5),
		'', "limit of the $option: nothing overtakes the job that is being changed");
	# each time it is looked at later
	claim_jobs($node, 'q', 5) foreach 1 .. 5;
	ask($changer, 'COMMIT');
	is(claim_jobs($node, 'q', 5),
		'2', "limit of the $option: the next job is free when that has ended");
	limits_settled($node, "limit of the $option");
	$node->sql(q{SELECT jobq.drop_queue('q', force => true)});
}
end_session($changer);

$node->stop;
done_testing();
