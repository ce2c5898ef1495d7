# t/039_in_the_way.pl: other transactions that stay open: who waits for them,
# with which result, and how soon postponed work is done when they have ended.

use strict;
use warnings;

use JobqTest;
use Test::More;
use Time::HiRes ();

my $node = jobq_node('main', conf => ['max_prepared_transactions = 5']);
$node->create_clock;

sub session
{
	my ($role) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query("SET ROLE $role; BEGIN");
	return $session;
}

# what waits for the session's transaction
sub wait_for_waiter
{
	my ($name) = @_;
	return poll_ok($node, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted", $name);
}

wait_for_worker($node, 'jobq coordinator');
$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage('alice', true), jobq.grant_usage('bob', true);
	CREATE FUNCTION dies(p jsonb) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN RAISE 'died' USING ERRCODE = 'P0042'; END$$;
	CREATE PROCEDURE dies_too(p jsonb) LANGUAGE plpgsql AS
		$$BEGIN RAISE 'died' USING ERRCODE = 'P0042'; END$$});

# --------------------------------- executors, and a queue of reports that goes

foreach my $end ('ROLLBACK', 'COMMIT')
{
	my ($reports, $one, $two) = map { lc("$_$end") } qw(reports one two);
	$node->sql(
		"SET ROLE alice;
		SELECT jobq.create_queue('$reports');
		SELECT jobq.create_queue('$one', 'dies(jsonb)', max_attempts => 1, on_dead => '$reports');
		SELECT jobq.create_queue('$two', 'dies_too(jsonb)', max_attempts => 1,
			on_dead => '$reports')");
	my $session = session('alice');
	$session->query("SELECT jobq.drop_queue('$reports', force => true)");
	my $ids = $node->sql(
		"SET ROLE alice; SELECT string_agg(jobq.enqueue(q)::text, ',')
		FROM unnest('{$one,$two}'::text[]) AS q, generate_series(1, 3)");
	poll_ok(
		$node,
		"SELECT count(*) = 6 FROM jobq.attempts WHERE job_id IN ($ids)",
		"$end: jobs have died");
	poll_ok(
		$node, "SELECT count(*) = 0 FROM jobq.workers AS w JOIN pg_locks AS l USING (pid)
		WHERE NOT l.granted OR w.job_id IN ($ids)", 'executors wait for no lock');
	is( $node->sql(
			"SELECT state, attempt, count(*) FROM jobq.jobs WHERE id IN ($ids) GROUP BY 1, 2"),
		'running|1|6',
		'the jobs are not dead yet');
	like(
		log_since($node, 0),
		qr/the job is dead once its queue/,
		'the log says why the jobs are not dead yet');
	is($node->sql("SELECT jobq.cancel(split_part('$ids', ',', 6)::bigint)"),
		't', 'one of the dying jobs is cancelled');
	$session->query($end);
	$session->quit;
	poll_ok(
		$node, "SELECT count(*) = 5 FROM jobq.jobs WHERE id IN ($ids) AND state = 'dead'
		AND sqlstate = 'P0042' AND error = 'died' AND attempt = 1",
		'the jobs are dead when the drop has ended');
	is( $node->sql(
			"SELECT outcome, count(*), count(DISTINCT job_id) FROM jobq.attempts
				WHERE job_id IN ($ids) GROUP BY 1"
		),
		'failed|6|6',
		'each job has a single attempt');
	is( $node->sql(
			"SELECT count(*) FROM jobq.jobs WHERE queue = '$reports' AND headers ? 'jobq_dead_job'"
		),
		$end eq 'COMMIT' ? 0 : 5,
		'deaths are reported if the queue is still there');
}

# ------------------------------------------------- soon after a lock has ended

$node->sql(
	q{SET ROLE alice;
	SELECT jobq.create_queue('l'), jobq.create_queue('p');
	SELECT jobq.enqueue('l', ttl => '1 min') FROM generate_series(1, 2);
	SELECT jobq.dequeue('l', lease => '1 min')});
{
	my $session = session('alice');
	$session->query("SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'l'");
	$node->advance_clock('1 hour');
	poll_ok(
		$node, "SELECT count(*) = 2 FROM jobq.health WHERE topic = 'late'
		AND object IN ('ending leases', 'expiring jobs')", 'something is late by an hour');
	$session->query('ROLLBACK');
	my $began = Time::HiRes::time();
	poll_ok(
		$node,
		"SELECT string_agg(state, ' ' ORDER BY id) = 'ready expired' FROM jobq.jobs
			WHERE queue = 'l'",
		'jobs that were locked are handled after the rollback');
	cmp_ok(Time::HiRes::time() - $began, '<', 8, 'jobs that were locked are handled soon');
	$session->quit;
}

# a prepared transaction is named
$node->sql(q{SET ROLE alice; SELECT jobq.enqueue('p'); SELECT jobq.dequeue('p', lease => '1 min')});
$node->sql(
	q{SET ROLE alice; BEGIN; SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'p';
		PREPARE TRANSACTION 'a'}
);
$node->advance_clock('1 hour');
poll_ok(
	$node, q{SELECT count(*) = 1 FROM jobq.health WHERE topic = 'late' AND object = 'ending leases'
	AND message ~ 'because prepared transaction "a" \(role "alice"\) is in the way'
		AND hint ~ 'ROLLBACK PREPARED'},
	'a prepared transaction is named');
$node->sql("ROLLBACK PREPARED 'a'");

# ---------------------------------------------------------- who has waited for it

$node->sql(
	"SET ROLE alice; SELECT jobq.create_queue('q'); SELECT jobq.grant_queue('q', 'bob', 'enqueue')"
);
foreach my $template (
	"jobq.enqueue('q', unique_key => 'K', on_conflict => 'error')",
	"jobq.enqueue_many('q', ARRAY['{}'::jsonb], unique_keys => ARRAY['K'], on_conflict => 'error')")
{
	my ($key) = $template =~ /(enqueue\w*)/;
	my $call = $template =~ s/'K'/'$key'/r;
	$node->sql("SET ROLE alice; SELECT jobq.grant_queue('q', 'bob', 'enqueue')");
	my $session = session('alice');
	$session->query("SELECT jobq.enqueue('q', unique_key => '$key')");
	my $waiting = $node->background_psql('postgres', on_error_stop => 0);
	$waiting->query('SET ROLE bob; \\set VERBOSITY verbose');
	$waiting->query_until(qr/sent/, "\\echo sent\nSELECT $call;\n");
	wait_for_waiter("$call waits for the key");
	$node->sql("SET ROLE alice; SELECT jobq.revoke_queue('q', 'bob', 'enqueue')");
	$session->query('COMMIT');
	$waiting->query('SELECT 1');
	like(
		$waiting->{stderr},
		qr/42501: permission denied for the queue/,
		'the call that waited is refused');
	$session->quit;
	$waiting->quit;
}

foreach my $change ('retry', 'cancel')
{
	my $id = $node->sql("SET ROLE alice; SELECT jobq.enqueue('q')");
	$node->sql("SET ROLE alice; SELECT jobq.cancel($id)") if $change eq 'retry';
	my $session = session('alice');
	$session->query("SELECT jobq.$change($id)");
	my $waiting = $node->background_psql('postgres', on_error_stop => 0);
	$waiting->query_until(qr/sent/, "\\echo sent\nSELECT 'deleted: ' || jobq.delete($id);\n");
	wait_for_waiter("delete() waits for $change()");
	$session->query('COMMIT');
	like($waiting->query('SELECT 1'), qr/deleted: true/,
		"delete() deletes the job after $change()");
	is($node->sql("SELECT count(*) FROM jobq.jobs WHERE id = $id"),
		0, "the deleted job is gone after $change()");
	$session->quit;
	$waiting->quit;
}

# ----------------------------------- leases of one role, and those of another

sub as
{
	my ($role, $query) = @_;
	local $ENV{PGUSER} = $role;
	return $node->sql($query);
}

as( 'bob', q{SELECT jobq.create_queue('heavy', max_attempts => 1);
	SELECT count(*) FROM jobq.enqueue_many('heavy', array_fill('{}'::jsonb, ARRAY[10000]));
	SELECT count(*) FROM jobq.dequeue('heavy', 10000, '30 min')});
as( 'alice', q{SELECT jobq.create_queue('light');
	SELECT jobq.enqueue('light') FROM generate_series(1, 8);
	SELECT count(*) FROM jobq.dequeue('light', 8, '30 min')});
$node->advance_clock('31 min');
poll_ok(
	$node,
	"SELECT count(*) = 8 FROM jobq.attempts AS a JOIN jobq.jobs AS j ON j.id = a.job_id
		WHERE j.queue = 'light'",
	'a few leases end');
cmp_ok(
	$node->sql(
		q{SELECT count(*) FROM jobq.attempts AS a JOIN jobq.jobs AS j ON j.id = a.job_id
		WHERE j.queue = 'heavy' AND a.finished_at < (SELECT max(b.finished_at)
			FROM jobq.attempts AS b JOIN jobq.jobs AS k ON k.id = b.job_id
				WHERE k.queue = 'light')}),
	'<',
	3000,
	"a few leases end before most of another role's many leases");
poll_ok(
	$node,
	"SELECT count(*) = 10000 FROM jobq.jobs WHERE queue = 'heavy' AND state = 'dead'",
	"the other role's many leases end, too");

$node->stop;
done_testing();
