# t/303_health_of_groups.pl: jobs of groups that start none for now wait for no worker, and
# health does not ask for one.

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

# Group `g` of a queue with two jobs, or three with "other", and what keeps it.
my %held = (
	full => q{SELECT count(*) FROM jobq.dequeue('full')},
	own => q{SELECT jobq.set_group('own', 'g', max_running => 1);
		SELECT count(*) FROM jobq.dequeue('own')},
	throttled => q{SELECT jobq.throttle('throttled', '2 h', 'g')},
	retry => q{SELECT jobq.fail(id, lease, 'no', retry_in => '3 h') FROM jobq.dequeue('retry')},
	paused => q{SELECT jobq.pause('paused', 'g')},
	shared => q{SELECT count(*) FROM jobq.dequeue('shared')});
my $told = q{SELECT string_agg(topic, ' ') FROM jobq.health WHERE object = };

foreach my $queue (sort keys %held)
{
	my $options = $queue =~ /full|retry/ ? ', max_running_per_group => 1' : '';
	$options = q{, shared_limit => 'l'} if $queue eq 'shared';
	$node->sql(
		qq{SELECT jobq.create_queue('$queue', lease => '1 h' $options);
		SELECT jobq.grant_queue('$queue', 'eve', 'read');
		SELECT jobq.enqueue('$queue', group_key => 'g') FROM generate_series(1, 2);
		$held{$queue};
		UPDATE jobq_store.job SET run_at = now() - interval '1 h' FROM jobq_store.queue AS q
			WHERE q.id = queue AND q.name = '$queue'});
	is($node->sql("$told '$queue'"), '', "$queue: a superuser is not told that jobs wait");
	is(as_role($node, 'eve', "$told '$queue'"), '', "$queue: a reader of the queue is not either");
	$node->sql(
		qq{SELECT jobq.enqueue('$queue', group_key => 'other');
		UPDATE jobq_store.job SET run_at = now() - interval '1 h' FROM jobq_store.queue AS q
			WHERE q.id = queue AND q.name = '$queue' AND group_key = 'other'});
	isnt($node->sql("$told '$queue'"), '', "$queue: a job of another group waits");
	isnt(as_role($node, 'eve', "$told '$queue'"), '', "$queue: a reader is told so, too");
}

$node->stop;
done_testing();
