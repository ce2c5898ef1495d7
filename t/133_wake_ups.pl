# t/133_wake_ups.pl: no job waits for an executor while slots are free: an
# executor passes on the wake-ups that it does not follow, and a process that
# fails to start holds up nothing.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.sweep_interval = 0']);

# ------------------------------------------- an executor is woken, and goes elsewhere

$node->sql(
	q{
	CREATE TABLE go_on (yes boolean);
	CREATE FUNCTION go_on() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN
		RETURN EXISTS (SELECT FROM go_on); END$$;
	CREATE FUNCTION waits(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	INSERT INTO go_on VALUES (true);
	SELECT jobq.create_queue(name, 'waits(jsonb)') FROM unnest('{a,b,c}'::text[]) name});

my $idle = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND state = 'idle'
	AND (SELECT count(*) FROM jobq_store.job) = 0
	AND (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor') = 1};
my $running = q{SELECT count(*) FROM jobq.workers WHERE kind = 'executor' AND job_id IS NOT NULL};

# One executor is there, which has served queue "a" last: it looks into the
# others first.  It is told of the first of the jobs, and comes to look when the
# flags of the other queues are set, and before the coordinator does.
sub enqueue_to_frozen
{
	my (@queues) = @_;
	$node->sql(q{SELECT jobq.enqueue('a')});
	poll_query($node, $idle) or die "no idle executor\n";
	my ($executor) = worker_pids($node, 'jobq executor');
	my ($coordinator) = worker_pids($node, 'jobq coordinator');
	kill('STOP', $executor, $coordinator);
	$node->sql('BEGIN; TRUNCATE go_on; '
		  . join('', map { "SELECT jobq.enqueue('$_'); " } @queues)
		  . 'COMMIT');
	kill('CONT', $executor);
	poll_query($node, $running, expected => 1) or die "no job runs\n";
	kill('CONT', $coordinator);
	return;
}

for my $queues ([qw(a b)], [qw(a c)], [qw(a b c)], [qw(b a)], [qw(c a b)])
{
	enqueue_to_frozen(@$queues);
	ok(poll_query($node, $running, expected => scalar(@$queues), seconds => 20),
		"all jobs run: @$queues");
	$node->sql('INSERT INTO go_on VALUES (true)');
	poll_query($node, 'SELECT count(*) = 0 FROM jobq_store.job');
	$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE kind = 'executor'});
	poll_query($node, q{SELECT count(*) = 0 FROM jobq.workers WHERE kind = 'executor'});
}

$node->stop;
done_testing();
