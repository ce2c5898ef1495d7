# t/202_max_queued.pl: a queue with max_queued has no more unfinished jobs than
# that: each way in and out counts, and the counter is that of the table.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		'max_prepared_transactions = 10',
		'wal_writer_delay = 10s',
		'autovacuum = off'
	]);

$node->sql(
	q{
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN IF p = '"fail"' THEN RAISE 'no'; END IF; END$$;
	SELECT jobq.create_queue('q', max_queued => 3);
	SELECT jobq.create_queue('bare', max_queued => 3, keep_completed => '0', keep_dead => '0');
	SELECT jobq.create_queue('work', 'work(jsonb)', max_queued => 3, max_attempts => 1)});

# How many more jobs a queue takes, by trying in a transaction that is rolled
# back.
sub room
{
	my ($queue) = @_;
	return $node->sql(
		qq{BEGIN; CREATE FUNCTION pg_temp.room() RETURNS int LANGUAGE plpgsql AS \$\$
		DECLARE n int := 0; BEGIN
			LOOP PERFORM jobq.enqueue('$queue'); n := n + 1; EXIT WHEN n = 50; END LOOP;
			RETURN n;
		EXCEPTION WHEN SQLSTATE 'JQ002' THEN RETURN n; END\$\$;
		SELECT pg_temp.room(); ROLLBACK});
}

# The counter must be that of the table, after whatever has happened.
sub check_room
{
	my ($queue, $name) = @_;
	my $jobs = $node->sql(
		"SELECT count(*) FROM jobq_store.job WHERE queue =
		(SELECT id FROM jobq_store.queue WHERE name = '$queue')");
	my $limit = $node->sql("SELECT max_queued FROM jobq.queues WHERE queue = '$queue'");
	return is(room($queue), $limit > $jobs ? $limit - $jobs : 0, "room in $queue: $name");
}

# --------------------------------------------- nothing is left but a savepoint

# What a transaction has counted is forgotten with it, even if all of that was
# rolled back before.
$node->sql('SELECT jobq.create_queue($$left$$, max_queued => 1000)');
$node->sql(
	join "\n",
	map {
		"BEGIN; SAVEPOINT s; SELECT jobq.enqueue('left'); ROLLBACK TO s; COMMIT;
		BEGIN; SELECT jobq.enqueue('left'); "
		  . "SELECT jobq.enqueue_many('work', '{}'); SELECT jobq.enqueue('left'); " x $_
		  . "SAVEPOINT s; SELECT jobq.enqueue('left', delay => '1 h'); RELEASE s; COMMIT;"
	} 1 .. 20);
is( $node->sql(
		q{SELECT count(*), (SELECT count(*) FROM jobq_store.flow_check()) FROM jobq.jobs
		WHERE queue = 'left'}),
	'250|0',
	'all jobs are there, and counted');

# ------------------------------------------------------------------ in and out

foreach my $queue ('q', 'bare')
{
	check_room($queue, 'empty');
	$node->sql("SELECT jobq.enqueue('$queue')");
	check_room($queue, 'one job');
	$node->sql("SELECT jobq.enqueue_many('$queue', '{1, 2}')");
	check_room($queue, 'full');
	like(
		sql_error($node, "SELECT jobq.enqueue('$queue')"),
		qr/JQ002: queue "$queue" is full.*max_queued allows 3.*HINT/s,
		'a full queue refuses');
	like(sql_error($node, "SELECT jobq.enqueue('$queue', unique_key => 'x')"),
		qr/JQ002/, 'a job with a key is refused, too');
	$node->sql("SELECT jobq.complete(id, lease) FROM jobq.dequeue('$queue')");
	check_room($queue, 'one completed');
	$node->sql("SELECT jobq.fail(id, lease, 'x', retry_in => '0') FROM jobq.dequeue('$queue')");
	check_room($queue, 'a retry');
	$node->sql("SELECT jobq.fail(id, lease, 'x', retryable => false) FROM jobq.dequeue('$queue')");
	check_room($queue, 'one dead');
	$node->sql("SELECT count(*) FROM jobq.take('$queue')");
	check_room($queue, 'one taken');
	$node->sql("SELECT jobq.cancel(jobq.enqueue('$queue', delay => '1 h'))");
	$node->sql("SELECT jobq.enqueue('$queue', delay => '1 h')");
	check_room($queue, 'one cancelled, one scheduled');
	$node->sql(
		"SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = '$queue' AND state = 'scheduled'");
	check_room($queue, 'that cancelled as well');
	$node->sql("SELECT jobq.delete(jobq.enqueue('$queue')); SELECT jobq.enqueue('$queue')");
	check_room($queue, 'one deleted');
	$node->sql("SELECT jobq.enqueue('$queue', unique_key => 'k')");
	$node->sql("SELECT jobq.enqueue('$queue', unique_key => 'k') FROM generate_series(1, 2)");
	check_room($queue, 'one key');
	$node->sql("BEGIN; SELECT jobq.enqueue('$queue'); ROLLBACK");
	check_room($queue, 'a rollback');
	$node->sql(
		"BEGIN; SAVEPOINT a; SELECT jobq.enqueue('$queue'); ROLLBACK TO a;
		SAVEPOINT b; SELECT jobq.enqueue('$queue'); RELEASE b; COMMIT");
	check_room($queue, 'savepoints');
	$node->sql("SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('$queue', 10)");
	check_room($queue, 'all completed');
}
my $id = $node->sql(
	q{SELECT jobq.cancel(jobq.enqueue('q')); SELECT max(id) FROM jobq.jobs WHERE queue = 'q'});
$id =~ s/.*\n//s;
$node->sql("SELECT jobq.retry($id)");
check_room('q', 'one retried');
$node->sql(q{SELECT jobq.enqueue('q', ttl => '1 ms')});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'q' AND state = 'expired'},
	'a job expires');
