# t/277_gone_from_groups.pl: groups of a queue with batch_wait leave the turns when their
# jobs are gone, or ahead: claims and looks do not go over them again.

use strict;
use warnings;

use JobqTest;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'jobq.max_workers = 0', 'jobq.sweep_interval = 0', 'fsync = off' ]);

$node->sql(
	q{SELECT jobq.create_queue('batches', batch_size => 2, batch_wait => '1 h');
	SELECT count(*) FROM jobq.dequeue('batches')});

# Adds a full batch to each of 20 groups.
sub fill
{
	my ($options) = @_;
	$node->sql(
		"SELECT count(*) FROM jobq.enqueue_many('batches', array_fill('1'::jsonb, '{40}'),
			group_keys => ARRAY(SELECT 'g' || i % 20 FROM generate_series(1, 40) AS i) $options)");
	return;
}

# Calls a function for each job that has not started.
sub each_job
{
	my ($call) = @_;
	$node->sql(
		"SELECT count(jobq.$call) FROM jobq.jobs
		WHERE queue = 'batches' AND state IN ('ready', 'scheduled')");
	return;
}

sub claimed
{
	return $node->sql(q{SELECT count(*) FROM jobq.dequeue('batches', 2)});
}

# What is said of the groups in memory.
my $groups = q{SELECT coalesce(string_agg(DISTINCT why, ' '), 'none') FROM jobq.groups
	WHERE queue = 'batches'};

fill('');
is($node->sql($groups), 'ready', 'there are jobs');
each_job('cancel(id)');
is(claimed(), '0', 'cancelled: none is left');
is($node->sql($groups), 'none', 'cancelled: the groups have left with a claim');

fill('');
each_job('cancel(id)');
$node->sql(q{SELECT jobq.alter_queue('batches', batch_wait => '2 h')});
poll_ok($node, $groups, 'cancelled: the groups leave with a look', expected => 'none');

fill(q{, ttl => '1 s'});
poll_ok(
	$node,
	q{SELECT count(*) FROM jobq.jobs WHERE queue = 'batches' AND state = 'ready'},
	'expired: none is left',
	expected => '0');
is(claimed(), '0', 'expired: none is claimed');
is($node->sql($groups), 'none', 'expired: the groups have left');

fill('');
each_job(q{reschedule(id, now() + interval '1 day')});
is(claimed(), '0', 'moved: none is ready');
is($node->sql($groups), 'scheduled', 'moved: the groups wait until one is');
each_job('promote(id)');
is(claimed(), '2', 'moved back: a batch starts');
$node->sql(
	q{SELECT count(jobq.complete(id, lease)) FROM jobq_store.job WHERE lease_until IS NOT NULL});
each_job('cancel(id)');
is(claimed(), '0', 'moved back and cancelled: none is left');

# Others are found as before.
fill('');
is($node->sql(q{CALL jobq.wait('{batches}', '0')}), 't', 'jobs that are added later are seen');
my $n = 0;
$n += claimed() for 1 .. 20;
is($n, '40', 'all of them are claimed');

$node->stop;
done_testing();
