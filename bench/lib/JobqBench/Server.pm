# JobqBench::Server
#
# The server that PGHOST and PGPORT name: SQL by psql, load by pgbench.
# Everything dies with what the program said if it fails.

package JobqBench::Server;

use strict;
use warnings;

use Exporter 'import';
use File::Temp  ();
use IO::Handle  ();
use IPC::Open2  qw(open2);
use POSIX       qw(_exit);
use Time::HiRes qw(time usleep);

our @EXPORT_OK = qw(
  output psql sql sql_file
  pgbench watch_pgbench start_pgbench finish_pgbench processors
  start_session ask end_session end_sessions wait_until vacuum
  set_option reset_options scratch_file restart_server
);

my @psql = (qw(psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=terse), "-F\t");

my $scratch;

# A file for this run only, gone with it.
sub scratch_file
{
	my ($name, $text) = @_;
	$scratch //= File::Temp->newdir('jobq-bench-XXXXXX', TMPDIR => 1);
	my $path = "$scratch/$name";
	if (defined $text)
	{
		open(my $file, '>', $path) or die "$path: $!\n";
		print $file $text;
		close($file) or die "$path: $!\n";
	}
	return $path;
}

# The programs that have been started; they must not outlive this one.
my %running;

END
{
	kill('TERM', keys %running) if %running;
}

# start_program(@command): for finish_program(), with both outputs in one.
sub start_program
{
	my (@command) = @_;
	my $pid = open(my $pipe, '-|') // die "fork: $!\n";
	if ($pid == 0)
	{
		# Nothing of this program may go on in the child.
		open(STDERR, '>&', \*STDOUT)
		  && open(STDIN, '<', '/dev/null')
		  && exec { $command[0] } @command;
		print "$command[0]: $!\n";
		STDOUT->flush;
		_exit(127);
	}
	$running{$pid} = 1;
	return { pid => $pid, pipe => $pipe, command => "@command" };
}

# finish_program($program, $on_line): wait for it and return what it writes.
# $on_line, if any, is called with every line at once; when it returns false,
# the program is ended.
sub finish_program
{
	my ($program, $on_line) = @_;
	my ($pid, $pipe) = @$program{qw(pid pipe)};
	my $text = '';
	my $ended;
	while (my $line = <$pipe>)
	{
		$text .= $line;
		next if $ended || !$on_line || $on_line->($line);
		kill('TERM', $pid);
		$ended = 1;
	}
	close($pipe);
	my $status = $?;
	delete $running{$pid};
	$status == 0 or $ended or die "$program->{command}\nfailed:\n$text\n";
	return $text;
}

# output($on_line, @command): both.
sub output
{
	my ($on_line, @command) = @_;
	return finish_program(start_program(@command), $on_line);
}

# psql($db, @arguments): what a psql of its own says.
sub psql
{
	my ($db, @arguments) = @_;
	return output(undef, @psql, '-d', $db, @arguments);
}

# One session for each database, which all of sql() and sql_file() runs in.
my %sessions;

sub session_of
{
	my ($db) = @_;
	$sessions{$db} //= start_session($db);
	return $sessions{$db};
}

sub end_sessions
{
	end_session($_) foreach values %sessions;
	%sessions = ();
	return;
}

# sql($db, @commands): each is a transaction. Returns what the last answers,
# without the last newline.
sub sql
{
	my ($db, @commands) = @_;
	my $text = '';
	$text = ask(session_of($db), "$_;") foreach @commands;
	chomp $text;
	return $text;
}

# sql_file($db, $path, %variables): the same of a file, with psql's variables.
sub sql_file
{
	my ($db, $path, %variables) = @_;
	my $text = ask(
		session_of($db),
		join("\n",
			(map { "\\set $_ " . quote($variables{$_}) } sort keys %variables),
			'\i ' . quote($path)));
	chomp $text;
	return $text;
}

