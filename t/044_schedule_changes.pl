# t/044_schedule_changes.pl: schedules: missed runs beside one on time, and
# what alter_schedule() changes while the clock advances.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 0']);
$node->create_clock;

# The times of a schedule's jobs that are not finished.
sub runs
{
	my ($name) = @_;
	return $node->sql(
		"SELECT string_agg(to_char((headers ->> 'scheduled_at')::timestamptz,
						'HH24:MI'), ' ' ORDER BY id)
		 FROM jobq_store.job WHERE headers ->> 'schedule' = '$name'");
}

sub fired_up_to
{
	my ($name, $time) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node,
		"SELECT next_run > '$time' FROM jobq.schedules WHERE name = '$name'",
		"$name has fired up to $time");
}

$node->sql("SELECT jobq.create_queue('q')");

# Made up for, and the last one on time in the same batch
my @overlaps = qw(skip allow cancel);
$node->set_clock('2030-01-10 12:30');
$node->sql(
	"SELECT jobq.schedule('$_', '0 * * * *', queue => 'q', missed => 'all'," . " overlap => '$_')")
  foreach @overlaps, 'queue';
$node->set_clock('2030-01-10 16:00:10');
foreach my $overlap (@overlaps)
{
	fired_up_to($overlap, '2030-01-10 16:00');
	is( runs($overlap),
		'13:00 14:00 15:00 16:00',
		"overlap => '$overlap': all missed runs are made, and the one on time");
}
is(runs('queue'), '13:00', "overlap => 'queue': missed runs are made one after another");
$node->sql("SELECT jobq.unschedule(name) FROM jobq.schedules");
$node->sql("SELECT jobq.delete(id) FROM jobq.jobs");

# Made up for, and the one on time comes in a later batch
$node->set_clock('2030-01-11 12:30');
$node->sql(
	"SELECT jobq.schedule('$_', '0 * * * *', queue => 'q', missed => 'all'," . " overlap => '$_')")
  foreach @overlaps;
$node->set_clock('2030-01-11 14:10');
fired_up_to($_, '2030-01-11 14:00') foreach @overlaps;
$node->set_clock('2030-01-11 15:00:05');
foreach my $overlap (@overlaps)
{
	fired_up_to($overlap, '2030-01-11 15:00');
	is( runs($overlap),
		'13:00 14:00 15:00',
		"overlap => '$overlap': missed runs do not affect a run an hour later");
}
$node->set_clock('2030-01-11 16:00:05');
fired_up_to($_, '2030-01-11 16:00') foreach @overlaps;
like(runs('skip'), qr/15:00$/, "overlap => 'skip': a run on time makes the next one skipped");
like(runs('cancel'), qr/14:00 16:00$/, "overlap => 'cancel': the next run cancels a run on time");
$node->sql("SELECT jobq.unschedule(name) FROM jobq.schedules");

# Altered between two runs: it goes on from now, by the new expression, and
# what was due before is not made up for.
$node->set_clock('2030-01-20 12:00:30');
$node->sql(
	"SELECT jobq.schedule('alt', '0 * * * *', queue => 'q', missed => 'all', overlap => 'allow')");
$node->sql("SELECT jobq.alter_schedule('alt', cron => '*/30 * * * *')");
is( $node->sql('SELECT next_run FROM jobq.schedules'),
	'2030-01-20 12:30:00+00',
	'the next run is that of the new expression');
$node->set_clock('2030-01-20 13:00:10');
fired_up_to('alt', '2030-01-20 13:00');
is(runs('alt'), '12:30 13:00', 'the run of the new expression comes');
$node->sql("SELECT jobq.alter_schedule('alt', enabled => false)");
$node->set_clock('2030-01-20 15:10');
$node->sql("SELECT jobq.alter_schedule('alt', enabled => true, max_runs => 3)");
$node->set_clock('2030-01-20 17:10');
poll_ok(
	$node,
	'SELECT runs = 3 AND next_run IS NULL FROM jobq.schedules',
	'the schedule has had max_runs runs');
is(runs('alt'), '12:30 13:00 15:30', 'a disabled schedule has no run');
$node->sql("SELECT jobq.alter_schedule('alt', max_runs => 4)");
$node->set_clock('2030-01-20 17:30:05');
poll_ok(
	$node,
	'SELECT runs = 4 AND next_run IS NULL FROM jobq.schedules',
	'the schedule has had one run more');
is(runs('alt'), '12:30 13:00 15:30 17:30', 'a higher max_runs allows one run more');

done_testing();
