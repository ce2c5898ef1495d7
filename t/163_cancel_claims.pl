# t/163_cancel_claims.pl: a job is cancelled while a transaction that has
# claimed it is open.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['log_statement = none']);
$node->sql(q{SELECT jobq.create_queue('q', max_attempts => 1)});
my $session = start_session($node);

# The claim, with what is done after it in the same transaction; what cancel()
# returns; the end of the transaction; the state of the job then.
sub is_cancelled
{
	my ($work, $returned, $end, $state, $name) = @_;
	my $job = $node->sql(q{SELECT jobq.enqueue('q')});
	ask($session, q{BEGIN; SELECT id, lease FROM jobq.dequeue('q', lease => '1 h') \gset});
	ask($session, $work) if $work ne '';
	is($node->sql("SELECT jobq.cancel($job)"), $returned, "$name: what cancel() returns");
	ask($session, $end);
	poll_ok(
		$node,
		"SELECT state = '$state' FROM jobq.jobs WHERE id = $job",
		"$name: the job becomes $state");
	poll_ok(
		$node,
		'SELECT count(*) = 0 FROM jobq_store.cancel_request',
		"$name: no request is left");
	$node->sql("SELECT jobq.cancel($job), jobq.delete($job)");
	return;
}

my $complete = 'SELECT jobq.complete(:id, :lease)';
is_cancelled('', 't', 'COMMIT', 'cancelled', 'claimed');
is_cancelled('', 't', 'ROLLBACK', 'cancelled', 'claimed and rolled back');
is_cancelled($complete, 'f', 'COMMIT', 'completed', 'completed');
is_cancelled($complete, 'f', 'ROLLBACK', 'ready', 'completed and rolled back');
is_cancelled(q{SELECT jobq.fail(:id, :lease, 'no')}, 'f', 'COMMIT', 'dead', 'dead');
is_cancelled('SELECT jobq.release(:id, :lease)', 't', 'COMMIT', 'cancelled', 'released');
my $undone = "SAVEPOINT s; $complete; ROLLBACK TO s";
is_cancelled($undone, 't', 'COMMIT', 'cancelled', 'completion rolled back');
is_cancelled("$undone; $complete", 'f', 'COMMIT', 'completed', 'completed after all');
is_cancelled(
	q{SELECT jobq.heartbeat(:id, :lease); SAVEPOINT s; SELECT jobq.heartbeat(:id, :lease);}
	  . " $complete; RELEASE s",
	'f', 'COMMIT', 'completed', 'changed several times and completed');

done_testing();
