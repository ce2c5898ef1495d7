# What a maximum of running jobs costs: where it is never reached, and where
# half of the clients wait for the end of somebody's job.

package JobqBench::Scenario::MaxRunning;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);

# The rows of $clients clients without a limit, and of others with one.
sub compare
{
	my ($size, $measure, $clients, $limited) = @_;
	my $off = "no limit, $clients clients";
	return throughput(
		$size,
		measure => $measure,
		queue => 'jobq',
		script => 'consume1_wait.pgb',
		consumes => 1,
		waits => 1,
		variants => [
			{ system => $off, clients => $clients },
			{
				system => "max_running $limited->{max_running}",
				clients => $limited->{clients},
				create => "keep_completed => '0', max_running => $limited->{max_running}",
				goal => goal('>=', $limited->{goal}, $off)
			}
		]);
}

scenario(
	title => 'consume one by one under a maximum of running jobs',
	run => sub {
		my ($size) = @_;
		my $clients = $size->{clients} // 16;
		my $half = int($clients / 2);
		return (
			compare(
				$size, 'never reached',
				$clients, { clients => $clients, max_running => 1000, goal => 0.97 }),
			compare(
				$size, 'reached',
				$half, { clients => $clients, max_running => $half, goal => 0.95 }));
	});
