# What becomes of the rate when somebody's long transaction keeps VACUUM from
# removing what finished jobs leave behind.

package JobqBench::Scenario::Snapshot;

use strict;
use warnings;

use JobqBench::Plot     qw(write_series plot_series);
use JobqBench::Queue    qw(reset_queue fill_queue database script);
use JobqBench::Report   qw(goal median);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(watch_pgbench start_session ask end_session);

my $clients = 8;

# measure($size, $queue): [tps of each second] and after how many of them a
# snapshot was held.
sub measure
{
	my ($size, $queue) = @_;
	my ($held_from, $holder, @series);
	reset_queue($queue);
	fill_queue($queue, 1000);
	my $seconds = $size->{free_seconds} + $size->{held_seconds};
	watch_pgbench(
		sub {
			my ($tps) = @_;
			push @series, $tps;
			if (@series == $size->{free_seconds})
			{
				$held_from = @series;
				$holder = start_session(database($queue));
				ask($holder,
					'BEGIN ISOLATION LEVEL REPEATABLE READ;' . ' SELECT pg_current_xact_id();');
			}
			return @series < $seconds;
		},
		db => database($queue),
		scripts => [ map { script($queue, $_) } qw(enqueue1.pgb consume1.pgb) ],
		clients => $clients,
		seconds => $seconds + 60);
	ask($holder, 'COMMIT;');
	end_session($holder);
	return (\@series, $held_from);
}

# Medians of the free seconds (without the first, if there are others) and of
# the last quarter of the held ones
sub phases
{
	my ($series, $held_from) = @_;
	my @free = @$series[ 0 .. $held_from - 1 ];
	my @held = @$series[ $held_from .. $#$series ];
	shift @free if @free > 1;
	my $last = int(@held / 4) || 1;
	return (median(@free), median(@held[ -$last .. -1 ]));
}

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
				($series{$queue}, $held_from{$queue}) =
				  measure($size, $queue);
				my ($free, $held) =
				  phases($series{$queue}, $held_from{$queue});
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
