# t/016_held_locks.pl: whatever an ordinary role locks and holds, schedules
# fire, leases end, jobs expire and delayed jobs run; jobq.health says what is
# late, and who is in the way.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'max_prepared_transactions = 5', "log_min_messages = 'warning'" ]);
$node->create_clock;
my $coordinator = wait_for_worker($node, 'jobq coordinator');

$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{alice,bob}'::regrole[]) AS r;
	GRANT CREATE ON SCHEMA public TO alice;
	CREATE TABLE claims (id bigint, lease bigint, queue text);
	GRANT ALL ON claims TO alice;
	CREATE FUNCTION done() RETURNS void LANGUAGE sql AS '';
	CREATE FUNCTION runs() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(600)';
	SELECT jobq.create_queue('bobs', owner => 'bob');
	SELECT jobq.create_queue('done', 'done()', owner => 'bob');
	SET ROLE bob;
	SELECT jobq.schedule('tick', '* * * * * *', queue => 'done');
});

# What bob wants is done in time.
sub on_time
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return coordinator_on_time($node, $name, 'bobs', 'bobs', 'SET ROLE bob');
}

my $session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe("SET application_name = 'holder'; SET ROLE alice");

# held($name, $hold, $after): bob's work is done while alice has done something
# and not committed it. What is done afterwards brings the coordinator to it.
sub held
{
	my ($name, $hold, %opt) = @_;
	$session->query_safe('BEGIN');
	$session->query_safe($hold);
	$node->sql($opt{meanwhile}) if $opt{meanwhile};
	$node->advance_clock($opt{clock} // '2 s');
	on_time($name);
	$opt{check}->() if $opt{check};
	$session->query_safe('ROLLBACK');
	return;
}

# A queue of alice's, with a finished, a dead, a ready, a claimed, a cancelled
# and a delayed job, and one with a time to live.
my $queues = 0;

sub make_queue
{
	my ($options) = @_;
	my $q = 'q' . ++$queues;
	$options = $options ? ", $options" : '';
	$node->sql(
		qq{
		SET ROLE alice;
		SELECT jobq.create_queue('$q', max_attempts => 1$options);
		SELECT jobq.enqueue('$q') FROM generate_series(1, 6);
		SELECT jobq.complete(id, lease) FROM jobq.dequeue('$q', 3);
		SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('$q', 3);
		SELECT jobq.enqueue('$q', ttl => '1 hour', priority => 5);
		SELECT jobq.enqueue('$q', delay => '1 hour', priority => 5);
		SELECT jobq.enqueue('$q');
		INSERT INTO claims SELECT id, lease, '$q' FROM jobq.dequeue('$q', lease => '1 hour');
	});
	return $q;
}

on_time('nobody is in the way');

# ------------------------------------------------ each function that locks rows

my $of = "FROM jobq.jobs WHERE queue =";
my @holders = (
	[ 'complete', "SELECT jobq.complete(id, lease) FROM claims WHERE queue = 'Q'" ],
	[
		'complete_many',
		"SELECT jobq.complete_many(array_agg(id), max(lease)) FROM claims WHERE queue = 'Q'"
	],
	[ 'fail', "SELECT jobq.fail(id, lease, 'x') FROM claims WHERE queue = 'Q'" ],
	[ 'release', "SELECT jobq.release(id, lease) FROM claims WHERE queue = 'Q'" ],
	[ 'heartbeat', "SELECT jobq.heartbeat(id, lease) FROM claims WHERE queue = 'Q'" ],
	[ 'cancel', "SELECT count(jobq.cancel(id)) $of 'Q' AND state <> 'dead'" ],
	[ 'delete', "SELECT count(jobq.delete(id)) $of 'Q' AND state <> 'running'" ],
	[ 'retry', "SELECT count(jobq.retry(id)) $of 'Q' AND state = 'dead'" ],
	[ 'promote', "SELECT count(jobq.promote(id)) $of 'Q' AND state = 'scheduled'" ],
	[ 'reschedule', "SELECT count(jobq.reschedule(id, now() + '1 hour')) $of 'Q'" ],
	[ 'set_priority', "SELECT count(jobq.set_priority(id, 3)) $of 'Q'" ],
	[ 'set_payload', "SELECT count(jobq.set_payload(id, '{}')) $of 'Q'" ],
	[ 'take', "SELECT count(*) FROM jobq.take('Q', 10)" ],
	[ 'dequeue', "SELECT count(*) FROM jobq.dequeue('Q', 10, '1 hour')" ],
	[ 'enqueue', "SELECT jobq.enqueue('Q', unique_key => 'k', ttl => '1 hour')" ],
	[ 'pause', "SELECT jobq.pause('Q')" ],
	[ 'drain', "SELECT jobq.drain('Q')" ],
	[ 'alter_queue', "SELECT jobq.alter_queue('Q', max_attempts => 7)" ],
	[ 'grant_queue', "SELECT jobq.grant_queue('Q', 'bob', 'manage')" ],
	[ 'drop_queue', "SELECT jobq.drop_queue('Q', force => true)" ],
	[ 'create_queue', "SELECT jobq.create_queue('Qnew')" ],
	[ 'create_limit', "SELECT jobq.create_limit('Qnew')" ],
	[ 'alter_limit', "SELECT jobq.alter_limit('Q', max_running => 1)" ],
	[ 'drop_limit', "SELECT jobq.drop_limit('Q')" ],
	[ 'a queue that begins to share a limit', "SELECT jobq.alter_queue('Q', shared_limit => 'Q')" ],
	[ 'schedule', "SELECT jobq.schedule('Qs', '* * * * * *', queue => 'Q')" ],
	[ 'alter_schedule', "SELECT jobq.alter_schedule('Q', keep_runs => 'errors')" ],
	[ 'enable_schedule', "SELECT jobq.enable_schedule('Q', false)" ],
	[ 'unschedule', "SELECT jobq.unschedule('Q')" ],
	[ 'run_schedule', "SELECT jobq.run_schedule('Q')" ],
	[ 'run', "SELECT jobq.run('SELECT 1')" ],
	[
		'reading',
		"LOCK TABLE jobq.jobs IN ACCESS SHARE MODE; SELECT count(*) FROM jobq.jobs;"
		  . " SELECT count(*) FROM jobq.queues; SELECT count(*) FROM jobq.schedules;"
		  . " SELECT count(*) FROM jobq.schedule_runs; SELECT count(*) FROM jobq.attempts"
	],);
foreach my $holder (@holders)
{
	my ($name, $hold) = @$holder;
	my $q = make_queue('keep_completed_count => 0, keep_dead_count => 0');
	$node->sql(
		"SET ROLE alice;
			SELECT jobq.schedule('$q', '* * * * * *', queue => '$q', overlap => 'allow'),
				jobq.create_limit('$q')"
	);
	$hold =~ s/Q/$q/g;
	# so late, history is to be emptied, and limits by number are to be applied
	held("$name is not committed", $hold, clock => '5 hours');
	$node->sql("SET ROLE alice; SELECT jobq.unschedule('$q')");
}

# --------------------------------------------- what waits for a key, or a queue

# a schedule cancels its running job, which alice is just doing, too
$node->sql(
	q{SELECT jobq.create_queue('runs', 'runs()');
	SELECT jobq.grant_queue('runs', 'alice', 'manage');
	SELECT jobq.schedule('cancels', '@every 60s', queue => 'runs', overlap => 'cancel');
	SELECT jobq.run_schedule('cancels')});
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.jobs WHERE queue = 'runs' AND state = 'running'",
	'a job is running');
