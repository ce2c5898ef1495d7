# t/022_async_commit.pl: which commits wait for the disk. A transaction that
# only claims jobs does not, nor does one that only finishes jobs of queues with
# sync_completion off; anything else that a transaction has written makes its
# commit wait as usual. Also what a crash of the server does to commits that did
# not wait.
#
# A commit has not waited if the WAL that has been inserted is not all on disk
# right after it.  So nothing but the session's commits may write or flush WAL
# here: no WAL writer at work, no autovacuum, no snapshots for standbys, no
# NOTIFY.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'wal_level = minimal',
		'max_wal_senders = 0',
		'wal_writer_delay = 10s',
		'autovacuum = off',
		'checkpoint_timeout = 1h',
		'jobq.sweep_interval = 0',
	]);

# Whether the last commit of these statements has not waited for the disk.
sub is_async
{
	my ($sql) = @_;
	my $out = $node->sql(
		"SELECT pg_switch_wal(); $sql;
		SELECT 'wait: ' || (pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn());");
	return $out =~ /^wait: false$/m ? 1 : 0;
}

sub waits
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(is_async($sql), 0, "waits for the disk: $name");
	return;
}

sub does_not_wait
{
	my ($sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(is_async($sql), 1, "does not wait: $name");
	return;
}

# Claims a job of a queue before the statements, which find it in :id, :lease.
sub holding
{
	my ($queue, $sql) = @_;
	return "SELECT id, lease FROM jobq.dequeue('$queue') \\gset\n"
	  . "INSERT INTO notes VALUES ('flushed');\n$sql";
}

$node->sql(
	q{
	CREATE TABLE notes (note text);
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
	  $$BEGIN INSERT INTO notes VALUES ('deferred'); RETURN NULL; END$$;
	SELECT jobq.create_queue('strict', notify => false);
	SELECT jobq.create_queue('lax', notify => false, sync_completion => false);
	SELECT count(*) FROM jobq.enqueue_many('strict', array_fill('{}'::jsonb, '{100}'));
	SELECT count(*) FROM jobq.enqueue_many('lax', array_fill('{}'::jsonb, '{100}'));
	VACUUM;
	CHECKPOINT;
});

# ------------------------------------------------------------------- claims

waits("INSERT INTO notes VALUES ('x')", 'an INSERT, or this test sees nothing');
does_not_wait("SELECT id FROM jobq.dequeue('strict')", 'a claim');
does_not_wait("SELECT id FROM jobq.dequeue('strict', 10)", 'a claim of several jobs');
does_not_wait("SELECT id FROM jobq.dequeue_any('{strict,lax}', 3)", 'a claim from two queues');
does_not_wait(
	"BEGIN; SELECT id FROM jobq.dequeue('strict'); SELECT id FROM jobq.dequeue('lax'); COMMIT",
	'a block of claims');
does_not_wait("BEGIN; SELECT count(*) FROM notes; SELECT id FROM jobq.dequeue('strict'); COMMIT",
	'a claim and a query');
is($node->sql("SELECT id FROM jobq.dequeue('strict'); SHOW synchronous_commit") =~ /^on$/m,
	1, 'the setting is what it was');
is( $node->sql(
		"BEGIN; SET LOCAL synchronous_commit = remote_write; SELECT FROM jobq.dequeue('strict');
		COMMIT; SHOW synchronous_commit") =~ /^on$/m,
	1,
	'the setting is what it was before SET LOCAL');

waits("SET jobq.async_claims = off; SELECT id FROM jobq.dequeue('strict')",
	'a claim with jobq.async_claims off');
waits("BEGIN; INSERT INTO notes VALUES ('x'); SELECT id FROM jobq.dequeue('strict'); COMMIT",
	'an INSERT and a claim');
waits("BEGIN; SELECT id FROM jobq.dequeue('strict'); INSERT INTO notes VALUES ('x'); COMMIT",
	'a claim and an INSERT');
waits(
	"BEGIN; SELECT id FROM jobq.dequeue('strict'); INSERT INTO notes VALUES ('x');
	SELECT id FROM jobq.dequeue('strict'); COMMIT",
	'a claim, an INSERT and a claim');
waits(
	"BEGIN; SELECT id FROM jobq.dequeue('strict'); SAVEPOINT s;
	INSERT INTO notes VALUES ('x'); RELEASE s; COMMIT",
	'a claim and an INSERT in a savepoint');
waits("INSERT INTO notes SELECT id::text FROM jobq.dequeue('strict')",
	'an INSERT of what was claimed');
waits(
	"WITH c AS (SELECT id FROM jobq.dequeue('strict')),
	i AS (INSERT INTO notes VALUES ('x')) SELECT * FROM c",
	'a claim and an INSERT in one command');
waits("BEGIN; SELECT id FROM jobq.dequeue('strict'); SELECT jobq.enqueue('strict'); COMMIT",
	'a claim and an enqueue');
waits(
	"BEGIN; SELECT jobq.enqueue('strict', priority => -1); SELECT id FROM jobq.dequeue('strict');
		COMMIT",
	'a claim of what was enqueued in the transaction');
waits("BEGIN; SELECT id FROM jobq.dequeue('strict'); CREATE TEMP TABLE t (a int); COMMIT",
	'a claim and a temporary table');
waits("SELECT id FROM jobq.take('strict')", 'take');
waits("SELECT jobq.enqueue('strict')", 'enqueue');

# deferred triggers run before the commit, and write
$node->sql(
	q{
	CREATE CONSTRAINT TRIGGER t AFTER INSERT ON parent DEFERRABLE INITIALLY DEFERRED
	  FOR EACH ROW EXECUTE FUNCTION note();
});
waits("BEGIN; INSERT INTO parent VALUES (1); SELECT id FROM jobq.dequeue('strict'); COMMIT",
	'a claim and a deferred trigger');

# -------------------------------------------------------------- completions

waits(holding('strict', "SELECT jobq.complete(:id, :lease)"), 'complete');
does_not_wait(holding('lax', "SELECT jobq.complete(:id, :lease)"),
	'complete with sync_completion off');
does_not_wait(holding('lax', "SELECT jobq.complete_many(ARRAY[:id], :lease)"),
	'complete_many with sync_completion off');
does_not_wait(holding('lax', "SELECT id FROM jobq.next('lax', ARRAY[:id], :lease)"),
	'next with sync_completion off');
waits(holding('strict', "SELECT id FROM jobq.next('strict', ARRAY[:id], :lease)"), 'next');
waits(
	holding(
		'lax', "BEGIN; SELECT jobq.complete(:id, :lease); INSERT INTO notes VALUES ('x'); COMMIT"),
	'complete and an INSERT');
waits(
	holding(
		'lax', "BEGIN; INSERT INTO notes VALUES ('x'); SELECT jobq.complete(:id, :lease); COMMIT"),
	'an INSERT and complete');
waits(
	"SELECT id AS a, lease AS b FROM jobq.dequeue('strict') \\gset\n"
	  . holding(
		'lax', "BEGIN; SELECT jobq.complete(:id, :lease); SELECT jobq.complete(:a, :b); COMMIT"),
	'completions in both kinds of queues');
waits(holding('lax', "SELECT jobq.fail(:id, :lease, 'no')"), 'fail');
waits(holding('lax', "SELECT jobq.release(:id, :lease)"), 'release');

# ------------------------------------------------------------------ crashes

# The coordinator's first work would take other commits to the disk.
sub crash
{
	$node->stop('immediate');
	$node->start;
	wait_for_first_rest($node);
	return;
}

# everything that was written so far is on disk; then one claim, and a crash
my $claimed = $node->sql(
	q{
	SELECT jobq.create_queue('crash', notify => false, sync_completion => false);
	SELECT jobq.enqueue('crash');
	SELECT id || ' ' || attempt || ' ' || lease FROM jobq.dequeue('crash');
});
my ($id, $attempt, $lease) = $claimed =~ /^(\d+) (\d+) (\d+)$/m;
is($attempt, 1, 'a job is claimed');
crash();
is($node->sql("SELECT state || ' ' || attempt FROM jobq.jobs WHERE id = $id"),
	'ready 0', 'the lost claim is a job that is ready');
like(
	sql_error($node, "SELECT jobq.complete($id, $lease)"),
	qr/the lease is lost/,
	'the lost lease is not accepted');
my ($again, $other) =
  split(/ /, $node->sql("SELECT id || ' ' || lease FROM jobq.dequeue('crash')"));
is($again, $id, 'the job is given out again');
ok($other > $lease, 'the job is given out with another lease');

# a completion that was lost: the job runs again when its lease is over
$node->sql("INSERT INTO notes VALUES ('all of this is on disk')");
$node->sql("SELECT jobq.complete($id, $other)");
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'completed', 'the job is completed');
crash();
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"),
	'running', 'the completion is lost, the claim is not');
is($node->sql("SELECT lease FROM jobq_store.job WHERE id = $id"),
	$other, 'the lease of the claim is the same');
$node->sql("SELECT jobq.complete($id, $other)");
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"),
	'completed', 'the holder of the lease can complete the job');

$node->stop;
done_testing();
