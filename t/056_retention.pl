# t/056_retention.pl: history's ring: finished jobs disappear when their time is
# over, and not before; none is lost or duplicated, and no other work is held
# up.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');
$node->create_clock;

sub segment
{
	return $node->sql("SELECT history_segment FROM jobq_store.service");
}

# turn($by): set the clock forward, and wait until the next segment is the
# current one. Where somebody is in the way of it, the turn is tried again a
# minute later.
sub turn
{
	my ($by) = @_;
	my $before = segment();
	$node->advance_clock($by);
	return poll_until(
		sub {
			return 1 if has_moved_on($before);
			$node->advance_clock('61 s');
			return 0;
		});
}

# Whether the segment is another one within a moment.
sub has_moved_on
{
	my ($before) = @_;
	return poll_until(sub { return segment() != $before; }, 0.3);
}

# finish($queue, $completed, $failed): ends this many jobs.
sub finish
{
	my ($queue, $completed, $failed) = @_;
	$node->sql(
		"SELECT count(jobq.enqueue('$queue'))" . " FROM generate_series(1, $completed + $failed)");
	$node->sql("SELECT jobq.complete(id, lease) FROM jobq.dequeue('$queue', $completed)")
	  if $completed;
	$node->sql("SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('$queue', $failed)")
	  if $failed;
	return;
}

wait_for_worker($node, '%coordinator%', db => 'postgres');
$node->sql("SELECT jobq.create_queue('r', max_attempts => 1)");
finish('r', 20, 5);
is($node->sql("SELECT count(*), count(DISTINCT id) FROM jobq.jobs"),
	'25|25', 'the view shows finished jobs');

# Completed ones are kept a day, and a turn is a sixth of it
ok(turn('5 hours'), 'history turns to the second segment');
finish('r', 3, 0);
is($node->sql("SELECT count(*) FROM jobq_store.history_1"),
	'3', 'newly finished jobs go to the next segment');
ok(turn('20 hours'), 'history turns to the third segment');
is($node->sql("SELECT state, count(*) FROM jobq.jobs GROUP BY 1 ORDER BY 1"),
	"completed|3\ndead|5", 'completed jobs are hidden after a day');
foreach my $i (3 .. 9)
{
	turn('5 hours') or last;
	is( $node->sql(
			"SELECT count(*), count(DISTINCT id) FROM jobq_store.history" . " WHERE state = 4"),
		'5|5',
		"each dead letter exists once after turn $i");
}
is($node->sql("SELECT count(*) FROM jobq_store.history WHERE state = 3"),
	'0', 'completed jobs are deleted after the whole round');
is($node->sql("SELECT count(*) FROM jobq.dead_letters"), '5', 'dead letters stay');
is($node->sql("SELECT count(*) FROM jobq.attempts"), '5', 'attempts of dead letters stay');

# Dead ones are kept 30 days
$node->advance_clock('31 days');
is($node->sql("SELECT count(*) FROM jobq.dead_letters"),
	'0', 'dead letters are hidden after 30 days');
foreach my $i (1 .. 9)
{
	last if $node->sql("SELECT count(*) FROM jobq_store.history") eq '0';
	turn('5 hours') or last;
}
is( $node->sql(
			"SELECT sum(pg_relation_size(c.oid)) FROM pg_class AS c"
		  . " WHERE c.relname ~ '^history_[0-7]\$'"),
	'0',
	'history takes no space');
poll_ok($node, "SELECT count(*) = 0 FROM jobq_store.attempt", 'attempts are deleted with the jobs');

# Somebody who reads history delays the turn, and nothing else
finish('r', 1, 0);
my $current = segment();
my $next = ($current + 1) % 8;
my ($in, $out) = ('', '');
my $reader = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, IPC::Run::timeout(wait_limit()));
$in .= "BEGIN; SELECT count(*) FROM jobq_store.history;\n\\echo done\n";
$reader->pump until $out =~ /done/;
my $position = log_position($node);
$node->advance_clock('5 hours');
within(
	20,
	'jobs are worked while history is read',
	sub {
		finish('r', 1, 1);
		$node->sql("SELECT count(*) FROM jobq.jobs");
	});
is(segment(), $current, 'the turn waits for the reader');
$in .= "COMMIT;\n\\q\n";
$reader->finish;
$node->advance_clock('2 min');
poll_ok(
	$node,
	"SELECT history_segment = $next FROM jobq_store.service",
	'the turn follows when the reader has gone');

# What must be kept longer than a round moves on; nothing is lost while jobs
# are finished at the same time
$node->sql("SELECT jobq.create_queue('k', keep_completed => '10 years')");
$node->sql("SELECT jobq.alter_queue('r', keep_completed => '0', keep_dead => '0')");
$node->sql("SELECT count(jobq.enqueue('k')) FROM generate_series(1, 9000)");
my $script = $node->basedir . '/finish.sql';
append_to_file($script,
	"SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('k', lease => '366 days');\n");
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '3', '-t', '3000', '-f', $script, '-d', $node->connstr('postgres') ],
	'>', \my $load_out,
	'2>', \my $load_err);
my $turns = 0;

while ($turns < 12)
{
	turn('31 days') or last;
	$turns++;
}
$load->finish;
is($turns, 12, 'twelve turns under load');
is( $node->sql(
			"SELECT count(*), count(DISTINCT h.id) FROM jobq_store.history AS h"
		  . " JOIN jobq_store.queue AS q ON q.id = h.queue WHERE q.name = 'k'"),
	'9000|9000',
	'every job is in history once');
is( $node->sql(
			"SELECT count(*) FROM jobq_store.history AS h WHERE segment <> "
		  . "substr(h.tableoid::regclass::text, 20)::int"),
	'0',
	'each job of history is in the segment it names');

# Limits by number
$node->sql("SELECT jobq.create_queue('n', max_attempts => 1,"
	  . " keep_completed_count => 3, keep_dead_count => 2)");
finish('n', 10, 10);
my $limited = poll_until(
	sub {
		$node->advance_clock('11 min');
		return $node->sql("SELECT string_agg(state || count, ' ' ORDER BY state)"
			  . " FROM (SELECT state, count(*) FROM jobq.jobs"
			  . " WHERE queue = 'n' GROUP BY 1) AS s") eq 'completed3 dead2';
	});
ok($limited, 'the newest finished jobs stay');
is(join("\n", unexpected_log_lines($node, $position)), '', 'retention logs no problem');

done_testing();
