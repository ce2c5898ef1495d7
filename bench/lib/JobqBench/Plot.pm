# JobqBench::Plot
#
# Series of measurements, one each second, as tab-separated values and as a
# picture, if gnuplot is there.

package JobqBench::Plot;

use strict;
use warnings;

use Exporter 'import';

use JobqBench::Server qw(output scratch_file);

our @EXPORT_OK = qw(write_series plot_series);

# write_series($path, \%series): a column for each.
sub write_series
{
	my ($path, $series) = @_;
	my @names = sort keys %$series;
	my ($most) = sort { $b <=> $a } map { scalar(@$_) } values %$series;
	open(my $file, '>', $path) or die "$path: $!\n";
	print $file join("\t", 'second', @names), "\n";
	foreach my $i (0 .. $most - 1)
	{
		print $file join("\t", $i + 1, map { $_->[$i] // '' } @$series{@names}), "\n";
	}
	close($file) or die "$path: $!\n";
	print "  written: $path\n";
	return;
}

sub have_gnuplot
{
	return eval { output(undef, 'gnuplot', '--version'); 1 };
}

# plot_series($tsv, $png, $held_from, \%series)
sub plot_series
{
	my ($tsv, $png, $held_from, $series) = @_;
	if (!have_gnuplot())
	{
		print "  no plot: there is no gnuplot (tools/deps bench installs it)\n";
		return;
	}
	my @names = sort keys %$series;
	my $plots = join(', ',
		map { "'$tsv' using 1:" . ($_ + 2) . " with lines lw 2 title '$names[$_]'" } 0 .. $#names);
	my $script = scratch_file('plot.gp', <<"GNUPLOT");
set terminal png size 1000,500
set output '$png'
set datafile separator tab
set key autotitle columnheader outside right top
set xlabel 'seconds'
set ylabel 'jobs per second, enqueued and consumed'
set yrange [0:*]
set grid ytics
set arrow from $held_from, graph 0 to $held_from, graph 1 nohead dashtype 2
set label 'snapshot held' at $held_from, graph 0.97 offset 1,0
plot $plots
GNUPLOT
	output(undef, 'gnuplot', $script);
	print "  written: $png\n";
	return;
}

1;
