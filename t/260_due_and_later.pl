# t/260_due_and_later.pl: a transaction adds very many jobs, of which some are due at
# its end and others later: those are run when they are due, too.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'jobq.worker_idle_timeout = 1h' ]);
$node->sql(
	q{CREATE FUNCTION work(jsonb) RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('control'), jobq.create_queue('q', 'work(jsonb)')});

# What many jobs have in common is noted together: only the first of those notes tell of
# one job each.
foreach my $group ('NULL', q{'g'})
{
	$node->sql(q{SELECT jobq.enqueue('q')});
	all_jobs_run($node, "a job before, group $group");
	wait_for_rest($node, 'control');
	$node->sql(
		qq{SELECT count(jobq.enqueue('q', delay => CASE WHEN n <= 100 THEN interval '1 hour'
			WHEN n <= 110 THEN '0' WHEN n <= 200 THEN '1 hour' ELSE '2 s' END,
			payload => to_jsonb(n), group_key => $group)) FROM generate_series(1, 210) AS n});
	all_jobs_run($node, "due at the commit, group $group", 'payload::int BETWEEN 101 AND 110');
	all_jobs_run($node, "due two seconds later, group $group", 'payload::int > 200');
	is($node->sql(q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE state = 'scheduled'}),
		'190', "due an hour later, group $group: none has run");
}

$node->stop;
done_testing();
