# One job after the other, in a queue whose completions wait for no disk.

package JobqBench::Scenario::Unsynced;

use strict;
use warnings;

use JobqBench::Queue    qw(knows_option);
use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario skip);

scenario(
	title => 'consume one by one: sync_completion => false',
	run => sub {
		my ($size) = @_;
		skip('this jobq has no option sync_completion')
		  unless knows_option('sync_completion');
		return throughput(
			$size,
			measure => 'consume',
			clients => 8,
			script => 'consume1.pgb',
			consumes => 1,
			variants => [
				{
					system => 'jobq, not synced',
					queue => 'jobq',
					create => "keep_completed => '0', sync_completion => false",
					goal => goal('>=', 3.0, 'rawq')
				},
				{ system => 'rawq' },
				{ system => 'raw' }
			]);
	});
