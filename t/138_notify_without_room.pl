# t/138_notify_without_room.pl: queues without room in shared memory:
# listeners on their channel, and sessions that wait for them, are still
# woken.
#
# runs alone: it measures how soon a session wakes up.

use strict;
use warnings;

use JobqTest;
use Test::More;

# Room for some 400 queues, of which one role gets half.
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.shared_memory = 1MB' ]);

$node->sql(
	q{
	SELECT count(jobq.create_queue('q' || i)) FROM generate_series(1, 2000) AS i;
	SELECT jobq.create_queue('mine');
	SELECT jobq.create_queue('silent', notify => false);
	SELECT jobq.create_queue('other')});
like(
	$node->sql(
		q{SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object = 'queues'}),
	qr/no room for \d+ queues/,
	'shared memory has no room for the queue');

# Reads from a session until it has been notified; returns the channels.
sub channels
{
	my ($session) = @_;
	my $all = '';
	poll_until(
		sub {
			$all .= $session->query_safe('SELECT 1');
			return $all =~ /Asynchronous notification/;
		},
		20);
	return join(' ', $all =~ /Asynchronous notification "([^"]+)"/g);
}

my $listener = $node->background_psql('postgres');
$listener->query_safe(q{SELECT jobq.listen(q) FROM unnest('{mine,silent}'::text[]) AS q});
$node->sql(q{SELECT jobq.enqueue('mine')});
is(channels($listener), 'jobq.mine', 'a listener is notified of a job');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('mine')});
$node->sql(q{SELECT jobq.enqueue('mine', delay => '300 ms')});
is(channels($listener), 'jobq.mine', 'a listener is notified of a job that becomes due');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('mine')});
$node->sql(q{SELECT jobq.enqueue('silent'); SELECT jobq.enqueue('mine')});
is(channels($listener), 'jobq.mine', 'no listener is notified of a queue with notify off');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue_any('{mine,silent}', 2)});
$node->sql(q{SELECT jobq.pause('mine'); SELECT jobq.enqueue('mine')});
$node->sql(q{SELECT jobq.resume('mine')});
is(channels($listener), 'jobq.mine', 'a listener is notified when the queue is resumed');
$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('mine')});
$listener->quit;

# A second is what a waiter takes that nobody wakes. The server's own times, which do not
# contain the start of a client.
my $now = 'extract(epoch FROM clock_timestamp())';
my $waiter = $node->background_psql('postgres');
my $fast = 0;
foreach my $round (1 .. 8)
{
	$waiter->query_until(qr/sent/,
		"\\echo sent\nCALL jobq.wait('{other}', '30 s');\nSELECT 'over $round', $now;\n");
	poll_ok(
		$node,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension'
			AND query LIKE 'CALL%'},
		"round $round: a session waits");
	my $began = $node->sql("SELECT $now FROM jobq.enqueue('other')");
	my ($ended) = $waiter->query_until(qr/over $round\|\S+\n/, '') =~ /over $round\|(\S+)/;
	$fast++ if $ended - $began < 0.4;
	$node->sql(q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('other')});
}
cmp_ok($fast, '>=', 6, 'a waiter is woken');
$waiter->quit;

# Such a queue with a handler is no reason to start an executor, unless it has
# a job.
$node->sql(
	q{
	CREATE ROLE mallory LOGIN;
	SELECT jobq.grant_usage('mallory');
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS '';
	GRANT EXECUTE ON FUNCTION work TO PUBLIC});
$node->append_conf('postgresql.conf', "jobq.max_workers = 4\njobq.worker_idle_timeout = '1h'");
$node->restart;
$node->sql(
	q{
	SELECT count(jobq.create_queue('h' || i, 'work(jsonb)')) FROM generate_series(1, 20) AS i;
	SELECT jobq.create_queue('theirs', 'work(jsonb)');
	SELECT jobq.alter_queue('theirs', owner => 'mallory');
	SELECT jobq.enqueue('theirs')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'theirs' AND state = 'completed'},
	'a job of another role is run',
	expected => '1');
is( $node->sql(
		q{SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity
			WHERE backend_type = 'jobq executor'}),
	'mallory',
	'no executor is started for a queue without a job');
$node->sql(q{SELECT jobq.enqueue('h20')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'h20' AND state = 'completed'},
	'one is started for a job of a queue without room',
	expected => '1');

$node->stop;
done_testing();