check_room('q', 'one expired');
$node->sql(q{SELECT jobq.enqueue_many('work', ARRAY['1', '"fail"']::jsonb[])});
poll_ok(
	$node,
	q{SELECT count(*) = 2 FROM jobq.jobs WHERE queue = 'work' AND state IN ('completed', 'dead')},
	'background workers run jobs');
check_room('work', 'jobs of workers');

# -------------------------------------------------------------- own, prepared

like(
	sql_error(
		$node, q{BEGIN; SELECT jobq.enqueue('work') FROM generate_series(1, 3);
		SELECT jobq.enqueue('work')}),
	qr/JQ002/,
	'own jobs count');
is( $node->sql(
		q{BEGIN; SELECT count(jobq.enqueue('bare')) FROM generate_series(1, 3);
	SELECT count(*) FROM jobq.take('bare', 3);
	SELECT count(jobq.enqueue('bare')) FROM generate_series(1, 3);
	ROLLBACK}),
	"3\n3\n3",
	'what the transaction itself has ended makes room');
$node->sql(q{BEGIN; SELECT jobq.enqueue('bare'); PREPARE TRANSACTION 'p1'});
check_room('bare', 'prepared');
$node->sql(q{COMMIT PREPARED 'p1'});
check_room('bare', 'COMMIT PREPARED');
$node->sql(q{BEGIN; SELECT jobq.enqueue('bare'); PREPARE TRANSACTION 'p2'});
$node->sql(q{ROLLBACK PREPARED 'p2'});
check_room('bare', 'ROLLBACK PREPARED');

# ---------------------------------------------- transactions that began before

$node->sql(q{SELECT jobq.create_queue('late')});
my $old = $node->background_psql('postgres');
$old->query_safe(q{BEGIN; SELECT jobq.enqueue('late')});
$node->sql(q{SELECT jobq.alter_queue('late', max_queued => 3)});
check_room('late', 'the option is new');
$old->query_safe(q{COMMIT});
check_room('late', 'a transaction has noted nothing');
$old->quit;
$node->sql(q{SELECT jobq.reset_queue('late', 'max_queued')});
$node->sql(q{SELECT count(jobq.enqueue('late')) FROM generate_series(1, 5)});
$node->sql(q{SELECT jobq.alter_queue('late', max_queued => 2)});
check_room('late', 'far above its limit');
$node->sql(
	q{SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue = 'late' AND id <> (
	SELECT max(id) FROM jobq.jobs WHERE queue = 'late')});
