# t/172_locked_by_others.pl: a role that keeps tens of thousands of its own due
# rows locked puts off those only: schedules, leases and times to live of another
# role, locked for a moment, are done soon after that. jobq.health reports
# nobody in the way who is not.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time);

my $n = 20_000;

# Seconds, where the machine has much else to do. If put off together with the other
# role's it takes up to 30.
my $soon = 15;

my $node = jobq_node('main', conf => ['autovacuum = off']);
$node->create_clock;
my $coordinator = wait_for_worker($node, 'jobq coordinator');

$node->sql(
	q{
	CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{mallory,bob}'::regrole[]) AS r;
	SET ROLE mallory;
	SELECT jobq.create_queue('m_sched'), jobq.create_queue('m_lease'), jobq.create_queue('m_ttl');
	RESET ROLE; SET ROLE bob;
	SELECT jobq.create_queue('b_sched'), jobq.create_queue('b_lease'), jobq.create_queue('b_ttl');
	SELECT jobq.schedule(s, '* * * * * *', queue => 'b_sched', overlap => 'allow')
		FROM unnest('{locked,free}'::text[]) AS s;
});

sub runs
{
	my ($schedule) = @_;
	return $node->sql("SELECT runs + missed_runs FROM jobq.schedules WHERE name = '$schedule'");
}

# ------------------------------------------------------ mallory locks what is due

my $mallory = $node->background_psql('postgres', on_error_stop => 1);
$mallory->query_safe(
	qq{SET ROLE mallory;
	SELECT count(jobq.schedule('m' || i, '* * * * * *', queue => 'm_sched'))
		FROM generate_series(1, $n) AS i;
	SELECT count(*) FROM generate_series(1, $n / 5000) AS i,
		LATERAL jobq.enqueue_many('m_lease', array_fill('{}'::jsonb, ARRAY[5000 + i - i]));
	SELECT count(*) FROM generate_series(1, $n / 5000) AS i,
		LATERAL jobq.enqueue_many('m_ttl', array_fill('{}'::jsonb, ARRAY[5000 + i - i]),
			ttl => '1 hour');
	CREATE TEMP TABLE l AS SELECT id, lease FROM generate_series(1, $n / 5000) AS i,
		LATERAL jobq.dequeue('m_lease', 5000 + i - i, '1 hour')});
$mallory->query_safe('BEGIN');
$mallory->query_safe('SELECT count(jobq.heartbeat(id, lease)) FROM l');
$mallory->query_safe("SELECT count(jobq.set_priority(id, 5)) FROM jobq.jobs WHERE queue = 'm_ttl'");
$mallory->query_safe(
	"SELECT count(jobq.alter_schedule(name, max_runs => 1000000)) FROM jobq.schedules
		WHERE name LIKE 'm%'"
);
$node->advance_clock('1 hour');
poll_ok(
	$node, "SELECT count(*) = 3 FROM jobq.health WHERE topic = 'late'
		AND object IN ('firing schedules', 'ending leases', 'expiring jobs')
		AND message ~ 'pid .*role \"postgres\"'",
	'many rows are due and locked');

# ------------------------------------- bob locks what becomes due, for a moment

my $lease = $node->sql("SET ROLE bob; SELECT jobq.enqueue('b_lease', max_attempts => 9)");
my ($number) = $node->sql("SET ROLE bob; SELECT lease FROM jobq.dequeue('b_lease', 1, '1 min')");
my $ttl = $node->sql("SET ROLE bob; SELECT jobq.enqueue('b_ttl', ttl => '1 min')");
my $bob = $node->background_psql('postgres', on_error_stop => 1);
$bob->query_safe('SET ROLE bob');
$bob->query_safe('BEGIN');
$bob->query_safe("SELECT jobq.run_schedule('locked')");
$bob->query_safe("SELECT jobq.heartbeat($lease, $number, '1 min')");
$bob->query_safe("SELECT jobq.set_priority($ttl, 5)");
$node->advance_clock('1 min');

# his other work goes on; the time is for the coordinator's next looks
my $before = runs('locked');
my $used = process_cpu($coordinator);
my $began = time();
my $runs = $node->sql(q{SELECT runs + 5 FROM jobq.schedules WHERE name = 'free'});
poll_ok(
	$node,
	"SELECT runs >= $runs FROM jobq.schedules WHERE name = 'free'",
	'other schedules of his run');
my $share = (process_cpu($coordinator) - $used) / (time() - $began);
cmp_ok($share, '<', 0.4, 'the coordinator is at rest');
is(runs('locked'), $before, 'one that is locked does not');

$bob->query_safe('ROLLBACK');
$bob->quit;
my $end = time() + $soon;
foreach my $check (
	[
		'schedule runs',
		"SELECT runs + missed_runs > $before FROM jobq.schedules WHERE name = 'locked'"
	],
	[ 'lease ends', "SELECT state = 'ready' FROM jobq.jobs WHERE id = $lease" ],
	[ 'job expires', "SELECT state = 'expired' FROM jobq.jobs WHERE id = $ttl" ])
{
	my ($what, $sql) = @$check;
	poll_ok(
		$node, $sql,
		"his $what soon after the lock is gone",
		seconds => $end > time() ? $end - time() : 0);
}

# ---------------------------------------------------- nobody is in the way any more

$mallory->query_safe('ROLLBACK');
$mallory->query_safe(
	"BEGIN; SELECT count(jobq.unschedule(name)) FROM jobq.schedules WHERE name LIKE 'm%'");
poll_ok(
	$node, "SELECT count(*) = 1 FROM jobq.health WHERE topic = 'late'
		AND object = 'firing schedules' AND message ~ 'transaction'",
	'a transaction that removes many schedules is in the way');
$mallory->query_safe('COMMIT');
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq.health WHERE topic = 'late' AND message ~ 'in the way'",
	'it is not reported when it has ended',
	seconds => 15);
$mallory->quit;

$node->stop;
done_testing();
