# t/241_nested_claims.pl: code of a queue's owner that claims jobs itself, while a
# job fails or is added: each job has one ticket, whatever becomes of the code.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 1', 'jobq.sweep_interval = 0', "jobq.log_jobs = 'none'" ]);

$node->sql(
	q{
	CREATE TABLE got (who text, id bigint, lease bigint);
	CREATE TABLE what (act text);
	INSERT INTO what VALUES ('dequeue');

	-- does what the table says, and returns a delay
	CREATE FUNCTION act(queue text) RETURNS interval LANGUAGE plpgsql AS $$
	DECLARE
		act text := (SELECT w.act FROM public.what AS w);
	BEGIN
		IF act LIKE 'dequeue%' THEN
			INSERT INTO public.got SELECT act, d.id, d.lease FROM jobq.dequeue(queue, 5) AS d;
		ELSIF act LIKE 'take%' THEN
			INSERT INTO public.got SELECT act, t.id, NULL FROM jobq.take(queue, 5) AS t;
		ELSIF act = 'complete others' THEN
			PERFORM jobq.complete(j.id, j.lease) FROM jobq_store.job AS j WHERE j.state = 1;
		END IF;
		IF act LIKE '% and fail' THEN
			RAISE 'no';
		END IF;
		RETURN '1 h';
	END$$;
	CREATE FUNCTION backoff(attempt int, error jsonb) RETURNS interval LANGUAGE sql
		AS $$SELECT public.act('q')$$;
	CREATE FUNCTION check_payload(p jsonb) RETURNS boolean LANGUAGE sql
		AS $$SELECT public.act('p') IS NOT NULL$$;
	CREATE FUNCTION fails(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF j.payload = '"fail"' THEN RAISE 'bad'; END IF; END$$;
	CREATE FUNCTION all_fail(j jobq.job[]) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF j[1].payload = '"fail"' THEN RAISE 'bad'; END IF; END$$});

sub states
{
	my ($queue) = @_;
	return $node->sql(
		qq{SELECT string_agg(concat_ws(' ', n, state), ', ' ORDER BY state) FROM (
			SELECT state, count(*) AS n FROM jobq.jobs
			WHERE queue = '$queue' GROUP BY state) AS j});
}

# A new queue with this number of jobs, of which one has been claimed.
sub new_queue
{
	my ($options, $jobs) = @_;
	$node->sql(
		qq{SELECT jobq.drop_queue('q', force => true, if_exists => true);
		DELETE FROM got;
		SELECT jobq.create_queue('q', backoff_function => 'backoff(int, jsonb)', lease => '1 h',
			$options);
		SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, ARRAY[$jobs]));
		INSERT INTO got SELECT 'first', id, lease FROM jobq.dequeue('q')});
	return;
}

my $fail = q{SELECT jobq.fail(id, lease, 'failed') FROM got WHERE who = 'first'};

sub act
{
	my ($act) = @_;
	$node->sql("UPDATE what SET act = '$act'");
	return;
}

# --------------------------------------------- a backoff_function, by a client

act('dequeue');
new_queue('max_running => 3', 9);
is($node->sql($fail), 'scheduled', 'fail, and a claim inside');
is(states('q'), '6 ready, 2 running, 1 scheduled',
	'the job that fails has its ticket until it has');
limits_settled($node, 'a claim in fail()');

new_queue('max_running => 1', 9);
is($node->sql($fail), 'scheduled', 'with one ticket');
is(states('q'), '8 ready, 1 scheduled', 'nothing can be claimed meanwhile');
limits_settled($node, 'no claim in fail()');

new_queue('max_running => 3', 9);
is($node->sql("BEGIN; $fail; ROLLBACK"), 'scheduled', 'the same, rolled back');
is(states('q'), '8 ready, 1 running', 'nothing has been claimed');
is($node->sql("BEGIN; SAVEPOINT s; $fail; ROLLBACK TO s; $fail; COMMIT"),
	"scheduled\nscheduled", 'rolled back to a savepoint, and again');
is(states('q'), '6 ready, 2 running, 1 scheduled', 'once');
limits_settled($node, 'after rollbacks');

act('dequeue and fail');
new_queue(q{max_running => 3, backoff => 'fixed', backoff_base => '1 h', jitter => 0}, 9);
is($node->sql($fail), 'scheduled', 'a claim, and an error');
is(states('q'), '8 ready, 1 scheduled', 'the claim is undone');
limits_settled($node, 'a claim that is undone');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}), '3', 'all tickets are there');

