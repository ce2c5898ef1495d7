# t/196_schedules_wait.pl: a schedule that waits for the end of its previous
# run's job (overlap => 'queue') costs nothing until then, however many wait, and
# then it runs, whatever has ended the job.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'max_prepared_transactions = 5' ]);
$node->create_clock;
wait_for_worker($node, 'jobq coordinator');

# The place that an owner has, perhaps with others (src/shared/ended_owner.c).
sub place_of
{
	my ($oid) = @_;
	my $h = (($oid ^ ($oid >> 16)) * 0x85ebca6b) & 0xffffffff;
	$h = (($h ^ ($h >> 13)) * 0xc2b2ae35) & 0xffffffff;
	return ($h ^ ($h >> 16)) % 64;
}

# The two roles have the same one.
$node->sql(
	q{CREATE ROLE bob LOGIN;
	DO $$BEGIN FOR i IN 1 .. 1000 LOOP EXECUTE 'CREATE ROLE r' || i || ' LOGIN'; END LOOP; END$$});
my $place = place_of($node->sql(q{SELECT 'bob'::regrole::oid}));
my ($same) = grep { place_of($_) == $place }
  split(/\n/, $node->sql(q{SELECT oid FROM pg_roles WHERE rolname ~ '^r[0-9]'}));
$node->sql('ALTER ROLE ' . $node->sql("SELECT $same\::regrole") . ' RENAME TO mallory');

$node->sql(
	q{
	SELECT jobq.grant_usage(r, true) FROM unnest('{bob,mallory}'::regrole[]) AS r;
	SELECT jobq.create_queue('q_' || r, owner => r::regrole)
		FROM unnest('{bob,mallory}'::text[]) AS r;
	SELECT jobq.create_queue('kept', owner => 'bob');
});

# A run of bob's schedule comes when this has ended the job of the previous one.
my $runs = 0;

sub run_follows
{
	my ($name, $sql) = @_;
	$node->sql($sql) if defined $sql;
	$runs++;
	return poll_ok(
		$node,
		"SELECT runs = $runs FROM jobq.schedules WHERE name = 'bob'",
		"a run follows $name");
}

sub waits
{
	return poll_query($node, "SELECT waits FROM jobq_store.schedule WHERE name = 'bob'");
}

my $job = "SELECT last_job FROM jobq_store.schedule WHERE name = 'bob'";

# ------------------------------------------------- what waits is not looked at

my $many = 3000;
$node->sql(
	"SET ROLE mallory;
	SELECT count(jobq.schedule('mallory' || i, '* * * * * *', queue => 'q_mallory',
		overlap => 'queue')) FROM generate_series(1, $many) AS i;
	RESET ROLE; SET ROLE bob;
	SELECT jobq.schedule('bob', '* * * * * *', queue => 'q_bob', overlap => 'queue')"
);
run_follows('nothing');
$node->advance_clock('1 min');
poll_ok(
	$node,
	'SELECT bool_and(runs = 1 AND waits) FROM jobq_store.schedule',
	'all have run once, and wait',
	seconds => 30);
# Whether a job has ended is read by the primary key of jobs.
sub reads
{
	return $node->sql(
		"SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot();
		SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelname = 'job_pkey'"
	) =~ /(\d+)\s*$/ ? $1 : die;
}

my $complete =
  "SET ROLE bob; SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('q_bob', 10)";
my $before = reads();
foreach my $i (1 .. 10)
{
	waits();
	run_follows("the end of job $i", $complete);
	$node->advance_clock('2 s');
}
waits();
my $after = reads();
note("reads of jobs: $before, $after");
cmp_ok($after - $before, '<', $many, 'those of others are not looked at for that');
is($node->sql("SELECT count(*) FROM jobq.schedules WHERE name ~ '^mallory' AND runs <> 1"),
	0, 'they wait');
is($node->sql('SELECT count(*) FROM jobq_store.schedule WHERE NOT waits'), 0, 'all of them');

# --------------------------------------------------------- whatever ends the job

waits();
run_follows('a job that was cancelled', "SELECT jobq.cancel(id) FROM jobq.jobs WHERE id = ($job)");
waits();
run_follows('a job that was deleted', "SELECT jobq.delete(($job))");
waits();
run_follows(
	'a job that has died',
	"SET ROLE bob; SELECT jobq.fail(id, lease, 'x', retryable => false) FROM jobq.dequeue('q_bob')"
);
waits();
run_follows('a prepared transaction',
	"BEGIN; SELECT jobq.cancel(($job)); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
waits();
run_follows('a savepoint that was released',
	"BEGIN; SAVEPOINT s; SELECT jobq.cancel(($job)); RELEASE s; COMMIT");
waits();
$node->sql("BEGIN; SELECT jobq.cancel(($job)); ROLLBACK");
run_follows(
	'another run that was requested and ended, and not one that was rolled back',
	"SELECT jobq.run_schedule('bob'); SELECT jobq.cancel(($job))");
waits();
run_follows('a change of its overlap', "SELECT jobq.alter_schedule('bob', overlap => 'allow')");
$node->sql("SELECT jobq.alter_schedule('bob', overlap => 'queue')");
$runs = $node->sql("SELECT runs FROM jobq.schedules WHERE name = 'bob'");
$node->advance_clock('1 min');
waits();
run_follows('the drop of the queue that its job was in',
	"SELECT jobq.alter_schedule('bob', queue => 'kept'); SELECT jobq.drop_queue('q_bob', true)");

# ---------------------------- crashes, clocks set back, and what jobq does not hear of

$node->advance_clock('1 min');
waits();
$node->stop('immediate');
$node->start;
$node->advance_clock('1 day');
run_follows('the end of a job after a crash', "SELECT jobq.cancel(($job))");
$node->advance_clock('1 min');
waits();
$node->sql("SELECT jobq.stop(); SELECT jobq.cancel(($job))");
$node->restart;
$node->advance_clock('2 days');
run_follows('the end of a job before a restart', 'SELECT jobq.start()');
$node->advance_clock('1 min');
waits();
$node->sql("DELETE FROM jobq_store.job WHERE id = ($job)");
$node->advance_clock('10 min');
run_follows('the end of a job that nobody has told of', undef);

$node->advance_clock('1 min');
waits();
$node->restart;
$node->sql("SELECT jobq.cancel(($job))");
poll_ok(
	$node,
	"SELECT NOT waits FROM jobq_store.schedule WHERE name = 'bob'",
	'a run that is not due any more does not wait, either');
$node->advance_clock('4 days');
run_follows('it when it is due', undef);

# -------------------------------------------------- the row is locked meanwhile

$node->advance_clock('1 min');
waits();
my $session = $node->background_psql('postgres');
$session->query_safe("BEGIN; SELECT FROM jobq_store.schedule WHERE name = 'bob' FOR UPDATE");
$node->sql("SELECT jobq.cancel(($job))");
$session->query_safe('ROLLBACK');
$session->quit;
run_follows('the end of a job while its schedule was locked', undef);

# ------------------------------------------------------------- and all of theirs

$node->sql(
	"SET ROLE mallory; SELECT count(jobq.complete(id, lease))
	FROM jobq.dequeue('q_mallory', $many)");
poll_ok(
	$node,
	"SELECT bool_and(runs >= 2) FROM jobq.schedules WHERE name ~ '^mallory'",
	'all of the others run when their jobs have ended',
	seconds => 60);
is($node->sql("SELECT count(*) FROM jobq.schedules WHERE name ~ '^mallory' AND missed_runs = 0"),
	0, 'with the runs that they have missed counted');

$node->stop;
done_testing();
