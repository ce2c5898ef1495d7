# t/042_schedule_clock.pl: schedules and clocks: clocks that are set back and
# forward, servers that were down, and transactions that commit long after
# their schedule's time. Each run comes once.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = jobq_node('main', conf => ['max_prepared_transactions = 10']);
$node->create_clock;

# The times of a schedule's jobs.
sub runs
{
	my ($name) = @_;
	return $node->sql(
		"SELECT string_agg(to_char((headers ->> 'scheduled_at')::timestamptz,
						'DD HH24:MI'), ', ' ORDER BY id)
		 FROM jobq_store.job WHERE headers ->> 'schedule' = '$name'");
}

sub column
{
	my ($name, $column) = @_;
	return $node->sql("SELECT $column FROM jobq.schedules WHERE name = '$name'");
}

# fired_up_to($name, $time): waits until the schedule has had its run of then.
sub fired_up_to
{
	my ($name, $time) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node,
		"SELECT coalesce(last_run >= '$time', false) FROM jobq.schedules
		 WHERE name = '$name'",
		"$name has fired up to $time");
}

sub schedule
{
	my ($name, $cron, $options) = @_;
	return
	  "SELECT jobq.schedule('$name', '$cron', queue => 'q', "
	  . ($options // "overlap => 'allow'") . ')';
}

# How often the coordinator goes to sleep in two seconds.
sub sleeps
{
	my ($pid) = worker_pids($node, 'jobq coordinator', 'postgres');
	my @count;
	foreach my $round (0, 1)
	{
		my $end = time() + 2;
		usleep(50_000) while $round && time() < $end;
		push @count, process_status($pid, 'voluntary_ctxt_switches') // return 0;
	}
	return $count[1] - $count[0];
}

$node->sql("SELECT jobq.create_queue('q')");

# Set back: what has run does not run again, what is to come waits.
$node->set_clock('2030-01-10 12:00:30');
$node->sql(schedule('minutely', '* * * * *'));
$node->sql(schedule('interval', '@every 10 minutes'));
$node->sql(schedule('all', '*/10 * * * *', "overlap => 'allow', missed => 'all'"));
$node->set_clock('2030-01-10 12:20:35');
fired_up_to('minutely', '2030-01-10 12:20');
fired_up_to('interval', '2030-01-10 12:20:30');
fired_up_to('all', '2030-01-10 12:20');
my %before = map { $_ => runs($_) } qw(minutely interval all);
$node->set_clock('2030-01-10 11:00');
cmp_ok(sleeps(), '<', 20, 'set back by an hour: no busy loop');
is(runs($_), $before{$_}, "set back by an hour: $_ does not run again") foreach (sort keys %before);
is( column('minutely', 'next_run'),
	'2030-01-10 12:21:00+00',
	'clock set back: the next run is when it was');
$node->sql(schedule('new', '* * * * *'));
is(column('new', 'next_run'), '2030-01-10 11:01:00+00', 'a new schedule goes by the current clock');
$node->set_clock('2030-01-10 11:01:10');
fired_up_to('new', '2030-01-10 11:01');
is(runs('minutely'), $before{minutely}, 'clock set back: older schedules wait');
$node->set_clock('2030-01-10 12:20:30');
fired_up_to('new', '2030-01-10 12:20');
is(runs('minutely'), $before{minutely},
	'clock set back: older schedules wait until the clock is where it was');
$node->set_clock('2030-01-10 12:21:00');
fired_up_to('minutely', '2030-01-10 12:21');
is(runs('minutely'), "$before{minutely}, 10 12:21", 'older schedules continue at their old time');

# Forward by years: at once, and no busy loop.
$node->set_clock('2035-05-05 05:05:05');
fired_up_to($_, '2035-05-05 04:50') foreach (qw(minutely interval all));
cmp_ok(sleeps(), '<', 20, 'set forward by five years: no busy loop');
is( $node->sql(
		"SELECT count(*), count(DISTINCT (headers ->> 'schedule',
			headers ->> 'scheduled_at')) = count(*)
		 FROM jobq_store.job"),
	$node->sql("SELECT sum(runs), true FROM jobq.schedules"),
	'each run has one job');
is( column('minutely', 'missed_runs + runs'),
	$node->sql(
		"SELECT extract(epoch FROM timestamptz '2035-05-05 05:05'
		 - '2030-01-10 12:00')::bigint / 60"),
	'each minute was either run or counted as missed');
is( column('all', 'missed_runs + runs'),
	$node->sql(
		"SELECT extract(epoch FROM timestamptz '2035-05-05 05:00'
		 - '2030-01-10 12:00')::bigint / 600"),
	"missed => 'all': each interval was run or counted as missed");
is(column('all', 'runs'), 2 + 144, "missed => 'all': the runs of one day are made up for");
$node->sql('SELECT count(jobq.unschedule(name)) FROM jobq.schedules');

