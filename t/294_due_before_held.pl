# t/294_due_before_held.pl: a delayed job that comes before one that holds its group starts
# when it is due, though nobody adds anything then.  There are no sweeps: nothing but the
# protocol wakes anybody.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.sweep_interval = 0', "jobq.log_jobs = 'none'" ]);

my $waits = start_session($node);
foreach my $n (1, 2)
{
	$node->sql(
		qq{SELECT jobq.create_queue('q$n', max_running_per_group => 1, lease => '1 h');
		SELECT jobq.enqueue('q$n', '"held"', group_key => 'g');
		SELECT jobq.fail(id, lease, 'not now', retry_in => '1 h') FROM jobq.dequeue('q$n')});
	is($node->sql("SELECT count(*) FROM jobq.dequeue('q$n')"), '0', "q$n: a job holds its group");
	$node->sql(
		qq{SELECT jobq.enqueue('q$n', '"before"', group_key => 'g', priority => -1,
			delay => '1 s');
		SELECT jobq.enqueue('q$n', '"behind"', group_key => 'g')});
}
$node->sql(
	q{CREATE TABLE ran (payload jsonb);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql AS
		'INSERT INTO public.ran VALUES (j.payload)';
	SELECT jobq.alter_queue('q2', 'work(jobq.job)')});
order($waits, q{CALL jobq.wait('{q1}', '30 s')});
is(answer($waits), "t\n", 'a session is woken for a job before the one that holds its group');
is($node->sql(q{SELECT payload FROM jobq.dequeue('q1', 9)}), '"before"', 'it gets that job');
poll_ok(
	$node, q{SELECT string_agg(payload::text, ' ') FROM ran}, 'an executor runs it, too',
	seconds => 30,
	expected => '"before"');
end_session($waits);
limits_settled($node, 'in the end');

$node->stop;
done_testing();
