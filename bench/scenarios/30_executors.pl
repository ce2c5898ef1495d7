# Jobs that do nothing, in the background workers: from the commit of many of
# them to the end of the last.

package JobqBench::Scenario::Executors;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database script);
use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(run_variant keep_default);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file set_option reset_options wait_until);

my $db = database('jobq');
my %goals = (2 => goal('>=', 30_000));

sub executors
{
	return sql($db,
		"SELECT count(*) FROM pg_stat_activity" . " WHERE backend_type = 'jobq executor'");
}

# The jobs per second of $n jobs, enqueue to done
sub run_jobs
{
	my ($n) = @_;
	return $n / sql_file($db, script('jobq', 'executors_run.sql'), jobs => $n);
}

# measure($size, $workers, $create): how fast are that many workers? The first
# jobs start them, and say how many jobs take as long as other measurements.
sub measure
{
	my ($size, $workers, $create) = @_;
	set_option('jobq.max_workers', $workers);
	wait_until('executors to leave', sub { executors() <= $workers });
	reset_queue('jobq');
	sql_file($db, script('jobq', 'executors.sql'), options => $create);
	my $rate = run_jobs($workers * ($size->{seconds} ? 500 : 10));
	my $n = $size->{seconds} ? int($rate * $size->{seconds}) : 50;
	return run_jobs($n > 50 ? $n : 50);
}

scenario(
	title => 'trivial SQL jobs in background workers, enqueue to done',
	run => sub {
		my ($size) = @_;
		my (%jobq, %kept, %rawq);
		set_option('jobq.worker_idle_timeout', '500ms');
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $workers (1, 2, 4)
			{
				push @{ $jobq{$workers} }, measure($size, $workers, "keep_completed => '0'");
				push @{ $kept{$workers} }, measure($size, $workers, keep_default());
				push @{ $rawq{$workers} },
				  run_variant(
					$size,
					{
						system => 'rawq',
						script => 'consume100.pgb',
						jobs => 100,
						clients => $workers,
						consumes => 1
					});
			}
		}
		reset_options();
		return map {
			my %row = (
				measure => "run, $_ worker" . ($_ > 1 ? 's' : ''),
				clients => $_,
				unit => 'jobs/s');
			(   {
					%row,
					system => 'jobq executors',
					values => $jobq{$_},
					goal => $goals{$_}
				},
				{
					%row,
					system => 'jobq, history kept',
					values => $kept{$_},
					goal => goal('>=', 0.77, 'jobq executors')
				},
				{ %row, system => 'rawq', values => $rawq{$_} })
		} (1, 2, 4);
	});
