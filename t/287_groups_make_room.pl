# t/287_groups_make_room.pl: groups that have nothing to do now, since their jobs are
# ahead or they are throttled, keep no room in shared memory from those of other queues.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

my $node = small_node(1);
my $groups = 1000;
$node->create_clock;

# Adds jobs to groups.
sub fill
{
	my ($queue, $n, $run_at) = @_;
	$node->sql(
		qq{SELECT count(jobq.enqueue('$queue', to_jsonb(n), run_at => $run_at,
			group_key => 'g' || n))
		FROM generate_series(1, $n) AS n});
	return;
}

# Claims jobs; how many, and of how many groups.
sub claim
{
	my ($queue, $n) = @_;
	return $node->sql(
		qq{SELECT count(*) || ' of ' || count(DISTINCT group_key) FROM jobq.dequeue('$queue', $n)});
}

$node->sql(
	q{SELECT jobq.create_queue(name, lease => '10 days', max_running_per_group => 1)
	FROM unnest('{ahead, idle, limited}'::text[]) AS name});

# Jobs for tomorrow, in more groups than there is room for.
fill('ahead', $groups, q{clock.advance('0') + '1 day'});
fill('limited', 20, 'NULL') for 1 .. 2;
is(claim('limited', 100),
	'20 of 20', 'beside jobs for tomorrow in very many groups each group starts one');
is(claim('limited', 100), '0 of 0', 'beside them no group starts a second one');

# Ready jobs, which nobody claims.
$node->sql(
	q{SELECT jobq.drop_queue('limited', force => true);
	SELECT jobq.create_queue('limited', lease => '10 days', max_running_per_group => 1)});
fill('idle', $groups, 'NULL');
fill('limited', 20, 'NULL') for 1 .. 2;
my $claimed = 0;
for (1 .. 20)
{
	my ($n) = split(/ /, claim('limited', 100));
	$claimed += $n;
	last if $claimed == 20;
}
is($claimed, 20, 'beside ready jobs that nobody claims each group starts one, too');

# None is lost.
$node->advance_clock('1 day');
for my $queue (qw(ahead idle))
{
	my %seen;
	for (1 .. 400)
	{
		my @ids = split(
			/\n/,
			$node->sql(
				qq{SELECT jobq.complete(id, lease) || ' ' || group_key
				FROM jobq.dequeue('$queue', 50)}
			));
		$seen{$_}++ for @ids;
		last if keys %seen == $groups;
	}
	is(scalar(keys %seen), $groups, "$queue: each job is found when it is due");
}

# Once there is room again, health says so, although nobody claims jobs of those groups.
my $shortage = q{SELECT count(*) FROM jobq.health
	WHERE topic = 'shared memory' AND object = 'groups'};
take_group_room($node, 'full');
$node->sql(
	q{SELECT jobq.create_queue('waits', max_running_per_group => 1);
	SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE queue =
		(SELECT id FROM jobq_store.queue WHERE name = 'full1') AND group_key LIKE 'g_'});
fill('waits', 40, 'NULL') for 1 .. 2;
my $in_memory = $node->sql(q{SELECT count(*) FROM jobq.groups WHERE queue = 'waits'});
cmp_ok($in_memory, '>', 0, 'there is room for some groups of which nobody claims jobs');
cmp_ok($in_memory, '<', 40, 'there is none for all of them');
is($node->sql($shortage), '1', 'health says so');
$node->sql(q{SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues WHERE queue ~ '^full'});
poll_ok($node, $shortage, 'when there is room, health says nothing', expected => '0');
is(claim('waits', 100), '40 of 40', 'each group starts a job');

$node->stop;
done_testing();
