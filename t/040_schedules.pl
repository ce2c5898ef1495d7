# t/040_schedules.pl: when schedules fire: on time, after downtime, while the
# previous run is not finished, with bad ones among them, across crashes. The
# clock is jobq's virtual one; nothing here waits for real minutes.

use strict;
use warnings;

use JobqSchedules;
use JobqTest;
use Test::More;
use Time::HiRes qw(time);

my $node = jobq_node('main', conf => ['max_prepared_transactions = 10']);
$node->create_clock;

# set_clock($time): moves jobq's clock to that time (UTC), and waits until the
# coordinator has looked at all that is due then: "tick" fires every second,
# and what else is due is done in the same batch, or before it.
sub set_clock
{
	my ($time) = @_;
	$node->set_clock_forward($time);
	poll_query(
		$node,
		"SELECT coalesce(last_run >= '$time', false) FROM jobq_store.schedule
		 WHERE name = 'tick'") or die "schedule \"tick\" did not fire\n";
	$node->sql("SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'tick'");
	return;
}

# The times of a schedule's jobs, "!" marking those that were caught up.
sub runs
{
	my ($name) = @_;
	return $node->sql(
		"SELECT string_agg(to_char((headers ->> 'scheduled_at')::timestamptz,
						'DD HH24:MI') ||
					CASE WHEN (headers ->> 'caught_up')::boolean THEN '!' ELSE '' END,
					', ' ORDER BY id)
		 FROM jobq_store.job WHERE headers ->> 'schedule' = '$name'");
}

sub column
{
	my ($name, $column) = @_;
	return $node->sql("SELECT $column FROM jobq_store.schedule WHERE name = '$name'");
}

# Every second, so that nothing waits longer for it.
sub start_tick
{
	schedule($node, 'tick', '* * * * * *', q{overlap => 'allow'});
	return;
}

start_tick();
set_clock('2030-01-10 12:00:30');

