# t/335_groups_of_other_consumers.pl: a role that may add jobs to one queue, claim them, or
# throttle their groups leaves room for the groups of the owner's other queues.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main');

my @queues = qw(theirs own als);

$node->sql(
	q{
	CREATE ROLE al LOGIN;
	CREATE ROLE bo LOGIN;
	SELECT jobq.grant_usage('al', may_create => true), jobq.grant_usage('bo', may_create => true)});

# Makes the queues: two of bo, and one of al, who may add and claim jobs of "theirs".
sub create_queues
{
	my ($options) = @_;
	$node->sql(
		qq{SET ROLE bo;
		SELECT jobq.create_queue('theirs' $options),
			jobq.create_queue('own', max_running_per_group => 1);
		SELECT jobq.grant_queue('theirs', 'al', 'enqueue', 'consume');
		SET ROLE al;
		SELECT jobq.create_queue('als', max_running_per_group => 1)});
	return;
}

sub drop_queues
{
	$node->sql("SELECT jobq.drop_queue('$_', force => true)") foreach @queues;
	return;
}

# Al adds jobs of more groups than there is room for, and claims what he gets. The groups
# that run cannot leave.
sub claim_all
{
	my ($queue) = @_;
	my $all = 0;
	my $n;

	$node->sql(
		qq{SET ROLE al;
		SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb, '{5000}'),
			group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, 5000) AS n))});
	do
	{
		$n =
		  $node->sql(qq{SET ROLE al; SELECT count(*) FROM jobq.dequeue('$queue', 500, '50 min')});
		$all += $n;
	} while ($n > 0);
	note("$all groups of $queue run");
	return $all;
}

# Bo adds jobs of 40 groups to his other queue, and claims them.
sub owner_starts_ok
{
	my ($name, $prefix) = @_;
	my $all = 0;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$node->sql(
		qq{SET ROLE bo;
		SELECT count(*) FROM jobq.enqueue_many('own', array_fill('1'::jsonb, '{40}'),
			group_keys => ARRAY(SELECT '$prefix' || n FROM generate_series(1, 40) AS n))});
	ok( poll_until(
			sub {
				$all += $node->sql(
					q{SET ROLE bo; SELECT count(*) FROM jobq.dequeue('own', 40, '300 days')});
				return $all == 40;
			}),
		"$name: all groups of another queue of the owner start") or diag("$all of 40");
	return;
}

create_queues(', max_running_per_group => 1');
my $claimed = claim_all('theirs');
cmp_ok($claimed, '>', 1000, 'there is room for many groups of the queue');
cmp_ok($claimed, '<', 5000, 'there is none for all of them');
owner_starts_ok('one queue has all room', 'h');

# What the other role's jobs took is there again.
$node->sql(
	q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job
	WHERE state = 1 AND group_key LIKE 'g%'});
cmp_ok($node->sql(q{SET ROLE al; SELECT count(*) FROM jobq.dequeue('theirs', 500)}),
	'>', 100, 'groups of the first queue start again');
drop_queues();

# Then the other role's own queue makes less of what the owner may have.
create_queues(', max_running_per_group => 1');
claim_all($_) foreach qw(theirs als);
owner_starts_ok('another role has groups, too', 'h');
drop_queues();

# Groups of a queue without a limit need no room, but take it when they are found running.
create_queues('');
is(claim_all('theirs'), 5000, 'all jobs of a queue without a limit run');
owner_starts_ok('a queue without a limit', 'h');
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('own')}), '0', 'no job is left');
poll_ok(
	$node,
	q{SELECT count(*) > 1000 FROM jobq.groups WHERE queue = 'theirs' AND running > 0},
	'groups that were found running have taken room');
owner_starts_ok('after a restart', 'i');
drop_queues();

# In a transaction that it leaves open, the other role does something to as many groups of
# its queue as there is room for; then the owner does so to 20 groups of another queue.
sub exhaust
{
	my ($options, $call) = @_;
	my $session = start_session($node);

	$node->sql(
		qq{SET ROLE bo;
		SELECT jobq.create_queue(q, group_rate_limit => 1, group_rate_period => '1 h', $options)
			FROM unnest('{theirs,own}'::text[]) AS q;
		SELECT jobq.grant_queue('theirs', 'al', 'enqueue', 'consume');
		SET ROLE al;
		SELECT jobq.create_queue('als', group_rate_limit => 1, group_rate_period => '1 h',
			$options)});
	ask($session, 'SET ROLE al; BEGIN');
	foreach my $queue (qw(theirs als))
	{
		my ($n) = split /\n/,
		  ask($session,
				q{DO $$ BEGIN FOR n IN 1 .. 8000 LOOP }
			  . q{BEGIN PERFORM set_config('my.n', n::text, false); PERFORM }
			  . sprintf($call, $queue)
			  . q{; EXCEPTION WHEN out_of_memory THEN EXIT; END; END LOOP; END$$;}
			  . q{SELECT current_setting('my.n')});
		note("$n calls of the other role");
		cmp_ok($n, '>', 500, "$call: there is room for many groups of $queue");
		cmp_ok($n, '<', 8000, "there is none for all of $queue");
	}
	is( $node->sql(
				q{SET ROLE bo; DO $$ BEGIN FOR n IN 1 .. 20 LOOP PERFORM }
			  . sprintf($call, 'own')
			  . q{; END LOOP; END$$; SELECT 'done'}),
		'done',
		'there is some for groups of another queue of the owner');
	end_session($session);
	drop_queues();
	return;
}

exhaust(q{on_limit => 'wait'}, q{jobq.throttle('%s', '300 days', 'g' || n)});
exhaust(q{on_limit => 'error'}, q{jobq.enqueue('%s', group_key => 'g' || n)});

$node->stop;
done_testing();
