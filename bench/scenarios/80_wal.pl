# What a job's life leaves behind: bytes of WAL, dead versions of rows, and
# whether claims are HOT updates.

package JobqBench::Scenario::Wal;

use strict;
use warnings;

use JobqBench::Queue    qw(reset_queue fill_queue database script);
use JobqBench::Report   qw(goal);
use JobqBench::Rounds   qw(keep_default);
use JobqBench::Scenario qw(scenario);
use JobqBench::Server   qw(pgbench sql sql_file vacuum set_option
  reset_options wait_until);

my $clients = 4;
my $delete = "keep_completed => '0'";

# The ways through a queue. "hot": every claim must be a HOT update.
my @ways = (
	{
		system => 'jobq leased',
		queue => 'jobq',
		scripts => [qw(enqueue1.pgb consume1.pgb)],
		create => $delete,
		hot => 1,
		goal => goal('<=', 600)
	},
	{
		system => 'jobq leased, history',
		queue => 'jobq',
		scripts => [qw(enqueue1.pgb consume1.pgb)],
		create => keep_default(),
		hot => 1,
		goal => goal('<=', 1.3, 'jobq leased')
	},
	{
		system => 'jobq take',
		queue => 'jobq',
		scripts => [qw(enqueue1.pgb take1.pgb)],
		create => $delete,
		goal => goal('<=', 420)
	},
	{
		system => 'jobq take, history',
		queue => 'jobq',
		scripts => [qw(enqueue1.pgb take1.pgb)],
		create => keep_default(),
		goal => goal('<=', 1.3, 'jobq take')
	},
	{
		system => 'jobq executor',
		queue => 'jobq',
		executor => 1,
		scripts => [qw(enqueue1_work.pgb)],
		create => $delete,
		goal => goal('<=', 420)
	},
	{
		system => 'jobq executor, history',
		queue => 'jobq',
		executor => 1,
		scripts => [qw(enqueue1_work.pgb)],
		create => keep_default(),
		goal => goal('<=', 1.3, 'jobq executor')
	},
	{
		system => 'rawq',
		queue => 'rawq',
		scripts => [qw(enqueue1.pgb consume1.pgb)],
		hot => 1
	},
	{
		system => 'raw',
		queue => 'raw',
		scripts => [qw(enqueue1.pgb consume1.pgb)]
	});

# Wait until all jobs are done and the executors are gone, since only then
# all that they did has been counted.
sub finish_jobs
{
	my ($db) = @_;
	wait_until(
		'the executors to finish',
		sub {
			sql($db,
					"SELECT NOT EXISTS (SELECT FROM jobq.jobs WHERE queue ="
				  . " 'work' AND state IN ('ready', 'running'))"
				  . " AND NOT EXISTS (SELECT FROM pg_stat_activity"
				  . " WHERE backend_type = 'jobq executor')") eq 't';
		},
		600);
	return;
}

# (bytes of WAL, dead rows, HOT updates of jobs) per job
sub measure
{
	my ($size, $way) = @_;
	my $db = database($way->{queue});
	reset_queue($way->{queue}, create => $way->{create});
	if ($way->{executor})
	{
		sql_file($db, script('jobq', 'executors.sql'), options => $way->{create});
	}
	else
	{
		# a job for every session, in any order
		fill_queue($way->{queue}, 100);
	}
	sql($db, 'SELECT pg_stat_reset()');
	my $since = sql($db, 'SELECT pg_current_wal_insert_lsn()');
	my $jobs = pgbench(
		db => $db,
		scripts => [ map { script($way->{queue}, $_) } @{ $way->{scripts} } ],
		clients => $clients,
		transactions => $size->{wal_jobs})->{transactions};
	finish_jobs($db) if $way->{executor};
	vacuum($db);
	my $wal = sql($db, "SELECT pg_current_wal_insert_lsn() - '$since'::pg_lsn");
	my ($dead, $hot) = split(
		/\t/,
		sql($db,
			'SELECT sum(n_tup_upd + n_tup_del), '
			  . "sum(n_tup_hot_upd) FILTER (WHERE relname = 'job')"
			  . ' FROM pg_stat_user_tables'));
	return map { $_ / $jobs } ($wal, $dead, $hot);
}

scenario(
	title => "what a job's life leaves behind",
	run => sub {
		my ($size) = @_;
		my @measures = ('WAL', 'dead rows', 'HOT updates');
		my @units = ('bytes/job', '/job', '/job');
		my @ways = map {
			{ %$_ }
		} @ways;
		set_option('autovacuum', 'off');
		set_option('jobq.worker_idle_timeout', '500ms');
		foreach my $round (1 .. $size->{wal_rounds})
		{
			foreach my $way (@ways)
			{
				my @values = measure($size, $way);
				push @{ $way->{values}[$_] }, $values[$_] foreach (0 .. 2);
			}
		}
		reset_options();
		my @rows;
		foreach my $i (0 .. 2)
		{
			foreach my $way (@ways)
			{
				next if $i == 2 && !$way->{hot};
				my $goal =
					$i == 0                            ? $way->{goal}
				  : $i == 2 && $way->{queue} eq 'jobq' ? goal('>=', 1)
				  :                                      undef;
				push @rows,
				  {
					measure => $measures[$i],
					system => $way->{system},
					clients => $clients,
					unit => $units[$i],
					values => $way->{values}[$i],
					goal => $goal
				  };
			}
		}
		return @rows;
	});
