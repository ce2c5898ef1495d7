# t/233_time_to_end.pl: a handler that catches a cancel has time to end: it is not
# interrupted again at once.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);
$node->sql(
	q{
	CREATE FUNCTION obeys() RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(600);
	EXCEPTION WHEN query_canceled THEN
		PERFORM pg_sleep(0.02);
		RETURN '"tidied up"';
	END $$;
	SELECT jobq.create_queue('obeys', 'obeys()', max_attempts => 1)});

# A busy machine may take longer than the handler has, but not each time.
sub tidied_up
{
	my $id = $node->sql(q{SELECT jobq.enqueue('obeys')});
	poll_query(
		$node, qq{SELECT count(*) = 1 FROM jobq.workers AS w JOIN pg_stat_activity AS a USING (pid)
		WHERE w.job_id = $id AND a.wait_event = 'PgSleep'});
	$node->sql("SELECT jobq.cancel($id)");
	poll_query($node, "SELECT finished_at IS NOT NULL FROM jobq.jobs WHERE id = $id");
	return $node->sql("SELECT state FROM jobq.jobs WHERE id = $id") eq 'completed';
}
my $tidy = 0;
for (1 .. 20)
{
	$tidy++ if tidied_up();
}
cmp_ok($tidy, '>=', 17, 'a handler that ends soon after a cancel completes');

$node->stop;
done_testing();