# A transaction that makes a schedule commits when others that were due later
# have been fired.
$node->set_clock('2036-01-01 00:00:30');
$node->sql(schedule('tick', '* * * * * *'));
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; ' . schedule('slow', '0 * * * *'));
$node->sql('BEGIN; ' . schedule('prepared', '0 * * * *') . "; PREPARE TRANSACTION 'p'");
$node->sql(schedule('enabled', '0 * * * *', "overlap => 'allow', enabled => false"));
my $other = $node->background_psql('postgres');
$other->query_safe("BEGIN; SELECT jobq.enable_schedule('enabled')");

foreach my $minute (1 .. 10)
{
	my $at = sprintf('2036-01-01 01:%02d', $minute);
	$node->set_clock($at);
	poll_query($node, "SELECT last_run >= '$at' FROM jobq.schedules WHERE name = 'tick'");
}
is(runs('slow'), '', 'a schedule that is not committed does not fire');
$session->query_safe('COMMIT');
$session->quit;
fired_up_to('slow', '2036-01-01 01:00');
$other->query_safe('COMMIT');
$other->quit;
fired_up_to('enabled', '2036-01-01 01:00');
$node->sql("COMMIT PREPARED 'p'");
fired_up_to('prepared', '2036-01-01 01:00');

# A schedule that is changed at the moment it is due is not forgotten.
$node->sql("BEGIN; SELECT jobq.run_schedule('slow'); PREPARE TRANSACTION 'p'");
$node->set_clock('2036-01-01 02:00:05');
fired_up_to('enabled', '2036-01-01 02:00');
$node->sql("COMMIT PREPARED 'p'");
fired_up_to('slow', '2036-01-01 02:00');

# One that came by another way than jobq's functions is found within a minute.
$node->sql(
	"UPDATE jobq_store.schedule SET next_run = '2036-01-01 01:59'
	 WHERE name = 'prepared'");
$node->set_clock('2036-01-01 02:02:10');
poll_ok(
	$node,
	"SELECT next_run > '2036-01-01 02:02' FROM jobq.schedules
	 WHERE name = 'prepared'",
	'a schedule whose next_run no callback reported is found');
$node->sql('SELECT count(jobq.unschedule(name)) FROM jobq.schedules');
$node->sql("SELECT count(jobq.delete(id)) FROM jobq.jobs");

# A server that is down when a run is due: the real clock, which goes on then.
# "once" is due once in that time, "seconds" a few times.
$node->set_clock('now');
$node->sql(schedule('seconds', '* * * * * *'));
$node->sql(
	"SELECT jobq.schedule('once', to_char(now() AT TIME ZONE 'UTC'
		+ interval '9 s', 'FMSS FMMI FMHH24 * * *'), queue => 'q',
		timezone => 'UTC')");
my $due = column('once', 'extract(epoch FROM next_run)::bigint');
fired_up_to('seconds', $node->sql('SELECT clock_timestamp()'));
is(runs('once'), '', 'not due yet');
$node->stop('fast');
cmp_ok(time(), '<', $due, 'the server is down in time')
  or diag('the machine is too slow for this test');
poll_until(sub { time() > $due + 1 });
$node->start;
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq_store.job
	 WHERE headers ->> 'schedule' = 'once'
	 AND extract(epoch FROM (headers ->> 'scheduled_at')::timestamptz) = $due",
	'the run that was due while the server was down is made up for');
fired_up_to('seconds', $node->sql('SELECT clock_timestamp()'));
is( $node->sql(
		"SELECT count(*), min(late_by) > '1 s', bool_and(outcome = 'enqueued')
		 FROM jobq.schedule_runs WHERE schedule = 'once'"),
	'1|t|t',
	'once');
$node->restart;
fired_up_to('seconds', $node->sql('SELECT clock_timestamp()'));
is(column('once', 'runs'), 1, 'another restart: the run is not made up for again');
is( $node->sql(
		"SELECT count(*) = count(DISTINCT headers ->> 'scheduled_at')
		 FROM jobq_store.job WHERE headers ->> 'schedule' = 'seconds'"),
	't',
	'a schedule that fires every second has each run once');
$node->sql("SELECT jobq.enable_schedule('seconds', false)");
is( $node->sql(
		"SELECT sum(s.runs + s.missed_runs) =
			max(extract(epoch FROM s.last_run - j.first)) + 1
		 FROM jobq.schedules AS s,
			(SELECT min((headers ->> 'scheduled_at')::timestamptz) AS first
			 FROM jobq_store.job WHERE headers ->> 'schedule' = 'seconds') AS j
		 WHERE s.name = 'seconds'"),
	't',
	'each second was either run or counted as missed');

$node->stop;
done_testing();