act('take');
new_queue('max_running => 3', 9);
is($node->sql($fail), 'scheduled', 'jobs that are taken');
is(states('q'), '2 completed, 6 ready, 1 scheduled', 'are completed');
limits_settled($node, 'take in fail()');

act('complete others');
new_queue('max_running => 3', 9);
$node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 2)});
like(sql_error($node, $fail), qr/JQ001/, 'the job itself is completed meanwhile');
is(states('q'), '6 ready, 3 running', 'so nothing has been done');
limits_settled($node, 'an end in an end');

act('dequeue');
new_queue('max_running => 2, batch_size => 3', 9);
is($node->sql($fail), 'scheduled', 'batches');
is(states('q'), '5 ready, 3 running, 1 scheduled', 'one was claimed');
limits_settled($node, 'a batch in fail()');

new_queue(q{max_running => 2, rate_limit => 3, rate_period => '1 h', rate_burst => 3}, 9);
is($node->sql($fail), 'scheduled', 'with a rate');
is(states('q'), '7 ready, 1 running, 1 scheduled', 'a claim inside');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}), '1', 'counts as another');

# ---------------------------------------------------------------- the executor

foreach my $handler ('fails(jobq.job)', 'all_fail(jobq.job[])')
{
	my $batch = $handler =~ /all/ ? 'batch_size => 2,' : '';

	foreach my $what ('dequeue', 'take', 'dequeue and fail', 'take and fail')
	{
		act($what);
		$node->sql(
			qq{SELECT jobq.drop_queue('q', force => true, if_exists => true);
			DELETE FROM got;
			SELECT jobq.create_queue('q', '$handler', backoff_function => 'backoff(int, jsonb)',
				$batch max_running => 2, lease => '1 h', backoff => 'fixed', backoff_base => '1 h');
			SELECT jobq.pause('q');
			SELECT jobq.enqueue('q', '"fail"');
			SELECT count(*) FROM jobq.enqueue_many('q', '{1,2,3}');
			SELECT jobq.resume('q')});
		poll_ok(
			$node,
			q{SELECT count(*) FROM jobq.jobs WHERE queue = 'q' AND state = 'ready'},
			"$handler, $what: executors go on",
			expected => '0');
		poll_ok(
			$node,
			q{SELECT count(*) FROM jobq.jobs
				WHERE queue = 'q' AND state IN ('running', 'completed')},
			"$handler, $what: each job has come to an end, or is held",
			expected => $batch ? '2' : '3');
		is( $node->sql('SELECT count(*) FROM got'),
			$what =~ /fail/ ? '0' : $batch ? '2' : '1',
			"$handler, $what: as many as could be claimed inside");
		limits_settled($node, "$handler, $what");
	}
}

# ---------------------------------------------------------- a check of payloads

act('dequeue');
$node->sql(
	q{DELETE FROM got;
	SELECT jobq.create_queue('p', max_running => 2, max_queued => 4, lease => '1 h');
	SELECT count(*) FROM jobq.enqueue_many('p', '{1,2,3}');
	SELECT jobq.alter_queue('p', payload_check => 'check_payload(jsonb)');
	SELECT jobq.enqueue('p', '4')});
is(states('p'), '2 ready, 2 running', 'a check that claims');
limits_settled($node, 'a claim in enqueue()');
like(sql_error($node, q{SELECT jobq.enqueue('p', '5')}), qr/JQ002/, 'the queue is full');
act('complete others');
$node->sql(q{SELECT jobq.enqueue('p', '5')});
is(states('p'), '2 completed, 3 ready', 'the check has made room');
act('take');
$node->sql(q{BEGIN; SELECT jobq.enqueue('p', '6'); ROLLBACK; SELECT jobq.enqueue('p', '6')});
is(states('p'), '4 completed, 2 ready', 'a check that takes jobs');
is( $node->sql(
		q{SELECT jobq.retry(id, '7') > 0 FROM jobq.jobs
		WHERE queue = 'p' AND state = 'completed' ORDER BY id LIMIT 1}),
	't',
	'a check when a job is retried');
limits_settled($node, 'take in retry()');

$node->stop;
done_testing();
