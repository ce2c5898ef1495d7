# t/291_group_rates.pl: in no window of group_rate_period do more than group_rate_limit
# jobs of a group start, over crashes, and none waits longer than it must.  There are no
# sweeps: nothing but the protocol wakes anybody.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(3, 'jobq.shared_commit_time = 100ms');

create_idle_work($node);

# Adds jobs to each of n groups.
sub enqueue
{
	my ($queue, $ngroups, $njobs) = @_;
	$node->sql(
		qq{SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb,
			ARRAY[$ngroups * $njobs]), group_keys => ARRAY(SELECT 'g' || i % $ngroups
			FROM generate_series(1, $ngroups * $njobs) AS i))});
	return;
}

# The groups of the jobs that dequeue() gives until there are n: a look has a group's
# ticket for a moment.
sub claimed
{
	my ($queue, $n) = @_;
	my @groups;
	poll_until(
		sub {
			my $left = $n - @groups;
			push @groups,
			  split(/\n/, $node->sql("SELECT group_key FROM jobq.dequeue('$queue', $left)"));
			return @groups >= $n;
		});
	return join(' ', sort @groups);
}

sub nothing
{
	my ($queue, $name) = @_;
	is($node->sql("SELECT count(*) FROM jobq.dequeue('$queue', 9)"), '0', $name);
	return;
}

# Executors; T is 1 ms, 1 ms with the default burst, and 100 ms.
$node->sql(
	q{SELECT jobq.create_queue('ms', 'work(jobq.job)', group_rate_limit => 100,
		group_rate_period => '100 ms', group_rate_burst => 1);
	SELECT jobq.create_queue('burst', 'work(jobq.job)', group_rate_limit => 100,
		group_rate_period => '100 ms');
	SELECT jobq.create_queue('tenth', 'work(jobq.job)', group_rate_limit => 10,
		group_rate_burst => 1)});
enqueue('ms', 3, 150);
enqueue('burst', 3, 300);
enqueue('tenth', 5, 20);
is_within($node, 'ms', 100, '100 ms', 450, 'group_key');
is_within($node, 'burst', 100, '100 ms', 900, 'group_key');
is_within($node, 'tenth', 10, '1 s', 100, 'group_key');
is( $node->sql(
		q{SELECT count(DISTINCT h.xmin::text) < count(*) FROM jobq_store.history AS h
		JOIN jobq_store.queue AS q ON q.id = h.queue WHERE q.name = 'burst'}),
	't',
	'jobs of a burst share transactions');
cmp_ok(
	$node->sql(
		q{SELECT min(19 / extract(epoch FROM t)) FROM (
			SELECT max(started_at) - min(started_at) AS t FROM jobq.jobs
			WHERE queue = 'tenth' GROUP BY group_key) AS g}),
	'>=',
	0.9 * 10,
	'groups do not wait for each other');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq_store.queue AS q, jobq_store.groups(q.id)},
	'groups leave memory when their rates have made up for the last start',
	expected => '0');

# Together with rates of the queue and of a shared limit: one time for all.
$node->sql(
	q{SELECT jobq.create_limit('both', rate_limit => 300, rate_burst => 1);
	SELECT jobq.create_queue('three', 'work(jobq.job)', rate_limit => 200, rate_burst => 1,
		shared_limit => 'both', group_rate_limit => 50, group_rate_burst => 1)});
enqueue('three', 3, 40);
is_within($node, 'three', 50, '1 s', 120, 'group_key');
cmp_ok(
	$node->sql(
		q{SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY started_at RANGE BETWEEN CURRENT ROW
		AND interval '999999 us' FOLLOWING) AS n FROM jobq.jobs WHERE queue = 'three') AS w}),
	'<=',
	200,
	'three: not more than 200 of the queue in a second');

# Claims from outside; looks that find nothing cost no start.
$node->sql(q{SELECT jobq.create_queue('hour', group_rate_limit => 1, group_rate_period => '1 h')});
nothing('hour', 'nothing is there') for 1 .. 2;
enqueue('hour', 2, 3);
is(claimed('hour', 2), 'g0 g1', 'one of each group starts');
nothing('hour', 'no other one');
is($node->sql(q{SELECT count(*) FROM jobq.take('hour', 3)}), '0', 'nothing is taken either');
is( $node->sql(
		q{SELECT group_key, why, next_at BETWEEN now() + '59 min' AND now() + '1 h' AS next_at,
		rate_limit, rate_period FROM jobq.groups WHERE queue = 'hour' ORDER BY group_key}),
	"g0|rate|t|1|01:00:00\ng1|rate|t|1|01:00:00",
	'the view says when the next one starts');
is($node->sql(q{CALL jobq.wait('{hour}', '200 ms', NULL)}), 'f', 'wait() sleeps');

# Jobs without a group, and those of other groups, do not wait.
$node->sql(q{SELECT jobq.enqueue('hour'), jobq.enqueue('hour', group_key => 'new')});
is($node->sql(q{SELECT count(*) FROM jobq.take('hour', 3)}), '2', 'others start');

