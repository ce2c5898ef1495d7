# One job after the other: each finished with the claim of the next.

package JobqBench::Scenario::Next;

use strict;
use warnings;

use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput keep_default);
use JobqBench::Scenario qw(scenario);

scenario(
	title => 'consume one by one: next',
	run => sub {
		my ($size) = @_;
		my %next = (
			queue => 'jobq',
			script => 'next1.pgb',
			variables => { id => 0, lease => 0 });
		return throughput(
			$size,
			measure => 'consume',
			clients => 16,
			script => 'consume1.pgb',
			consumes => 1,
			variants => [
				{
					%next,
					system => 'jobq next',
					goal => goal('>=', 2.2, 'rawq')
				},
				{
					%next,
					system => 'jobq next, history',
					create => keep_default(),
					goal => goal('>=', 0.77, 'jobq next')
				},
				{ system => 'rawq' },
				{ system => 'raw' }
			]);
	});