check_room('late', 'below it again');

# A transaction of others, which may have written before, goes on for long.
$node->sql(q{SELECT jobq.create_queue('slow'); CREATE TABLE other(a int)});
$node->sql(q{SELECT jobq.enqueue_many('slow', '{1, 2, 3}')});
my $other = $node->background_psql('postgres');
$other->query_safe(q{BEGIN; INSERT INTO other VALUES (1)});
my $worker = $node->background_psql('postgres');
$worker->query_safe(q{BEGIN; SELECT count(*) FROM jobq.take('slow', 3)});
$node->sql(q{SELECT jobq.alter_queue('slow', max_queued => 3)});
like(sql_error($node, q{SELECT jobq.enqueue('slow')}), qr/JQ002/, 'ends are not committed yet');
$worker->query_safe(q{COMMIT});
$worker->quit;
my $last = $node->sql(q{SELECT max(id) FROM jobq.jobs WHERE queue = 'slow'});
my $id_of_slow = poll_until(
	sub {
		my ($rc, $out) = $node->psql('postgres', q{SELECT jobq.enqueue('slow')});
		return $rc == 0 ? $out : 0;
	}) // 0;
cmp_ok($id_of_slow, '>', $last, 'ends that were not noted make room, whatever else goes on');
$other->query_safe(q{ROLLBACK});
$other->quit;
check_room('slow', 'all have ended');

# ---------------------------------------------------------------- drop_oldest

$node->sql(q{SELECT jobq.create_queue('drops', max_queued => 2, on_full => 'drop_oldest')});
$node->sql(q{SELECT jobq.enqueue('drops', to_jsonb(i)) FROM generate_series(1, 3) AS i});
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'drops'}),
	'1 cancelled, 2 ready, 3 ready',
	'the first job makes room');
is( $node->sql(q{SELECT error FROM jobq.jobs WHERE queue = 'drops' AND state = 'cancelled'}),
	'dropped: the queue is full',
	'its error says why');
$node->sql(q{SELECT jobq.enqueue('drops', '4', unique_key => 'x')});
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'drops'}),
	'1 cancelled, 2 cancelled, 3 ready, 4 ready',
	'a job with a key drops another, not itself');
$node->sql(q{SELECT count(*) FROM jobq.dequeue('drops', 2, '1 h')});
like(sql_error($node, q{SELECT jobq.enqueue('drops')}), qr/JQ002/, 'jobs that run are not dropped');
like(sql_error($node, q{SELECT jobq.enqueue_many('drops', '{1, 2, 3}')}),
	qr/JQ002/, 'more payloads than the limit are refused');
$node->sql(
	q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'drops' AND state = 'running'});
$node->sql(q{SELECT jobq.reset_queue('drops', 'on_full')});
check_room('drops', 'those have been cancelled');

$node->sql(
	q{SELECT jobq.create_queue('one', max_running => 1, max_queued => 2, on_full => 'drop_oldest');
	SELECT jobq.enqueue_many('one', '{1, 2}'); SELECT count(*) FROM jobq.dequeue('one', 1, '1 h');
	SELECT jobq.enqueue('one', '3')});
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'one'}),
	'1 running, 2 cancelled, 3 ready',
	'a job makes room though none may start');
is( $node->sql(
		q{SELECT started_at IS NULL, attempt FROM jobq.jobs
	WHERE queue = 'one' AND state = 'cancelled'}
	),
	't|0',
	'it has not been started');

$node->sql(
	q{SELECT jobq.create_queue('gathers', batch_size => 10, batch_wait => '1 h', max_queued => 2,
		on_full => 'drop_oldest');
	SELECT jobq.enqueue('gathers', to_jsonb(i)) FROM generate_series(1, 3) AS i});
