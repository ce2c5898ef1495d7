# t/259_paused_groups.pl: groups that are paused cost nothing, however many they are
# and however many jobs they have, and are found when they are resumed.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Room for some 300 groups, of which one role gets half.
my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 2',
		'jobq.shared_memory = 1MB',
		'jobq.worker_idle_timeout = 1h',
		'jobq.sweep_interval = 0',
		"jobq.log_jobs = 'none'",
		'fsync = off'
	]);
my $groups = 1000;

$node->sql(
	qq{CREATE TABLE done (grp text);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql AS
		'INSERT INTO public.done VALUES (j.group_key)';
	SELECT jobq.create_queue('q', 'work(jobq.job)');
	SELECT count(jobq.pause('q', 'g' || n)) FROM generate_series(1, $groups) AS n});

# Adds a job to each group.
sub fill
{
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('q', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, $groups) AS n), group_keys => ARRAY(SELECT 'g' || n
			FROM generate_series(1, $groups) AS n))});
	return;
}

# Jobs of others run.
sub others_run
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = $node->sql(q{SELECT count(*) FROM done WHERE grp ~ '^other'});
	$node->sql(
		q{SELECT count(*) FROM jobq.enqueue_many('q', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, 60) AS n), group_keys => ARRAY(SELECT 'other' || n % 20
			FROM generate_series(1, 60) AS n))});
	poll_ok(
		$node,
		qq{SELECT count(*) - $before FROM done WHERE grp ~ '^other'},
		"$what: jobs of other groups run",
		expected => '60');
	return;
}

# Resumes some groups: their jobs run, and no others.
my $resumed = 0;

sub resume_some
{
	my ($what, $jobs) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @numbers = map { $resumed + 1 + $_ * 37 } 0 .. 9;
	my $list = join(',', map { "g$_" } @numbers);
	$resumed++;
	$node->sql("SELECT count(jobq.resume('q', g)) FROM unnest('{$list}'::text[]) AS g");
	poll_ok(
		$node,
		"SELECT count(*) FROM done WHERE grp = ANY ('{$list}')",
		"$what: groups are resumed, and their jobs run",
		expected => 10 * $jobs);
	return;
}

fill();
others_run('many paused groups');
resume_some('one job each', 1);
fill();
is( $node->sql(q{SELECT why, count(*) FROM jobq.groups WHERE queue = 'q' AND paused GROUP BY 1}),
	'paused|' . ($groups - 10),
	'the view has all of them');
others_run('more of their jobs');
resume_some('two jobs each', 2);

# They leave room to others: most are not in memory.
poll_ok(
	$node, q{SELECT count(*) < 80 FROM jobq_store.queue AS q, jobq_store.groups(q.id) AS g
	WHERE name = 'q'}, 'most of them need no memory');

# The sweep finds a job that was locked by hand, and does not take theirs for lost.
$node->sql(q{SELECT jobq.create_queue('swept')});
my $lost = $node->sql(q{SELECT jobq.enqueue('swept')});
my $session = start_session($node);
ask($session, "BEGIN; SELECT FROM jobq_store.job WHERE id = $lost FOR UPDATE");
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('swept')}), '0', 'a job is lost');
ask($session, 'ROLLBACK');
my $position = log_position($node);
$node->sql(q{ALTER SYSTEM SET jobq.sweep_interval = '1s'});
$node->reload;
poll_until(
	sub {
		$node->sql(q{SELECT jobq.enqueue('q')});
		log_since($node, $position) =~ /job $lost .* was missing from shared memory/;
	}) or die "the sweep has not found it\n";
my $found = () = log_since($node, $position) =~ /was missing from shared memory/g;
is($found, 1, 'jobs of paused groups are not missing');

# After a restart, too; and after a crash.
$node->restart;
others_run('a restart');
resume_some('a restart', 2);
end_session($session);
my $pid = $node->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobq coordinator'});
kill_9($node, $pid);
others_run('a crash');
is($node->sql(q{SELECT jobq.pause('q', 'g5')}), 'f', 'a crash: it is paused');
is($node->sql(qq{SELECT count(DISTINCT grp) FROM done WHERE grp ~ '^g'}),
	'30', 'no paused group has started a job');
resume_some('a crash', 2);

# Jobs that are due much later, and are running, when their group is paused.
$node->sql(
	q{SELECT jobq.create_queue('ext', lease => '1 h');
	SELECT jobq.enqueue('ext', '1', group_key => 'a');
	SELECT jobq.enqueue('ext', '2', group_key => 'a', delay => '1 s')});
my ($id, $lease) = split(/\|/, $node->sql(q{SELECT id, lease FROM jobq.dequeue('ext')}));
$node->sql(q{SELECT jobq.pause('ext', 'a')});
is($node->sql(q{CALL jobq.wait('{ext}', '2 s')}), 'f', 'a job that gets due wakes nobody');
$node->sql("SELECT jobq.fail($id, $lease, 'no', retry_in => '0')");
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 5)}),
	'0', 'a failed job of it is not tried again');
$session = start_session($node);
order($session, q{CALL jobq.wait('{ext}', '5 min')});
$node->sql(q{SELECT jobq.resume('ext', 'a')});
like(answer($session), qr/^t$/m, 'resumed: who waits is woken');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 5)}), '2', 'both are claimed');
limits_settled($node, 'running jobs of a paused group');

# A claim beside a paused group with very many jobs reads no more than without it.
$node->sql(
	q{SELECT jobq.create_queue(n, lease => '1 day') FROM unnest('{alone,beside}'::text[]) AS n;
	SELECT jobq.pause('beside', 'a')});
$node->sql(
	q{SELECT count(*) FROM jobq.enqueue_many('beside', ARRAY(SELECT to_jsonb(n)
		FROM generate_series(1, 5000) AS n), group_key => 'a')}) for 1 .. 4;

sub buffers
{
	my ($queue) = @_;
	my $out = $node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue', ARRAY(SELECT to_jsonb(n)
			FROM generate_series(1, 25) AS n), group_keys => ARRAY(SELECT 'other ' || n
			FROM generate_series(1, 25) AS n));
		SELECT count(*) FROM jobq.dequeue('$queue', 5);
		EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF)
			SELECT jobq.dequeue('$queue') FROM generate_series(1, 20)});
	my ($hits) = $out =~ /shared hit=(\d+)/;
	return $hits;
}
my ($alone, $beside) = (buffers('alone'), buffers('beside'));
cmp_ok(
	$beside, '<=',
	$alone * 1.5 + 60,
	"claims beside a paused group with 20,000 jobs touch no more buffers ($beside, $alone)");

# Health: a job that waits in a paused group waits for nobody.
$node->sql(
	q{SELECT jobq.create_queue('old');
	SELECT jobq.pause('old', 'a'), jobq.pause('old', 'b');
	SELECT count(jobq.enqueue('old', group_key => g))
		FROM unnest('{a,b}'::text[]) AS g, generate_series(1, 1500)});
$node->create_clock;
$node->advance_clock('1 h');
my $findings = q{SELECT count(*) FROM jobq.health WHERE object = 'old' AND topic <> 'group'};
is($node->sql($findings), '0', 'jobs of paused groups wait for nobody');
is( $node->sql(q{SELECT severity FROM jobq.health WHERE object = 'old' AND topic = 'group'}),
	'warning', 'health names a paused group');
$node->sql(q{SELECT jobq.resume('old', 'b')});
is($node->sql($findings), '1', 'health sees a group behind a paused one');

$node->stop;
done_testing();