# wait() sleeps, until the rate is changed.
my $waiter = start_session($node, name => 'waiter');

sub wakes
{
	my ($call, @groups) = @_;
	order($waiter, q{CALL jobq.wait('{hour}', '1 min', NULL)});
	sleeps_in_wait($node, $waiter);
	$node->sql("SELECT jobq.$call");
	is(within(10, 'at once', sub { answer($waiter) }), "t\n", "$call wakes a session");
	is(claimed('hour', scalar(@groups)), "@groups", "$call lets jobs start");
	nothing('hour', "$call lets no others start");
	return;
}
wakes(q{alter_queue('hour', group_rate_limit => 2, group_rate_burst => 2)}, 'g0', 'g1');
enqueue('hour', 2, 1);
wakes(q{set_group('hour', 'g1', rate_limit => 3, rate_period => '1 h', rate_burst => 3)}, 'g1');
wakes(q{reset_queue('hour', 'group_rate_limit', 'group_rate_burst')}, 'g0', 'g0');
end_session($waiter);

# It returns when the gate opens, and not before.
$node->sql(q{SELECT jobq.create_queue('half', group_rate_limit => 2, group_rate_burst => 1)});
enqueue('half', 1, 2);
claimed('half', 1);
is($node->sql(q{CALL jobq.wait('{half}', '1 min', NULL)}), 't', 'wait() ends');
is(claimed('half', 1), 'g0', 'a job can be had then');
is(join('|', starts_in($node, 'half', '500 ms')), '1|2', 'half a second later');

# A start counts if its transaction is rolled back.
$node->sql(
	q{SELECT jobq.create_queue('undone', group_rate_limit => 1, group_rate_period => '1 h');
	SELECT jobq.enqueue('undone', group_key => 'g');
	BEGIN; SELECT jobq.take('undone'); ROLLBACK});
nothing('undone', 'a rolled back start counts');
$node->sql(
	q{SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE queue = 'undone';
	SELECT jobq.enqueue('undone', group_key => 'g')});
nothing('undone', 'a rolled back start counts when its job is gone');

# Claims that find nothing cost no start, even at the same time: the first job is locked.
$node->sql(
	q{SELECT jobq.create_queue('busy', group_rate_limit => 10, group_rate_period => '1 day',
		group_rate_burst => 5)});
enqueue('busy', 1, 1);
my $holder = start_session($node, name => 'holder');
ask($holder, q{BEGIN; SELECT FROM jobq_store.job AS j JOIN jobq_store.queue AS q
	ON q.id = j.queue WHERE q.name = 'busy' FOR UPDATE OF j});
my @pollers = map { start_session($node, name => "poller_$_") } 1 .. 2;
order($_, q{DO $$ BEGIN FOR i IN 1 .. 1000 LOOP PERFORM FROM jobq.dequeue('busy'); END LOOP; END$$})
  foreach @pollers;
is(answer($_), '', 'a session finds nothing') foreach @pollers;
end_session($_) foreach @pollers, $holder;
enqueue('busy', 1, 6);
is(claimed('busy', 5), 'g0 g0 g0 g0 g0', 'the burst is whole');
nothing('busy', 'nothing starts beyond the burst');

# The next job in place of one that ends needs a start of its own.
$node->sql(
	q{SELECT jobq.create_queue('passed', max_running_per_group => 1, group_rate_limit => 2,
		group_rate_period => '1 h', group_rate_burst => 2)});
enqueue('passed', 1, 4);
my $next = q{SELECT count(*) FROM (SELECT array_agg(j.id) AS ids, max(j.lease) AS lease
	FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
	WHERE q.name = 'passed' AND j.state = 1) AS d, jobq.next('passed', d.ids, d.lease)};
is(claimed('passed', 1), 'g0', 'a job is claimed');
is($node->sql($next), '1', 'next() gives the second of two');
is($node->sql($next), '0', 'next() gives no third one');

# A batch is one start.
$node->sql(
	q{SELECT jobq.create_queue('batches', group_rate_limit => 2, group_rate_period => '1 day',
		group_rate_burst => 2, batch_size => 3)});
enqueue('batches', 1, 10);
is(claimed('batches', 3), 'g0 g0 g0', 'a batch is claimed');
is(claimed('batches', 3), 'g0 g0 g0', 'another batch is claimed');
nothing('batches', 'no third one');

# Own jobs that are not committed.
is( $node->sql(
		q{SELECT jobq.create_queue('own', group_rate_limit => 2, group_rate_period => '1 h',
			group_rate_burst => 2);
		BEGIN;
		SELECT count(*) FROM jobq.enqueue_many('own', '{1,2,3,4}', group_keys => '{a,a,a,b}');
		SELECT string_agg(group_key, ' ' ORDER BY group_key) FROM jobq.take('own', 4);
		COMMIT}),
	"\n4\na a b",
	'a transaction starts as many of its own jobs');
