# t/213_limit_owner.pl: the owner of a limit: giving it away, alone and with its
# queues; limits whose owner is gone; and who may take a queue out of a limit. What
# hints say is followed literally.

use strict;
use warnings;

use File::Spec;
use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	extension => 0,
	conf => [ 'max_prepared_transactions = 5', 'jobq.max_workers = 2' ]);

# The extension belongs to somebody who is no superuser, so that this is tested, too.
$node->sql(
	q{CREATE ROLE extowner SUPERUSER LOGIN; SET ROLE extowner; CREATE EXTENSION jobq; RESET ROLE;
	ALTER ROLE extowner NOSUPERUSER;
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carl LOGIN; CREATE ROLE dora LOGIN;
	CREATE ROLE team LOGIN; CREATE ROLE "Odd'role" LOGIN;
	GRANT team TO alice, bob;
	SELECT jobq.grant_usage(r, may_create => true)
		FROM unnest(ARRAY['alice', 'bob', 'carl', 'team', '"Odd''role"']::regrole[]) AS r;
	SELECT jobq.grant_usage('dora')});

sub as
{
	my ($role, $sql) = @_;
	return qq{SET SESSION AUTHORIZATION $role; $sql};
}

sub owner_of
{
	my ($limit) = @_;
	return $node->sql("SELECT owner FROM jobq.limits WHERE name = '$limit'");
}

# Calls what a hint names, one after the other, as a superuser. "..." in it stands
# for the argument given.
sub follow
{
	my ($hint, $argument) = @_;
	my @calls = $hint =~ /(jobq\.\w+\('(?:[^']|'')*', (?:owner => |'shared_limit').*?\))/g;
	foreach my $call (@calls)
	{
		$call =~ s/owner => \.\.\./owner => $argument/;
		is(sql_error($node, "SELECT $call"), '', "the hint works: $call");
	}
	return scalar @calls;
}

# ---------------------------------------------------------------- giving away

$node->sql(
	as( 'alice',
		q{SELECT jobq.create_limit('a', max_running => 2, rate_limit => 9);
		SELECT jobq.create_queue('a1', shared_limit => 'a');
		SELECT jobq.alter_limit('a', owner => 'team')}));
is(owner_of('a'), 'team', 'an owner gives a limit to a role of which it is a member');
is($node->sql(q{SELECT max_running, rate_limit, queues FROM jobq.limits WHERE name = 'a'}),
	'2|9|{a1}', 'its options and queues stay as they are');
is($node->sql(as('bob', q{SELECT name FROM jobq.limits})), 'a', 'members of the new owner see it');
$node->sql(as('bob', q{SELECT jobq.alter_limit('a', 3, owner => 'bob')}));
is($node->sql(q{SELECT owner, max_running FROM jobq.limits WHERE name = 'a'}),
	'bob|3', 'a member takes it, and changes it in the same call');
$node->sql(as('bob', q{SELECT jobq.alter_limit('a', owner => NULL, max_running => 4)}));
is(owner_of('a'), 'bob', 'NULL leaves the owner as it is');

my @refused = (
	[
		'the former owner', 'alice', q{'a', owner => 'alice'},
		qr/42501: must be owner of limit "a"/
	],
	[
		'an owner, to a role of which it is no member',
		'bob',
		q{'a', owner => 'carl'},
		qr/42501: must be able to SET ROLE "carl".*HINT/s
	],
	[
		'the owner of the extension, to a role of which it is no member',
		'extowner',
		q{'a', owner => 'carl'},
		qr/42501: must be able to SET ROLE/
	],
	[ 'to nobody', 'bob', q{'a', owner => '-'}, qr/42704: role with OID 0 does not exist/ ],
	[ 'to a role that is not there', 'bob', q{'a', owner => 'nowhere'}, qr/42704/ ],
	[
		'with a bad option',
		'bob',
		q{'a', max_running => -1, owner => 'team'},
		qr/22023: option "max_running"/
	]);

foreach (@refused)
{
	my ($name, $role, $arguments, $error) = @$_;
	like(sql_error($node, as($role, "SELECT jobq.alter_limit($arguments)")),
		$error, "$name: refused");
	is(owner_of('a'), 'bob', "$name: nothing is changed");
}

# the new owner must be allowed to create limits
$node->sql('GRANT dora TO bob');
my $error = sql_error($node, as('bob', q{SELECT jobq.alter_limit('a', owner => 'dora')}));
like(
	$error,
	qr/42501: permission denied to give limit "a" to role "dora"\nDETAIL:.*may not create.*HINT/s,
	'a role that may not create limits is given none');
