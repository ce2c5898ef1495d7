# JobqBench::Horizon
#
# Enqueue and consume, freely and while another session holds a snapshot, which
# keeps VACUUM from removing what finished jobs leave behind.

package JobqBench::Horizon;

use strict;
use warnings;

use Exporter 'import';

use JobqBench::Queue  qw(reset_queue fill_queue database script);
use JobqBench::Report qw(median);
use JobqBench::Server qw(watch_pgbench start_session ask end_session);

our @EXPORT_OK = qw(watch_horizon horizon_phases);

# watch_horizon($queue, %options): [pairs per second of each second] and after how
# many of them a snapshot was held. Options:
#   clients => number
#   free    => seconds without a snapshot
#   held    => seconds with one
#   create  => options for jobq's create_queue
#   enqueue => the script that enqueues (default enqueue1.pgb)
#   groups  => over how many of them
sub watch_horizon
{
	my ($queue, %option) = @_;
	my ($held_from, $holder, @series);
	reset_queue($queue, create => $option{create});
	fill_queue($queue, 1000, undef, groups => $option{groups});
	watch_pgbench(
		sub {
			my ($tps) = @_;
			push @series, $tps;
			if (@series == $option{free})
			{
				$held_from = @series;
				$holder = start_session(database($queue));
				ask($holder,
					'BEGIN ISOLATION LEVEL REPEATABLE READ;' . ' SELECT pg_current_xact_id();');
			}
			return @series < $option{free} + $option{held};
		},
		db => database($queue),
		scripts =>
		  [ map { script($queue, $_) } $option{enqueue} // 'enqueue1.pgb', 'consume1.pgb' ],
		clients => $option{clients},
		variables => { $option{groups} ? (groups => $option{groups}) : () },
		seconds => $option{free} + $option{held} + 60);
	ask($holder, 'COMMIT;');
	end_session($holder);
	return (\@series, $held_from);
}

# horizon_phases(\@series, $held_from): medians of the free seconds (without the
# first, if there are others) and of the last quarter of the held ones.
sub horizon_phases
{
	my ($series, $held_from) = @_;
	my @free = @$series[ 0 .. $held_from - 1 ];
	my @held = @$series[ $held_from .. $#$series ];
	shift @free if @free > 1;
	my $last = int(@held / 4) || 1;
	return (median(@free), median(@held[ -$last .. -1 ]));
}

1;
