# t/254_serial_groups.pl: jobs of a group with max_running_per_group 1 start in their
# order, whatever becomes of those before them, and whatever is killed.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4);

# Makes a queue whose group `g` has jobs 1 to n, and whose group `other` has one.
sub serial_queue
{
	my ($queue, $n, $options) = @_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', max_running_per_group => 1, lease => '1 h',
			backoff => 'fixed', backoff_base => '1 h', jitter => 0 $options);
		SELECT jobq.enqueue('$queue', to_jsonb(n), group_key => 'g')
			FROM generate_series(1, $n) AS n});
	return;
}

sub states
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT string_agg((payload #>> '{}') || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
		WHERE queue = '$queue'");
}

# A failed job keeps its place, and the others wait for it.
serial_queue('waits', 3, '');
is(claim_jobs($node, 'waits', 5), '1', 'the first job of a group');
is(end_running($node, 'waits', q{fail(j.id, j.lease, 'no')}),
	'scheduled', 'fail() tells that it is to be tried again');
is(states('waits'), '1 scheduled, 2 ready, 3 ready', 'it is to be tried again');
is(claim_jobs($node, 'waits', 5), '', 'the others wait for it');
is($node->sql(q{CALL jobq.wait('{waits}', '0')}), 'f', 'wait() does not return for them');
$node->sql(q{SELECT jobq.enqueue('waits', '"other"', group_key => 'other')});
is(claim_jobs($node, 'waits', 5), 'other', 'another group does not wait');
$node->sql(q{SELECT jobq.enqueue('waits', '"urgent"', group_key => 'g', priority => -1)});
is(claim_jobs($node, 'waits', 5), 'urgent', 'a job that comes before it does not either');
end_running($node, 'waits', 'complete(j.id, j.lease)');
is(claim_jobs($node, 'waits', 5), '', 'then the others wait again');
$node->stop('immediate');
$node->start;
is(claim_jobs($node, 'waits', 5), '', 'they wait after a crash');
is($node->sql(q{SELECT jobq.promote(id) FROM jobq.jobs WHERE queue = 'waits' AND payload = '1'}),
	't', 'it is promoted');
is(claim_jobs($node, 'waits', 5), '1', 'it is tried again');
end_running($node, 'waits', q{release(j.id, j.lease, '1 h')});
is(claim_jobs($node, 'waits', 5), '', 'a job that is released holds the others, too');
$node->sql(
	q{SELECT jobq.reschedule(id, now() + interval '2 h') FROM jobq.jobs
	WHERE queue = 'waits' AND payload = '1'});
is(claim_jobs($node, 'waits', 5), '2', 'one that is rescheduled does not');
is( $node->sql(
		q{SELECT jobq.fail(j.id, j.lease, 'no', retry_in => '1 s') FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue WHERE j.state = 1 AND q.name = 'waits';
		SELECT count(*) FROM jobq.dequeue('waits', 5)}),
	"scheduled\n0",
	'a short delay');
my $waits = start_session($node);
order($waits, q{CALL jobq.wait('{waits}', '60 s')});
like(answer($waits), qr/^t$/m, 'who waits is woken when it is over');
is(claim_jobs($node, 'waits', 5), '2', 'the job is tried again');
end_running($node, 'waits', q{fail(j.id, j.lease, 'no', retryable => false)});
is(claim_jobs($node, 'waits', 5), '3', 'a dead job holds nobody');
end_running($node, 'waits', 'complete(j.id, j.lease)');
limits_settled($node, 'a group that has waited');

# Unless they do not have to wait.
serial_queue('skips', 3, q{, group_on_failure => 'skip'});
is(claim_jobs($node, 'skips', 5), '1', 'skip: the first job');
end_running($node, 'skips', q{fail(j.id, j.lease, 'no')});
is(claim_jobs($node, 'skips', 5), '2', 'skip: the next one goes on');
end_running($node, 'skips', 'complete(j.id, j.lease)');
is( sql_error($node, q{SELECT jobq.alter_queue('skips', group_on_failure => 'perhaps')}) =~
	  /invalid value for option "group_on_failure": "perhaps"/,
	1,
	'other values are refused');
$node->sql(q{SELECT jobq.alter_queue('skips', group_on_failure => 'wait')});
is(claim_jobs($node, 'skips', 5), '3', 'wait: the next one');
end_running($node, 'skips', q{fail(j.id, j.lease, 'no')});
$node->sql(q{SELECT jobq.enqueue('skips', '4', group_key => 'g')});
is(claim_jobs($node, 'skips', 5), '', 'wait: it is not overtaken any more');

# A job that dies stops its group until somebody has looked.
serial_queue('stops', 5, q{, group_on_failure => 'stop', max_attempts => 2});
is(claim_jobs($node, 'stops', 5), '1', 'stop: the first job');
end_running($node, 'stops', q{fail(j.id, j.lease, 'no', retry_in => '0')});
is(claim_jobs($node, 'stops', 5), '1', 'stop: it is tried again before the others');
my $stopped = q{SELECT paused || ' ' || why FROM jobq.groups
	WHERE queue = 'stops' AND group_key = 'g'};
my $keeper = start_session($node);

# The end of the job does not wait for a session that changes the group.
ask($keeper, q{BEGIN; SELECT jobq.set_group('stops', 'g', weight => 2)});
$node->sql(
	q{SET lock_timeout = '10 s'; SELECT jobq.fail(id, lease, 'no') FROM jobq_store.job
	WHERE state = 1 AND queue = (SELECT id FROM jobq_store.queue WHERE name = 'stops')});
is(claim_jobs($node, 'stops', 5), '', 'stop: a job has died, and none other starts');
ask($keeper, 'COMMIT');
end_session($keeper);
is(claim_jobs($node, 'stops', 5), '', 'stop: other options do not change that');
is($node->sql($stopped), 'true paused', 'stop: the group is paused');
is($node->sql(q{CALL jobq.wait('{stops}', '0')}), 'f', 'stop: wait() does not return for it');
$node->sql(q{SELECT jobq.enqueue('stops', '"other"', group_key => 'other')});
is(claim_jobs($node, 'stops', 5), 'other', 'stop: other groups go on');
end_running($node, 'stops', 'complete(j.id, j.lease)');
is($node->sql(q{SELECT jobq.pause('stops', 'g')}), 'f', 'stop: pause() has nothing to do');
end_session($waits);
$node->stop('immediate');
$node->start;
$waits = start_session($node);
is(claim_jobs($node, 'stops', 5), '', 'stop: it holds after a crash');
$node->sql(q{SELECT jobq.alter_queue('stops', group_on_failure => 'wait')});
is(claim_jobs($node, 'stops', 5), '', 'stop: it holds when deaths do not stop groups any more');
$node->sql(q{SELECT jobq.alter_queue('stops', group_on_failure => 'stop')});
$node->sql(
	q{SELECT jobq.set_priority(jobq.retry(id), -1) FROM jobq.dead_letters WHERE queue = 'stops'});
is(claim_jobs($node, 'stops', 5), '', 'stop: a job that is revived does not start it');
is($node->sql(q{SELECT jobq.resume('stops', 'g'), jobq.resume('stops', 'g')}),
	't|f', 'stop: resume() does');
is(claim_jobs($node, 'stops', 5), '1', 'stop: the one that was revived is the first');

# next() starts none in place of the one that dies, nor do claims in the same transaction.
end_running($node, 'stops', 'complete(j.id, j.lease)');
is(claim_jobs($node, 'stops', 5), '2', 'stop: the next one');
is( $node->sql(
		q{BEGIN;
		SELECT jobq.fail(id, lease, 'no', retryable => false) FROM jobq_store.job
			WHERE state = 1 AND queue = (SELECT id FROM jobq_store.queue WHERE name = 'stops');
		SELECT count(*) FROM jobq.dequeue('stops', 5);
		ROLLBACK}),
	"dead\n0",
	'stop: none starts in the transaction of the death');
is($node->sql($stopped), 'false max_running', 'stop: a death that is rolled back stops nothing');
end_running($node, 'stops', 'complete(j.id, j.lease)');
is(claim_jobs($node, 'stops', 5), '3', 'stop: then the group goes on');
end_running($node, 'stops', q{fail(j.id, j.lease, 'no', retryable => false)});
is($node->sql($stopped), 'true paused', 'stop: a job that is not to be tried again stops it, too');
$node->sql(
	q{SELECT jobq.resume('stops', 'g'); SELECT jobq.set_group('stops', 'g', max_running => 2)});
is(claim_jobs($node, 'stops', 5), '4 5', 'stop: two at a time');
end_running($node, 'stops', q{fail(j.id, j.lease, 'no', retryable => false)});
$node->sql(q{SELECT jobq.enqueue('stops', '6', group_key => 'g')});
is(claim_jobs($node, 'stops', 5), '6', 'stop: a group that is not serial is not stopped');
end_running($node, 'stops', 'complete(j.id, j.lease)');
limits_settled($node, 'a group that was stopped');

# A lease that runs out for the last time, and an executor's job, stop the group as well.
$node->sql(
	q{CREATE TABLE ran (n int);
	CREATE FUNCTION fail_second(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		IF j.payload = '2' THEN RAISE 'no'; END IF;
		INSERT INTO public.ran VALUES ((j.payload)::int); END$$;
	SELECT jobq.create_queue('runs', 'fail_second(jobq.job)', max_running_per_group => 1,
		max_attempts => 1, group_on_failure => 'stop');
	SELECT jobq.create_queue('expires', lease => '300 ms', max_running_per_group => 1,
		max_attempts => 1, group_on_failure => 'stop');
	SELECT count(*) FROM unnest('{runs,expires}'::text[]) AS q,
		jobq.enqueue_many(q, '{1,2,3,4}', group_key => 'g')});
my $paused_groups = q{SELECT string_agg(queue, ' ' ORDER BY queue) FROM jobq.groups
	WHERE paused AND queue IN ('runs', 'expires')};
is(claim_jobs($node, 'expires', 5), '1', 'stop: a job is claimed');
poll_ok(
	$node, $paused_groups,
	'stop: by an executor, and by a lost lease',
	expected => 'expires runs');
is(claim_jobs($node, 'expires', 5), '', 'stop: none starts after a lost lease');
wait_for_rest($node, 'stops');
is($node->sql(q{SELECT string_agg(n::text, ' ') FROM ran}), '1', 'stop: the executor has run one');
$node->sql(q{SELECT jobq.resume('runs', 'g')});
poll_ok(
	$node,
	q{SELECT string_agg(n::text, ' ') FROM ran},
	'stop: executors go on when the group is resumed',
	expected => '1 3 4');
limits_settled($node, 'groups that were stopped');

# A job that another transaction has in its hands is not overtaken.
serial_queue('busy', 3, '');
my $holder = start_session($node);
foreach my $end ('ROLLBACK', 'COMMIT')
{
	ask($holder,
		qq{BEGIN; SELECT jobq.set_payload(id, '"$end"') FROM jobq.jobs
		WHERE queue = 'busy' ORDER BY id LIMIT 1});
	is(claim_jobs($node, 'busy', 5), '', "$end: the group waits for a job that is being changed");
	is($node->sql(q{CALL jobq.wait('{busy}', '0')}), 'f', "$end: wait() does not return for it");
	order($waits, q{CALL jobq.wait('{busy}', '60 s')});
	ask($holder, $end);
	like(answer($waits), qr/^t$/m, "$end: who waits is woken");
	my $first = claim_jobs($node, 'busy', 5);
	is($first, $end eq 'COMMIT' ? 'COMMIT' : '1', "$end: then it is claimed");
	end_running($node, 'busy', q{release(j.id, j.lease)});
}
ask($holder,
	q{BEGIN; SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'busy' ORDER BY id LIMIT 1});
is(claim_jobs($node, 'busy', 5), '', 'the group waits for a job that is being cancelled');
ask($holder, 'COMMIT');
is(claim_jobs($node, 'busy', 5), '2', 'it is cancelled, and the next one is claimed');
end_running($node, 'busy', q{release(j.id, j.lease)});
ask($holder, q{BEGIN; SAVEPOINT s; SELECT payload FROM jobq.take('busy', 5)});
is(claim_jobs($node, 'busy', 5), '', 'one is taken');
ask($holder, 'ROLLBACK TO s');
is(claim_jobs($node, 'busy', 5), '2', 'after a rollback to a savepoint it is the first again');
ask($holder, 'ROLLBACK');
end_session($holder);
end_session($waits);
limits_settled($node, 'jobs were busy');
$node->sql(
	q{SELECT jobq.drop_queue(q, force => true)
	FROM unnest('{waits,skips,stops,runs,expires,busy}'::text[]) AS q});

# ------------------------------------------------------ kills at random moments

# Jobs of a group have increasing numbers. Each start is noted, in a way that
# survives its rollback, and each effect. Some jobs fail once.
$node->sql(
	q{CREATE TABLE effect (at bigserial, queue text, grp text, n int, xact xid8);
	CREATE SEQUENCE overtakings;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		IF EXISTS (SELECT FROM jobq_store.job AS o WHERE o.queue = (
				SELECT id FROM jobq_store.queue WHERE name = j.queue)
				AND o.group_key = j.group_key AND o.id < j.id) THEN
			PERFORM nextval('public.overtakings');
		END IF;
		PERFORM pg_sleep(random() * 0.004);
		IF (j.payload ->> 'fail')::boolean AND j.attempt < 3 THEN RAISE 'no'; END IF;
		INSERT INTO public.effect (queue, grp, n, xact)
			VALUES (j.queue, j.group_key, (j.payload ->> 'n')::int, pg_current_xact_id());
	END$$;
	CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM public.work(j); COMMIT; END$$;
	SELECT jobq.create_queue('serial' || n, CASE n WHEN 1 THEN 'work(jobq.job)' ELSE
		'work_alone(jobq.job)' END::regprocedure, max_running_per_group => 1,
		max_attempts => 1000, backoff => 'fixed', backoff_base => '5 ms', jitter => 0,
		lease => '500 ms') FROM generate_series(1, 2) AS n});

seed_random();
my $jobs = 0;

# External workers beside them.
sub external
{
	my ($queue) = @_;
	return qq{DO \$\$ DECLARE job record; BEGIN
		FOR i IN 1 .. 40 LOOP
			BEGIN
				FOR job IN SELECT * FROM jobq.take('$queue', 3) LOOP
					PERFORM public.work(job); END LOOP;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
			COMMIT;
			PERFORM pg_sleep(random() * 0.01);
		END LOOP; END\$\$};
}

for my $round (1 .. 8)
{
	my @sessions;
	$node->sql(
		qq{SELECT jobq.enqueue('serial' || q, jsonb_build_object('n', 1000 * $round + n,
				'fail', n % 7 = g), group_key => 'g' || g)
			FROM generate_series(1, 2) AS q, generate_series(1, 15) AS n,
			generate_series(1, 4) AS g ORDER BY n});
	$jobs += 120;
	push(@sessions, start_session($node, name => "taker$_")) for 1 .. 2;
	order($sessions[ $_ - 1 ], external("serial$_")) for 1 .. 2;
	disturb($node, 0.2, $round);
	foreach my $session (@sessions)
	{
		eval { answer($session); end_session($session) };
	}
	all_jobs_run($node, "round $round");
	limits_settled($node, "round $round");
	is($node->sql('SELECT is_called FROM overtakings'), 'f', "round $round: none is overtaken");
}
is($node->sql('SELECT count(DISTINCT (queue, grp, n)) FROM effect'),
	$jobs, 'each job has had its effect');
is( $node->sql(
		q{WITH e AS (SELECT n, lag(n) OVER (PARTITION BY queue, grp ORDER BY at) AS before
			FROM effect)
		SELECT count(*) FROM e WHERE n < before}),
	'0',
	'in their order');

$node->stop;
done_testing();