my ($grant) = $error =~ /(jobq\.grant_usage\(.*?\))/;
$node->sql(q{SELECT jobq.alter_limit('a', owner => 'dora'), jobq.alter_limit('a', owner => 'bob')});
pass('except by a superuser');
$node->sql("SELECT $grant");
$node->sql(as('bob', q{SELECT jobq.alter_limit('a', owner => 'dora')}));
is(owner_of('a'), 'dora', "the hint works: $grant");
$node->sql(q{REVOKE dora FROM bob; SELECT jobq.alter_limit('a', owner => 'bob')});

# a limit in several hands; the transaction is rolled back in part
$node->sql(
	q{BEGIN; SAVEPOINT s; SELECT jobq.alter_limit('a', owner => 'alice', max_running => 0);
	ROLLBACK TO s; SELECT jobq.alter_limit('a', owner => 'team'); COMMIT});
is($node->sql(q{SELECT owner, max_running FROM jobq.limits WHERE name = 'a'}),
	'team|4', 'rolled back to a savepoint');

# ------------------------------------------------- others learn of it, by 2PC too

my $worker = start_session($node);
$node->sql(q{SELECT jobq.enqueue('a1') FROM generate_series(1, 30)});
my $take = q{SELECT 'took ' || count(*) FROM jobq.take('a1', 9)};
$node->sql(q{SELECT jobq.reset_limit('a', 'rate_limit')});
like(ask($worker, "BEGIN; $take; ROLLBACK"), qr/took 4/, 'a session has read the limit');
foreach my $end (
	'COMMIT',
	q{PREPARE TRANSACTION 'give'; COMMIT PREPARED 'give'},
	q{PREPARE TRANSACTION 'give'; ROLLBACK PREPARED 'give'})
{
	my $given = $end !~ /ROLLBACK/;
	$node->sql(q{SELECT jobq.alter_limit('a', owner => 'team', max_running => 4)});
	ask($worker, "BEGIN; $take; ROLLBACK");
	$node->sql(qq{BEGIN; SELECT jobq.alter_limit('a', owner => 'carl', max_running => 1); } . $end);
	my $n = $given ? 1 : 4;
	like(ask($worker, "BEGIN; $take; ROLLBACK"), qr/took $n/, "$end: a session goes by it");
	is(owner_of('a'), $given ? 'carl' : 'team', "$end: the owner");
	is( sql_error($node, as('carl', q{SELECT jobq.alter_limit('a', max_running => 4)})) eq ''
		? 1
		: 0,
		$given ? 1 : 0,
		"$end: who may change it");
}
end_session($worker);
limits_settled($node, 'given away');

# -------------------------------------------------------- a limit with its queues

is(owner_of('a'), 'team', 'to begin with');
$error = sql_error($node, q{SELECT jobq.alter_queue('a1', owner => '"Odd''role"')});
like(
	$error,
	qr/42501: permission denied for limit "a".*HINT:.*reset_queue\('a1', 'shared_limit'\)/s,
	'a queue is not given to a role without the limit');
(my $first = $error) =~ s/, or take.*//s;
is(follow($first), 1, 'a hint names one call');
$node->sql(q{SELECT jobq.alter_queue('a1', owner => '"Odd''role"')});
is($node->sql(q{SELECT owner, shared_limit FROM jobq.queues WHERE queue = 'a1'}),
	q{"Odd'role"|a}, 'the limit first, then the queue');
$error = sql_error($node, q{SELECT jobq.alter_queue('a1', owner => 'carl')});
(my $second = $error) =~ s/.*, or take//s;
is(follow($second), 1, 'a hint names another call');
$node->sql(q{SELECT jobq.alter_queue('a1', owner => 'carl')});
is($node->sql(q{SELECT owner, shared_limit FROM jobq.queues WHERE queue = 'a1'}),
	'carl|', 'or the queue without the limit');
$error = sql_error($node, as('carl', q{SELECT jobq.alter_queue('a1', shared_limit => 'a')}));
like($error, qr/42501: permission denied for limit "a".*HINT:/s, 'a queue that has left it');
unlike($error, qr/reset_queue/, 'is not told to leave it');
is(follow($error), 1, 'a hint for a queue that begins to share a limit');
$node->sql(as('carl', q{SELECT jobq.alter_queue('a1', shared_limit => 'a')}));
$error = sql_error($node, as('alice', q{SELECT jobq.create_queue('a2', shared_limit => 'a')}));
like($error, qr/42501.*HINT:.*alter_limit\('a', owner => 'alice'\)/s, 'the hint for a new queue');

