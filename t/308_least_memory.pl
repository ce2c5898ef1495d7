# t/308_least_memory.pl: with as little shared memory as there can be, and more groups than
# have room, limits, the order of serial groups and max_queued hold, over a crash, and every
# job is run.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'fsync = off', 'jobq.max_workers = 4', 'jobq.sweep_interval = 0', "jobq.log_jobs = 'none'"
	]);
my $least = $node->sql(q{SELECT min_val FROM pg_settings WHERE name = 'jobq.shared_memory'});
$node->append_conf('postgresql.conf', "jobq.shared_memory = $least");
$node->restart;
note("$least kB");

# A job of a serial group has been overtaken, or runs beside another one, if one that was
# added before is not done. A transaction has a place of a limit until others see that it
# is over.
my ($groups, $per_group, $plain) = (1500, 3, 200);
$node->sql(
	q{CREATE TABLE ran (id bigint);
	CREATE TABLE place (scope text);
	INSERT INTO place VALUES ('alone'), ('shared');
	CREATE SEQUENCE overtaken_number;
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION in_order(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		IF EXISTS (SELECT FROM jobq_store.job AS o WHERE o.queue =
				(SELECT id FROM jobq_store.queue WHERE name = j.queue)
				AND o.group_key = j.group_key AND o.id < j.id) THEN
			PERFORM nextval('public.overtaken_number');
		END IF;
		INSERT INTO public.ran VALUES (j.id);
	END$$;
	CREATE FUNCTION alone(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		PERFORM FROM public.place WHERE scope = j.payload #>> '{}' FOR UPDATE NOWAIT;
		PERFORM pg_sleep(0.001);
		INSERT INTO public.ran VALUES (j.id);
	EXCEPTION WHEN lock_not_available THEN
		PERFORM nextval('public.overlap_number');
	END$$;
	SELECT jobq.create_limit('shared', max_running => 1);
	SELECT jobq.create_queue('serial', max_running_per_group => 1);
	SELECT jobq.create_queue('alone', max_running => 1);
	SELECT jobq.create_queue('shared_' || n, shared_limit => 'shared')
		FROM generate_series(1, 2) AS n;
	SELECT jobq.create_queue('few', max_queued => 20)});

# Added in turn, so that the jobs of a group lie far apart.
$node->sql(
	qq{SELECT count(*) FROM jobq.enqueue_many('serial', array_fill('1'::jsonb, '{$groups}'),
	group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, $groups) AS n))}
) foreach 1 .. $per_group;
$node->sql(
	qq{SELECT count(*) FROM jobq.enqueue_many('alone', array_fill('"alone"'::jsonb, '{$plain}'));
	SELECT count(*) FROM generate_series(1, 2) AS n, jobq.enqueue_many('shared_' || n,
		array_fill('"shared"'::jsonb, '{$plain}'))});

# Executors; the server crashes in the middle.
$node->sql(
	q{SELECT jobq.alter_queue('serial', 'in_order(jobq.job)');
	SELECT jobq.alter_queue(q, 'alone(jobq.job)') FROM unnest('{alone,shared_1,shared_2}'::text[])
		AS q});
poll_ok($node, 'SELECT count(*) > 300 FROM ran', 'some jobs are run');
$node->stop('immediate');
$node->start;

# Meanwhile one session never gets more jobs into a queue than may be there.
is( $node->sql(
		q{CREATE TABLE refused (n int);
		DO $$ BEGIN
			FOR i IN 1 .. 50 LOOP
				BEGIN
					PERFORM jobq.enqueue('few');
				EXCEPTION WHEN SQLSTATE 'JQ002' THEN
					INSERT INTO refused VALUES (i);
				END;
			END LOOP;
		END$$;
		SELECT count(*), (SELECT count(*) FROM refused) FROM jobq_store.job AS j
		JOIN jobq_store.queue AS q ON q.id = j.queue AND q.name = 'few'}),
	'20|30',
	'max_queued holds');

all_jobs_run($node, 'executors', "queue <> 'few'");
is( $node->sql('SELECT count(*), count(DISTINCT id) FROM ran'),
	join('|', ($groups * $per_group + 3 * $plain) x 2),
	'each has been done once');
is($node->sql('SELECT is_called FROM overtaken_number'),
	'f', 'no job of a serial group was overtaken');
is($node->sql('SELECT is_called FROM overlap_number'), 'f', 'no more ran than a limit lets in');
limits_settled($node, 'executors');

# The same from outside.
$node->sql(q{SELECT jobq.reset_queue(queue, 'handler') FROM jobq.queues WHERE handler IS NOT NULL});
$node->sql(
	qq{SELECT count(*) FROM jobq.enqueue_many('serial', array_fill('1'::jsonb, '{$groups}'),
	group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, $groups) AS n))}) foreach 1 .. 2;
my %last;
my ($n, $overtaken, $beside) = (0, 0, 0);
while ($n < 2 * $groups)
{
	# what is done in a call are jobs of different groups, at most one of each
	my @jobs = split /\n/, $node->sql(
		q{CREATE TEMP TABLE got AS SELECT * FROM jobq.dequeue('serial', 200);
		SELECT group_key, id FROM got; SELECT jobq.complete(id, lease) FROM got});
	my %groups_of;
	foreach my $job (grep { /\|/ } @jobs)
	{
		my ($group, $id) = split /\|/, $job;
		$beside++ if $groups_of{$group}++;
		$overtaken++ if ($last{$group} // 0) > $id;
		$last{$group} = $id;
		$n++;
	}
	last if !@jobs && !poll_query($node, q{CALL jobq.wait('{serial}', '10 s', NULL)});
}
is("$n $overtaken $beside", 2 * $groups . ' 0 0', 'the same from outside');
limits_settled($node, 'in the end');

$node->stop;
done_testing();
