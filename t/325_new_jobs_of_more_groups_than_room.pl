# t/325_new_jobs_of_more_groups_than_room.pl: where rates of groups limit new jobs, groups
# whose jobs only wait make room for those of new jobs: none is refused for want of memory
# as long as some group may leave. No rate is exceeded, and no job is lost.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

# Room for some 300 groups, of which one role gets half.
my $node = small_node(2);
$node->create_clock;
create_idle_work($node);

# Adds a job to each of $n groups, in one transaction; how many were let through, or the
# error.
sub add
{
	my ($queue, $first, $n) = @_;
	my $result = eval {
		$node->sql(
			qq{SELECT count(jobq.enqueue('$queue', group_key => 'g' || n))
			FROM generate_series($first, $first + $n - 1) AS n});
	};
	return $result // $@;
}

# The same for 20 groups at a time, whose rates make up meanwhile: the sums, and how many
# were refused.
sub add_slowly
{
	my ($queue, $groups, $between) = @_;
	my ($added, $refused) = (0, 0);
	for (my $first = 1; $first < $groups; $first += 20)
	{
		my $result = add($queue, $first, 20);
		$result =~ /^\d+$/ ? ($added += $result) : $refused++;
		$node->advance_clock($between);
	}
	return "$added added, $refused errors";
}

# Groups of a queue that are in memory, or have options.
sub groups_of
{
	my ($queue) = @_;
	return $node->sql(qq{SELECT count(*) FROM jobq.groups WHERE queue = '$queue'});
}

# Claims all jobs of a queue; how many there were, and of how many groups.
sub claim_all
{
	my ($queue) = @_;
	my ($n, %groups) = (0);
	while (my $keys = $node->sql(qq{SELECT group_key FROM jobq.take('$queue', 100)}))
	{
		$groups{$_}++, $n++ foreach split /\n/, $keys;
	}
	return "$n of " . keys(%groups);
}

# Another role's groups.
$node->sql(
	q{CREATE ROLE other LOGIN;
	SELECT jobq.grant_usage('other', may_create => true);
	SET SESSION AUTHORIZATION other;
	SELECT jobq.create_queue('others');
	SELECT count(jobq.enqueue('others', group_key => 'o' || n)) FROM generate_series(1, 20) AS n});

# The interval between new jobs is 0.2 s, and an hour, which a table keeps.
my %options = (
	short => q{group_rate_limit => 5, on_limit => 'skip'},
	error => q{group_rate_limit => 5, on_limit => 'error'},
	long => q{group_rate_limit => 1, group_rate_period => '1 h', on_limit => 'skip'});
foreach my $queue (qw(short error))
{
	$node->sql("SELECT jobq.create_queue('$queue', $options{$queue})");
	if ($queue eq 'short')
	{
		is(add($queue, 1, 1), '0', 'what has started before the server did is not known');
		$node->advance_clock('1 s');
	}
	is(add_slowly($queue, 400, '1 s'), '400 added, 0 errors', "$queue: all jobs are added");
	cmp_ok(groups_of($queue), '<', 200, 'there is room for a part of their groups');
	is(eval { $node->sql(qq{SELECT jobq.throttle('$queue', '1 h', 'g999')}) } // $@,
		'', 'another group can be throttled');
	is(add($queue, 999, 1), '1', 'a job can be added to it, too');
	is(groups_of('others'), '20', "another role's groups stay");
	is(claim_all($queue), '400 of 400', "$queue: none is lost, and the throttled group waits");
	$node->sql("SELECT jobq.drop_queue('$queue', force => true)");
}

# What left memory is still limited, by the table.
$node->sql("SELECT jobq.create_queue('long', $options{long})");
is(add_slowly('long', 400, '0'), '400 added, 0 errors', 'long: all jobs are added');
is(add_slowly('long', 400, '0'), '0 added, 0 errors', 'a second one of a group is left out');
is(claim_all('long'), '400 of 400', 'long: no job is lost');

# Until the commit, the groups of one transaction must stay.
like(
	add('long', 1001, 400),
	qr/no shared memory left for the rates of groups of queue "long"/,
	'one transaction cannot add jobs to more groups than have room');
like(
	$node->sql(q{SELECT string_agg(message, E'\n') FROM jobq.health WHERE topic = 'shared memory'}),
	qr/1 of these queues limit new jobs by rates of groups, and may refuse jobs of further groups/,
	'health says so');
is(add('long', 1001, 20), '20', 'others can, to fewer groups, when it has ended');
$node->sql(q{SELECT jobq.drop_queue('long', force => true)});

# Groups whose rates have not made up stay: at random, more of them than have room.
$node->sql(
	q{SELECT jobq.create_queue('random', group_rate_limit => 1, group_rate_period => '800 ms',
		on_limit => 'skip')});
$node->advance_clock('1 s');
my ($n, $refused) = split(
	/ /,
	$node->sql(
		q{DO $$
		DECLARE until timestamptz := clock_timestamp() + '5 s';
			added integer := 0;
			refused integer := 0;
		BEGIN
			WHILE clock_timestamp() < until LOOP
				BEGIN
					IF jobq.enqueue('random', group_key => 'g' || (random() * 250)::int)
							IS NOT NULL THEN
						added := added + 1;
					END IF;
				EXCEPTION WHEN out_of_memory THEN
					refused := refused + 1;
				END;
				COMMIT;
			END LOOP;
			PERFORM set_config('my.result', added || ' ' || refused, false);
		END$$;
		SELECT current_setting('my.result')}));
note("$n jobs were added, $refused refused");
cmp_ok($n, '>', 250, 'jobs are added again when the rates of groups have made up');
is( $node->sql(
		q{SELECT count(*) FROM (SELECT enqueued_at - lag(enqueued_at) OVER (
				PARTITION BY group_key ORDER BY enqueued_at) AS gap
			FROM jobq.jobs WHERE queue = 'random') AS g WHERE gap < '500 ms'}),
	'0',
	'none is added sooner');
is(claim_all('random') =~ s/ of.*//r, $n, 'random: no job is lost');

# Executors run them all, and nothing but the protocol wakes them.
$node->sql(
	qq{SELECT jobq.create_queue('run', 'work(jobq.job)', keep_completed => '1 day',
		$options{short});
	SELECT jobq.pause('run')});
is(add_slowly('run', 400, '1 s'), '400 added, 0 errors', 'run: jobs are added to a paused queue');
$node->sql(q{SELECT jobq.resume('run')});
is(add_slowly('run', 400, '1 s'), '400 added, 0 errors', 'more are added while they run');
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'run' AND state = 'completed'},
	'all are run',
	expected => '800',
	seconds => 120);
limits_settled($node, 'at the end');

$node->stop;
done_testing();
