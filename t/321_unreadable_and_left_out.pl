# t/321_unreadable_and_left_out.pl: executors were terminated in more jobs than shared memory
# has room for, and the files that tell of the others cannot be read for a while.

use strict;
use warnings;

use JobqNotes;
use JobqTest;
use Test::More;

plan skip_all => 'a superuser of the system may read everything' if $> == 0;

# Shared memory has room for 1024 attempts (JOBQ_MAX_TERMINATIONS).
my @queues = qw(a b c);
my $each = 500;
my $all = @queues * $each;
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 4', 'jobq.log_jobs = none' ]);
my $directory = $node->data_dir . '/pg_jobq';

$node->sql(
	q{CREATE TABLE let_go (yes bool);
	CREATE FUNCTION waits() RETURNS void LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT EXISTS (SELECT FROM let_go) LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('other', 'waits()');
	SELECT jobq.create_queue('clients')});
run_batches($node, $each, @queues);
$node->sql(q{SELECT jobq.enqueue('other')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.workers WHERE queue = 'other'},
	'another job runs',
	expected => '1');
my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
kill('STOP', $coordinator);
# One after another: of the last queue, most find no room.
terminate_workers($node, @queues);

chmod(0, $directory) or die "chmod: $!\n";
none_is_claimed($node, 'while the coordinator is stopped', 'c');
is( $node->sql(
		q{SELECT jobq.enqueue('clients') > 0;
	SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('clients')}),
	"t\n1",
	'a queue of clients is served');

# An executor looks for its next job.
my $id = $node->sql(q{SELECT jobq.enqueue('other')});
$node->sql('INSERT INTO go_on VALUES (true); INSERT INTO let_go VALUES (true)');
my $held = q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
	AND severity = 'critical' AND message LIKE '%cannot be read%Permission denied%')};
poll_ok($node, $held, 'an executor finds that notes cannot be read: health says so');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE state = 'completed' AND queue = 'other'},
	'its last job is completed',
	expected => '1');
none_is_claimed($node, 'health says so', 'c');
kill('CONT', $coordinator);
coordinator_comes_round($node, 'the coordinator has tried again');
none_is_claimed($node, 'with a coordinator', 'c');
is($node->sql($held), 't', 'health goes on saying so');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'ready', 'no job is started');

chmod(0700, $directory) or die "chmod: $!\n";
poll_ok(
	$node,
	q{SELECT count(*), count(DISTINCT job_id) FROM jobq.attempts WHERE outcome = 'crashed'},
	'all attempts are counted when the files can be read',
	expected => "$all|$all");
poll_ok(
	$node,
	q{SELECT string_agg(queue || ' ' || state || ' ' || n, ', ' ORDER BY queue)
		FROM (SELECT queue, state, count(*) AS n FROM jobq.jobs WHERE queue <> 'expires'
		GROUP BY 1, 2) AS j},
	'jobs are run again',
	expected => "a dead $each, b dead $each, c dead $each, clients completed 1, other completed 2");
is($node->sql('SELECT last_value FROM begun'), $all, 'none was run twice');
poll_ok(
	$node,
	q{SELECT NOT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded')},
	'the finding of health is gone');

$node->stop;
done_testing();
