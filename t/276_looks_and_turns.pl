# t/276_looks_and_turns.pl: a look finds out whether a group has a ready job, and wakes
# somebody for it. That is not the group's turn: or else where each job that starts
# was looked for, as under a rate, the same groups would always be passed over.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1', 'jobq.sweep_interval = 0', "jobq.log_jobs = 'none'", 'fsync = off'
	]);

$node->sql(
	q{CREATE TABLE done (number serial, grp text);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql AS $$
		INSERT INTO public.done (grp) VALUES (coalesce(j.group_key, '')) $$;
	CREATE FUNCTION fill(queue text, groups text[]) RETURNS bigint LANGUAGE sql AS $$
		SELECT count(*) FROM jobq.enqueue_many(queue, array_fill('{}'::jsonb, ARRAY[120]),
			group_keys => ARRAY(SELECT nullif(groups[1 + n % cardinality(groups)], '')
				FROM generate_series(0, 119) AS n)) $$});

# How many jobs each group has had, of the first ones.
sub shares
{
	my ($n) = @_;
	return $node->sql(
		qq{SELECT string_agg(grp || ':' || n, ' ' ORDER BY grp) FROM (
			SELECT grp, count(*) AS n FROM done WHERE number <= $n GROUP BY grp) AS g});
}

foreach my $groups ('{a,b}', '{a,b,c,d}', '{a,""}')
{
	my @names = sort(split(/,/, $groups =~ tr/{}"//dr, -1));
	my $n = 8 * @names;
	my $expected = join(' ', map { "$_:8" } @names);

	# The coordinator wakes an executor for each start.
	foreach my $limit ('', ', max_running_per_group => 1')
	{
		$node->sql(
			qq{TRUNCATE done RESTART IDENTITY;
			SELECT jobq.create_queue('rated', 'work(jobq.job)', rate_limit => 100,
				rate_burst => 1 $limit);
			SELECT fill('rated', '$groups')});
		poll_ok(
			$node,
			"SELECT count(*) >= $n FROM done",
			"$groups$limit: jobs start at a rate",
			expected => 't');
		is(shares($n), $expected, "$groups$limit: each group has its turns");
		$node->sql(q{SELECT jobq.drop_queue('rated', force => true)});
	}

	# A client waits before each claim.
	$node->sql(
		qq{TRUNCATE done RESTART IDENTITY;
		SELECT jobq.create_queue('waited');
		SELECT fill('waited', '$groups')});
	$node->sql(
		q{
		CALL jobq.wait('{waited}', '0');
		INSERT INTO done (grp) SELECT coalesce(group_key, '') FROM jobq.take('waited');} x $n);
	is(shares($n), $expected, "$groups: each group has its turns after wait()");
	$node->sql(q{SELECT jobq.drop_queue('waited', force => true)});
}

$node->stop;
done_testing();
