# t/031_held_jobs.pl: calls about leased jobs while another transaction is
# changing the job: the lease is checked when the row is locked, and no call
# waits for a claim that is not committed.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => ['fsync = off']);

# Claims a job that is there, and says its id and lease.
sub claim
{
	my ($asker, $lease) = @_;
	my ($id, $number) = split /\|/, $asker->("SELECT id, lease FROM jobq.dequeue('held'$lease)");
	chomp $number;
	return ($id, $number);
}

sub is_waiting
{
	return poll_query($node, 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted');
}

my %calls = (
	complete => 'SELECT jobq.complete(%d, %d)',
	complete_many => 'SELECT jobq.complete_many(ARRAY[%d::bigint], %d)',
	next => q{SELECT id FROM jobq.next('other', ARRAY[%d::bigint], %d)},
	fail => q{SELECT jobq.fail(%d, %d, 'no')},
	release => 'SELECT jobq.release(%d, %d)',
	heartbeat => 'SELECT jobq.heartbeat(%d, %d)');

# What the call says of a job that the lease does not hold.
sub is_refused
{
	my ($call, $answer, $name) = @_;
	return is($answer, "0\n", $name) if $call eq 'complete_many';
	return is($answer, '', $name) if $call eq 'next';
	return like($answer, qr/ERROR:  JQ001/, $name);
}

$node->sql("SELECT jobq.create_queue('held'), jobq.create_queue('other')");
my $first = start_session($node, verbosity => 'verbose');
my $second = start_session($node, verbosity => 'verbose');

# ---------------------------------------- a claim that is not committed yet

foreach my $call (sort keys %calls)
{
	$node->sql("SELECT jobq.enqueue('held', '1')");
	ask($first, 'BEGIN;');
	my ($id, $lease) = claim(sub { ask($first, $_[0] . ';') }, '');
	ask($second, "SET statement_timeout = '${\wait_limit()}s';");
	my $answer = ask($second, sprintf("$calls{$call};", $id, $lease));
	is_refused($call, $answer, "$call does not wait for an open claim");
	like($answer, qr/HINT:.*commit after dequeue/, "$call says why")
	  if $answer =~ /ERROR/;
	ask($first, 'COMMIT;');
	ask($second, "SELECT jobq.complete($id, $lease);");
	is($node->sql('SELECT count(*) FROM jobq_store.job'),
		0, "$call: the claim holds when it is committed");
}

# a job that nobody else sees
ask($first, "BEGIN; SELECT jobq.enqueue('held', '1');");
my ($new, $new_lease) = claim(sub { ask($first, $_[0] . ';') }, '');
like(
	ask($second, "SELECT jobq.heartbeat($new, $new_lease);"),
	qr/ERROR:  JQ001.*commit after dequeue/s,
	'a job that was enqueued in the same transaction');
ask($first, 'ROLLBACK;');

# taken by somebody else, with the lease of a claim that is over
$node->sql("SELECT jobq.enqueue('held', '1')");
my ($old, $old_lease) = claim(sub { $node->sql(@_) }, '');
$node->sql("SELECT jobq.release($old, $old_lease)");
ask($first, "BEGIN; SELECT payload FROM jobq.take('held');");
like(
	ask($second, "SELECT jobq.complete($old, $old_lease);"),
	qr/ERROR:  JQ001/,
	'an open take is not waited for');
ask($first, 'COMMIT;');

# what may end in anything is waited for
$node->sql("SELECT jobq.enqueue('held', '1')");
my ($busy, $busy_lease) = claim(sub { $node->sql(@_) }, '');
ask($first, "BEGIN; SELECT jobq.fail($busy, $busy_lease, 'no');");
order($second, "SELECT jobq.complete($busy, $busy_lease);");
ok(is_waiting(), 'a holder waits for a transaction that changes its job');
ask($first, 'ROLLBACK;');
is(answer($second), "\n", 'the call succeeds when the other change is rolled back');

# others are told nothing
$node->sql(
	q{CREATE ROLE stranger LOGIN; SELECT jobq.grant_usage('stranger');
	SELECT jobq.enqueue('held', '1')});
ask($first, 'BEGIN;');
my ($foreign, $foreign_lease) = claim(sub { ask($first, $_[0] . ';') }, '');
like(
	ask($second, "SET ROLE stranger; SELECT jobq.heartbeat($foreign, $foreign_lease);"),
	qr/ERROR:  42501/,
	'a role that may not consume is told only that');
ask($second, 'RESET ROLE;');
ask($first, 'COMMIT;');
$node->sql("SELECT jobq.complete($foreign, $foreign_lease)");

# ------------------------------------- a holder learns that it is cancelled

foreach my $keep ('30 days', '0')
{
	$node->sql("SELECT jobq.alter_queue('held', keep_dead => '$keep'), jobq.enqueue('held', '1')");
	my ($id, $lease) = claim(sub { $node->sql(@_) }, '');
	is($node->sql("SELECT jobq.heartbeat($id, $lease)"), 't', "keep_dead $keep: a heartbeat");
	$node->sql("SELECT jobq.cancel($id)");
	is($node->sql("SELECT jobq.heartbeat($id, $lease)"),
		'f', "keep_dead $keep: a heartbeat of a job that was cancelled");
	ask($first, "BEGIN; SELECT jobq.retry($id);");
	is($node->sql("SELECT jobq.heartbeat($id, $lease)"),
		'f', "keep_dead $keep: while somebody retries it");
	ask($first, 'ROLLBACK;');
	is( $node->sql("SELECT count(*) FROM jobq.jobs WHERE id = $id"),
		$keep eq '0' ? 0 : 1,
		"keep_dead $keep: history has the expected rows");
}

# ----------------------------- a lease that runs out while the row is locked

foreach my $call (sort keys %calls)
{
	$node->sql("SELECT jobq.enqueue('held', '1')");
	my ($id, $lease) = claim(sub { $node->sql(@_) }, ", lease => '1.5 s'");
	ask($first, "BEGIN; SELECT jobq.heartbeat($id, $lease, '1 h');");
	order($second, sprintf("$calls{$call};", $id, $lease));
	ok(is_waiting(), "$call waits for the row");
	poll_ok(
		$node,
		"SELECT lease_until < clock_timestamp() FROM jobq_store.job WHERE id = $id",
		"$call: the lease is over");
	ask($first, 'ROLLBACK;');
	is_refused($call, answer($second), "$call fails after lease_until");
	is( $node->sql(
			"SELECT count(*) FROM jobq.jobs WHERE id = $id AND state IN ('ready', 'running',
				'scheduled')"
		),
		1,
		"$call: the job still exists");
	$node->sql('SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE finished_at IS NULL');
}

foreach ($first, $second)
{
	$_->{in} .= "\\q\n";
	$_->{run}->finish;
}
done_testing();
