# t/052_queue_room.pl: the room for queues in shared memory: no role takes the
# room of others, and queues without room still work.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use Test::More;

# Room for some 600 queues.
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.shared_memory = 1MB' ]);

# Runs statements as a role.
sub as
{
	return as_role($node, @_);
}

foreach my $role ('alice', 'mallory')
{
	$node->sql(
		"CREATE ROLE $role LOGIN; SELECT jobq.grant_usage('$role', true);
			GRANT CREATE ON SCHEMA public TO $role"
	);
}
as( 'mallory', q{
	SELECT count(jobq.create_queue('m' || i)) FROM generate_series(1, 5000) AS i;
	SELECT count(jobq.enqueue('m' || i)) FROM generate_series(1, 5000) AS i});
like(
	$node->sql(
		q{SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object = 'queues'}),
	qr/no room for \d+ queues.*; role "mallory" has \d+ of the \d+ entries/,
	'health says whose queues fill the room');

as( 'alice', q{
	CREATE TABLE ran (at timestamptz, due timestamptz);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql
		AS 'INSERT INTO ran VALUES (clock_timestamp(), (j).run_at)';
	SELECT count(jobq.create_queue('a' || i, 'work(jobq.job)')) FROM generate_series(1, 50) AS i;
	SELECT count(jobq.enqueue('a' || i)) FROM generate_series(1, 50) AS i});
poll_ok($node, 'SELECT count(*) = 50 FROM ran', q{jobs of another role's queues run});
is( as( 'alice',
		q{SELECT count(*) FROM jobq.health WHERE topic = 'shared memory' AND object = 'queues'}),
	'0',
	'health finds room for the queues of the other role');
as('alice',
	q{SELECT count(jobq.enqueue('a' || i, delay => '300 ms')) FROM generate_series(1, 50) AS i});
poll_ok($node, 'SELECT count(*) = 100 FROM ran', 'delayed jobs run');
is(as('alice', q{SELECT count(*) FROM ran WHERE at > due + '5 s'}), '0',
	'delayed jobs run on time');

# The coordinator has little to do.
sub coordinator_rests_ok
{
	my ($how) = @_;
	my $coordinator = $node->sql(
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
		AND datname = 'postgres'});
	rests_ok($coordinator, 0.08, "$how: the coordinator is at rest");
	return;
}

SKIP:
{
	skip 'needs /proc', 2 unless sees_processes();
	coordinator_rests_ok('ready jobs without a worker wait');

	# each look at such a queue goes through all of its priorities
	as( 'alice', q{
		SELECT jobq.create_queue('most');
		SELECT count(jobq.enqueue('most', priority => i - 32768, delay => '1 day'))
			FROM generate_series(0, 65535) AS i;
		SELECT count(*) FROM jobq.dequeue('most');
		SELECT count(jobq.enqueue('most', delay => make_interval(secs => i * 0.05)))
			FROM generate_series(0, 3000) AS i}
	);
	coordinator_rests_ok('jobs of all priorities run');
}

# Queues without room are worked, too.
as( 'mallory', q{
	CREATE TABLE done (id bigint);
	CREATE FUNCTION finish(j jobq.job) RETURNS void
		LANGUAGE sql AS 'INSERT INTO done VALUES ((j).id)';
	SELECT count(jobq.create_queue('w' || i, 'finish(jobq.job)')) FROM generate_series(1, 20) AS i;
	SELECT count(jobq.enqueue('w' || i, delay => '100 ms')) FROM generate_series(1, 20) AS i});
poll_ok($node, 'SELECT count(*) = 20 FROM done', 'delayed jobs of queues without room run');

# What is dropped makes room.
as('mallory',
	q{SELECT count(jobq.drop_queue('m' || i, force => true)) FROM generate_series(1, 5000) AS i});
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.health WHERE topic = 'shared memory' AND object = 'queues'},
	'there is room again when queues are dropped');

# That includes those that are dropped with jobs of the same transaction.  Were
# something left of each, claims of the role's queues would have to read the
# index, one by one.
as( 'mallory', q{
	DO $$BEGIN FOR i IN 1 .. 1000 LOOP
		PERFORM jobq.create_queue('brief'), jobq.enqueue('brief');
		PERFORM jobq.drop_queue('brief', force => true);
		COMMIT;
	END LOOP; END$$;
	SELECT jobq.create_queue('last');
	SELECT count(jobq.enqueue('last')) FROM generate_series(1, 200)});
my $index = $node->sql(q{SELECT 'jobq_store.job_dispatch'::regclass::oid});
my $scans = as('mallory',
		'BEGIN;'
	  . 'SELECT FROM jobq.dequeue(\'last\');' x 200
	  . "SELECT pg_stat_get_xact_numscans($index); COMMIT");
$scans =~ s/.*\n//s;
like($scans, qr/^\d{1,2}$/, 'queues that are created, filled and dropped leave nothing in memory');

# Nor do those that are not created in the end.
as( 'mallory', q{
	DO $$BEGIN FOR i IN 1 .. 500 LOOP
		PERFORM jobq.create_queue('vain'), jobq.create_queue('futile');
		PERFORM jobq.enqueue('vain'), jobq.enqueue('futile');
		ROLLBACK;
		BEGIN
			PERFORM jobq.create_queue('vain'), jobq.enqueue('vain');
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP; END$$;
	SELECT jobq.create_queue('not in vain'), jobq.enqueue('not in vain')});
is( $node->sql(
		q{SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object <> 'candidates'}
	),
	'',
	'queues whose creation is rolled back leave nothing in memory');

# Candidates have room for some 20 queues.
as( 'alice', q{
	SELECT count(jobq.create_queue('c' || i)) FROM generate_series(1, 40) AS i;
	SELECT count(jobq.enqueue('c' || i)) FROM generate_series(1, 40) AS i, generate_series(1, 2);
	SELECT count(*) FROM generate_series(1, 40) AS i, jobq.dequeue('c' || i, lease => '1 h')});
my $candidates =
  q{SELECT severity FROM jobq.health WHERE topic = 'shared memory' AND object = 'candidates'};
is($node->sql($candidates), 'info', 'health says that candidates have no room');
as('alice',
	q{SELECT count(jobq.drop_queue('c' || i, force => true)) FROM generate_series(1, 40) AS i});
is($node->sql($candidates), '', 'there is room again for candidates');

$node->stop;
done_testing();
