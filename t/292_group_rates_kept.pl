# t/292_group_rates_kept.pl: rates of groups over crashes, in little memory, and when the
# clock is set; what is kept of them in the table.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		'jobq.sweep_interval = 0',
		'jobq.shared_memory = 4MB',
		'max_prepared_transactions = 1',
		"jobq.log_jobs = 'none'"
	]);

$node->sql(q{CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END$$});

# How many jobs dequeue() gives until it gives none.
sub claim_all
{
	my ($queue) = @_;
	my $all = 0;
	for (my $misses = 0; $misses < 5; $misses++)
	{
		my $n = $node->sql("SELECT count(*) FROM jobq.dequeue('$queue', 100)");
		$all += $n;
		$misses = 0 if $n > 0;
	}
	return $all;
}

sub rows_of
{
	my ($queue) = @_;
	return $node->sql(
		qq{SELECT count(*) FROM jobq_store.rate_start AS r
		JOIN jobq_store.queue AS q ON q.id = r.queue WHERE q.name = '$queue'});
}

sub enqueue
{
	my ($queue, $group, $n) = @_;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue',
			array_fill('1'::jsonb, ARRAY[$n]), group_key => '$group')});
	return;
}

# Slow rates are neither forgotten nor taken to be used up.
$node->sql(
	q{SELECT jobq.create_queue(q, group_rate_limit => 10, group_rate_period => '1 day',
		group_rate_burst => 5) FROM unnest('{day,dropped}'::text[]) AS q;
	SELECT jobq.create_queue('own');
	SELECT jobq.set_group('own', 'a', rate_limit => 10, rate_period => '1 day',
		rate_burst => 5)});
enqueue('day', $_, 10) foreach ('a', 'unused');
enqueue('own', 'a', 10);
enqueue('dropped', 'a', 10);
is($node->sql(q{SELECT count(*) FROM jobq.take('dropped', 3)}), '3', 'three start');
is(rows_of('dropped'), '1', 'a call keeps one row of a group');
$node->sql(q{SELECT jobq.drop_queue('dropped', force => true)});
is($node->sql('SELECT count(*) FROM jobq_store.rate_start'), '0', 'a dropped queue leaves no row');
$node->sql("SELECT count(*) FROM jobq.take('$_', 3)") foreach ('day', 'own');

sub started
{
	my ($queue) = @_;
	return $node->sql(
		qq{SELECT string_agg(g, ' ' ORDER BY g) FROM (SELECT group_key || ':' || count(*) AS g
			FROM jobq.jobs WHERE queue = '$queue' AND started_at IS NOT NULL
			GROUP BY group_key) AS t});
}
$node->stop('immediate');
$node->start;
claim_all('day');
claim_all('own');
is(started('day'), 'a:5 unused:5', 'a burst of each group, over a crash');
is(started('own'), 'a:5', 'the same of a group with a rate of its own');
$node->restart;
is(claim_all('day') + claim_all('own'), 0, 'none is left after a restart');

# Groups that have no jobs need no memory: the table knows.
$node->sql(q{SELECT jobq.create_queue('once', group_rate_limit => 1, group_rate_period => '4 h')});
enqueue('once', 'x', 1);
is($node->sql(q{SELECT count(*) FROM jobq.take('once')}), '1', 'a job starts');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq_store.queue AS q, jobq_store.groups(q.id) WHERE q.name = 'once'},
	'its group leaves memory',
	expected => '0');
enqueue('once', 'x', 1);
is(claim_all('once'), 0, 'the next one does not start');
is($node->sql(q{SELECT why FROM jobq.groups WHERE queue = 'once'}), 'rate', 'the view says why');

# What a transaction has not committed limits nobody, itself included.
$node->sql(q{SELECT jobq.create_queue('mine', group_rate_limit => 1, group_rate_period => '4 h')});
is( $node->sql(
		q{BEGIN;
		SELECT jobq.set_group('mine', 'x', rate_limit => 1000, rate_period => '1 s');
		SELECT count(*) FROM jobq.enqueue_many('mine', '{1,2,3}', group_key => 'x');
		SELECT count(*) FROM jobq.take('mine', 3);
		ROLLBACK}),
	"\n3\n0",
	'a rate that is not committed lets no job start');

# A start in a prepared transaction counts after a restart.
$node->sql(
	q{SELECT jobq.create_queue('prepared', group_rate_limit => 1, group_rate_period => '4 h')});
enqueue('prepared', 'x', 2);
is($node->sql(q{BEGIN; SELECT count(*) FROM jobq.take('prepared', 2); PREPARE TRANSACTION 'p'}),
	'1', 'a job starts, and is prepared');
