# t/323_truncated_jobs.pl: after TRUNCATE of the table of jobs, limits count none of those that
# were there.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'max_prepared_transactions = 2' ]);

$node->sql(
	q{CREATE TABLE done (i int);
	CREATE PROCEDURE work(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		COMMIT;
		IF p = '"sleep"' THEN PERFORM pg_sleep(1000); END IF;
		INSERT INTO public.done VALUES (1); END$$;
	SELECT jobq.create_limit('shared', max_running => 1);
	SELECT jobq.create_queue('queued', max_queued => 3);
	SELECT jobq.create_queue('running', max_running => 1, lease => '1 h');
	SELECT jobq.create_queue('bound', max_running => 1, session_bound => true);
	SELECT jobq.create_queue('grouped', max_running_per_group => 1, lease => '1 h');
	SELECT jobq.create_queue('batches', max_running => 1, batch_size => 2, lease => '1 h');
	SELECT jobq.create_queue('sharing', shared_limit => 'shared', lease => '1 h');
	SELECT jobq.create_queue('handled', 'work(jsonb)', max_running => 1)});
my @claimed = qw(running bound grouped batches sharing);
my $holder = start_session($node);

# Fills all limits.
sub fill
{
	$node->sql(
		q{TRUNCATE done;
		SELECT jobq.enqueue('queued') FROM generate_series(1, 3);
		SELECT jobq.enqueue(q, group_key => CASE q WHEN 'grouped' THEN 'g' END)
			FROM unnest('{running, bound, grouped, batches, sharing}'::text[]) AS q,
			generate_series(1, 3);
		SELECT jobq.dequeue(q) FROM unnest('{running, grouped, sharing}'::text[]) AS q;
		SELECT jobq.dequeue('batches', 2);
		SELECT jobq.enqueue('handled', '"sleep"')});
	ask($holder, q{SELECT count(*) FROM jobq.dequeue('bound')});
	poll_query(
		$node,
		q{SELECT count(*) FROM jobq.jobs WHERE queue = 'handled' AND state = 'running'},
		expected => '1');
	return;
}

# Which queues have no room: for new jobs, or for running ones if they have some.
sub full
{
	my $full = sql_error($node, q{SELECT jobq.enqueue('queued')}) =~ /JQ002/ ? 'queued' : '';
	foreach my $queue (@claimed)
	{
		my $claimed = $node->sql(
			"BEGIN; SELECT jobq.enqueue('$queue', group_key => 'g');
			SELECT count(*) FROM jobq.dequeue('$queue'); ROLLBACK");
		$full .= " $queue" if $claimed =~ /\n0$/;
	}
	return $full;
}

# Truncates the table in that way: all limits are free then.
sub truncate_ok
{
	my ($how, $sql) = @_;
	fill();
	is(full(), "queued @claimed", "$how: all limits are reached before");
	$node->sql($sql);
	is( $node->sql(
			q{SELECT count(*) FROM jobq_store.job WHERE queue <>
			(SELECT id FROM jobq_store.queue WHERE name = 'queued')}),
		'0',
		"$how: the jobs are gone");
	limits_settled($node, $how);
	is(full(), '', "$how: no limit is reached any more");
	$node->sql(q{SELECT jobq.enqueue('handled')});
	poll_ok(
		$node,
		'SELECT count(*) FROM done',
		"$how: the procedure is interrupted, and the next one runs",
		expected => '1');
	$node->sql(q{TRUNCATE jobq_store.job});
	limits_settled($node, "$how, emptied");
	return;
}

truncate_ok('TRUNCATE', 'TRUNCATE jobq_store.job');
truncate_ok('in a function', q{DO 'BEGIN TRUNCATE TABLE ONLY jobq_store.job, done; END'});
truncate_ok('prepared',
	q{BEGIN; TRUNCATE jobq_store.job; PREPARE TRANSACTION 't'; COMMIT PREPARED 't'});

# jobs that the transaction itself adds
$node->sql(
	q{SELECT jobq.enqueue('queued');
	BEGIN;
	SELECT jobq.enqueue('queued');
	TRUNCATE jobq_store.job;
	SELECT jobq.enqueue('queued') FROM generate_series(1, 2);
	COMMIT});
limits_settled($node, 'jobs are added in the same transaction');
is($node->sql(q{SELECT jobq.enqueue('queued') IS NOT NULL}),
	't', 'the queue has room for a third job');
like(sql_error($node, q{SELECT jobq.enqueue('queued')}),
	qr/JQ002/, 'the queue is full with three of them');
$node->sql(q{TRUNCATE jobq_store.job});

# A rollback leaves all as it was.
fill();
$node->sql(q{BEGIN; TRUNCATE jobq_store.job; SELECT jobq.enqueue('queued'); ROLLBACK});
is(full(), "queued @claimed", 'after a rollback all limits are reached');
limits_settled($node, 'after a rollback');

end_session($holder);
$node->stop;
done_testing();
