# t/199_parts.pl: what the coordinator reads or does as a whole it does in parts,
# with other tasks in between: listing running jobs, looking for lost ones,
# looking again at entries in doubt, notifying listeners.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $many = 300_000;
my $nqueues = 2500;

# The jobs are in a database of their own, whose statistics are the
# coordinator's while the test only asks another one.
my $node = jobq_node(
	'main',
	extension => 0,
	conf => [
		'autovacuum = off',
		'max_prepared_transactions = 5',
		'jobq.sweep_interval = 0',
		'jobq.max_workers = 0',
		'jobq.notify_interval = 0',
		'log_statement = none'
	]);
$node->sql('CREATE DATABASE work');
create_extension($node, 'work');

sub work
{
	my ($sql) = @_;
	return $node->safe_psql('work', $sql);
}

# A counter of the statistics of database "work".
sub counter
{
	my ($column) = @_;
	return $node->sql("SELECT $column FROM pg_stat_database WHERE datname = 'work'");
}

# Waits until the coordinator has nothing to do, and has said so.
sub settle
{
	my ($before, $now) = (-1, -2);
	poll_until(
		sub {
			($before, $now) = ($now, counter('xact_commit'));
			return $before == $now
			  && $node->sql(
				q{SELECT count(*) = 1 FROM pg_stat_activity
				WHERE backend_type = 'jobq coordinator' AND datname = 'work'
				AND wait_event_type = 'Extension'}) eq 't';
		}) or die "the coordinator does not rest\n";
	return $now;
}

# How many transactions the coordinator makes because of this.
sub transactions
{
	my ($code) = @_;
	my $before = settle();
	$code->();
	return settle() - $before;
}

sub enqueue
{
	my ($n) = @_;
	work(   "SELECT count(*) FROM generate_series(1, $n / 1000) AS i,"
		  . " LATERAL jobq.enqueue_many('q', array_fill('1'::jsonb, '{1000}'), priority => i % 1)");
	return;
}

work(   "SELECT jobq.create_queue(name, lease => '1 h', notify => false)"
	  . " FROM unnest('{q,small}'::text[]) AS name");

# ------------------------------------------------------- listing running jobs

my $few_rows = transactions(sub { $node->restart; wait_for_worker($node, 'jobq coordinator') });
enqueue($many);
my $many_rows = transactions(sub { $node->restart; wait_for_worker($node, 'jobq coordinator') });
note("after a start: $few_rows transactions, with $many jobs $many_rows");
cmp_ok($many_rows, '>=', $few_rows + 3, 'running jobs are listed in parts');

# -------------------------------------------------------- looking for lost jobs

# What has been read of the index on ready jobs: scans and entries.
sub index_reads
{
	return split(
		/\|/,
		work(
			q{SELECT idx_scan, idx_tup_read FROM pg_stat_all_indexes
			WHERE indexrelname = 'job_dispatch'}));
}

sub sweep_reads_in_parts
{
	my ($name) = @_;
	$node->sql("ALTER SYSTEM SET jobq.sweep_interval = '1s'");
	$node->reload;
	poll_query($node, 'SHOW jobq.sweep_interval', expected => '1s');
	my ($scans, $entries) = index_reads();
	work("SELECT jobq.enqueue('small'); SELECT count(*) FROM jobq.dequeue('small')");
	my ($now_scans, $now_entries);
	poll_until(
		sub {
			($now_scans, $now_entries) = index_reads();
			return $now_entries >= $entries + $many - 1000;
		});
	$node->sql('ALTER SYSTEM RESET jobq.sweep_interval');
	$node->reload;
	note("$name: " . ($now_scans - $scans) . ' scans, ' . ($now_entries - $entries) . ' entries');
	cmp_ok($now_entries - $entries, '>=', $many - 1000, "$name: the index is read");
	cmp_ok($now_scans - $scans, '>=', 6, "$name: in parts");
	return;
}

sweep_reads_in_parts('ready jobs');

my $old_snapshot = $node->background_psql('work');
$old_snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
work("DELETE FROM jobq_store.job WHERE id NOT IN (SELECT max(id) FROM jobq_store.job)");
sweep_reads_in_parts('dead entries under an old snapshot');
$old_snapshot->query_safe('COMMIT');
$old_snapshot->quit;
work('VACUUM jobq_store.job');

# ---------------------------------------------------------- entries in doubt

# The transactions that it takes after jobs were ended by a prepared transaction.
sub verify
{
	my ($n) = @_;
	enqueue($n);
	work(   "SELECT count(*) FROM generate_series(1, $n / 1000) AS i,"
		  . " LATERAL jobq.dequeue('q', 1000 + i * 0)");
	work(   "BEGIN; SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state = 'running';"
		  . " PREPARE TRANSACTION 'p'");
	return transactions(sub { work("COMMIT PREPARED 'p'") });
}

my $few_entries = verify(1000);
my $many_entries = verify(40_000);
note("entries in doubt: $few_entries transactions, of many $many_entries");
cmp_ok($many_entries, '>=', $few_entries + 3, 'entries in doubt are verified in parts');

# ------------------------------------------------------------------ notifying

work(
	q{CREATE ROLE mallory LOGIN; CREATE ROLE bob LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{mallory,bob}'::regrole[]) AS r});
work(   "SELECT count(jobq.create_queue('m' || i, owner => 'mallory'))"
	  . " FROM generate_series(1, $nqueues) AS i");
work("SELECT jobq.create_queue('bob', owner => 'bob')");
is(work("SELECT count(*) FROM jobq.health WHERE topic = 'shared memory'"),
	'0', 'all queues have room in shared memory');
my $listener = $node->background_psql('work');
$listener->query_safe(
	"SELECT count(jobq.listen(queue)) FROM jobq.queues WHERE queue ~ '^m[0-9]' OR queue = 'bob'");
my $channel = work("SELECT jobq.channel('bob')");

# The coordinator begins when all of them are to be notified.
my $coordinator = $node->sql(
	q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'
	AND datname = 'work'});
END { kill('CONT', $coordinator) if $coordinator; }
my $notified = transactions(
	sub {
		kill('STOP', $coordinator);
		work(   "SELECT count(jobq.enqueue(queue)) FROM jobq.queues"
			  . " WHERE queue ~ '^m[0-9]' OR queue = 'bob'");
		kill('CONT', $coordinator);
	});
$coordinator = 0;
my @heard;
my %known;
poll_until(
	sub {
		my $output = $listener->query_safe('SELECT 1');
		# Some queues may be notified twice: the coordinator looks at them meanwhile.
		push @heard, grep { !$known{$_}++ } $output =~ /Asynchronous notification "([^"]+)"/g;
		return @heard > $nqueues;
	});
is(scalar(@heard), $nqueues + 1, 'all queues are notified');
my ($place) = grep { $heard[$_] eq $channel } 0 .. $#heard;
note("$notified transactions; bob's queue is number $place");
cmp_ok($place, '<=', 1, q{a role's single queue comes before the many of another role});
cmp_ok($notified, '>=', 4, 'queues are notified in parts');
$listener->quit;

$node->stop;
done_testing();
