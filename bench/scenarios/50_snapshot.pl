# What becomes of the rate when somebody's long transaction keeps VACUUM from
# removing what finished jobs leave behind.

package JobqBench::Scenario::Snapshot;

use strict;
use warnings;

use JobqBench::Horizon  qw(watch_horizon horizon_phases);
use JobqBench::Plot     qw(write_series plot_series);
use JobqBench::Report   qw(goal);
use JobqBench::Scenario qw(scenario);

my $clients = 8;

scenario(
	title => 'enqueue and consume, free and under a held snapshot',
	run => sub {
		my ($size) = @_;
		my (%series, %held_from, %free, %held, %kept);
		my @queues = (qw(jobq rawq), $size->{full} ? 'raw' : ());
		foreach my $round (1 .. $size->{snapshot_rounds})
		{
			foreach my $queue (@queues)
			{
				($series{$queue}, $held_from{$queue}) = watch_horizon(
					$queue,
					clients => $clients,
					free => $size->{free_seconds},
					held => $size->{held_seconds});
				my ($free, $held) =
				  horizon_phases($series{$queue}, $held_from{$queue});
				push @{ $free{$queue} }, $free;
				push @{ $held{$queue} }, $held;
				push @{ $kept{$queue} }, $held / $free;
			}
		}
		my $file = "$size->{output}/snapshot";
		write_series("$file.tsv", \%series);
		plot_series("$file.tsv", "$file.png", $held_from{jobq}, \%series)
		  unless $size->{check};

		my %goal_of_free = (jobq => goal('>=', 1.3, 'rawq'));
		my %goal_of_kept = (jobq => goal('>=', 0.95));
		my %row = (clients => $clients, unit => 'pairs/s');
		return (
			(   map {
					{
						%row,
						  measure => 'free',
						  system => $_,
						  values => $free{$_},
						  goal => $goal_of_free{$_}
					}
				} @queues),
			(   map {
					{
						%row,
						  measure => 'held, last seconds',
						  system => $_,
						  values => $held{$_}
					}
				} @queues),
			(   map {
					{
						%row,
						  measure => 'held / free',
						  system => $_,
						  unit => '',
						  values => $kept{$_},
						  goal => $goal_of_kept{$_}
					}
				} @queues));
	});
