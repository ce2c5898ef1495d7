# t/330_leases_of_other_consumers.pl: leases that another role has claimed in a queue, and
# that are found in the table, do not take the room of the owner's own claims.

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
my $all = 12000;

# Statements as a role.
sub as
{
	return as_role($node, @_);
}

# What the owner claims that needs room.
sub owner_claims_ok
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(as('alice', q{SELECT count(*) FROM jobq.dequeue('bound', 50, session_bound => true)}),
		'50', "$when: the owner's claims are bound to the session");
	is(as('alice', q{SELECT count(*) FROM jobq.dequeue('limited', 50, lease => '1 s')}),
		'50', "$when: the owner claims from a queue with a limit");
	return;
}

# The entries in the registry.
sub entries
{
	my $message = $node->sql(
		q{SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object = 'leases'});
	return $message =~ /has (\d+) of the (\d+) entries/ ? ($1, $2) : ();
}

$node->sql(
	qq{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage('alice', may_create => true), jobq.grant_usage('bob');
	SET SESSION AUTHORIZATION alice;
	SELECT jobq.create_queue('many', lease => '55 min'), jobq.grant_queue('many', 'bob', 'consume'),
		jobq.create_queue('bound'), jobq.create_queue('limited', max_running => 100);
	SELECT count(jobq.enqueue('many')) FROM generate_series(1, $all);
	SELECT count(jobq.enqueue(q))
	FROM unnest('{bound,limited}'::text[]) AS q, generate_series(1, 400)}
);

# bob takes his share; then one lease is left out that is over soon, for which the
# coordinator reads the table, and all the others.
as('bob',
	q{SELECT count(*) FROM (SELECT jobq.dequeue('many', 1000) FROM generate_series(1, 3)) AS j});
as('bob', q{SELECT count(*) FROM jobq.dequeue('many', 1, lease => '1 s')});
as( 'bob', qq{SELECT count(*) FROM (SELECT jobq.dequeue('many', 1000)
	FROM generate_series(1, $all / 1000)) AS j});
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE q.name = 'many' AND j.state = 1}),
	$all,
	'another role has claimed all jobs of a queue');
my ($most, $room) = entries();
cmp_ok($most, '>', $room * 0.4, 'the other role has its share of the room');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM jobq_store.job WHERE state = 0 AND queue =
	(SELECT id FROM jobq_store.queue WHERE name = 'many')}, 'the table has been read');
owner_claims_ok('when more was found');

# Nobody knows any more who has claimed.
$node->restart;
poll_ok(
	$node, q{SELECT count(*) = 1 FROM jobq.health
	WHERE topic = 'shared memory' AND object = 'leases'}, 'the table has been read again');
owner_claims_ok('after a restart');

$node->stop;
done_testing();
