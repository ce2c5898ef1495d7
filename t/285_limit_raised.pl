# t/285_limit_raised.pl: jobs of a group start when its limit is raised, though nothing
# else happens.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 4', 'jobq.worker_idle_timeout = 1h' ]);

$node->sql(
	q{
	CREATE TABLE done (payload jsonb);
	CREATE FUNCTION work(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  IF payload = '0' THEN
	    PERFORM pg_sleep(300);
	  END IF;
	  INSERT INTO done VALUES (payload);
	END$$});
foreach my $change (
	q{jobq.alter_queue('q', max_running_per_group => 4)},
	q{jobq.reset_queue('q', 'max_running_per_group')})
{
	$node->sql(
		q{
		SELECT jobq.create_queue('q', 'work(jsonb)', max_running_per_group => 1);
		SELECT count(*) FROM jobq.enqueue_many('q', '{0,1,2}', group_keys => '{a,a,a}')});
	poll_ok(
		$node,
		q{SELECT running FROM jobq.queues WHERE queue = 'q'},
		'one job of the group runs',
		expected => '1');
	$node->sql("SELECT $change");
	poll_ok($node, 'SELECT count(*) FROM done', "the others run after $change", expected => '2');
	$node->sql(q{SELECT jobq.drop_queue('q', force => true); TRUNCATE done});
}

$node->stop;
done_testing();
