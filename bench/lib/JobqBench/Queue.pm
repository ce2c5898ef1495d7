# JobqBench::Queue
#
# The queues that are compared. Each has a database of its own and a directory
# with the same files: setup.sql, fill.sql, count.sql and pgbench scripts.
#
#   jobq   this extension
#   rawq   a queue in plain SQL with what a queue needs
#   raw    the ceiling: a table, and no queue at all
#   none   an application without a queue

package JobqBench::Queue;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);

use JobqBench::Server qw(end_sessions sql sql_file vacuum wait_until);

our @EXPORT_OK = qw(bench_dir script reset_queue fill_queue jobs_ready
  create_databases drop_databases knows_option database);

my $bench_dir = abs_path(dirname(__FILE__) . '/../..');

my %directory = (
	jobq => "$bench_dir/jobq",
	rawq => "$bench_dir/references/rawq",
	raw => "$bench_dir/references/raw",
	none => "$bench_dir/application");

my @databases = map { "bench_$_" } (sort(keys %directory), 'jobq_2');

sub bench_dir
{
	return $bench_dir;
}

sub database
{
	my ($queue) = @_;
	return "bench_$queue";
}

# The path of a queue's script.
sub script
{
	my ($queue, $name) = @_;
	return "$directory{$queue}/$name";
}

sub create_databases
{
	sql('postgres', map { "CREATE DATABASE $_" } @databases);
	return;
}

sub drop_databases
{
	end_sessions();
	sql('postgres', map { "DROP DATABASE IF EXISTS $_ WITH (FORCE)" } @databases);
	return;
}

# Whether an empty queue is enough to start from.
our $reset_lightly = 0;

# reset_queue($queue, %options): as if nothing had ever been in it, and the
# server idle: every measurement starts from here. Options:
#   db     => another database than the queue's own
#   create => for jobq, the options of create_queue
sub reset_queue
{
	my ($queue, %option) = @_;
	my $db = $option{db} // database($queue);
	sql($db, 'DROP TABLE IF EXISTS job, orders');
	if ($queue eq 'jobq')
	{
		reset_jobq($db, $option{create} // "keep_completed => '0'");
	}
	elsif ($queue ne 'none')
	{
		sql_file($db, script($queue, 'setup.sql'));
	}
	sql_file($db, script('none', 'setup.sql'));
	sql($db, 'CHECKPOINT') unless $reset_lightly;
	return;
}

sub reset_jobq
{
	my ($db, $options) = @_;
	sql($db,
		$reset_lightly
		? ( 'CREATE EXTENSION IF NOT EXISTS jobq',
			'SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues')
		: ('DROP EXTENSION IF EXISTS jobq CASCADE', 'CREATE EXTENSION jobq'));
	sql_file($db, script('jobq', 'setup.sql'), options => $options);
	wait_until(
		'the coordinator',
		sub {
			sql($db,
					"SELECT count(*) FROM pg_stat_activity"
				  . " WHERE backend_type = 'jobq coordinator'"
				  . " AND datname = current_database()");
		});
	return;
}

# fill_queue($queue, $n, $db, %options): n more jobs, and statistics about them.
# Options:
#   groups => the number of groups that they are spread over
sub fill_queue
{
	my ($queue, $n, $db, %option) = @_;
	my @groups = $option{groups} ? (groups => $option{groups}) : ();
	$db //= database($queue);
	sql_file($db, script($queue, @groups ? 'fill_groups.sql' : 'fill.sql'), n => $n, @groups)
	  if $n > 0;
	vacuum($db);
	return;
}

sub jobs_ready
{
	my ($queue, $db) = @_;
	return sql_file($db // database($queue), script($queue, 'count.sql'));
}

# Whether the create_queue of the installed jobq has that option.
sub knows_option
{
	my ($name) = @_;
	reset_queue('jobq');
	return sql(database('jobq'),
			"SELECT bool_or('$name' = ANY (proargnames)) FROM pg_proc"
		  . " WHERE proname = 'create_queue'"
		  . " AND pronamespace = 'jobq'::regnamespace") eq 't';
}

1;
