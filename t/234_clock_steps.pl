# t/234_clock_steps.pl: a step of the clock is not taken for work of the
# coordinator, which would have it rest for many times as long.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'jobq.sweep_interval = 0' ]);
$node->create_clock;
$node->sql(q{SELECT jobq.create_queue('q'), jobq.create_queue('few', keep_completed_count => 1)});

# Waits until the coordinator waits for a lock of that kind.
sub is_held_up
{
	my ($kind, $name) = @_;
	return poll_ok(
		$node,
		qq{SELECT count(*) = 1 FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
			WHERE NOT l.granted AND l.locktype = '$kind' AND a.backend_type = 'jobq coordinator'},
		"$name: the coordinator is held up");
}

my $holder = start_session($node);

# ------------------------------------------------------------- times to live

# Jobs with a payload of true wait on their way to history.
$node->sql(
	q{CREATE FUNCTION waits(jsonb) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
		IF $1 = 'true' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN true; END$$});
$node->sql("CREATE INDEX waits_$_ ON jobq_store.history_$_ (waits(payload))") foreach 0 .. 7;
my $locked = $node->sql(q{SELECT jobq.enqueue('q', ttl => '1 min')});
my $waits = $node->sql(q{SELECT jobq.enqueue('q', 'true', ttl => '1 min')});
ask($holder, 'SELECT pg_advisory_lock(1)');
ask($holder, "BEGIN; SELECT FROM jobq_store.job WHERE id = $locked FOR UPDATE");
$node->advance_clock('2 min');
is_held_up('advisory', 'times to live');
$node->advance_clock('1 hour');
ask($holder, 'SELECT pg_advisory_unlock(1)');
poll_ok($node, "SELECT state = 'expired' FROM jobq.jobs WHERE id = $waits", 'a job expires');
ask($holder, 'ROLLBACK');
poll_ok(
	$node,
	"SELECT state = 'expired' FROM jobq.jobs WHERE id = $locked",
	'one that was locked expires soon after that');
$node->sql("DROP INDEX jobq_store.waits_$_") foreach 0 .. 7;

# ---------------------------------------------------------- limits by number

sub complete_two
{
	return $node->sql(
		q{SELECT count(jobq.enqueue('few')) FROM generate_series(1, 2);
		SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('few', 2)});
}

complete_two();
ask($holder, 'BEGIN; LOCK TABLE jobq_store.history_5');
$node->advance_clock('11 min');
is_held_up('relation', 'limits by number');
$node->advance_clock('1 hour');
ask($holder, 'ROLLBACK');
my $kept = q{SELECT count(*) FROM jobq.jobs WHERE queue = 'few'};
poll_ok($node, $kept, 'jobs beyond the limit are deleted', expected => '1');
complete_two();
$node->advance_clock('11 min');
poll_ok($node, $kept, 'so are others soon after that', expected => '1');

end_session($holder);
$node->stop;
done_testing();
