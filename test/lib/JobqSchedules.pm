# JobqSchedules.pm
#
# What the tests of schedules share: each schedule enqueues into a queue of its
# own name, which nobody works unless the test does. A schedule "tick" tells how
# far the coordinator has come; unschedule_all() leaves it.

package JobqSchedules;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(schedule finish unschedule_all);

# schedule($node, $name, $cron, $options): a schedule, and its queue if there is
# none. The options are those of jobq.schedule(), in SQL.
sub schedule
{
	my ($node, $name, $cron, $options) = @_;
	$node->sql(
		"SELECT jobq.create_queue('$name')
		 WHERE NOT EXISTS (SELECT FROM jobq_store.queue WHERE name = '$name')");
	return $node->sql("SELECT jobq.schedule('$name', '$cron', queue => '$name'"
		  . ($options ? ", $options" : '')
		  . ')');
}

# finish($node, $name): completes the jobs that a schedule has made.
sub finish
{
	my ($node, $name) = @_;
	return $node->sql("SELECT count(jobq.complete(id, lease)) FROM jobq.dequeue('$name', 100)");
}

# unschedule_all($node): all but "tick".
sub unschedule_all
{
	my ($node) = @_;
	$node->sql(
		"SELECT jobq.unschedule(name) FROM jobq_store.schedule
		 WHERE name <> 'tick'");
	return;
}

1;
