# t/038_sweep.pl: the sweep finds jobs that are missing from shared memory
# because somebody has changed or locked rows without jobq's functions. It does
# not touch jobs that a transaction has locked, and jobq.health reports it.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.sweep_interval = 0', 'jobq.shared_memory = 2MB', 'fsync = off' ]);

sub dequeue
{
	return $node->sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM jobq.dequeue('work', 10)");
}

my $swept = "SELECT coalesce(substring(message FROM '[0-9]+'), '')
	FROM jobq.health WHERE topic = 'sweep'";

sub sweep_every
{
	my ($interval) = @_;
	$node->sql("ALTER SYSTEM SET jobq.sweep_interval = '$interval'");
	$node->reload;
	poll_ok(
		$node,
		"SELECT current_setting('jobq.sweep_interval') = '$interval'",
		"jobq.sweep_interval is $interval");
	return;
}

$node->sql("SELECT jobq.create_queue('work', notify => false, lease => '1 day')");
is(dequeue(), '', 'the queue is known to be empty');

# ------------------------------------------------- a row locked by hand

my $id = $node->sql("SELECT jobq.enqueue('work')");
my $session = start_session($node);
ask($session, "BEGIN; SELECT FROM jobq_store.job WHERE id = $id FOR UPDATE");
is(dequeue(), '', 'a claim skips the locked job');
ask($session, 'ROLLBACK');
is(dequeue(), '', 'claims do not find a job that was locked by hand');
is($node->sql($swept), '', 'the sweep has found nothing while it is off');

sweep_every('1s');
dequeue();
poll_ok($node, $swept, 'the sweep has found it', expected => '1');
is(dequeue(), $id, 'a claim finds the job after the sweep');

# ---------------------------------------------- rows written by hand

sweep_every('0');
my ($first, $second, $held) =
  split(/\n/, $node->sql("SELECT jobq.enqueue_many('work', array_fill('{}'::jsonb, '{3}'))"));
is(dequeue(), "$first $second $held", 'three jobs are claimed');
$node->sql(
	"UPDATE jobq_store.job SET state = 0, attempt = 0, lease = NULL, lease_until = NULL
	WHERE id IN ($first, $second)");
is(dequeue(), '', 'claims do not find jobs made ready by hand');

# one that somebody works on is not the sweep's business
my $taken = $node->sql("SELECT jobq.enqueue('work')");
ask($session, "BEGIN; SELECT id FROM jobq.take('work')");
sweep_every('1s');
dequeue();
poll_ok($node, $swept, 'the sweep has found both', expected => '3');
is(dequeue(), "$first $second", 'claims find the jobs after the sweep');
ask($session, 'ROLLBACK');
is(dequeue(), $taken, 'the job that was taken is ready at once when it is given back');
is($node->sql($swept), '3', 'the sweep does not count a job that was taken');

# a lease that nobody has told the registry of
sweep_every('0');
is(dequeue(), '', 'all jobs are claimed');
my $leased = $node->sql("SELECT jobq.enqueue('work')");
$node->sql(
	"UPDATE jobq_store.job SET state = 1, attempt = 1, lease = 1, lease_until = now()
	WHERE id = $leased");
is(dequeue(), '', 'a lease written by hand does not end');
sweep_every('1s');
dequeue();
poll_ok($node, $swept, 'the sweep has found it', expected => '4');
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $leased",
	'the lease has been ended',
	expected => 'ready');
is(dequeue(), $leased, 'the job can be claimed');

# made ready by hand, but for its lease, which is not over
sub make_ready
{
	my ($job) = @_;
	$node->sql(
		"UPDATE jobq_store.job SET state = 0, lease_until = NULL
		WHERE id = $job AND lease_until > now()");
	dequeue();
	return;
}

my $claim = "SELECT id FROM jobq.dequeue('work')";
$node->sql("SELECT jobq.enqueue('work')");
my $ready = $node->sql($claim);
make_ready($ready);
poll_ok($node, $swept, 'the sweep has found a ready job that has a lease', expected => '5');
is($node->sql($claim), $ready, 'the job can be claimed');

# leases for which the registry has no room are not lost
$node->sql(
	q{SELECT jobq.create_queue('many');
	SELECT count(jobq.enqueue('many')) FROM generate_series(1, 20000)});
$node->sql(q{SELECT count(*) FROM jobq.dequeue('many', 10000, lease => '50 min')}) foreach (1, 2);
is($node->sql("SELECT count(*) FROM jobq.health WHERE topic = 'shared memory'"),
	'1', 'there is no room for all leases');
foreach my $n (6, 7)
{
	make_ready($ready);
	poll_ok($node, $swept, "a sweep finds nothing but what is lost: $n", expected => $n);
	is($node->sql($claim), $ready, 'what the sweep has found can be claimed');
}

end_session($session);
$node->stop;
done_testing();
