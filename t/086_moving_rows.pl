# t/086_moving_rows.pl: commands that move the rows of jobq's tables, or give
# their indexes other files, while jobs flow: VACUUM FULL, CLUSTER, REINDEX,
# ALTER TABLE ... SET TABLESPACE, and plain VACUUM, which makes places available
# again. A process that has seen a job in one place must not take another one
# there for it, or miss the job.
#
# JOBQ_MOVE_SECONDS says how long it runs (10).

use strict;
use warnings;

use JobqLoad;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{JOBQ_MOVE_SECONDS} || 10;
my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 3', 'log_statement = none', 'fsync = off', 'autovacuum_naptime = 1s' ]);

load_set_up($node);
my $space = PostgreSQL::Test::Utils::tempdir();
$node->sql("CREATE TABLESPACE space LOCATION '$space'");

# Other jobs are in the way, so that places are filled and given out again.
$node->sql(
	q{
	SELECT jobq.create_queue('rest');
	SELECT count(*) FROM jobq.enqueue_many('rest', array_fill('1'::jsonb, '{3000}'),
	  delay => '1 day');
	SELECT jobq.schedule('tick', '@every 1s', queue => 'load_h');
	SELECT jobq.enqueue('load_d', delay => '1 day')});

# Held by a lease while its row moves from place to place.
$node->sql(q{SELECT jobq.create_queue('held'); SELECT jobq.enqueue('held')});
my ($held, $lease) =
  split(/\|/, $node->sql(q{SELECT id, lease FROM jobq.dequeue('held', lease => '1 h')}));

my @commands = (
	'VACUUM FULL jobq_store.job',
	'CLUSTER jobq_store.job USING job_pkey',
	'VACUUM jobq_store.job',
	'REINDEX TABLE jobq_store.job',
	'REINDEX TABLE CONCURRENTLY jobq_store.job',
	'REINDEX INDEX CONCURRENTLY jobq_store.job_dispatch',
	'CLUSTER jobq_store.job USING job_pkey',
	'ALTER TABLE jobq_store.job SET TABLESPACE space',
	'ALTER INDEX jobq_store.job_dispatch SET TABLESPACE space',
	'VACUUM FULL jobq_store.job',
	'ALTER TABLE jobq_store.job SET TABLESPACE pg_default',
	'VACUUM FULL jobq_store.queue',
	'REINDEX TABLE CONCURRENTLY jobq_store.queue',
	'VACUUM FULL jobq_store.history',
	'REINDEX TABLE CONCURRENTLY jobq_store.history_0',
	'VACUUM FULL jobq_store.schedule',
	'REINDEX TABLE CONCURRENTLY jobq_store.schedule',
	'VACUUM FULL jobq_store.service',
	'REINDEX SCHEMA CONCURRENTLY jobq_store',);

my $load = load_start($node);
load_goes_on_ok($node, 'before all');
my $position = log_position($node);
my $rounds = 0;

# A command that waits for a running job or another command is given some
# time, as any careful user would.
foreach my $command (@commands)
{
	within(30, $command, sub { $node->sql("SET lock_timeout = '10 s'; $command") });
	load_runs_ok($node, $command, seconds => 15);
}
load_goes_on_ok($node, 'each command has run once', seconds => 15);

# rows on the move all the time
my $end = time() + $seconds;
while (time() < $end)
{
	$node->sql("SET lock_timeout = '10 s'; $_")
	  foreach (
		'VACUUM FULL jobq_store.job',
		'CLUSTER jobq_store.job USING job_pkey',
		'REINDEX INDEX CONCURRENTLY jobq_store.job_dispatch',
		'VACUUM jobq_store.job');
	$rounds++;
}
note("$rounds rounds");
load_goes_on_ok($node, 'rows on the move', seconds => 15);
quiet_log_ok($node, $position, 10, 'rows on the move');

# who waits for the table is not deaf to being told to leave
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK TABLE jobq_store.job');
	poll_query(
		$node, q{SELECT count(*) > 1 FROM pg_locks
		WHERE relation = 'jobq_store.job'::regclass
			AND NOT granted}) or die "nobody wants the table\n";
	$position = log_position($node);
	my @pids = worker_pids($node, 'jobq%');
	$node->sql(
		q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE backend_type LIKE 'jobq%'});
	ok( poll_until(
			sub {
				!grep { kill(0, $_) } @pids;
			},
			10),
		'processes that wait for the table can be terminated');
	$session->query_safe('COMMIT');
	$session->quit;
	load_runs_ok($node, 'the table was locked', seconds => 30);
	load_goes_on_ok($node, 'the table was locked', seconds => 30);
	quiet_log_ok($node, $position, 20, 'the table of jobs was locked');
}

load_stop($load);
$node->sql(q{SELECT jobq.unschedule('tick')});
$node->sql("SELECT jobq.complete($held, $lease)");
pass('a lease is good wherever the row has moved');
$node->sql(
	q{SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'load_d' AND state = 'scheduled';
	INSERT INTO load.placed SELECT id FROM jobq_store.history WHERE headers ? 'schedule'
	UNION SELECT id FROM jobq_store.job WHERE headers ? 'schedule'});
load_account_ok($node, 'rows that moved');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'rest' AND state = 'scheduled'}),
	'3000', 'jobs that were not touched still exist');

# the indexes have what the table has
$node->sql(
	q{CREATE EXTENSION amcheck;
	SELECT bt_index_check(i.indexrelid, true) FROM pg_index AS i
	JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
	WHERE i.indrelid IN ('jobq_store.job'::regclass, 'jobq_store.history_0'::regclass)});
pass('the indexes are sound');

$node->stop;
done_testing();
