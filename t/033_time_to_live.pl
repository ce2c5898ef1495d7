# t/033_time_to_live.pl: the time to live of jobs that are moved, replaced,
# given back: it counts from when the job may run, and is over for good once the
# job was started.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['fsync = off']);
$node->create_clock;

# Waits until a job is in a state.
sub becomes
{
	my ($id, $state, $name) = @_;
	return poll_ok($node, "SELECT state = '$state' FROM jobq.jobs WHERE id = $id", $name);
}

# What is left of a job's time to live when it may run.
sub ttl
{
	my ($id) = @_;
	return $node->sql("SELECT expires_at - run_at FROM jobq.jobs WHERE id = $id");
}

$node->sql("SELECT jobq.create_queue('ttl')");

# ----------------------------------------------------------------- moved

my $later = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 min')");
is($node->sql("SELECT jobq.reschedule($later, now() + interval '1 hour')"),
	't', 'a job is moved an hour ahead');
is(ttl($later), '00:01:00', 'the time to live moves with the job');

my $sooner = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 min', delay => '1 hour')");
is($node->sql("SELECT jobq.promote($sooner)"), 't', 'a job is promoted');
is(ttl($sooner), '00:01:00', 'the time to live of a promoted job begins now');
$node->advance_clock('2 min');
becomes($sooner, 'expired', 'the moved job expires soon');

$sooner = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 min', delay => '1 hour')");
$node->sql("SELECT jobq.reschedule($sooner, clock.advance('0'))");
is(ttl($sooner), '00:01:00', 'so does that of a job that is rescheduled to now');
$node->advance_clock('2 min');
becomes($sooner, 'expired', 'a job that is rescheduled to now expires soon');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $later"),
	'scheduled', 'the earlier time to live does not expire the job');

my $end = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 day', run_at => now() + '1 day')");
$node->sql("SELECT jobq.reschedule($end, '294276-12-31 23:59:59+00')");
is($node->sql("SELECT expires_at IS NULL FROM jobq.jobs WHERE id = $end"),
	't', 'after the end of time a job does not expire');

# -------------------------------------------------------------- replaced

my $replaced = $node->sql("SELECT jobq.enqueue('ttl', '1', unique_key => 'k', ttl => '1 hour')");
is( $node->sql(
		"SELECT jobq.enqueue('ttl', '2', unique_key => 'k', on_conflict => 'replace',
			ttl => '300 ms')"
	),
	$replaced,
	'a job is replaced by one that expires earlier');
becomes($replaced, 'expired', 'the replacing job expires');
isnt($node->sql("SELECT jobq.enqueue('ttl', '3', unique_key => 'k')"),
	$replaced, "the expired job's key is free");
$node->sql("SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE finished_at IS NULL");

# ----------------------------------------------------- started in time

# Starts a job in time and does something to it when its time would be over.
sub started
{
	my ($what) = @_;
	my $id = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 min')");
	my $held = $node->sql("SELECT lease FROM jobq.dequeue('ttl', lease => '1 hour')");
	$node->advance_clock('2 min');
	$node->sql($what =~ s/:id/$id/r =~ s/:lease/$held/r);
	return $id;
}

foreach my $what (
	[ 'released', 'SELECT jobq.release(:id, :lease)', 1 ],
	[ 'failed', q{SELECT jobq.fail(:id, :lease, 'x', retry_in => '0')}, 2 ],
	[ 'lost', q{SELECT clock.advance('1 hour')}, 2 ])
{
	my ($name, $call, $attempt) = @$what;
	my $id = started($call);
	my $again =
	  $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 ms', run_at => now() - interval '1 day')");
	becomes($again, 'expired', "$name: the coordinator has looked");
	becomes($id, 'ready', "$name: a job that was started in time is there still");
	is($node->sql("SELECT attempt, jobq.complete(id, lease) FROM jobq.dequeue('ttl')"),
		"$attempt|", "$name: the job runs again");
}

# a transaction that is rolled back has started nothing
my $taken = $node->sql("SELECT jobq.enqueue('ttl', ttl => '1 min')");
is( $node->sql(
		qq{BEGIN; SELECT id FROM jobq.take('ttl');
		SELECT clock.advance('2 min') IS NULL; ROLLBACK}),
	"$taken\nf",
	'a job is taken, and given back by a rollback');
becomes($taken, 'expired', 'it expires as if it had never been taken');

# --------------------------------------------- replaced while it waits

my $backoff = $node->sql("SELECT jobq.enqueue('ttl', '1', unique_key => 'b', ttl => '1 hour')");
$node->sql("SELECT jobq.fail(id, lease, 'x', retry_in => '1 hour') FROM jobq.dequeue('ttl')");
is( $node->sql(
		"SELECT jobq.enqueue('ttl', '2', unique_key => 'b', on_conflict => 'replace',
			ttl => '300 ms')"
	),
	$backoff,
	'a job that has failed is replaced');
is( $node->sql(
		"SELECT payload, attempt, run_at > now() + interval '59 min', expires_at IS NULL
			FROM jobq.jobs WHERE id = $backoff"
	),
	'2|1|t|t',
	'the replaced job keeps its attempts and its backoff, and does not expire');
$node->sql(
	"SELECT jobq.enqueue('ttl', '3', unique_key => 'b', on_conflict => 'replace', delay => '1 day')"
);
is($node->sql("SELECT run_at > now() + interval '23 hours' FROM jobq.jobs WHERE id = $backoff"),
	't', 'replacing a job may move it to a later run_at');

done_testing();
