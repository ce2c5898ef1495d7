# What it costs that jobs have groups, which take turns.

package JobqBench::Scenario::Groups;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);

# The rows of jobs without groups, and of jobs of as many groups
sub compare
{
	my ($size, $goal, %spec) = @_;
	my $none = 'no groups';
	return throughput(
		$size,
		queue => 'jobq',
		%spec,
		variants => [
			{ system => $none },
			{
				system => "$size->{groups} groups",
				groups => $size->{groups},
				script => $spec{group_script} // $spec{script},
				goal => goal('>=', $goal, $none)
			}
		]);
}

scenario(
	title => 'jobs of many groups',
	run => sub {
		my ($size) = @_;
		return (
			compare(
				$size, 0.90,
				measure => 'enqueue',
				clients => 16,
				script => 'enqueue1.pgb',
				group_script => 'enqueue1_group.pgb'),
			compare(
				$size, 0.85,
				measure => 'consume',
				clients => 16,
				script => 'consume1.pgb',
				consumes => 1),
			compare(
				$size, 0.75,
				measure => 'consume by 100',
				clients => 8,
				script => 'consume100.pgb',
				jobs => 100,
				consumes => 1));
	});
