# t/337_claims_of_groups_put_out.pl: a claim finds the ready jobs of groups that have made
# room for others before it has looked at them.

use strict;
use warnings;

use JobqLimits;
use JobqTest;
use Test::More;

my $node = small_node(1);
$node->create_clock;

$node->sql(
	q{CREATE PROCEDURE claim_all(queue text, INOUT groups text DEFAULT NULL)
	LANGUAGE plpgsql AS $$
	DECLARE
		found text;
		gathered text[];
	BEGIN
		LOOP
			found := (SELECT group_key FROM jobq.dequeue(queue));
			COMMIT;
			EXIT WHEN found IS NULL;
			gathered := gathered || found;
		END LOOP;
		groups := (SELECT string_agg(g, ' ' ORDER BY g) FROM unnest(gathered) AS g);
	END$$});

# claims($queue): the groups of the jobs that claims find, until one finds nothing.
sub claims
{
	my ($queue) = @_;
	return $node->sql("CALL claim_all('$queue')");
}

# Queues that have as many groups in memory as are throttled, some of them without jobs, and
# find no more room.
my @queues = map {
	my $empty = $_;
	map { [ "q$empty$_", $empty, $_ ] } 1 .. 2
} 0 .. 2;
foreach (@queues)
{
	my ($queue, $empty, $full) = @$_;
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '366 days');
		SELECT jobq.throttle('$queue', '1 hour', 'empty' || n)
			FROM generate_series(1, $empty) AS n;
		SELECT jobq.throttle('$queue', '1 hour', 'g' || n) FROM generate_series(1, $full) AS n}
	);
}
take_group_room($node, 'other');
foreach (@queues)
{
	my ($queue, $empty, $full) = @$_;
	$node->sql(
		qq{SELECT jobq.enqueue('$queue', group_key => name) FROM generate_series(1, 2) AS i,
			(SELECT 'g' || n FROM generate_series(1, $full) AS n
			UNION ALL SELECT 'x' || n FROM generate_series(1, 9) AS n) AS names(name)});
	is( claims($queue),
		join(' ', map { ("x$_") x 2 } 1 .. 9),
		"$empty, $full: groups without room have their turns, throttled ones have none");
}
$node->advance_clock('2 hours');
foreach (@queues)
{
	my ($queue, $empty, $full) = @$_;
	is( claims($queue),
		join(' ', map { ("g$_") x 2 } 1 .. $full),
		"$empty, $full: when the throttles end, all of their jobs are found");
	foreach my $n (5, 9, 20, 30)
	{
		$node->sql(
			qq{SELECT jobq.enqueue('$queue', group_key => 'g' || n)
			FROM generate_series(1, 3) AS i, generate_series(1, $n) AS n});
		is( claims($queue),
			join(' ', map { ("g$_") x 3 } sort 1 .. $n),
			"$empty, $full, $n: each claim finds a job as long as there is one");
	}
}

$node->stop;
done_testing();
