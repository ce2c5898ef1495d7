# t/316_judged_before_waiting.pl: a role without the privilege to manage a job does not
# wait for another transaction that has locked or changed it.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 1']);

$node->sql(
	q{CREATE ROLE stranger LOGIN; SELECT jobq.grant_usage('stranger');
	SELECT jobq.create_queue('q');
	SELECT jobq.enqueue('q'), jobq.enqueue('q', delay => '1 day')});
my ($ready, $delayed) =
  split(/\n/, $node->sql('SELECT id FROM jobq_store.job ORDER BY run_at'));

my $finished = $node->sql(
	q{SELECT jobq.enqueue('q', priority => -1000);
	SELECT jobq.complete(id, lease) IS NULL FROM jobq.dequeue('q')}) =~ /^(\d+)/ ? $1 : die;

my %calls = (
	delete => "jobq.delete($ready)",
	set_priority => "jobq.set_priority($ready, 3)",
	set_payload => "jobq.set_payload($ready, '1')",
	reschedule => "jobq.reschedule($ready, now())",
	cancel => "jobq.cancel($ready)",
	'delete, finished' => "jobq.delete($finished)",
	'retry, finished' => "jobq.retry($finished)",
	promote => "jobq.promote($delayed)");

foreach my $how ('changed', 'locked')
{
	my $owner = $node->background_psql('postgres');
	$owner->query_safe(
		$how eq 'changed'
		? "BEGIN; SELECT jobq.set_priority(id, 1) FROM jobq_store.job; SELECT jobq.retry($finished)"
		: "BEGIN; SELECT FROM jobq_store.job FOR UPDATE; SELECT FROM jobq_store.history FOR UPDATE"
	);
	foreach my $call (sort keys %calls)
	{
		my ($out, $err) = ('', '');
		$node->psql(
			'postgres', "SET lock_timeout = '1s'; SELECT $calls{$call}",
			stdout => \$out,
			stderr => \$err,
			extra_params => [ '-U', 'stranger', '-v', 'VERBOSITY=verbose' ]);
		like($err, qr/ERROR:  42501/, "$call: a stranger does not wait for a job that was $how");
	}
	$owner->query_safe('ROLLBACK');
	$owner->quit;
}

done_testing();
