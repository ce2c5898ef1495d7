# t/058_old_xids.pl: what the coordinator remembers may be older than the
# transaction statuses that the server keeps: pg_xact is truncated between two
# firings of a schedule, and while history waits to be emptied.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'autovacuum_freeze_max_age = 100000',
		'vacuum_freeze_min_age = 0',
		'fsync = off'
	]);
$node->create_clock;
my $coordinator = wait_for_worker($node, 'jobq coordinator');

sub segment
{
	return $node->sql("SELECT history_segment FROM jobq_store.service");
}

# XIDs are used up, by subtransactions.
$node->sql(
	q{
	CREATE TABLE burn (x int);
	ALTER DATABASE template0 ALLOW_CONNECTIONS true;
	CREATE PROCEDURE burn(n int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR k IN 1 .. n / 20000 LOOP
			FOR i IN 1 .. 20000 LOOP
				BEGIN INSERT INTO burn VALUES (1); EXCEPTION WHEN division_by_zero THEN NULL; END;
			END LOOP;
			COMMIT;
			TRUNCATE burn;
		END LOOP;
	END$$;
});

# The oldest file of pg_xact goes.
sub truncate_xact
{
	my $oldest = (sort glob($node->data_dir . '/pg_xact/*'))[0];

	$node->sql('CALL burn(1100000)');
	$node->command_ok([ 'vacuumdb', '--all', '--freeze', '--quiet' ], 'everything is frozen');
	$node->command_ok([ 'vacuumdb', '--all', '--freeze', '--quiet' ],
		'everything is frozen again, up to now');
	$node->sql('CHECKPOINT');
	ok(!-e $oldest, 'pg_xact has been truncated');
	return;
}

$node->sql("SELECT jobq.schedule('hourly', '\@every 1h', 'SELECT 1')");
$node->sql(
	"SELECT jobq.create_queue('r', max_attempts => 1, keep_dead => '10 years',
		keep_completed => '1 h')"
);

# A schedule has fired; rows of history have been moved, and somebody who has
# read them is in the way of emptying the segment.
$node->advance_clock('1 hour');
poll_ok($node, "SELECT runs = 1 FROM jobq.schedules", 'the schedule has fired');

sub finish
{
	$node->sql(
		"SELECT jobq.enqueue('r'); SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('r')");
	return;
}

# turn(): the next segment is the current one.
sub turn
{
	my $before = segment();
	finish();
	return poll_until(
		sub {
			$node->advance_clock('5 hours');
			return poll_until(sub { return segment() != $before }, 1);
		},
		20);
}

turn() or last foreach (1 .. 8);
my $runs = $node->sql("SELECT runs FROM jobq.schedules");
my $segment = segment();
my $next = ($segment + 1) % 8;
cmp_ok($node->sql("SELECT count(*) FROM jobq_store.history_$next WHERE state = 4"),
	'>', 0, 'the old segment has rows that must be moved');
my $reader = $node->background_psql('postgres', on_error_stop => 1);
$reader->query_safe("BEGIN; SELECT count(*) FROM jobq.jobs");
$node->advance_clock('5 hours');
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq_store.history_$next WHERE state = 4",
	'rows of the old segment are moved');
is(segment(), $segment, 'the segment cannot be emptied');
poll_ok($node, "SELECT runs > $runs FROM jobq.schedules", 'the schedule has fired again');
$runs = $node->sql("SELECT runs FROM jobq.schedules");

truncate_xact();

# All goes on.  Reading a new row makes the coordinator forget the one status
# that each process remembers.
$node->sql("SELECT jobq.enqueue('r', ttl => '1 s')");
$node->advance_clock('2 min');
is(segment(), $segment, 'the segment still cannot be emptied');
$reader->query_safe("COMMIT");
$reader->quit;
$node->advance_clock('1 hour');
poll_ok($node, "SELECT runs > $runs FROM jobq.schedules", 'the schedule fires');
poll_ok($node, "SELECT history_segment = $next FROM jobq_store.service", 'the segment is emptied');
ok(turn(), 'history turns to the next segment');
is( $node->sql("SELECT count(*), count(DISTINCT id) FROM jobq_store.history WHERE state = 4"),
	$node->sql("SELECT count(*), count(*) FROM jobq.dead_letters"),
	'no dead letter is lost or doubled');
is(join("\n", grep { /jobq failed in/ } split(/\n/, log_since($node, 0))), '',
	'no task has failed');
is(wait_for_worker($node, 'jobq coordinator'), $coordinator, 'nothing has ended the coordinator');

$node->stop;
done_testing();
