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

# Jobs of a paused group wait for no worker, and those of a batch that is not full do not
# either. A role that may not read all queues is told the same.
$node->sql(
	q{
	CREATE ROLE eve LOGIN;
	SELECT jobq.grant_usage('eve');
	SELECT jobq.create_queue('halted');
	SELECT jobq.create_queue('gathers', batch_size => 10, batch_wait => '1 d');
	SELECT jobq.grant_queue('halted', 'eve', 'read');
	SELECT jobq.grant_queue('gathers', 'eve', 'read');
	SELECT jobq.pause('halted', 'g');
	SELECT jobq.enqueue('halted', group_key => 'g'), jobq.enqueue('gathers');
	UPDATE jobq_store.job SET run_at = now() - interval '1 h' FROM jobq_store.queue AS q
		WHERE q.id = queue AND q.name IN ('halted', 'gathers')});
my $waiting = q{SELECT count(*) FROM jobq.health WHERE object IN ('halted', 'gathers')
	AND topic <> 'group'};
is($node->sql($waiting), '0', 'a superuser is told of no job that waits for a worker');
is(as_role($node, 'eve', $waiting), '0', 'a role that may read the queues is not either');
$node->sql(
	q{UPDATE jobq_store.job SET run_at = now() - interval '2 d' FROM jobq_store.queue AS q
		WHERE q.id = queue AND q.name = 'gathers'});
is(as_role($node, 'eve', $waiting), '1', 'it is told of one that has waited for long enough');

$node->stop;
done_testing();
