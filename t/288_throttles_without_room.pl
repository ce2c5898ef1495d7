# t/288_throttles_without_room.pl: throttled groups start nothing, however little shared
# memory there is, and leave half of the owner's room to groups with jobs.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

my $node = small_node(1);
$node->create_clock;
$node->sql(
	q{CREATE ROLE owner LOGIN;
	CREATE ROLE worker LOGIN;
	SELECT jobq.grant_usage('owner', may_create => true), jobq.grant_usage('worker');
	SET SESSION AUTHORIZATION owner;
	SELECT jobq.create_queue('q', lease => '1 day'),
		jobq.create_queue('plain', lease => '1 day'),
		jobq.create_queue('limited', lease => '1 day', max_running_per_group => 1);
	SELECT jobq.grant_queue('q', 'worker', 'consume')});

sub fill
{
	my ($queue, $n) = @_;
	as_role(
		$node, 'owner',
		qq{SELECT count(jobq.enqueue('$queue', to_jsonb(n), group_key => 'g' || n))
		FROM generate_series(1, $n) AS n});
	return;
}

# Names of groups that do not exist: one session throttles them until there is an error.
my $error = $node->sql(
	q{SET SESSION AUTHORIZATION worker;
	DO $$ BEGIN
		FOR i IN 1 .. 1000 LOOP
			PERFORM jobq.throttle('q', '1 hour', 'name' || i);
		END LOOP;
	EXCEPTION WHEN out_of_memory THEN
		PERFORM set_config('my.error', SQLERRM, false);
	END$$;
	SELECT current_setting('my.error', true)});
like(
	$error,
	qr/^no shared memory left for group "name\d+" of queue "q"$/,
	'very many groups that do not exist cannot be throttled');
my ($done) = $error =~ /"name(\d+)"/;
cmp_ok($done, '>', 50, 'dozens of them can');
fill('limited', 60);
is(as_role($node, 'owner', q{SELECT count(*) FROM jobq.dequeue('limited', 100)}),
	'60', 'groups with jobs find room at once');
$node->advance_clock('2 hours');
as_role($node, 'worker', q{SELECT jobq.throttle('q', '1 hour', 'again')});
pass('when they are over there is room for others');

# A throttled group beside running ones that take all the room: claims search the index.
as_role($node, 'worker', q{SELECT jobq.throttle('q', '1 hour', 'a')});
fill('plain', 400);
while (as_role($node, 'owner', q{SELECT count(*) FROM jobq.dequeue('plain', 100)}) > 0) { }
{
	local $ENV{PGUSER} = 'owner';
	take_group_room($node, 'other');
}
as_role($node, 'owner',
	q{SELECT jobq.enqueue('q', group_key => name) FROM unnest('{a,b,c}'::text[]) AS name});
is( as_role(
		$node, 'owner',
		q{SELECT string_agg(group_key, ' ' ORDER BY group_key) FROM jobq.dequeue('q', 10)}),
	'b c',
	'jobs of groups without room are found, and none of the throttled one');
is(as_role($node, 'owner', q{SELECT count(*) FROM jobq.dequeue('q', 10)}),
	'0', 'a later claim finds none of it, either');
$node->advance_clock('2 hours');
is(as_role($node, 'owner', q{SELECT group_key FROM jobq.dequeue('q', 10)}),
	'a', 'when its throttle ends, its job is found at once');

$node->stop;
done_testing();
