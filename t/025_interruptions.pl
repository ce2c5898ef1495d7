# t/025_interruptions.pl: interrupted jobs: if the cause of an interruption
# does not commit, the interruption has no effect. A cancel or a timeout
# decides the outcome of the attempt, whatever error the job turns it into.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main');

# Functions and procedures that wait until they are told to go on, and say so.
my $set_up = q{
	CREATE TABLE go_on (yes boolean);
	CREATE TABLE begun (what text);
	CREATE FUNCTION go_on() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$BEGIN
		RETURN EXISTS (SELECT FROM go_on); END$$;
	CREATE FUNCTION waits(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); END LOOP;
		RETURN 'done'; END$$;
	CREATE FUNCTION wraps(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); END LOOP;
		RETURN 'done';
		EXCEPTION WHEN query_canceled THEN RAISE EXCEPTION 'wrapped: %', SQLERRM; END$$;
	CREATE FUNCTION swallows(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		LOOP
			BEGIN
				WHILE NOT go_on() LOOP
					BEGIN PERFORM pg_sleep(0.01); EXCEPTION WHEN query_canceled THEN NULL; END;
				END LOOP;
				RETURN 'done';
			EXCEPTION WHEN query_canceled THEN NULL;
			END;
		END LOOP; END$$;
	CREATE PROCEDURE commits(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO begun VALUES ('commits'); COMMIT;
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); COMMIT; END LOOP; END$$;
	SELECT jobq.create_queue(name, (name || '(jsonb)')::regprocedure, max_attempts => 1)
	FROM unnest('{waits,wraps,swallows,commits}'::text[]) name;
};
$node->sql($set_up);

my $running = q{SELECT count(*) FROM jobq.workers WHERE kind = 'executor' AND job_id IS NOT NULL};

# Enqueues a job for each queue and waits until they run.
sub start_jobs
{
	my ($db, @queues) = @_;
	my $ids = $node->sql(
		'TRUNCATE go_on, begun; SELECT '
		  . join(" || ' ' || ", map { "jobq.enqueue('$_')" } @queues),
		$db);
	poll_query($node, $running, db => $db, expected => scalar(@queues)) or die 'jobs do not run';
	if (grep { $_ eq 'commits' } @queues)
	{
		poll_query($node, 'SELECT count(*) > 0 FROM begun', db => $db)
		  or die 'the procedure does not run';
	}
	return split(/ /, $ids);
}

sub all_completed
{
	my ($name, $db, @ids) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->sql('INSERT INTO go_on VALUES (true)', $db);
	my $list = join(', ', @ids);
	poll_ok(
		$node, qq{SELECT string_agg(concat_ws(' ', state, attempt, error), ', ')
		FROM jobq.jobs WHERE id IN ($list)}, "$name: interrupted jobs run again and complete",
		db => $db,
		expected => join(', ', ('completed 1') x @ids));
	return is($node->sql("SELECT count(*) FROM jobq.attempts WHERE job_id IN ($list)", $db),
		'0', "$name: no attempt is counted");
}

# What a procedure has committed is not to be done twice: its only attempt is
# used up.
sub counts
{
	my ($name, $db, $id) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok(
		$node, "SELECT concat_ws(' ', state, attempt) FROM jobq.jobs WHERE id = $id",
		"$name: the attempt of a procedure counts",
		db => $db,
		expected => 'dead 1');
}

# --------------------------------------- a drop_queue() that is rolled back

my @queues = ('waits', 'wraps', 'commits');
my $drop = 'SELECT ' . join(', ', map { "jobq.drop_queue('$_', force => true)" } @queues) . ';';

my @ids = start_jobs('postgres', @queues);
is($node->sql("BEGIN; $drop $running; ROLLBACK"),
	"||\n1", 'jobs are interrupted by drop_queue(), but for those with leases');
all_completed('ROLLBACK', 'postgres', @ids);
is($node->sql("SELECT count(*) FROM begun"), '1', 'the procedure ran on after the rollback');

@ids = start_jobs('postgres', @queues);
$node->sql("BEGIN; SAVEPOINT s; $drop ROLLBACK TO s; SELECT 1; COMMIT");
all_completed('ROLLBACK TO SAVEPOINT', 'postgres', @ids);

@ids = start_jobs('postgres', @queues);
$node->sql(
	"DO \$\$BEGIN PERFORM jobq.drop_queue('waits', true), jobq.drop_queue('wraps', true),
	jobq.drop_queue('commits', true), 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END\$\$");
all_completed('an error that is caught', 'postgres', @ids);

@ids = start_jobs('postgres', @queues);
$node->psql('postgres', "BEGIN; $drop SELECT pg_terminate_backend(pg_backend_pid())");
all_completed('the end of the session', 'postgres', @ids);

@ids = start_jobs('postgres', 'swallows');
my $position = log_position($node);
$node->sql("BEGIN; SELECT jobq.drop_queue('swallows', force => true); ROLLBACK");
all_completed('a job that does not end', 'postgres', @ids);
like(
	log_since($node, $position),
	qr/LOG:  job $ids[0] of queue "swallows" did not end when its queue was being dropped/,
	'the log says why its process was terminated');

# A procedure that holds a lock that drop_queue() needs
$node->sql(
	q{CREATE PROCEDURE enqueues(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.enqueue('enqueues', run_at => 'now'::timestamptz + '1 day');
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('enqueues', 'enqueues(jsonb)', max_attempts => 1)});
@ids = start_jobs('postgres', 'enqueues');
within(
	30,
	'a procedure that has locked the queue is interrupted',
	sub { $node->sql("BEGIN; SELECT jobq.drop_queue('enqueues', force => true); ROLLBACK") });
counts('a procedure that has locked the queue', 'postgres', $ids[0]);

# A procedure that does not, while drop_queue() waits for a client
@ids = start_jobs('postgres', 'commits');
my $client = $node->background_psql('postgres');
$client->query_safe(
	q{BEGIN; SELECT jobq.enqueue('commits', run_at => 'now'::timestamptz + '1 day')});
my $dropper = $node->background_psql('postgres');
$dropper->query_until(qr/dropping/,
	"\\echo dropping\nBEGIN; SELECT jobq.drop_queue('commits', force => true);\n");
poll_query(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%drop_queue%'
		AND wait_event_type = 'Lock'}
);
is($node->sql($running), '1', 'a procedure runs on while drop_queue() waits for a client');
$client->query_safe('ROLLBACK');
$client->quit;
$dropper->query_safe('ROLLBACK');
$dropper->quit;
all_completed('drop_queue() has waited for a client', 'postgres', @ids);
is($node->sql("SELECT count(*) FROM begun"), '1', 'the procedure was run once');

# What is committed ends the jobs that were left alone until then
@ids = start_jobs('postgres', @queues);
$node->sql("BEGIN; $drop COMMIT");
poll_ok($node, $running, 'drop_queue() ends jobs with leases when it commits', expected => '0');
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE id IN (" . join(', ', @ids) . ")"),
	'0', 'drop_queue() leaves no job behind');

# ------------------------------------------ commands that need the database

$node->sql('CREATE DATABASE other');
$node->sql("CREATE EXTENSION jobq; $set_up", 'other');
@queues = ('waits', 'wraps');
@ids = start_jobs('other', @queues);
my ($in, $out) = ('', '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('other') ],
	'<', \$in, '>', \$out, IPC::Run::timeout(wait_limit()));
$in = "SELECT 1;\n";
$session->pump until $out =~ /1/;
like(sql_error($node, 'DROP DATABASE other'), qr/55006/, 'a DROP DATABASE that fails');
$in .= "\\q\n";
$session->finish;
all_completed('DROP DATABASE', 'other', @ids);

@ids = start_jobs('other', @queues);
$node->sql("BEGIN; DROP EXTENSION jobq; ROLLBACK", 'other');
all_completed('DROP EXTENSION', 'other', @ids);

@ids = start_jobs('other', @queues);
$node->sql("BEGIN; ALTER EXTENSION jobq UPDATE; ROLLBACK", 'other');
all_completed('ALTER EXTENSION', 'other', @ids);

# What is known of a job that is gone is not held against another one of its id
$node->sql('CREATE DATABASE again');
$node->sql("CREATE EXTENSION jobq; $set_up", 'again');
my ($gone) = start_jobs('again', 'commits');
$node->sql('DROP EXTENSION jobq; CREATE EXTENSION jobq', 'again');
$node->sql(q{SELECT jobq.create_queue('waits', 'waits(jsonb)', max_attempts => 1)}, 'again');
@ids = start_jobs('again', 'waits');
is($ids[0], $gone,
	'the extension was dropped and created: a job with the id of one that was interrupted');
all_completed('DROP EXTENSION, CREATE EXTENSION', 'again', @ids);

# --------------------------------------------------- cancelled or timed out

$node->sql(
	"SELECT jobq.create_queue('waits', 'waits(jsonb)', max_attempts => 1),
	jobq.create_queue('wraps', 'wraps(jsonb)', max_attempts => 1, on_dead => 'deaths')
	FROM jobq.create_queue('deaths')");
@ids = start_jobs('postgres', 'wraps');
is($node->sql("SELECT jobq.cancel($ids[0], 'enough')"),
	't', 'a job that wraps the error of its cancel');
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, attempt, error) FROM jobq.jobs WHERE id = $ids[0]",
	'a job that wraps the error of its cancel ends as cancelled',
	expected => 'cancelled 1 enough');
