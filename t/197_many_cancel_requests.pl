# t/197_many_cancel_requests.pl: however many jobs of a role are to be cancelled
# when they are free, the coordinator does that in parts, and leaves none out.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = 10000;
my $node = jobq_node('main', conf => [ 'autovacuum = off', 'log_statement = none' ]);
$node->sql("SELECT jobq.create_queue('q'), jobq.create_queue('late')");
$node->sql("SELECT count(jobq.enqueue('q')) FROM generate_series(1, $many)");
my $late = $node->sql("SELECT jobq.enqueue('late')");

my $session = start_session($node);
ask($session, "BEGIN; SELECT count(*) FROM jobq.dequeue('q', $many)");
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND jobq.cancel(id)"),
	$many, 'cancel() leaves requests');
is($node->sql('SELECT count(*) FROM jobq_store.cancel_request'), $many, 'one for each job');

# One that is made while the others are looked at is carried out, too.
my $other = start_session($node);
ask($other, "BEGIN; SELECT count(*) FROM jobq.dequeue('late')");
$node->sql("SELECT jobq.cancel($late)");
ask($other, 'ROLLBACK');
poll_ok(
	$node,
	"SELECT state = 'cancelled' FROM jobq.jobs WHERE id = $late",
	'a request that others are before is carried out');
is($node->sql('SELECT count(*) FROM jobq_store.cancel_request'), $many, 'the others are left');

ask($session, 'ROLLBACK');
poll_ok(
	$node,
	'SELECT count(*) = 0 FROM jobq_store.cancel_request',
	'all of them are when their jobs are free',
	seconds => 60);
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND state = 'cancelled'"),
	$many, 'the jobs are cancelled');
cmp_ok($node->sql("SELECT count(DISTINCT xmin::text) FROM jobq_store.history"),
	'>', 5, 'in many transactions');

$node->stop;
done_testing();
