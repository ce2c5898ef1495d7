# t/203_lifo.pl: a queue with lifo gives the newest job first, and what is shown
# of it is what it would be without.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'autovacuum = off' ]);
$node->create_clock;

# The payloads of the queue's jobs in the order in which they are claimed, each
# by a call of its own, in a transaction that is rolled back.
sub order
{
	my ($queue, $database) = @_;
	return scalar $node->safe_psql(
		$database // 'postgres', qq{BEGIN;
		CREATE FUNCTION pg_temp.claim_all() RETURNS text LANGUAGE plpgsql AS \$\$
		DECLARE got text; claimed text; BEGIN
			LOOP
				SELECT payload #>> '{}' INTO claimed FROM jobq.dequeue('$queue');
				IF NOT FOUND THEN RETURN got; END IF;
				got := concat_ws(' ', got, claimed);
			END LOOP;
		END\$\$;
		SELECT pg_temp.claim_all(); ROLLBACK});
}

sub enqueue
{
	my ($queue, @payloads) = @_;
	$node->sql(qq{SELECT jobq.enqueue('$queue', '"$_"')}) foreach @payloads;
	return;
}

# ----------------------------------------------------------------------- order

$node->sql(q{SELECT jobq.create_queue('q', lifo => true)});
enqueue('q', 'a', 'b', 'c');
is(order('q'), 'c b a', 'the newest is first');
is($node->sql(q{SELECT string_agg(payload #>> '{}', ' ') FROM jobq.dequeue('q', 2, '1 h')}),
	'c b', 'several at a time');
is($node->sql(q{BEGIN; SELECT payload FROM jobq.take('q'); ROLLBACK}), '"a"', 'take');
enqueue('q', 'd', 'e');
is(order('q'), 'e d a', 'the others wait');
is( $node->sql(
		q{BEGIN; SELECT count(jobq.enqueue('q', to_jsonb(i::text))) FROM generate_series(1, 3) AS i;
	SELECT string_agg(payload #>> '{}', ' ') FROM jobq.take('q', 4); ROLLBACK}),
	"3\n3 2 1 e",
	'own jobs');
is( $node->sql(
		q{BEGIN; SELECT count(*) FROM jobq.enqueue_many('q', '{"1", "2"}');
	SELECT string_agg(payload #>> '{}', ' ') FROM jobq.take('q', 3); ROLLBACK}),
	"2\n1 2 e",
	'jobs of one call keep their order');
is( $node->sql(
		q{SELECT jobq.enqueue('q', '"urgent"', priority => -1);
	SELECT jobq.enqueue('q', '"least"', priority => 1)})
	  && order('q'),
	'urgent e d a least',
	'priorities come first');
$node->sql(
	q{SELECT jobq.set_priority(id, 0) FROM jobq.jobs
	WHERE queue = 'q' AND payload IN ('"urgent"', '"least"');
	SELECT jobq.set_payload(id, '"D"') FROM jobq.jobs WHERE queue = 'q' AND payload = '"d"'});
is(order('q'), 'least urgent e D a', 'a job with a new priority or payload keeps its time');

# ------------------------------------------------------------- later, retried

$node->sql(
	q{SELECT jobq.create_queue('later', lifo => true, max_attempts => 5, backoff_base => '1 h');
	SELECT jobq.enqueue('later', '"delayed"', delay => '1 min');
	SELECT jobq.enqueue('later', '"promoted"', delay => '1 h');
	SELECT jobq.enqueue('later', '"moved"');
	SELECT jobq.enqueue('later', '"zero"', delay => '0')});
enqueue('later', 'a', 'b');
is(order('later'), 'b a zero moved', 'jobs whose time is ahead are not ready');
$node->sql(
	q{SELECT jobq.promote(id) FROM jobq.jobs WHERE queue = 'later' AND payload = '"promoted"';
	SELECT jobq.reschedule(id, now()) FROM jobq.jobs
	WHERE queue = 'later' AND payload = '"moved"'});
is(order('later'), 'b a zero promoted moved', 'jobs that were moved come after');
is($node->sql(q{SELECT jobq.fail(id, lease, 'x', retry_in => '0') FROM jobq.dequeue('later')}),
	'ready', 'a retry');
is(order('later'), 'a zero promoted moved b', 'it comes after');
$node->sql(q{SELECT jobq.release(id, lease) FROM jobq.dequeue('later')});
is(order('later'), 'a zero promoted moved b', 'a job that is released keeps its place');
$node->sql(q{SELECT jobq.release(id, lease, '1 min') FROM jobq.dequeue('later')});
is(order('later'), 'zero promoted moved b', 'or comes back later');
$node->advance_clock('2 min');
is(order('later'), 'zero promoted moved b delayed a', 'when its time has come');
enqueue('later', 'new');
is(order('later'), 'new zero promoted moved b delayed a', 'a new one is first');
$node->sql(
	q{SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'later' AND payload = '"zero"';
	SELECT jobq.retry(id) FROM jobq.jobs WHERE queue = 'later' AND payload = '"zero"'});
is(order('later'), 'new promoted moved b delayed a zero', 'retry()');

$node->sql(
	q{SELECT jobq.create_queue('unique', lifo => true);
	SELECT jobq.enqueue('unique', '1', unique_key => 'k'); SELECT jobq.enqueue('unique', '2');
	SELECT jobq.enqueue('unique', '3', unique_key => 'k', on_conflict => 'replace')});
is(order('unique'), '3 2', 'a job that is replaced is the newest');
is( $node->sql(
		q{SELECT run_at > enqueued_at FROM jobq.jobs WHERE queue = 'unique'
	AND payload = '3'}),
	't',
	'it was enqueued before');
$node->sql(
	q{SELECT jobq.fail(id, lease, 'x', retry_in => '0') FROM jobq.dequeue('unique');
	SELECT jobq.enqueue('unique', '4', unique_key => 'k', on_conflict => 'replace')});
is(order('unique'), '2 4', 'unless it has been started');

# -------------------------------------------------------------- what is shown

my $shown = q{SELECT state, run_at = enqueued_at, run_at BETWEEN now() - interval '1 h'
	AND now() + interval '1 h' FROM jobq.jobs WHERE queue = 'shown'};
$node->sql(
	q{SELECT jobq.create_queue('shown', lifo => true); SELECT jobq.enqueue('shown', ttl => '1 h')});
is($node->sql($shown), 'ready|t|t', 'run_at of a ready job');
is( $node->sql(
		q{SELECT expires_at - run_at FROM jobq.jobs WHERE queue = 'shown';
	SELECT jobq.reschedule(id, now() + interval '1 day') FROM jobq.jobs WHERE queue = 'shown';
	SELECT expires_at - run_at, state FROM jobq.jobs WHERE queue = 'shown'}),
	"01:00:00\nt\n01:00:00|scheduled",
	'its time to live');
$node->sql(
	q{SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'shown'; SELECT jobq.enqueue('shown')});
is( $node->sql(
		q{SELECT run_at = enqueued_at, run_at BETWEEN now() - interval '1 h'
		AND now() + interval '1 h' FROM jobq.dequeue('shown', 1, '1 h')}),
	't|t',
	'a job that is handed out');
is($node->sql($shown), 'running|t|t', 'a running job');
$node->sql(q{SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'shown'});
is($node->sql($shown), 'cancelled|t|t', 'a finished job');
is( $node->sql(
		q{SELECT bool_and(run_at > '2020-01-01' AND coalesce(enqueued_at > '2020-01-01', true))
	FROM jobq_store.history}),
	't',
	'its row has the real time');
$node->sql(q{SELECT jobq.retry(id) FROM jobq.jobs WHERE queue = 'shown'});
is( $node->sql(
		q{SELECT state, run_at > enqueued_at, enqueued_at > now() - interval '1 h' FROM jobq.jobs
	WHERE queue = 'shown'}),
	'ready|t|t',
	'one that is revived');
is($node->sql(q{SELECT ready, scheduled, running FROM jobq.queues WHERE queue = 'shown'}),
	'1|0|0', 'jobq.queues counts it');

# ------------------------------------------------------------------- the option

$node->sql(q{SELECT jobq.create_queue('live')});
enqueue('live', 'a', 'b');
$node->sql(q{SELECT jobq.alter_queue('live', lifo => true)});
enqueue('live', 'c', 'd');
is(order('live'), 'd c a b', 'jobs that were there come after');
$node->sql(q{SELECT jobq.reset_queue('live', 'lifo')});
enqueue('live', 'e', 'f');
is(order('live'), 'd c a b e f', 'jobs that are there come before');
is($node->sql(q{SELECT lifo FROM jobq.queues WHERE queue = 'live'}), 'f', 'jobq.queues');

# ----------------------------------------------------- more than memory keeps

$node->sql(q{SELECT jobq.create_queue('deep', lifo => true, keep_completed => '0')});
$node->sql(q{SELECT count(jobq.enqueue('deep')) FROM generate_series(1, 700)}) foreach 1 .. 2;
$node->sql(
	q{CREATE TABLE claimed (place serial, run_at timestamptz, id bigint);
	CREATE PROCEDURE claim(n int) LANGUAGE plpgsql AS $$BEGIN FOR i IN 1 .. n LOOP
		INSERT INTO claimed (run_at, id) SELECT j.run_at, j.id FROM jobq.take('deep') AS j;
		COMMIT;
	END LOOP; END$$; CALL claim(100)});
$node->sql(q{SELECT count(jobq.enqueue('deep')) FROM generate_series(1, 100)});
$node->sql(q{CALL claim(2000)});
is($node->sql(q{SELECT count(*), count(DISTINCT id) FROM claimed}),
	'1500|1500', 'each of many is claimed once');
is( $node->sql(
		q{SELECT count(*) FROM (SELECT place, run_at, id, lag(run_at) OVER w AS run_before,
		lag(id) OVER w AS id_before FROM claimed WINDOW w AS (ORDER BY place)) AS c
	WHERE place <> 101 AND (run_at, -id) > (run_before, -id_before)}),
	0,
	'in order');
$node->sql(q{TRUNCATE claimed; SELECT count(jobq.enqueue('deep')) FROM generate_series(1, 50)});
$node->restart;
$node->sql(q{CALL claim(50)});
is( $node->sql(
		q{SELECT count(*) FROM (SELECT run_at, id, lag(run_at) OVER w AS run_before,
		lag(id) OVER w AS id_before FROM claimed WINDOW w AS (ORDER BY place)) AS c
	WHERE (run_at, -id) > (run_before, -id_before)}),
	0,
	'also after a restart');

# ---------------------------------------------------- workers, limits, waiting

$node->sql(
	q{CREATE TABLE done (place serial, payload text, ahead boolean);
	CREATE FUNCTION work(job jobq.job) RETURNS void LANGUAGE sql
		AS $$INSERT INTO done (payload, ahead) VALUES (job.payload #>> '{}', job.run_at > now())$$;
	SELECT jobq.create_queue('work', 'work(jobq.job)', lifo => true, max_running => 1);
	SELECT jobq.pause('work')});
enqueue('work', 'a' .. 'h');
$node->sql(q{SELECT jobq.enqueue('work', '"late"', delay => '1 h')});
$node->sql(q{SELECT jobq.resume('work')});
poll_ok($node, q{SELECT count(*) = 8 FROM done}, 'a background worker runs the jobs');
is( $node->sql(q{SELECT string_agg(payload, ' ' ORDER BY place), bool_or(ahead) FROM done}),
	'h g f e d c b a|f',
	'the newest first, and none before its time');

$node->sql(q{SELECT jobq.create_queue('one', lifo => true, max_running => 1)});
enqueue('one', 'a', 'b');
is( $node->sql(
		q{SELECT payload FROM jobq.dequeue('one', 2, '1 h');
	SELECT count(*) FROM jobq.dequeue('one')}
	),
	"\"b\"\n0",
	'max_running');
enqueue('one', 'c');
is( $node->sql(
		q{SELECT n.payload FROM jobq_store.job AS j, jobq.next('one', ARRAY[j.id], j.lease) AS n
	WHERE j.lease IS NOT NULL AND j.payload = '"b"'}),
	'"c"',
	'next');
$node->sql(q{SELECT jobq.create_queue('waits', lifo => true)});
my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/begin/,
	qq{\\echo begin\nCALL jobq.wait('{waits}', '1 min');\n\\echo end\n});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE 'CALL jobq.wait%' AND wait_event IS NOT NULL},
	'a session waits');
enqueue('waits', 'a');
like($waiter->query_until(qr/^end/m, ''), qr/t\n/, 'it is woken');
$waiter->quit;

# --------------------------------------------------------------------- batches

$node->sql(
	q{SELECT jobq.create_queue('batches', lifo => true, batch_size => 3, batch_wait => '10 min')});
my $batch = q{SELECT string_agg(payload #>> '{}', ' ') FROM jobq.dequeue('batches', 10, '1 h')};
enqueue('batches', 'a', 'b');
is($node->sql($batch), '', 'two jobs wait for a third');
enqueue('batches', 'c');
is($node->sql($batch), 'c b a', 'a full batch');
enqueue('batches', 'd');
$node->advance_clock('6 min');
enqueue('batches', 'e');
is($node->sql($batch), '', 'the oldest has not waited long enough');
$node->advance_clock('5 min');
is($node->sql($batch), 'e d', 'now it has');

# ---------------------------------------------------------------------- dropped

$node->sql(
	q{SELECT jobq.create_queue('drops', lifo => true, max_queued => 4, on_full => 'drop_oldest');
	SELECT jobq.enqueue('drops', '"a"'); SELECT jobq.enqueue('drops', '"retried"');
	SELECT jobq.fail(id, lease, 'x', retry_in => '0') FROM jobq.dequeue('drops');
	SELECT jobq.enqueue('drops', '"b"'); SELECT jobq.enqueue('drops', '"ahead"', delay => '1 h')});
my $left = q{SELECT string_agg(payload #>> '{}', ' ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'drops' AND state IN ('ready', 'scheduled')};
enqueue('drops', 'c');
is($node->sql($left), 'retried b ahead c', 'the oldest is dropped');
enqueue('drops', 'd');
is($node->sql($left), 'b ahead c d', 'then one that comes after the others');
$node->sql(q{SELECT jobq.enqueue('drops', '"e"', unique_key => 'e')});
is($node->sql($left), 'ahead c d e', 'a job with a key drops another, not itself');
$node->sql(q{SELECT jobq.enqueue_many('drops', ARRAY['"f"', '"g"']::jsonb[])});
is($node->sql($left), 'ahead e f g', 'several at a time');
is($node->sql(q{SELECT payload FROM jobq.dequeue('drops', 1, '1 h')}), '"f"', 'claims go on');
like(sql_error($node, q{SELECT jobq.enqueue_many('drops', '{1, 2, 3}')}),
	qr/JQ002/, 'jobs that are held or ahead are not dropped');
is($node->sql($left), 'ahead e g', 'none at all');

# ----------------------------------------------------------------------- health

$node->sql(q{SELECT jobq.create_queue('old', lifo => true)});
enqueue('old', 'a');
$node->advance_clock('1 h');
enqueue('old', 'b');
is( $node->sql(
		q{SELECT topic, since = (SELECT min(run_at) FROM jobq.jobs WHERE queue = 'old')
	FROM jobq.health WHERE object = 'old'}),
	'not worked|t',
	'jobq.health tells of the oldest');

# ------------------------------------------------------------------ dump, restore

my $file = PostgreSQL::Test::Utils::tempdir() . '/lifo.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $file, 'postgres' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-e', '-d', 'restored', $file ], 'pg_restore');
$node->safe_psql('restored', 'SELECT jobq.start()');
is(order('q', 'restored'), order('q'), 'a restored queue has its order');
my $times = q{SELECT string_agg(concat_ws(' ', id, state, run_at, enqueued_at), ', ' ORDER BY id)
	FROM jobq.jobs WHERE queue IN ('q', 'later', 'live')};
is($node->safe_psql('restored', $times), $node->sql($times), 'it shows the same times');

$node->stop;
done_testing();
