# t/036_two_phase.pl: Two-phase commit. PREPARE TRANSACTION, COMMIT PREPARED and
# ROLLBACK PREPARED call no transaction callback that could report the jobs
# concerned, so their effects must be noticed in another way, and at once.
#
# To show that something does not happen, something later in the same queue
# must have happened.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# COMMIT PREPARED must be noticed in this time, in seconds, where the machine has much else
# to do.  There are no sweeps.
my $at_once = 20;

my $node = jobq_node('main',
	conf => [ 'max_prepared_transactions = 10', 'jobq.sweep_interval = 0', 'fsync = off' ]);

# A job of queue "work" that does what "note" says: it adds a row.
sub enqueue_note
{
	my ($note) = @_;
	return "SELECT jobq.enqueue('work', '{\"note\": \"$note\"}')";
}

sub notes_are
{
	my ($expected, $name, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_ok(
		$node,
		"SELECT coalesce(string_agg(note, ',' ORDER BY note), '') FROM notes",
		$name,
		expected => $expected,
		seconds => $seconds);
	return;
}

# Runs a job that was enqueued after all the others and waits for its end.
my $controls = 0;

sub control_job
{
	$controls++;
	$node->sql("SELECT jobq.enqueue('control', '$controls')");
	poll_query($node, "SELECT count(*) = 1 FROM controls WHERE n = $controls")
	  or die "the control job did not run\n";
	return;
}

# A session in CALL jobq.wait() for a queue; true if it came back with true.
sub start_wait
{
	my ($queue, $seconds) = @_;
	my $session = $node->background_psql('postgres');
	$session->query_until(qr/waiting/,
		"\\echo waiting\nCALL jobq.wait('{$queue}', '$seconds s');\n\\echo woken\n");
	poll_query($node,
			"SELECT count(*) = 1 FROM pg_stat_activity"
		  . " WHERE query LIKE 'CALL jobq.wait%$queue%'"
		  . " AND wait_event_type = 'Extension'")
	  or die "the waiter does not wait\n";
	return $session;
}

sub woken_ok
{
	my ($session, $started, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $out = $session->query_until(qr/woken/, '');
	my $elapsed = time() - $started;
	like($out, qr/^t$/m, $name);
	cmp_ok($elapsed, '<', $at_once, "$name, at once");
	$session->quit;
	return;
}

$node->sql(
	q{
	CREATE TABLE notes (note text, at timestamptz DEFAULT clock_timestamp());
	CREATE FUNCTION add_note(payload jsonb) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO notes VALUES (payload ->> 'note') $$;
	CREATE TABLE controls (n int);
	CREATE FUNCTION add_control(payload jsonb) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO controls VALUES (payload::int) $$;
	SELECT jobq.create_queue('work', 'add_note(jsonb)', max_attempts => 3,
	  backoff_base => '50 ms');
	SELECT jobq.create_queue('control', 'add_control(jsonb)');
	SELECT jobq.create_queue('ext', lease => '1 hour');
	SELECT jobq.create_queue('short', lease => '500 ms', backoff_base => '1 ms');
	SELECT jobq.create_queue('many');
});

# --------------------------------------------------------------- enqueue

$node->sql('BEGIN; ' . enqueue_note('a') . "; PREPARE TRANSACTION 'a'");
control_job();
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'work'"),
	'0', 'a prepared job is invisible');
notes_are('', 'a prepared job does not run');

my $started = time();
$node->sql("COMMIT PREPARED 'a'");
notes_are('a', 'COMMIT PREPARED makes the job run', $at_once);
cmp_ok(time() - $started, '<', $at_once, 'the job runs at once after COMMIT PREPARED');

$node->sql('BEGIN; ' . enqueue_note('b') . "; PREPARE TRANSACTION 'b'");
$node->sql("ROLLBACK PREPARED 'b'");
control_job();
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'work' AND state <> 'completed'"),
	'0', 'ROLLBACK PREPARED leaves no job');
notes_are('a', 'ROLLBACK PREPARED: no job runs');

# a savepoint that was rolled back, and one that was not
$node->sql('BEGIN; SAVEPOINT s; '
	  . enqueue_note('no')
	  . '; ROLLBACK TO s; SAVEPOINT t; '
	  . enqueue_note('c')
	  . "; RELEASE t; PREPARE TRANSACTION 'c'");
$node->sql("COMMIT PREPARED 'c'");
notes_are('a,c', 'savepoints count as ever', $at_once);

# the session that prepared goes on as if nothing had been
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; ' . enqueue_note('d'));
	$session->query_safe("PREPARE TRANSACTION 'd'");
	$session->query_safe(enqueue_note('e'));
	notes_are('a,c,e', 'the session enqueues other jobs', $at_once);
	$session->query_safe("COMMIT PREPARED 'd'");
	notes_are('a,c,d,e', 'the session commits its own prepared jobs', $at_once);
	$session->quit;
}

