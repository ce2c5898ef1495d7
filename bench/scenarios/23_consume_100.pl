# A hundred jobs at a time.

package JobqBench::Scenario::Consume100;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput keep_default);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'consume by 100: dequeue, complete_many',
	run => sub {
		my ($size) = @_;
		return throughput(
			$size,
			measure => 'consume by 100',
			clients => 8,
			script => 'consume100.pgb',
			jobs => 100,
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
