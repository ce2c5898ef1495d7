# t/037_late_commit.pl: a process that has committed is held up before it
# reports its job to dispatch, while another one changes the job again and
# reports that: the late report must not hide the job from claims. gdb stops
# the process there; without gdb, or the right to use it, the test is skipped.

use strict;
use warnings;

use IPC::Run ();
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.sweep_interval = 0', 'fsync = off' ]);

my $session = start_session($node);
chomp(my $pid = ask($session, 'SELECT pg_backend_pid()'));

sub leave
{
	end_session($session);
	$node->stop;
	return;
}

my ($gdb_in, $gdb_out) = ('', '');
my $gdb = eval {
	my $handle = IPC::Run::start([ 'gdb', '-nx', '-q', '-p', $pid ],
		'<', \$gdb_in, '>', \$gdb_out, '2>&1', IPC::Run::timeout(2 * wait_limit()));
	$gdb_in .= "set confirm off\nset pagination off\nset breakpoint pending off\n"
	  . "break carry_out_all\nprint 6 * 7\n";
	$handle->pump until $gdb_out =~ /\$\d+ = 42/;
	$handle;
};
if (!$gdb || $gdb_out !~ /^(?:\(gdb\) )*Breakpoint 1 at /m)
{
	if ($gdb)
	{
		$gdb_in .= "quit\n";
		$gdb->finish;
	}
	leave();
	plan skip_all => 'gdb cannot stop a backend here';
}

sub gdb
{
	my ($command, $until) = @_;
	$gdb_out = '';
	$gdb_in .= "$command\n";
	$gdb->pump until $gdb_out =~ $until;
	return;
}

# The session runs a statement, and is held up where its transaction has
# committed; then others run another statement.
sub commit_late
{
	my ($statement, $others) = @_;
	gdb('continue', qr/Continuing/);
	order($session, $statement);
	$gdb->pump until $gdb_out =~ /Breakpoint 1, /;
	my $result = $node->sql($others);
	$gdb_in .= "detach\nquit\n";
	$gdb->finish;
	answer($session);
	return $result;
}

$node->sql("SELECT jobq.create_queue('work', notify => false)");
is($node->sql("SELECT count(*) FROM jobq.dequeue('work')"), '0', 'the queue is known to be empty');

is( commit_late(
		"SELECT jobq.enqueue('work', '\"old\"')",
		"SELECT jobq.set_payload(max(id), '\"new\"') FROM jobq.jobs"),
	't',
	'the job is changed before the commit has told of it');
is($node->sql("SELECT payload FROM jobq.dequeue('work')"), '"new"', 'a claim finds the job');

leave();
done_testing();
