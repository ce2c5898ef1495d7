# t/327_attempts_without_files.pl: executors are terminated in more jobs than shared memory
# has room for, while no file can be made: none of the jobs gets another attempt.

use strict;
use warnings;

use JobqNotes;
use JobqTest;
use Test::More;

plan skip_all => 'a superuser of the system may write everything' if $> == 0;

# Shared memory has room for 1024 attempts (JOBQ_MAX_TERMINATIONS).
my @queues = qw(a b c d);
my $each = 400;
my $all = @queues * $each;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 6', 'jobq.log_jobs = none' ]);
my $notes = $node->data_dir . '/pg_jobq';

$node->sql(q{SELECT jobq.create_queue('client'); SELECT jobq.enqueue('client')});
run_batches($node, $each, @queues);

sub none_of_workers_is_claimed
{
	my ($when) = @_;
	none_is_claimed($node, $when, @queues);
	is($node->sql("BEGIN; SELECT count(*) FROM jobq.dequeue('client'); ROLLBACK"),
		'1', "$when: a queue without a handler is served");
	return;
}

dismiss_coordinator($node);
chmod(0500, $notes) || die "chmod: $!\n";
terminate_workers($node, @queues);
none_of_workers_is_claimed('without a coordinator');
like(
	sql_error($node, "SELECT jobq.retry(id) FROM jobq.jobs WHERE queue = 'd' AND jobq.cancel(id)"),
	qr/55000: .*cannot be revived yet.*cannot be read or copied: Permission denied/s,
	'retry() is refused');

# A session locks the rows, so that the coordinator cannot count them.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM jobq_store.job FOR UPDATE');
$node->sql('INSERT INTO go_on VALUES (true)');
$node->sql('ALTER SYSTEM RESET jobq.databases');
$node->reload;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.health WHERE severity = 'critical' AND topic = 'unrecorded'
		AND message ~ 'are not counted yet, and cannot be noted in .*Permission denied'},
	'health says that no jobs are started',
	expected => '1');
$holder->query_safe('ROLLBACK');
$holder->quit;
none_of_workers_is_claimed('while the coordinator counts');
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
