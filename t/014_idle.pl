# t/014_idle.pl: an idle server does nothing: no query, no WAL, and no process
# even wakes up, although there are queues, jobs and leases of the far future,
# a schedule, jobs behind limits of all kinds, an executor that waits for work and a
# session in jobq.wait(). It reacts at once when there is work.
#
# JOBQ_IDLE_SECONDS says how long to watch (10).
#
# runs alone: it counts how often processes wake up.

use strict;
use warnings;

use JobqProcess;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{JOBQ_IDLE_SECONDS} || 10;

# Nothing but jobq is to do anything by itself.
my $node = jobq_node(
	'main',
	conf => [
		'autovacuum = off',
		'checkpoint_timeout = 1h',
		'jobq.worker_idle_timeout = 1h',
		'jobq.max_workers = 2',
		'log_statement = none',
	]);

$node->sql(
	q{
	CREATE DATABASE observer;
	CREATE TABLE done (n int);
	CREATE FUNCTION handle(payload jsonb) RETURNS void LANGUAGE sql
	AS $$ INSERT INTO done VALUES (payload::int) $$;
	CREATE ROLE jobq_other;
	GRANT ALL ON done TO jobq_other;
	SELECT jobq.create_queue('one', 'handle(jsonb)');
	SELECT jobq.create_queue('two', 'handle(jsonb)', keep_completed => '1 hour',
	  keep_completed_count => 10);
	SELECT jobq.create_queue('ext', lease => '300 days');
	SELECT jobq.create_queue('more');
	SELECT jobq.create_queue('paused', 'handle(jsonb)');
	SELECT jobq.pause('paused');
	SELECT jobq.schedule('new year', '0 0 1 1 *', queue => 'one',
	  payload => '2', starts_at => now() + interval '60 days');
	SELECT jobq.enqueue('one', '1');
	SELECT jobq.enqueue('two', '1');
	SELECT jobq.enqueue('two', '2', delay => '100 days');
	SELECT jobq.enqueue('more', ttl => '100 days');
	SELECT jobq.enqueue('paused', '3');
	SELECT jobq.enqueue('ext')});
$node->sql("SELECT * FROM jobq.dequeue('ext')");
poll_ok($node, 'SELECT count(*) = 2 FROM done', 'the jobs are done');

# Jobs of which no more may start: behind running ones, or for a long time. They are
# an executor's, too, once those have been claimed from outside.
my @shut = qw(full shares serial rated retried);
$node->sql(
	q{
	SELECT jobq.create_limit('shut', max_running => 1);
	SELECT jobq.create_queue('full', lease => '300 days', max_running => 1);
	SELECT jobq.create_queue('shares', lease => '300 days', shared_limit => 'shut');
	SELECT jobq.create_queue('serial', lease => '300 days', max_running_per_group => 1);
	SELECT jobq.create_queue('rated', lease => '300 days', rate_limit => 1,
	  rate_period => '100 days');
	SELECT jobq.create_queue('retried', max_running_per_group => 1);
	SELECT jobq.create_queue('gathers', lease => '300 days', batch_size => 5,
	  batch_wait => '100 days');
	SELECT jobq.create_queue('throttled'), jobq.throttle('throttled', '100 days');
	SELECT jobq.create_queue('group_paused'), jobq.pause('group_paused', 'a');
	SELECT jobq.enqueue(q, '1', group_key => g)
	FROM unnest('{full,shares,serial,rated,retried,gathers,throttled,group_paused}'::text[])
	  AS q, unnest('{a,a,b}'::text[]) AS g
	WHERE (q, g) <> ('group_paused', 'b')});
my $claims = join(' UNION ALL ', map { "SELECT '$_', count(*) FROM jobq.dequeue('$_', 9)" } @shut);
is( $node->sql($claims),
	"full|1\nshares|1\nserial|2\nrated|1\nretried|2",
	'some jobs run, and no more may');
