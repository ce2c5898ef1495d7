# t/335_groups_of_other_consumers.pl: a role that may add jobs to one queue, claim them, or
# throttle their groups leaves room for the groups of the owner's other queues.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main');

$node->sql(
	q{
	CREATE ROLE al LOGIN;
	CREATE ROLE bo LOGIN;
	SELECT jobq.grant_usage('al'), jobq.grant_usage('bo', may_create => true);
	SET ROLE bo;
	SELECT jobq.create_queue(q, max_running_per_group => 1)
		FROM unnest('{theirs,own}'::text[]) AS q;
	SELECT jobq.grant_queue('theirs', 'al', 'enqueue', 'consume')});

# More groups than there is room for: those that run cannot leave.
$node->sql(
	q{SET ROLE al;
	SELECT count(*) FROM jobq.enqueue_many('theirs', array_fill('1'::jsonb, '{8000}'),
		group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, 8000) AS n))});
my $claimed = 0;
while (
	(   my $n =
		$node->sql(q{SET ROLE al; SELECT count(*) FROM jobq.dequeue('theirs', 500, '300 days')})
	) > 0)
{
	$claimed += $n;
}
note("$claimed groups of the other role's jobs run");
cmp_ok($claimed, '>', 1000, 'there is room for many groups of the queue');
cmp_ok($claimed, '<', 8000, 'there is none for all of them');

is( $node->sql(
		q{SET ROLE bo;
		SELECT count(*) FROM jobq.enqueue_many('own', array_fill('1'::jsonb, '{40}'),
			group_keys => ARRAY(SELECT 'h' || n FROM generate_series(1, 40) AS n))}),
	'40',
	'the owner adds jobs to another queue');
is($node->sql(q{SET ROLE bo; SELECT count(*) FROM jobq.dequeue('own', 40)}),
	'40', 'all of its groups start');

# What the other role's jobs took is there again.
$node->sql(
	q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job
	WHERE state = 1 AND group_key LIKE 'g%'});
cmp_ok($node->sql(q{SET ROLE al; SELECT count(*) FROM jobq.dequeue('theirs', 500)}),
	'>', 100, 'groups of the first queue start again');
$node->sql(
	q{SET ROLE bo;
	SELECT jobq.drop_queue(q, force => true) FROM unnest('{theirs,own}'::text[]) AS q});

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
		SELECT jobq.grant_queue('theirs', 'al', 'enqueue', 'consume')});
	my ($n) = split /\n/,
	  ask($session,
			'SET ROLE al; BEGIN;'
		  . q{DO $$ BEGIN FOR n IN 1 .. 8000 LOOP }
		  . q{BEGIN PERFORM set_config('my.n', n::text, false); PERFORM }
		  . sprintf($call, 'theirs')
		  . q{; EXCEPTION WHEN out_of_memory THEN EXIT; END; END LOOP; END$$;}
		  . q{SELECT current_setting('my.n')});
	note("$n calls of the other role");
	cmp_ok($n, '>', 1000, "$call: there is room for many groups of one queue");
	cmp_ok($n, '<', 8000, 'there is none for all of them');
	is( $node->sql(
				q{SET ROLE bo; DO $$ BEGIN FOR n IN 1 .. 20 LOOP PERFORM }
			  . sprintf($call, 'own')
			  . q{; END LOOP; END$$; SELECT 'done'}),
		'done',
		'there is some for groups of another queue of the owner');
	end_session($session);
	$node->sql(
		q{SET ROLE bo;
		SELECT jobq.drop_queue(q, force => true) FROM unnest('{theirs,own}'::text[]) AS q});
	return;
}

exhaust(q{on_limit => 'wait'}, q{jobq.throttle('%s', '300 days', 'g' || n)});
exhaust(q{on_limit => 'error'}, q{jobq.enqueue('%s', group_key => 'g' || n)});

$node->stop;
done_testing();
