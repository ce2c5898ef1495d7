# More groups than the memory has room for: each of them with one job.

package JobqBench::Scenario::ManyGroups;

use strict;
use warnings;

use JobqBench::Report   qw(goal thousands);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'one job in each of very many groups',
	run => sub {
		my ($size) = @_;
		my ($few, $many) = map { thousands($_) . ' groups' } ($size->{groups}, $size->{behind});
		return throughput(
			$size,
			measure => 'consume',
			queue => 'jobq',
			clients => 16,
			script => 'consume1.pgb',
			consumes => 1,
			at_least => $size->{behind},
			variants => [
				{ system => $few, groups => $size->{groups} },
				{
					system => $many,
					groups => $size->{behind},
					goal => goal('>=', 0.4, $few)
				}
			]);
	});
