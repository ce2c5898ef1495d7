# JobqBench::Scenario
#
# What the files in scenarios/ declare:
#
#   scenario(
#       title => 'what is measured',
#       run   => sub { my ($size) = @_; ...; return @rows });
#
# Each is a package of its own. "run" gets the sizes that bench/run was told,
# and returns rows as JobqBench::Report describes them. It leaves the server as
# it has found it, but for what is in the benchmark's own databases.

package JobqBench::Scenario;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(basename);

our @EXPORT_OK = qw(scenario skip load_scenarios);

my @scenarios;

# The name is the file's, without the number that gives the order.
sub scenario
{
	my (%scenario) = @_;
	my $file = (caller)[1];
	$scenario{name} = basename($file, '.pl') =~ s/^\d+_//r;
	push @scenarios, \%scenario;
	return 1;
}

# skip($why): end the scenario without rows.
sub skip
{
	my ($why) = @_;
	die { skip => $why };
}

sub load_scenarios
{
	my ($dir) = @_;
	foreach my $file (sort glob("$dir/*.pl"))
	{
		do $file or die $@ || "$file: $!\n";
	}
	return @scenarios;
}

1;
