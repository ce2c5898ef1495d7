# Jobs that do nothing, in the background workers: from the commit of many of
# them to the end of the last.

package JobqBench::Scenario::Executors;

use strict;
use warnings;

use JobqBench::Executors qw(executors_rate);
use JobqBench::Report    qw(goal);
use JobqBench::Rounds    qw(run_variant keep_default);
use JobqBench::Scenario  qw(scenario);
use JobqBench::Server    qw(reset_options);

my %goals = (2 => goal('>=', 30_000));

scenario(
	title => 'trivial SQL jobs in background workers, enqueue to done',
	run => sub {
		my ($size) = @_;
		my (%jobq, %kept, %rawq);
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $workers (1, 2, 4)
			{
				push @{ $jobq{$workers} },
				  executors_rate($size, workers => $workers, create => "keep_completed => '0'");
				push @{ $kept{$workers} },
				  executors_rate($size, workers => $workers, create => keep_default());
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
