# t/195_woken_and_gone.pl: an idle worker that is woken for a job and leaves
# before it has looked for it: another process does.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.worker_idle_timeout = 1h' ]);
$node->sql(
	q{
	CREATE TABLE ran (who name);
	GRANT INSERT ON ran TO PUBLIC;
	CREATE ROLE ann LOGIN; CREATE ROLE bea LOGIN;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{ann,bea}'::regrole[]) AS r;
	CREATE FUNCTION note(payload jsonb) RETURNS void LANGUAGE sql
		AS 'INSERT INTO ran VALUES (current_user)';
	SET ROLE ann; SELECT jobq.create_queue('a', 'note(jsonb)'); SELECT jobq.enqueue('a');
	SET ROLE bea; SELECT jobq.create_queue('b', 'note(jsonb)'); SELECT jobq.enqueue('b')});
poll_ok($node, "SELECT count(*) = 2 FROM ran", 'each role has a worker');
poll_ok(
	$node,
	"SELECT count(*) = 2 FROM jobq.workers WHERE kind = 'executor' AND state = 'idle'",
	'both are idle');
my $ann = $node->sql("SELECT pid FROM jobq.workers WHERE role = 'ann'::regrole");
my $bea = $node->sql("SELECT pid FROM jobq.workers WHERE role = 'bea'::regrole");

# There is room for one of them from now on; the other one is asleep until the
# woken one has left.
kill('STOP', $ann, $bea);
$node->sql("SELECT jobq.enqueue('a')");
$node->append_conf('postgresql.conf', 'jobq.max_workers = 1');
$node->reload;
poll_ok($node, "SELECT current_setting('jobq.max_workers') = '1'", 'there is room for one worker');
kill('CONT', $ann);
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $ann",
	'the worker that was woken has left');
kill('CONT', $bea);
within(
	30,
	'the job that it was woken for is run at once',
	sub { return poll_query($node, "SELECT count(*) = 3 FROM ran") });

done_testing();
