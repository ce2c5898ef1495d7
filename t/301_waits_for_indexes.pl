# t/301_waits_for_indexes.pl: a privilege that is lost while a call waits for an index, a
# sequence, or the table where long values are kept, is noticed.
#
# t/076 has the calls that wait for rows, locks of queues, and tables.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);
my $long = q{(SELECT to_jsonb(string_agg(md5(i::text), '')) FROM generate_series(1, 500) AS i)};
my $number = 0;

$node->sql(
	q{CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN; CREATE ROLE team;
	CREATE ROLE sue LOGIN SUPERUSER;
	SELECT jobq.grant_usage('ann'), jobq.grant_usage('ben'),
		jobq.grant_usage('team', may_create => true)}
);
my $toast = $node->sql(
	q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'jobq_store.job'::regclass});

# Recreates what the races are about; returns the id and lease of a job that is held.
sub set_up
{
	return split(
		/\|/,
		$node->sql(
			q{SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues;
			SELECT jobq.create_queue('q', owner => 'ann');
			GRANT team TO ben; ALTER ROLE ben INHERIT; ALTER ROLE sue SUPERUSER;
			SELECT jobq.grant_queue('q', 'team', 'enqueue', 'manage');
			SELECT count(jobq.unschedule(name)) FROM jobq.schedules;
			SET ROLE team;
			SELECT jobq.schedule('s', '0 0 * * *', queue => 'q'),
				jobq.enable_schedule('s', enabled => false);
			RESET ROLE;
			SELECT count(*) FROM jobq.enqueue_many('q', '{1,2,3,4,5}');
			SELECT id, lease FROM jobq.dequeue('q', lease => '1 h')}) =~ s/.*\n//sr);
}

# race_ok($user, $call, $lock, $loss): a new session makes the call, meets the lock, and
# loses its privilege when the transaction of that statement commits meanwhile. It fails with
# that SQLSTATE (42501).
sub race_ok
{
	my ($user, $call, $lock, $loss, $state) = @_;
	my ($id, $lease) = set_up();
	my ($ready) = $node->sql(q{SELECT min(id) FROM jobq.jobs WHERE state = 'ready'});
	my $name = "$call, behind $lock";
	my $admin = start_session($node, name => 'admin');
	my $holder = start_session($node, name => 'holder');
	my $caller = start_session($node, name => 'caller' . $number++, verbosity => 'verbose');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	s/:ready/$ready/ foreach $call, $lock;
	ask($admin, "BEGIN; $loss");
	ask($holder, "BEGIN; $lock");
	$call =~ s/:id/$id/;
	$call =~ s/:lease/$lease/;
	order($caller, "SET SESSION AUTHORIZATION $user; SELECT jobq.$call");
	waits_for_lock($node, $caller) or fail("$name: waits");
	ask($admin, 'COMMIT');
	ask($holder, 'COMMIT');
	$state //= '42501';
	like(answer($caller), qr/ERROR:  $state/, $name);
	end_session($_) foreach ($admin, $holder, $caller);
	return;
}

my $given_away = q{SELECT jobq.alter_queue('q', owner => 'postgres')};
my $revoked = q{SELECT jobq.revoke_queue('q', 'team', 'enqueue', 'manage')};
my $left = q{REVOKE team FROM ben};

foreach my $call (
	q{dequeue('q')},
	q{dequeue_any('{q}')},
	q{take('q')},
	q{throttle('q', '1 s')},
	'complete(:id, :lease)',
	q{complete_many('{:id}', :lease)},
	q{heartbeat(:id, :lease)})
{
	race_ok('ann', $call, 'REINDEX TABLE jobq_store.queue_grant', $given_away);
}
my $sequence = 'ALTER SEQUENCE jobq_store.job_id_seq CACHE 1';
foreach my $loss ($revoked, $left)
{
	race_ok('ben', q{enqueue('q')}, $sequence, $loss);
	race_ok('ben', q{enqueue_many('q', '{1,2}')}, $sequence, $loss);
	race_ok('ben', "enqueue('q', $long)", "REINDEX TABLE $toast", $loss);
	race_ok('ben', "set_payload(:ready, $long)", "REINDEX TABLE $toast", $loss);
}

# the owner of a schedule may no longer enqueue into its queue
foreach my $call (q{run_schedule('s')}, q{backfill('s', now() - interval '2 days', now())})
{
	race_ok('ben', $call, $sequence, $revoked, '55000');
}
race_ok('ben', q{enable_schedule('s')}, 'REINDEX TABLE jobq_store.queue', $left);

race_ok('sue', q{enqueue('q')}, $sequence, 'ALTER ROLE sue NOSUPERUSER');
race_ok('sue', "set_payload(:ready, $long)", "REINDEX TABLE $toast", 'ALTER ROLE sue NOSUPERUSER');

# A row, by the first call of a session that looks at memberships. In PostgreSQL 16 a role
# inherits by its memberships.
race_ok('ben', 'delete(:ready)', 'SELECT jobq.set_priority(:ready, 1)', 'ALTER ROLE ben NOINHERIT')
  if $node->sql('SHOW server_version_num') < 160000;

done_testing();
