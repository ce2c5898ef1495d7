# JobqMemory.pm
#
# The private memory of server processes through time (RssAnon of
# /proc/PID/status, so Linux only): what a process has allocated for itself,
# without shared memory and the program's text.
#
#   my $memory = memory_watch();
#   memory_sample($memory, { 4711 => 'coordinator', 4712 => 'client' });
#   ... again, many times ...
#   foreach my $kind (memory_summary($memory, 60)) { ... }

package JobqMemory;

use strict;
use warnings;

use Exporter 'import';
use JobqProcess;
use Time::HiRes qw(time);

our @EXPORT = qw(memory_watch memory_sample memory_summary median);

# memory_watch(): a record without samples.
sub memory_watch
{
	return {};
}

# memory_sample($memory, $kind_of): one sample of each process; $kind_of has
# the kinds by PID. A process that has ended meanwhile is left out.
sub memory_sample
{
	my ($memory, $kind_of) = @_;
	foreach my $pid (keys %$kind_of)
	{
		my $kilobytes = process_status($pid, 'RssAnon');
		next unless defined $kilobytes;
		push @{ $memory->{ $kind_of->{$pid} }{$pid} }, [ time(), $kilobytes ];
	}
	return;
}

# median(@numbers): undef if there are none.
sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[ @sorted / 2 ];
}

# The least squares' slope of samples, in kilobytes per minute.
sub slope
{
	my (@samples) = @_;
	my ($n, $x, $y, $xx, $xy) = (scalar(@samples), 0, 0, 0, 0);
	foreach my $sample (@samples)
	{
		my $minutes = ($sample->[0] - $samples[0][0]) / 60;
		$x  += $minutes;
		$y  += $sample->[1];
		$xx += $minutes**2;
		$xy += $minutes * $sample->[1];
	}
	my $divisor = $n * $xx - $x**2;
	return $divisor ? ($n * $xy - $x * $y) / $divisor : 0;
}

# What the samples of one process say.
sub process_summary
{
	my (@samples) = @_;
	my @sizes = map { $_->[1] } @samples;
	my $third = int(@sizes / 3) || 1;
	return {
		lived => $samples[-1][0] - $samples[0][0],
		first => $sizes[0],
		median => median(@sizes),
		last => $sizes[-1],
		growth => median(@sizes[ -$third .. -1 ]) - median(@sizes[ 0 .. $third - 1 ]),
		slope => slope(@samples),
	};
}

# memory_summary($memory, $seconds): for each kind the process that has grown
# most, of those watched for at least that long: kind, processes (how many of
# them there were), lived (seconds), first, median, last, growth (from the
# median of the first third of its samples to that of the last one; all in
# kilobytes) and slope (kilobytes per minute).
sub memory_summary
{
	my ($memory, $seconds) = @_;
	my @summary;
	foreach my $kind (sort keys %$memory)
	{
		my @processes = sort { $b->{growth} <=> $a->{growth} }
		  grep { $_->{lived} >= $seconds }
		  map { process_summary(@$_) } values %{ $memory->{$kind} };
		push @summary,
		  {
			kind => $kind,
			processes => scalar(@processes),
			%{ $processes[0] }
		  }
		  if @processes;
	}
	return @summary;
}

1;