# on time
schedule($node, 'on_time', '* * * * *', q{overlap => 'allow', payload => '{"a": 1}'});
is(column('on_time', 'next_run'), '2030-01-10 12:01:00+00', 'first run is next');
set_clock('2030-01-10 12:00:40');
is(runs('on_time'), '', 'nothing runs before its time');
set_clock('2030-01-10 12:01:00');
is(runs('on_time'), '10 12:01', 'the schedule runs on time');
set_clock('2030-01-10 12:02:05');
is(runs('on_time'), '10 12:01, 10 12:02', 'the schedule runs on time again');
is( $node->sql(
		"SELECT headers, payload FROM jobq_store.job
		 WHERE headers ->> 'schedule' = 'on_time' ORDER BY id DESC LIMIT 1"),
	'{"previous": "2030-01-10T12:01:00+00:00", "schedule": "on_time", '
	  . '"caught_up": false, "scheduled_at": "2030-01-10T12:02:00+00:00"}|{"a": 1}',
	"the job's headers describe its run");
is( column('on_time', "runs || ' ' || last_run || ' ' || next_run"),
	'2 2030-01-10 12:02:00+00 2030-01-10 12:03:00+00',
	'the schedule shows its last run');
unschedule_all($node);

# missed runs
schedule($node, 'once', '0 * * * *');
schedule($node, 'skip', '0 * * * *', q{missed => 'skip'});
schedule($node, 'all', '0 * * * *', q{missed => 'all'});
schedule($node, 'all_allow', '0 * * * *', q{missed => 'all', overlap => 'allow'});
set_clock('2030-01-10 16:30');
is(runs('once'), '10 16:00!', "missed => 'once': the latest run");
is(runs('skip'), '', "missed => 'skip': no missed run");
is( runs('all'),
	'10 13:00!, 10 14:00!, 10 15:00!, 10 16:00!',
	"missed => 'all': all missed runs, the oldest first");
is(runs('all_allow'), runs('all'), "missed => 'all' does not depend on overlap");
is( $node->sql("SELECT DISTINCT next_run FROM jobq_store.schedule WHERE name <> 'tick'"),
	'2030-01-10 17:00:00+00',
	'all schedules have the same next run afterwards');
set_clock('2030-01-14 17:00:30');
is(runs('once'), '10 16:00!', 'a run is skipped while the previous one is not finished');
is(runs('skip'), '14 17:00', "missed => 'skip': a run that is due is made");
is( $node->sql(
		"SELECT count(*), min((headers ->> 'scheduled_at')::timestamptz)
		 FROM jobq_store.job WHERE headers ->> 'schedule' = 'all_allow'
		 AND (headers ->> 'scheduled_at')::timestamptz > '2030-01-11'"),
	'24|2030-01-13 18:00:00+00',
	"missed => 'all': no run older than a day");
unschedule_all($node);

# a backlog longer than one batch
schedule($node, 'long', '* * * * *', q{missed => 'all', overlap => 'allow'});
set_clock('2030-01-15 03:00:30');
poll_ok(
	$node,
	"SELECT next_run > '2030-01-15 03:00:30' FROM jobq_store.schedule
	 WHERE name = 'long'",
	'a long backlog is done');
is( $node->sql(
		"SELECT count(*), count(DISTINCT headers ->> 'scheduled_at')
		 FROM jobq_store.job WHERE headers ->> 'schedule' = 'long'"),
	'600|600',
	'each missed run is made once');
unschedule_all($node);

# the window, of schedules without their own, is a setting
$node->append_conf('postgresql.conf', "jobq.catch_up_window = '3h'");
$node->reload;
poll_ok($node, 'SHOW jobq.catch_up_window', 'jobq.catch_up_window is set', expected => '3h');
schedule($node, 'window', '0 * * * *', q{missed => 'all', overlap => 'allow'});
set_clock('2030-01-15 11:00:30');
is(runs('window'), '15 09:00!, 15 10:00!, 15 11:00', 'the runs of 3 hours are made up for');
is($node->sql("SELECT missed_runs FROM jobq.schedules WHERE name = 'window'"),
	'5', 'older runs are counted as missed');
unschedule_all($node);
$node->append_conf('postgresql.conf', "jobq.catch_up_window = '1d'");
$node->reload;
poll_ok($node, 'SHOW jobq.catch_up_window', 'jobq.catch_up_window is reset', expected => '1d');


# the previous run is not finished
set_clock('2030-01-15 12:00:30');
foreach my $overlap (qw(skip allow queue cancel))
{
	schedule($node, "o_$overlap", '* * * * *', "overlap => '$overlap'");
}
set_clock('2030-01-15 12:01:05');
set_clock('2030-01-15 12:02:05');
is(runs('o_skip'), '15 12:01', "overlap => 'skip': the run is left out");
is( column('o_skip', "runs || ' ' || next_run"),
	'1 2030-01-15 12:03:00+00',
	'a run that is left out does not count as a run');
is(runs('o_allow'), '15 12:01, 15 12:02', "overlap => 'allow': both run");
is(runs('o_queue'), '15 12:01', "overlap => 'queue': the run waits");
is(runs('o_cancel'), '15 12:02', "overlap => 'cancel': the run replaces the previous one");
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'o_cancel' AND state = 'cancelled'"),
	1, "overlap => 'cancel': the previous run is cancelled");
finish($node, 'o_skip');
finish($node, 'o_queue');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq_store.job
	 WHERE headers ->> 'schedule' = 'o_queue'
	 AND (headers ->> 'scheduled_at')::timestamptz = '2030-01-15 12:02'",
	"overlap => 'queue': the waiting run starts when the previous one is finished");
set_clock('2030-01-15 12:03:05');
set_clock('2030-01-15 12:05:05');
is(runs('o_skip'), '15 12:03', "overlap => 'skip': runs again");
is(runs('o_queue'), '15 12:02', "overlap => 'queue': one run waits");
finish($node, 'o_queue');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq_store.job
	 WHERE headers ->> 'schedule' = 'o_queue'
	 AND (headers ->> 'scheduled_at')::timestamptz = '2030-01-15 12:05'",
	"overlap => 'queue': only one run has waited");
