# Whether it matters to a queue that another one, or one of its groups, has many
# jobs that cannot start.

package JobqBench::Scenario::Behind;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue database script);
use JobqBench::Report   qw(goal thousands);
use JobqBench::Rounds   qw(consume_and_refill);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file);

my $clients = 8;
my $start_one = "SELECT FROM jobq.dequeue('second', 1, '10 days')";

# What keeps them in a second queue:
#   options => of create_queue
#   delay   => of the jobs
#   then    => SQL to run once they are there
# or a file that fills the same queue
my @obstacles = (
	{ name => 'paused', then => "SELECT jobq.pause('second')" },
	{ name => 'max_running', options => ', max_running => 1', then => $start_one },
	{
		name => 'rate',
		options => ", rate_limit => 1, rate_period => '10 days'",
		then => $start_one
	},
	{ name => 'future', delay => '10 days' },
	{ name => 'group', file => 'group.sql' });

# A database with the jobs and the obstacle
sub set_up
{
	my ($db, $jobs, $obstacle) = @_;
	reset_queue('jobq', db => $db);
	sql_file(
		$db, script('jobq', $obstacle->{file} // 'second.sql'),
		options => "keep_completed => '0'" . ($obstacle->{options} // ''),
		jobs => $jobs,
		delay => $obstacle->{delay} // '0');
	sql($db, $obstacle->{then}) if $obstacle->{then};
	return;
}

# The rows without and with $jobs jobs that an obstacle keeps.
sub compare
{
	my ($size, $jobs, $obstacle) = @_;
	my $small = $jobs < 10_000 ? 1_000 : 5_000;
	my $none = 'nothing behind';
	my @variants = (
		{ system => $none, db => database('jobq'), jobs => 0 },
		{
			system => thousands($jobs) . ' jobs behind',
			db => database('jobq_2'),
			jobs => $jobs,
			goal => goal('>=', 0.95, $none)
		});
	foreach (@variants)
	{
		set_up($_->{db}, $_->{jobs}, $obstacle);
		fill_queue('jobq', $small, $_->{db});
	}
	sql('postgres', 'CHECKPOINT');
	foreach my $round (1 .. $size->{rounds})
	{
		push @{ $_->{values} }, consume_and_refill($_->{db}, $clients, 0.9 * $small)
		  foreach @variants;
	}
	reset_queue('jobq', db => $variants[1]{db});
	return map {
		{
			measure => $obstacle->{name},
			system => $_->{system},
			clients => $clients,
			unit => 'jobs/s',
			values => $_->{values},
			goal => $_->{goal}
		}
	} @variants;
}

scenario(
	title => 'consume while many other jobs cannot start',
	run => sub {
		my ($size) = @_;
		return map { compare($size, $size->{behind}, $_) } @obstacles;
	});
