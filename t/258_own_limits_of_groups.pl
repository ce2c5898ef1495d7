# t/258_own_limits_of_groups.pl: a limit of its own replaces the queue's for a group in
# each respect: how many jobs run, their order, and the places that next() passes on.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1',
		'jobq.sweep_interval = 0',
		'max_prepared_transactions = 5',
		"jobq.log_jobs = 'none'"
	]);

# Makes a queue whose group `g` has jobs 1 to n.
sub make_queue
{
	my ($queue, $n, $options) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '1 h', backoff => 'fixed',
			backoff_base => '1 h', jitter => 0 $options);
		SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, $n) AS n), group_key => 'g')});
	return;
}

# The payloads of the jobs that a session claims, by dequeue() or next().  Its last
# claim is in its settings.
my $claim = q{SELECT coalesce(string_agg(payload #>> '{}', ' '), ''),
	set_config('my.done', coalesce(array_agg(id)::text, '{}'), false) IS NULL,
	set_config('my.lease', coalesce(max(lease), 0)::text, false) IS NULL FROM };

sub claimed
{
	my ($session, $queue, $n) = @_;
	return (split(/\|/, ask($session, "$claim jobq.dequeue('$queue', $n)")))[0];
}

sub next_of
{
	my ($session, $queue, $n) = @_;
	return (
		split(
			/\|/,
			ask($session,
				"$claim jobq.next('$queue', current_setting('my.done')::bigint[],
			current_setting('my.lease')::bigint, $n)")))[0];
}

# Calls a function of (job_id, lease, ...) for running jobs of the queue.
sub end_running
{
	my ($queue, $call, $payload) = @_;
	$payload //= '%';
	$node->sql(
		"SELECT jobq.$call FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE j.state = 1 AND q.name = '$queue' AND j.payload #>> '{}' LIKE '$payload'");
	return;
}

sub restart
{
	$node->stop('immediate');
	$node->start;
	wait_for_first_rest($node);
	return;
}

my $worker = start_session($node);
my $other = start_session($node);

# ---------------------------------------------------------------- the order

# A limit of 1 where the queue's is 3: the group is serial.
make_queue('own_serial', 4, ', max_running_per_group => 3');
$node->sql(q{SELECT jobq.set_group('own_serial', 'g', max_running => 1)});
is(claimed($worker, 'own_serial', 5), '1', 'limit 1 of a group: one runs');
end_running('own_serial', q{fail(j.id, j.lease, 'no')});
is(claimed($worker, 'own_serial', 5), '', 'the others wait until it is tried again');
$node->sql(q{SELECT jobq.promote(id) FROM jobq.jobs WHERE queue = 'own_serial' AND payload = '1'});
ask($other,
	q{BEGIN; SELECT jobq.set_payload(id, '"first"') FROM jobq.jobs
	WHERE queue = 'own_serial' ORDER BY id LIMIT 1});
is(claimed($worker, 'own_serial', 5), '', 'a job that somebody changes is not overtaken');
ask($other, 'COMMIT');
is(claimed($worker, 'own_serial', 5), 'first', 'it is the first');
end_running('own_serial', 'complete(j.id, j.lease)');
is(claimed($worker, 'own_serial', 5), '2', 'then the next');
$node->sql(q{SELECT jobq.reset_group('own_serial', 'g')});
is(claimed($worker, 'own_serial', 5), '3 4', 'without it the limit is that of the queue');
limits_settled($node, 'own_serial');

# A limit of 2 where the queue's is 1: it is not.
make_queue('own_parallel', 4, ', max_running_per_group => 1');
$node->sql(q{SELECT jobq.set_group('own_parallel', 'g', max_running => 2)});
is(claimed($worker, 'own_parallel', 5), '1 2', 'limit 2 of a group: two run');
end_running('own_parallel', q{fail(j.id, j.lease, 'no')}, '1');
is(claimed($worker, 'own_parallel', 5), '3', 'nobody waits for a failed job');
end_running('own_parallel', 'complete(j.id, j.lease)');
ask($other,
	q{BEGIN; SELECT jobq.set_payload(id, '"last"') FROM jobq.jobs
	WHERE queue = 'own_parallel' AND state = 'ready'});
$node->sql(q{SELECT jobq.enqueue('own_parallel', '5', group_key => 'g')});
is(claimed($worker, 'own_parallel', 5), '5', 'it does not wait for one that somebody changes');
ask($other, 'ROLLBACK');
is(claimed($worker, 'own_parallel', 5), '4', 'that one comes when it is free');
limits_settled($node, 'own_parallel');

# A group that may not overtake has no limit but its own.
make_queue('own_only', 3, '');
$node->sql(q{SELECT jobq.set_group('own_only', 'g', max_running => 1)});
is(claimed($worker, 'own_only', 5), '1', 'no limit of the queue: one runs');
end_running('own_only', q{fail(j.id, j.lease, 'no')});
is(claimed($worker, 'own_only', 5), '', 'it keeps its place');

# -------------------------------------------------------------------- next()

make_queue('passes', 12, ', max_running_per_group => 2');
$node->sql(q{SELECT jobq.set_group('passes', 'g', max_running => 1)});
is(claimed($worker, 'passes', 5), '1', 'next(): the first');
is(next_of($worker, 'passes', 5), '2', 'next() has the place, and no other');
$node->sql(q{SELECT jobq.set_group('passes', 'g', max_running => 3)});
is(claimed($other, 'passes', 5), '3 4', 'a higher limit lets in two more');
is(next_of($worker, 'passes', 5), '5', 'next() has its place');
$node->sql(q{SELECT jobq.set_group('passes', 'g', max_running => 1)});
is(next_of($worker, 'passes', 5), '', 'a lower limit: next() starts none');
limits_settled($node, 'a lower limit');

# The options have not been read since the start.
restart();
$worker = start_session($node);
my $two = q{SELECT array_agg(id), max(lease) FROM jobq_store.job WHERE state = 1 AND queue =
	(SELECT id FROM jobq_store.queue WHERE name = 'passes')};
limits_settled($node, 'a restart');
like(
	ask($worker,
		"SELECT count(*) FROM ($two) AS t (ids, lease), jobq.next('passes', ids[1:1], lease)"),
	qr/^0$/m,
	'after a restart, next() starts none beside another job');
like(
	ask($worker,
		"SELECT count(*) FROM ($two) AS t (ids, lease), jobq.next('passes', ids[1:1], lease, 5)"),
	qr/^1$/m,
	'after a restart, one in place of the last one');
limits_settled($node, 'next() after a restart');

# A group that is paused.
ask($worker, $claim . "jobq.jobs WHERE false");
end_running('passes', 'complete(j.id, j.lease)');
is(claimed($worker, 'passes', 1), '7', 'a job runs');
$node->sql(q{SELECT jobq.pause('passes', 'g'); SELECT jobq.enqueue('passes', '"plain"')});
is(next_of($worker, 'passes', 5), 'plain', 'next() starts none of a paused group');
is(next_of($worker, 'passes', 5), '', 'next() starts none if only a paused group has jobs');
$node->sql(q{SELECT jobq.resume('passes', 'g')});
is(claimed($worker, 'passes', 5), '8', 'resumed: the group goes on');
restart();
$worker = start_session($node);
$other = start_session($node);
$node->sql(q{SELECT jobq.pause('passes', 'g')});
limits_settled($node, 'a paused group with a running job');
like(
	ask($worker,
		"SELECT count(*) FROM ($two) AS t (ids, lease), jobq.next('passes', ids, lease, 5)"),
	qr/^0$/m,
	'after a restart, next() starts none of a paused group');

# -------------------------------------------------------- prepared, and killed

# COMMIT PREPARED of a higher limit lets in those that the queue's limit kept out.
make_queue('prepared', 3, ', max_running_per_group => 1');
is(claimed($worker, 'prepared', 5), '1', 'one runs');
is(claimed($worker, 'prepared', 5), '', 'the group is full');
$node->sql(
	q{BEGIN; SELECT jobq.set_group('prepared', 'g', max_running => 2); PREPARE TRANSACTION 'p'});
is(claimed($worker, 'prepared', 5), '', 'prepared: it still is');
order($other, q{CALL jobq.wait('{prepared}', '5 min')});
$node->sql(q{COMMIT PREPARED 'p'});
like(answer($other), qr/^t$/m, 'COMMIT PREPARED: who waits is woken');
is(claimed($worker, 'prepared', 5), '2', 'one more runs');
is( sql_error(
		$node, q{BEGIN; SELECT count(*) FROM jobq.dequeue('own_only'); PREPARE TRANSACTION 'c'}),
	'',
	'a transaction that claims nothing can be prepared');
$node->sql(q{ROLLBACK PREPARED 'c'});
$node->sql(q{SELECT jobq.enqueue('own_only', '4', group_key => 'h')});
like(
	sql_error(
		$node, q{BEGIN; SELECT count(*) FROM jobq.dequeue('own_only'); PREPARE TRANSACTION 'c'}),
	qr/0A000: .*queue with options of groups/,
	'one that claims a job in a group of such a queue cannot');

# Sessions claim, and the server is killed; never do more run than may.
$node->sql(
	q{SELECT jobq.create_queue('killed', lease => '1 h', max_running_per_group => 2);
	SELECT jobq.set_group('killed', 'g' || n, max_running => n) FROM generate_series(1, 4) AS n;
	SELECT jobq.pause('killed', 'g5')});
# A group may have fewer jobs left than its limit.
my $groups = q{SELECT group_key, count(*) FILTER (WHERE state = 'running') AS running,
	CASE group_key WHEN 'g5' THEN 0 ELSE least(count(*),
		CASE group_key WHEN 'g6' THEN 2 ELSE right(group_key, 1)::int END) END AS may_run
	FROM jobq.jobs WHERE queue = 'killed' AND state IN ('ready', 'running') GROUP BY 1};
for my $round (1 .. 4)
{
	$node->sql(
		q{SELECT count(*) FROM jobq.enqueue_many('killed', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, 120) AS n), group_keys => ARRAY(SELECT 'g' || 1 + n % 6
			FROM generate_series(1, 120) AS n))});
	my @sessions = map { start_session($node) } 1 .. 3;
	order(
		$_,
		q{DO $$ BEGIN FOR i IN 1 .. 30 LOOP
			PERFORM jobq.complete(id, lease) FROM jobq.dequeue('killed', 2) WHERE random() < 0.7;
			COMMIT;
			END LOOP; END$$}) foreach @sessions;
	$node->sql('SELECT pg_sleep(' . rand(0.2) . ')');
	kill_9($node,
		$node->sql(q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO%' LIMIT 1}) || last);
	foreach my $session (@sessions)
	{
		eval { answer($session); end_session($session) };
	}
	# at once, whatever has been counted
	$node->sql(q{SELECT count(*) FROM jobq.dequeue('killed', 50)});
	limits_settled($node, "round $round");
	poll_ok(
		$node,
		qq{DO \$\$BEGIN PERFORM FROM jobq.dequeue('killed', 50); END\$\$;
		SELECT string_agg(group_key || ' ' || running || ' of ' || may_run, ', ')
		FROM ($groups) AS t WHERE running <> may_run},
		"round $round: as many jobs of each group run as may",
		expected => '');
	end_running('killed', 'release(j.id, j.lease)');
}

$node->stop;
done_testing();
