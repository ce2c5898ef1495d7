# t/011_worker_slots.pl: scarce worker slots: no job is lost without one, and
# no role or database keeps the others out.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);

sub set_up
{
	my ($db, $role) = @_;
	$node->sql(
		qq{
		SELECT jobq.grant_usage('$role', true);
		GRANT CREATE ON SCHEMA public TO $role;
		SET SESSION AUTHORIZATION $role;
		CREATE TABLE done_$role (at timestamptz DEFAULT clock_timestamp());
		CREATE FUNCTION work_$role(p jsonb) RETURNS void LANGUAGE sql AS
			'INSERT INTO done_$role DEFAULT VALUES; SELECT pg_sleep((\$1 #>> ''{}'')::float8)';
		SELECT jobq.create_queue('$role', 'work_$role(jsonb)');
	}, $db);
	return;
}

sub add_jobs
{
	my ($db, $role, $n, $seconds) = @_;
	$node->sql(
		"SELECT count(*) FROM (SELECT jobq.enqueue('$role', '$seconds')
			FROM generate_series(1, $n)) x",
		$db);
	return;
}

$node->sql('CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN; CREATE DATABASE other');
create_extension($node, 'other');
set_up('postgres', 'ann');
set_up('postgres', 'ben');
set_up('other', 'ann');

# ------------------------------------------------------ a burst of slow jobs

add_jobs('postgres', 'ann', 4, 600);
poll_ok(
	$node, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND wait_event = 'PgSleep'}, 'a burst of slow jobs uses all workers');
$node->sql('SELECT count(jobq.cancel(id)) FROM jobq_store.job');
add_jobs('postgres', 'ann', 4, 0);
poll_ok($node, 'SELECT count(*) = 4 FROM done_ann', 'all jobs of the burst run');

# --------------------------- a long job does not hold up those that come later

foreach my $how ('idle executors', 'no executor', 'a new coordinator')
{
	if ($how ne 'idle executors')
	{
		$node->sql(
			q{SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
			WHERE backend_type = 'jobq executor'});
	}
	my ($coordinator) = worker_pids($node, 'jobq coordinator', 'postgres');
	$node->sql('TRUNCATE done_ann');
	add_jobs('postgres', 'ann', 1, 600);
	poll_ok(
		$node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
		AND wait_event = 'PgSleep'}, "$how: a long job runs");
	if ($how eq 'a new coordinator')
	{
		$node->sql("SELECT pg_terminate_backend($coordinator)");
		wait_for_worker($node, 'jobq coordinator', db => 'postgres', not => $coordinator);
	}
	add_jobs('postgres', 'ann', 1, 0);
	poll_ok(
		$node,
		'SELECT count(*) = 1 FROM done_ann',
		"$how: a short job runs beside the long one");
	$node->sql('SELECT count(jobq.cancel(id)) FROM jobq_store.job');
	poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', "$how: the long one is cancelled");
}
$node->sql('TRUNCATE done_ann');

# ------------------------------------------------ one role's long backlog

add_jobs('postgres', 'ann', 2000, 0.02);
poll_ok($node, 'SELECT count(*) > 10 FROM done_ann', 'executors work on a long backlog');
add_jobs('postgres', 'ben', 3, 0.01);
add_jobs('other', 'ann', 3, 0.01);
poll_ok($node, 'SELECT count(*) = 3 FROM done_ben', 'another role gets its turn', seconds => 10);
poll_ok(
	$node, 'SELECT count(*) = 3 FROM done_ann', 'another database gets its turn',
	db => 'other',
	seconds => 10);
cmp_ok($node->sql('SELECT count(*) FROM jobq_store.job'),
	'>', 100, 'others got their turn before the backlog was done');
is( $node->sql(q{SELECT count(*) <= 2 FROM pg_stat_activity WHERE backend_type = 'jobq executor'}),
	't', 'there are never more than jobq.max_workers');
$node->sql(q{SELECT jobq.purge('ann')})
  if $node->sql(q{SELECT to_regproc('jobq.purge') IS NOT NULL}) eq 't';
$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq_store.job});
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'the backlog is gone');

# ----------------------------------------- no slot of max_worker_processes

$node->append_conf('postgresql.conf', 'max_worker_processes = 5');
$node->restart;
# the launcher, two coordinators and logical replication's launcher leave one
my $position = log_position($node);
$node->sql('TRUNCATE done_ann, done_ben');
add_jobs('postgres', 'ann', 40, 0.02);
add_jobs('postgres', 'ben', 40, 0.02);
poll_ok(
	$node,
	'SELECT (SELECT count(*) FROM done_ann) = 40 AND (SELECT count(*) FROM done_ben) = 40',
	'all jobs are run with one worker slot');
my @complaints = log_since($node, $position) =~ /found no free background worker slot/g;
cmp_ok(scalar(@complaints), '<=', 10, 'the log is not flooded');

done_testing();
