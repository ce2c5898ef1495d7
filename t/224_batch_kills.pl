# t/224_batch_kills.pl: batches of more jobs than fit into an executor's note,
# and crashes in the middle of them: the attempt counts for each job, and none is
# lost.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 150;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.log_jobs = none' ]);

$node->sql(
	q{
	CREATE TABLE effects (id bigint);
	CREATE FUNCTION work(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO effects SELECT id FROM unnest(j);
		IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'enough') THEN
			PERFORM pg_sleep(600);
		END IF;
	END$$;
	SELECT jobq.create_queue('b', 'work(jobq.job[])', batch_size => 500, max_attempts => 100,
		backoff => 'fixed', backoff_base => '0 s')});
$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('b',
		ARRAY(SELECT to_jsonb(i) FROM generate_series(1, $jobs) AS i))"
);

sub sleeping
{
	my ($name) = @_;
	poll_ok(
		$node,
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'
			AND wait_event = 'PgSleep'}, "$name: a batch is running", expected => '1');
	return wait_for_worker($node, 'jobq executor');
}

# Notes that are put aside.
sub notes
{
	return scalar grep { /job/ } slurp_dir($node->data_dir . '/pg_jobq');
}

my $attempts = 0;

sub counted
{
	my ($name, $state) = @_;
	$attempts++;
	poll_ok(
		$node,
		q{SELECT string_agg(DISTINCT attempt::text, ' ') || ' ' || count(*)
		FROM jobq.jobs WHERE queue = 'b' AND state IN ('ready', 'running', 'scheduled')},
		"$name: the attempt counts for each job",
		expected => "$attempts $jobs");
	is( $node->sql(
			"SELECT string_agg(DISTINCT sqlstate, ' ') || ' ' || count(*)
			FROM jobq.attempts WHERE attempt = $attempts"
		),
		"$state $jobs",
		"$name: they are recorded");
	poll_until(sub { notes() == 0 }, 30);
	is(notes(), 0, "$name: no note is left");
	is($node->sql('SELECT count(*) FROM effects'), '0', "$name: what it did is undone");
	return;
}

# Nobody is to run them before the attempt is looked at.
sub pause  { $node->sql(q{SELECT jobq.pause('b')});  return; }
sub resume { $node->sql(q{SELECT jobq.resume('b')}); return; }

my $pid = sleeping('killed');
pause();
kill_9($node, $pid);
counted('killed', '57P02');

resume();
$pid = sleeping('terminated');
pause();
$node->sql("SELECT pg_terminate_backend($pid, 60000)");
counted('terminated', '57P01');

resume();
sleeping('immediate stop');
pause();
$node->stop('immediate');
$node->start;
counted('immediate stop', '57P02');

# A stop of the server is nobody's fault.
resume();
sleeping('restart');
pause();
$node->restart;
is( $node->sql(
		q{SELECT string_agg(DISTINCT attempt::text, ' ') || ' ' || count(*)
			FROM jobq.jobs WHERE queue = 'b'}
	),
	"$attempts $jobs",
	'restart: no attempt counts');

# Some jobs are locked when the attempts are counted.
my $holder = start_session($node);
resume();
$pid = sleeping('jobs are locked');
pause();
my $coordinator = wait_for_worker($node, 'jobq coordinator');
kill('STOP', $coordinator) or die "kill: $!";
order($holder,
	q{BEGIN; SELECT count(*) FROM (SELECT FROM jobq_store.job ORDER BY id LIMIT 10 FOR UPDATE) AS x}
);
$node->sql("SELECT pg_terminate_backend($pid, 60000)");
answer($holder);
kill('CONT', $coordinator) or die "kill: $!";
$attempts++;
poll_ok(
	$node,
	"SELECT count(*) FROM jobq.attempts WHERE attempt = $attempts",
	'jobs are locked: the attempts of the others are counted',
	expected => $jobs - 10);
poll_until(sub { notes() == 10 }, 30);
is(notes(), 10, 'jobs are locked: their notes are kept');
ask($holder, 'ROLLBACK');
end_session($holder);
$attempts--;
counted('jobs are locked', '57P01');

# In the end the jobs are run.
$node->sql('CREATE TABLE enough ()');
resume();
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'b' AND state = 'completed'},
	'all jobs complete',
	expected => $jobs);
is($node->sql('SELECT count(*), count(DISTINCT id) FROM effects'), "$jobs|$jobs", 'once each');

done_testing();
