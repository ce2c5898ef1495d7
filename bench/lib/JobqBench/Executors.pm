# JobqBench::Executors
#
# Jobs that do nothing, in background workers: from the commit of many of them
# to the end of the last.

package JobqBench::Executors;

use strict;
use warnings;

use Exporter 'import';

use JobqBench::Queue  qw(reset_queue database script);
use JobqBench::Server qw(sql sql_file set_option wait_until);

our @EXPORT_OK = qw(executors_rate);

my $db = database('jobq');

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

# executors_rate($size, %options): jobs per second, from an empty queue on. The
# first jobs start the workers, and say how many jobs take as long as other
# measurements. The caller resets jobq.worker_idle_timeout and the other
# settings. Options:
#   workers => number
#   create  => options for jobq's create_queue
#   file    => SQL to run before the first job
sub executors_rate
{
	my ($size, %option) = @_;
	set_option('jobq.worker_idle_timeout', '500ms');
	set_option('jobq.max_workers', $option{workers});
	wait_until('executors to leave', sub { executors() <= $option{workers} });
	reset_queue('jobq');
	sql_file($db, script('jobq', 'executors.sql'), options => $option{create});
	sql_file($db, $option{file}) if $option{file};
	my $rate = run_jobs($option{workers} * ($size->{seconds} ? 500 : 10));
	my $n = $size->{seconds} ? int($rate * $size->{seconds}) : 50;
	return run_jobs($n > 50 ? $n : 50);
}

1;
