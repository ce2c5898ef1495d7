# t/262_blocked_groups.pl: what is in the way of groups, and how often it is looked at.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.notify_interval = 0',
		'jobq.sweep_interval = 0',
		'fsync = off'
	]);
my $holder = start_session($node);

sub take
{
	return $node->sql(q{SELECT count(*) FROM jobq.take('serial', 10)});
}

# The coordinator looks at the group's first job less and less often.
sub rests
{
	my ($name) = @_;
	return poll_ok(
		$node,
		q{SELECT next_at > now() + '3 s' FROM jobq.groups WHERE queue = 'serial'},
		"$name: its group is looked at less often");
}

$node->sql(
	q{SELECT jobq.create_queue('serial', max_running_per_group => 1);
	SELECT jobq.enqueue('serial', group_key => 'g')});

# A session has locked the job by itself, and tells nobody when that is over.
ask($holder, 'BEGIN; SELECT FROM jobq_store.job FOR UPDATE');
is(take(), '0', 'a job that a session has locked is not taken');
rests('a lock by hand');
my $listener = $node->background_psql('postgres');
$listener->query_safe("SELECT jobq.listen('serial')");
ask($holder, 'ROLLBACK');
ok( poll_until(
		sub { return $listener->query_safe('SELECT 1') =~ /notification "jobq.serial"/ }, 60),
	'the end of a lock by hand is noticed');
$listener->quit;

# A transaction of jobq does.
ask($holder, 'BEGIN; SELECT jobq.set_priority(id, 5) FROM jobq_store.job');
is(take(), '0', 'a job that is being moved is not taken');
rests('a move');
ask($holder, 'ROLLBACK');
is(take(), '1', 'it is when the move was rolled back');

# The running jobs of the queue are not known, and nobody counts them.
my $coordinator = wait_for_worker($node, 'jobq coordinator');
END { kill('CONT', $coordinator) if $coordinator; }
$node->sql(
	q{SELECT jobq.create_queue('late', lease => '2 hours');
	SELECT jobq.enqueue('late', group_key => 'a'), jobq.enqueue('late', group_key => 'b');
	SELECT count(*) FROM jobq.dequeue('late')});
kill('STOP', $coordinator);
$node->sql(q{SELECT jobq.alter_queue('late', max_running_per_group => 1)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('late')}), '0', 'groups must be counted first');
is($node->sql(q{SELECT why FROM jobq.groups WHERE queue = 'late' AND group_key = 'b'}),
	'not counted', 'the view says so');
kill('CONT', $coordinator);
$coordinator = 0;
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.dequeue('late')},
	'when they are counted, a job starts',
	expected => '1');

end_session($holder);
$node->stop;
done_testing();
