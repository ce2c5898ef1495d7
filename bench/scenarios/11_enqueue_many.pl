# A thousand jobs with one call.

package JobqBench::Scenario::EnqueueMany;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'enqueue_many of 1000 jobs',
	run => sub {
		my ($size) = @_;
		return throughput(
			$size,
			measure => 'enqueue_many',
			clients => 1,
			script => 'enqueue1000.pgb',
			jobs => 1000,
			variants => [
				{ system => 'jobq', goal => goal('>=', 1.0, 'rawq') },
				{ system => 'rawq' },
				{ system => 'raw' }
			]);
	});
