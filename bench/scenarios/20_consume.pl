# One job after the other: claimed, and finished in another transaction.

package JobqBench::Scenario::Consume;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput keep_default);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'consume one by one: dequeue, complete',
	run => sub {
		my ($size) = @_;
		return throughput(
			$size,
			measure => 'consume',
			clients => 16,
			script => 'consume1.pgb',
			consumes => 1,
			variants => [
				{ system => 'jobq', goal => goal('>=', 1.7, 'rawq') },
				{
					system => 'jobq, history kept',
					queue => 'jobq',
					create => keep_default(),
					goal => goal('>=', 0.77, 'jobq')
				},
				{ system => 'rawq' },
				{ system => 'raw' }
			]);
	});
