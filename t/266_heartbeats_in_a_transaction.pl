# t/266_heartbeats_in_a_transaction.pl: several heartbeats in a transaction, of which
# any may move the row of a running job that has not been counted: it is counted before
# the commit, and once, whatever savepoints are rolled back.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'jobq.sweep_interval = 0',
		'jobq.max_workers = 0',
		'log_statement = none'
	]);

# A job of each queue is in the first blocks, which are almost full, and held by a lease
# that ends late, so that it is not listed.
my @queues = ('twice', 'thrice', 'kept', 'undone', 'grouped');
foreach my $queue (@queues, 'filler')
{
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '2 h');
		SELECT jobq.enqueue('$queue', group_key => 'g'), jobq.enqueue('$queue', group_key => 'g')});
}
$node->sql(
	q{SELECT jobq.create_queue('rest');
	SELECT count(*) FROM jobq.enqueue_many('rest', array_fill('1'::jsonb, '{500}'), delay => '1 y');
	CREATE TABLE held (queue text, id bigint, lease bigint)});
$node->sql("INSERT INTO held SELECT queue, id, lease FROM jobq.dequeue('$_')")
  foreach (@queues, 'filler');
dismiss_coordinator($node);

# How many of the queue's jobs are counted, and the gate.
sub gate
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT g.running, g.counted FROM jobq_store.gates() AS g
		JOIN jobq_store.queue AS q ON q.id = g.queue WHERE q.name = '$queue'");
}

# A heartbeat that leaves the row in its block, and one for which there is no room there.
sub stays
{
	my ($queue) = @_;
	return "SELECT jobq.heartbeat(id, lease, '3 h') FROM held WHERE queue = '$queue'";
}

sub moves
{
	my ($queue) = @_;
	return "SELECT jobq.heartbeat(id, lease, '3 h', (SELECT to_jsonb(string_agg(md5(i::text), ''))
		FROM generate_series(1, 40) AS i)) FROM held WHERE queue = '$queue'";
}

# The block of the job, as a session sees it.
sub place
{
	my ($queue, $session) = @_;
	my $query = "SELECT (ctid::text::point)[0] FROM jobq_store.job WHERE id =
		(SELECT id FROM held WHERE queue = '$queue')";
	return $node->sql($query) unless defined $session;
	return ask($session, $query) =~ /^(\d+)$/m ? $1 : '';
}

# No version of a row is removed as long as this snapshot is there.
my $reader = start_session($node);
ask($reader, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($reader, 'SELECT 2');
my $session = start_session($node);
my %place = map { $_ => place($_) } (@queues, 'filler');
$node->sql(moves('filler')) while place('filler') == $place{filler};
is(gate($_), '0|f', "$_: the job is not counted") foreach (@queues);
$node->sql("SELECT jobq.alter_queue('$_', max_running => 1)") foreach ('twice', 'thrice');
$node->sql(q{SELECT jobq.alter_queue('grouped', max_running_per_group => 1)});

# The first heartbeat of a transaction leaves the row in its block.
sub begin_in_place
{
	my ($queue) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ask($session, 'BEGIN; ' . stays($queue));
	is(place($queue, $session), $place{$queue}, "$queue: the first one does not move the row");
	is(gate($queue), '0|f', "$queue: it does not count the job");
	return;
}

begin_in_place('twice');
ask($session, moves('twice'));
isnt(place('twice', $session), $place{twice}, 'twice: the second one moves the row');
is(gate('twice'), '1|f', 'twice: the job is counted before the commit');
ask($session, 'COMMIT');
is(gate('twice'), '1|f', 'twice: and after it');

# Savepoints
begin_in_place('thrice');
ask($session, 'SAVEPOINT a; ' . moves('thrice'));
is(gate('thrice'), '1|f', 'thrice: counted in a savepoint');
ask($session, 'ROLLBACK TO a');
is(gate('thrice'), '1|f', 'thrice: counted once the savepoint is rolled back');
ask($session, moves('thrice') . '; COMMIT');
is(gate('thrice'), '1|f', 'thrice: counted once');

begin_in_place('grouped');
ask($session, 'SAVEPOINT a; ' . moves('grouped') . '; RELEASE a');
is(gate('grouped'), '1|f', 'grouped: counted before the commit');
ask($session, 'COMMIT');

# Without a limit, a lease that ends late takes no room but for that time.
begin_in_place('kept');
ask($session, moves('kept'));
is(gate('kept'), '1|f', 'without a limit: counted before the commit');
ask($session, 'COMMIT');
is(gate('kept'), '0|f', 'without a limit: not listed afterwards');

# A claim brings a ticket of its own, heartbeats or not.
ask($session, q{BEGIN; INSERT INTO held SELECT 'claimed', id, lease FROM jobq.dequeue('undone')});
is(gate('undone'), '1|f', 'a claim: its ticket');
ask($session, stays('claimed') . '; ' . moves('claimed') . '; ' . moves('claimed'));
is(gate('undone'), '1|f', 'a claim with heartbeats: its ticket');
ask($session, 'ROLLBACK');
is(gate('undone'), '0|f', 'a claim with heartbeats, rolled back: none');
ask($session, 'BEGIN; SAVEPOINT a');
ask($session, q{INSERT INTO held SELECT 'claimed', id, lease FROM jobq.dequeue('undone')});
ask($session, moves('claimed'));
ask($session, 'ROLLBACK TO a');
is(gate('undone'), '0|f', 'a claim with a heartbeat, rolled back to a savepoint: none');
ask($session, stays('undone') . '; ' . moves('undone'));
is(gate('undone'), '1|f', 'after that, a job that moves is counted');
ask($session, 'ROLLBACK');
end_session($session);
end_session($reader);

my @limited = ('twice', 'thrice', 'grouped');
is($node->sql("SELECT count(*) FROM jobq.dequeue('$_')"), '0', "$_: no other job starts")
  foreach (@limited);
limits_settled($node, 'all are counted');
$node->sql('SELECT jobq.complete(id, lease) FROM held');
is($node->sql("SELECT count(*) FROM jobq.dequeue('$_')"), '1', "$_: the next one starts")
  foreach (@limited);
limits_settled($node, 'at the end');

$node->stop;
done_testing();
