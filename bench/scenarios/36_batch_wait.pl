# How exactly a batch comes: with one job, when batch_wait is over, and full, when the
# last of its jobs is committed.

package JobqBench::Scenario::BatchWait;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database script);
use JobqBench::Report   qw(goal);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file);

scenario(
	title => 'how late a batch starts',
	run => sub {
		my ($size) = @_;
		my @systems = ('one job, batch_wait over', 'a full batch');
		my @times;
		foreach my $round (1 .. $size->{rounds})
		{
			reset_queue('jobq');
			my @values =
			  split(
				/\s+/,
				sql_file(
					database('jobq'),
					script('jobq', 'batch_wait.sql'),
					batches => $size->{wake_jobs}));
			push @{ $times[$_] }, $values[$_] foreach (0 .. 3);
			sql(database('jobq'),
				'DROP TABLE batch_start',
				'DROP FUNCTION gather',
				'DROP PROCEDURE run_batch',
				'DROP PROCEDURE run_batches');
		}
		my @rows;
		foreach my $i (0, 1)
		{
			push @rows, map {
				{
					measure => ('median', '99th percentile')[$i],
					system => $systems[$_],
					clients => 1,
					unit => 'ms',
					values => $times[ 2 * $_ + $i ],
					goal => $i == 1 ? goal('<=', 5) : undef
				}
			} (0, 1);
		}
		return @rows;
	});
