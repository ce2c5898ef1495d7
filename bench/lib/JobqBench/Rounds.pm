# JobqBench::Rounds
#
# Measurements of how many jobs a second something does: each system in turn,
# round after round (A B A B ...), so that all meet the same weather.

package JobqBench::Rounds;

use strict;
use warnings;

use Exporter 'import';

use JobqBench::Queue  qw(reset_queue fill_queue jobs_ready database script);
use JobqBench::Server qw(pgbench sql sql_file);

our @EXPORT_OK = qw(throughput run_variant keep_default consume_and_refill);

# What create_queue is told where finished jobs are to stay, as they do by
# default.
sub keep_default
{
	return "keep_completed => NULL";
}

# length_of_run($size, $clients): as options of pgbench().
sub length_of_run
{
	my ($size, $clients) = @_;
	return $size->{seconds}
	  ? (seconds => $size->{seconds})
	  : (transactions => $size->{transactions} * $clients);
}

# throughput($size, %spec): rows with the jobs per second of each variant.
#   measure  => name of the rows
#   unit     => of them (default jobs/s)
#   clients  => number
#   variants => [{ system => name of the row, goal => its goal, if any,
#                  and how to run it: see run_variant() }]
# What is said of how to run it beside "variants" is for all of them.
sub throughput
{
	my ($size, %spec) = @_;
	$spec{clients} = $size->{clients} if $size->{clients};
	my @variants = map {
		{ %spec, %$_ }
	} @{ delete $spec{variants} };
	foreach my $round (1 .. $size->{rounds})
	{
		push @{ $_->{values} }, run_variant($size, $_) foreach @variants;
	}
	return map {
		{
			measure => $_->{measure},
			system => $_->{system},
			clients => $_->{clients},
			unit => $_->{unit} // 'jobs/s',
			values => $_->{values},
			goal => $_->{goal}
		}
	} @variants;
}

# run_variant($size, \%variant): one measurement from an empty queue on,
# in jobs per second.
#   queue     => raw, rawq, jobq or none (default: what "system" says)
#   script    => file in the queue's directory
#   clients   => number
#   jobs      => how many of them a transaction is about (default 1)
#   consumes  => whether there must be jobs to begin with
#   waits     => whether transactions of the script may find no job, though there
#                are some
#   create    => options for jobq's create_queue
#   groups    => the number of groups of the jobs; also a variable for pgbench
#   at_least  => there are as many jobs when it is measured
#   variables => for pgbench
#   around    => sub($load), to do something before and after $load->()
sub run_variant
{
	my ($size, $variant) = @_;
	my $queue = $variant->{queue} // $variant->{system};
	reset_queue($queue, create => $variant->{create});
	return consume($size, $variant, $queue) if $variant->{consumes};

	my $around = $variant->{around} // sub { $_[0]->() };
	my $rate;
	$around->(
		sub {
			$rate = load($variant, $queue, length_of_run($size, $variant->{clients}));
		});
	return $rate;
}

# The jobs per second of one pgbench
sub load
{
	my ($variant, $queue, %length) = @_;
	my $ready = $variant->{waits} ? jobs_ready($queue) : 0;
	my $result = pgbench(
		db => database($queue),
		scripts => [ script($queue, $variant->{script}) ],
		clients => $variant->{clients},
		variables => {
			%{ $variant->{variables} || {} },
			$variant->{groups} ? (groups => $variant->{groups}) : ()
		},
		%length);
	return $result->{tps} * ($variant->{jobs} // 1) unless $variant->{waits};

	# When the time is over, pgbench waits for clients that wait for a job; by
	# then nobody works.
	my $jobs = $ready - jobs_ready($queue);
	return ($length{seconds} // 0) > $result->{connecting}
	  ? $jobs / ($length{seconds} - $result->{connecting})
	  : $jobs / $result->{transactions} * $result->{tps};
}

# Fill the queue and consume. A short run says how many jobs it will take, and
# there are twice as many. A queue that runs dry all the same was measured
# doing nothing: once more, with more jobs.
sub consume
{
	my ($size, $variant, $queue) = @_;
	my $clients = $variant->{clients};
	my $one_each = $clients * ($variant->{jobs} // 1);
	if ($size->{seconds} && !$variant->{rate})
	{
		fill_queue($queue, 22 * $one_each, undef, groups => $variant->{groups});
		$variant->{rate} = load($variant, $queue, transactions => 20 * $clients);
	}
	while (1)
	{
		my $n =
		  $size->{seconds}
		  ? int(2 * $size->{seconds} * $variant->{rate})
		  : $size->{transactions} * $one_each;
		$n = $variant->{at_least} if $n < ($variant->{at_least} // 0);
		fill_queue($queue, $n + 2 * $one_each - jobs_ready($queue),
			undef, groups => $variant->{groups});
		my $rate = load($variant, $queue, length_of_run($size, $clients));
		if (jobs_ready($queue) > 0)
		{
			$variant->{rate} = $rate;
			return $rate;
		}
		die "$variant->{system}: there are jobs missing\n"
		  unless $size->{seconds};
		$variant->{rate} *= 2;
	}
}

# consume_and_refill($db, $clients, $jobs): the jobs per second of consuming that
# many of a database's jobs, which are put back.
sub consume_and_refill
{
	my ($db, $clients, $jobs) = @_;
	my $result = pgbench(
		db => $db,
		scripts => [ script('jobq', 'consume1.pgb') ],
		clients => $clients,
		transactions => $jobs);
	sql_file($db, script('jobq', 'fill.sql'), n => $result->{transactions});
	sql($db, 'CHECKPOINT');
	return $result->{tps};
}

1;
