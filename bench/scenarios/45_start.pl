# How long after a start of the server the first job of a queue starts, which
# must wait for the count of running jobs if the queue has a limit.

package JobqBench::Scenario::Start;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database script);
use JobqBench::Report   qw(goal thousands);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file restart_server wait_until);

my $db = database('jobq');

# Jobs of the second queue that are running when the server is stopped
my $running = 100;

# Seconds from the start of the server to the first job of the queue
sub first_job
{
	my ($queue) = @_;
	return wait_until(
		"a job of $queue",
		sub {
			sql($db, "CALL jobq.wait('{$queue}', '1 min')");
			sql($db,
					'SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())'
				  . " FROM jobq.dequeue('$queue')");
		});
}

scenario(
	title => 'from a start of the server to the first job',
	run => sub {
		my ($size) = @_;
		my @queues = (
			{ queue => 'q', system => 'no limit' },
			{ queue => 'second', system => 'max_running', goal => goal('<=', 2) });
		reset_queue('jobq');
		sql_file(
			$db, script('jobq', 'second.sql'),
			options => 'max_running => 1000',
			jobs => $size->{behind},
			delay => '0');
		sql_file($db, script('jobq', 'fill.sql'), n => 100);
		sql($db, "SELECT count(*) FROM jobq.dequeue('second', $running, '1 day')", 'CHECKPOINT');
		foreach my $round (1 .. $size->{rounds})
		{
			restart_server();
			push @{ $_->{values} }, first_job($_->{queue}) foreach @queues;
		}
		reset_queue('jobq');
		return map {
			{
				measure => thousands($size->{behind}) . ' unfinished',
				system => $_->{system},
				clients => 1,
				unit => 's',
				values => $_->{values},
				goal => $_->{goal}
			}
		} @queues;
	});
