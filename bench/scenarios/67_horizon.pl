# Whether limits and groups keep their rate under a snapshot that another session
# holds.

package JobqBench::Scenario::Horizon;

use strict;
use warnings;

use JobqBench::Horizon  qw(watch_horizon horizon_phases);
use JobqBench::Report   qw(goal);
use JobqBench::Scenario qw(scenario);

my $clients = 16;

scenario(
	title => 'limits and groups, free and under a held snapshot',
	run => sub {
		my ($size) = @_;
		my $serial = $size->{groups} < 1000 ? $size->{groups} : 1000;
		my @cases = (
			{ name => 'max_running', create => "keep_completed => '0', max_running => 8" },
			{ name => 'groups', groups => $size->{groups} },
			{
				name => 'serial groups',
				create => "keep_completed => '0', max_running_per_group => 1",
				groups => $serial
			});
		my @rows;
		foreach my $case (@cases)
		{
			my (@free, @held, @kept);
			foreach my $round (1 .. $size->{snapshot_rounds})
			{
				my ($free, $held) = horizon_phases(
					watch_horizon(
						'jobq',
						clients => $size->{clients} // $clients,
						free => $size->{free_seconds},
						held => $size->{horizon_seconds},
						create => $case->{create},
						groups => $case->{groups},
						enqueue => $case->{groups} ? 'enqueue1_group.pgb' : 'enqueue1.pgb'));
				push @free, $free;
				push @held, $held;
				push @kept, $held / $free;
			}
			my %row = (clients => $size->{clients} // $clients, measure => $case->{name});
			push @rows,
			  { %row, system => 'free', unit => 'pairs/s', values => \@free },
			  { %row, system => 'held, last seconds', unit => 'pairs/s', values => \@held },
			  {
				%row,
				system => 'held / free',
				unit => '',
				values => \@kept,
				goal => goal('>=', 0.95)
			  };
		}
		return @rows;
	});
