# t/270_due_together.pl: groups that come back into the turns together are all visited by
# the look, or the claim, that brings them back. The first ones have only jobs that
# another session is changing.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

use constant GROUPS => 9;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 0',
		'jobq.notify_interval = 0',
		'jobq.sweep_interval = 0',
		'fsync = off'
	]);
my $editor = start_session($node);
my $listener = start_session($node);
my $last = 'g' . GROUPS;

sub create_queue
{
	my ($queue, $options) = @_;
	$node->sql("SELECT jobq.create_queue('$queue', lease => '1 hour' $options)");
	ask($listener, "SELECT jobq.listen('$queue')");
	# from now on the index need not be read for groups
	claimed($queue, 1);
	return;
}

# Adds a job to each group, a microsecond apart.
sub fill
{
	my ($queue, $delay) = @_;
	$node->sql(
		"SELECT count(jobq.enqueue('$queue', group_key => 'g' || i,
				run_at => now() + interval '$delay' + i * interval '1 microsecond'))
			FROM generate_series(1, @{[GROUPS]}) AS i");
	return;
}

# Changes the waiting jobs of all groups but the last one, and does not commit.
sub hold_others
{
	my ($queue) = @_;
	ask($editor,
		"BEGIN; SELECT count(jobq.set_priority(id, 1)) FROM jobq.jobs
			WHERE queue = '$queue' AND state IN ('ready', 'scheduled') AND group_key <> '$last'");
	return;
}

sub release_others
{
	ask($editor, 'ROLLBACK');
	return;
}

# Waits until the queue is notified.
sub is_notified
{
	my ($queue, $name) = @_;
	ok(poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification "jobq.$queue"/; }, 20),
		$name);
	return;
}

# The groups of the jobs that are claimed.
sub claimed
{
	my ($queue, $n) = @_;
	return $node->sql(
		"SELECT string_agg(group_key, ' ' ORDER BY group_key) FROM jobq.dequeue('$queue', $n)");
}

create_queue('delayed', '');
fill('delayed', '3 s');
hold_others('delayed');
is_notified('delayed', 'delayed jobs: a look visits all groups');
is(claimed('delayed', 1), $last, 'delayed jobs: the free one is claimed');
release_others();

# Nobody looks before the claim.
create_queue('polled', '');
fill('polled', '2 s');
hold_others('polled');
my ($coordinator) = worker_pids($node, 'jobq coordinator');
kill('STOP', $coordinator);
poll_ok(
	$node,
	q{SELECT max(run_at) < now() FROM jobq.jobs WHERE queue = 'polled'},
	'delayed jobs: they are due',
	expected => 't');
is(claimed('polled', 1), $last, 'delayed jobs: a claim visits all groups');
kill('CONT', $coordinator);
release_others();

create_queue('throttled', '');
$node->sql(
	"SELECT count(jobq.throttle('throttled', '3 s', 'g' || i)::text)
		FROM generate_series(1, @{[GROUPS]}) AS i");
fill('throttled', '0');
hold_others('throttled');
is_notified('throttled', 'throttled groups: a look visits all of them');
is(claimed('throttled', 1), $last, 'throttled groups: the free job is claimed');
release_others();

create_queue('limited', ', max_running_per_group => 1');
fill('limited', '0');
is_notified('limited', 'full groups: there are jobs');
like(claimed('limited', 100), qr/^g1 .* $last$/, 'full groups: each runs a job');
fill('limited', '0');
is(claimed('limited', 100), '', 'full groups: no other job starts');
hold_others('limited');
$node->sql(q{SELECT jobq.alter_queue('limited', max_running_per_group => 2)});
is_notified('limited', 'a raised limit: a look visits all groups');
is(claimed('limited', 1), $last, 'a raised limit: the free job is claimed');
release_others();

end_session($editor);
end_session($listener);
$node->stop;
done_testing();
