# JobqNode.pm
#
# A server of PostgreSQL::Test::Cluster, with what the tests of jobq ask of it
# again and again. JobqTest's jobq_node() makes one.
#
# create_clock() declares the clock of the tests in a database: a function that
# sets jobq's clock forward for all processes of the server. SQL can call it as
# clock.advance(interval), too. The clock is in shared memory: it is right again
# after a crash or a restart of the server.
#
# The time that a session of background_psql() has is for each query and the end of
# the session, not for its whole life.

package JobqNode;

use strict;
use warnings;

use parent 'PostgreSQL::Test::Cluster';

use Fcntl qw(:flock);
use JobqPsql;
use PostgreSQL::Test::Utils ();

my $nodes = 0;

# init(%options): see PostgreSQL::Test::Cluster. initdb takes long, so the first server of
# each test is a copy of one that initdb has made; they have the same system identifier.
sub init
{
	my ($self, %options) = @_;
	my $run = \&PostgreSQL::Test::Utils::system_or_bail;

	return $self->SUPER::init(%options) if $nodes++ > 0 || defined $self->install_path;
	no warnings 'redefine';
	local *PostgreSQL::Test::Utils::system_or_bail = sub {
		my ($program, @arguments) = @_;
		return $run->($program, @arguments) if $program ne 'initdb';
		return $run->('cp', '-RPp', template(@{ $options{extra} }), $self->data_dir);
	};
	return $self->SUPER::init(%options);
}

# The data directory that initdb makes with these options.
sub template
{
	my (@options) = @_;
	my $path = join('_', "$PostgreSQL::Test::Utils::tmp_check/t_template", @options) =~ s/=/-/gr;

	open(my $lock, '>', "$path.lock") or die "$path.lock: $!\n";
	flock($lock, LOCK_EX) or die "$path.lock: $!\n";
	if (!-d $path)
	{
		PostgreSQL::Test::Utils::system_log('initdb', '-D', "$path.new", '-A', 'trust', '-N',
			@options) == 0
		  or die "initdb failed\n";
		rename("$path.new", $path) or die "$path: $!\n";
	}
	close($lock);
	return $path;
}

# background_psql($database, %options): see PostgreSQL::Test::Cluster.
sub background_psql
{
	my ($self, $db, @options) = @_;
	my $session = $self->SUPER::background_psql($db, @options);
	$session->set_query_timer_restart;
	return bless($session, 'JobqNode::Session');
}

# run_psql($database, $sql): the status of psql, its output and its errors; of a psql that
# is kept, if it can do that (JobqPsql.pm).
sub run_psql
{
	my ($self, $db, $sql) = @_;
	my $connstr = $self->connstr($db);
	local %ENV = $self->_get_env();
	return psql_can_run($connstr, $sql)
	  ? psql_run($self->installed_command('psql'), $connstr, $sql)
	  : $self->psql($db, $sql);
}

# safe_psql($database, $sql, %options): see PostgreSQL::Test::Cluster.
sub safe_psql
{
	my ($self, $db, $sql, %options) = @_;
	return $self->SUPER::safe_psql($db, $sql, %options)
	  if %options || !psql_can_run($self->connstr($db), $sql);

	my ($status, $out, $err) = $self->run_psql($db, $sql);
	print "#### Begin standard error\n$err\n#### End standard error\n" if $err ne '';
	die +($status == 2 ? 'connection error' : 'error running SQL')
	  . ": '$err'\nwhile running psql in \"$db\" with sql '$sql'"
	  if $status;
	return $out;
}

# sql($query, $database): what the query returns; it must not fail.
sub sql
{
	my ($self, $query, $db) = @_;
	return $self->safe_psql($db // 'postgres', $query);
}

# create_clock($database): only superusers can call the function.
sub create_clock
{
	my ($self, $db) = @_;
	$self->sql(
		q{CREATE SCHEMA clock;
		CREATE FUNCTION clock.advance(by interval) RETURNS timestamptz
			AS '$libdir/jobq', 'jobq_advance_clock' LANGUAGE c STRICT}, $db);
	return;
}

# advance_clock($interval, $database): returns the new time.
sub advance_clock
{
	my ($self, $by, $db) = @_;
	return $self->sql("SELECT clock.advance('$by')", $db);
}

# clock(): jobq's time.
sub clock
{
	my ($self) = @_;
	return $self->advance_clock('0');
}

# set_clock($time): sets the clock to that time, forward or back.
sub set_clock
{
	my ($self, $time) = @_;
	return $self->sql("SELECT clock.advance(timestamptz '$time' - clock.advance('0'))");
}

# set_clock_forward($time): sets the clock to that time, unless it has passed.
sub set_clock_forward
{
	my ($self, $time) = @_;
	return $self->sql(
		"SELECT clock.advance(greatest('0', timestamptz '$time' - clock.advance('0')))");
}

package JobqNode::Session;

use parent -norequire, 'PostgreSQL::Test::BackgroundPsql';

sub quit
{
	my ($self) = @_;
	$self->{timeout}->start;
	return $self->SUPER::quit;
}

1;
