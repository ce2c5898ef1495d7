# t/273_limits_without_room.pl: queues with limits for which shared memory has no room
# start no job, and say so; they start them when there is room.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		'jobq.shared_memory = 1MB',
		'jobq.worker_idle_timeout = 1s',
		'log_statement = none'
	]);
$node->create_clock;

# Other queues take all the room.
$node->sql(
	q{
	SELECT count(jobq.create_queue('m' || i)) FROM generate_series(1, 5000) AS i;
	CREATE TABLE ran (queue text);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql
		AS 'INSERT INTO ran VALUES (j.queue)';
	SELECT jobq.create_limit('l', max_running => 2);
	SELECT jobq.create_queue('plain'), jobq.create_queue('plain_sql', 'work(jobq.job)'),
		jobq.create_queue('running', max_running => 5),
		jobq.create_queue('rate', rate_limit => 5, rate_period => '1 min'),
		jobq.create_queue('shared', shared_limit => 'l'),
		jobq.create_queue('groups', max_running_per_group => 1),
		jobq.create_queue('running_sql', 'work(jobq.job)', max_running => 1),
		jobq.create_queue('rate_sql', 'work(jobq.job)', rate_limit => 5, rate_period => '1 min')});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
		WHERE q.name !~ '^m\d'}),
	'0',
	'the queues have no room in shared memory');
my @limited = ('running', 'rate', 'shared', 'groups');
$node->sql("SELECT jobq.enqueue('$_', group_key => 'a'), jobq.enqueue('$_', group_key => 'b')")
  foreach (@limited);

# Claims from outside. The session is the same when there is room later.
my $session = start_session($node, verbosity => 'verbose');
my $no_room = qr/^ERROR:  53200: no shared memory left for queue "\w+", which has a limit\n/;
foreach my $queue (@limited)
{
	like(ask($session, "SELECT id FROM jobq.dequeue('$queue')"), $no_room, "$queue: dequeue");
	like(ask($session, "SELECT id FROM jobq.take('$queue')"), $no_room, "$queue: take");
	like(ask($session, "SELECT id FROM jobq.next('$queue', NULL, NULL)"), $no_room, "$queue: next");
	$node->sql("SELECT jobq.pause('$queue')");
	is(ask($session, "SELECT id FROM jobq.dequeue('$queue')"), '',
		"$queue: not while it is paused");
	$node->sql("SELECT jobq.resume('$queue')");
}

# A limit is in no other queue's way, and no job's that it is not about.
my $any = q{SELECT queue FROM jobq.dequeue_any('{running,plain}', lease => '1 h')};
$node->sql(q{SELECT jobq.enqueue('plain')});
is(ask($session, $any), "plain\n", 'dequeue_any gives the job of another queue');
like(ask($session, $any), $no_room, 'or an error if there is none');
$node->sql(q{SELECT jobq.enqueue('groups')});
is(ask($session, q{SELECT group_key IS NULL FROM jobq.dequeue('groups')}),
	"t\n", 'a job without a group');

# next() raises no error that would take back what it completes.
ask($session, q{SELECT jobq.alter_queue('plain', max_running => 1)});
is( ask($session,
		q{SELECT count(n.*) FROM jobq_store.job AS j JOIN jobq_store.queue AS q
			ON q.id = j.queue AND q.name = 'plain', jobq.next('plain', ARRAY[j.id], j.lease) AS n
			WHERE j.state = 1}),
	"0\n",
	'next completes a job');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'plain' AND state = 'running'}),
	'0', 'it is completed');

# Executors do not try in vain all the time.
$node->sql("SELECT jobq.enqueue('$_')") foreach ('running_sql', 'rate_sql', 'plain_sql');
poll_ok($node, 'SELECT queue FROM ran', 'one without a limit runs', expected => 'plain_sql');
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'},
	'executors find nothing more to do',
	expected => '0');

# What jobq.health says, at once and when the jobs have waited for some time.
like(
	$node->sql(q{SELECT message FROM jobq.health WHERE topic = 'shared memory'}),
	qr/no room for \d+ queues.*; 7 of them have limits, and start no job that is limited/,
	'health says how many have limits');
$node->advance_clock('6 min');
my $health = $node->sql(
	q{SELECT object, topic, substring(message FROM '^jobs are waiting, and (.*)') FROM jobq.health
		WHERE severity = 'warning' AND object IN (SELECT name FROM jobq_store.queue)
		ORDER BY object COLLATE "C"});
my $why = 'is started: shared memory has no room for the queue';
is( $health,
	join("\n",
		"groups|max_running|none with a group $why",
		"rate|rate|none ${why}'s rate",
		"rate_sql|rate|none ${why}'s rate",
		"running|max_running|none $why, which has a limit",
		"running_sql|max_running|none $why, which has a limit",
		"shared|max_running|none $why, which has a limit"),
	'health says why no job starts');

# There is room.
$node->sql(q{SELECT count(jobq.drop_queue('m' || i)) FROM generate_series(1, 5000) AS i});
foreach my $queue (@limited)
{
	ok( poll_until(
			sub {
				ask($session, "SELECT count(*) FROM jobq.dequeue('$queue', lease => '1 h')") eq
				  "1\n";
			}),
		"$queue: a job starts when there is room");
}
end_session($session);
poll_ok(
	$node,
	'SELECT count(*) FROM ran WHERE queue ~ $$_sql$$',
	'executors run jobs when there is room',
	expected => '3');
limits_settled($node, 'at the end');

# Running jobs that have not been counted, for lack of a coordinator.
$node->append_conf('postgresql.conf', 'jobq.enabled = off');
$node->restart;
$node->sql(
	q{SELECT jobq.alter_queue('shared', max_running => 5);
	SELECT jobq.enqueue('shared')});
$node->advance_clock('6 min');
$health = q{SELECT severity, substring(message FROM '^jobs are waiting, and (.*)')
	FROM jobq.health WHERE object = 'shared'};
is( $node->sql($health),
	'warning|none is started: running jobs could not be counted for max_running of the limit "l"',
	'the jobs of a shared limit have not been counted');
$node->sql(q{SELECT jobq.alter_queue('shared', max_running => 0)});
is( $node->sql($health),
	q{warning|the queue's max_running is 0},
	'health names what does not end by itself first');

$node->stop;
done_testing();
