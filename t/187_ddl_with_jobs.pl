# t/187_ddl_with_jobs.pl: a transaction that changes something and enqueues a
# job. The session that takes the job knows the change: the new body of a handler, the
# right that was revoked. The committing session tells the others of its job
# before the server tells them of its changes, and here much later: it has
# thousands of relations to look at in between.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant RELATIONS => 4000;
use constant ROUNDS => 20;

my $node = jobq_node('main', conf => [ "jobq.max_workers = 1", "jobq.shared_commit_time = 1s" ]);
$node->sql(
	qq{
	CREATE TABLE ran (version int, transaction xid8 DEFAULT pg_current_xact_id());
	CREATE TABLE wait ();
	CREATE TABLE slept (transaction xid8);
	CREATE FUNCTION handler(payload jsonb) RETURNS void LANGUAGE plpgsql
		AS 'BEGIN INSERT INTO ran (version) VALUES (0); END';
	CREATE FUNCTION sleeper(payload jsonb) RETURNS void LANGUAGE plpgsql
		AS 'BEGIN INSERT INTO slept VALUES (pg_current_xact_id());
		WHILE payload = ''1'' AND EXISTS (SELECT FROM wait) LOOP
			PERFORM pg_sleep(0.001);
		END LOOP; END';
	SELECT jobq.create_queue('q', 'handler(jsonb)'), jobq.create_queue('s', 'sleeper(jsonb)'),
		jobq.create_queue('o');
	CREATE TABLE many (n int) PARTITION BY LIST (n);
	DO \$\$ BEGIN
		FOR i IN 1 .. @{[RELATIONS]} LOOP
			EXECUTE format('CREATE TABLE many%1\$s PARTITION OF many FOR VALUES IN (%1\$s)', i);
			IF i % 500 = 0 THEN COMMIT; END IF;
		END LOOP;
	END \$\$});

# new_handler($version): the statement that gives the handler another body.
sub new_handler
{
	my ($version) = @_;
	return "CREATE OR REPLACE FUNCTION handler(payload jsonb) RETURNS void LANGUAGE plpgsql"
	  . " AS 'BEGIN INSERT INTO ran (version) VALUES ($version); END'";
}

# crowd($session): makes its commits slow: it knows many relations, and its
# transaction has made more than it keeps a list of.
sub crowd
{
	my ($session) = @_;
	$session->query_safe("SELECT count(*) FROM many");
}

my $crowd = join(' ', map { "CREATE TEMP TABLE t$_ () ON COMMIT DROP;" } 1 .. 40);
my $session = $node->background_psql('postgres');
crowd($session);

# A worker that is at rest
$node->sql("SELECT jobq.enqueue('q')");
ok(poll_query($node, "SELECT count(*) FROM ran", expected => 1), 'the first job has run');
for my $version (1 .. ROUNDS)
{
	$session->query_safe(
		"BEGIN; $crowd @{[new_handler($version)]}; SELECT jobq.enqueue('q'); COMMIT;");
	poll_query($node, "SELECT count(*) FROM ran", expected => $version + 1);
}
is( $node->sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM ran"),
	join(' ', 0 .. ROUNDS),
	'a worker that is woken for a job runs the body that was committed with it');

# A worker in the middle of a transaction that goes on with the next job. Such a
# job must have been enqueued before, in a transaction that now commits.
$node->sql("TRUNCATE ran");
my $other = $node->background_psql('postgres');
for my $version (1 .. ROUNDS)
{
	$other->query_safe("INSERT INTO wait DEFAULT VALUES");
	$session->query_safe("BEGIN; @{[new_handler($version)]}; SELECT jobq.enqueue('q')");
	$other->query_safe("SELECT jobq.enqueue('s', '0'), jobq.enqueue('s', '1')");
	poll_until(
		sub {
			$other->query_safe("SELECT count(*) FROM jobq.workers"
				  . " WHERE job_id = (SELECT max(id) FROM jobq.jobs WHERE queue = 's')");
		});
	$session->query_safe("COMMIT");
	$other->query_safe("DELETE FROM wait");
	poll_query($node, "SELECT count(*) FROM ran", expected => $version);
}
is( $node->sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM ran"),
	join(' ', 1 .. ROUNDS),
	'a worker that shares its transaction does, too');
$other->quit;

# the jobs after one that took a fifth of jobq.shared_commit_time share none
ok( $node->sql(
		q{SELECT EXISTS (SELECT FROM ran JOIN slept USING (transaction))
			OR (SELECT max(finished_at - started_at) > '0.15 s' FROM jobq.jobs
				WHERE queue = 's')}) eq 't',
	'jobs that are short have shared transactions');

# A session in wait()
$node->sql("CREATE ROLE walter LOGIN");
$node->sql("SELECT jobq.grant_usage('walter'), jobq.grant_queue('o', 'walter', 'consume')");
my $refused = 0;
for my $round (1 .. ROUNDS)
{
	my ($output, $error) = ('', '');
	my $waiter = IPC::Run::start(
		[
			'psql', '-XAtq',
			'-d', $node->connstr('postgres') . ' user=walter',
			'-c', "CALL jobq.wait('{o}', NULL)"
		],
		'<',
		\undef,
		'>',
		\$output,
		'2>',
		\$error);
	poll_query(
		$node,
		"SELECT count(*) FROM pg_stat_activity"
		  . " WHERE usename = 'walter' AND backend_xmin IS NULL AND wait_event_type = 'Extension'",
		expected => 1);
	$session->query_safe(
		"BEGIN; $crowd SELECT jobq.revoke_usage('walter'), jobq.enqueue('o'); COMMIT;");
	$waiter->finish;
	$refused++ if $error =~ /permission denied for function wait/;
	$node->sql("SELECT jobq.dequeue('o')");
	$node->sql("SELECT jobq.grant_usage('walter')");
}
is($refused, ROUNDS, 'a session in wait() that has lost its right is not told of jobs');
$session->quit;

done_testing();
