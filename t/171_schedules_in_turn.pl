# t/171_schedules_in_turn.pl: owners of schedules take turns: however many, or
# however long ones, one role has due, those of other roles are fired first of
# all; jobq.health names a role that has more than can be fired.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['autovacuum = off']);
$node->create_clock;
wait_for_worker($node, 'jobq coordinator');

$node->sql(
	q{
	CREATE ROLE bob LOGIN; CREATE ROLE mallory LOGIN;
	CREATE ROLE m1 LOGIN; CREATE ROLE m2 LOGIN; CREATE ROLE m3 LOGIN; CREATE ROLE m4 LOGIN;
	CREATE ROLE m5 LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{bob,mallory,m1,m2,m3,m4,m5}'::regrole[]) AS r;
	SELECT jobq.create_queue('q_' || r, owner => r::regrole)
		FROM unnest('{bob,mallory,m1,m2,m3,m4,m5}'::text[]) AS r;
});

# schedule($role, $n, $cron, $options): $n schedules of a role, with its name
# and a number.
sub schedule
{
	my ($role, $n, $cron, $options) = @_;
	$options = $options ? ", $options" : '';
	return $node->sql(
		"SET ROLE $role;
		SELECT count(jobq.schedule('$role' || i, '$cron', queue => 'q_$role',
			overlap => 'allow'$options)) FROM generate_series(1, $n) AS i"
	);
}

sub unschedule
{
	return $node->sql('SELECT count(jobq.unschedule(name)) FROM jobq.schedules');
}

# All that is due tomorrow becomes due at once; returns how many schedules whose
# names match were fired in batches before the one of bob1.
sub fired_before_bob
{
	my ($pattern) = @_;
	$node->sql('SELECT jobq.stop()');
	$node->advance_clock('2 days');
	$node->sql('SELECT jobq.start()');
	poll_query($node, 'SELECT bool_and(runs > 0) FROM jobq.schedules');
	return $node->sql(
		"WITH r AS (SELECT s.name, r.fired_at, r.xmin AS batch FROM jobq_store.schedule_run AS r
				JOIN jobq_store.schedule AS s ON s.id = r.schedule WHERE outcome = 'enqueued')
		SELECT count(*) FROM r, r AS bob WHERE bob.name = 'bob1' AND r.name ~ '$pattern'
			AND r.fired_at < bob.fired_at AND r.batch <> bob.batch"
	);
}

# ------------------------------------------------------------------- by number

schedule('mallory', 3000, '0 0 * * *');
schedule('bob', 1, '1 0 * * *');
is(fired_before_bob('^mallory'), 0, 'the only schedule of a role is in the first batch');
is($node->sql("SELECT count(*) FROM jobq.schedules WHERE name ~ '^mallory' AND runs = 1"),
	3000, 'all of the other role\'s run once');

# Most owners have one: no index on times leads to them within a batch
unschedule();
schedule('mallory', 3000, '0 0 * * *');
schedule('bob', 300, '1 0 * * *');
schedule('m1', 1, '2 0 * * *');
schedule('m2', 100, '3 0 * * *');
is(fired_before_bob('.'), 0, 'each owner is in the first batch');
is( $node->sql(
		"SELECT count(DISTINCT r.xmin::text) FROM jobq_store.schedule_run AS r
			JOIN jobq_store.schedule AS s ON s.id = r.schedule WHERE s.name ~ '^(bob1\$|m1|m2)'"
	),
	1,
	'with all that it has, if that is less than its share');
is($node->sql('SELECT count(*) FROM jobq.schedules WHERE runs <> 1'), 0, 'each runs once');

# --------------------------------------------------------------------- by size

unschedule();
schedule("m$_", 8, '0 0 * * *', qq{payload => jsonb_build_object('x', repeat('x', 700000))})
  foreach (1 .. 5);
schedule('bob', 1, '1 0 * * *');
is(fired_before_bob('.'), 0, 'long payloads do not hold up those of others');
is($node->sql('SELECT count(*) FROM jobq.schedules WHERE runs <> 1'), 0, 'each of them runs once');

# ----------------------------------------- missed runs, and more than can be fired

unschedule();
$node->sql("SELECT jobq.grant_queue('q_mallory', 'bob', 'read')");
schedule('mallory', 20, '* * * * * *', "missed => 'all'");
$node->sql(
	"SELECT count(jobq.alter_schedule(name, catch_up_window => '3 days'))
	FROM jobq.schedules");
schedule('bob', 1, '1 0 * * *');
is($node->sql("SELECT count(*) FROM jobq.health WHERE message ~ 'more schedules due'"),
	0, 'nobody is behind');
$node->advance_clock('2 days');
poll_ok(
	$node,
	"SELECT runs > 0 FROM jobq.schedules WHERE name = 'bob1'",
	'missed runs do not hold up those of others');
cmp_ok($node->sql("SELECT sum(runs) FROM jobq.schedules WHERE name ~ '^mallory'"),
	'<', 20 * 86400, 'there are many of these');
$node->advance_clock('10 s');
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.health WHERE topic = 'late' AND severity = 'warning'
		AND object = 'firing schedules'
		AND message = 'role "mallory" has more schedules due than can be fired in time'},
	'jobq.health names the role');
is( $node->sql(
		q{SET ROLE bob; SELECT message FROM jobq.health WHERE message ~ 'more schedules due'}),
	'a role has more schedules due than can be fired in time',
	'to those who may see its sessions');
unschedule();
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq.health WHERE topic = 'late'",
	'the role is not named when it has none');

# ----------------------------------------- what waits for jobs is not forgotten

$node->sql(
	"SELECT jobq.create_queue('w_' || r, owner => r::regrole)
		FROM unnest('{bob,mallory}'::text[]) AS r;
	SET ROLE mallory;
	SELECT count(jobq.schedule('mallory' || i, '* * * * * *', queue => 'w_mallory',
		overlap => 'queue')) FROM generate_series(1, 1200) AS i;
	RESET ROLE; SET ROLE bob;
	SELECT jobq.schedule('bob1', '* * * * * *', queue => 'w_bob', overlap => 'queue')"
);
poll_ok($node, 'SELECT bool_and(runs = 1) FROM jobq.schedules', 'all have run once');
$node->advance_clock('1 min');
foreach my $runs (2 .. 4)
{
	$node->sql(
		'SET ROLE bob; SELECT count(jobq.complete(id, lease))
		FROM jobq.dequeue(\'w_bob\', 10)');
	poll_ok(
		$node,
		"SELECT runs = $runs FROM jobq.schedules WHERE name = 'bob1'",
		"run $runs comes when the previous one's job has ended",
		seconds => 20);
}
is($node->sql("SELECT count(*) FROM jobq.schedules WHERE name ~ '^mallory' AND runs <> 1"),
	0, 'of this schedule');
$node->sql(
	'SET ROLE mallory; SELECT count(jobq.complete(id, lease))
	FROM jobq.dequeue(\'w_mallory\', 1200)');
poll_ok(
	$node,
	'SELECT bool_and(runs >= 2) FROM jobq.schedules',
	'all of the others run, too',
	seconds => 30);

$node->stop;
done_testing();
