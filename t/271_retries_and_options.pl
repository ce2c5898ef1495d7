# t/271_retries_and_options.pl: a job that waits to be tried again holds its group only as
# long as the options say so. When they are changed, the others go on, and the job is
# tried again in its time.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2', 'jobq.sweep_interval = 0', "jobq.log_jobs = 'none'", 'fsync = off'
	]);
my $waiter = start_session($node);

# A queue whose group `g` has jobs 1 to 4, of which the first one has failed.
sub failed_queue
{
	my ($queue, $retry_in, $options) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '1 h' $options);
		SELECT jobq.enqueue('$queue', to_jsonb(n), group_key => 'g')
			FROM generate_series(1, 4) AS n;
		SELECT jobq.fail(id, lease, 'no', retry_in => '$retry_in') FROM jobq.dequeue('$queue')});
	is(claim_jobs($node, $queue, 1), '', "$queue: the others wait for the one that has failed");
	return;
}

# Completes what is running.
sub complete
{
	my ($queue) = @_;
	$node->sql(
		"SELECT count(jobq.complete(j.id, j.lease)) FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = '$queue'");
	return;
}

# What wait() says after a change of options.
sub waits_over
{
	my ($queue, $change, $name) = @_;
	order($waiter, "CALL jobq.wait('{$queue}', '60 s')");
	poll_query(
		$node,
		q{SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE 'CALL jobq.wait%' AND state = 'idle'},
		expected => '1') or die "nobody waits\n";
	$node->sql("SELECT $change");
	like(answer($waiter), qr/^t$/m, $name);
	return;
}

my $serial = ', max_running_per_group => 1';

failed_queue('skips', '1 h', $serial);
waits_over(
	'skips',
	q{jobq.alter_queue('skips', group_on_failure => 'skip')},
	'skip: who waits is woken for the others');
is(claim_jobs($node, 'skips', 4), '2', 'skip: the next job starts');
is(claim_jobs($node, 'skips', 4), '', 'skip: it is the only one');
is( $node->sql(
		q{SELECT state, run_at > now() + interval '50 min' FROM jobq.jobs
		WHERE queue = 'skips' AND payload = '1'}),
	'scheduled|t',
	'skip: the first one has its time');
complete('skips');
is(claim_jobs($node, 'skips', 4), '3', 'skip: the one after it');
complete('skips');
$node->sql(q{SELECT jobq.promote(id) FROM jobq.jobs WHERE queue = 'skips' AND payload = '1'});
is(claim_jobs($node, 'skips', 4), '4', 'skip: the last one');
complete('skips');
is(claim_jobs($node, 'skips', 4), '1', 'skip: the one that was promoted');

# A claim that is rolled back leaves the job where it was.
failed_queue('undone', '1 h', $serial);
$node->sql(q{SELECT jobq.alter_queue('undone', group_on_failure => 'skip')});
is($node->sql(q{BEGIN; SELECT payload FROM jobq.take('undone', 4); ROLLBACK}),
	'2', 'a claim that is rolled back');
is(claim_jobs($node, 'undone', 4), '2', 'the job is claimed again');
$node->sql(q{SELECT jobq.alter_queue('undone', group_on_failure => 'wait')});
complete('undone');
is(claim_jobs($node, 'undone', 4), '3', 'a job that has lost its place does not get it back');

failed_queue('unlimited', '1 h', $serial);
waits_over(
	'unlimited',
	q{jobq.reset_queue('unlimited', 'max_running_per_group')},
	'no limit: who waits is woken for the others');
is(claim_jobs($node, 'unlimited', 4), '2 3 4', 'no limit: they start');

failed_queue('raised', '1 h', $serial);
$node->sql(q{SELECT jobq.alter_queue('raised', max_running_per_group => 2)});
is(claim_jobs($node, 'raised', 4), '2 3', 'a greater limit: two others start');

failed_queue('group', '1 h', $serial);
waits_over(
	'group',
	q{jobq.set_group('group', 'g', max_running => 2)},
	'a limit of the group: who waits is woken for the others');
is(claim_jobs($node, 'group', 4), '2 3', 'a limit of the group: two others start');

failed_queue('own', '1 h', q{); SELECT jobq.set_group('own', 'g', max_running => 1});
$node->sql(q{SELECT jobq.reset_group('own', 'g')});
is(claim_jobs($node, 'own', 4), '2 3 4', 'no limit of the group: the others start');

# Nothing is behind the job: nobody claims before its time.
$node->sql(
	qq{SELECT jobq.create_queue('alone', lease => '1 h' $serial);
	SELECT jobq.enqueue('alone', '1', group_key => 'g');
	SELECT jobq.fail(id, lease, 'no', retry_in => '3 s') FROM jobq.dequeue('alone')});
is(claim_jobs($node, 'alone', 1), '', 'alone: it waits');
waits_over(
	'alone',
	q{jobq.alter_queue('alone', group_on_failure => 'skip')},
	'alone: who waits is woken when it is tried again');
is(claim_jobs($node, 'alone', 1), '1', 'alone: it is');

# Executors go on with the others, and then with the job.
$node->sql(
	q{CREATE TABLE done (payload jsonb);
	CREATE FUNCTION work(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF payload = '1' AND NOT EXISTS (SELECT FROM public.done WHERE done.payload = '3') THEN
			RAISE EXCEPTION 'not yet';
		END IF;
		INSERT INTO public.done VALUES (payload);
	END $$;
	SELECT jobq.create_queue('worked', 'work(jsonb)', max_running_per_group => 1,
		backoff => 'fixed', backoff_base => '8 s', jitter => 0);
	SELECT jobq.enqueue('worked', to_jsonb(n), group_key => 'g') FROM generate_series(1, 3) AS n});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'worked' AND state = 'scheduled'},
	'executors: the first job has failed',
	expected => '1');
is($node->sql('SELECT count(*) FROM done'), '0', 'executors: the others wait for it');
$node->sql(q{SELECT jobq.alter_queue('worked', group_on_failure => 'skip')});
poll_ok(
	$node,
	q{SELECT string_agg(payload #>> '{}', ' ') FROM done},
	'executors: the others run first',
	expected => '2 3 1');

end_session($waiter);
$node->stop;
done_testing();
