# t/165_marks.pl: the session that finishes a prepared transaction knows what
# it has changed, in another session and after a restart, and others look at no
# more than that.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'max_prepared_transactions = 10', 'autovacuum = off', 'jobq.sweep_interval = 0' ]);
$node->create_clock;

# Nobody but the coordinator reads all jobs.
$node->sql("ALTER ROLE CURRENT_USER SET enable_seqscan = off");
$node->sql(
	q{
	CREATE ROLE stranger LOGIN;
	SELECT jobq.grant_usage('stranger', may_create => true);
	CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('held', lease => '30 s', backoff_base => '1 ms'),
		jobq.create_queue('theirs', lease => '1 h'), jobq.create_queue('work', 'work(jsonb)'),
		jobq.create_queue('control'), jobq.create_queue('dropped'), jobq.create_queue('renamed');
	SELECT jobq.alter_queue('theirs', owner => 'stranger')});

# Runs statements in a transaction that is prepared under that name.
sub prepare
{
	my ($name, $statements) = @_;
	$node->sql("BEGIN; $statements; PREPARE TRANSACTION '$name'");
	return;
}

# ------------------------------------------------------ nobody else's jobs

# The rows that the coordinator has read otherwise than by an index: it reports
# that before it sleeps.
sub rows_read
{
	wait_for_rest($node, 'control');
	return $node->sql(
		q{SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'jobq_store.job'::regclass});
}

$node->sql("SELECT jobq.enqueue('theirs')");
my $before = rows_read();
foreach my $i (1 .. 5)
{
	prepare('p',
			"SET LOCAL SESSION AUTHORIZATION stranger; SELECT jobq.enqueue('theirs');"
		  . " SELECT count(*) FROM jobq.dequeue('theirs'); SELECT jobq.pause('theirs');"
		  . " SELECT jobq.resume('theirs')");
	$node->sql("COMMIT PREPARED 'p'");
}
is(rows_read(), $before, 'prepared claims of a role have nobody read all jobs');

# ------------------------------------------------------------- after a restart

$node->sql("SELECT jobq.enqueue('held', '$_') FROM generate_series(1, 2)") foreach 1 .. 2;
prepare('claim', "SELECT count(*) FROM jobq.dequeue('held')");
prepare('expiry', "SELECT jobq.enqueue('held', priority => 9, ttl => '30 s')");
prepare('schedule', "SELECT jobq.schedule('s', '\@every 1m', queue => 'work')");
prepare('drop', "SELECT jobq.drop_queue('dropped', force => true)");
prepare('rename', "SELECT jobq.rename_queue('renamed', 'new')");
prepare('cancel', "SELECT jobq.enqueue('work', delay => '1 h')");
$node->restart;

# the coordinator is there, has read what there is, and has nothing to do
rows_read();
my $session = start_session($node);
like(ask($session, "SELECT jobq.enqueue('renamed')"),
	qr/^\d+$/m, 'the old name works before COMMIT PREPARED');
$node->sql("COMMIT PREPARED '$_'") foreach 'claim', 'expiry', 'schedule', 'drop', 'rename';
$node->sql("ROLLBACK PREPARED 'cancel'");

like(
	ask($session, "SELECT jobq.enqueue('dropped')"),
	qr/does not exist/,
	'the dropped queue is gone for other sessions');
like(
	ask($session, "SELECT jobq.enqueue('renamed')"),
	qr/does not exist/,
	'the old name of a renamed queue is gone');
like(ask($session, "SELECT jobq.enqueue('new')"),
	qr/^\d+$/m, 'the new name of a renamed queue works');
end_session($session);
is( $node->sql(
			"SELECT count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE priority = 9)"
		  . " FROM jobq.jobs WHERE queue = 'held'"),
	'1|1',
	'a prepared claim and a prepared job exist');
$node->advance_clock('31 s');
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq.jobs WHERE queue = 'held' AND state = 'running'",
	'the claim ends with its lease',
	seconds => 20);
poll_ok(
	$node,
	"SELECT state = 'expired' FROM jobq.jobs WHERE priority = 9",
	'the job expires in time',
	seconds => 20);
$node->advance_clock('40 s');
poll_ok($node, "SELECT runs = 1 FROM jobq.schedules", 'the schedule runs in time', seconds => 20);

# --------------------------------------------------- what cannot be prepared

$node->sql("SELECT jobq.enqueue('held', '\"bound\"', priority => -1)");
like(
	sql_error(
		$node,
		"BEGIN; SELECT count(*) FROM jobq.dequeue('held', session_bound => true);"
		  . " PREPARE TRANSACTION 'bound'"),
	qr/0A000/,
	'a claim that is bound to the session cannot be prepared');
is($node->sql(q{SELECT payload FROM jobq.dequeue('held')}),
	'"bound"', 'the refused claim leaves the job free');
is($node->sql('SELECT count(*) FROM pg_prepared_xacts'), '0', 'no prepared transaction is left');

$node->stop;
done_testing();