$node->sql(
	q{SELECT jobq.fail(j.id, j.lease, 'not now', retry_in => '100 days') FROM jobq_store.job AS j
	JOIN jobq_store.queue AS q ON q.id = j.queue AND q.name = 'retried' WHERE j.state = 1});
$node->sql("SELECT jobq.alter_queue('$_', 'handle(jsonb)')") foreach @shut;

my $waiter = $node->background_psql('postgres');
$waiter->query_until(qr/waiting/,
	"\\echo waiting\nCALL jobq.wait('{ext,gathers,throttled,group_paused}', NULL);\n\\echo woken\n"
);

# Everything below is looked at from another database, so that looking is not
# counted.
my $eye = $node->background_psql('observer');

# Transactions, and the places where WAL ends, as text.
sub activity
{
	return $eye->query_safe(
		q{SELECT string_agg(format('%s: %s committed, %s rolled back',
		    coalesce(datname, 'none'), xact_commit, xact_rollback), '; ' ORDER BY datid),
		  pg_current_wal_lsn(), pg_current_wal_insert_lsn()
		  FROM pg_stat_database WHERE datname IS DISTINCT FROM 'observer'});
}

# When each process last did something, and what it waits for.
sub processes
{
	return $eye->query_safe(
		q{
		SELECT format('%s: %s/%s %s %s xmin %s', backend_type, wait_event_type,
		  wait_event, state, state_change, backend_xmin)
		FROM pg_stat_activity
		WHERE backend_type LIKE 'jobq%' OR query LIKE 'CALL jobq.wait%'
		ORDER BY backend_type, pid});
}

# How often the processes have gone to sleep, by PID; empty where nobody knows.
sub sleeps
{
	my %count;
	foreach my $pid (
		split(
			/\n/,
			$eye->query_safe(
					"SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'jobq%'"
				  . " OR query LIKE 'CALL jobq.wait%'")))
	{
		my $switches = process_status($pid, 'voluntary_ctxt_switches');
		$count{$pid} = $switches if defined $switches;
	}
	return \%count;
}

# What happened before is counted a little later: let that come in.
my $before = '';
my $since = time();
ok( poll_until(
		sub {
			my $now = activity() . processes();
			$since = time() if $now ne $before;
			$before = $now;
			return time() - $since > 2;
		},
		30),
	'the server comes to rest');

my $activity = activity();
my $processes = processes();
my $sleeps = sleeps();
sleep($seconds);

is(activity(), $activity, "no transaction and no WAL in $seconds s");
is(processes(), $processes, 'no process did anything');
my $after = sleeps();
foreach my $pid (sort keys %$after)
{
	cmp_ok($after->{$pid} - ($sleeps->{$pid} // 0), '<=', $seconds / 10, "process $pid has slept");
}

# everybody waits, without a transaction
my @lines = split(/\n/, $processes);
foreach my $type ('jobq launcher', 'jobq coordinator', 'jobq executor', 'client backend')
{
	my @mine = grep { /^\Q$type\E: / } @lines;
	cmp_ok(scalar(@mine), '>=', 1, "there is a $type");
	is(scalar(grep { !m{: Extension/\w+ (?:idle|active)? .*xmin $} } @mine),
		0, 'idle processes wait for the extension, without a snapshot')
	  or diag("@mine");
}
note($processes);

# and is at work at once
my $started = time();
$node->sql("SELECT jobq.enqueue('ext', priority => -1)");
like($waiter->query_until(qr/woken/, ''), qr/^t$/m, 'the waiter is woken');
cmp_ok(time() - $started, '<', 10, 'the waiter is woken at once');
$started = time();
$node->sql("SELECT jobq.enqueue('one', '17')");
poll_ok($node, 'SELECT count(*) = 1 FROM done WHERE n = 17', 'a job is run');
cmp_ok(time() - $started, '<', 10, 'the job is run at once');

$waiter->quit;
$eye->quit;
is(join("\n", unexpected_log_lines($node, 0)), '', 'an idle server logs nothing');
$node->stop;
done_testing();
