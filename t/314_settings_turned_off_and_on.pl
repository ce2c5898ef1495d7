# t/314_settings_turned_off_and_on.pl: a coordinator that leaves because of the
# settings comes back without delay, however often.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['log_statement = none']);

# Whether a process, which is stopped, was sent SIGTERM.
sub is_terminated
{
	my ($pid) = @_;
	return hex(process_status($pid, 'ShdPnd') // 0) & 1 << 14;
}

# Turns jobq off and on; returns when the next coordinator is there.
sub turn_off_and_on
{
	my ($pid) = @_;
	kill('STOP', $pid) or die "kill $pid: $!";
	$node->sql('ALTER SYSTEM SET jobq.enabled = off');
	$node->reload;
	poll_until(sub { is_terminated($pid) }) or die "the launcher does not end the coordinator\n";
	kill('CONT', $pid) or die "kill $pid: $!";
	poll_query($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", expected => '0')
	  or die "the coordinator has not left\n";
	$node->sql('ALTER SYSTEM RESET jobq.enabled');
	$node->reload;
	return wait_for_worker($node, 'jobq coordinator', not => $pid);
}

SKIP:
{
	skip 'there is no /proc to see signals in', 1 unless sees_processes();

	# With a delay that doubles each time, one of these would last 16 seconds.
	my $coordinator = wait_for_worker($node, 'jobq coordinator');
	foreach my $round (1 .. 8)
	{
		within(
			10,
			"the coordinator is back at once, round $round",
			sub { $coordinator = turn_off_and_on($coordinator) }) or last;
	}
}

done_testing();
