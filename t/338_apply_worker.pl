# t/338_apply_worker.pl: what triggers change in the prepared transactions of a
# subscription with two_phase is known to all sessions once the apply worker has
# finished the transaction, also if it was prepared before a restart.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# No sweep finds what nobody was told of.
my $node = jobq_node(
	'main',
	streaming => 'logical',
	conf => [ 'max_prepared_transactions = 10', 'jobq.sweep_interval = 0' ]);

# ------------------------------------------------- publisher and subscription

my $publisher = $node->connstr . ' dbname=pub';
my $ntransactions = 0;
my $name;

$node->sql('CREATE DATABASE pub');
$node->sql(
	q{
	CREATE TABLE orders (id int PRIMARY KEY, sql text);
	CREATE PUBLICATION p FOR TABLE orders;
	SELECT pg_create_logical_replication_slot('s', 'pgoutput', false, true)}, 'pub');
$node->sql(
	q{
	CREATE TABLE orders (id int PRIMARY KEY, sql text);
	CREATE FUNCTION call() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN EXECUTE new.sql; RETURN NULL; END $$;
	CREATE TRIGGER call AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION call();
	ALTER TABLE orders ENABLE ALWAYS TRIGGER call});
my $options = q{create_slot = false, slot_name = 's', copy_data = false, two_phase = true};

# There, one worker prepares and another one finishes.
if ($node->sql('SHOW server_version_num') >= 170000)
{
	$node->sql('ALTER SYSTEM SET debug_logical_replication_streaming = immediate');
	$node->reload;
	$options .= ', streaming = parallel';
}
$node->sql("CREATE SUBSCRIPTION s CONNECTION '$publisher' PUBLICATION p WITH ($options)");

# Has the subscription's trigger execute a command in a transaction that is prepared.
sub prepare
{
	my ($sql) = @_;
	$name = 'x' . ++$ntransactions;
	$node->sql(
		qq{BEGIN;
		INSERT INTO orders VALUES ($ntransactions, \$sql\$$sql\$sql\$);
		PREPARE TRANSACTION '$name'}, 'pub');
	return;
}

# The apply worker reports what it has applied when it has ended that.
sub applied
{
	my $lsn = $node->sql('SELECT pg_current_wal_lsn()', 'pub');
	poll_query($node,
		"SELECT replay_lsn >= '$lsn' FROM pg_stat_replication WHERE application_name = 's'")
	  or die "$name is not applied\n";
	return;
}

# finish($how): COMMIT, if not given.
sub finish
{
	my $how = shift // 'COMMIT';
	$node->sql("$how PREPARED '$name'", 'pub');
	applied();
	return;
}

sub commit_prepared
{
	my ($sql) = @_;
	prepare($sql);
	finish();
	return;
}

# ------------------------------------------------------------------- queues

$node->sql(
	q{
	CREATE ROLE al LOGIN; SELECT jobq.grant_usage('al');
	CREATE TABLE done (job text);
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS
		'INSERT INTO done SELECT p #>> ''{}''';
	SELECT jobq.create_queue(q), jobq.grant_queue(q, 'al', 'consume', 'enqueue')
		FROM unnest(array['granted', 'dropped', 'paused', 'renamed', 'drained', 'claimed'])
			AS q(q);
	SELECT jobq.create_queue('grouped', max_running_per_group => 1),
		jobq.create_queue('limited'), jobq.create_queue('full', max_queued => 5),
		jobq.create_queue('work', 'work(jsonb)');
	SELECT jobq.enqueue(q) FROM unnest(array['paused', 'limited', 'claimed']) AS q(q),
		generate_series(1, 4);
	SELECT jobq.enqueue('grouped', group_key => 'g') FROM generate_series(1, 4);
	SELECT jobq.enqueue('full')});

# The only row of an answer.
sub row
{
	my $answer = ask(@_);
	chomp($answer);
	return $answer;
}

# What a session knows of queues, it knows from before.
my $session = start_session($node, verbosity => 'sqlstate');
ask($session, 'SET SESSION AUTHORIZATION al');
ask($session, "SELECT jobq.enqueue('$_')") foreach qw(granted dropped renamed drained);

sub refused_ok
{
	my ($queue, $sqlstate) = @_;
	like(ask($session, "SELECT jobq.enqueue('$queue')"),
		qr/ERROR:\s+$sqlstate/, "a job for the $queue queue is refused");
	return;
}

my $owner = start_session($node, verbosity => 'sqlstate');

