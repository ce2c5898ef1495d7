# t/231_cancel_running_first.pl: a job that an executor runs is cancelled before the
# coordinator has gone through the many requests of another role.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $many = 50_000;
my $node = jobq_node('main', conf => [ 'autovacuum = off', 'log_statement = none' ]);

$node->sql(
	q{
	CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{mallory,bob}'::regrole[]) AS r;
	CREATE FUNCTION sleep(jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(3600)';
	SELECT jobq.create_queue('many', owner => 'mallory'),
		jobq.create_queue('bob', 'sleep(jsonb)', max_attempts => 1, owner => 'bob')});
$node->sql("SELECT count(*) FROM generate_series(1, $many / 1000) AS i,"
	  . " LATERAL jobq.enqueue_many('many', array_fill('1'::jsonb, '{1000}'), priority => i % 1)");

my $session = start_session($node);
ask($session,
		"SET ROLE mallory; BEGIN; SELECT count(*) FROM generate_series(1, $many / 1000) AS i,"
	  . " LATERAL jobq.dequeue('many', 1000 + i * 0)");
my $job = $node->sql("SELECT jobq.enqueue('bob')");
poll_ok($node, "SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $job", 'a job runs');

# The coordinator begins when there are all requests, and that for the job is the last.
my $coordinator = $node->sql(q{SELECT pid FROM jobq.workers WHERE kind = 'coordinator'});
kill('STOP', $coordinator);
END { kill('CONT', $coordinator) if $coordinator; }
is( as_role(
		$node, 'mallory', "SELECT count(*) FROM jobq.jobs WHERE queue = 'many' AND jobq.cancel(id)"
	),
	$many,
	'requests for many jobs that are claimed');
is(as_role($node, 'bob', "SELECT jobq.cancel($job)"), 't', 'a request for the job that runs');

# For each request that the coordinator looks at, it reads the job by its id.  Who waits
# in the server sees at once that the job has ended, however busy the machine is.
$node->sql(
	q{
	CREATE FUNCTION reads() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_stat_clear_snapshot();
		RETURN idx_scan FROM pg_stat_all_indexes WHERE indexrelname = 'job_pkey';
	END$$;
	CREATE FUNCTION reads_when_cancelled(job bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
		WHILE NOT EXISTS (SELECT FROM jobq.jobs WHERE id = job AND state = 'cancelled') LOOP
			PERFORM pg_sleep(0.001);
		END LOOP;
		RETURN reads();
	END$$});
my $before = $node->sql('SELECT reads()');
my $observer = start_session($node, name => 'observer');
order($observer, "SELECT reads_when_cancelled($job)");
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'observer'
		AND wait_event = 'PgSleep'},
	'a session waits for the end of the job');
kill('CONT', $coordinator);
$coordinator = 0;
my ($after) = answer($observer) =~ /^(\d+)$/m;
ok($after, 'it is cancelled');
note($after - $before, ' requests have been looked at by then');
cmp_ok($after - $before, '<', $many / 2, 'before all requests have been looked at');
end_session($observer);
poll_ok(
	$node,
	"SELECT idx_scan >= $before + $many FROM pg_stat_all_indexes WHERE indexrelname = 'job_pkey'",
	'all others are looked at, too');

ask($session, 'ROLLBACK');
$node->stop;
done_testing();
