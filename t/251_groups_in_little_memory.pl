# t/251_groups_in_little_memory.pl: with room for a small part of the groups each
# has its turns, none runs more jobs than it may, and no job is lost.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = small_node(2);
my $groups = 3000;

# Adds a job to each group, and two more to each tenth.
sub fill
{
	my ($queue) = @_;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, $groups) AS n), group_keys => ARRAY(SELECT 'g' || n
			FROM generate_series(1, $groups) AS n));
		SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, $groups / 5) AS n), group_keys => ARRAY(
			SELECT 'g' || (n + 1) / 2 * 10
			FROM generate_series(1, $groups / 5) AS n))});
	return;
}

# From outside: as many groups run jobs at the same time, and have no room.
$node->sql(q{SELECT jobq.create_queue('outside', lease => '1 hour')});
fill('outside');
while ($node->sql(q{SELECT count(*) FROM jobq.dequeue('outside', 500)}) > 0) { }
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'outside' AND state = 'ready'}),
	'0', 'all jobs are claimed from outside');
is( $node->sql(
		q{SELECT count(DISTINCT group_key) FROM jobq_store.job WHERE state = 1 AND queue =
		(SELECT id FROM jobq_store.queue WHERE name = 'outside')}),
	$groups,
	'of all groups');
$node->sql(q{SELECT jobq.drop_queue('outside', force => true)});

# Each group has its turn before another has many: groups with very many jobs fill
# the memory; one with a single job is found.
$node->sql(
	q{SELECT jobq.create_queue('deep', keep_completed => '0');
	SELECT count(*) FROM jobq.enqueue_many('deep', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 20000) AS n), group_keys => ARRAY(SELECT 'g' || n % 1000
		FROM generate_series(1, 20000) AS n));
	SELECT jobq.enqueue('deep', '"single"', group_key => 'z')});
my $claimed = 0;
my $found = 0;
while (!$found && $claimed < 6000)
{
	my $out = $node->sql(
		q{SELECT count(*) || ' ' || count(*) FILTER (WHERE group_key = 'z')
		FROM jobq.take('deep', 100)}
	);
	my ($n, $z) = split(/ /, $out);
	$claimed += $n;
	$found = $z;
}
is($found, 1, "a group with a single job is found ($claimed jobs of 1,000 groups before it)");
cmp_ok($claimed, '<', 4100, 'before others had many turns');
$node->sql(q{SELECT jobq.drop_queue('deep', force => true)});

# Run by executors, one job of each group at a time.
$node->sql(
	q{CREATE TABLE ran (id bigint PRIMARY KEY);
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		-- not until the end of the transaction, which gives locks back last of all
		IF pg_try_advisory_lock(hashtext(j.group_key)) THEN
			INSERT INTO public.ran VALUES (j.id);
			PERFORM pg_advisory_unlock(hashtext(j.group_key));
		ELSE
			INSERT INTO public.ran VALUES (j.id);
			PERFORM nextval('public.overlap_number');
		END IF;
	END$$;
	SELECT jobq.create_queue('inside', 'work(jobq.job)', max_running_per_group => 1)});
fill('inside');
all_jobs_run($node, 'inside', "queue = 'inside'");
is($node->sql('SELECT count(*) FROM ran'), $groups + $groups / 5, 'each once');
is($node->sql('SELECT is_called FROM overlap_number'), 'f', 'one of a group at a time');
limits_settled($node, 'at the end');

$node->stop;
done_testing();
