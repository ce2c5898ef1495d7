# JobqClients.pm
#
# Clients that work while something is done to the server: pgbench with a
# script, in a shell loop that begins again when they are thrown out.
#
#   my $client = client_start($node, 'eater', $script, db => 'shop');
#   ... break something ...
#   client_freeze(sub { ... }, $client);    # while it stalls
#   kill('KILL', client_pids($client));     # it is started again
#   client_finish($client);         # lets it end what it is at
#   client_kill($node, $client);    # or does not
#
# The name is the application_name of the sessions. What pgbench says is in
# client_output($client).

package JobqClients;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use JobqTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  client_start client_finish client_kill client_freeze client_output client_pids
);

# All clients that are at work, to be ended whatever happens.
my @clients;

# client_start($node, $name, $script, %options): one pgbench. Options:
#   db            => the database ("postgres")
#   clients       => sessions (1)
#   transactions  => number for each session, which then connects again (for
#                    as long as the connection lasts)
#   variables     => { name => value } that the script begins with
#   command       => instead of pgbench: a shell command that reads the script
#                    from the file $0; clients, transactions and variables are
#                    its own business then
sub client_start
{
	my ($node, $name, $script, %opt) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $client = {
		name => $name,
		stop => "$dir/stop",
		output => "$dir/output"
	};
	my $db = $opt{db} // 'postgres';
	my %variable = %{ $opt{variables} || {} };
	my $command = $opt{command} // join(' ',
		'pgbench -n -f $0',
		'-c', $opt{clients} // 1,
		'-t',
		$opt{transactions} // 1_000_000_000,
		(map { "-D '$_=$variable{$_}'" } sort keys %variable), $db);
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = $db;
	local $ENV{PGAPPNAME} = $name;
	local $ENV{PGCONNECT_TIMEOUT} = 10;

	append_to_file("$dir/script.sql", $script);
	$client->{run} = IPC::Run::start(
		[
			'sh',
			'-c',
			q{trap 'kill $pid; kill -CONT $pid; exit' TERM; }
			  . "while [ ! -e $client->{stop} ]; do"
			  . " $command & pid=\$!; wait \$pid || sleep 0.1; done",
			"$dir/script.sql"
		],
		'<',
		'/dev/null',
		'>',
		$client->{output},
		'2>&1');
	push @clients, $client;
	return $client;
}

# client_finish(@clients): they do what transactions they are left with, and
# end. Not for such as never end by themselves.
sub client_finish
{
	my (@end) = @_;
	append_to_file($_->{stop}, "stop\n") foreach @end;
	foreach my $client (@end)
	{
		poll_until(sub { return !$client->{run}->pumpable; })
		  or $client->{run}->kill_kill(grace => 2);
		$client->{run}->finish;
		forget($client);
	}
	return;
}

# client_kill($node, @clients): ends them in the middle of whatever they do.
# When this returns no session of theirs is left, if the server is there.
sub client_kill
{
	my ($node, @end) = @_;
	my $names = join(',', map { "'$_->{name}'" } @end);

	$_->{run}->signal('TERM') foreach @end;
	foreach my $client (@end)
	{
		$client->{run}->kill_kill(grace => 5);
		forget($client);
	}
	return if !@end;
	poll_until(
		sub {
			my ($status, $left) = $node->psql('postgres',
				"SELECT count(*) FROM pg_stat_activity" . " WHERE application_name IN ($names)");
			return $status != 0 || $left eq '0';
		}) or die "sessions of $names are left\n";
	return;
}

# client_pids(@clients): the PIDs of their pgbench, or command.
sub client_pids
{
	my (@of) = @_;
	my @pids;
	foreach my $client (@of)
	{
		my $shell = $client->{run}{KIDS}[0]{PID};
		open(my $fh, '<', "/proc/$shell/task/$shell/children") or next;
		push @pids, split(' ', <$fh> // '');
		close($fh);
	}
	return @pids;
}

# client_freeze($code, @clients): runs the code while they get no CPU, wherever
# they are, with their transactions and leases. Returns what the code returned.
sub client_freeze
{
	my ($code, @frozen) = @_;
	my @pids = client_pids(@frozen);
	kill('STOP', @pids);
	my $result = eval { $code->() };
	my $error = $@;
	kill('CONT', @pids);
	die $error if $error;
	return $result;
}

# client_output($client): what it has said so far.
sub client_output
{
	my ($client) = @_;
	return slurp_file($client->{output});
}

sub forget
{
	my ($client) = @_;
	@clients = grep { $_ != $client } @clients;
	return;
}

END
{
	my $status = $?;
	foreach my $client (@clients)
	{
		append_to_file($client->{stop}, "stop\n");
		$client->{run}->kill_kill(grace => 2);
	}
	$? = $status;
}

1;
