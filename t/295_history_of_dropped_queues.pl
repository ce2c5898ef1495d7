# t/295_history_of_dropped_queues.pl: what a dropped queue leaves in history and
# among the attempts is hidden at once, and removed by the coordinator.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['autovacuum = off']);

# Rows in history and attempt of the queues that had these ids.
sub rows_of
{
	my ($table, @ids) = @_;
	return $node->sql(
		"SELECT count(*) FROM jobq_store.$table WHERE queue IN (" . join(', ', @ids) . ')');
}

$node->sql(
	q{
	SELECT jobq.create_queue(q, max_attempts => 2) FROM unnest('{kept,gone,gone_too}'::text[]) AS q;
	SELECT count(*) FROM unnest('{kept,gone,gone_too}'::text[]) AS q,
		LATERAL jobq.enqueue_many(q, array_fill('{}'::jsonb, '{500}'))});
$node->sql(
	qq{
	SELECT count(jobq.fail(id, lease, 'x', retryable => false))
	FROM jobq.dequeue('$_', max_jobs => 100);
	SELECT count(*) FROM jobq.take('$_', 400)}) for qw(kept gone gone_too);
my ($kept, @gone) = split(
	/\n/,
	$node->sql(
		q{SELECT id FROM jobq_store.queue WHERE name IN ('kept', 'gone', 'gone_too')
		ORDER BY name = 'kept' DESC}));
is(rows_of('history', @gone), '1000', 'history of the queues that will be dropped');

# ---------------------------------------------------------- others pay nothing

is( $node->sql(
		q{
		SELECT jobq.create_queue('empty');
		BEGIN;
		SELECT jobq.drop_queue('empty');
		SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables
		WHERE schemaname = 'jobq_store' AND relname ~ '^(history|attempt)';
		COMMIT}) =~ s/^\n+//r,
	'0',
	'drop_queue() reads no history of other queues');

# ------------------------------------------------------------------- removal

poll_ok(
	$node,
	'SELECT count(*) = 0 FROM jobq_store.gone_queue',
	'the first pass ends with nothing to remove');
$node->sql(
	q{SELECT jobq.stop();
	BEGIN; SELECT jobq.drop_queue('gone'); ROLLBACK;
	SELECT jobq.drop_queue('gone'), jobq.drop_queue('gone_too')});
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue <> 'kept'}),
	'0', 'no view shows the jobs');
is($node->sql('SELECT count(DISTINCT queue) FROM jobq.attempts'),
	'1', 'their attempts are hidden, too');
is( $node->sql(
		"SELECT jobq.retry(min(id)) FROM jobq_store.history WHERE queue = $gone[0] AND state = 4"),
	'',
	'a dead job cannot be retried');
is($node->sql("SELECT jobq.delete(min(id)) FROM jobq_store.history WHERE queue = $gone[0]"),
	'f', 'a finished job cannot be deleted');

# another coordinator begins a pass at once; what is locked is left to a later one
my $holder = start_session($node, name => 'holder');
ask($holder, "BEGIN; SELECT FROM jobq_store.history WHERE queue = $gone[0] LIMIT 1 FOR UPDATE");
$node->sql(
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE backend_type = 'jobq coordinator'});
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq_store.history WHERE queue IN ($gone[0], $gone[1])",
	'all but a locked job are removed');
poll_ok(
	$node,
	"SELECT string_agg(id::text, ' ') = '$gone[0]' FROM jobq_store.gone_queue",
	'its queue stays on the list');
end_session($holder);

# so does one after a restart
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq_store.history WHERE queue IN ($gone[0], $gone[1])",
	'their history is removed');
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq_store.attempt WHERE queue IN ($gone[0], $gone[1])",
	'their attempts are removed');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.gone_queue', 'the list is empty');
is(rows_of('history', $kept), '500', 'the history of another queue stays');
is(rows_of('attempt', $kept), '100', 'so do its attempts');

done_testing();
