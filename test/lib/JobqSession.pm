# JobqSession.pm
#
# Sessions that stay open, for tests in which several of them are in each
# other's way. What one is told to do may take until another one has done
# something: "order" does not wait for the answer, "ask" does.
#
#   my $session = start_session($node, name => 'one', verbosity => 'verbose');
#   order($session, 'SELECT jobq.pause($$q$$)');
#   ...
#   like(answer($session), qr/^ERROR/);
#   end_session($session);

package JobqSession;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use JobqTest;

our @EXPORT = qw(
  start_session order answer ask end_session
  waits_for_lock sleeps_in_wait start_order last_answer
);

# start_session($node, %options): psql, connected to "postgres".
#   name      => application_name
#   verbosity => of psql's errors
sub start_session
{
	my ($node, %opt) = @_;
	my $connection = $node->connstr('postgres');
	my $session = { in => '', out => '', name => $opt{name} };
	$connection .= " application_name=$opt{name}" if defined $opt{name};
	$session->{run} = IPC::Run::start(
		[
			$node->installed_command('psql'),
			'-XAtq', '-v', 'VERBOSITY=' . ($opt{verbosity} // 'default'),
			'-d', $connection
		],
		'<',
		\$session->{in},
		'>',
		\$session->{out},
		'2>&1',
		$session->{timer} = IPC::Run::timeout(2 * wait_limit()));
	$session->{timer}->reset;
	return $session;
}

# order($session, $sql): statements need no semicolon at their end.
sub order
{
	my ($session, $sql) = @_;
	$session->{out} = '';
	$session->{in} .= "$sql\n;\n\\echo done\n";
	$session->{run}->pump_nb;
	return;
}

# answer($session): what it says to the latest order. Who does not answer in twice
# wait_limit() ends the test; before that it may have waited for as long as it likes.
sub answer
{
	my ($session) = @_;
	$session->{timer}->start(2 * wait_limit());
	$session->{run}->pump until $session->{out} =~ /done\n/;
	$session->{timer}->reset;
	return $session->{out} =~ s/done\n//r;
}

sub ask
{
	my ($session, $sql) = @_;
	order($session, $sql);
	return answer($session);
}

sub end_session
{
	my ($session) = @_;
	$session->{in} .= "\\q\n";
	$session->{timer}->start(2 * wait_limit());
	return $session->{run}->finish;
}

# waits_for_lock($node, $session): whether it comes to wait for a lock before it answers.
# It must have a name.
sub waits_for_lock
{
	my ($node, $session) = @_;
	return poll_until(
		sub {
			$session->{run}->pump_nb;
			return 1 if $session->{out} =~ /done\n/;
			return $node->sql(
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = '$session->{name}'"
				  . " AND wait_event_type = 'Lock'");
		}) && $session->{out} !~ /done\n/;
}

# sleeps_in_wait($node, $session): as a test, that it comes to sleep in jobq.wait(). It
# must have a name.
sub sleeps_in_wait
{
	my ($node, $session) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node,
		qq{SELECT count(*) FROM pg_stat_activity WHERE application_name = '$session->{name}'
			AND backend_xmin IS NULL AND wait_event_type = 'Extension'},
		"session $session->{name} sleeps in wait()",
		expected => '1');
}

# start_order($node, $sql): a session that is told to do one thing. Its errors
# have SQLSTATEs.
sub start_order
{
	my ($node, $sql) = @_;
	my $session = start_session($node, verbosity => 'verbose');
	order($session, $sql);
	return $session;
}

# last_answer($session): waits for the answer, and ends the session.
sub last_answer
{
	my ($session) = @_;
	my $answer = answer($session);
	end_session($session);
	return $answer;
}

1;
