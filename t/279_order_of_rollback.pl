# t/279_order_of_rollback.pl: a claim fails after it has taken a job out of the lane of a
# serial group. The job is in its lane again before the group's ticket is back, so that
# a claim in between finds nothing, rather than the next job. It is also back if the claim
# fails while it looks at a job that another session has locked.

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
		'jobq.shared_memory = 128MB',
		'jobq.sweep_interval = 0',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);
my $njobs = 50_000;

$node->sql(
	qq{SELECT jobq.create_queue('serial', max_running_per_group => 1, lease => '1 h');
	SELECT jobq.create_queue('other');
	SELECT count(*) FROM jobq.enqueue_many('other', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, $njobs) AS n), group_keys => ARRAY(SELECT 'g' || n % 2
		FROM generate_series(1, $njobs) AS n));
	SELECT jobq.enqueue('serial', '0', group_key => 'g')});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.take('serial')},
	'running jobs have been counted',
	expected => '1');

# Nobody but claims ends what has expired.
dismiss_coordinator($node);

# The first job has expired, and cannot: history has one of that id.
$node->sql(
	q{SELECT jobq.enqueue('serial', '1', group_key => 'g', ttl => '1 ms');
	SELECT jobq.enqueue('serial', '2', group_key => 'g');
	INSERT INTO jobq_store.history (id, run_at, finished_at, queue, attempt, priority, state,
			segment)
		SELECT j.id, now(), now(), j.queue, 0, 0, 2, n FROM jobq_store.job AS j
			JOIN jobq_store.queue AS q ON q.id = j.queue, generate_series(0, 7) AS n
		WHERE q.name = 'serial' AND j.payload = '1'});

# The failed transaction has very many jobs to give back, and this one comes last.
my $fails = start_session($node);
my $other = start_session($node);
ask($fails, q{SELECT pg_advisory_lock(1); BEGIN});
is( ask($fails,
		qq{SELECT sum(n) FROM generate_series(1, $njobs / 10000) AS i,
			LATERAL (SELECT count(*) AS n FROM jobq.take('other', 10000 + i * 0)) AS t}),
	"$njobs\n",
	'a transaction has many jobs');
order(
	$other, q{DO $$DECLARE
		got jsonb;
	BEGIN
		LOOP
			BEGIN
				SELECT payload INTO got FROM jobq.dequeue('serial');
			EXCEPTION WHEN unique_violation THEN
			END;
			EXIT WHEN got IS NOT NULL OR pg_try_advisory_lock(1);
		END LOOP;
		RAISE NOTICE 'claimed: %', got;
	END$$;});
is( ask($fails, q{DO $$BEGIN
	FOR i IN 1 .. 100000 LOOP
		PERFORM jobq.dequeue('serial');
	END LOOP; END$$}) =~ s/:.*//sr,
	'ERROR',
	'its claim fails');
ask($fails, q{ROLLBACK; SELECT pg_advisory_unlock(1)});
like(answer($other), qr/claimed: <NULL>/, 'no other claim has found the next job meanwhile');

end_session($_) foreach $fails, $other;

# ------------------------------------------------------------ while it looks again

# A claim that finds the first job locked looks for it by its id, and cannot read that
# index.  The job is not lost: the group still waits for it.
$node->sql(
	q{SELECT jobq.create_queue('busy', max_running_per_group => 1, lease => '1 h');
	SELECT jobq.create_queue('empty', max_running_per_group => 1);
	SELECT jobq.enqueue('busy', '1', group_key => 'g');
	SELECT jobq.enqueue('busy', '2', group_key => 'g')});
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('empty')}), '0', 'jobs are counted anew');

my $locker = start_session($node);
ask($locker, q{SET enable_indexscan = off; SET enable_bitmapscan = off; BEGIN;
	SELECT FROM jobq_store.job WHERE payload = '1' AND group_key = 'g'
		AND queue = (SELECT id FROM jobq_store.queue WHERE name = 'busy') FOR UPDATE});
my $path =
  $node->data_dir . '/' . $node->sql(q{SELECT pg_relation_filepath('jobq_store.job_pkey')});
my $content = slurp_file($path);
open(my $file, '+<:raw', $path) or die "$path: $!\n";
truncate($file, 8192) or die "$path: $!\n";
like(
	sql_error($node, q{SELECT payload FROM jobq.dequeue('busy')}),
	qr/could not read block/,
	'a claim fails while it looks at a locked job');
sysseek($file, 0, 0) or die "$path: $!\n";
syswrite($file, $content) == length($content) or die "$path: $!\n";
close($file) or die "$path: $!\n";
is($node->sql(q{SELECT payload FROM jobq.dequeue('busy')}), '', 'none overtakes the job');
ask($locker, 'ROLLBACK');
poll_ok($node, q{SELECT payload FROM jobq.dequeue('busy')}, 'then it is claimed', expected => '1');
end_session($locker);
$node->stop;
done_testing();
