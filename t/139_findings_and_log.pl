# t/139_findings_and_log.pl: what jobq.health and the log say of jobs that are
# held up by a role's limit of workers or by a transaction that has locked
# them, and of attempts that fail.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 4',
		'jobq.max_workers_per_role = 1',
		'max_prepared_transactions = 2',
		'jobq.log_jobs = all'
	]);

# The findings of a topic: severity, object and message.
sub finding
{
	my ($topic) = @_;
	return "SELECT string_agg(concat_ws('|', severity, object, message), ' ' ORDER BY object)"
	  . " FROM jobq.health WHERE topic = '$topic'";
}

# Waits for a line in the log.
sub logs_ok
{
	my ($position, $regex, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(poll_until(sub { return log_since($node, $position) =~ $regex }), $name);
}

# ------------------------------------------------------- a role's limit

$node->sql('CREATE ROLE carol LOGIN; CREATE DATABASE other');
create_extension($node, 'other');
foreach my $db ('postgres', 'other')
{
	$node->sql(
		q{
		CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(p::float8)';
		SELECT jobq.grant_usage('carol');
		SELECT jobq.create_queue('work', 'work(jsonb)', owner => 'carol')}, $db);
}
my $long = $node->sql(q{SELECT jobq.enqueue('work', '1000')}, 'other');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $long",
	'a job runs elsewhere',
	db => 'other');
$node->sql(q{SELECT jobq.enqueue('work', '0')});
poll_ok($node, finding('worker slots'), 'health says at once that all workers of a role are busy',
	expected =>
	  'warning|jobq.max_workers_per_role|jobs are waiting, but role "carol" already has its'
	  . ' maximum number of workers, all in other databases: 1');
is( $node->sql(q{SELECT hint FROM jobq.health WHERE topic = 'worker slots'}),
	'Increase jobq.max_workers_per_role and reload the configuration.',
	'all workers of a role are busy: the hint');
$node->sql(
	'CREATE ROLE dave LOGIN IN ROLE pg_read_all_settings; SELECT jobq.grant_usage($$dave$$)');
unlike($node->sql(q{SET ROLE dave; SELECT message FROM jobq.health WHERE topic = 'worker slots'}),
	qr/carol/, 'others are not told who');
$node->append_conf('postgresql.conf', 'jobq.max_workers_per_role = 2');
$node->reload;
poll_ok($node, q{SELECT count(*) = 0 FROM jobq_store.job}, 'the job runs with a higher limit');
is($node->sql(finding('worker slots')), '', 'the finding goes when the job runs');
$node->sql("SELECT jobq.cancel($long)", 'other');

# ------------------------------------------- jobs that somebody has locked

$node->sql(
	q{CREATE FUNCTION quick(p jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('quick', 'quick(jsonb)')});
my $locker = $node->background_psql('postgres');
my $id =
  $node->sql(q{SELECT jobq.pause('quick'); SELECT jobq.enqueue('quick')}) =~ /(\d+)\s*$/ ? $1 : die;
my $pid = $locker->query_safe("SELECT pg_backend_pid()");
$locker->query_safe("BEGIN; SELECT jobq.set_priority($id, 3)");
$node->sql(q{SELECT jobq.resume('quick')});
is($node->sql(finding('late')), '', 'a locked job is not late at once');
poll_ok(
	$node,
	"SELECT message ~ ('^job $id is ready but locked by the transaction of pid $pid '
		|| '.*idle in transaction')"
	  . " AND object = 'quick' FROM jobq.health WHERE topic = 'late'",
	'a job that an open transaction has locked is late');
$locker->query_safe('COMMIT');
poll_ok(
	$node,
	q{SELECT count(*) = 0 FROM jobq_store.job},
	'the job runs when the transaction has ended');
is($node->sql(finding('late')), '', 'the job is not late once the transaction has ended');
$id =
  $node->sql(q{SELECT jobq.pause('quick'); SELECT jobq.enqueue('quick')}) =~ /(\d+)\s*$/ ? $1 : die;
$locker->query_safe("BEGIN; SELECT jobq.set_priority($id, 4); PREPARE TRANSACTION 'forgotten'");
$node->sql(q{SELECT jobq.resume('quick')});
poll_ok(
	$node,
	"SELECT message ~ 'job $id is ready but locked by prepared transaction .forgotten.'
		AND hint ~ '^Use COMMIT PREPARED'"
	  . " FROM jobq.health WHERE topic = 'late'",
	'the finding names a prepared transaction');
$node->sql(q{COMMIT PREPARED 'forgotten'});
poll_ok($node, q{SELECT count(*) = 0 FROM jobq_store.job}, 'the job runs after COMMIT PREPARED');

# a job that runs for long is not late
my $runs = $node->sql(
	q{SELECT jobq.create_queue('work2', 'work(jsonb)'); SELECT jobq.enqueue('work2', '1000')}) =~
  /(\d+)\s*$/ ? $1 : die;
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $runs AND since < now() - interval '6 s'",
	'a job runs');
is($node->sql(finding('late')), '', 'a job that an executor runs is not late');
$node->sql(q{ALTER SYSTEM SET jobq.health_transaction_age = '1s'; SELECT pg_reload_conf()});
poll_ok(
	$node,
	"SELECT message ~ 'application \"jobq executor\", job $runs, keeps dead rows'"
	  . " AND hint = 'Cancel its job with jobq.cancel($runs), or give the queue a timeout.'"
	  . " FROM jobq.health WHERE topic = 'horizon'",
	'a job holds the horizon: its name, and what to do');
