# A queue and the one that is told of its deaths are dropped at the same time,
# while a job of the former is dying: nobody waits for ever.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 0', "statement_timeout = '30s'" ]);

# Starts a session that sends some statements.
sub begin
{
	my ($sql) = @_;
	my $session = { in => "$sql;\n", out => '' };
	$session->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ],
		'<', \$session->{in}, '>', \$session->{out}, '2>&1', IPC::Run::timeout(wait_limit()));
	$session->{run}->pump while $session->{in} ne '';
	return $session;
}

sub answer
{
	my ($session) = @_;
	$session->{run}->finish;
	return $session->{out};
}

$node->sql(q{SELECT jobq.create_queue('deaths');
	SELECT jobq.create_queue('dying', on_dead => 'deaths', max_attempts => 1);
	SELECT jobq.enqueue('dying');
	CREATE TABLE held AS SELECT id, lease FROM jobq.dequeue('dying', lease => '10 min');
	CREATE TABLE go ()});

my $worker = begin(q{BEGIN;
	SELECT jobq.heartbeat(id, lease) FROM held;
	DO $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.05); END LOOP;
	END $$;
	SELECT jobq.fail(id, lease, 'no') FROM held;
	COMMIT});
poll_ok($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DO%'}, 'a session has the job');
my $dropper = begin(q{SELECT jobq.drop_queue('dying', force => true)});
poll_ok($node, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND classid = 'jobq_store.queue'::regclass
	AND mode = 'AccessExclusiveLock' AND granted}, 'another one drops its queue, and waits for the job');
my $other = begin(q{SELECT jobq.drop_queue('deaths', force => true)});
poll_ok($node, q{SELECT count(*) = 0 FROM jobq.queues WHERE queue = 'deaths'}, 'a third one drops the queue of deaths, and waits for nobody');
$node->sql('INSERT INTO go DEFAULT VALUES');
my $said = answer($worker);
like($said, qr/^dead$/m, 'the job is dead');
unlike($said, qr/ERROR/, 'and told nobody');
unlike(answer($dropper), qr/ERROR/, 'its queue is dropped');
unlike(answer($other), qr/ERROR/, 'so is the other one');
is($node->sql(q{SELECT count(*) FROM jobq_store.queue}), '0', 'both are gone');
is($node->sql(q{SELECT (SELECT count(*) FROM jobq_store.job) + (SELECT count(*) FROM jobq_store.history)}), '0', 'with all jobs');

done_testing();