# a job for later
$node->sql("BEGIN; SELECT jobq.enqueue('work', '{\"note\": \"f\"}', delay => '700 ms');"
	  . " PREPARE TRANSACTION 'f'");
$node->sql("COMMIT PREPARED 'f'");
notes_are('a,c,d,e,f', 'a prepared job with a delay runs when it is due', $at_once);
is( $node->sql(
			"SELECT count(*) FROM notes AS n JOIN jobq.jobs AS j"
		  . " ON j.payload ->> 'note' = n.note"
		  . " WHERE n.note = 'f' AND n.at >= j.run_at"),
	'1',
	'a prepared job with a delay does not run early');

# ------------------------------------------------------ external workers

my $waiter = start_wait('ext', 60);
$node->sql("BEGIN; SELECT jobq.enqueue('ext', '1'); PREPARE TRANSACTION 'g'");
$started = time();
$node->sql("COMMIT PREPARED 'g'");
woken_ok($waiter, $started, 'COMMIT PREPARED ends a wait()');

{
	my $listener = $node->background_psql('postgres', on_error_stop => 0);
	$listener->query_safe("SELECT jobq.listen('ext')");
	$node->sql("BEGIN; SELECT jobq.enqueue('ext', '2'); PREPARE TRANSACTION 'h'");
	$node->sql("COMMIT PREPARED 'h'");
	ok( poll_until(
			sub {
				my ($out) = $listener->query('SELECT 1');
				return $out =~ /notification/;
			},
			$at_once),
		'COMMIT PREPARED is followed by a notification');
	$listener->quit;
}

# dequeue and PREPARE: the job is nobody else's, until the end decides
my $claim = q{SELECT id, lease FROM jobq.dequeue('ext')};
my ($id, $lease) =
  split(/\|/, $node->sql("BEGIN; $claim; PREPARE TRANSACTION 'i'"));
is($node->sql("SELECT payload FROM jobq.dequeue('ext', 10)"),
	'2', 'another worker skips a job whose claim is prepared');
is($node->sql("SELECT count(*) FROM jobq.take('ext', 10)"),
	'0', 'take() skips a job whose claim is prepared');
$node->sql("COMMIT PREPARED 'i'");
is($node->sql("SELECT state, attempt FROM jobq.jobs WHERE id = $id"),
	'running|1', 'COMMIT PREPARED makes the claim');
$node->sql("SELECT jobq.complete($id, $lease)");
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"),
	'completed', 'the lease of a prepared claim is valid after COMMIT PREPARED');

# the end of a claim that was prepared is watched
$node->sql("SELECT jobq.enqueue('short')");
($id, $lease) = split(/\|/,
	$node->sql("BEGIN; SELECT id, lease FROM jobq.dequeue('short');" . " PREPARE TRANSACTION 'j'"));
$node->sql("COMMIT PREPARED 'j'");
poll_ok(
	$node,
	"SELECT state = 'ready' OR state = 'scheduled' FROM jobq.jobs WHERE id = $id",
	'a prepared claim ends with its lease',
	seconds => $at_once);
like(sql_error($node, "SELECT jobq.complete($id, $lease)"),
	qr/JQ001/, 'the lease is lost after COMMIT PREPARED');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.dequeue('short') WHERE id = $id AND lease > $lease",
	'the job is claimed again, with a new lease');
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.dequeue('short', lease => '1 hour') WHERE id = $id",
	'the job is claimed once more');

# ROLLBACK PREPARED of a claim
$node->sql("SELECT jobq.enqueue('many', '1')");
($id) =
  split(/\|/, $node->sql("BEGIN; SELECT id FROM jobq.dequeue('many'); PREPARE TRANSACTION 'k'"));
$waiter = start_wait('many', 60);
$started = time();
$node->sql("ROLLBACK PREPARED 'k'");
woken_ok($waiter, $started, 'ROLLBACK PREPARED of a claim ends a wait()');
is($node->sql("SELECT id = $id, attempt FROM jobq.dequeue('many')"),
	't|1', 'ROLLBACK PREPARED of a claim gives the job back, as if never claimed');

# the same for take(), and one for whom the executors wait
$node->sql("SELECT jobq.pause('work'); " . enqueue_note('g'));
is( $node->sql(
			"BEGIN; SELECT jobq.resume('work');"
		  . " SELECT payload ->> 'note' FROM jobq.take('work');"
		  . " PREPARE TRANSACTION 'l'"),
	"t\ng",
	'take() of a queue with a handler');
$node->sql("COMMIT PREPARED 'l'");
is($node->sql("SELECT state FROM jobq.jobs WHERE payload ->> 'note' = 'g'"),
	'completed', 'COMMIT PREPARED finishes what take() took');

