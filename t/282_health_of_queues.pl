# t/282_health_of_queues.pl: health looks at queues, not at their jobs, and says what an
# owner lacks.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 0']);

# Rows that health has read from the indexes of the jobs
sub rows_read
{
	my $read = q{SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
		WHERE indexrelname IN ('job_dispatch', 'job_group')};
	my $before = $node->sql($read);
	$node->sql('SELECT count(*) FROM jobq.health');
	my $after;
	poll_until(
		sub {
			$after = $node->sql($read);
			return $after > $before;
		});
	return $after - $before;
}

$node->sql(
	q{
	SELECT count(jobq.create_queue('q' || i)) FROM generate_series(1, 100) AS i;
	SELECT count(*) FROM generate_series(1, 100) AS i,
		jobq.enqueue_many('q' || i, array_fill('1'::jsonb, '{20}'));
	SELECT count(*) FROM generate_series(1, 100) AS i,
		jobq.enqueue_many('q' || i, array_fill('1'::jsonb, '{20}'),
			group_keys => array_fill('g'::text, '{20}'))});
$node->sql('VACUUM ANALYZE jobq_store.job');
cmp_ok(rows_read(), '<', 4000, 'health reads fewer rows than there are jobs');

$node->sql(
	q{
	CREATE ROLE bob LOGIN;
	GRANT CREATE ON SCHEMA public TO bob;
	SELECT jobq.grant_usage('bob', may_create => true);
	SET ROLE bob;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql AS 'SELECT';
	SELECT jobq.create_queue('work', 'work(jobq.job)');
	RESET ROLE;
	SELECT jobq.revoke_usage('bob')});
is( $node->sql(q{SELECT message, hint FROM jobq.health WHERE topic = 'handler'}),
	q{the queue's handler cannot be called: permission denied for schema jobq}
	  . q{|Use jobq.grant_usage('bob'), or give the queue a handler that takes jsonb.},
	'the owner of a handler with jobq.job needs the use of jobq');

$node->stop;
done_testing();
