# t/230_revived.pl: a request to cancel a job, left over when the job has ended
# all the same, does not cancel the job when it is revived at once.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.worker_idle_timeout = 1h' ]);
$node->sql(
	q{
	CREATE TABLE gate (attempt int);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN
			WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
		END$$;
	SELECT jobq.create_queue('q', 'work(jobq.job)', max_attempts => 1),
		jobq.create_queue('control')});
my $id = $node->sql("SELECT jobq.enqueue('q')");
my $runs = "SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $id";
poll_ok($node, $runs, 'a job runs');

# The request is left to the coordinator, which does not see it in time.
my $coordinator = $node->sql(q{SELECT pid FROM jobq.workers WHERE kind = 'coordinator'});
kill('STOP', $coordinator);
END { kill('CONT', $coordinator) if $coordinator; }
is($node->sql("SELECT jobq.cancel($id)"), 't', 'it is to be cancelled');
$node->sql('INSERT INTO gate VALUES (1)');
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id", 'it has succeeded');
is($node->sql('SELECT count(*) FROM jobq_store.cancel_request'), '1', 'the request is left');
is($node->sql("DELETE FROM gate; SELECT jobq.retry($id)"), $id, 'the job is revived');
poll_ok($node, $runs, 'it runs again');

# A delayed job shows that the coordinator has gone through its tasks.
my $control = $node->sql("SELECT jobq.enqueue('control', ttl => '1 ms')");
kill('CONT', $coordinator);
$coordinator = 0;
poll_ok(
	$node,
	"SELECT state = 'expired' FROM jobq.jobs WHERE id = $control",
	'the coordinator works again');
my $other = $node->sql("SELECT jobq.enqueue('control', ttl => '1 ms')");
poll_ok(
	$node,
	"SELECT state = 'expired' FROM jobq.jobs WHERE id = $other",
	'it has gone through its tasks once more');
$node->sql('INSERT INTO gate VALUES (2)');
poll_ok($node, "SELECT state IN ('completed', 'cancelled') FROM jobq.jobs WHERE id = $id",
	'the job ends');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'completed', 'it is completed');

$node->stop;
done_testing();
