# t/320_unreadable_notes.pl: the server crashes while jobs run, and their notes cannot be
# read afterwards, for a while. Until they can, no job is started that may have run, by
# nobody; then the attempts count, and nothing is run twice.

use strict;
use warnings;

use JobqSession;
use JobqNotes qw(coordinator_comes_round);
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.log_jobs = none' ]);
my $directory = $node->data_dir . '/pg_jobq';
my $database = $node->sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});

# Executions are logged, whatever becomes of their transactions.
$node->sql(
	q{CREATE TABLE go_on (yes bool);
	CREATE FUNCTION once(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		RAISE LOG 'runs %', j.id;
		WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('once', 'once(jobq.job)', max_attempts => 1);
	SELECT jobq.create_queue('clients')});

sub runs
{
	my ($id, $from) = @_;
	return scalar(() = log_since($node, $from) =~ /runs $id$/mg);
}

# The files of both executors
sub notes
{
	return map { "$directory/pgsql_tmp.$database.$_" } 0 .. 1;
}

sub kill_postmaster
{
	my @pids = worker_pids($node, 'jobq%');
	$node->kill9;
	poll_until(
		sub {
			!grep { kill(0, $_) } @pids;
		});
	poll_until(sub { $node->start(fail_ok => 1) }) or die "the server does not start\n";
	return;
}

# Ways to crash
my %crash = (
	'kill -9 of an executor' => sub { kill_9($node, wait_for_worker($node, 'jobq executor')) },
	'kill -9 of the postmaster' => \&kill_postmaster,
	'immediate stop' => sub { $node->stop('immediate'); $node->start });

# Ways to keep notes from being read: what is said of it, how it begins and ends.
my $away = "$directory.away";
my %way = (
	'a file in place of the directory' => [
		'Not a directory',
		sub { rename($directory, $away) and append_to_file($directory, q{}), 1 },
		sub { unlink($directory) && rename($away, $directory) }
	],
	'a directory in place of a note' => [
		'Is a directory',
		sub {
			2 == grep { rename($_, "$_.away") && mkdir($_) } notes();
		},
		sub {
			2 == grep { rmdir($_) && rename("$_.away", $_) } notes();
		}
	],
	'another note is a directory' => [
		'Is a directory',
		sub { mkdir("$directory/pgsql_tmp.$database.job1000000.1") },
		sub { rmdir("$directory/pgsql_tmp.$database.job1000000.1") }
	],
	'no access to the directory' =>
	  [ 'Permission denied', sub { chmod(0, $directory) }, sub { chmod(0700, $directory) } ],
	'no access to files' =>
	  [ 'Permission denied', sub { chmod(0, notes()) }, sub { chmod(0600, notes()) } ]);

# Nobody gets a job of the queue that executors serve.
sub none_is_claimed
{
	my ($when) = @_;
	my $quiet = 'SET client_min_messages = error';
	foreach my $claim (
		"dequeue('once', 9)",
		"dequeue_any('{once,clients}', 9)",
		"take('once', 9)",
		"next('once', NULL, NULL, 9)")
	{
		is( $node->sql(
				"$quiet; BEGIN; SELECT count(*) FROM jobq.$claim WHERE queue = 'once'; ROLLBACK"),
			'0',
			"$when: $claim gets no such job");
	}
	is($node->sql(q{CALL jobq.wait('{once}', '0 s', NULL)}), 'f', "$when: no such job is ready");
	return;
}

sub try
{
	my ($crash, $way) = @_;
	my ($error, $begin, $end) = @{ $way{$way} };
	my $when = "$way, $crash";
	my $from = log_position($node);

	$node->sql('TRUNCATE go_on');
	my @ids = map { $node->sql(q{SELECT jobq.enqueue('once')}) } 1 .. 2;
	my $ids = join ',', @ids;
	ok( poll_until(
			sub {
				2 == grep { runs($_, $from) } @ids;
			}),
		"$when: jobs run");
	my $dead = $node->sql(q{SELECT max(id) FROM jobq.jobs WHERE state = 'dead'});
	$begin->() or die "$way: $!\n";
	$crash{$crash}->();

	my $held = qq{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
		AND severity = 'critical' AND message LIKE '%cannot be read%pg_jobq%$error%'
		AND since <= now())};
	poll_ok($node, $held, "$when: health says that no job is started");
	like(
		log_since($node, $from),
		qr/could not read (?:file|directory) "pg_jobq/,
		"$when: the log names what cannot be read");
	push @ids, $node->sql(q{SELECT jobq.enqueue('once')});
	none_is_claimed($when);
	is($node->sql(q{SELECT jobq.enqueue('clients') IS NOT NULL}), 't', "$when: a client's job");
	is( $node->sql(
			q{SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('clients', lease => '1 h')}),
		'1',
		"$when: clients' queues are served");
	like(
		sql_error($node, "SELECT jobq.retry($dead)"),
		qr/55000: .*cannot be revived yet.*cannot be read or copied: $error/s,
		"$when: jobs that may have run cannot be revived") if $dead ne '';
	kill_9($node, wait_for_worker($node, 'jobq coordinator'));
	poll_ok($node, $held, "$when: health says so after another crash");
	coordinator_comes_round($node, "$when: the coordinator has tried again");
	none_is_claimed("$when, after another crash");
	is( $node->sql("SELECT string_agg(state || attempt, ' ') FROM jobq.jobs WHERE id IN ($ids)"),
		'ready0 ready0',
		"$when: the jobs are as they were");
	my $lines = () = log_since($node, $from) =~ /could not read/g;
	cmp_ok($lines, '<=', 40, "$when: a bounded number of lines is written to the log");

	$end->() or die "$way ends: $!\n";
	$node->sql('INSERT INTO go_on VALUES (true)');
	poll_ok(
		$node,
		"SELECT state FROM jobq.jobs WHERE id = $ids[2]",
		"$when: then a job that had not begun is run",
		expected => 'completed');
	is( $node->sql(
			"SELECT string_agg(state || j.attempt || ' ' || outcome, ', ') FROM jobq.jobs AS j
				JOIN jobq.attempts AS a ON j.id = job_id WHERE j.id IN ($ids)"),
		'dead1 crashed, dead1 crashed',
		"$when: the attempts count");
	is(join(' ', map { runs($_, $from) } @ids), '1 1 1', "$when: each job has run once");
	poll_ok(
		$node,
		q{SELECT NOT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded')},
		"$when: the finding of health is gone");
	return;
}

try('kill -9 of an executor', 'a file in place of the directory');
try('kill -9 of the postmaster', 'a directory in place of a note');
try('immediate stop', 'another note is a directory');

# a superuser of the system may read everything
if ($> != 0)
{
	try('kill -9 of an executor', 'no access to the directory');
	try('immediate stop', 'no access to the directory');
	try('kill -9 of an executor', 'no access to files');
	try('kill -9 of the postmaster', 'no access to files');
}

# A client that waits for a job meanwhile gets it afterwards.
{
	my $note = "$directory/pgsql_tmp.$database.200";
	$node->sql('SELECT jobq.stop()');
	mkdir($note) or die "mkdir: $!\n";
	$node->restart;
	my $session = start_session($node, name => 'waiter');
	order($session, q{CALL jobq.wait('{once}', '1 min', NULL)});
	sleeps_in_wait($node, $session);
	$node->sql(q{SELECT jobq.enqueue('once')});
	none_is_claimed('a client waits');
	sleeps_in_wait($node, $session);
	unlike($session->{out}, qr/done/, 'it goes on waiting');
	rmdir($note) or die "rmdir: $!\n";
	is(answer($session), "t\n", 'it is told of a job when notes can be read');
	end_session($session);
}

$node->stop;
done_testing();
