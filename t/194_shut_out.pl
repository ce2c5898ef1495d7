# t/194_shut_out.pl: a role that may no longer log in or connect: its executors
# end the job that they run, and leave.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 3', 'jobq.worker_idle_timeout = 1h' ]);

$node->sql(
	q{
	CREATE ROLE guests;
	CREATE ROLE ann LOGIN IN ROLE guests;
	CREATE ROLE bea LOGIN;
	REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
	GRANT CONNECT ON DATABASE postgres TO guests, bea;
	CREATE TABLE gate (role name);
	CREATE FUNCTION pass(jobq.job) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
		$$BEGIN
			WHILE EXISTS (SELECT FROM gate WHERE role = session_user) LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
		END$$;
	SELECT jobq.grant_usage(r, true) FROM unnest('{ann,bea}'::regrole[]) AS r;
	SELECT jobq.create_queue('ann', 'pass(jobq.job)', owner => 'ann'),
		jobq.create_queue('bea', 'pass(jobq.job)', owner => 'bea')});

my $executors =
  q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor' AND usename = 'ann'};
my $ended = q{SELECT count(*) FROM jobq.jobs WHERE queue = 'ann' AND state = 'completed'};

sub finish
{
	my ($name, $n) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_ok($node, "SELECT ($ended) = $n", $name);
	$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue = 'ann'});
	return;
}

my @cases = (
	[ 'NOLOGIN', 'ALTER ROLE ann NOLOGIN', 'ALTER ROLE ann LOGIN' ],
	[
		'REVOKE CONNECT',
		'REVOKE CONNECT ON DATABASE postgres FROM guests',
		'GRANT CONNECT ON DATABASE postgres TO guests'
	],
	[ 'REVOKE of a role', 'REVOKE guests FROM ann', 'GRANT guests TO ann' ]);

# From PostgreSQL 17 on executors are started for roles that may not log in.
shift(@cases) if $node->sql('SELECT current_setting($$server_version_num$$)::int >= 170000') eq 't';

foreach my $case (@cases)
{
	my ($name, $shut_out, $let_in) = @$case;

	# while it runs a job, and more are ready
	$node->sql(
		q{INSERT INTO gate VALUES ('ann');
		SELECT count(jobq.enqueue('ann')) FROM generate_series(1, 20)});
	poll_ok(
		$node,
		q{SELECT count(*) = 3 FROM jobq.workers WHERE kind = 'executor' AND job_id IS NOT NULL},
		"$name: jobs run");
	$node->sql($shut_out);
	$node->sql('DELETE FROM gate');
	poll_ok($node, "SELECT ($executors) = 0", "$name: the executors leave");
	is($node->sql($ended), '3', "$name: the jobs that they ran were ended, and no others begun");
	is($node->sql(q{SELECT severity, object FROM jobq.health WHERE topic = 'owner'}),
		'critical|ann', "$name: health says so");
	$node->sql($let_in);
	finish("$name: the jobs run when the role may connect again", 20);

	# while it is idle
	poll_ok(
		$node, "SELECT ($executors) > 0 AND NOT EXISTS (SELECT FROM jobq.workers
		WHERE kind = 'executor' AND job_id IS NOT NULL)", "$name: executors are idle");
	$node->sql($shut_out);
	$node->sql(q{SELECT jobq.enqueue('ann')});
	poll_ok($node, "SELECT ($executors) < 3", "$name: an idle executor leaves when it is woken");
	$node->sql(q{SELECT jobq.enqueue('bea')});
	poll_ok(
		$node,
		q{SELECT state = 'completed' FROM jobq.jobs WHERE queue = 'bea'},
		"$name: another role's job runs");
	is($node->sql($ended), '0', "$name: it has not run the job");
	$node->sql($let_in);
	finish("$name: that job runs when the role may connect again", 1);
	$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq.jobs});
}

# What does not shut it out ends no executor.
$node->sql(q{INSERT INTO gate VALUES ('ann'); SELECT jobq.enqueue('ann')});
poll_ok($node, q{SELECT count(*) = 1 FROM jobq.workers WHERE job_id IS NOT NULL}, 'a job runs');
my $pid = $node->sql(q{SELECT pid FROM jobq.workers WHERE job_id IS NOT NULL});
$node->sql('ALTER ROLE ann VALID UNTIL $$infinity$$; ALTER ROLE bea NOLOGIN; DELETE FROM gate');
finish('other changes: the job ends', 1);
$node->sql(q{SELECT jobq.enqueue('ann')});
finish('other changes: the next job runs', 1);
is($node->sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"),
	'1', 'other changes: the executor stays');

$node->stop;
done_testing();
