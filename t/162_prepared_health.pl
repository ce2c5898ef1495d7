# t/162_prepared_health.pl: what jobq.health says of prepared transactions that
# have locks on the tables of jobq.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'max_prepared_transactions = 5', 'jobq.health_transaction_age = 0' ]);
$node->create_clock;
$node->sql(
	q{CREATE ROLE mallory; CREATE ROLE ben;
	SELECT jobq.grant_usage(r) FROM unnest('{mallory,ben}'::regrole[]) AS r;
	SELECT jobq.create_queue('q')});

sub findings
{
	my ($topic, $role) = @_;
	return $node->sql(
		qq{SET ROLE $role; SELECT object, message, hint FROM jobq.health
		WHERE topic = '$topic' ORDER BY object});
}

# of the role mallory, with this work
sub prepare
{
	my ($gid, $work) = @_;
	$node->sql("SET SESSION AUTHORIZATION mallory; BEGIN; $work; PREPARE TRANSACTION '$gid'");
	return;
}

prepare('reader', 'LOCK TABLE jobq.jobs IN ACCESS SHARE MODE');
like(
	findings('prepared transaction', 'postgres'),
	qr/^reader\|the transaction is prepared, and keeps dead rows/,
	'a transaction that has only read holds no job');
$node->sql("ROLLBACK PREPARED 'reader'");

$node->sql(q{SELECT jobq.grant_queue('q', 'mallory', 'enqueue')});
prepare('writer', q{SELECT jobq.enqueue('q')});
like(
	findings('prepared transaction', 'postgres'),
	qr/^writer\|the transaction is prepared, holds jobs, and keeps dead rows/,
	'one that has made a job does');
$node->sql("ROLLBACK PREPARED 'writer'");

# the lock is on all segments of history, which has a job
$node->sql(q{SELECT jobq.enqueue('q')});
$node->sql(q{SELECT jobq.complete(id, lease) FROM jobq.dequeue('q')});
prepare('reader', 'LOCK TABLE jobq.jobs IN ACCESS SHARE MODE');
is(findings('history', 'postgres'), '', 'it is in nobody\'s way as long as no segment is due');
$node->advance_clock('20 h');
my $finding =
	'prepared transaction reader|a prepared transaction of role "mallory"'
  . ' keeps the oldest segment of history from being emptied'
  . '|Use COMMIT PREPARED or ROLLBACK PREPARED.';
poll_ok(
	$node,
	q{SELECT EXISTS (SELECT FROM jobq.health WHERE topic = 'history')},
	'then it is in the way');
is(findings('history', 'postgres'), $finding, '... which an administrator is told');
is(findings('history', 'mallory'), $finding, '... and the role itself');
is( findings('history', 'ben'),
	'|transactions of other roles keep the oldest segment of history from being emptied'
	  . '|Members of pg_read_all_stats can see whose they are.',
	'... others do not learn whose it is');
$node->sql("ROLLBACK PREPARED 'reader'");
poll_ok(
	$node,
	q{SELECT NOT EXISTS (SELECT FROM jobq.health WHERE topic = 'history')},
	'it is gone, and the segment emptied');

done_testing();
