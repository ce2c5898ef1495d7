# t/013_no_coordinator.pl: without a coordinator, claims end the leases that
# have run out, and give out no job twice.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['fsync = off']);
$node->create_clock;

dismiss_coordinator($node);

foreach my $way ('dequeue', 'take')
{
	my $claim = "SELECT id FROM jobq.$way('$way', 10)";

	$node->sql("SELECT jobq.create_queue('$way', lease => '1 minute')");
	my $leased = $node->sql("SELECT jobq.enqueue('$way')");
	is($node->sql("SELECT id FROM jobq.dequeue('$way')"), $leased, "$way: a job is leased");
	$node->advance_clock('2 minutes');

	# The first two are known to be ready; the third is come across afterwards,
	# and before these two, which the claim is holding.
	my @ready =
	  split(/\n/, $node->sql("SELECT jobq.enqueue_many('$way', array_fill('{}'::jsonb, '{2}'))"));
	is( $node->sql("SELECT string_agg(id::text, ' ') FROM ($claim) AS t"),
		"@ready $leased",
		"$way: all jobs are given out once");
	is($node->sql("SELECT count(*) FROM ($claim) AS t"), '0', "$way: nothing is left");
}

$node->stop;
done_testing();