# As psql's own commands want it
sub quote
{
	my ($text) = @_;
	return "'" . ($text =~ s/(['\\])/\\$1/gr) . "'";
}

# wait_until($what, $code): until $code returns true, for a minute at most
# (or that many seconds). Returns what it returned.
sub wait_until
{
	my ($what, $code, $seconds) = @_;
	my $end = time() + ($seconds // 60);
	while (1)
	{
		my $result = $code->();
		return $result if $result;
		die "gave up waiting for $what\n" if time() > $end;
		usleep(20_000);
	}
}

# Settings of the server, until reset_options().
my %options;

sub set_option
{
	my ($name, $value) = @_;
	$options{$name} = 1;
	sql('postgres', "ALTER SYSTEM SET $name = '$value'", 'SELECT pg_reload_conf()');
	return;
}

sub reset_options
{
	sql('postgres', (map { "ALTER SYSTEM RESET $_" } sort keys %options), 'SELECT pg_reload_conf()')
	  if %options;
	%options = ();
	return;
}

# restart_server(): as the user who owns its files.
sub restart_server
{
	my $dir = sql('postgres', 'SHOW data_directory');
	my ($uid, $gid) = (stat($dir))[ 4, 5 ];
	defined $uid or die "$dir: $!\n";
	my ($postmaster) = read_file("$dir/postmaster.pid") =~ /^(\d+)/;
	my $log = readlink("/proc/$postmaster/fd/2") // '';
	my @as = $uid == $> ? () : ('setpriv', "--reuid=$uid", "--regid=$gid", '--init-groups');
	end_sessions();
	output(undef, @as, qw(pg_ctl -s -w -t 120 -m fast -D),
		$dir, '-l', -f $log ? $log : '/dev/null', 'restart');
	return;
}

# VACUUM ANALYZE of all tables but the catalogs.
sub vacuum
{
	my ($db) = @_;
	ask(session_of($db), <<'SQL');
SELECT 'VACUUM (ANALYZE) ' || string_agg(oid::regclass::text, ', ')
FROM pg_class
WHERE relkind = 'r' AND relnamespace IN (
  SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'jobq_store'))
HAVING count(*) > 0
\gexec
SQL
	return;
}

# pgbench(%options): run it and return what it measured, as a hash with
# "tps" and "transactions". Options:
#   db         => the database
#   scripts    => [files], one after the other as one script
#   clients    => number
#   seconds    => how long, or
#   transactions => how many altogether, instead
#   variables  => { name => value }
#   arguments  => [others of pgbench]
sub pgbench
{
	my (%option) = @_;
	my $result = read_result(output(undef, pgbench_command(%option)));

	# The clock runs while clients connect, which on a machine that is busy
	# with something else may take all the time there is.
	if ($result->{transactions} == 0)
	{
		die "no transactions\n"
		  if !$option{seconds} || $option{seconds} > 60;
		return pgbench(%option, seconds => 2 * $option{seconds});
	}
	return $result;
}

# What pgbench says that it has measured; "connecting" is in seconds
sub read_result
{
	my ($text) = @_;
	my ($tps) = $text =~ /^tps = ([\d.]+) \(without/m;
	my ($transactions) = $text =~ /actually processed: (\d+)/;
	my ($connecting) = $text =~ /^initial connection time = ([\d.]+) ms/m;
	die "cannot read what pgbench says:\n$text\n"
	  unless defined $transactions;
	die "transactions have failed:\n$text\n"
	  if $text =~ /failed transactions: [1-9]/;
	return {
		tps => $tps,
		transactions => $transactions,
		connecting => ($connecting // 0) / 1000
	};
}

# start_pgbench(%options): run it beside others, for finish_pgbench().
sub start_pgbench
{
	my (%option) = @_;
	return start_program(pgbench_command(%option));
}

# finish_pgbench($program): wait for it and return what pgbench() does.
sub finish_pgbench
{
	my ($program) = @_;
	return read_result(finish_program($program));
}

# watch_pgbench($on_second, %options): call $on_second->($tps) after every
# second, until it returns false.
sub watch_pgbench
{
	my ($on_second, %option) = @_;
	$option{arguments} = [ '-P', 1 ];
	my $over;
	my $text = output(
		sub {
			my ($line) = @_;
			$over = !$on_second->($1)
			  if $line =~ /^progress: [\d.]+ s, ([\d.]+) tps/;
			return !$over;
		},
		pgbench_command(%option));
	die "pgbench has ended too early:\n$text\n" unless $over;
	return;
}

my $scripts = 0;

sub pgbench_command
{
	my (%option) = @_;
	my $clients = $option{clients};
	my $threads = $clients < processors() ? $clients : processors();
	my %variables = %{ $option{variables} || {} };
	my $script = scratch_file('script-' . ++$scripts . '.pgb',
		join('', map { read_file($_) } @{ $option{scripts} }));
	return (
		qw(pgbench -n -M prepared -c),
		$clients, '-j', $threads,
		(   $option{seconds}
			? ('-T', $option{seconds})
			: ('-t', int(($option{transactions} + $clients - 1) / $clients))),
		(map { ('-D', "$_=$variables{$_}") } sort keys %variables),
		@{ $option{arguments} || [] },
		'-f', $script,
		$option{db});
}

sub read_file
{
	my ($path) = @_;
	open(my $file, '<', $path) or die "$path: $!\n";
	local $/;
	return scalar <$file>;
}

my $processors;

sub processors
{
	$processors //= do
	{
		my $n = `getconf _NPROCESSORS_ONLN`;
		$n =~ /^(\d+)$/m ? $1 : 1;
	};
	return $processors;
}

# start_session($db): a psql that stays; for ask() and end_session().
sub start_session
{
	my ($db) = @_;
	my $pid = open2(my $out, my $in, @psql, '-d', $db);
	$in->autoflush(1);
	my $session = { pid => $pid, in => $in, out => $out };
	ask($session, 'SET client_min_messages = warning;');
	return $session;
}

# ask($session, $sql): what it answers.
sub ask
{
	my ($session, $sql) = @_;
	my $text = '';
	print { $session->{in} } "$sql\n\\echo the end\n";
	while (my $line = readline($session->{out}))
	{
		return $text if $line eq "the end\n";
		$text .= $line;
	}
	delete @sessions{ grep { $sessions{$_} == $session } keys %sessions };
	die "psql has ended running this: $sql\n";
}

sub end_session
{
	my ($session) = @_;
	close($session->{in});
	close($session->{out});
	waitpid($session->{pid}, 0);
	return;
}

1;
