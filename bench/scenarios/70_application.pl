# What enqueueing a job costs an application's own transaction: its rate with
# the job as a part of the rate without.

package JobqBench::Scenario::Application;

use strict;
use warnings;

use JobqBench::Queue    qw(database);
use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(throughput);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(ask start_session end_session wait_until);

# Run $load while a client listens to the queue, and see that it is told.
sub with_listener
{
	my ($load) = @_;
	my $listener = start_session(database('jobq'));
	ask($listener, q(SELECT jobq.listen('q');));
	$load->();
	wait_until('a notification',
		sub { ask($listener, 'SELECT;') =~ /^Asynchronous notification/m });
	end_session($listener);
	return;
}

# The rates as parts of that of the first row, round by round
sub shares
{
	my ($without, @with) = @_;
	return map {
		my ($row, $values) = ($_, $_->{values});
		+{
			%$row,
			measure => 'with / without',
			unit => '',
			values => [ map { $values->[$_] / $without->{values}[$_] } 0 .. $#$values ],
			goal => $row->{system} =~ /^jobq/ ? goal('>=', 0.78) : undef
		}
	} @with;
}

scenario(
	title => "an application's transaction, with a job and without",
	run => sub {
		my ($size) = @_;
		my @rows = throughput(
			$size,
			measure => 'order',
			clients => 16,
			unit => 'orders/s',
			script => 'order.pgb',
			variants => [
				{ system => 'no job', queue => 'none' },
				{
					system => 'jobq, listened to',
					queue => 'jobq',
					around => \&with_listener
				},
				{ system => 'rawq' },
				{ system => 'raw' },
				{
					system => 'rawq + NOTIFY',
					queue => 'rawq',
					script => 'order_notify.pgb'
				},
				{
					system => 'raw + NOTIFY',
					queue => 'raw',
					script => 'order_notify.pgb'
				}
			]);
		return (@rows, shares(@rows));
	});
