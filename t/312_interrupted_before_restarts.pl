# t/312_interrupted_before_restarts.pl: jobs had finished in transactions that were rolled
# back with their executors, and the server stops before a coordinator has recorded that.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $executors = 6;
my $node = jobq_node(
	'main',
	conf => [
		"jobq.max_workers = $executors",
		'jobq.log_jobs = none',
		'jobq.shared_commit_time = 1000ms'
	]);

# Executions are logged, whatever becomes of their transactions.
$node->sql(
	q{CREATE TABLE go_on (yes bool);
	CREATE FUNCTION short(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		RAISE LOG 'runs %', j.id;
		WHILE j.payload ? 'last' AND NOT EXISTS (SELECT FROM go_on) LOOP
			PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('short', 'short(jobq.job)');
	SELECT count(*) FROM jobq.enqueue_many('short', array_fill('{}'::jsonb, '{700}'))});
all_jobs_run($node, 'jobs of the queue may share transactions');

# Each executor runs the last one of some jobs, most of which share its transaction.
sub run_all
{
	$node->sql('TRUNCATE go_on; DELETE FROM jobq_store.attempt');
	foreach my $n (1 .. $executors)
	{
		my $last = $node->sql(
			q{SELECT max(id) FROM jobq.enqueue_many('short',
				array_fill('{}'::jsonb, '{59}') || '{"last": 1}'::jsonb) AS id});
		poll_query($node, "SELECT count(*) FROM jobq.workers WHERE job_id = $last", expected => '1')
		  or die "the last job does not run\n";
	}
	return;
}

# All jobs complete. Those that have run twice, but for the last ones, are recorded.
sub recorded
{
	my ($from, $when) = @_;
	my (%runs, $twice);
	$node->sql('INSERT INTO go_on VALUES (true)');
	all_jobs_run($node, "$when: all jobs have run in the end");
	$runs{$_}++ foreach log_since($node, $from) =~ /runs (\d+)$/mg;
	my $ids = join ',', grep { $runs{$_} > 1 } keys %runs;
	$twice =
	  $node->sql(qq{SELECT count(*) FROM jobq.jobs WHERE id IN ($ids) AND NOT payload ? 'last'});
	note("$when: $twice jobs have run twice");
	cmp_ok($twice, '>', 0, "$when: jobs have run twice");
	poll_ok(
		$node,
		qq{SELECT count(*), count(DISTINCT job_id) FROM jobq.attempts
			WHERE outcome = 'interrupted' AND job_id IN ($ids)},
		"$when: each of them is recorded as interrupted, once",
		expected => "$twice|$twice");
	ok( poll_until(
			sub {
				return !grep { /job|undone/ } slurp_dir($node->data_dir . '/pg_jobq');
			}),
		"$when: no note is left");
	return;
}

# A restart without a coordinator. Afterwards the files cannot be read for a while, at last.
my @cases = ('executors that are terminated', 'executors in a fast shutdown');
# a superuser of the system may read everything
push @cases, 'files that cannot be read' if $> != 0;
foreach my $case (@cases)
{
	my $from = log_position($node);
	run_all();
	dismiss_coordinator($node);
	if ($case =~ /terminated/)
	{
		$node->sql(q{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id IS NOT NULL});
		poll_query($node, 'SELECT count(*) FROM jobq.workers', expected => '0');
	}
	$node->stop;
	chmod(0, $node->data_dir . '/pg_jobq') or die "chmod: $!\n" if $case =~ /read/;
	$node->start;
	$node->sql('ALTER SYSTEM RESET jobq.databases');
	$node->reload;
	if ($case =~ /read/)
	{
		poll_ok(
			$node,
			q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'unrecorded'
				AND message LIKE '%cannot be read%')},
			"$case: health says so");
		chmod(0700, $node->data_dir . '/pg_jobq') or die "chmod: $!\n";
	}
	recorded($from, $case);
}

$node->stop;
done_testing();
