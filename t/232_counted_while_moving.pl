# t/232_counted_while_moving.pl: running jobs are counted for a limit while heartbeats
# move their rows to where the pass over the table has been.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my ($many, $limit) = (200_000, 20);
my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'jobq.sweep_interval = 0',
		'jobq.max_workers = 0',
		'log_statement = none'
	]);

# Many jobs, of which the first are gone and leave room, then one that is running,
# and those that are running at the end of the table. Their leases end late and are
# not listed, so they must be counted once the queues have limits.
$node->sql(
	q{
	CREATE TABLE held (id bigint, lease bigint);
	SELECT jobq.create_queue('many'), jobq.create_queue('control');
	SELECT jobq.create_queue(q, lease => '2 h') FROM unnest('{first,limited}'::text[]) AS q});

sub enqueue_many
{
	my ($n) = @_;
	return $node->sql(
		"SELECT count(*) FROM generate_series(1, $n / 1000) AS i, LATERAL
			jobq.enqueue_many('many', array_fill('1'::jsonb, '{1000}'), priority => i % 1)");
}

enqueue_many(4_000);
$node->sql(q{SELECT jobq.enqueue('first'); SELECT id FROM jobq.dequeue('first')});
enqueue_many($many);
$node->sql("SELECT count(jobq.enqueue('limited')) FROM generate_series(1, $limit)");
$node->sql("INSERT INTO held SELECT id, lease FROM jobq.dequeue('limited', $limit)");
$node->sql("DELETE FROM jobq_store.job WHERE ctid < '(20,1)'");
$node->sql('VACUUM (INDEX_CLEANUP ON) jobq_store.job');

# The jobs that were counted of both queues.
my $watcher = start_session($node);

sub counted
{
	return ask(
		$watcher,
		q{SELECT string_agg(g.running::text, ' ' ORDER BY q.name)
		FROM jobq_store.gates() AS g JOIN jobq_store.queue AS q ON q.id = g.queue
		WHERE q.name IN ('first', 'limited')}) =~ s/\n//r;
}

# Has the session that is told so sleep until the other process waits for the table.
sub until_waits
{
	my ($pid) = @_;
	return qq{DO \$\$ BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $pid
			AND relation = 'jobq_store.job'::regclass)
		LOOP PERFORM pg_sleep(0.002); END LOOP; END \$\$};
}

# Two sessions lock the table in turn, and let the coordinator have one transaction
# at a time, until it has seen the first running job. It waits for 0.5 seconds only, and
# begins its pass anew if that is not enough: so they wait for each other in the server.
my @sessions = map { start_session($node) } 0, 1;
$_->{pid} = ask($_, 'SELECT pg_backend_pid()') + 0 foreach @sessions;
my ($coordinator) = worker_pids($node, 'jobq coordinator');
my $lock = 'BEGIN; LOCK TABLE jobq_store.job';
my $turns = 0;
ask($sessions[0], $lock);
$node->sql(
	"SELECT jobq.alter_queue(q, max_running => $limit)
	FROM unnest('{first,limited}'::text[]) AS q");
is(ask($sessions[0], "SELECT count(*) FROM jobq.dequeue('limited')") + 0,
	0, 'a claim has the running jobs counted');
poll_until(
	sub {
		return 1 if counted() !~ /^0 /;
		my ($holder, $next) = @sessions;
		order($next, until_waits($coordinator) . "; $lock");
		order($holder, until_waits($next->{pid}) . '; COMMIT');
		answer($_) foreach $holder, $next;
		@sessions = ($next, $holder);
		$turns++;
		return 0;
	});
note("$turns transactions of the coordinator");
is(counted(), '1 0', 'the coordinator is in the middle of its pass');

my $holder = $sessions[0];
my $moved = q{SELECT count(*) FROM jobq_store.job JOIN held USING (id, lease)
	WHERE job.ctid < '(20,1)'};
is(ask($holder, $moved) + 0, 0, 'the running jobs are at the end of the table');
my $long = q{SELECT to_jsonb(string_agg(md5(id || i::text), '')) FROM generate_series(1, 50) AS i};
ask($holder, "SELECT count(jobq.heartbeat(id, lease, progress => ($long))) FROM held");
cmp_ok(ask($holder, $moved), '>', 0, 'heartbeats have moved some to the beginning');
ask($holder, 'COMMIT');
end_session($_) foreach @sessions, $watcher;

# A claim that comes too early would have the jobs counted again.
wait_for_rest($node, 'control');
$node->sql("SELECT count(jobq.enqueue('limited')) FROM generate_series(1, $limit)");
is($node->sql("SELECT count(*) FROM jobq.dequeue('limited', $limit)"),
	'0', 'no other job is claimed');
is( $node->sql("SELECT count(*) FROM (SELECT jobq.complete(id, lease) FROM held LIMIT 5) AS ended"),
	'5', 'some jobs end');
my $claimed = 0;
poll_until(
	sub {
		$claimed += $node->sql("SELECT count(*) FROM jobq.dequeue('limited', $limit)");
		return $claimed >= 5;
	});
is($claimed, 5, 'as many are claimed');
limits_settled($node, 'all are counted');

$node->stop;
done_testing();
