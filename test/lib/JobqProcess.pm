# JobqProcess.pm
#
# What /proc says about processes of a server (so Linux only).
#
#   plan skip_all => 'there is no /proc' if !sees_processes();
#   my $seconds = process_cpu($pid);
#   my $switches = process_status($pid, 'voluntary_ctxt_switches');

package JobqProcess;

use strict;
use warnings;

use Exporter 'import';
use JobqTest;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(sees_processes process_cpu process_status rests_ok);

# Whether there is a /proc.
sub sees_processes
{
	return -r '/proc/self/stat';
}

# What a file says, or '' if the process has ended.
sub contents
{
	my ($path) = @_;
	open(my $fh, '<', $path) or return '';
	local $/ = undef;
	return <$fh> // '';
}

# process_cpu($pid): the time that it has spent on the CPU, in seconds.
sub process_cpu
{
	my ($pid) = @_;
	my ($fields) = contents("/proc/$pid/stat") =~ /.*\) (.*)/s
	  or die "there is no process $pid\n";
	my @field = split(/ /, $fields);
	return ($field[11] + $field[12]) / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}

# process_status($pid, $name): what /proc/PID/status has under this name, without
# a unit; nothing if the process has ended.
sub process_status
{
	my ($pid, $name) = @_;
	my ($value) = contents("/proc/$pid/status") =~ /^\Q$name\E:\s*(\S+)/m;
	return $value;
}

# rests_ok($pid, $share, $name, $during): as a test, that it comes to take less than
# this share of a CPU, over two seconds, or while the code runs.
sub rests_ok
{
	my ($pid, $limit, $name, $during) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $share;
	my $calm = poll_until(
		sub {
			my ($used, $time) = (process_cpu($pid), time());
			$during ? $during->() : sleep(2);
			$share = (process_cpu($pid) - $used) / (time() - $time);
			return $share < $limit;
		},
		60);
	return ok($calm, $name) || diag(sprintf('it takes %.0f %% of a CPU', 100 * $share));
}

1;
