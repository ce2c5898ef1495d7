# One job per transaction.

package JobqBench::Scenario::Enqueue;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'enqueue, one job per transaction',
	run => sub {
		my ($size) = @_;
		return throughput(
			$size,
			measure => 'enqueue',
			clients => 16,
			script => 'enqueue1.pgb',
			variants => [
				{ system => 'jobq', goal => goal('>=', 1.0, 'rawq') },
				{ system => 'rawq' },
				{ system => 'raw' }
			]);
	});
