# t/299_locked_leases_take_no_room.pl: leases that are over and whose jobs are locked take no
# more room in the registry than others; those beyond it end when nobody holds their jobs.

use strict;
use warnings;

use JobqSession;
use JobqProcess;
use JobqTest;
use Test::More;
use Time::HiRes qw(time);

# Room for some 2700 leases.
my $node = jobq_node('main',
	conf =>
	  [ 'jobq.max_workers = 3', 'jobq.shared_memory = 1MB', 'fsync = off', 'autovacuum = off' ]);
$node->create_clock;
my $all = 8000;

# Statements as a role.
sub as
{
	return as_role($node, @_);
}

# The entries of mallory, and all.
sub entries
{
	my $message = $node->sql(
		q{SELECT message FROM jobq.health WHERE topic = 'shared memory' AND object = 'leases'});
	return $message =~ /role "mallory" has (\d+) of the (\d+) entries/ ? ($1, $2) : ();
}

# What alice claims that needs room, and leases of hers end in time.
sub alice_goes_on_ok
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(as('alice', q{SELECT count(*) FROM jobq.dequeue('bound', 100, session_bound => true)}),
		'100', "$when: another role's claims are bound to the session");
	is(as('alice', q{SELECT count(*) FROM jobq.dequeue('limited', 100, lease => '2 s')}),
		'100', "$when: another role claims from a queue with a limit");
	is(as('alice', q{SELECT count(*) FROM jobq.dequeue('short', 3000)}),
		'3000', "$when: another role claims more than there is room for");
	my $start = time();
	poll_ok(
		$node,
		q{SELECT count(*) = 0 FROM jobq_store.job AS j JOIN jobq_store.queue AS q
			ON q.id = j.queue WHERE j.state = 1 AND q.name IN ('bound', 'limited', 'short')},
		"$when: another role's leases end");
	note(sprintf('after %.1f s', time() - $start));
	coordinator_on_time($node, "$when: others are on time", 'ext', 'rest');
	return;
}

foreach my $role ('alice', 'mallory')
{
	$node->sql("CREATE ROLE $role LOGIN; SELECT jobq.grant_usage('$role', true)");
}
$node->sql(
	q{CREATE FUNCTION done() RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('done', 'done()'), jobq.create_queue('ext', max_attempts => 100),
		jobq.create_queue('rest'), jobq.schedule('tick', '* * * * * *', queue => 'done')});
as( 'alice', q{
	SELECT jobq.create_queue('bound', backoff_base => '0 s', max_attempts => 100),
		jobq.create_queue('limited', max_running => 1000, backoff_base => '0 s',
			max_attempts => 100),
		jobq.create_queue('short', lease => '2 s', backoff_base => '0 s', max_attempts => 100);
	SELECT count(*) FROM jobq.enqueue_many('bound', array_fill('1'::jsonb, '{100}'));
	SELECT count(*) FROM jobq.enqueue_many('limited', array_fill('1'::jsonb, '{100}'));
	SELECT count(*) FROM jobq.enqueue_many('short', array_fill('1'::jsonb, '{3000}'))});
as( 'mallory', qq{
	SELECT jobq.create_queue('fill', lease => '1 min', backoff_base => '0 s');
	SELECT count(*) FROM jobq.enqueue_many('fill', array_fill('1'::jsonb, '{$all}'));
	SELECT count(*) FROM jobq.dequeue('fill', $all)});
my $free = $node->sql(
	q{SELECT array_agg(id) FROM (SELECT id FROM jobq.jobs
	WHERE queue = 'fill' ORDER BY id DESC LIMIT 100) AS j});

# --------------------------------------------------- over, and their jobs locked