$pid =
	$locker->query_safe(q{BEGIN; SELECT txid_current(); SELECT pg_backend_pid()}) =~ /(\d+)\s*$/
  ? $1
  : die;
poll_ok(
	$node,
	"SELECT hint = 'End it, if necessary with pg_terminate_backend($pid); '
		|| 'see idle_in_transaction_session_timeout.'"
	  . " FROM jobq.health WHERE topic = 'horizon' AND object = 'pid $pid'",
	'an idle transaction holds the horizon');
$locker->query_safe('ROLLBACK');
$node->sql(q{ALTER SYSTEM RESET jobq.health_transaction_age; SELECT pg_reload_conf()});
$node->sql("SELECT jobq.cancel($runs)");
$locker->quit;

# ------------------------------------------------------------- many queues

$node->sql(
	q{SELECT count(jobq.create_queue('many' || i, 'quick(jsonb)'))
		FROM generate_series(1, 500) AS i}
);
# with entries in the index that are dead, and that a scan remembers
$node->sql(
	q{SELECT count(jobq.enqueue('many' || i, delay => '1 h'))
		FROM generate_series(1, 500) AS i, generate_series(1, 5);
	SELECT count(jobq.delete(id)) FROM jobq.jobs WHERE queue LIKE 'many%'});
$node->sql('SELECT * FROM jobq.health') foreach 1 .. 2;
my ($reads) = $node->sql(
	q{BEGIN; SELECT count(*) FROM jobq.health;
	SELECT idx_scan FROM pg_stat_xact_all_tables WHERE relid = 'jobq_store.queue'::regclass; COMMIT}
) =~ /(\d+)\s*$/;
cmp_ok($reads, '<', 20, 'queues without findings are not read for an administrator');
$node->sql(q{ALTER FUNCTION quick(jsonb) RENAME TO slow});
is( $node->sql(
		q{SELECT count(*) FROM jobq.health WHERE topic = 'handler'
			AND message ~ 'quick.jsonb. does not exist'}
	),
	'100',
	'health names queues whose handler is gone');
is( $node->sql(q{SELECT message FROM jobq.health WHERE topic = 'handler' AND object IS NULL}),
	'there are 401 more such queues',
	'health names as many queues as one can read, and counts the rest');
$node->sql(q{ALTER FUNCTION slow(jsonb) RENAME TO quick});

# ---------------------------------------------------------------- the log

# What the log says of a failed attempt of the job at hand.
sub failed_line
{
	my ($queue, $attempt, $why, $sqlstate, $next) = @_;
	my $detail = qr/DETAIL:  SQLSTATE $sqlstate in database "postgres"; $next/;
	return qr/job $id of queue "$queue" failed, attempt $attempt: $why\n.*$detail/;
}

my $position = log_position($node);
my $database = qr/database "postgres"\./;
$node->sql(q{SELECT jobq.enqueue('quick')});
logs_ok(
	$position,
	qr/job \d+ of queue "quick" completed, attempt 1, .*\n.*DETAIL:  It is in $database/,
	'the log names the database of a completed job');
$node->sql(
	q{
	CREATE FUNCTION stubborn(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(1000);
			EXCEPTION WHEN query_canceled THEN
			END;
		END LOOP;
	END $$;
	SELECT jobq.create_queue('stubborn', 'stubborn(jsonb)', timeout => '100 ms',
		max_attempts => 2, backoff_base => '1 ms')}
);
$id = $node->sql(q{SELECT jobq.enqueue('stubborn')});
logs_ok(
	$position,
	failed_line(
		'stubborn', 1,
		'the job ran longer than its timeout', '57014',
		qr/attempt 2 of 2 follows in/),
	'the log has the attempt of a job that ignores its timeout');
logs_ok(
	$position,
	failed_line(
		'stubborn', 2, 'the job ran longer than its timeout',
		'57014', qr/the job is dead\./),
	'the log has the last attempt of a job that ignores its timeout');
$id = $node->sql(q{SELECT jobq.enqueue('work2', '1000', max_attempts => 1)});
poll_ok($node, "SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $id", 'a job runs');
$node->sql("SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id = $id");
logs_ok(
	$position,
	failed_line(
		'work2', 1, 'the background worker was terminated while the job was running',
		'57P01', qr/the job is dead\./),
	'the log has the attempt of a job whose process is terminated');
poll_ok($node, q{SELECT count(*) = 0 FROM jobq_store.job}, 'all jobs have ended');
$node->sql(
	q{SELECT jobq.create_queue('gone'); SELECT jobq.grant_queue('gone', 'dave', 'enqueue');
	SELECT jobq.grant_usage('dave', true);
	SET ROLE dave; SELECT jobq.schedule('s', '* * * * * *', queue => 'gone');
	RESET ROLE; SELECT jobq.revoke_queue('gone', 'dave', 'enqueue')});
logs_ok(
	$position,
	qr/WARNING:  schedule "s" was disabled\n.*DETAIL:  In database "postgres": /,
	'the log says that a schedule was disabled');

$id = $node->sql(q{SELECT jobq.enqueue('work2', '1000', max_attempts => 1)});
poll_ok($node, "SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $id", 'a job runs');
$pid = $node->sql("SELECT pid FROM jobq.workers WHERE job_id = $id");
kill_9($node, $pid);
logs_ok(
	$position,
	failed_line(
		'work2', 1, 'the server crashed while the job was running',
		'57P02', qr/the job is dead\./),
	'the log has the attempt of a job whose server has crashed');

$node->stop;
done_testing();
