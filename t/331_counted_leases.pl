# t/331_counted_leases.pl: the running jobs of a queue with a limit are counted although
# other roles have claimed more of them than its owner has room for, and a role that sets
# such a limit leaves room for the claims of others.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for some 2700 leases.
my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 1', 'jobq.shared_memory = 1MB', 'fsync = off', 'autovacuum = off' ]);

# Statements as a role.
sub as
{
	return as_role($node, @_);
}

# Claims up to a number of jobs of a queue, some at a time, and returns how many.
sub claim
{
	my ($role, $queue, $jobs, $options) = @_;

	return as($role,
			"SELECT count(*) FROM (SELECT jobq.dequeue('$queue', 100$options)"
		  . " FROM generate_series(1, $jobs / 100)) AS j");
}

# Whether a claim gets a job.
sub claims_ok
{
	my ($role, $queue, $options, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	poll_ok(
		$node,
		"SET SESSION AUTHORIZATION $role;"
		  . " SELECT count(*) = 1 FROM jobq.dequeue('$queue'$options)",
		$what);
	return;
}

$node->sql(
	q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;
	SELECT jobq.grant_usage('alice', may_create => true),
		jobq.grant_usage('carol', may_create => true), jobq.grant_usage('bob');
	SET SESSION AUTHORIZATION carol;
	SELECT jobq.create_queue('bound'), jobq.create_queue('capped', max_running => 100);
	SELECT count(jobq.enqueue(q))
	FROM unnest('{bound,capped}'::text[]) AS q, generate_series(1, 100);
	SET SESSION AUTHORIZATION alice;
	SELECT jobq.create_limit('both', max_running => 10000);
	SELECT jobq.create_queue('limited', max_running => 10000, lease => '55 min'),
		jobq.create_queue('sharing', shared_limit => 'both', lease => '55 min'),
		jobq.create_queue('one', max_running => 5), jobq.create_queue('late', lease => '1 day');
	SELECT jobq.grant_queue(q, r, 'consume')
	FROM unnest('{limited,sharing}'::text[]) AS q, unnest('{bob,carol}'::regrole[]) AS r;
	SELECT count(jobq.enqueue(q))
	FROM unnest('{limited,sharing}'::text[]) AS q, generate_series(1, 1500);
	SELECT count(jobq.enqueue('one')) FROM generate_series(1, 9);
	SELECT count(jobq.enqueue('late')) FROM generate_series(1, 4000)}
);

# More than half of the room, which the owner could not have.
is(claim('bob', 'limited', 1200, ''), '1200', 'a role has claimed much of a queue');
is(claim('carol', 'sharing', 600, ''), '600', 'another role has claimed much of another queue');
is(as('alice', q{SELECT count(*) FROM jobq.dequeue('one')}), '1', 'the owner has claimed, too');

$node->restart;
claims_ok('bob', 'limited', '', 'after a restart the running jobs of the queue are counted');
claims_ok('carol', 'sharing', '', 'the running jobs of the queue that shares a limit are counted');
claims_ok('alice', 'one', '', 'the running jobs of the third queue are counted');

# A limit that is set brings all running jobs of a queue in.
is(claim('alice', 'late', 4000, ''),
	'4000', 'leases that end late take no room, so there may be any number of them');
$node->sql(
	q{SET SESSION AUTHORIZATION alice; SELECT jobq.alter_queue('late', max_running => 10000)});
poll_ok(
	$node, q{SELECT count(*) = 1 FROM jobq.health
	WHERE topic = 'shared memory' AND object = 'leases' AND message LIKE
	'%no room for all leases%; running jobs could not be counted for the limits of 1 queues,%'},
	'not all of them find room when they have to be listed');
is(as('carol', q{SELECT count(*) FROM jobq.dequeue('bound', 50, session_bound => true)}),
	'50', 'a claim of another role that is bound to its session finds room');
is(as('carol', q{SELECT count(*) FROM jobq.dequeue('capped', 50, lease => '1 min')}),
	'50', 'a claim of another role from a queue with a limit finds room');
is(as('alice', q{SELECT count(*) FROM jobq.dequeue('late')}),
	'0', 'nothing starts from the queue whose running jobs could not be counted');

$node->sql(q{SET SESSION AUTHORIZATION alice; SELECT jobq.reset_queue('late', 'max_running')});
claims_ok('alice', 'one', '', 'the other queues of its owner are served');

$node->stop;
done_testing();
