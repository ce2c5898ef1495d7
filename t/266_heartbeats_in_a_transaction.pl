# t/266_heartbeats_in_a_transaction.pl: several heartbeats in a transaction, of which
# any may move the row of a running job that has not been counted: it is counted before
# the commit, and once, whatever savepoints are rolled back.

use strict;
use warnings;

use JobqLimits;
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

my @queues = ('twice', 'thrice', 'kept', 'undone', 'grouped');
hold_uncounted($node, @queues);
dismiss_coordinator($node);

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
is(gate($node, $_), '0|f', "$_: the job is not counted") foreach (@queues);
$node->sql("SELECT jobq.alter_queue('$_', max_running => 1)") foreach ('twice', 'thrice');
$node->sql(q{SELECT jobq.alter_queue('grouped', max_running_per_group => 1)});

# The first heartbeat of a transaction leaves the row in its block.
sub begin_in_place
{
	my ($queue) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ask($session, 'BEGIN; ' . stays($queue));
	is(place($queue, $session), $place{$queue}, "$queue: the first one does not move the row");
	is(gate($node, $queue), '0|f', "$queue: it does not count the job");
	return;
}

begin_in_place('twice');
ask($session, moves('twice'));
isnt(place('twice', $session), $place{twice}, 'twice: the second one moves the row');
is(gate($node, 'twice'), '1|f', 'twice: the job is counted before the commit');
ask($session, 'COMMIT');
is(gate($node, 'twice'), '1|f', 'twice: and after it');

# Savepoints
begin_in_place('thrice');
ask($session, 'SAVEPOINT a; ' . moves('thrice'));
is(gate($node, 'thrice'), '1|f', 'thrice: counted in a savepoint');
ask($session, 'ROLLBACK TO a');
is(gate($node, 'thrice'), '1|f', 'thrice: counted once the savepoint is rolled back');
ask($session, moves('thrice') . '; COMMIT');
is(gate($node, 'thrice'), '1|f', 'thrice: counted once');

begin_in_place('grouped');
ask($session, 'SAVEPOINT a; ' . moves('grouped') . '; RELEASE a');
is(gate($node, 'grouped'), '1|f', 'grouped: counted before the commit');
ask($session, 'COMMIT');

# Without a limit, a lease that ends late takes no room but for that time.
begin_in_place('kept');
ask($session, moves('kept'));
is(gate($node, 'kept'), '1|f', 'without a limit: counted before the commit');
ask($session, 'COMMIT');
is(gate($node, 'kept'), '0|f', 'without a limit: not listed afterwards');

# A claim brings a ticket of its own, heartbeats or not.
ask($session, q{BEGIN; INSERT INTO held SELECT 'claimed', id, lease FROM jobq.dequeue('undone')});
is(gate($node, 'undone'), '1|f', 'a claim: its ticket');
ask($session, stays('claimed') . '; ' . moves('claimed') . '; ' . moves('claimed'));
is(gate($node, 'undone'), '1|f', 'a claim with heartbeats: its ticket');
ask($session, 'ROLLBACK');
is(gate($node, 'undone'), '0|f', 'a claim with heartbeats, rolled back: none');
ask($session, 'BEGIN; SAVEPOINT a');
ask($session, q{INSERT INTO held SELECT 'claimed', id, lease FROM jobq.dequeue('undone')});
ask($session, moves('claimed'));
ask($session, 'ROLLBACK TO a');
is(gate($node, 'undone'), '0|f', 'a claim with a heartbeat, rolled back to a savepoint: none');
ask($session, stays('undone') . '; ' . moves('undone'));
is(gate($node, 'undone'), '1|f', 'after that, a job that moves is counted');
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