$node->sql(enqueue_note('h') . '; ' . enqueue_note('i'));
notes_are('a,c,d,e,f,h,i', 'the queue goes on', $at_once);

# a job that the handlers' queue has ready but a prepared take() holds
$node->sql('BEGIN; '
	  . enqueue_note('j')
	  . "; SELECT count(*) FROM jobq.take('work'); PREPARE TRANSACTION 'm'");
$node->sql("ROLLBACK PREPARED 'm'");
$node->sql("SELECT jobq.alter_queue('work', backoff_base => '60 ms');"
	  . " SELECT jobq.pause('work'); "
	  . enqueue_note('j'));
$node->sql("BEGIN; UPDATE notes SET note = note; SELECT jobq.resume('work');"
	  . " SELECT count(*) FROM jobq.take('work'); PREPARE TRANSACTION 'n'");
control_job();
$node->sql("ROLLBACK PREPARED 'n'");
is($node->sql("SELECT paused FROM jobq.queues WHERE queue = 'work'"),
	't', 'ROLLBACK PREPARED undoes resume()');
$node->sql("SELECT jobq.resume('work')");
notes_are('a,c,d,e,f,h,i,j', 'the job of the resumed queue runs after another one', $at_once);

# ------------------------------------------------------- other changes

# a queue that is made and filled in one prepared transaction
$node->sql("BEGIN; SELECT jobq.create_queue('new', 'add_note(jsonb)');"
	  . " SELECT jobq.enqueue('new', '{\"note\": \"k\"}'); PREPARE TRANSACTION 'o'");
like(sql_error($node, "SELECT jobq.enqueue('new')"), qr/42704/, 'a prepared queue does not exist');
$node->sql("COMMIT PREPARED 'o'");
notes_are('a,c,d,e,f,h,i,j,k', 'COMMIT PREPARED of a queue with a job', $at_once);
$node->sql("SELECT jobq.enqueue('new', '{\"note\": \"l\"}')");
notes_are('a,c,d,e,f,h,i,j,k,l', 'the queue exists now', $at_once);

# finishing by lease
$node->sql("SELECT jobq.enqueue('ext', '\"done\"')");
($id, $lease) =
  split(/\|/, $node->sql(q{SELECT id, lease FROM jobq.dequeue('ext')}));
$node->sql("BEGIN; SELECT jobq.complete($id, $lease, '1'); PREPARE TRANSACTION 'p'");
$node->sql("COMMIT PREPARED 'p'");
is($node->sql("SELECT state, result FROM jobq.jobs WHERE id = $id"),
	'completed|1', 'complete() and COMMIT PREPARED');

# a claim that is bound to a session which the prepared transaction outlives
$node->sql("SELECT jobq.enqueue('short', '\"bound\"')");
my $bound = $node->background_psql('postgres', on_error_stop => 0);
my ($out, $failed) =
  $bound->query("BEGIN; SELECT id FROM jobq.dequeue('short', session_bound => true)\\gset\n"
	  . "PREPARE TRANSACTION 'q'");
$bound->quit;
if ($node->sql("SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'q'") eq '1')
{
	$node->sql("COMMIT PREPARED 'q'");
	note('a session-bound claim can be prepared');
}
else
{
	note('a session-bound claim cannot be prepared');
}
poll_ok(
	$node,
	"SELECT count(*) = 1 FROM jobq.dequeue('short', lease => '1 hour')"
	  . " WHERE payload = '\"bound\"'",
	'a session-bound claim does not outlive its session by PREPARE',
	seconds => $at_once);

# --------------------------------------------------------------- crashes

$node->sql('BEGIN; ' . enqueue_note('m') . "; PREPARE TRANSACTION 'r'");
$node->sql('BEGIN; ' . enqueue_note('n') . "; PREPARE TRANSACTION 's'");
$node->stop('immediate');
$node->start;
control_job();
notes_are('a,c,d,e,f,h,i,j,k,l', 'prepared jobs do not run after a crash');
$node->sql("COMMIT PREPARED 'r'");
$node->sql("ROLLBACK PREPARED 's'");
notes_are('a,c,d,e,f,h,i,j,k,l,m',
	'a transaction prepared before a crash is committed after it', $at_once);

is($node->sql('SELECT count(*) FROM pg_prepared_xacts'), '0', 'no job is left');
is( join(
		"\n",
		unexpected_log_lines(
			$node, 0, qr/"new" does not exist/,
			qr/is lost/,
			qr/was not properly shut down/,
			qr/immediate shutdown/,
			qr/terminating connection/,
			qr/PREPARE/i, qr/has a handler/)),
	'',
	'nothing unexpected in the log');

$node->stop;
done_testing();
