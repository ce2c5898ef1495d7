# Whether it matters what else is in the queue: many pending jobs, jobs ahead
# that will go first, and a paused queue of even more urgent ones.

package JobqBench::Scenario::Backlog;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue database bench_dir);
use JobqBench::Report   qw(goal thousands);
use JobqBench::Rounds   qw(consume_and_refill);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file);

my $clients = 8;

scenario(
	title => 'consume with little and with much in the queue',
	run => sub {
		my ($size) = @_;
		my %large = %{ $size->{backlog} };
		my $small = $large{pending} < 10_000 ? 1_000 : 10_000;
		my ($few, $many) =
		  map { 'jobq, ' . thousands($_) } ($small, $large{pending});
		my @variants = (
			{
				system => $few,
				db => database('jobq'),
				pending => $small
			},
			{
				system => $many,
				db => database('jobq_2'),
				pending => $large{pending},
				goal => goal('>=', 0.95, $few)
			});
		reset_queue('jobq', db => $_->{db}) foreach @variants;
		sql_file(
			$variants[1]{db}, bench_dir() . '/jobq/backlog.sql',
			future => $large{future},
			paused => $large{paused});
		fill_queue('jobq', $_->{pending}, $_->{db}) foreach @variants;
		sql('postgres', 'CHECKPOINT');

		foreach my $round (1 .. $size->{backlog_rounds})
		{
			push @{ $_->{values} }, consume_and_refill($_->{db}, $clients, 0.9 * $small)
			  foreach @variants;
		}
		reset_queue('jobq', db => $variants[1]{db});
		return map {
			{
				measure => 'consume',
				system => $_->{system},
				clients => $clients,
				unit => 'jobs/s',
				values => $_->{values},
				goal => $_->{goal}
			}
		} @variants;
	});
