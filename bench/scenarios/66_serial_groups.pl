# Groups whose jobs run one after the other: how many run in all, and how soon the
# next one of a group starts.

package JobqBench::Scenario::SerialGroups;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue database script);
use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(pgbench sql);

my $serial = "keep_completed => '0', max_running_per_group => 1";
my $db = database('jobq');

# How long after the end of a job the next one of its group has started
my $gaps = <<'SQL';
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms),
  percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM (
  SELECT 1000 * extract(epoch FROM started_at - lag(finished_at) OVER (ORDER BY started_at)) AS ms
  FROM jobq.jobs WHERE queue = 'q' AND state = 'completed') AS starts
SQL

# (median, 99th percentile) in milliseconds, of one group and two clients, of which
# one waits. Claims and ends wait for no disk.
sub measure_gaps
{
	my ($size) = @_;
	my $jobs = 10 * $size->{wake_jobs};
	reset_queue('jobq',
		create =>
		  "keep_completed => '1 day', sync_completion => false, max_running_per_group => 1");
	fill_queue('jobq', 2 * $jobs, $db, groups => 1);
	pgbench(
		db => $db,
		scripts => [ script('jobq', 'consume1_wait.pgb') ],
		clients => 2,
		transactions => $jobs);
	return split(/\t/, sql($db, $gaps));
}

scenario(
	title => 'groups of which one job runs at a time',
	run => sub {
		my ($size) = @_;
		my $groups = $size->{groups} < 1000 ? $size->{groups} : 1000;
		my $off = 'no limit';
		my @gaps = map { [ measure_gaps($size) ] } 1 .. $size->{rounds};
		my %row = (system => 'next of the group', clients => 2, unit => 'ms');
		return (
			throughput(
				$size,
				measure => 'consume',
				queue => 'jobq',
				clients => 16,
				script => 'consume1_wait.pgb',
				consumes => 1,
				waits => 1,
				groups => $groups,
				variants => [
					{ system => $off },
					{
						system => 'one of each group',
						create => $serial,
						goal => goal('>=', 0.8, $off)
					}
				]),
			{
				%row,
				measure => 'median',
				values => [ map { $_->[0] } @gaps ],
				goal => goal('<=', 0.2)
			},
			{
				%row,
				measure => '99th percentile',
				values => [ map { $_->[1] } @gaps ],
				goal => goal('<=', 1)
			});
	});
