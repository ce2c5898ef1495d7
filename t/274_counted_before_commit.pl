# t/274_counted_before_commit.pl: a heartbeat that moves the row of a running job which
# has not been counted counts it before the commit, so that a pass over the table cannot
# miss it.

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
		'max_prepared_transactions = 2',
		'log_statement = none'
	]);

# A job of each queue is in the first blocks, which are full, and held by a lease that
# ends late, so that it is not listed.
my @queues = ('plain', 'limited', 'grouped', 'prepared');
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

# A heartbeat, with a value for which there is no room where the job is.
sub heartbeat
{
	my ($queue) = @_;
	return "SELECT jobq.heartbeat(id, lease, '3 h', (SELECT to_jsonb(string_agg(md5(i::text), ''))
		FROM generate_series(1, 40) AS i)) FROM held WHERE queue = '$queue'";
}

sub place
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT (ctid::text::point)[0] FROM jobq_store.job WHERE id =
		(SELECT id FROM held WHERE queue = '$queue')");
}

# No version of a row is removed as long as this snapshot is there.
my $reader = start_session($node);
ask($reader, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($reader, 'SELECT 2');
my $session = start_session($node);
my %place = map { $_ => place($_) } (@queues, 'filler');
$node->sql(heartbeat('filler')) while place('filler') == $place{filler};
is(gate($_), '0|f', "$_: the job is not counted") foreach (@queues);

# Without a limit, a lease that ends late takes no room but for that time.
ask($session, 'BEGIN; ' . heartbeat('plain'));
is(gate('plain'), '1|f', 'plain: counted before the commit');
ask($session, 'COMMIT');
is(gate('plain'), '0|f', 'plain: not listed afterwards');

$node->sql(
	q{SELECT jobq.alter_queue('limited', max_running => 1),
		jobq.alter_queue('prepared', max_running => 1),
		jobq.alter_queue('grouped', max_running_per_group => 1)});
foreach my $end ('ROLLBACK', 'COMMIT')
{
	ask($session, 'BEGIN; ' . heartbeat('limited'));
	is(gate('limited'), '1|f', "limited, $end: counted before that");
	ask($session, $end);
	is(gate('limited'), '1|f', "limited, $end: counted after that");
}
ask($session, 'BEGIN; ' . heartbeat('grouped') . '; COMMIT');
is(gate('grouped'), '1|f', 'grouped: counted');

# The session that commits it knows nothing of the job.
ask($session, 'BEGIN; ' . heartbeat('prepared') . q{; PREPARE TRANSACTION 'p'});
is(gate('prepared'), '1|f', 'prepared: counted');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('prepared')}), '0', 'prepared: a pass');
is(gate('prepared'), '1|t', 'prepared: the pass has counted it once');
ask($session, q{COMMIT PREPARED 'p'});
is(gate('prepared'), '1|t', 'prepared: it is counted after COMMIT PREPARED');
end_session($session);

isnt(place($_), $place{$_}, "$_: the row was moved") foreach (@queues);
end_session($reader);
is($node->sql("SELECT count(*) FROM jobq.dequeue('$_')"), '0', "$_: no other job starts")
  foreach (grep { $_ ne 'plain' } @queues);
limits_settled($node, 'all are counted');
$node->sql('SELECT jobq.complete(id, lease) FROM held');
is($node->sql("SELECT count(*) FROM jobq.dequeue('$_')"), '1', "$_: the next one starts")
  foreach (@queues);
limits_settled($node, 'at the end');

$node->stop;
done_testing();