held(
	'the same job is being cancelled',
	"SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'runs' AND state = 'running'",
	clock => '120 s',
	check => sub {
		poll_ok(
			$node, qq{SELECT count(*) = 1 FROM jobq.health WHERE topic = 'late'
			AND object = 'firing schedules'
				AND message ~ 'pid [0-9]+ \\(role "postgres", application "holder"'},
			'jobq.health names whose transaction is in the way');
		is( $node->sql(
				"SET ROLE bob;
					SELECT count(*) FROM jobq.health WHERE topic = 'late' AND message ~ 'pid'"
			),
			0,
			'to those who may see it');
	});
poll_ok(
	$node,
	"SELECT count(*) = 2 FROM jobq.jobs WHERE queue = 'runs' AND headers ? 'schedule'",
	'the schedule runs when the lock is gone');
$node->sql(
	"SELECT jobq.unschedule('cancels'); SELECT count(jobq.cancel(id)) FROM jobq.jobs
		WHERE queue = 'runs'"
);

# the first run() of a role is not committed when its schedule is due
$node->sql("SET ROLE alice; SELECT jobq.schedule('commands', '\@every 60s', 'SELECT 1')");
$node->sql(
	"SELECT jobq.drop_queue('run:alice', force => true)
	WHERE EXISTS (SELECT FROM jobq_store.queue WHERE name = 'run:alice')");
$node->sql("SELECT jobq.enable_schedule('commands')");
held('a role\'s queue of commands is being made', "SELECT jobq.run('SELECT 1')", clock => '120 s');
poll_ok(
	$node,
	"SELECT runs > 0 FROM jobq.schedules WHERE name = 'commands'",
	'a schedule of commands runs');
{
	my $runs = $node->sql("SELECT runs FROM jobq.schedules WHERE name = 'commands'");
	held(
		'it is being dropped',
		"RESET ROLE; SELECT jobq.drop_queue('run:alice', force => true)",
		clock => '120 s');
	poll_ok(
		$node,
		"SELECT runs > $runs FROM jobq.schedules WHERE name = 'commands'",
		'the schedule of commands runs again');
}

# a queue of reports is being dropped when a job dies
my $reports = make_queue();
my $dies = make_queue("on_dead => '$reports', keep_completed => '1 year'");
$node->sql(
	"SET ROLE alice; SELECT jobq.enqueue('$dies', priority => -7);
	SELECT jobq.dequeue('$dies', lease => '1 min')");
held(
	'the queue of reports is being dropped',
	"SELECT jobq.drop_queue('$reports', force => true)",
	clock => '2 min');
poll_ok(
	$node,
	"SELECT count(*) > 0 FROM jobq.jobs WHERE queue = '$reports' AND headers ? 'jobq_dead_job'",
	'the death is reported when the lock is gone');

# the lock of the extension, which needs no privilege on it
$node->sql("SET ROLE alice; CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'");
held('somebody has the lock of the extension',
	'ALTER FUNCTION public.f() DEPENDS ON EXTENSION jobq');
$session->quit;

# or wants it, and waits for a job that has it
my $long = $node->sql("SELECT jobq.enqueue('runs')");
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.workers WHERE job_id = $long",
	'a long job is running');
my ($out, $err) = ('', '');
my $waiting = IPC::Run::start(
	[
		'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', 'SET ROLE alice', '-c', 'DROP EXTENSION jobq'
	],
	'>',
	\$out,
	'2>',
	\$err,
	IPC::Run::timeout(wait_limit()));
poll_ok(
	$node, "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'object'
	AND mode = 'AccessExclusiveLock'", 'a session waits for the lock of the extension');
on_time('somebody waits for the lock of the extension');
$node->sql("SELECT jobq.cancel($long)");
$waiting->finish;
like($err, qr/must be owner of extension jobq/, 'only the owner can drop the extension');

# --------------------------------------------------------------- after a crash

$node->sql("SELECT jobq.create_queue('crash', 'runs()', max_attempts => 3)");
my $crashed = $node->sql("SELECT jobq.enqueue('crash')");
my $executor;
poll_until(
	sub {
		$executor = $node->sql("SELECT pid FROM jobq.workers WHERE job_id = $crashed");
		return $executor ne '';
	}) or die "the job is not running\n";
# after the crash another session locks its row first
$node->sql("ALTER SYSTEM SET jobq.enabled = off; SELECT pg_reload_conf()");
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'",
	'no coordinator');
if ($node->sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $executor") eq '1')
{
	my $clock = $node->clock;
	kill_9($node, $executor);
	# the clock is in shared memory
	$node->set_clock($clock);
	$session = $node->background_psql('postgres', on_error_stop => 1);
	$session->query_safe("BEGIN; SELECT jobq.set_priority($crashed, 1)");
	$node->sql("ALTER SYSTEM RESET jobq.enabled; SELECT pg_reload_conf()");
	$coordinator = wait_for_worker($node, 'jobq coordinator');
	on_time('a job that crashed the server is locked');
	$session->query_safe('ROLLBACK');
	$session->quit;
	poll_ok(
		$node,
		"SELECT count(*) = 1 FROM jobq.attempts WHERE job_id = $crashed AND outcome = 'crashed'
			AND sqlstate = '57P02'",
		'the attempt of the crashed job is counted when the lock is gone');
}
else
{
	fail('the executor has left');
}

# The coordinator was in nobody's hands, and gave up nothing
is(join("\n", grep { /jobq failed in/ } split(/\n/, log_since($node, 0))),
	'', 'no task has run into a lock');
is(wait_for_worker($node, 'jobq coordinator'), $coordinator, 'nothing has ended the coordinator');

$node->stop;
done_testing();
