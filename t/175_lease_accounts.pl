# t/175_lease_accounts.pl: leases take the room of the role whose code has
# claimed the jobs, in whichever session that code runs.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for some 6000 leases.
my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.shared_memory = 1MB' ]);

# mallory's code, which bob's sessions run, claims jobs of mallory's.
foreach my $role ('bob', 'mallory')
{
	$node->sql(
		"CREATE ROLE $role LOGIN; SELECT jobq.grant_usage('$role', true);
			GRANT CREATE ON SCHEMA public TO $role");
}
as_role(
	$node, 'mallory', q{
	SELECT jobq.create_queue('theirs');
	SELECT count(*) FROM jobq.enqueue_many('theirs', array_fill('1'::jsonb, '{10000}'));
	SELECT count(*) FROM jobq.enqueue_many('theirs', array_fill('1'::jsonb, '{10000}'));
	CREATE FUNCTION claim_by_check(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		PERFORM count(*) FROM jobq.dequeue('theirs', 4000, lease => '30 min');
		RETURN true; END$$;
	CREATE FUNCTION claim_as_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER
		AS $$SELECT count(*) FROM jobq.dequeue('theirs', 4000, lease => '30 min')$$;
	SELECT jobq.create_queue('trap', payload_check => 'claim_by_check(jsonb)');
	SELECT jobq.grant_queue('trap', 'bob', 'enqueue')});
as_role($node, 'bob', q{SELECT jobq.create_queue('mine')});

# Jobs that mallory's code has claimed.
my $claimed = q{SELECT count(*) FROM jobq.jobs WHERE queue = 'theirs' AND state = 'running'};

foreach my $try (
	[ 'a payload_check', q{SELECT jobq.enqueue('trap')} ],
	[ 'a SECURITY DEFINER function', 'SELECT claim_as_definer()' ])
{
	my ($what, $sql) = @$try;
	my $before = $node->sql($claimed);
	as_role($node, 'bob', "$sql; $sql");
	is($node->sql($claimed), $before + 8000, "$what has claimed jobs in another role's session");
	is( $node->sql(
			q{SELECT substring(message FROM 'role "\w+" has') FROM jobq.health
				WHERE topic = 'shared memory' AND object = 'leases'}),
		'role "mallory" has',
		"$what: health names the role whose code it is");
	is( as_role(
			$node, 'bob',
			q{SELECT jobq.enqueue('mine') \gset
			SELECT count(*) FROM jobq.dequeue('mine', session_bound => true)}),
		'1',
		"$what: the caller has its own room");
}

like(
	sql_error(
		$node, q{SET SESSION AUTHORIZATION mallory; SELECT jobq.enqueue('theirs', priority => -1);
	SELECT id FROM jobq.dequeue('theirs', session_bound => true)}),
	qr/53200.*no shared memory left/,
	'the role whose code it is has used up its room');

$node->stop;
done_testing();