my $session = start_session($node);
ask($session, "SET SESSION AUTHORIZATION mallory; BEGIN;
	SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'fill' AND id <> ALL ('$free')");
$node->advance_clock('2 min');
poll_ok(
	$node,
	"SELECT count(*) = 100 FROM jobq.jobs WHERE id = ANY ('$free') AND state = 'ready'",
	'jobs that are not locked, beyond the room of their role and behind others, are ready');
alice_goes_on_ok('locked');
rests_ok(wait_for_worker($node, 'jobq coordinator'), 0.1, 'the coordinator rests');
# it has looked at all of them many times by now
my ($used, $room) = entries();
cmp_ok($used // 0, '<=', ($room // 0) / 2, 'a role has no more entries than it leaves free');
cmp_ok($used // 0, '>', ($room // 0) / 4, 'the role has filled its share');
is($node->sql(q{SELECT count(*) FROM jobq.health WHERE topic = 'late' AND message ~ 'job'}) > 0,
	1, 'health tells of jobs that are locked');
ask($session, 'ROLLBACK');
poll_ok(
	$node,
	"SELECT count(*) = $all FROM jobq.jobs WHERE queue = 'fill' AND state = 'ready'",
	'all jobs are ready when nobody holds them');
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq.health WHERE topic IN ('shared memory', 'late')},
	'health has no finding any more');
alice_goes_on_ok('after that');

# ------------------------------------------------------ a share of lasting leases

# What has run out beyond it ends, and what is locked is told of.
as( 'mallory', qq{
	SELECT count(*) FROM jobq.dequeue('fill', $all / 2, lease => '50 min');
	SELECT count(*) FROM jobq.dequeue('fill', $all / 2, lease => '1 min')});
my $locked = $node->sql(
	q{SELECT j.id FROM jobq_store.job AS j
	JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name = 'fill' AND j.state = 1 ORDER BY j.lease_until, j.id DESC LIMIT 1});
ask($session, "SET SESSION AUTHORIZATION mallory; BEGIN; SELECT jobq.cancel($locked)");
$node->advance_clock('2 min');
poll_ok(
	$node,
	"SELECT count(*) = $all / 2 - 1 FROM jobq.jobs WHERE queue = 'fill' AND state = 'ready'",
	'leases that are over end though others of the role take all of its room');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.health WHERE topic = 'late' AND message ~ '$locked'",
	'health tells of the job that is locked');
alice_goes_on_ok('lasting leases');
ask($session, 'ROLLBACK');
poll_ok(
	$node,
	"SELECT state = 'ready' FROM jobq.jobs WHERE id = $locked",
	'the job is ready when nobody holds it');

# Those bound to a session end with the server. For the owner there is no room then.
$node->sql(q{SELECT jobq.grant_queue('fill', 'alice', 'consume')});
my $bound = ask(
	$session, q{SET SESSION AUTHORIZATION alice;
	SELECT array_agg(id) FROM jobq.dequeue('fill', 50, session_bound => true)});
chomp($bound);
like($bound, qr/^\{(\d+,){49}\d+\}$/, 'claims are bound to a session');
$node->stop('immediate');
$node->start;
poll_ok(
	$node,
	"SELECT count(*) = 50 FROM jobq.jobs WHERE id = ANY ('$bound') AND state = 'ready'",
	'claims bound to sessions are over after a crash, though there is no room for them');
$session->{run}->kill_kill;

# ---------------------------------------------------------- without a coordinator

# More jobs of a queue with a limit than its owner has room for, and all are over.
as( 'alice', q{
	SELECT jobq.create_queue('counted', lease => '1 min', backoff_base => '0 s');
	SELECT count(*) FROM jobq.enqueue_many('counted', array_fill('1'::jsonb, '{2000}'));
	SELECT count(*) FROM jobq.dequeue('counted', 2000)});
dismiss_coordinator($node);
as('alice', q{SELECT jobq.alter_queue('counted', max_running => 2000)});
$node->restart;
$node->advance_clock('1 day');
ok( poll_until(
		sub {
			return as('alice', q{SELECT count(*) FROM jobq.dequeue('counted', 10)}) > 0;
		}),
	'claims end leases until all that run are counted');

$node->stop;
done_testing();