is( $node->sql(
		q{SELECT string_agg(payload::text || ' ' || state, ', ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'gathers'}),
	'1 cancelled, 2 ready, 3 ready',
	'a job that waits for a full batch makes room');

$node->sql(
	q{SELECT jobq.create_queue('lowered');
	SELECT jobq.enqueue_many('lowered', array_agg(to_jsonb(i))) FROM generate_series(1, 20) AS i;
	SELECT jobq.alter_queue('lowered', max_queued => 5, on_full => 'drop_oldest');
	SELECT jobq.enqueue('lowered', '21')});
is( $node->sql(
		q{SELECT string_agg(payload::text, ' ' ORDER BY id) FROM jobq.jobs WHERE queue = 'lowered'
	AND state = 'ready'}),
	'17 18 19 20 21',
	'a queue above its limit comes back to it');

# What a transaction has done before its first new job begins the counting.
$node->sql(
	q{SELECT jobq.create_queue('counted');
	SELECT jobq.enqueue_many('counted', array_agg(to_jsonb(i))) FROM generate_series(1, 10) AS i;
	SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'counted' AND payload = '1';
	SELECT jobq.alter_queue('counted', max_queued => 4, on_full => 'drop_oldest');
	BEGIN;
	SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'counted' AND payload = '2';
	SAVEPOINT s;
	SELECT jobq.retry(id) FROM jobq.jobs WHERE queue = 'counted' AND payload = '1';
	SELECT jobq.enqueue('counted', '11');
	ROLLBACK TO s;
	SELECT jobq.enqueue('counted', '12');
	COMMIT});
is( $node->sql(
		q{SELECT string_agg(payload::text, ' ' ORDER BY id) FROM jobq.jobs
	WHERE queue = 'counted' AND state = 'ready'}),
	'8 9 10 12',
	'a rollback to a savepoint undoes what was done before the counting began');

# Those that have gone cost nothing while VACUUM cannot remove them.
$node->sql(
	q{SELECT jobq.create_queue('held', max_queued => 10, on_full => 'drop_oldest',
	keep_dead => '0')}
);
my $horizon = $node->background_psql('postgres');
$horizon->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1});
$node->sql(join("\n", (q{SELECT jobq.enqueue('held');}) x 500));
cmp_ok(
	$node->sql(
		q{BEGIN; SELECT jobq.enqueue('held') < 0;
		SELECT pg_stat_get_xact_tuples_returned('jobq_store.job_dispatch'::regclass); COMMIT}
	) =~ s/.*\n//sr,
	'<', 100,
	'few index entries are read');
$node->sql(q{SELECT jobq.reset_queue('held', 'on_full')});
check_room('held', 'with a held horizon');
$horizon->query_safe(q{COMMIT});
$horizon->quit;

# -------------------------------------------------------------------- a crash

$node->sql(q{SELECT jobq.enqueue('q')});
$node->stop('immediate');
$node->start;
check_room($_, 'after a crash') foreach 'q', 'bare', 'work', 'late';

# ----------------------------------------------- many at a time, counted anew

$node->sql(q{SELECT jobq.create_queue('busy', max_queued => 100000, keep_completed => '0')});
my $script = PostgreSQL::Test::Utils::tempdir() . '/busy.sql';
append_to_file(
	$script, q{
	BEGIN; SELECT jobq.enqueue('busy'); SAVEPOINT s; SELECT jobq.enqueue('busy');
	ROLLBACK TO s; COMMIT;
	SELECT count(*) FROM jobq.take('busy') WHERE random() < 0.5;
	BEGIN; SELECT jobq.enqueue_many('busy', '{1, 2}'); ROLLBACK;
	SELECT CASE WHEN random() < 0.05 THEN jobq.start() END;
});
$node->command_ok(
	[
		'pgbench', '-n', '-c', '6', '-t', '60',
		'-f', $script, '-h', $node->host, '-p', $node->port,
		'postgres'
	],
	'six sessions, and counts in between');
$node->sql(
	q{SELECT jobq.alter_queue('busy', max_queued => (
	SELECT count(*)::int + 20 FROM jobq_store.job WHERE queue =
	(SELECT id FROM jobq_store.queue WHERE name = 'busy')))});
check_room('busy', 'at rest');

$node->stop;
done_testing();
