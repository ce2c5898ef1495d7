# Whether it matters to a role with few queues what others own and do: many
# queues and schedules, and one that is paused and resumed all the time.

package JobqBench::Scenario::Neighbours;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue database bench_dir);
use JobqBench::Report   qw(goal thousands);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(pgbench sql sql_file ask start_session end_session wait_until);

my $clients = 4;
my $dir = bench_dir() . '/neighbours';
my @calls = qw(enqueue claim create pause health queues);

# with_changes($db, $load): run $load->() while a queue of the other role is
# paused and resumed.
sub with_changes
{
	my ($db, $load) = @_;
	my $session = start_session($db);
	print { $session->{in} } "\\i $dir/pause_and_resume.sql\n";
	wait_until(
		'the changes',
		sub {
			sql($db,
					"SELECT count(*) FROM pg_stat_activity"
				  . " WHERE query LIKE '%many_1%' AND pid <> pg_backend_pid()"
				  . " AND datname = current_database()");
		});
	my $result = $load->();
	sql($db, 'CREATE TABLE enough ()');
	ask($session, '');
	end_session($session);
	return $result;
}

# Transactions a second of the role with few queues
sub rate
{
	my ($size, $variant, $call) = @_;
	my $load = sub {
		my $result = pgbench(
			db => $variant->{db},
			scripts => ["$dir/$call.pgb"],
			clients => $clients,
			arguments => [ '-U', 'bench_few' ],
			$size->{seconds}
			? (seconds => $size->{seconds})
			: (transactions => $size->{transactions} * $clients));
		return $result->{tps};
	};
	return $variant->{changes} ? with_changes($variant->{db}, $load) : $load->();
}

scenario(
	title => 'calls of a role with 20 queues, without and with neighbours',
	run => sub {
		my ($size) = @_;
		my %large = %{ $size->{neighbours} };
		my $many = 'jobq, ' . thousands($large{queues}) . ' queues';
		my @variants = (
			{ system => 'jobq, alone', db => database('jobq') },
			{ system => $many, db => database('jobq_2') },
			{ system => 'jobq, changes', db => database('jobq'), changes => 1 },
			{ system => "$many, changes", db => database('jobq_2'), changes => 1 });
		my %goals = ($many => 'jobq, alone', "$many, changes" => 'jobq, changes');
		my %few = (queues => 1, schedules => 0);
		foreach (@variants[ 0, 1 ])
		{
			reset_queue('jobq', db => $_->{db});
			sql_file($_->{db}, "$dir/setup.sql", $_ == $variants[0] ? %few : %large);
		}
		sql('postgres', 'CHECKPOINT');

		my @rows = map {
			my $call = $_;
			map {
				{
					measure => $call,
					system => $_->{system},
					clients => $clients,
					unit => 'transactions/s',
					values => [],
					variant => $_,
					$goals{ $_->{system} }
					? (goal => goal('>=', 0.9, $goals{ $_->{system} }))
					: ()
				}
			} @variants
		} @calls;
		foreach my $round (1 .. $size->{rounds})
		{
			push @{ $_->{values} }, rate($size, $_->{variant}, $_->{measure}) foreach @rows;
		}
		foreach (@variants[ 0, 1 ])
		{
			reset_queue('jobq', db => $_->{db});
			sql($_->{db}, 'DROP OWNED BY bench_many, bench_few');
		}
		sql('postgres', 'DROP ROLE bench_many, bench_few');
		return @rows;
	});