is($node->sql("SELECT count(*) FROM jobq.jobs WHERE queue = 'deaths'"),
	'0', 'the cancelled job is not reported as dead');
is($node->sql("SELECT count(*) FROM jobq.attempts WHERE job_id = $ids[0]"),
	'0', 'a job that wraps the error of its cancel has no failed attempt');

my $id = $node->sql("SELECT jobq.enqueue('wraps', timeout => '100 ms')");
poll_ok(
	$node,
	"SELECT concat_ws(' ', state, attempt, sqlstate, error) FROM jobq.jobs WHERE id = $id",
	'a job that wraps the error of its timeout',
	expected => 'dead 1 57014 the job ran longer than its timeout');
like(
	$node->sql(
		"SELECT concat_ws(' ', outcome, sqlstate, detail) FROM jobq.attempts WHERE job_id = $id"),
	qr/^timed out 57014 .*P0001: wrapped: canceling statement/,
	"the attempt timed out, and its detail has the job's own error");

# A request that the executor has not been told of: here, since the job fails
# before the coordinator can act
$node->sql(
	q{CREATE FUNCTION fails(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		WHILE NOT go_on() LOOP PERFORM pg_sleep(0.01); END LOOP; RAISE EXCEPTION 'failed'; END$$;
	SELECT jobq.create_queue('fails', 'fails(jsonb)', max_attempts => 1)});
my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
@ids = start_jobs('postgres', 'fails');
kill('STOP', $coordinator);
is($node->sql("SELECT jobq.cancel($ids[0])"),
	't', 'a job that fails when it has just been cancelled');
$node->sql('INSERT INTO go_on VALUES (true)');
poll_ok(
	$node,
	"SELECT state FROM jobq.jobs WHERE id = $ids[0]",
	'a job that fails while it is cancelled is cancelled',
	expected => 'cancelled');
kill('CONT', $coordinator);

done_testing();
