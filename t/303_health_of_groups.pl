# t/303_health_of_groups.pl: jobs of groups that start none at the moment wait for no worker;
# health says what they wait for instead.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'jobq.max_workers = 0', 'jobq.sweep_interval = 0', 'fsync = off' ]);
$node->sql(q{CREATE ROLE eve LOGIN; SELECT jobq.grant_usage('eve')});

# Another queue of the same limit runs a job with the key.
$node->sql(
	q{SELECT jobq.create_limit('l', max_running_per_group => 1);
	SELECT jobq.create_queue('worked', shared_limit => 'l', lease => '1 h');
	SELECT jobq.enqueue('worked', group_key => 'g'); SELECT count(*) FROM jobq.dequeue('worked')});

# Queues with two jobs of group `g`: options, what keeps the group, what is told of that, and
# what is to be done.
my $dequeue = 'SELECT id FROM jobq.dequeue';
my %held = (
	full => [
		', max_running_per_group => 1',
		"$dequeue('full')",
		'info: jobs of group "g" are waiting, since the group already runs its maximum',
		q{jobq.set_group('full', 'g', max_running => ...)} ],
	own => [
		'',
		"SELECT jobq.set_group('own', 'g', max_running => 1); $dequeue('own')",
		'info: jobs of group "g" are waiting, since the group already runs its maximum',
		q{jobq.set_group('own', 'g', max_running => ...)} ],
	paused => [
		'',
		q{SELECT jobq.pause('paused', 'g')},
		'warning: jobs are waiting, since their group "g" is paused',
		q{jobq.resume('paused', 'g')} ],
	rate => [
		q{, group_rate_limit => 1, group_rate_period => '4 h'},
		"$dequeue('rate')",
		'info: jobs of group "g" wait for its rate, which allows the next start at ',
		q{jobq.set_group('rate', 'g', rate_limit => ...)} ],
	retry => [
		', max_running_per_group => 1',
		q{SELECT jobq.fail(id, lease, 'no', retry_in => '3 h') FROM jobq.dequeue('retry')},
		'info: jobs of group "g" wait for job ',
		'jobq.promote(' ],
	shared => [
		q{, shared_limit => 'l'},
		q{SELECT count(*) FROM jobq.dequeue('shared')},
		'info: jobs of group "g" are waiting, since the queues that share the limit already run',
		'jobq.alter_limit(' ],
	stopped => [
		q{, max_running_per_group => 1, group_on_failure => 'stop', max_attempts => 1},
		q{SELECT jobq.fail(id, lease, 'no') FROM jobq.dequeue('stopped')},
		'warning: jobs are waiting, since a job of their group "g" has died',
		q{jobq.resume('stopped', 'g')} ],
	throttled => [
		'',
		q{SELECT jobq.throttle('throttled', '2 h', 'g')},
		'info: jobs are waiting, since their group "g" is throttled until ',
		q{jobq.throttle('throttled', '0', 'g')} ]);

# Jobs of a queue become older.
sub age
{
	my ($queue, $condition) = @_;
	$node->sql(
		qq{UPDATE jobq_store.job SET run_at = now() - interval '1 h' FROM jobq_store.queue AS q
			WHERE q.id = queue AND q.name = '$queue' AND $condition});
	return;
}

# What a role is told of a queue.
sub told
{
	my ($role, $queue) = @_;
	my $sql = qq{SELECT string_agg(topic, ', ' ORDER BY topic) FROM jobq.health
		WHERE object = '$queue'};
	return $role eq 'superuser' ? $node->sql($sql) : as_role($node, $role, $sql);
}

foreach my $queue (sort keys %held)
{
	my ($options, $hold, $message, $hint) = @{ $held{$queue} };
	my $both = $hold =~ /\Q$dequeue/ ? 'backlog, group' : 'group, not worked';

	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '1 h' $options);
		SELECT jobq.grant_queue('$queue', 'eve', 'read');
		SELECT jobq.enqueue('$queue', group_key => 'g') FROM generate_series(1, 2);
		$hold});
	age($queue, "state <> 0");
	is(told('superuser', $queue), '', "$queue: nothing is told of jobs that wait for a moment");
	age($queue, 'true');
	is(told('superuser', $queue), 'group', "$queue: no worker is asked for");
	is(told('eve', $queue), 'group', "$queue: the same for a reader of the queue");
	my $told = $node->sql(
		qq{SELECT concat(severity, ': ', message, '; ', hint) FROM jobq.health
		WHERE object = '$queue' AND since < now() - interval '30 min'});
	like($told, qr/^\Q$message\E/, "$queue: the group is named");
	like($told, qr/\Q$hint\E/, "$queue: what is to be done");
	$node->sql("SELECT jobq.enqueue('$queue', group_key => 'other')");
	age($queue, q{group_key = 'other'});
	is(told('superuser', $queue), $both, "$queue: a job of another group waits");
	is(told('eve', $queue), $both, "$queue: a reader is told so, too");
}

# One that does not end by itself is named first.
$node->sql(
	q{SELECT jobq.set_group('paused', 'a', max_running => 1);
	SELECT jobq.enqueue('paused', group_key => 'a') FROM generate_series(1, 2);
	SELECT jobq.pause('paused', 'other');
	SELECT jobq.resume('paused', 'g');
	SELECT count(*) FROM jobq.dequeue('paused', 10)});
age('paused', 'true');
$node->sql(
	q{UPDATE jobq_store.job SET run_at = now() - interval '2 h' WHERE group_key = 'a'});
like(
	$node->sql(q{SELECT message FROM jobq.health WHERE object = 'paused' AND topic = 'group'}),
	qr/group "other" is paused/,
	'of two groups the paused one is named');
$node->sql(q{SELECT jobq.pause('paused')});
is(told('superuser', 'paused'), 'paused', 'if the queue is paused, too, that is told');

$node->stop;
done_testing();
