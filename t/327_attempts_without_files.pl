# t/327_attempts_without_files.pl: executors are terminated in more jobs than shared memory
# has room for, while no file can be made: none of the jobs gets another attempt.

use strict;
use warnings;

use JobqTest;
use Test::More;

# Shared memory has room for 1024 attempts (JOBQ_MAX_TERMINATIONS).
my @queues = qw(a b c d);
my $each = 400;
my $all = @queues * $each;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 6', 'jobq.log_jobs = none' ]);
my $notes = $node->data_dir . '/pg_jobq';

# Executions count in a sequence, whatever becomes of their transactions.
$node->sql(
	q{CREATE SEQUENCE begun;
	CREATE TABLE go_on (yes bool);
	CREATE FUNCTION once(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM nextval('begun') FROM unnest(j);
		WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('client'); SELECT jobq.enqueue('client')});
foreach my $queue (@queues)
{
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', 'once(jobq.job[])', batch_size => $each,
			max_attempts => 1);
		SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('{}'::jsonb, ARRAY[$each]))});
}
poll_ok($node, 'SELECT last_value FROM begun', 'all jobs run', expected => $all);

# No claim of any kind gets a job; each is rolled back, so that the next one could.
sub none_is_claimed
{
	my ($when) = @_;
	foreach my $queue (@queues)
	{
		foreach my $claim ("dequeue('$queue', $each)", "take('$queue', $each)")
		{
			is($node->sql("BEGIN; SELECT count(*) FROM jobq.$claim; ROLLBACK"),
				'0', "$when: $claim gets no job");
		}
	}
	is($node->sql("BEGIN; SELECT count(*) FROM jobq.dequeue('client'); ROLLBACK"),
		'1', "$when: a queue without a handler is served");
	return;
}

dismiss_coordinator($node);
chmod(0500, $notes) || die "chmod: $!\n";
foreach my $queue (@queues)
{
	my $workers = "FROM jobq.workers WHERE queue = '$queue'";
	$node->sql("SELECT pg_terminate_backend(pid) $workers");
	poll_ok(
		$node,
		"SELECT count(*) $workers",
		"the executor of queue $queue is terminated",
		expected => '0');
}
none_is_claimed('without a coordinator');

# A session locks the rows, so that the coordinator cannot count them.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM jobq_store.job FOR UPDATE');
$node->sql('INSERT INTO go_on VALUES (true)');
$node->sql('ALTER SYSTEM RESET jobq.databases');
$node->reload;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.health WHERE severity = 'critical' AND topic = 'unrecorded'},
	'health says that no jobs are started',
	expected => '1');
$holder->query_safe('ROLLBACK');
$holder->quit;
none_is_claimed('while the coordinator counts');
poll_ok(
	$node,
	q{SELECT string_agg(queue || ' ' || state || ' ' || n, ', ' ORDER BY queue)
		FROM (SELECT queue, state, count(*) AS n FROM jobq.jobs WHERE queue <> 'client'
		GROUP BY 1, 2) AS j},
	'the coordinator counts all attempts',
	expected => join(', ', map { "$_ dead $each" } @queues));
chmod(0700, $notes) || die "chmod: $!\n";
is( $node->sql(q{SELECT outcome, count(*), count(DISTINCT job_id) FROM jobq.attempts GROUP BY 1}),
	join('|', 'crashed', $all, $all),
	'each job has one attempt');
is($node->sql('SELECT last_value FROM begun'), $all, 'none was run again');

$node->sql("SELECT jobq.enqueue('a')");
all_jobs_run($node, 'then jobs are started again', "queue <> 'client'");
is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'unrecorded'}),
	'0', 'health says nothing any more');

done_testing();