# ------------------------------------------------------------ former members

$node->sql(
	q{SELECT jobq.alter_limit('a', owner => 'team'), jobq.alter_queue('a1', owner => 'bob');
	SELECT jobq.create_limit('other')});
$node->sql('REVOKE team FROM bob');
foreach my $call (
	q{create_queue('a1', shared_limit => 'a', max_attempts => 2, or_replace => true)},
	q{alter_queue('a1', shared_limit => 'a')},
	q{alter_queue('a1', batch_size => 2)})
{
	is(sql_error($node, as('bob', "SELECT jobq.$call")), '', "keeps the limit: $call");
}
is($node->sql(q{SELECT shared_limit, max_attempts FROM jobq.queues WHERE queue = 'a1'}),
	'a|2', 'keeps the limit');
like(sql_error($node, as('bob', "SELECT jobq.$_")), qr/42501: permission denied for limit/, $_)
  foreach (
	q{create_queue('a1', shared_limit => 'other', or_replace => true)},
	q{alter_queue('a1', shared_limit => 'other')},
	q{create_queue('a3', shared_limit => 'a', or_replace => true)});
$node->sql('GRANT bob TO carl');
like(
	sql_error(
		$node,
		as( 'carl',
			q{SELECT jobq.create_queue('a1', owner => 'carl', shared_limit => 'a',
			or_replace => true)})),
	qr/42501: permission denied for limit "a"/,
	'the same limit with another owner');
like(
	sql_error(
		$node,
		as( 'bob',
			q{BEGIN; SELECT jobq.reset_queue('a1', 'shared_limit');
			SELECT jobq.create_queue('a1', shared_limit => 'a', or_replace => true)})),
	qr/42501: permission denied for limit "a"/,
	'a queue that has left the limit in the same transaction');

# ------------------------------------------------------------------ drop_limit

my $drop = q{SELECT jobq.drop_limit('a')};
$error = sql_error($node, as('team', $drop));
like($error, qr/2BP01.*DETAIL:  1 queue shares it: "a1"\./s, 'the owner is told the names');
like(
	$error,
	qr/HINT:  The owners.*reset_queue.*alter_limit\('a', max_running => 0\)/s,
	'who can do something, and what the owner can');
is($node->sql(as('team', 'SELECT queues FROM jobq.limits')), '{a1}', 'as in the view');
like(
	sql_error($node, as('team', q{SELECT jobq.reset_queue('a1', 'shared_limit')})),
	qr/42501: must be owner of queue "a1"/,
	'the owner of a limit takes no queue out of it');
$node->sql(as('team', q{SELECT jobq.alter_limit('a', max_running => 0)}));
is($node->sql(q{SELECT count(*) FROM jobq.take('a1')}), '0', 'it stops its jobs');
like(
	sql_error($node, $drop),
	qr/1 queue shares it: "a1".*HINT:  Use jobq.reset_queue\(\.\.\., 'shared_limit'\) first/s,
	'one who may change the queues');
$node->sql(
	as( 'team', q{SELECT jobq.create_queue('b' || n, shared_limit => 'a')
	FROM generate_series(1, 11) AS n}));
like(
	sql_error($node, $drop),
	qr/DETAIL:  12 queues share it: ("\w+", ){9}"\w+", and 2 more\./,
	'of many queues some are named');

# The last one is somebody else's.
$node->sql(q{SELECT jobq.reset_queue('a1', 'shared_limit'); GRANT team TO bob});
$node->sql(as('bob', q{SELECT jobq.create_queue('c1', shared_limit => 'a')}));
$node->sql('REVOKE team FROM bob');
like(
	sql_error($node, as('team', $drop)),
	qr/and 2 more\..*HINT:  The owners of the queues/s,
	'those that are not named may be of others');
$node->sql(
	q{SELECT jobq.drop_queue('b' || n) FROM generate_series(1, 11) AS n;
	SELECT jobq.drop_queue('c1'), jobq.drop_limit('a');
	SELECT jobq.drop_queue('a1', force => true)});

# ---------------------------------------------------------- the owner is gone

