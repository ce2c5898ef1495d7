# t/053_shared_queues.pl: queues that background workers and clients share: the
# numbers of jobs while procedures run, and a warning for clients that dequeue
# from a queue with a handler.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'fsync = off', 'jobq.max_workers = 3' ]);

# ----------------------------------------------------------------- numbers

$node->sql(
	q{CREATE TABLE gate (open boolean); INSERT INTO gate VALUES (false);
	CREATE PROCEDURE through_gate() LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT (SELECT open FROM gate) LOOP COMMIT; PERFORM pg_sleep(0.01); END LOOP;
	END $$;
	CREATE FUNCTION through_gate(jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT (SELECT open FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
	END $$;
	SELECT jobq.create_queue('procedures', 'through_gate()'), jobq.create_queue('functions',
		'through_gate(jsonb)')}
);

foreach my $queue ('procedures', 'functions')
{
	$node->sql("UPDATE gate SET open = false");
	$node->sql("SELECT count(*) FROM jobq.enqueue_many('$queue', '{1,2,3,4,5}')");
	$node->sql("SELECT jobq.enqueue('$queue', delay => '1 hour')");
	poll_ok(
		$node,
		"SELECT count(*) = 3 FROM jobq.jobs WHERE queue = '$queue' AND state = 'running'",
		"$queue: three jobs run");
	is( $node->sql(
			"SELECT scheduled, ready, running, waiting FROM jobq.queues WHERE queue = '$queue'"),
		'1|2|3|0',
		"$queue: each job is counted once");
	$node->sql("UPDATE gate SET open = true");
	poll_ok(
		$node,
		"SELECT count(*) = 5 FROM jobq.jobs WHERE queue = '$queue' AND state = 'completed'",
		"$queue: all jobs are done");
	poll_ok(
		$node,
		"SELECT running = 0 AND ready = 0 FROM jobq.queues WHERE queue = '$queue'",
		"$queue: no job runs");
}

$node->sql("UPDATE gate SET open = false");
my $vacuum = $node->sql(q{SELECT jobq.run('CALL through_gate()')});
poll_ok($node, "SELECT state = 'running' FROM jobq.jobs WHERE id = $vacuum", 'a command runs');
is($node->sql(q{SELECT ready, running FROM jobq.queues WHERE queue LIKE 'run:%'}),
	'0|1', 'a command is counted once');
$node->sql("UPDATE gate SET open = true");

# ---------------------------------------------------------------- warnings

$node->sql(
	q{SELECT jobq.create_queue('clients');
	SELECT jobq.alter_queue('functions', description => 'x')});

sub warnings
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql);
	return scalar(() = $err =~ /WARNING:  queue "\w+" has a handler/g);
}

is(warnings("SELECT * FROM jobq.dequeue('clients')"),
	0, 'dequeue does not warn of a queue without a handler');
is(warnings("SELECT * FROM jobq.dequeue('functions')"), 1, 'dequeue warns of a handler');
is(warnings("SELECT * FROM jobq.take('functions')"), 1, 'take warns of a handler');
is(warnings("SELECT * FROM jobq.next('functions', '{}', 0)"), 1, 'next warns of a handler');
is(warnings("SELECT * FROM jobq.dequeue_any('{clients,functions,procedures}')"),
	2, 'dequeue_any warns of each queue with a handler');
is( warnings(
		join ';',
		map {
			"SELECT * FROM jobq.dequeue('functions'); SELECT jobq.pause('functions');
				SELECT jobq.resume('functions')"
		} 1 .. 3),
	1,
	'once in a session');
is( warnings(
		"SELECT * FROM jobq.dequeue('functions'); DROP EXTENSION jobq; CREATE EXTENSION jobq;
		SELECT jobq.create_queue('clients'), jobq.create_queue('a', 'through_gate(jsonb)'),
			jobq.create_queue('b', 'through_gate(jsonb)');
		SELECT * FROM jobq.dequeue_any('{a,b}')"),
	3,
	'a warning for a queue of another extension with the same id');

done_testing();
