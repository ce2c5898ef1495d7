# JobqBench::Report
#
# What was measured: rows of one scenario, their medians, their ratios to the
# reference and to the goals; as a table and as tab-separated values.
#
# A row is a hash:
#   measure  what it is; rows of the same measure are compared
#   system   whose it is: "jobq", "rawq", ...
#   clients  how many clients or workers
#   unit     of the values
#   values   [one of each round]
#   goal     goal(...), if there is one

package JobqBench::Report;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(goal median percentile thousands);

# goal($operator, $limit): for the value itself;
# goal($operator, $limit, $system): for the ratio to that system's value.
sub goal
{
	my ($operator, $limit, $system) = @_;
	return { operator => $operator, limit => $limit, system => $system };
}

sub median
{
	return percentile(0.5, @_);
}

# percentile($fraction, @values), interpolated
sub percentile
{
	my ($fraction, @values) = @_;
	@values = sort { $a <=> $b } @values;
	my $place = $fraction * $#values;
	my $below = int($place);
	return $values[-1] if $below >= $#values;
	return $values[$below] + ($place - $below) * ($values[ $below + 1 ] - $values[$below]);
}

# new(tsv => path, judge => whether goals mean anything in this run)
sub new
{
	my ($class, %self) = @_;
	$self{missed} = [];
	open($self{file}, '>', $self{tsv}) or die "$self{tsv}: $!\n";
	$self{file}->autoflush(1);
	return bless(\%self, $class);
}

# about(@pairs): versions and settings, to the terminal and the file.
sub about
{
	my ($self, @pairs) = @_;
	while (my ($name, $value) = splice(@pairs, 0, 2))
	{
		printf "%-32s %s\n", $name, $value;
		print { $self->{file} } "# $name\t$value\n";
	}
	print { $self->{file} } join(
		"\t", qw(scenario measure system clients unit
		  median min max values ratio_to_rawq goal goal_value result)),
	  "\n";
	return;
}

# The row that another one is compared with.
sub find
{
	my ($rows, $row, $system) = @_;
	my ($found) =
	  grep { $_->{system} eq $system && $_->{measure} eq $row->{measure} } @$rows;
	return $found;
}

# The median of the rounds' ratios, since what one round shares with the
# other's neighbour (the noise of that minute) is no difference between them.
sub ratio
{
	my ($row, $base) = @_;
	return unless $base && $base != $row;
	my @values = @{ $row->{values} };
	my @bases = @{ $base->{values} };
	return if grep { $_ == 0 } @bases;
	return median(@values) / median(@bases) if @values != @bases;
	return median(map { $values[$_] / $bases[$_] } 0 .. $#values);
}

sub format_goal
{
	my ($goal) = @_;
	my $limit = sprintf('%.4g', $goal->{limit});
	$limit = thousands($goal->{limit}) if $goal->{limit} >= 1000;
	return "$goal->{operator} $limit" . ($goal->{system} ? " x $goal->{system}" : '');
}

sub thousands
{
	my ($number) = @_;
	my $text = sprintf('%.0f', $number);
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

sub format_value
{
	my ($value) = @_;
	return thousands($value) if $value >= 100;
	return sprintf($value >= 10 ? '%.1f' : '%.3f', $value);
}

# judge(\@rows, $row): the value that the goal is about, and the verdict.
sub judge
{
	my ($self, $rows, $row) = @_;
	my $goal = $row->{goal} or return ('', '');
	my $value =
	  $goal->{system}
	  ? ratio($row, find($rows, $row, $goal->{system}))
	  : median(@{ $row->{values} });
	return ('', '') unless defined $value;
	return ($value, '') unless $self->{judge};
	my $met =
		$goal->{operator} eq '>=' ? $value >= $goal->{limit}
	  : $goal->{operator} eq '<=' ? $value <= $goal->{limit}
	  :                             die "no such operator: $goal->{operator}\n";
	return ($value, $met ? 'met' : 'MISSED');
}

# add($scenario, \@rows): print the rows of one scenario, and write them.
sub add
{
	my ($self, $scenario, $rows) = @_;
	my $layout = "  %-20s %-26s %7s %9s %9s %9s %-9s %6s  %-16s %s\n";
	printf $layout, qw(measure system clients median min max unit), 'x rawq', qw(goal result);
	foreach my $row (@$rows)
	{
		my @values = sort { $a <=> $b } @{ $row->{values} };
		my $ratio = ratio($row, find($rows, $row, 'rawq'));
		my $goal = $row->{goal} ? format_goal($row->{goal}) : '';
		my ($value, $result) = $self->judge($rows, $row);
		my $shown = $result;
		$shown .= sprintf(' (%.2f)', $value)
		  if $result && $row->{goal}{system} && $row->{goal}{system} ne 'rawq';
		my $line = sprintf($layout,
			$row->{measure}, $row->{system},
			$row->{clients}, (map { format_value($_) } median(@values), $values[0], $values[-1]),
			$row->{unit}, defined $ratio ? sprintf('%.2f', $ratio) : '',
			$goal, $shown);
		$line =~ s/ +$//;
		print $line;
		push @{ $self->{missed} }, "$scenario: $row->{measure}, $row->{system}: $goal"
		  if $result eq 'MISSED';

		print { $self->{file} } join("\t",
			$scenario, @$row{qw(measure system clients unit)},
			median(@values), $values[0], $values[-1],
			join(' ', @{ $row->{values} }),
			$ratio // '',
			$goal, $value, $result),
		  "\n";
	}
	return;
}

# The last words: which goals were missed.
sub finish
{
	my ($self) = @_;
	close($self->{file}) or die "$self->{tsv}: $!\n";
	if ($self->{judge})
	{
		my @missed = @{ $self->{missed} };
		print @missed ? "goals missed:\n" : "no goal missed\n";
		print "  $_\n" foreach @missed;
	}
	print "written: $self->{tsv}\n";
	return;
}

1;