$node->stop('immediate');
$node->start;
is(claim_all('prepared'), 0, 'no other one of its group starts after a restart');
$node->sql(q{COMMIT PREPARED 'p'});
is(claim_all('prepared'), 0, 'no other one after the commit either');

# More groups than have room: each starts one job.
$node->sql(
	q{SELECT jobq.create_queue('many', group_rate_limit => 1, group_rate_period => '4 h');
	SELECT count(*) FROM jobq.enqueue_many('many', array_fill('1'::jsonb, ARRAY[6000]),
		group_keys => ARRAY(SELECT 'g' || i % 3000 FROM generate_series(1, 6000) AS i))});
my $n = 0;
poll_until(
	sub {
		$n += $node->sql(q{SELECT count(*) FROM jobq.take('many', 500)});
		return $n >= 3000;
	});
is($n, 3000, 'one of each group starts');
is( $node->sql(
		q{SELECT max(n) FROM (SELECT count(*) AS n FROM jobq.jobs
		WHERE queue = 'many' AND started_at IS NOT NULL GROUP BY group_key) AS t}),
	'1',
	'no group starts a second one, though groups have left memory');

# Rows that count no longer go as others are written.
is(rows_of('many'), '3000', 'each group has a row');
$node->create_clock;
$node->sql(q{SELECT jobq.create_queue('back', group_rate_limit => 2, group_rate_burst => 1)});
enqueue('back', $_, 100) foreach ('a' .. 'l');
$node->advance_clock('5 h');
$node->sql('SELECT jobq.take(q, 500) FROM unnest(array_fill(text $$many$$, ARRAY[6])) AS q');
$n = $node->sql(
	q{SELECT count(*) FROM jobq_store.rate_start AS r JOIN jobq_store.queue AS q ON q.id = r.queue
	WHERE q.name = 'many' AND r.tat < now() + interval '5 h'});
cmp_ok($n, '<', 1500, 'rows that count no longer are removed');

# The clock is set back: nobody waits longer than the interval, even if others, whose turns
# come first, always have more jobs.
$node->sql(
	q{CREATE FUNCTION started() RETURNS bigint LANGUAGE plpgsql AS $$
	DECLARE
		started text[] := '{}';
		this text;
		n bigint;
	BEGIN
		FOR i IN 1 .. 2000 LOOP
			SELECT group_key INTO this FROM jobq.take('back');
			started := started || this;
			SELECT count(DISTINCT g) INTO n FROM unnest(started) AS g;
			EXIT WHEN n = 12;
			-- each at a time of its own
			PERFORM pg_sleep(CASE WHEN this IS NULL THEN 0.001 ELSE 0.02 END);
		END LOOP;
		RETURN n;
	END$$});
is($node->sql('SELECT started()'), '12', 'a job of each group starts');
$node->advance_clock('-5 h');
is($node->sql('SELECT started()'),
	'12', 'the next one of each starts, though the clock was set back');

# T of 5 s, over a crash.
$node->sql(
	q{SELECT jobq.create_queue('slow', 'work(jobq.job)', group_rate_limit => 2,
		group_rate_period => '5 s', group_rate_burst => 2)});
enqueue('slow', $_, 3) foreach ('a', 'b');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'slow' AND state = 'completed'},
	'two of each have run',
	expected => '4');
$node->stop('immediate');
$node->start;
poll_ok($node, q{SELECT count(*) FROM jobq.jobs WHERE queue = 'slow' AND state = 'completed'},
	'all have run', expected => '6');
is( $node->sql(
		q{SELECT max(n) FROM (SELECT count(*) OVER (PARTITION BY group_key ORDER BY started_at
			RANGE BETWEEN CURRENT ROW AND interval '4.999999 s' FOLLOWING) AS n
		FROM jobq.jobs WHERE queue = 'slow') AS w}),
	'2',
	'not more than two of a group in 5 s');
is($node->sql('SELECT * FROM jobq_store.flow_check()'), '', 'memory agrees with the tables');

# What was rolled back is in no row, and counts whatever else needs room in memory.
$node->sql(
	q{SELECT jobq.create_queue('undone', group_rate_limit => 1, group_rate_period => '4 h');
	SELECT jobq.create_queue('fill')});
enqueue('undone', 'g', 1);
is($node->sql(q{BEGIN; SELECT count(*) FROM jobq.take('undone'); ROLLBACK}),
	'1', 'a job starts and is rolled back');
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('fill', array_fill('1'::jsonb, ARRAY[3000]),
		group_keys => ARRAY(SELECT 'f' || i FROM generate_series(1, 3000) AS i))});
is(claim_all('fill'), 3000, 'other groups take its room, if they can');
enqueue('undone', 'g', 1);
is(claim_all('undone'), 0, 'the start that was rolled back counts');

$node->stop;
done_testing();
