# JobqPsql.pm
#
# psql without a start of the program for each call, which takes longer than what most
# statements do. A psql that is kept connects anew for each script, so that it has a
# session of its own, and leaves the server at its end. Since psql without a connection
# exits, it is connected to a server in between that does nothing: this module.
#
#   my ($status, $out, $err) = psql_run($program, $connstr, $sql);
#
# The status is that of psql: 0, or 3 after an error, which ends the script; 2 if there
# is no connection. psql_can_run($connstr, $sql) says whether it can be done so: not if
# the script has commands of psql, or if psql might wait for the end of a statement: it
# takes "begin" in CREATE FUNCTION, also as a name, for the beginning of a body.

package JobqPsql;

use strict;
use warnings;

use Errno qw(EAGAIN EINTR);
use Exporter 'import';
use IO::Handle;
use IO::Select;
use IO::Socket::UNIX;
use POSIX qw(WNOHANG);

use PostgreSQL::Test::Utils ();

our @EXPORT = qw(psql_can_run psql_run);

# The environment is that at its start, so there is one for each environment.
my %kept;

# Where it is connected in between: a socket, and the connection string.
my ($park, $park_connstr);
my $park_owner = 0;

# What a server says first: no password is needed, its version, it waits for a query.
my $welcome = pack(
	'a N N  a N Z* Z*  a N a',
	'R', 8, 0, 'S', 4 + length("server_version\00015.0\0"),
	'server_version', '15.0', 'Z', 5, 'I');

sub psql_can_run
{
	my ($connstr, $sql) = @_;
	return
		 $connstr !~ /["\\\n]/
	  && $sql     !~ /\\|\bstdin\b|\/\*/i
	  && $sql     !~ /\b(?:FUNCTION|PROCEDURE)\s[^\$';]*\bBEGIN\b/i
	  && $sql     =~ tr/'// % 2 == 0
	  && $sql     =~ tr/"// % 2 == 0
	  && $sql     =~ tr/(// == $sql =~ tr/)//;
}

sub make_park
{
	$park_owner = $$;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();
	$park = IO::Socket::UNIX->new(Local => "$dir/.s.PGSQL.1", Listen => 5)
	  or die "socket in $dir: $!\n";
	$park_connstr = "host=$dir port=1 dbname=park user=park";
	return;
}

# Lets a psql in.
sub park
{
	my ($psql) = @_;
	my $connection = $park->accept or die "accept: $!\n";
	sysread($connection, my $packet, 10_000);
	syswrite($connection, $welcome);
	$psql->{parked} = $connection;
	return;
}

# Starts psql.
sub start_psql
{
	my ($program) = @_;
	my %psql = (owner => $$, calls => 0);
	make_park() if $park_owner != $$;
	pipe(my $in, $psql{in}) && pipe($psql{out}, my $out) && pipe($psql{err}, my $err)
	  or die "pipe: $!\n";
	$psql{pid} = fork() // die "fork: $!\n";
	if ($psql{pid} == 0)
	{
		POSIX::dup2(fileno($in), 0);
		POSIX::dup2(fileno($out), 1);
		POSIX::dup2(fileno($err), 2);
		exec($program, '-XAtq', '-d', $park_connstr, '-f', '-') or POSIX::_exit(126);
	}
	$_->blocking(0) foreach @psql{qw(in out err)};
	return \%psql;
}

# The one for this environment.
sub kept_psql
{
	my ($program) = @_;
	my @names = sort grep { /^(?:LC_|LANG|PG(?!HOST|PORT))/ } keys %ENV;
	my $key = join("\n", $program, map { "$_=$ENV{$_}" } @names);
	my $psql = $kept{$key};

	if ($psql && $psql->{owner} == $$ && !$psql->{gone})
	{
		return $psql
		  if !$psql->{busy} && waitpid($psql->{pid}, WNOHANG) == 0;
		# somebody has interrupted its last call, or killed it
		kill('TERM', $psql->{pid}) if $psql->{busy};
	}
	return $kept{$key} = start_psql($program);
}

# Reads what there is; false at the end.
sub read_some
{
	my ($handle, $text) = @_;
	my $n = sysread($handle, $$text, 65536, length($$text));
	return 1 if !defined($n) && ($! == EAGAIN || $! == EINTR);
	return $n;
}

# Has it do all of the script: until the end is on both outputs, or they end, for
# which it returns false.
sub talk
{
	my ($psql, $script, $end) = @_;
	my %open = (out => \$psql->{output}, err => \$psql->{errors});
	my $select = IO::Select->new(@$psql{qw(out err)}, $park);
	local $SIG{PIPE} = 'IGNORE';

	while (%open && grep { ${ $open{$_} } !~ /$end\z/ } keys %open)
	{
		my $write = $script ne '' ? IO::Select->new($psql->{in}) : undef;
		my ($readable, $writable) = IO::Select->select($select, $write);
		if ($writable && @$writable)
		{
			my $n = syswrite($psql->{in}, $script);
			# without a reader there is nothing to be written
			$script = defined($n) ? substr($script, $n) : $! == EAGAIN ? $script : '';
		}
		park($psql) if grep { $_ == $park } @{ $readable || [] };
		foreach my $name (keys %open)
		{
			next if !grep { $_ == $psql->{$name} } @{ $readable || [] };
			next if read_some($psql->{$name}, $open{$name});
			$select->remove($psql->{$name});
			delete $open{$name};
		}
	}
	return scalar(keys %open) == 2;
}

sub psql_run
{
	my ($program, $connstr, $sql) = @_;
	my $psql = kept_psql($program);
	my $end = "end of script $$ " . ++$psql->{calls} . "\n";
	my $status = 0;

	$psql->{busy} = 1;
	@$psql{qw(output errors)} = ('', '');
	$sql .= "\n;" if $sql !~ /;\s*\z/;
	if (!talk(
			$psql,
			qq{\\set ON_ERROR_STOP 1\n\\connect -reuse-previous=off "$connstr"\n$sql\n}
			  . qq{\\echo $end\\connect -reuse-previous=off "$park_connstr"\n\\warn $end},
			$end))
	{
		$psql->{gone} = 1;
		waitpid($psql->{pid}, 0);
		$status = $?;
		die "psql exited with signal " . ($status & 127) . ": $psql->{errors}\n" if $status & 127;
		$status = $psql->{errors} =~ /\\connect: / ? 2 : $status >> 8;
	}
	my ($out, $err) = @$psql{qw(output errors)};
	$out =~ s/$end//;
	$err =~ s/$end//;
	chomp($out, $err);
	$psql->{busy} = 0;
	return ($status, $out, $err);
}

1;
