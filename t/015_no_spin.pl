# t/015_no_spin.pl: thousands of rows that a task of the coordinator finds and
# cannot change: the coordinator still rests, and other work is done in time.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use Test::More;
use Time::HiRes qw(sleep);

my $n = 3000;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'max_prepared_transactions = 2' ]);
$node->create_clock;
my $coordinator = wait_for_worker($node, 'jobq coordinator');

# The coordinator has little to do, over some time in which it is woken.
sub rests
{
	my ($state) = @_;
	rests_ok(
		$coordinator,
		0.2,
		"$state: the coordinator is at rest",
		sub {
			foreach my $i (1 .. 5)
			{
				$node->sql("SELECT jobq.enqueue('done', delay => '50 ms')");
				sleep(0.2);
			}
		});
	return;
}

sub both
{
	my ($state) = @_;
	coordinator_on_time($node, "$state: others are on time", 'ext', 'rest');
	rests($state);
	return;
}

# holding($state, $setup, $hold): the same while a session has done something
# and not committed it.
sub holding
{
	my ($state, $hold) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	$session->query_safe("BEGIN");
	$session->query_safe($hold);
	$node->advance_clock('2 min');
	both($state);
	$session->query_safe("ROLLBACK");
	$session->quit;
	return;
}

$node->sql(
	q{
	CREATE FUNCTION done() RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('done', 'done()');
	SELECT jobq.create_queue('ext', max_attempts => 100);
	SELECT jobq.create_queue('rest');
	SELECT jobq.schedule('tick', '* * * * * *', queue => 'done');
});
foreach my $queue (qw(started leased busy lost foreign over cancelled paused))
{
	$node->sql("SELECT jobq.create_queue('$queue')");
}
both('nothing special');

# Times to live
$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('started', array_fill('{}'::jsonb, ARRAY[$n]),
		ttl => '1 min')"
);
$node->sql(
	"SELECT count(jobq.fail(id, lease, 'x', retry_in => '1 hour'))
		FROM jobq.dequeue('started'::text, $n, '1 min')"
);
$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('leased', array_fill('{}'::jsonb, ARRAY[$n]),
		ttl => '1 min')"
);
$node->sql("SELECT count(*) FROM jobq.dequeue('leased'::text, $n, '1 day')");
$node->advance_clock('2 min');
both('jobs past their time to live that were started');

$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('busy', array_fill('{}'::jsonb, ARRAY[$n]),
		ttl => '1 min')"
);
holding('jobs past their time to live that are locked',
	"SELECT count(jobq.set_priority(id, 1)) FROM jobq.jobs WHERE queue = 'busy'");
poll_ok(
	$node,
	"SELECT count(*) = $n FROM jobq.jobs WHERE queue = 'busy' AND state = 'expired'",
	'locked jobs expire when they are free');

# Leases
$node->sql("SELECT count(*) FROM jobq.enqueue_many('over', array_fill('{}'::jsonb, ARRAY[$n]))");
$node->sql("CREATE TABLE held AS SELECT id, lease FROM jobq.dequeue('over'::text, $n, '1 min')");
holding(
	'leases that are over, and their jobs locked',
	"SELECT count(jobq.complete(id, lease)) FROM held");
poll_ok(
	$node,
	"SELECT count(*) = $n FROM jobq.jobs WHERE queue = 'over' AND state = 'ready'",
	'leases of locked jobs end when the jobs are free');

# Requests to cancel
$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('cancelled', array_fill('{}'::jsonb, ARRAY[$n]))");
{
	my $session = $node->background_psql('postgres', on_error_stop => 1);
	$session->query_safe("BEGIN");
	$session->query_safe(
		"SELECT count(jobq.set_priority(id, 1)) FROM jobq.jobs WHERE queue = 'cancelled'");
	is( $node->sql(
			"SELECT count(*) FILTER (WHERE jobq.cancel(id)) FROM jobq.jobs
				WHERE queue = 'cancelled'"
		),
		$n,
		'many jobs are to be cancelled that are locked');
	both('requests to cancel jobs that are locked');
	$session->query_safe("ROLLBACK");
	$session->quit;
}
poll_ok(
	$node,
	"SELECT count(*) = $n FROM jobq.jobs WHERE queue = 'cancelled' AND state = 'cancelled'",
	'locked jobs are cancelled when they are free');

# Schedules
$node->sql(
	"SELECT count(jobq.schedule('s' || i, '* * * * * *', queue => 'rest', overlap => 'skip'))
	FROM generate_series(1, 500) AS i");
holding('schedules that are due, and locked',
	"SELECT count(jobq.enable_schedule('s' || i, false)) FROM generate_series(1, 500) AS i");
$node->sql("SELECT count(jobq.unschedule('s' || i)) FROM generate_series(1, 500) AS i");

# Delayed jobs of a queue at rest
$node->sql("SELECT jobq.pause('paused')");
$node->sql(
	"SELECT count(*) FROM jobq.enqueue_many('paused', array_fill('{}'::jsonb, ARRAY[$n]),
		delay => '1 min')"
);
$node->advance_clock('2 min');
both('delayed jobs of a paused queue');

# Jobs whose queue is gone, or belongs to another database
foreach my $queue (qw(lost foreign))
{
	$node->sql(
		"SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('{}'::jsonb, ARRAY[$n]),
			ttl => '1 min')"
	);
	$node->sql(
		"SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('{}'::jsonb, ARRAY[$n]),
			priority => -1)"
	);
	$node->sql("SELECT count(*) FROM jobq.dequeue('$queue'::text, $n, '1 min')");
}
# by hand; the commit of start() has it noticed
$node->sql(
	q{
	BEGIN;
	SELECT jobq.start();
	DELETE FROM jobq_store.queue WHERE name = 'lost';
	UPDATE jobq_store.queue SET system_identifier = 1 WHERE name = 'foreign';
	COMMIT;
});
$node->advance_clock('2 min');
both('jobs of queues that are gone or elsewhere');
is( $node->sql(
		"SELECT count(*) FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name = 'foreign'"),
	2 * $n,
	'jobs of queues that are gone or elsewhere are left alone');

# It was one and the same process all the time
is(wait_for_worker($node, 'jobq coordinator'), $coordinator, 'nothing has ended the coordinator');
is(join("\n", unexpected_log_lines($node, 0)), '', 'the log has no warnings');

$node->stop;
done_testing();
