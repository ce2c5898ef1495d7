# t/192_max_running_alone.pl: without a coordinator, claims count what is
# running, and end leases that are over, but not on the strength of what their
# own transaction may take back.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['fsync = off']);
$node->create_clock;

dismiss_coordinator($node);

my $claim = q{SELECT count(*) FROM jobq.dequeue('q', 5)};
my $held = 'SELECT id, lease FROM jobq_store.job WHERE state = 1 LIMIT 1';
my $check = 'SELECT memory, rows FROM jobq_store.flow_check()';
my $gates = 'SELECT running, counted FROM jobq_store.gates()';

$node->sql(
	q{SELECT jobq.create_queue('q', max_running => 2, lease => '1 minute', backoff_base => '0 s');
	SELECT jobq.enqueue('q') FROM generate_series(1, 5)});
is($node->sql($claim), '2', 'as many as the limit');

# The lease runs out while the transaction that ends it goes on.  A savepoint
# keeps the ended job's ticket from being lent.
my $session = start_session($node);
foreach my $end ('complete(j.id, j.lease)', 'release(j.id, j.lease)')
{
	ask($session, "BEGIN; DO \$\$BEGIN PERFORM jobq.$end FROM ($held) AS j; END\$\$; SAVEPOINT s");
	$node->advance_clock('2 minutes');
	is(ask($session, $claim) + 0, 0, "$end: the gate is shut");
	ask($session, 'ROLLBACK');
	is($node->sql($check), '', "$end, rolled back: it is counted");
	is($node->sql($claim), '0', "$end, rolled back: leases that are over are ended");
	is($node->sql($claim), '2', "$end, rolled back: both places are free");
}
end_session($session);

# Those of other queues are left alone: the claim would hold their jobs for as
# long as its transaction goes on.
$node->sql(
	q{SELECT jobq.create_queue('r', lease => '1 minute'), jobq.enqueue('r');
	SELECT jobq.dequeue('r')});
$node->advance_clock('2 minutes');
is($node->sql($claim), '0', 'the gate is shut again, by leases that are over');
is($node->sql(q{SELECT count(*) FROM jobq_store.job WHERE state = 1}),
	'1', 'only leases of the queue itself are ended');
is($node->sql($claim), '2', 'its places are free');
$node->sql(q{SELECT jobq.drop_queue('r', force => true)});

# A start of the server leaves it to the first claim.
$node->restart;
is( $node->sql(
		"BEGIN; DO \$\$BEGIN PERFORM jobq.complete(j.id, j.lease) FROM ($held) AS j; END\$\$;
		$claim; ROLLBACK; $gates"),
	"0\n0|f",
	'who has ended a job does not count');
is($node->sql("$claim; $gates"), "0\n2|t", 'another claim counts them');
is($node->sql($check), '', 'a claim counts each once');

$node->stop;
done_testing();
