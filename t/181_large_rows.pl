# t/181_large_rows.pl: the coordinator moves and deletes a bounded number of
# bytes in one transaction, whichever values these are, and large rows one at a
# time, so that jobs of one role do not hold up others.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'log_statement = none' ]);
$node->create_clock;

# An object of this many kB that does not compress.
$node->sql(
	q{
	CREATE FUNCTION noise(kilobytes int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_build_object('a',
			string_agg(encode(sha512((random()::text || i)::bytea), 'base64'), ''))
		FROM generate_series(1, $1 * 11) AS i $$;
	SELECT jobq.create_queue('large'), jobq.create_queue('small'),
		jobq.create_queue('dies', max_attempts => 1),
		jobq.create_queue('lives', max_attempts => 2)});

# For FROM: rows of jobs of a queue, with the transaction that wrote each.
sub rows
{
	my ($table, $queue) = @_;
	return "(SELECT h.*, h.xmin::text::bigint AS xid, h.tableoid::regclass::text AS part
		FROM jobq_store.$table AS h JOIN jobq_store.queue AS q ON q.id = h.queue
		WHERE q.name = '$queue') AS r";
}

sub finished     { return 'SELECT count(*) FROM ' . rows('history', $_[0]) }
sub transactions { return 'SELECT count(DISTINCT xid) FROM ' . rows('history', $_[0]) }
sub clear        { return $node->sql('SELECT count(jobq.delete(id)) FROM jobq.jobs') }

# Claims all jobs of a queue, and lets their leases run out at the same time.
sub claim
{
	my ($queue) = @_;
	$node->sql("SELECT count(*) FROM jobq.dequeue('$queue', 10, '1 min')");
	$node->advance_clock('2 min');
	return;
}

# ---------------------------------------------------------------------- leases

$node->sql(
	q{SELECT count(jobq.enqueue('dies', headers => h))
		FROM noise(900) AS h, generate_series(1, 6)});
claim('dies');
poll_ok($node, finished('dies'), 'leases: all have ended', expected => '6');
is($node->sql(transactions('dies')), '6', 'leases: long headers, one per transaction');
clear();

$node->sql(q{SELECT count(jobq.enqueue('dies', p)) FROM noise(1500) AS p, generate_series(1, 3)});
claim('dies');
poll_ok($node, finished('dies'), 'leases: large jobs have ended', expected => '3');
is($node->sql(transactions('dies')), '3', 'leases: large jobs, one per transaction');
clear();

# The values stay where they are if the job is tried again.
$node->sql(q{SELECT count(jobq.enqueue('lives', p)) FROM noise(1500) AS p, generate_series(1, 4)});
claim('lives');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'lives' AND state = 'ready'},
	'leases: all may be tried again',
	expected => '4');
is($node->sql('SELECT count(DISTINCT xid) FROM ' . rows('job', 'lives')),
	'1', 'leases: those that are tried again, in one transaction');
clear();

# ---------------------------------------------------------------- times to live

$node->sql(
	q{BEGIN;
	SELECT count(jobq.enqueue('large', p, ttl => '1 ms'))
		FROM noise(1500) AS p, generate_series(1, 4);
	SELECT jobq.enqueue('small', ttl => '1 ms');
	SELECT pg_sleep(0.01);
	COMMIT});
poll_ok($node, finished('large'), 'times to live: all have expired', expected => '4');
is($node->sql(transactions('large')), '4', 'times to live: large jobs, one per transaction');
cmp_ok(
	$node->sql('SELECT min(xid) FROM ' . rows('history', 'small')),
	'<=',
	$node->sql('SELECT min(xid) FROM ' . rows('history', 'large')),
	'times to live: one that is not large does not wait');
clear();

$node->sql(
	q{SELECT count(jobq.enqueue('large', headers => h, ttl => '1 ms'))
		FROM noise(900) AS h, generate_series(1, 9)});
poll_ok($node, finished('large'), 'times to live: all have expired', expected => '9');
cmp_ok($node->sql(transactions('large')),
	'>=', 3, 'times to live: long headers, not in one transaction');
clear();

# --------------------------------------------------------------- cancellations

my $holder = $node->background_psql('postgres', on_error_stop => 1);
$node->sql(
	q{SELECT count(jobq.enqueue('large', p)) FROM noise(1500) AS p, generate_series(1, 3);
	SELECT count(jobq.enqueue('large', headers => h)) FROM noise(900) AS h, generate_series(1, 6)});
$holder->query_safe(q{BEGIN; SELECT FROM jobq_store.job FOR UPDATE});
is($node->sql(q{SELECT count(*) FILTER (WHERE jobq.cancel(id, 'no')) FROM jobq.jobs}),
	'9', 'cancellations: all are requested');
$holder->query_safe('ROLLBACK');
poll_ok($node, finished('large'), 'cancellations: all are carried out', expected => '9');
cmp_ok($node->sql(transactions('large')),
	'>=', 3, 'cancellations: large jobs, one per transaction, and few others');
clear();

# ------------------------------------------------------------- history's ring

my $segment = 'SELECT history_segment FROM jobq_store.service';
$node->sql(
	q{SELECT count(jobq.enqueue('large', p)) FROM noise(1500) AS p, generate_series(1, 3);
	SELECT count(jobq.enqueue('large', headers => h)) FROM noise(900) AS h, generate_series(1, 9);
	SELECT count(jobq.cancel(id)) FROM jobq.jobs});
for my $i (1 .. 7)
{
	$node->advance_clock('5 h');
	poll_ok($node, $segment, "history: turn $i", expected => $i);
}
$node->advance_clock('5 h');
poll_ok(
	$node,
	finished('large') . " WHERE part = 'jobq_store.history_7'",
	'history: all jobs are moved',
	expected => '12');
is( $node->sql(
		'SELECT count(*), count(*) FILTER (WHERE large > 1 OR bytes > 4 * 1024 * 1024)
			FROM (SELECT count(*) FILTER (WHERE octet_length(payload::text) > 1000000) AS large,
					sum(octet_length(payload::text) + octet_length(headers::text)) AS bytes
				FROM ' . rows('history', 'large') . ' GROUP BY xid) AS t
			HAVING count(*) >= 4'
	) =~ /\|0$/ ? 'yes' : 'no',
	'yes',
	'history: few bytes in a transaction, and one large job');

# ---------------------------------------------------------- limits by number

# An old snapshot shows which transactions have deleted the rows.
my $observer = $node->background_psql('postgres', on_error_stop => 1);
$observer->query_safe(
	q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobq_store.history});
$node->sql(q{SELECT jobq.alter_queue('large', keep_dead_count => 1)});
$node->advance_clock('11 min');
poll_ok($node, finished('large'), 'limits: jobs beyond one are deleted', expected => '1');
cmp_ok($observer->query_safe('SELECT count(DISTINCT xmax::text) FROM jobq_store.history'),
	'>=', 4, 'limits: not in one transaction');
$observer->quit;
$holder->quit;

$node->stop;
done_testing();
