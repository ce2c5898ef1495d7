# t/183_no_note.pl: while an executor cannot note what it is about to run, no
# job is started, since a crash of the server would leave no trace of the
# attempt.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['jobq.max_workers = 2']);
my $directory = $node->data_dir . '/pg_jobq';
my $dboid = $node->sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
my $file = PostgreSQL::Test::Utils::tempdir() . '/runs';
chmod(0777, PostgreSQL::Test::Utils::tempdir());

# Jobs leave a trace outside the database when they begin.
$node->sql(
	qq{
	CREATE FUNCTION works(j jobq.job) RETURNS void LANGUAGE plpgsql AS \$\$BEGIN
		EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'cat >> $file');
		IF j.payload = 'true' THEN PERFORM pg_sleep(600); END IF; END\$\$;
	SELECT jobq.create_queue('once', 'works(jobq.job)', max_attempts => 1);
	SELECT jobq.create_queue('often', 'works(jobq.job)', max_attempts => 3);
	SELECT jobq.create_queue('short')});

# How often jobs were run.
sub runs
{
	return (-s $file // 0) / 2;
}

sub slot_files
{
	return map { "$directory/pgsql_tmp.$dboid.$_" } 0 .. 1;
}

# Ways to prevent notes: what is said of the error, how it begins and ends.
my @ways = (
	[
		'No space left on device',
		sub { symlink('/dev/full', $_) or die "symlink: $!" foreach slot_files() },
		sub { unlink(slot_files()) }
	],
	[
		'Not a directory',
		sub { rmdir($directory) or die "rmdir: $!"; append_to_file($directory, '') },
		sub { unlink($directory) }
	]);
# a superuser of the system may write everywhere
push @ways,
  [ 'Permission denied', sub { chmod(0500, $directory) }, sub { chmod(0700, $directory) } ]
  if $> != 0;

foreach my $way (@ways)
{
	my ($error, $begin, $end) = @$way;

	$node->stop;
	unlink($file, glob("$directory/*"));
	$begin->();
	$node->start;
	my $once = $node->sql(q{SELECT jobq.enqueue('once')});
	my $often = $node->sql(q{SELECT jobq.enqueue('often')});
	my $held = qq{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
		AND severity = 'critical' AND message LIKE '%pg_jobq%$error%')};
	poll_ok($node, $held, "$error: health says that no job is started");
	kill_9($node, wait_for_worker($node, 'jobq coordinator'));
	poll_ok($node, $held, "$error: no job is started after a crash, as health says");
	is(runs(), 0, "$error: no job is started");
	is( $node->sql(
			"SELECT string_agg(state || attempt, ' ') FROM jobq.jobs WHERE id IN ($once, $often)"),
		'ready0 ready0',
		"$error: the jobs are ready");

	$end->();
	poll_ok(
		$node,
		"SELECT count(*) = 2 FROM jobq.jobs WHERE id IN ($once, $often) AND state = 'completed'
			AND attempt = 1",
		"$error: the jobs are run when notes can be written again");
	is(runs(), 2, "$error: each job was run once");
	poll_ok(
		$node,
		q{SELECT NOT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded')},
		"$error: the finding of health is gone");
}
is($node->sql(q{SELECT count(*) FROM jobq.attempts}), 0, 'no attempt was lost');

# -------------------------------------------- notes that need no further space

# The file of an executor does not grow with the jobs that share a transaction.
$node->sql(q{SELECT jobq.run('SELECT 1')});
poll_ok($node, q{SELECT NOT EXISTS (SELECT FROM jobq_store.job)}, 'a job has ended');
my %size = map { $_ => -s $_ } grep { -s $_ } slot_files();
cmp_ok((sort { $a <=> $b } values(%size))[0],
	'>=', 60 * 64, 'notes have their space from the beginning');
$node->sql(q{SELECT count(jobq.run('SELECT 1')) FROM generate_series(1, 500)});
poll_ok($node, q{SELECT NOT EXISTS (SELECT FROM jobq_store.job)}, 'many jobs have ended');
is( join(' ', map { -s $_ } sort keys %size),
	join(' ', map { $size{$_} } sort keys %size),
	'their notes have taken no more space');

# ---------------------------------------------------- notes that cannot be read

{
	my $note = "$directory/pgsql_tmp.$dboid.job1000000.1";
	mkdir($note) or die "mkdir: $!";
	my $from = log_position($node);
	$node->restart;
	my $id = $node->sql(q{SELECT jobq.enqueue('once')});
	poll_ok(
		$node,
		q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
			AND severity = 'critical' AND message LIKE '%cannot be read%Is a directory%')},
		'health says that a note of before the start cannot be read');
	like(log_since($node, $from), qr/could not read file ".*job1000000\.1"/, 'the log names it');
	is($node->sql("SELECT state FROM jobq.jobs WHERE id = $id"), 'ready', 'no job is started');
	rmdir($note) or die "rmdir: $!";
	poll_ok(
		$node,
		"SELECT state = 'completed' FROM jobq.jobs WHERE id = $id",
		'the job is run when the note is gone');
	mkdir($note) or die "mkdir: $!";

	# One of after the start is in no job's way. The end of each of these executors has the
	# notes read.
	foreach my $try (1 .. 3)
	{
		$id = $node->sql(q{SELECT jobq.run('SELECT pg_sleep(600)', max_attempts => 1)});
		poll_ok(
			$node,
			"SELECT count(pg_terminate_backend(pid)) FROM jobq.workers WHERE job_id = $id",
			"executor $try is terminated",
			expected => '1');
		poll_ok(
			$node,
			"SELECT state = 'dead' FROM jobq.jobs WHERE id = $id",
			"executor $try: that is counted");
	}
	my @complaints = log_since($node, $from) =~ /could not read file/g;
	is(scalar(@complaints), 1, 'the log names it once in a minute');
	rmdir($note) or die "rmdir: $!";
}

# ------------------------------------------------- notes that cannot be removed

SKIP:
{
	skip 'a superuser of the system may write everywhere', 4 if $> == 0;
	unlink($file);
	my $id = $node->sql(q{SELECT jobq.enqueue('once', 'true')});
	poll_ok(
		$node, q{SELECT count(*) = 1 FROM pg_stat_activity
			WHERE backend_type = 'jobq executor' AND wait_event = 'PgSleep'},
		'a job runs');
	chmod(0500, $directory);
	my $from = log_position($node);
	kill_9($node, wait_for_worker($node, 'jobq executor'));
	poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $id", 'its attempt counts');
	my $expired = $node->sql(q{SELECT jobq.enqueue('short', ttl => '2 s')});
	poll_ok(
		$node,
		"SELECT state = 'dead' OR state = 'expired' FROM jobq.jobs WHERE id = $expired",
		'the coordinator goes on');
	my $lines = () = log_since($node, $from) =~ /could not remove file/g;
	cmp_ok($lines, '<=', 5, 'it does not try without a pause to remove the note');
	chmod(0700, $directory);
}

$node->stop;
done_testing();
