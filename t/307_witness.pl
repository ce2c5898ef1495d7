# t/307_witness.pl: what JobqWitness.pm, by which test/kills/kills.pl judges, makes of a
# server's log: it finds overlaps, overtakings and windows with too many starts, and
# takes nothing else for one.

use strict;
use warnings;

use JobqWitness;
use Test::More;

# The log of lines such as "START SCOPE JOB ATTEMPT HOLDER AT UNTIL", of process 7 unless
# they begin with another number.
sub log_of
{
	my @lines;
	foreach my $line (@_)
	{
		my ($pid, $said) = $line =~ /^(?:(\d+) )?(.*)/;
		$pid //= 7;
		push @lines,
			$said eq 'crash' ? 'LOG:  all server processes terminated; reinitializing'
		  : $said eq 'start' ? 'LOG:  starting PostgreSQL 15.20'
		  : $said eq 'left'
		  ? "[$pid] client LOG:  unexpected EOF on client connection with an open transaction"
		  : $said =~ /^ready (\d+)/
		  ? "1970-01-01 00:00:0$1.000 UTC [1] postmaster LOG:  database system is ready to "
		  . 'accept connections'
		  : "[$pid] client LOG:  witness $said";
	}
	return @lines;
}

sub judge
{
	my ($lines) = @_;
	my $judge = JobqWitness->new(limits => { q => 1, three => 3 }, serial => ['q']);
	$judge->read_lines(log_of(@$lines));
	return $judge;
}

# What is said of the scope q: starts, most, above, overtaken.
sub verdict
{
	my ($lines) = @_;
	my $of = judge($lines)->verdict->{''}{q};
	return join(' ', map { $of->{$_} } qw(starts most above overtaken));
}

my @cases = (
	'one after the other' =>
	  [ 'start q 1 1 X10 100 0', 'end q 1 X10', '8 start q 2 1 X11 101 0', 'end q 2 X11' ],
	'2 1 0 0',

	'two at the same time' => [ 'start q 1 1 X10 100 0', '8 start q 2 1 X11 101 0' ],
	'2 2 1 0',

	'another scope' => [ 'start q 1 1 X10 100 0', '8 start three 2 1 X11 101 0' ],
	'1 1 0 0',

	'no free place' => [ 'start q 1 1 X10 100 0', 'end q 1 X10', 'over q 1' ],
	'1 1 1 0',

	'a client is gone' => [ '7 start q 1 1 X10 100 0', '7 left', '8 start q 1 1 X11 101 0' ],
	'2 1 0 0',

	'another client is gone' => [ '7 start q 1 1 X10 100 0', '9 left', '8 start q 2 1 X11 101 0' ],
	'2 2 1 0',

	'a lease is over' => [ 'start q 1 1 L5 100 200', 'left', '8 start q 1 2 L6 200 300' ],
	'2 1 0 0',

	'a lease is not over' => [ 'start q 1 1 L5 100 200', 'left', '8 start q 1 2 L6 199 300' ],
	'2 2 1 0',

	'a crash' => [ '7 start q 1 1 X10 100 0', 'crash', '7 start q 1 1 P9 101 0' ],
	'2 1 0 0',

	'a start' => [ '7 start q 1 1 P8 100 0', 'start', '7 start q 1 1 P9 101 0' ],
	'2 1 0 0',

	'a lease over a crash' => [ 'start q 1 1 L5 100 200', 'crash', '8 start q 2 1 L6 150 300' ],
	'2 2 1 0',

	'a lease that was lost in a crash' =>
	  [ 'start q 1 1 L5 100 200', 'crash', 'start q 1 1 L6 150 300', 'end q 1 L6' ],
	'2 1 0 0',

	'an older job is overtaken' => [
		'start q 2 1 X10 100 0',
		'end q 2 X10',
		'start q 1 1 X11 101 0',
		'end q 1 X11',
		'start q 3 1 X12 102 0',
	],
	'3 1 0 1',

	'one that was lost is overtaken' => [
		'start q 1 1 X10 100 0',
		'7 left',
		'start q 2 1 X11 101 0',
		'end q 2 X11',
		'start q 1 1 X12 102 0',
	],
	'3 1 0 1',

	'two in one transaction, and again' => [
		'start q 1 1 X10 100 0',
		'end q 1 X10',
		'start q 2 1 X10 101 0',
		'crash',
		'start q 1 1 X11 102 0',
		'end q 1 X11',
		'start q 2 1 X12 103 0',
	],
	'4 1 0 0',

	'two in different transactions, and again' => [
		'start q 1 1 X10 100 0',
		'end q 1 X10',
		'start q 2 1 X11 101 0',
		'crash',
		'start q 1 1 X12 102 0',
		'end q 1 X12',
		'start q 2 1 X13 103 0',
	],
	'4 1 0 1');
while (my ($name, $lines, $expected) = splice(@cases, 0, 3))
{
	is(verdict($lines), $expected, $name);
}

my $three = judge([ map { "start three $_ 1 X$_ 100 0" } 1 .. 4 ])->verdict->{''}{three};
is("$three->{most} $three->{above}", '4 1', 'the fourth of three');

# How long until the next start.
my $killed = judge(
	[
		'kill executor - 1000000',
		'8 start q 1 1 X1 1000100 0',
		'crash',
		'ready 2',
		'8 start three 2 1 X2 2000500 0',
		'8 start q 3 1 X3 2004000 0',
		'8 start q 4 1 X4 2005000 0',
		'kill lent q 3000000',
		'8 start three 5 1 X5 3000100 0',
		'8 start q 6 1 X6 3000700 0',
	]);
is_deeply(
	[ $killed->next_starts('executor', qr/^q/) ],
	[ [1004000], [4000] ],
	'the next start after a crash, and after the server is ready');
is_deeply(
	[ $killed->next_starts('lent', qr/^q|three/) ],
	[ [700], [] ],
	'the next start of the limit of a killed client');
is(join(' ', sort keys %{ $killed->verdict }), 'executor lent', 'starts are those after a kill');

# The postmaster was killed.
my $orphaned = judge(
	[
		'kill server - 1000000',
		'start q 1 1 X1 1000100 0',
		'8 start q 2 1 X2 1000200 0',
		'8 over q 2',
		'start',
		'8 start q 3 1 X3 2000300 0',
		'9 start q 4 1 X4 2000400 0',
	])->verdict->{server}{q};
is("$orphaned->{most} $orphaned->{above}",
	'2 2', 'orphans end without a line: a full place counts, and what runs after the start');

# Rates: a window has its start, and not its end.
my $rated = judge([ map { "rate r $_ " . 1000 * $_ } 1 .. 10 ]);
is(join(' ', $rated->rate('r', 3, 3000)), '10 3 0', 'three in three milliseconds');
is(join(' ', $rated->rate('r', 2, 2001)), '10 3 8', 'three in a bit more than two');
$rated->add_start('r', 3, 3000);
is(join(' ', $rated->rate('r', 3, 3000)), '10 3 0', 'a start that is known twice');
$rated->add_start('r', 3, 3001);
is(join(' ', $rated->rate('r', 3, 3000)), '11 4 4', 'another start of a job');

done_testing();
