# t/274_counted_before_commit.pl: a heartbeat that moves the row of a running job which
# has not been counted counts it before the commit, so that a pass over the table cannot
# miss it.

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
		'max_prepared_transactions = 2',
		'log_statement = none'
	]);

my @queues = ('plain', 'limited', 'grouped', 'prepared');
hold_uncounted($node, @queues);
dismiss_coordinator($node);

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
is(gate($node, $_), '0|f', "$_: the job is not counted") foreach (@queues);

# Without a limit, a lease that ends late takes no room but for that time.
ask($session, 'BEGIN; ' . heartbeat('plain'));
is(gate($node, 'plain'), '1|f', 'plain: counted before the commit');
ask($session, 'COMMIT');
is(gate($node, 'plain'), '0|f', 'plain: not listed afterwards');

$node->sql(
	q{SELECT jobq.alter_queue('limited', max_running => 1),
		jobq.alter_queue('prepared', max_running => 1),
		jobq.alter_queue('grouped', max_running_per_group => 1)});
foreach my $end ('ROLLBACK', 'COMMIT')
{
	ask($session, 'BEGIN; ' . heartbeat('limited'));
	is(gate($node, 'limited'), '1|f', "limited, $end: counted before that");
	ask($session, $end);
	is(gate($node, 'limited'), '1|f', "limited, $end: counted after that");
}
ask($session, 'BEGIN; ' . heartbeat('grouped') . '; COMMIT');
is(gate($node, 'grouped'), '1|f', 'grouped: counted');

# The session that commits it knows nothing of the job.
ask($session, 'BEGIN; ' . heartbeat('prepared') . q{; PREPARE TRANSACTION 'p'});
is(gate($node, 'prepared'), '1|f', 'prepared: counted');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('prepared')}), '0', 'prepared: a pass');
is(gate($node, 'prepared'), '1|t', 'prepared: the pass has counted it once');
ask($session, q{COMMIT PREPARED 'p'});
is(gate($node, 'prepared'), '1|t', 'prepared: it is counted after COMMIT PREPARED');
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
