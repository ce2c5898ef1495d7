# t/302_costs_that_stay.pl: what does not cost more the more there is: unique_for with many
# finished jobs of a key, flow_check() with many queues, and the passes over history for
# dropped queues, which take a share of the time.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'jobq.max_workers = 2' ]);

# ------------------------------------------------------------------- unique_for

# What a statement reads of history, in rows.
sub history_read_by
{
	my ($sql) = @_;
	return $node->sql(
		qq{BEGIN; $sql;
		SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables
		WHERE schemaname = 'jobq_store' AND relname ~ '^history';
		ROLLBACK}) =~ s/.*\n//sr;
}

$node->sql(q{SELECT jobq.create_queue('u'), jobq.create_queue('rest')});
foreach my $key (qw(cancelled completed))
{
	$node->sql(
		qq{DO \$\$ BEGIN
		FOR i IN 1 .. 500 LOOP
			PERFORM jobq.enqueue('u', unique_key => '$key');
			IF '$key' = 'completed' THEN
				PERFORM jobq.take('u');
			ELSE
				PERFORM jobq.cancel(id) FROM jobq.jobs WHERE queue = 'u' AND finished_at IS NULL;
			END IF;
		END LOOP;
		END \$\$});
}
is($node->sql(q{SELECT count(*) FROM jobq_store.history WHERE unique_key = 'completed'}),
	'500', 'a key has many finished jobs');
my $enqueue = q{SELECT jobq.enqueue('u', unique_key => '%s', unique_for => '1 h')};
cmp_ok(history_read_by(sprintf($enqueue, 'cancelled')),
	'<', 10, 'cancelled jobs of a key are not read for unique_for');
cmp_ok(history_read_by(sprintf($enqueue, 'completed')),
	'<', 10, 'of completed ones only the newest is');
is( $node->sql(sprintf($enqueue, 'completed')),
	$node->sql(q{SELECT max(id) FROM jobq_store.history WHERE unique_key = 'completed'}),
	'enqueue() returns the newest completed job of the key');
is( $node->sql(
		q{SELECT jobq.enqueue('u', unique_key => 'cancelled', unique_for => '1 h')
		> max(id) FROM jobq_store.history}),
	't',
	'a cancelled job does not count');

# ------------------------------------------------------------------ flow_check()

my $count = 'SELECT count(*) FROM jobq_store.flow_check()';
my $scans = q{SELECT seq_scan + idx_scan FROM pg_stat_xact_all_tables
	WHERE relid = 'jobq_store.job'::regclass};
$node->sql(
	"SELECT jobq.create_queue('z' || g, max_running => 3) FROM generate_series(1, 200) AS g");
my ($differences, $n) = split(/\n/, $node->sql("BEGIN; $count; $scans; COMMIT"));
is($differences, '0', 'flow_check() finds nothing');
cmp_ok($n, '<', 20, 'flow_check() does not read the jobs for each queue');

# ------------------------------------------------------------- dropped queues

# Fills history with jobs of a queue, and drops it. Returns its id.
sub drop_large_queue
{
	$node->sql(
		q{SELECT jobq.create_queue('large');
		SELECT jobq.enqueue('large', jsonb_build_object('x', repeat('x', 1000)));
		SELECT count(*) FROM jobq.take('large')});
	my $id = $node->sql(q{SELECT id FROM jobq_store.queue WHERE name = 'large'});
	my $columns = $node->sql(
		q{SELECT string_agg(attname, ', ') FROM pg_attribute
		WHERE attrelid = 'jobq_store.history'::regclass AND attnum > 0
			AND attname NOT IN ('id', 'segment')});
	$node->sql(
		"INSERT INTO jobq_store.history (id, segment, $columns)
		SELECT -g, 1 + g % 7, $columns FROM jobq_store.history, generate_series(1, 40000) AS g
		WHERE queue = $id");
	$node->sql(q{SELECT jobq.drop_queue('large')});
	return $id;
}

# Stops the coordinator in the middle of a pass over what such a queue has left; returns
# its PID, or nothing if the pass was over before that.
sub stop_in_pass
{
	my $id = drop_large_queue();
	my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
	$node->advance_clock('605 s');
	poll_query($node, "SELECT count(*) <= 40000 FROM jobq_store.history WHERE queue = $id")
	  or die "no pass has begun\n";
	kill('STOP', $coordinator) or die "kill: $!\n";
	return $coordinator
	  if $node->sql("SELECT count(*) FROM jobq_store.gone_queue WHERE id = $id") eq '1';
	kill('CONT', $coordinator) or die "kill: $!\n";
	return;
}

# A pass that takes 13 s by the stopwatch may be repeated after 650 s, not after 600.
$node->create_clock;
$node->sql(
	q{SELECT jobq.create_queue('late');
	SELECT jobq.enqueue('late');
	SELECT count(*) FROM jobq.take('late')});
my $stopped = poll_until(\&stop_in_pass);
sleep(13);
ok($stopped && kill('CONT', $stopped), 'a pass over dropped queues is held up');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.gone_queue', 'the pass ends');
$node->sql(q{SELECT jobq.drop_queue('late')});
$node->advance_clock('605 s');
wait_for_rest($node, 'rest');
is($node->sql('SELECT count(*) FROM jobq_store.gone_queue'),
	'1', 'the next one waits fifty times as long as it took');
ok( poll_until(
		sub {
			$node->advance_clock('600 s');
			return $node->sql('SELECT count(*) = 0 FROM jobq_store.gone_queue') eq 't';
		}),
	'the next pass comes');

done_testing();
