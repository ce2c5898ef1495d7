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

# background_psql($database, %options): see PostgreSQL::Test::Cluster.
sub background_psql
{
	my ($self, $db, @options) = @_;
	my $session = $self->SUPER::background_psql($db, @options);
	$session->set_query_timer_restart;
	return bless($session, 'JobqNode::Session');
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
