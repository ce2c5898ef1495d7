# t/032_lease_room.pl: the registry of leases in shared memory: no role takes
# the room of others, leases without room end as well, and leases that end in a
# year take none.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for some 6000 leases.
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 3', 'jobq.shared_memory = 1MB' ]);
$node->create_clock;

# Runs statements as a role.
sub as
{
	return as_role($node, @_);
}

# A procedure, a command that needs top level, a claim bound to its session.
sub others_go_on_ok
{
	my ($how) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = as('alice', 'SELECT count(*) FROM ran');
	my $vacuum = as('alice', q{SELECT jobq.enqueue('procedures'); SELECT jobq.run('VACUUM ran')});
	$vacuum = (split(/\n/, $vacuum))[-1];
	poll_ok($node, "SELECT count(*) = $before + 1 FROM ran", "$how: a procedure runs");
	poll_ok(
		$node,
		"SELECT state = 'completed' FROM jobq.jobs WHERE id = $vacuum",
		"$how: VACUUM runs");
	like(
		as( 'alice', q{SELECT jobq.enqueue('plain');
		SELECT 'claimed ' || count(*) FROM jobq.dequeue('plain', session_bound => true)}),
		qr/^claimed 1$/m,
		"$how: a claim is bound to its session");
	poll_ok(
		$node,
		q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'plain' AND state = 'ready'},
		"$how: the lease ends with the process");
	as('alice', q{SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue = 'plain'});
	return;
}

foreach my $role ('alice', 'mallory')
{
	$node->sql(
		"CREATE ROLE $role LOGIN; SELECT jobq.grant_usage('$role', true);
			GRANT CREATE ON SCHEMA public TO $role"
	);
}
as( 'alice', q{
	CREATE TABLE ran (n int);
	CREATE PROCEDURE procedure(p jsonb) LANGUAGE plpgsql AS $$BEGIN INSERT INTO ran VALUES (1);
		COMMIT; END$$;
	SELECT jobq.create_queue('procedures', 'procedure(jsonb)');
	SELECT jobq.create_queue('plain', backoff_base => '1 ms')});
$node->sql('GRANT SELECT ON ran TO postgres');
as( 'mallory', q{
	SELECT jobq.create_queue('fill', backoff_base => '1 ms');
	SELECT count(*) FROM jobq.enqueue_many('fill', array_fill('1'::jsonb, '{10000}'));
	SELECT count(*) FROM jobq.enqueue_many('fill', array_fill('1'::jsonb, '{10000}'))});

# ------------------------------------------------------------- leases of a year

as('mallory', q{SELECT count(*) FROM jobq.dequeue('fill', 10000, lease => '366 days')});
is($node->sql('SELECT count(*) FROM jobq.health'), '0', 'leases that end in a year take no room');
others_go_on_ok('leases of a year');
my ($id, $lease) = split(
	/\|/,
	as( 'alice',
		q{SELECT jobq.enqueue('plain') \gset
	SELECT id, lease FROM jobq.dequeue('plain', lease => '1 day')}));
$node->advance_clock('2 days');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.attempts WHERE job_id = $id AND outcome = 'lease lost'",
	'a lease that ended far in the future ends in time');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'fill' AND state = 'running'}),
	'10000', 'leases of a year still hold');
as('alice', q{SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue = 'plain'});

# ---------------------------------------------------- more leases than its share

as('mallory', q{SELECT count(*) FROM jobq.dequeue('fill', 10000, lease => '30 min')});
is( $node->sql(
		q{SELECT count(*) FROM jobq.health WHERE topic = 'shared memory' AND object = 'leases'
	AND message ~ 'role "mallory" has \d+ of the \d+ entries'}),
	'1',
	'health says whose leases fill the room');
is( as( 'alice',
		q{SELECT count(*) FROM jobq.health WHERE topic = 'shared memory' AND message ~ 'mallory'}),
	'0',
	'health says so only to roles that may know');
others_go_on_ok('a role has filled its share');
like(
	sql_error(
		$node, q{SET SESSION AUTHORIZATION mallory; SELECT jobq.enqueue('fill', priority => -1);
	SELECT id FROM jobq.dequeue('fill', session_bound => true)}),
	qr/53200.*no shared memory left/,
	'a role that has filled its share cannot bind claims to sessions');
($id, $lease) = split(
	/\|/,
	as( 'alice',
		q{SELECT jobq.enqueue('plain') \gset
	SELECT id, lease FROM jobq.dequeue('plain', lease => '1 s')}));
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.attempts WHERE job_id = $id AND outcome = 'lease lost'",
	"another role's lease ends in time");

# what found no room ends, too
$node->advance_clock('40 min');
poll_ok(
	$node,
	q{SELECT count(*) = 10000 FROM jobq.attempts WHERE queue = 'fill' AND outcome = 'lease lost'},
	"all leases within the role's share, and beyond it, end");
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.health WHERE topic = 'shared memory'},
	'health has no finding about leases any more');

# -------------------------------------------------------------------- a restart

$node->restart;
others_go_on_ok('leases end after a restart');
($id, $lease) = split(
	/\|/,
	as( 'alice',
		q{SELECT jobq.enqueue('plain') \gset
	SELECT id, lease FROM jobq.dequeue('plain', lease => '1 day')}));
as('alice', "SELECT jobq.heartbeat($id, $lease, '10 s')");
$node->advance_clock('3 days');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.attempts WHERE job_id = $id AND outcome = 'lease lost'",
	'a lease that was made shorter ends');

$node->stop;
done_testing();