$node->sql(
	as( 'carl',
		q{SELECT jobq.create_limit('cl''s', max_running => 1), jobq.create_limit('spare');
		SELECT jobq.create_queue('cq', shared_limit => 'cl''s'), jobq.enqueue('cq');
		SELECT jobq.create_queue('free')}));
$node->sql(as('team', q{SELECT jobq.create_limit('given')}));
$node->sql(q{SELECT jobq.alter_limit('given', owner => '"Odd''role"')});

# a dump, restored after the role has gone
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
$node->sql('DROP OWNED BY carl; DROP ROLE carl; CREATE DATABASE restored');
command_ok(
	[
		'psql', '-X', '-q', '-o', File::Spec->devnull, '-d', $node->connstr('restored'), '-f',
		$dump
	],
	'restore');
is( $node->safe_psql('restored', 'SELECT name, owner FROM jobq.limits ORDER BY name'),
	qq{cl's|-\ngiven|"Odd'role"\nother|postgres\nspare|-},
	'restored: the owners');

my $ownerless = q{SELECT severity, topic, object FROM jobq.health WHERE topic LIKE '%owner'};
my $limits = "warning|limit owner|cl's\nwarning|limit owner|spare";
my %expected = (
	'postgres' => "critical|owner|cq\n$limits\nwarning|owner|free",
	# a copy's jobs do not wait before start()
	'restored' => "$limits\nwarning|owner|cq\nwarning|owner|free");
foreach my $database (sort keys %expected)
{
	is($node->safe_psql($database, $ownerless),
		$expected{$database}, "$database: health names limits and queues");
	is( $node->safe_psql(
			$database,
			q{SELECT DISTINCT owner::text FROM jobq.limits WHERE name IN ('cl''s', 'spare')}),
		$node->safe_psql(
			$database,
			q{SELECT DISTINCT owner::text FROM jobq.queues WHERE queue IN ('cq', 'free')}),
		"$database: the views show the same of limits and queues");
}
is($node->sql(as('team', $ownerless)), '', 'others are told nothing');
like(
	sql_error($node, as('team', q{SELECT jobq.alter_limit('spare', owner => 'team')})),
	qr/42501: must be owner of limit "spare"/,
	'nobody else takes a limit without an owner');

my $hint = $node->sql(q{SELECT hint FROM jobq.health WHERE object = 'cq'});
is(follow($hint, q{'alice'}), 2, 'the hint for a queue: the limit first');
is( $node->sql(
		q{SELECT l.owner, q.owner, q.shared_limit FROM jobq.limits AS l, jobq.queues AS q
	WHERE l.name = 'cl''s' AND q.queue = 'cq'}),
	q{alice|alice|cl's},
	'both have an owner');
is(follow($node->sql(q{SELECT hint FROM jobq.health WHERE object = 'free'}), q{'alice'}),
	1, 'the hint for a queue without a limit');
is(follow($node->sql(q{SELECT hint FROM jobq.health WHERE object = 'spare'}), q{'"Odd''role"'}),
	1, 'the hint for a limit');
is(owner_of('spare'), q{"Odd'role"}, 'it has an owner');
is($node->sql($ownerless), '', 'health is content');

# a limit that a restore has lost
$node->safe_psql('restored', 'DELETE FROM jobq_store.limit_def');
like(
	sql_error($node, q{SELECT jobq.alter_queue('cq', owner => 'alice')}, 'restored'),
	qr/42704: the limit of option.*HINT:.*reset_queue\('cq', 'shared_limit'\)/s,
	'a limit that is not there: a hint');
$node->safe_psql('restored',
	q{SELECT jobq.reset_queue('cq', 'shared_limit'), jobq.alter_queue('cq', owner => 'alice')});
is($node->safe_psql('restored', q{SELECT owner FROM jobq.queues WHERE queue = 'cq'}),
	'alice', 'the hint works');

# more than health names
$node->sql(
	q{CREATE ROLE last LOGIN; SELECT jobq.grant_usage('last', may_create => true);
	SET SESSION AUTHORIZATION last;
	SELECT count(jobq.create_limit('l' || n)) FROM generate_series(1, 103) AS n;
	RESET SESSION AUTHORIZATION; DROP OWNED BY last; DROP ROLE last});
is( $node->sql(
		q{SELECT count(object), max(message) FILTER (WHERE object IS NULL) FROM jobq.health
	WHERE topic = 'limit owner'}),
	'100|there are 3 more such limits',
	'health names a bounded number');

$node->stop;
done_testing();
