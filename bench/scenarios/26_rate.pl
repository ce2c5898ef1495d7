# A queue with a rate of a tenth of what could be consumed: how much of the rate
# its clients get, whether they ever get more, and what that costs the clients of
# another queue. There are many other queues, none of which does anything.

package JobqBench::Scenario::Rate;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue jobs_ready database script);
use JobqBench::Report   qw(goal);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(pgbench start_pgbench finish_pgbench sql sql_file wait_until);

my $db = database('jobq');
my $clients = 8;
my $second_clients = 4;
my $started = "SELECT count(*) FROM jobq.jobs WHERE queue = 'second' AND started_at IS NOT NULL";

# What consumes from the queue "q"
sub load
{
	my ($size, %length) = @_;
	return pgbench(
		db => $db,
		scripts => [ script('jobq', 'consume1.pgb') ],
		clients => $size->{clients} // $clients,
		%length)->{tps};
}

# The queues, and jobs for $seconds
sub set_up
{
	my ($size, $seconds, $variant, $rate) = @_;
	reset_queue('jobq');
	sql($db,
		"SELECT count(jobq.create_queue('other_' || i)) FROM generate_series(1, $size->{other_queues}) AS i"
	);
	sql_file(
		$db,
		script('jobq', 'second.sql'),
		options => 'keep_completed => NULL'
		  . (
			$variant->{limited}
			? ", rate_limit => $rate->{limit}, rate_burst => $rate->{burst}"
			: ''),
		jobs => $variant->{second} ? int($rate->{offered} * $seconds) : 0,
		delay => '0');
	fill_queue('jobq', int(2 * $seconds * $rate->{offered}) + 100);
	return;
}

# How the second queue is consumed while something else is measured: by clients
# that wait for the rate, or by clients to whom pgbench gives the pace.
sub start_second
{
	my ($variant, $rate, $seconds) = @_;
	my $load = start_pgbench(
		db => $db,
		scripts => [ script('jobq', 'consume1_second.pgb') ],
		clients => $second_clients,
		seconds => $seconds,
		arguments => $variant->{limited} ? [] : [ '-R', $rate->{even} ]);
	wait_until('the second queue', sub { sql($db, $started) });
	return $load;
}

# The jobs per second of the first queue; once more, with more jobs, if there were
# too few.
sub measure
{
	my ($size, $variant, $rate) = @_;
	my $seconds = $size->{seconds} // 1;
	set_up($size, $seconds + 2, $variant, $rate);
	my $second = $variant->{second} && start_second($variant, $rate, $seconds + 1);
	my $result = load($size, seconds => $seconds);
	finish_pgbench($second) if $second;
	return $result if jobs_ready('jobq');
	$rate->{offered} *= 2;
	return measure($size, $variant, $rate);
}

# What the limited clients got: the share of the rate after the burst, and the
# number of starts that ended a window with more of them than the limit.
sub look_at_starts
{
	my ($rate) = @_;
	my ($share, $above) = split(/\t/, sql($db, <<"SQL"));
SELECT (max(n) - $rate->{burst}) / extract(epoch FROM max(started_at) - min(started_at)) / $rate->{even},
  count(*) FILTER (WHERE started_at - earlier < '1 s')
FROM (
  SELECT started_at, row_number() OVER w AS n, lag(started_at, $rate->{limit}) OVER w AS earlier
  FROM jobq.jobs WHERE queue = 'second' AND started_at IS NOT NULL
  WINDOW w AS (ORDER BY started_at)) AS starts
SQL
	return ($share, $above);
}

# The rate that is offered, and the limit of a tenth
sub estimate
{
	my ($size) = @_;
	my $jobs = $size->{seconds} ? 2000 : 20;
	my %rate;
	reset_queue('jobq');
	fill_queue('jobq', 2 * $jobs);
	$rate{offered} = load($size, transactions => $jobs);
	$rate{limit} = int($rate{offered} / 10) || 1;
	$rate{burst} = 1 + int($rate{limit} / 50);
	$rate{even} = $rate{limit} - $rate{burst} + 1;
	return \%rate;
}

scenario(
	title => 'a rate of a tenth of what could be consumed, and a queue beside it',
	run => sub {
		my ($size) = @_;
		my $limited = { system => 'beside a rate', second => 1, limited => 1 };
		my @variants =
		  ({ system => 'alone' }, { system => 'beside as many jobs', second => 1 }, $limited);
		my (@shares, @above);
		my $rate = estimate($size);
		$limited->{goal} = goal('>=', 0.95, $variants[1]{system});
		foreach my $round (1 .. $size->{rounds})
		{
			push @{ $_->{values} }, measure($size, $_, $rate) foreach @variants;
			my ($share, $above) = look_at_starts($rate);
			push @shares, $share;
			push @above, $above;
		}
		my %row = (system => "$rate->{limit} per second", clients => $second_clients);
		return (
			{
				%row,
				measure => 'share of the rate',
				unit => '',
				values => \@shares,
				goal => goal('>=', 0.98)
			},
			{
				%row,
				measure => 'windows above',
				unit => '',
				values => \@above,
				goal => goal('<=', 0)
			},
			map {
				{
					measure => 'another queue',
					system => $_->{system},
					clients => $size->{clients} // $clients,
					unit => 'jobs/s',
					values => $_->{values},
					goal => $_->{goal}
				}
			} @variants);
	});