unschedule_all($node);

# missed => 'all' and overlap => 'queue': one after the other
schedule($node, 'in_order', '0 * * * *', q{missed => 'all', overlap => 'queue'});
set_clock('2030-01-15 15:10');
foreach my $hour (13 .. 15)
{
	poll_ok(
		$node,
		"SELECT array_agg((headers ->> 'scheduled_at')::timestamptz)
			= '{2030-01-15 $hour:00+00}'
		 FROM jobq_store.job WHERE headers ->> 'schedule' = 'in_order'",
		"only the run of $hour:00 was made");
	finish($node, 'in_order');
}
unschedule_all($node);

# bounds
schedule($node, 'two', '* * * * *', q{max_runs => 2, overlap => 'allow'});
schedule($node, 'ends', '* * * * *', q{ends_at => '2030-01-15 16:02', overlap => 'allow'});
schedule($node, 'ended', '*/2 * * * *', q{ends_at => '2030-01-15 16:07'});
schedule($node, 'starts', '* * * * *', q{starts_at => '2030-01-15 16:03', overlap => 'allow'});
set_clock('2030-01-15 16:00:05');
set_clock('2030-01-15 16:01:05');
set_clock('2030-01-15 16:02:05');
set_clock('2030-01-15 16:03:05');
is(column('two', "runs || ' ' || enabled || ' ' || next_run"), '2 true infinity', 'max_runs');
is(runs('ends'), '15 16:00, 15 16:01, 15 16:02', 'ends_at is inclusive');
is(column('ends', 'next_run'), 'infinity', 'no run after ends_at');
is(runs('starts'), '15 16:03', 'starts_at is inclusive');
finish($node, 'ended');
set_clock('2030-01-15 17:00');
is(runs('ended'), '15 16:06!', 'a run missed before ends_at is made up for');
unschedule_all($node);

# jitter
schedule($node, "jitter_$_", '0 * * * *', q{jitter => '10 min'}) foreach (1 .. 5);
set_clock('2030-01-15 18:00:00');
is( $node->sql(
		"SELECT count(*), bool_and(run_at BETWEEN '2030-01-15 18:00'
			AND '2030-01-15 18:10'), count(DISTINCT run_at)
		 FROM jobq_store.job WHERE headers ->> 'schedule' LIKE 'jitter%'"),
	'5|t|5',
	'jitter delays each schedule by another time');
is(column('jitter_1', 'next_run'), '2030-01-15 19:00:00+00', 'jitter does not move the next run');
unschedule_all($node);

