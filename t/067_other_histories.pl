# t/067_other_histories.pl: servers that continue from another one's data
# while that one continues as well: a promoted standby that lagged, a
# recovery to an earlier point in time, and a base backup that is started,
# all at once. No two of them give out the same lease, and none counts
# attempts that ran on another.

use strict;
use warnings;

use JobqNode;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = jobq_node(
	'primary',
	streaming => 1,
	conf => [ "cluster_name = 'primary'", 'jobq.max_workers = 2' ]);

# Claims the next job: "id, lease".
sub claim
{
	my ($node) = @_;
	return $node->sql(q{SELECT id || ', ' || lease FROM jobq.dequeue('ext', lease => '1 h')});
}

# A server of that name from the backup.
sub from_backup
{
	my ($name, @options) = @_;
	my $node = JobqNode->new($name);
	$node->init_from_backup($primary, 'backup', @options);
	$node->append_conf('postgresql.conf', "cluster_name = '$name'\n");
	return $node;
}

$primary->sql(
	q{
	SELECT jobq.create_queue('ext');
	SELECT count(*) FROM jobq.enqueue_many('ext', array_fill('1'::jsonb, '{20}'));
	CREATE FUNCTION once(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		IF current_setting('cluster_name') = 'primary' THEN PERFORM pg_sleep(600); END IF; END$$;
	SELECT jobq.create_queue('once', 'once(jsonb)', max_attempts => 1);
	SELECT jobq.enqueue('once')});
my %leases;
my ($id, $lease) = split(/, /, claim($primary));
cmp_ok($lease, '<', 2**53, 'a lease is a number that a double can hold');
$leases{$lease} = 'primary';

sub job_runs_ok
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	poll_ok(
		$primary, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'}, "a job runs $when");
	return;
}

job_runs_ok('before the backup');
$primary->backup('backup');

# as if by a tool that does not leave it out
foreach my $note (glob($primary->data_dir . '/pg_jobq/*'))
{
	system_or_bail('cp', '-a', $note, $primary->backup_dir . '/backup/pg_jobq/');
}
my $standby = from_backup('standby', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
my @notes = glob($standby->data_dir . '/pg_jobq/*');
is(scalar(@notes), 1, 'the note of the running job was copied');

# ------------------------------------------------ a standby that lags behind

# It gets nothing any more, and the primary is restarted: it takes a new block.
$standby->sql(q{ALTER SYSTEM SET primary_conninfo = ''});
$standby->reload;
poll_ok($standby, q{SELECT count(*) = 0 FROM pg_stat_wal_receiver}, 'the standby is cut off');
$primary->restart;
job_runs_ok('after a restart');
my $stale = claim($primary);
$primary->stop('immediate');
$standby->promote;
poll_ok($standby, q{SELECT NOT pg_is_in_recovery()}, 'the standby is promoted');
my $rightful = claim($standby);
is($rightful =~ /^(\d+)/, $stale =~ /^(\d+)/, 'the same job is claimed again');
isnt($rightful, $stale, 'a promoted lagging standby gives out another lease');
like(sql_error($standby, "SELECT jobq.complete($stale)"),
	qr/JQ001/, 'a lagging standby: the former holder cannot complete the job');
is($standby->sql("SELECT jobq.complete($rightful)"),
	'', 'a lagging standby: the new holder can complete the job');

# what ran on the primary did so there
poll_ok(
	$standby,
	q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'once' AND state = 'completed'},
	'a job that ran when the backup was made is not dead after a promotion');
is($standby->sql(q{SELECT count(*) FROM jobq.attempts}),
	'0', 'a job that ran during the backup has lost no attempt');

# ------------------------------- others from the same backup, and the original

my $recovered = from_backup('recovered');
$recovered->append_conf(
	'postgresql.conf', qq{
restore_command = 'false'
recovery_target = 'immediate'
recovery_target_action = 'promote'
});
append_to_file($recovered->data_dir . '/recovery.signal', '');
my $clone = from_backup('clone');
$primary->start;
$recovered->start;
$clone->start;
poll_ok(
	$recovered,
	q{SELECT NOT pg_is_in_recovery()},
	'a server is recovered to the time of the backup');
foreach my $node ($primary, $recovered, $clone, $standby)
{
	foreach my $round (1 .. 3)
	{
		($id, $lease) = split(/, /, claim($node));
		ok(!$leases{$lease}, $node->name . ": lease $round is nobody else's");
		$leases{$lease} = $node->name;
	}
}
foreach my $node ($recovered, $clone)
{
	poll_ok(
		$node,
		q{SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'once' AND state = 'completed'},
		$node->name . ': a job that ran when the backup was made runs');
	is($node->sql(q{SELECT count(*) FROM jobq.attempts}),
		'0', $node->name . ': a running job has lost no attempt');
}
poll_ok(
	$primary,
	q{SELECT count(*) = 1 FROM jobq.attempts WHERE outcome = 'crashed'},
	'the attempt counts after a crash where the job ran');

# What is in the files of the crashed server itself counts no more, either, when
# it has become another one, on a timeline of its own.
$id = $primary->sql(q{SELECT jobq.enqueue('once')});
poll_ok(
	$primary,
	"SELECT state = 'running' FROM jobq.jobs WHERE id = $id",
	'a job runs when the server crashes');
$primary->stop('immediate');
@notes = glob($primary->data_dir . '/pg_jobq/*');
cmp_ok(scalar(@notes), '>=', 1, 'the running job has a note');
append_to_file($primary->data_dir . '/standby.signal', '');
$primary->start;
$primary->promote;
poll_ok($primary, q{SELECT NOT pg_is_in_recovery()}, 'the standby is promoted');
poll_ok(
	$primary,
	"SELECT state FROM jobq.jobs WHERE id = $id",
	'a job that ran on the old primary runs on the promoted standby',
	expected => 'running');
is($primary->sql("SELECT count(*) FROM jobq.attempts WHERE job_id = $id"),
	'0', 'the running job has lost no attempt');

# ---------------------------------------------------- the extension recreated

($lease, my $again) = map {
	(   split(
			/\n/,
			$clone->sql(
				q{
		DROP EXTENSION jobq;
		CREATE EXTENSION jobq;
		SELECT jobq.create_queue('ext');
		SELECT jobq.enqueue('ext');
		SELECT lease FROM jobq.dequeue('ext')})))[-1]
} 1 .. 2;
cmp_ok($again, '>', $lease, 'leases of a recreated extension are above the old ones');

$_->stop foreach ($primary, $standby, $recovered, $clone);
done_testing();
