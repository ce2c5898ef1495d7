# t/043_schedule_history.pl: the record of schedules' runs:
# jobq.schedule_runs and the counters of jobq.schedules. Also that a run
# which waits for the previous one (overlap => 'queue') starts when that has
# ended, however it ends.

use strict;
use warnings;

use JobqSchedules;
use JobqTest;
use Test::More;
use Time::HiRes qw(time);

my $node = jobq_node('main');
$node->create_clock;

# set_clock($time, $schedule): moves jobq's clock to that time (UTC), and waits
# until the coordinator has looked at all that is due then, since it has fired
# a schedule, "tick" unless another is named.
sub set_clock
{
	my ($time, $schedule) = @_;
	$schedule //= 'tick';
	$node->set_clock_forward($time);
	poll_query(
		$node,
		"SELECT coalesce(last_run >= date_trunc('minute', timestamptz '$time'),
			false) AND (name <> 'tick' OR last_run >= '$time')
		 FROM jobq_store.schedule WHERE name = '$schedule'"
	) or die "schedule \"$schedule\" did not fire\n";
	clear($schedule);
	return;
}

# Deletes the jobs of queues.
sub clear
{
	my (@queues) = @_;
	my $list = join(',', @queues);
	$node->sql(
		"SELECT count(jobq.delete(id)) FROM jobq.jobs
		 WHERE queue = ANY ('{$list}')");
	return;
}

# The history of a schedule, one line for each row.
sub history
{
	my ($name) = @_;
	return $node->sql(
		"SELECT concat_ws(' ', outcome, to_char(slot, 'DD HH24:MI')
			|| coalesce('-' || to_char(last_slot, 'DD HH24:MI'), ''),
			'x' || nullif(runs, 1), CASE WHEN caught_up THEN 'caught up' END,
			state, regexp_replace(reason, 'job [0-9]+', 'job N'))
		 FROM jobq.schedule_runs WHERE schedule = '$name'
		 ORDER BY fired_at, slot");
}

# Runs, and runs missed, skipped, late.
sub counters
{
	my ($name) = @_;
	return $node->sql(
		"SELECT runs, missed_runs, skipped_runs, late_runs
		FROM jobq.schedules WHERE name = '$name'");
}

schedule($node, 'tick', '* * * * * *', q{overlap => 'allow'});
set_clock('2030-01-10 12:00:30');

# on time, skipped, and again
schedule($node, 'skip', '* * * * *');
is(history('skip'), '', 'a schedule that is new has no history');
is(counters('skip'), '0|0|0|0', 'a new schedule has counted nothing');
set_clock('2030-01-10 12:01:05');
is(history('skip'), 'enqueued 10 12:01 ready', 'a run on time is in the history');
is( $node->sql(
		"SELECT late_by >= '0' AND late_by < '1 min', job = last_job
		FROM jobq.schedule_runs AS r
		JOIN jobq.schedules AS s ON s.name = r.schedule
		WHERE schedule = 'skip'"),
	't|t',
	'a run on time has its job');
set_clock('2030-01-10 12:02:05');
set_clock('2030-01-10 12:03:05');
set_clock('2030-01-10 12:04:05');
is( history('skip'),
	"enqueued 10 12:01 ready\n" . 'skipped 10 12:02-10 12:04 x3 job N was not finished',
	'consecutive skipped runs share a row');
is(counters('skip'), '1|0|3|0', 'skipped runs are counted');
finish($node, 'skip');
set_clock('2030-01-10 12:05:05');
is( history('skip'),
	"enqueued 10 12:01 completed\n"
	  . "skipped 10 12:02-10 12:04 x3 job N was not finished\n"
	  . 'enqueued 10 12:05 ready',
	"the history shows the job's current state");
$node->sql("SELECT jobq.cancel(last_job) FROM jobq.schedules WHERE name = 'skip'");
like(
	history('skip'),
	qr/enqueued 10 12:05 cancelled$/,
	'the history shows that a job was cancelled');
$node->sql(
	"SELECT jobq.delete(job) FROM jobq.schedule_runs
	 WHERE schedule = 'skip' AND job IS NOT NULL");
like(history('skip'), qr/enqueued 10 12:05$/, 'the history shows no state of a deleted job');
unschedule_all($node);
is( $node->sql(
		"SELECT count(*) FROM jobq_store.schedule_run AS r
		WHERE NOT EXISTS (SELECT FROM jobq_store.schedule AS s
			WHERE s.id = r.schedule)"),
	0,
	'unschedule() removes the history');

# missed
set_clock('2030-01-11 12:00:30');
schedule($node, 'once', '0 * * * *');
schedule($node, 'never', '0 * * * *', q{missed => 'skip'});
schedule($node, 'all', '0 * * * *', q{missed => 'all'});
schedule($node, 'single', '0 13 * * *');
set_clock('2030-01-11 16:30:05');
is( history('once'),
	"missed 11 13:00-11 15:00 x3\nenqueued 11 16:00 caught up ready",
	"missed => 'once': the history has the runs");
is(counters('once'), '1|3|0|1', "missed => 'once': runs are counted");
is(history('never'), 'missed 11 13:00-11 16:00 x4', "missed => 'skip': the history has the runs");
is(counters('never'), '0|4|0|0', "missed => 'skip': runs are counted");
is( history('all'),
	join("\n", map { "enqueued 11 $_:00 caught up ready" } 13 .. 16),
	"missed => 'all': the history has the runs");
is(counters('all'), '4|0|0|4', "missed => 'all': runs are counted");
is(history('single'), 'enqueued 11 13:00 caught up ready', 'a single missed run is in the history');
is(counters('single'), '1|0|0|1', 'a single missed run is counted as late');
clear(qw(once never all));
set_clock('2030-01-14 16:30:05');
is(counters('all'), '28|48|0|28', "missed => 'all': runs outside the window are counted");
like(
	history('all'),
	qr/^missed 11 17:00-13 16:00 x48$/m,
	"missed => 'all': runs outside the window are in the history");
is(counters('once'), '2|74|0|2', "missed => 'once' after three days: runs are counted");
unschedule_all($node);

# How late a run may be: the schedule's catch_up_window, or else the setting.
sub set_window
{
	my ($value) = @_;
	$node->append_conf('postgresql.conf', "jobq.catch_up_window = '$value'");
	$node->reload;
	poll_ok(
		$node,
		'SHOW jobq.catch_up_window',
		"jobq.catch_up_window is $value",
		expected => $value);
	return;
}

sub alter
{
	my ($name, $options) = @_;
	return $node->sql("SELECT jobq.alter_schedule('$name', $options)");
}

set_clock('2030-01-14 18:00:30');
schedule($node, 'day', '0 0 * * *');
schedule($node, 'hour', '0 0 * * *');
alter('hour', "catch_up_window => '1 hour'");
schedule($node, 'zero', '0 0 * * *');
alter('zero', "catch_up_window => '0'");
schedule($node, 'never', '0 0 * * *', q{missed => 'skip'});
alter('never', "catch_up_window => '3 days'");
schedule($node, 'all', '0 * * * *', q{missed => 'all'});
alter('all', "catch_up_window => '2 hours'");
schedule($node, 'on time', '0 1 * * *');
alter('on time', "catch_up_window => '0'");
schedule($node, 'on time, all', '0 1 * * *', q{missed => 'all'});
alter('on time, all', "catch_up_window => '0'");
set_clock('2030-01-15 00:45');
is(history($_), 'enqueued 15 00:00 caught up ready', "three quarters of an hour late: $_")
  foreach (qw(day hour));
is(history($_), 'missed 15 00:00', "too late: $_") foreach (qw(zero never));
is(counters('zero'), '0|1|0|0', 'a run that was missed is counted');
is( history('all'),
	"missed 14 19:00-14 22:00 x4\nenqueued 14 23:00 caught up ready\n"
	  . 'enqueued 15 00:00 caught up ready',
	"missed => 'all': the runs of a window of two hours");
is(counters('all'), '2|4|0|2', 'runs outside a window of two hours are counted');
set_clock('2030-01-15 01:00:05');
is(history($_), 'enqueued 15 01:00 ready', "what is not late is never too late: $_")
  foreach ('on time', 'on time, all');
clear(qw(day hour));
set_clock('2030-01-16 01:00:05');
is(counters('day'), '2|0|0|2', 'a run an hour late is made up for within a window of a day');
is( history('hour'),
	"enqueued 15 00:00 caught up\nmissed 16 00:00",
	'a run more than an hour late is outside a window of an hour');
is( $node->sql("SELECT next_run FROM jobq.schedules WHERE name = 'hour'"),
	'2030-01-17 00:00:00+00',
	'a run outside the window does not change the next run');
unschedule_all($node);

schedule($node, 'default', '0 0 17 * *');
schedule($node, 'days', '0 0 17 * *');
alter('days', "catch_up_window => '3 days'");
set_clock('2030-01-18 00:00:30');
is( history('default'),
	'missed 17 00:00',
	'a run more than a day late is outside the default window');
is( history('days'),
	'enqueued 17 00:00 caught up ready',
	'a run two days late is inside a window of three days');
set_window('2h');
schedule($node, 'default', '0 0 19 * *');
schedule($node, 'days', '0 0 19 * *', q{overlap => 'allow'});
schedule($node, 'own', '0 0 19 * *');
alter('own', "catch_up_window => '1 hour'");
schedule($node, 'reset', '0 0 19 * *');
alter('reset', "catch_up_window => '1 hour'");
$node->sql("SELECT jobq.reset_schedule('reset', 'catch_up_window')");
set_clock('2030-01-19 01:30:30');
like(
	history($_),
	qr/^enqueued 19 00:00 caught up ready$/m,
	"90 minutes late, the setting being two hours: $_") foreach (qw(default days reset));
is(history('own'), 'missed 19 00:00', '90 minutes late, with a window of one hour');
clear(qw(default days reset));
schedule($node, $_, '0 0 20 * *') foreach (qw(default days reset));
set_clock('2030-01-20 02:00:30');
like(history($_), qr/^missed 20 00:00$/m, "two hours late: $_") foreach (qw(default reset));
like(
	history('days'),
	qr/^enqueued 20 00:00 caught up ready$/m,
	'a schedule that is replaced keeps its window');
set_window('0');
schedule($node, 'default', '* * * * *', q{overlap => 'allow'});
set_clock('2030-01-20 02:01:05');
like(history('default'), qr/^enqueued 20 02:01 ready$/m, 'a run that is not late is not missed');
set_window('1d');
unschedule_all($node);

# overlap => 'queue': waits are no rows, what is left out is missed
set_clock('2030-01-21 12:00:30');
schedule($node, 'queue', '* * * * *', q{overlap => 'queue'});
set_clock('2030-01-21 12:01:05');
set_clock('2030-01-21 12:02:05');
set_clock('2030-01-21 12:04:05');
is(history('queue'), 'enqueued 21 12:01 ready', 'a waiting run is not in the history');
finish($node, 'queue');
poll_ok(
	$node,
	"SELECT runs = 2 FROM jobq.schedules WHERE name = 'queue'",
	'the waiting run starts when the previous one is finished');
is( history('queue'),
	"enqueued 21 12:01 completed\nmissed 21 12:02-21 12:03 x2\n" . 'enqueued 21 12:04 ready',
	'a waiting run replaces those that waited before it');
unschedule_all($node);

# keep_runs => 'errors': what has succeeded leaves no trace, and takes no place
sub places
{
	my ($name) = @_;
	return $node->sql(
		"SELECT count(*) FROM jobq_store.schedule_run AS r
		JOIN jobq_store.schedule AS s ON s.id = r.schedule
		WHERE s.name = '$name'");
}

# How the finished jobs of a queue have ended.
sub ends
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT string_agg(state || ' ' || n, ', ' ORDER BY state)
		FROM (SELECT state, count(*) AS n FROM jobq.jobs
			WHERE queue = '$queue' AND finished_at IS NOT NULL
			GROUP BY state) AS s");
}

schedule($node, 'errors', '* * * * *');
alter('errors', "keep_runs => 'errors'");
set_clock('2030-01-21 12:05:05');
is( history('errors'),
	'enqueued 21 12:05 ready',
	"keep_runs => 'errors': an unfinished run is shown");
finish($node, 'errors');
is(history('errors'), '', "keep_runs => 'errors': a successful run is not shown");
is(ends('errors'), '', 'the job of a run that succeeded is not kept');
is( $node->sql(
		"SELECT runs, last_run, last_job IS NOT NULL FROM jobq.schedules
		WHERE name = 'errors'"),
	'1|2030-01-21 12:05:00+00|t',
	'a run that is not shown is counted');
set_clock('2030-01-21 12:06:05');
is(places('errors'), 1, "keep_runs => 'errors': the next run takes the place of a successful one");
$node->sql(
	"SELECT jobq.fail(id, lease, 'no', retryable => false)
	 FROM jobq.dequeue('errors')");
is(history('errors'), 'enqueued 21 12:06 dead', "keep_runs => 'errors': a failed run stays");
is(ends('errors'), 'dead 1', 'the job of a run that failed stays');
set_clock('2030-01-21 12:07:05');
set_clock('2030-01-21 12:08:05');
finish($node, 'errors');
is( history('errors'),
	"enqueued 21 12:06 dead\nskipped 21 12:08 job N was not finished",
	"keep_runs => 'errors': a skipped run stays");
set_clock('2030-01-21 12:09:05');
is(places('errors'), 3,
	"keep_runs => 'errors': a run takes the place of an earlier successful one");
set_clock('2030-01-21 12:10:05');
$node->sql("SELECT jobq.cancel(last_job) FROM jobq.schedules WHERE name = 'errors'");
schedule($node, 'errors', '* * * * *', q{payload => '1'});
set_clock('2030-01-21 12:11:05');
finish($node, 'errors');
is( history('errors'),
	"enqueued 21 12:06 dead\nskipped 21 12:08 job N was not finished\n"
	  . "enqueued 21 12:09 cancelled\nskipped 21 12:10 job N was not finished",
	"keep_runs => 'errors': a cancelled run stays, even when the schedule is replaced");
is(ends('errors'), 'cancelled 1, dead 1', "keep_runs => 'errors': no successful job is kept");
$node->sql(
	"BEGIN; SELECT jobq.run_schedule('errors'), jobq.run_schedule('errors');
	 COMMIT");
like(
	history('errors'),
	qr/(?:^enqueued 21 12:11 ready run_schedule\(\)\s?){2}/m,
	'two runs of one transaction are in the history');
is(places('errors'), 6, 'two runs of one transaction have a place each');
finish($node, 'errors');
alter('errors', "keep_runs => 'all'");
set_clock('2030-01-21 12:12:05');
finish($node, 'errors');
like(
	history('errors'),
	qr/^enqueued 21 12:12 completed$/m,
	"keep_runs => 'all' keeps successful runs again");
is( ends('errors'),
	'cancelled 1, completed 1, dead 1',
	"keep_runs => 'all' keeps successful jobs again");

# a header of that name makes no job one of the schedule in another queue
alter('errors', "keep_runs => 'errors'");
$node->sql(
	q{SELECT jobq.create_queue('other');
	SELECT jobq.enqueue('other', headers => h)
	FROM unnest(ARRAY['{}', '{"schedule": "errors"}', '{"schedule": 1}',
		'{"schedule": "nothing"}', '{"schedule": null}']::jsonb[]) AS h});
finish($node, 'other');
is(ends('other'), 'completed 5', 'jobs of another queue are kept');

# nor in its own queue
$node->sql(q{SELECT jobq.enqueue('errors', headers => '{"schedule": "errors"}')});
my $forged = $node->sql(
	"SELECT string_agg(id::text, ',') FROM jobq.dequeue('errors', 100) AS d,
	LATERAL jobq.complete(d.id, d.lease) WHERE headers ->> 'slot' IS NULL");
is($node->sql("SELECT string_agg(state, ' ') FROM jobq.jobs WHERE id = '$forged'"),
	'completed', 'a job that the schedule does not know is kept');
unschedule_all($node);

# whose jobs are kept is not up to who may only enqueue
$node->sql(
	q{CREATE ROLE guest;
	SELECT jobq.grant_usage('guest', true);
	SELECT jobq.create_queue('theirs');
	SELECT jobq.grant_queue('theirs', 'guest', 'enqueue');
	SET ROLE guest;
	SELECT jobq.schedule('hide', '@yearly', queue => 'theirs');
	SELECT jobq.alter_schedule('hide', keep_runs => 'errors');
	SELECT jobq.run_schedule('hide')});
finish($node, 'theirs');
is(ends('theirs'), 'completed 1', 'keep_runs hides no job of a role that may only enqueue');
$node->sql(
	q{RESET ROLE; SELECT jobq.grant_queue('theirs', 'guest', 'manage');
	SET ROLE guest; SELECT jobq.run_schedule('hide')});
finish($node, 'theirs');
is(ends('theirs'), 'completed 1', 'keep_runs hides the job of a role that manages the queue');
unschedule_all($node);

# Skipped runs share a row, and not with those of before another run, wherever
# there is a place.
schedule($node, 'shared', '* * * * *', q{missed => 'all'});
alter('shared', "keep_runs => 'errors'");
set_clock('2030-01-21 12:17:05');
is(places('shared'), 5, 'four missed runs and the one on time have places');
set_clock('2030-01-21 12:18:05');
finish($node, 'shared');
set_clock("2030-01-21 12:$_:05") foreach (19 .. 22);
is( history('shared'),
	"skipped 21 12:18 job N was not finished\nenqueued 21 12:19 ready\n"
	  . 'skipped 21 12:20-21 12:22 x3 job N was not finished',
	'runs skipped because of one job share a row');
unschedule_all($node);

# a long time that is made up for at once: the schedule knows each of its jobs
schedule($node, 'lots', '* * * * *', q{missed => 'all', overlap => 'allow'});
alter('lots', "keep_runs => 'errors'");
set_clock('2030-01-21 12:52:05');
is(finish($node, 'lots'), 30, 'thirty missed runs are made at once');
is(ends('lots'), '', 'many successful runs at once leave no job');

# jobs of a backfill are not told from those that others enqueue
$node->sql("SELECT jobq.backfill('lots', '2030-01-10 00:00', '2030-01-10 00:03')");
finish($node, 'lots');
is(ends('lots'), 'completed 3', 'jobs of a backfill are kept');
unschedule_all($node);

# failed, by hand, and backfill
schedule($node, 'hand', '0 * * * *');
$node->sql("SELECT jobq.run_schedule('hand')");
like(history('hand'), qr/^enqueued 21 12:\d\d ready run_schedule\(\)$/, 'run_schedule()');
$node->sql("SELECT jobq.backfill('hand', '2030-01-10 00:00', '2030-01-10 05:00')");
like(history('hand'), qr/^enqueued 10 01:00-10 05:00 x5 caught up backfill\(\)$/m, 'backfill()');
is($node->sql("SELECT last_run IS NULL, runs FROM jobq.schedules WHERE name = 'hand'"),
	't|0', 'run_schedule() and backfill() move nothing else');
$node->sql("UPDATE jobq_store.schedule SET timezone = 'Mars/Phobos' WHERE name = 'hand'");
set_clock('2030-01-21 13:00:05');
like(
	history('hand'),
	qr/^failed 21 13:00 time zone "Mars\/Phobos" not recognized$/m,
	'a schedule that could not run');
unschedule_all($node);

# bounded
schedule($node, 'many', '* * * * *', q{overlap => 'allow', missed => 'all'});
set_clock('2030-01-21 19:00:30');
poll_ok(
	$node,
	"SELECT runs = 360 FROM jobq.schedules WHERE name = 'many'",
	'a schedule has had 360 runs');
is( $node->sql(
		"SELECT count(*), min(slot), max(slot), count(DISTINCT slot)
		 FROM jobq.schedule_runs WHERE schedule = 'many'"),
	'100|2030-01-21 17:21:00+00|2030-01-21 19:00:00+00|100',
	'the last 100 runs are kept');
is($node->sql("SELECT history FROM jobq_store.schedule WHERE name = 'many'"),
	360, 'the schedule counts all events of its history');
set_clock('2031-02-01 00:00:30');
unschedule_all($node);
is( $node->sql(
		"SELECT count(*) FROM jobq_store.schedule_run AS r
		WHERE NOT EXISTS (SELECT FROM jobq_store.schedule AS s
			WHERE s.id = r.schedule)"),
	0,
	'unschedule() removes all rows of the history');

# replaced and rolled back
schedule($node, 'kept', '* * * * *', q{overlap => 'allow'});
set_clock('2031-02-01 00:01:05');
schedule($node, 'kept', '*/2 * * * *', q{overlap => 'allow'});
is(history('kept'), 'enqueued 01 00:01 ready', 'a schedule that is replaced keeps its history');
$node->sql("BEGIN; SELECT jobq.run_schedule('kept'), jobq.unschedule('kept'); ROLLBACK");
is(history('kept'), 'enqueued 01 00:01 ready', 'a schedule keeps its history after a rollback');
unschedule_all($node);

# who may see it
$node->sql(
	"CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE carol;
	 GRANT alice TO carol;
	 SELECT jobq.grant_usage(r, true)
	 FROM unnest('{alice,bob,carol}'::regrole[]) AS r;
	 SET ROLE alice;
	 SELECT jobq.schedule('hers', '* * * * *', 'SELECT 1');
	 SELECT jobq.run_schedule('hers')");
foreach my $case ([ 'alice', 1 ], [ 'bob', 0 ], [ 'carol', 1 ], [ 'postgres', 1 ])
{
	my ($role, $rows) = @$case;
	is( $node->sql(
			"SET ROLE $role; SELECT count(state) FROM jobq.schedule_runs
			 WHERE schedule = 'hers'"),
		$rows,
		"$role sees $rows of alice's runs");
}
like(sql_error($node, 'SET ROLE alice; SELECT * FROM jobq_store.schedule_run'),
	qr/42501/, 'no ordinary role may read the table');
unschedule_all($node);

# However the job ends, the run that waits for it comes at once. The
# coordinator would look by itself after a minute only: nothing else is due.
schedule($node, 'mark', '* * * * *', q{overlap => 'allow'});
$node->sql("SELECT jobq.enable_schedule('tick', false)");
my %endings = (
	complete => "SELECT jobq.complete(id, lease) FROM jobq.dequeue('wait')",
	dead => "SELECT jobq.fail(id, lease, 'no', retryable => false)
		FROM jobq.dequeue('wait')",
	cancel => "SELECT jobq.cancel(last_job) FROM jobq.schedules
		WHERE name = 'wait'",
	delete => "SELECT jobq.delete(last_job) FROM jobq.schedules
		WHERE name = 'wait'",
	take => "SELECT count(*) FROM jobq.take('wait')",
	savepoint => "BEGIN; SAVEPOINT s;
		SELECT jobq.cancel(last_job) FROM jobq.schedules WHERE name = 'wait';
		RELEASE s; COMMIT");
my $day = 1;
foreach my $how (sort keys %endings, 'expire')
{
	my $at = sprintf('2031-03-%02d', $day++);
	set_clock("$at 00:00:30", 'mark');
	schedule($node, 'wait', '* * * * *', q{overlap => 'queue'});
	$node->sql("SELECT jobq.alter_queue('wait', ttl => '90 s')") if $how eq 'expire';
	set_clock("$at 00:01:05", 'mark');
	set_clock("$at 00:02:05", 'mark');
	is($node->sql("SELECT runs FROM jobq.schedules WHERE name = 'wait'"), 1, "$how: a run waits");
	$node->sql($endings{$how}) if $endings{$how};
	set_clock("$at 00:02:40", 'mark') if $how eq 'expire';
	poll_ok(
		$node,
		"SELECT runs = 2 FROM jobq.schedules WHERE name = 'wait'",
		"$how: the waiting run starts when the job has ended",
		seconds => 20);
	$node->sql("SELECT jobq.unschedule('wait')");
	clear('wait');
}

# One that ends as the decision to wait is made, again and again: the next is
# there in no time, each time.
schedule($node, 'chain', '* * * * * *', q{overlap => 'queue', missed => 'all'});
$node->advance_clock('200 s');
my $start = time();
my $seen = $node->sql(
	q{CREATE PROCEDURE run_chain(INOUT seen int) LANGUAGE plpgsql AS $$
	DECLARE deadline timestamptz := clock_timestamp() + '60 s';
	BEGIN
		WHILE seen < 200 AND clock_timestamp() < deadline LOOP
			seen := seen + (SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('chain', 100));
			COMMIT;
			PERFORM pg_sleep(0.001);
		END LOOP;
	END$$;
	CALL run_chain(0)});
is($seen, 200, 'two hundred runs, one after the other');
note(sprintf('200 runs in a chain took %.1f s', time() - $start));

# A job that an executor runs ends as well.
$node->sql(
	"CREATE TABLE public.done (n serial, at timestamptz DEFAULT clock_timestamp());
	 SELECT jobq.unschedule('chain');
	 SELECT jobq.schedule('command', '* * * * * *',
		'INSERT INTO public.done DEFAULT VALUES', overlap => 'queue',
		missed => 'all')");
$node->advance_clock('100 s');
poll_ok(
	$node,
	'SELECT count(*) >= 100 FROM public.done',
	'a chain of commands has run',
	seconds => 40);
poll_ok(
	$node,
	"SELECT count(*) > 0 FROM jobq.schedule_runs
	 WHERE schedule = 'command' AND state = 'completed'",
	'the history of a chain of commands has their states');

# Of more than 200 runs the two that fail are kept, and no trace of the others,
# which would have pushed the first of them out.
$node->sql(
	"SELECT jobq.unschedule('command');
	 CREATE SEQUENCE public.calls;
	 BEGIN;
	 SELECT jobq.schedule('failing', '* * * * * *',
		'SELECT 1 / (nextval(''public.calls'') - 50)
			/ (currval(''public.calls'') - 60)',
		overlap => 'queue', missed => 'all', max_attempts => 1);
	 SELECT jobq.alter_schedule('failing', keep_runs => 'errors');
	 COMMIT");
$node->advance_clock('200 s');
poll_ok(
	$node,
	"SELECT runs > 200 FROM jobq.schedules WHERE name = 'failing'",
	'a chain of commands of which two fail has run',
	seconds => 60);
$node->sql("SELECT jobq.enable_schedule('failing', false)");
poll_query($node,
	"SELECT count(*) = 0 FROM jobq_store.job WHERE headers ->> 'schedule' = 'failing'");
is( $node->sql(
		"SELECT string_agg(r.state || ': ' || j.error, ', ')
		 FROM jobq.schedule_runs AS r JOIN jobq.jobs AS j ON j.id = r.job
		 WHERE r.schedule = 'failing'"),
	'dead: division by zero, dead: division by zero',
	'only failed runs are left');
is(places('failing'), 3, 'one place of the history is for runs that succeed');
is( $node->sql(
		"SELECT string_agg(DISTINCT state, ',') FROM jobq.jobs
		WHERE headers ->> 'schedule' = 'failing'"),
	'dead',
	'no job that has succeeded is kept');

$node->stop;
done_testing();
