# t/140_notified_queues.pl: the coordinator's memory for queues that it has
# notified does not grow with the number of all queues that ever existed.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.notify_interval = 5', 'jobq.shared_memory = 4MB' ]);
my $coordinator = wait_for_worker($node, 'jobq coordinator');
my $listener = start_session($node);

# The memory for it, in bytes, as the coordinator says it itself.
sub memory
{
	my $position = log_position($node);
	my $size;
	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($coordinator)");
	poll_until(
		sub {
			($size) = log_since($node, $position) =~ /jobq notified queues: (\d+) total/;
			return $size;
		}) or die "the coordinator does not say\n";
	return $size;
}

# Queues that get a job, which is told of, and go.
sub notify_queues
{
	my ($n) = @_;
	$node->safe_psql(
		'postgres', qq{
		SELECT count(jobq.create_queue('q' || i)) FROM generate_series(1, $n) AS i;
		SELECT jobq.create_queue('last')});
	ask($listener, q{SELECT jobq.listen('last')});
	$node->safe_psql(
		'postgres', qq{
		SELECT count(jobq.enqueue('q' || i)) FROM generate_series(1, $n) AS i;
		SELECT jobq.enqueue('last')});
	poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification "jobq.last"/ })
	  or die "nobody is notified\n";
	ask($listener, q{SELECT jobq.unlisten('last')});
	$node->safe_psql(
		'postgres', qq{
		SELECT count(jobq.drop_queue('q' || i, force => true)) FROM generate_series(1, $n) AS i;
		SELECT jobq.drop_queue('last', force => true)});
	return;
}

notify_queues(200);
my $before = memory();
notify_queues(200) foreach (1 .. 15);
cmp_ok(memory(), '<', 3 * $before, 'queues that were notified are forgotten');

end_session($listener);
$node->stop;
done_testing();
