# Jobs that do nothing, in the background workers, 50 for each call of a handler
# and one by one, with and without shared commits.

package JobqBench::Scenario::Batches;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database script);
use JobqBench::Report   qw(goal);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(sql sql_file set_option reset_options wait_until);

my $db = database('jobq');
my $workers = 2;

sub executors
{
	return sql($db, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'");
}

# The jobs per second of $n jobs, enqueue to done
sub run_jobs
{
	my ($n) = @_;
	return $n / sql_file($db, script('jobq', 'executors_run.sql'), jobs => $n);
}

# measure($size, $variant): how fast is that? As in executors, the first jobs
# start the workers, and say how many jobs take long enough.
sub measure
{
	my ($size, $variant) = @_;
	wait_until('executors to leave', sub { executors() <= $workers });
	reset_queue('jobq');
	sql_file(
		$db,
		script('jobq', 'executors.sql'),
		options => "keep_completed => '0', share_commits => $variant->{share}");
	sql_file($db, script('jobq', 'batches.sql')) if $variant->{batch};
	my $rate = run_jobs($workers * ($size->{seconds} ? 500 : 10));
	my $n = $size->{seconds} ? int($rate * $size->{seconds}) : 50;
	return run_jobs($n > 50 ? $n : 50);
}

scenario(
	title => 'trivial SQL jobs in background workers, 50 for each call',
	run => sub {
		my ($size) = @_;
		my $single = { system => 'one by one', share => 'false' };
		my $shared = { system => 'shared commits', share => 'true' };
		my $batch = { system => 'batches of 50', share => 'true', batch => 1 };
		my @variants = ($single, $shared, $batch);
		set_option('jobq.worker_idle_timeout', '500ms');
		set_option('jobq.max_workers', $workers);
		foreach my $round (1 .. $size->{rounds})
		{
			push @{ $_->{values} }, measure($size, $_) foreach @variants;
		}
		reset_options();
		return map {
			my $other = $_;
			my %row = (
				measure => "against $other->{system}",
				clients => $workers,
				unit => 'jobs/s');
			(   { %row, system => $other->{system}, values => $other->{values} },
				{
					%row,
					system => $batch->{system},
					values => $batch->{values},
					goal => goal('>=', $other == $single ? 5 : 1.5, $other->{system})
				})
		} ($single, $shared);
	});
