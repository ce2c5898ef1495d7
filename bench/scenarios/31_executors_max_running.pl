# Twice as many background workers as jobs that may run, against just as many.

package JobqBench::Scenario::ExecutorsMaxRunning;

use strict;
use warnings;

use JobqBench::Executors qw(executors_rate);
use JobqBench::Report    qw(goal);
use JobqBench::Scenario  qw(scenario);
use JobqBench::Server    qw(reset_options);

scenario(
	title => 'trivial SQL jobs under a maximum of running jobs',
	run => sub {
		my ($size) = @_;
		my $off = 'no limit, 2 workers';
		my @variants = (
			{ system => $off, workers => 2, options => '' },
			{
				system => 'max_running 2',
				workers => 4,
				options => ', max_running => 2',
				goal => goal('>=', 0.95, $off)
			});
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $variant (@variants)
			{
				push @{ $variant->{values} },
				  executors_rate(
					$size,
					workers => $variant->{workers},
					create => "keep_completed => '0'$variant->{options}");
			}
		}
		reset_options();
		return map {
			{
				measure => 'run',
				system => $_->{system},
				clients => $_->{workers},
				unit => 'jobs/s',
				values => $_->{values},
				goal => $_->{goal}
			}
		} @variants;
	});
