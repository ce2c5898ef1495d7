# t/136_ended_by_timeout.pl: leases that end with the job's timeout, and
# leases that end before.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 0']);
$node->create_clock;

$node->sql(
	q{SELECT jobq.create_queue('capped', timeout => '60 s', lease => '10 min'),
	jobq.create_queue('extended', timeout => '60 s', lease => '50 s'),
	jobq.create_queue('short', timeout => '1 hour', lease => '50 s'),
	jobq.create_queue('plain', lease => '50 s'),
	jobq.create_queue('dead', timeout => '60 s', lease => '10 min', max_attempts => 1)});
my @queues = qw(capped extended short plain dead);
my %held;
foreach my $queue (@queues)
{
	$node->sql("SELECT jobq.enqueue('$queue')");
	($held{$queue}) = $node->sql("SELECT id || ', ' || lease FROM jobq.dequeue('$queue')");
}
is($node->sql("SELECT jobq.heartbeat($held{extended}, extend => '1 hour')"),
	't', 'a heartbeat does not extend the lease past the timeout');

# Not told by the coordinator yet: the row says it
$node->advance_clock('61 s');
foreach my $queue (@queues)
{
	my ($ret, $out, $err) = $node->psql('postgres', "SELECT jobq.complete($held{$queue})");
	like($err, qr/the lease is lost/, "$queue: complete() fails after the timeout");
	like(
		$err,
		qr/keep a lease from running out before the job's timeout/,
		"$queue: the hint does not promise more than the timeout allows");
}
poll_ok($node, 'SELECT count(*) = 5 FROM jobq.attempts', 'the attempts have ended');

my %expected = (
	timed => '57014|the job ran longer than its timeout'
	  . '|The lease ended with the timeout of 60.000 s.'
	  . '|Heartbeats do not extend a lease beyond the timeout.',
	lost => 'JQ001|the lease ran out before the job was finished||');
my %outcome = (
	capped => "timed out|$expected{timed}",
	extended => "timed out|$expected{timed}",
	dead => "timed out|$expected{timed}",
	short => "lease lost|$expected{lost}",
	plain => "lease lost|$expected{lost}");
foreach my $queue (@queues)
{
	is( $node->sql(
			"SELECT outcome, sqlstate, error, detail, hint FROM jobq.attempts
			 WHERE queue = '$queue'"),
		$outcome{$queue},
		"$queue: the attempt has timed out");
}
is($node->sql(q{SELECT state, sqlstate FROM jobq.jobs WHERE queue = 'dead'}),
	'dead|57014', 'the last attempt');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{capped,extended,short,plain}', 10)}),
	4, 'jobs with attempts left can be claimed at once');

done_testing();