# The number of jobs that the session gets.
sub dequeued
{
	my ($queue, $n) = @_;
	return row($owner, "SELECT count(*) FROM jobq.dequeue('$queue', $n)");
}

is(dequeued($_, 1), 1, "the first job of the $_ queue") foreach qw(paused limited);
is(row($owner, "SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('grouped')"),
	1, 'the first job of a group has ended');
is(row($owner, "SELECT jobq.enqueue('full') > 0"), 't', 'a queue that is not full');

commit_prepared(q{SELECT jobq.revoke_queue('granted', 'al', 'consume', 'enqueue')});
refused_ok('granted', '42501');
commit_prepared(q{SELECT jobq.drop_queue('dropped', force => true)});
refused_ok('dropped', '42704');
commit_prepared(q{SELECT jobq.rename_queue('renamed', 'other')});
refused_ok('renamed', '42704');
commit_prepared(q{SELECT jobq.drain('drained')});
refused_ok('drained', 'JQ002');
commit_prepared(q{SELECT jobq.pause('paused')});
is(dequeued('paused', 1), 0, 'a queue that was paused');
commit_prepared(q{SELECT jobq.alter_queue('limited', max_running => 1)});
is(dequeued('limited', 1), 0, 'a queue that was limited');
commit_prepared(q{SELECT jobq.pause('grouped', 'g')});
is(dequeued('grouped', 1), 0, 'a group that was paused');

# ------------------------------------------------------- jobs and their number

sub enqueued
{
	return row($owner, "SELECT jobq.enqueue('full') > 0");
}

commit_prepared(q{SELECT jobq.enqueue('full') FROM generate_series(1, 3)});
like(enqueued(), qr/ERROR:\s+JQ002/, 'a queue that was filled');
commit_prepared(q{SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'full'});
is(enqueued(), 't', 'a queue that was emptied');

# Many marks at a time count as one of everything.
sub done_ok
{
	my ($job, $description) = @_;
	poll_ok($node, "SELECT count(*) FROM done WHERE job = '$job'", $description, expected => '1');
	return;
}

commit_prepared(q{SELECT jobq.enqueue('work', '"alone"')});
done_ok('alone', 'a job is run');
commit_prepared(
	q{SELECT jobq.enqueue('work', '"among many"');
	SELECT jobq.create_queue('made' || i), jobq.enqueue('made' || i)
	FROM generate_series(1, 20) AS i(i)});
done_ok('among many', 'a job is run, among many queues');

is(dequeued('claimed', 1), 1, 'the first job of the claimed queue');
prepare(q{SELECT count(*) FROM jobq.dequeue('claimed', 3)});
applied();
is(dequeued('claimed', 1), 0, 'what a prepared transaction has claimed is locked');
finish('ROLLBACK');
is(dequeued('claimed', 3), 3, 'a claim is undone when its prepared transaction was rolled back');

# ----------------------------------------------------------------- a restart

end_session($_) foreach $session, $owner;
prepare(
	q{SELECT jobq.enqueue('work', '"restarted"'), jobq.revoke_queue('claimed', 'al', 'consume'),
	jobq.resume('paused')});
applied();
$node->restart;
wait_for_first_rest($node, 'limited');

$session = start_session($node, verbosity => 'sqlstate');
ask($session, 'SET SESSION AUTHORIZATION al');
is(row($session, "SELECT count(*) FROM jobq.dequeue('claimed')"), 0, 'al may claim');
is(row($session, "SELECT count(*) FROM jobq.dequeue('paused')"),
	0, 'the queue is paused after the restart');
finish();
like(ask($session, "SELECT count(*) FROM jobq.dequeue('claimed')"),
	qr/ERROR:\s+42501/, 'what was prepared before a restart is known: a privilege');
is(row($session, "SELECT count(*) FROM jobq.dequeue('paused')"), 1, 'a queue that goes on');
done_ok('restarted', 'a job from before the restart');

# ---------------------------------------------------- a worker that starts again

prepare(q{SELECT jobq.enqueue('work', '"again"')});
applied();
$node->sql('ALTER SUBSCRIPTION s DISABLE');
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 's'},
	'the apply worker has gone',
	expected => '0');
$node->sql('ALTER SUBSCRIPTION s ENABLE');
finish();
done_ok('again', 'a job of a worker that was started again');
end_session($session);

is($node->sql('SELECT count(*) FROM jobq.health'), 0, 'health finds nothing');
unlike(slurp_file($node->logfile), qr/(?:PANIC|TRAP):/, 'the server has not crashed');
$node->stop;
done_testing();
