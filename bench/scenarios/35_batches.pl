# Jobs that do nothing, in the background workers: 50 for each call of a handler
# against one by one, with and without shared commits.

package JobqBench::Scenario::Batches;

use strict;
use warnings;

use JobqBench::Executors qw(executors_rate);
use JobqBench::Queue     qw(script);
use JobqBench::Report    qw(goal);
use JobqBench::Scenario  qw(scenario);
use JobqBench::Server    qw(reset_options);

my $workers = 2;

scenario(
	title => 'trivial SQL jobs in background workers, 50 for each call',
	run => sub {
		my ($size) = @_;
		my $single = { system => 'one by one', share => 'false' };
		my $shared = { system => 'shared commits', share => 'true' };
		my $batch = {
			system => 'batches of 50',
			share => 'true',
			file => script('jobq', 'batches.sql')
		};
		foreach my $round (1 .. $size->{rounds})
		{
			foreach my $variant ($single, $shared, $batch)
			{
				push @{ $variant->{values} },
				  executors_rate(
					$size,
					workers => $workers,
					create => "keep_completed => '0', share_commits => $variant->{share}",
					file => $variant->{file});
			}
		}
		reset_options();
		return map {
			my $other = $_;
			my %row = (
				measure => "against $other->{system}",
				clients => $workers,
				unit => 'jobs/s');
			(   { %row, system => $other->{system}, values => $other->{values} },
				{
					%row,
					system => $batch->{system},
					values => $batch->{values},
					goal => goal('>=', $other == $single ? 5 : 1.5, $other->{system})
				})
		} ($single, $shared);
	});
