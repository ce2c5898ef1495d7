# t/264_restored_in_parts.pl: while a dump is restored, one table after another, the new
# database's coordinator leaves alone what refers to rows that are not there yet: requests
# to cancel jobs, dropped queues, and history.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['max_prepared_transactions = 1']);
my $dir = PostgreSQL::Test::Utils::tempdir();

# Runs a program of PostgreSQL.
sub run_ok
{
	my ($name, @command) = @_;
	my $out = '';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	ok(IPC::Run::run(\@command, '<', \undef, '>&', \$out), $name) or diag($out);
	return $out;
}

# A new coordinator of the copy has done all that it does at once.
sub let_coordinator_work
{
	my $old = wait_for_worker($node, 'jobq coordinator', db => 'copy');
	$node->sql("SELECT pg_terminate_backend($old, 10000)");
	poll_query(
		$node,
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'copy' AND pid <> $old
		AND backend_type = 'jobq coordinator' AND wait_event_type = 'Extension'}
	) or die "the coordinator is not at rest\n";
	return;
}

# ------------------------------------------------------------------ the original

$node->create_clock;
$node->sql(
	q{SELECT jobq.create_queue('living'), jobq.create_queue('dropped');
	SELECT jobq.enqueue('living', unique_key => 'cancelled');
	SELECT jobq.enqueue('living', priority => -1) FROM generate_series(1, 100);
	SELECT count(*) FROM jobq.take('living', 100);
	SELECT count(*) FROM jobq.enqueue_many('dropped', array_fill('{}'::jsonb, '{100}'));
	SELECT count(*) FROM jobq.take('dropped', 100);
	UPDATE jobq_store.history SET segment = 1});

# the coordinator begins a pass over dropped queues at most every ten minutes
$node->sql(q{SELECT jobq.create_queue('first'); SELECT jobq.drop_queue('first')});
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.gone_queue', 'a pass over dropped queues');
$node->sql(q{SELECT jobq.drop_queue('dropped')});
$node->sql(
	q{BEGIN;
	SELECT FROM jobq_store.job FOR UPDATE;
	PREPARE TRANSACTION 'lock'});
is($node->sql('SELECT jobq.cancel(id) FROM jobq.jobs WHERE finished_at IS NULL'),
	't', 'the cancellation of a locked job is requested');
is( $node->sql(
		'SELECT (SELECT count(*) FROM jobq_store.cancel_request),
		(SELECT count(*) FROM jobq_store.gone_queue), (SELECT count(*) FROM jobq_store.history)'),
	'1|1|200',
	'what will be dumped');
run_ok('pg_dump', 'pg_dump', '-Fc', '-f', "$dir/dump", 'postgres');
$node->sql(q{ROLLBACK PREPARED 'lock'});

# ------------------------------------------------------------------ restoring it

my @toc = split(/^/m, run_ok('the list of contents', 'pg_restore', '-l', "$dir/dump"));
my ($job, $last_queue) =
  map {
	my $what = $_;
	(grep { $toc[$_] =~ /TABLE DATA jobq_store $what / } 0 .. $#toc)[0]
  } qw(job queue);
ok($job < $last_queue, 'pg_dump dumps queues after jobs');

# Restores some of the lines of that list.
sub restore_ok
{
	my ($name, @lines) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	open(my $list, '>', "$dir/toc") or die "$dir/toc: $!\n";
	print $list @lines;
	close($list) or die "$dir/toc: $!\n";
	run_ok("restoring $name", 'pg_restore', '-e', '-L', "$dir/toc", '-d', 'copy', "$dir/dump");
	return;
}

# a segment of history is written to for an hour at least
$node->advance_clock('2 hours');
$node->sql('CREATE DATABASE copy');
my ($history) = grep { $toc[$_] =~ /TABLE DATA jobq_store history_0 / } 0 .. $#toc;
restore_ok('what comes before history', @toc[ 0 .. $history - 1 ]);
let_coordinator_work();
restore_ok('history', @toc[ $history .. $job - 1 ]);
let_coordinator_work();
restore_ok('jobs', $toc[$job]);
let_coordinator_work();
restore_ok('queues', @toc[ $job + 1 .. $#toc ]);
let_coordinator_work();
is( $node->sql(
		'SELECT (SELECT count(*) FROM jobq_store.cancel_request),
		(SELECT count(*) FROM jobq_store.gone_queue), (SELECT count(*) FROM jobq_store.history)',
		'copy'),
	'1|1|200',
	'all of it is there');
is($node->sql('SELECT history_segment FROM jobq_store.service', 'copy'),
	'0', 'no segment of history was emptied meanwhile');

# -------------------------------------------------------------------- at work

$node->sql('SELECT jobq.start()', 'copy');
poll_ok(
	$node,
	q{SELECT state FROM jobq.jobs WHERE unique_key = 'cancelled'},
	'start() has the job cancelled',
	db => 'copy',
	expected => 'cancelled');
poll_ok(
	$node,
	'SELECT count(*) = 0 FROM jobq_store.gone_queue',
	'start() has dropped queues cleaned up',
	db => 'copy');
is($node->sql('SELECT count(*) FROM jobq_store.history', 'copy'),
	'101', 'what is left is the history of the queue that lives');

done_testing();