# bad schedules are disabled, and do not stop the others
$node->sql(
	'CREATE ROLE dropped; CREATE ROLE deprived;
	 SELECT jobq.grant_usage(r, true) FROM unnest(\'{dropped,deprived}\'::regrole[]) AS r');
schedule($node, 'good', '0 * * * *');
foreach my $role (qw(dropped deprived))
{
	$node->sql(
		"SELECT jobq.create_queue('of_$role');
		 SELECT jobq.grant_queue('of_$role', '$role', 'enqueue');
		 SET ROLE $role;
		 SELECT jobq.schedule('of_$role', '0 * * * *', queue => 'of_$role')");
}
schedule($node, 'no_zone', '0 * * * *');
schedule($node, 'no_cron', '0 * * * *');
schedule($node, 'no_queue', '0 * * * *');
schedule($node, 'failing', '0 * * * *');
schedule($node, 'good_too', '0 * * * *');
$node->sql(
	"SELECT jobq.revoke_queue('of_dropped', 'dropped', 'enqueue');
	 SELECT jobq.revoke_usage('dropped'); DROP ROLE dropped;
	 SELECT jobq.revoke_queue('of_deprived', 'deprived', 'enqueue');
	 UPDATE jobq_store.schedule SET timezone = 'Mars/Phobos' WHERE name = 'no_zone';
	 UPDATE jobq_store.schedule SET cron = '* *' WHERE name = 'no_cron';
	 UPDATE jobq_store.schedule SET queue = 999999 WHERE name = 'no_queue';
	 CREATE INDEX fault ON jobq_store.job
	 ((1 / CASE WHEN headers ->> 'schedule' = 'failing' THEN 0 ELSE 1 END))");
my $position = log_position($node);
set_clock('2030-01-15 19:00:00');
is(runs('good'), '15 19:00', 'a good schedule before bad ones');
is(runs('good_too'), '15 19:00', 'a good schedule after bad ones');
my $reasons = $node->sql(
	"SELECT name || ': ' || disabled_reason
	FROM jobq_store.schedule
	WHERE NOT enabled AND next_run = 'infinity' ORDER BY name");
is( $reasons,
	join("\n",
		'failing: division by zero',
		'no_cron: invalid cron expression: Position 1: Expected 5 to 7 fields, found 2.',
		'no_queue: its queue was dropped',
		'no_zone: time zone "Mars/Phobos" not recognized',
		'of_deprived: role "deprived" has no privilege to enqueue into its queue',
		'of_dropped: its owner does not exist'),
	'schedules that cannot run are disabled with a reason');
my @warnings = log_since($node, $position) =~ /WARNING:  schedule .* was disabled/g;
is(scalar(@warnings), 6, 'the log names each disabled schedule once');
is(column('good', 'runs'), 1, 'no schedule has run twice');
$node->sql(
	"DROP INDEX jobq_store.fault;
	 SELECT jobq.grant_queue('of_deprived', 'deprived', 'enqueue');
	 SELECT jobq.enable_schedule('of_deprived');
	 SELECT jobq.enable_schedule('failing')");
set_clock('2030-01-15 20:00:00');
is(runs('of_deprived'), '15 20:00', 'enabled again: the privilege is back');
is(runs('failing'), '15 20:00', 'enabled again: the fault is gone');
is(column('failing', 'disabled_reason IS NULL'),
	't', 'an enabled schedule has no reason to be disabled');
unschedule_all($node);

# locked by others: not waited for
schedule($node, 'locked', '0 * * * *');
schedule($node, 'dropping', '0 * * * *');
$node->sql(
	"SELECT count(jobq.schedule('dropping_' || i, '0 * * * *', queue => 'dropping'))
	 FROM generate_series(2, 1200) AS i");
schedule($node, 'free', '0 * * * *');
$node->sql(
	"BEGIN; SELECT FROM jobq_store.schedule WHERE name = 'locked' FOR UPDATE;
	 PREPARE TRANSACTION 'row'");
$node->sql("BEGIN; SELECT jobq.drop_queue('dropping'); PREPARE TRANSACTION 'queue'");
set_clock('2030-01-15 21:00:00');
is(runs('free'), '15 21:00', 'other schedules run while one is locked');
is(runs('locked'), '', 'a locked schedule does not run');
is(runs('dropping'), '', 'a schedule does not fire while its queue is being dropped');
is(runs('dropping_1200'), '', '1200 schedules of a queue that is being dropped do not fire');
$node->sql("ROLLBACK PREPARED 'row'");
$node->sql("ROLLBACK PREPARED 'queue'");
poll_ok(
	$node,
	"SELECT count(*) = 1201 FROM jobq_store.job
	 WHERE headers ->> 'schedule' ~ '^(locked|dropping)'",
	'locked schedules run once they are free');
unschedule_all($node);

# a copy of another database
schedule($node, 'foreign', '0 * * * *');
$node->sql(
	"UPDATE jobq_store.schedule SET database = database::bigint + 1
	 WHERE name = 'foreign'");
set_clock('2030-01-15 22:00:00');
is(runs('foreign'), '', 'the schedule of another database does not run');
$node->sql('SELECT jobq.start()');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq_store.job WHERE headers ->> 'schedule' = 'foreign'",
	'the schedule of another database runs after start()');
unschedule_all($node);

# uncommitted and rolled back changes
$node->sql(
	"BEGIN; SELECT jobq.schedule('rolled_back', '* * * * *', queue => 'good');
	 ROLLBACK");
set_clock('2030-01-15 22:02:00');
is(runs('rolled_back'), '', 'a schedule that was rolled back');

# many at the same second
$node->sql(
	"SELECT count(jobq.schedule('many_' || i, '0 * * * *', queue => 'good'))
	 FROM generate_series(1, 10000) AS i");
my $start = time();
set_clock('2030-01-15 23:00:00');
poll_ok(
	$node,
	"SELECT count(*) = 10000 AND count(DISTINCT headers ->> 'schedule') = 10000
	 FROM jobq_store.job WHERE headers ->> 'schedule' LIKE 'many%'",
	'10,000 schedules in the same second');
cmp_ok(time() - $start, '<', 10, '10,000 schedules in the same second fire within seconds');
note(sprintf('10,000 schedules fired in %.1f s', time() - $start));
unschedule_all($node);

# crashes: each run once, none lost. The virtual clock starts anew each time.
# It may run as soon as others see it.
my ($first) = $node->sql(
	q{SELECT jobq.create_queue('crash');
	BEGIN;
	SELECT jobq.schedule('crash', '* * * * * *', queue => 'crash', missed => 'all',
		overlap => 'allow');
	SELECT 'first ' || next_run FROM jobq_store.schedule WHERE name = 'crash';
	COMMIT}
) =~ /^first (.*)$/m;
foreach my $round (1 .. 3)
{
	my $pid = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
	$node->advance_clock('5 minutes');
	kill_9($node, $pid);
	$node->set_clock_forward($node->sql("SELECT max(next_run) FROM jobq_store.schedule"));
	$node->advance_clock('5 minutes');
	poll_ok(
		$node,
		"SELECT count(*) >= 300 * $round FROM jobq_store.job
		 WHERE headers ->> 'schedule' = 'crash'",
		"runs after crash $round");
}
is( $node->sql(
		"SELECT count(*) - count(DISTINCT at) AS doubled,
			extract(epoch FROM max(at) - min(at))::int + 1 - count(*) AS lost,
			min(at) = '$first' AS first
		 FROM (SELECT (headers ->> 'scheduled_at')::timestamptz AS at
			   FROM jobq_store.job WHERE headers ->> 'schedule' = 'crash') AS c"),
	'0|0|t',
	'no run was lost, none came twice');
unschedule_all($node);

# a command is run by an executor, as the schedule's owner
$node->sql(
	"CREATE ROLE worker LOGIN; SELECT jobq.grant_usage('worker', true);
	 CREATE TABLE public.done (who text);
	 GRANT INSERT ON public.done TO worker;
	 SET ROLE worker;
	 SELECT jobq.schedule('command', '* * * * *',
		'INSERT INTO public.done SELECT session_user')");
$node->advance_clock('1 minute');
poll_ok(
	$node,
	"SELECT count(*) > 0 AND bool_and(who = 'worker') FROM public.done",
	'a command runs as the owner of its schedule');

unschedule_all($node);

# the job for which a run waits goes with its queue
$node->sql(
	q{SELECT jobq.create_queue('going'), jobq.create_queue('coming');
	SELECT jobq.schedule('moves', '* * * * * *', queue => 'going', overlap => 'queue')});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'going'},
	'a schedule that is to be moved has run');
$node->sql(q{SELECT jobq.alter_schedule('moves', queue => 'coming')});
ok( poll_until(
		sub {
			my $clock = $node->clock;
			$node->sql(
				"SELECT next_run < '$clock'::timestamptz - interval '1 s' FROM jobq.schedules
				WHERE name = 'moves'"
			) eq 't';
		}),
	'a run of a schedule waits for the job of the one before');
$node->sql(q{SELECT jobq.drop_queue('going', force => true)});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'coming'},
	'the run is added when the queue with that job is dropped',
	seconds => 20);

done_testing();