nothing('own', 'they count after its commit');

# With on_limit, new jobs are limited, and starts are not.
$node->sql(
	q{SELECT jobq.create_queue('skip', group_rate_limit => 2, group_rate_period => '4 h',
		group_rate_burst => 2, on_limit => 'skip');
	SELECT jobq.set_group('skip', 'own', rate_limit => 3, rate_period => '4 h', rate_burst => 3)});

sub added
{
	my ($queue, $groups) = @_;
	return $node->sql(
		qq{SELECT string_agg(CASE WHEN id IS NULL THEN '-' ELSE '+' END, '' ORDER BY n)
		FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb, ARRAY[cardinality(g)]),
			group_keys => g) WITH ORDINALITY AS e (id, n)} =~ s/\bg\b/'$groups'::text[]/gr);
}
is(added('skip', '{a,own,a,b,NULL,a,own,own,own,b,b,NULL}'),
	'+++++-++-+-+', 'skip: of each group as many as its rate lets through');
is($node->sql(q{SELECT jobq.enqueue('skip', group_key => 'a') IS NULL}),
	't', 'skip: enqueue() gives NULL');
my $started = 0;
poll_until(
	sub {
		$started += $node->sql(q{SELECT count(*) FROM jobq.dequeue('skip', 20)});
		return $started >= 9;
	});
is($started, 9, 'skip: starts are not limited');
is( $node->sql(
		q{SELECT string_agg(j.queue || ' ' || coalesce(j.group_key, ''), ',' ORDER BY j.id)
		FROM jobq.jobs AS j WHERE queue = 'skip'}),
	'skip a,skip own,skip a,skip b,skip ,skip own,skip own,skip b,skip ',
	'skip: the right ones');
$node->sql(
	q{SELECT jobq.create_queue('keyed', group_rate_limit => 1, group_rate_period => '4 h',
		on_limit => 'skip')});
is( $node->sql(
		q{SELECT string_agg(CASE WHEN id IS NULL THEN '-' ELSE '+' END, '' ORDER BY n)
		FROM jobq.enqueue_many('keyed', '{1,2,3,4}', unique_keys => '{k,k,l,m}',
			group_keys => '{a,a,a,b}') WITH ORDINALITY AS e (id, n)}),
	'++-+',
	'keyed: a duplicate costs nothing');

# An error names the group; what is rolled back costs nothing.
$node->sql(
	q{SELECT jobq.create_queue('error', group_rate_limit => 1, group_rate_period => '4 h',
		on_limit => 'error')});
$node->sql(q{BEGIN; SELECT jobq.enqueue('error', group_key => 'a'); ROLLBACK});
$node->sql(
	q{BEGIN; SAVEPOINT s; SELECT jobq.enqueue('error', group_key => g) FROM unnest('{b,a}'::text[])
		AS g; ROLLBACK TO s; SELECT jobq.enqueue('error', group_key => 'a'); COMMIT});
like(sql_error($node, q{SELECT jobq.enqueue('error', group_key => 'a')}),
	qr/JQ003: rate limit of group "a" of queue "error" is exceeded.*at most 1 new job in 04:00/s,
	'JQ003');
is(added('error', '{b}'), '+', 'error: another group');

# A job passes both rates; one that the queue's refuses costs its group nothing.
$node->sql(
	q{SELECT jobq.create_queue('pair', rate_limit => 2, rate_period => '4 h', rate_burst => 2,
		group_rate_limit => 2, group_rate_period => '4 h', group_rate_burst => 2,
		on_limit => 'skip')});
is(added('pair', '{a,b,a,a,b}'), '++---', 'pair: the rate of the queue refuses');
$node->sql(q{SELECT jobq.reset_queue('pair', 'rate_limit', 'rate_period', 'rate_burst')});
is(added('pair', '{a,b,a,b}'), '++--', 'pair: that has cost the groups nothing');

# Kept over a restart, and only what is committed.
$node->stop('immediate');
$node->start;
is(added('skip', '{a,own,c,c}'), '--++', 'skip: the same after a crash');
is(added('pair', '{a,b,c}'), '--+', 'pair: the same after a crash');
$node->sql(q{SELECT jobq.reset_queue('skip', 'on_limit')});
nothing('skip', 'skip: what was added counts as started when starts are limited');

# drop_oldest finds jobs that their rate keeps off.
$node->sql(
	q{SELECT jobq.create_queue('full', group_rate_limit => 1, group_rate_period => '1 h',
		max_queued => 3, on_full => 'drop_oldest')});
enqueue('full', 1, 3);
claimed('full', 1);
is($node->sql(q{SELECT jobq.enqueue('full', group_key => 'g0') IS NOT NULL}),
	't', 'a job is dropped for another one');
is( $node->sql(q{SELECT state, count(*) FROM jobq.jobs WHERE queue = 'full' GROUP BY 1 ORDER BY 1}),
	"cancelled|1\nready|2\nrunning|1", 'the oldest one');

$node->stop;
done_testing();
