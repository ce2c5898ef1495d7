# t/050_queue_names.pl: everything that knows a queue by its name, when the
# queue is renamed or changed by two-phase commit.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => ['max_prepared_transactions = 2']);

# ----------------------------------------------------------- sessions in wait

$node->sql(q{SELECT jobq.create_queue('old'), jobq.create_queue('other')});
my $waiter = start_order($node, q{CALL jobq.wait('{other,old}', NULL)});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL%'
		AND wait_event = 'Extension'
	OR wait_event = 'JobqWait'}, 'a session waits for jobs');
$node->sql(q{BEGIN; SELECT jobq.rename_queue('old', 'new'); ROLLBACK});
$node->sql(q{SELECT jobq.rename_queue('old', 'new')});
like(
	last_answer($waiter),
	qr/ERROR:  42704: queue "old" does not exist/,
	'a session that waits for the old name is told that it is gone');

$waiter = start_order($node, q{CALL jobq.wait('{new}', NULL)});
$node->sql(q{SELECT jobq.enqueue('new')});
like(last_answer($waiter), qr/^t$/m, 'a session that waits for the new name hears of a job');

# ------------------------------------------------------------------- channels

my $out = $node->sql(
	q{SELECT jobq.listen('new');
	SELECT jobq.rename_queue('new', 'newest');
	SELECT jobq.unlisten('new'), jobq.listen('newest');
	SELECT string_agg(c, ' ') FROM pg_listening_channels() AS c});
is((split(/\n/, $out))[-1], 'jobq.newest', 'unlisten takes the old name, listen the new one');
my $listener = start_session($node);
ask($listener, q{SELECT jobq.listen('newest')});
$node->sql(q{SELECT jobq.enqueue('newest')});
ok(poll_until(sub { return ask($listener, 'SELECT 1') =~ /notification "jobq.newest"/ }),
	'notifications go to the channel of the new name');
end_session($listener);

# ------------------------------------------------------------------- handlers

$node->sql(
	q{CREATE TABLE done (queue text);
	CREATE FUNCTION handle(j jobq.job) RETURNS void
		LANGUAGE sql AS 'INSERT INTO done VALUES (j.queue)';
	SELECT jobq.create_queue('handled', 'handle(jobq.job)');
	SELECT jobq.enqueue('handled')});
poll_ok($node, 'SELECT count(*) = 1 FROM done', 'an executor runs');
$node->sql(q{SELECT jobq.rename_queue('handled', 'renamed'); SELECT jobq.enqueue('renamed')});
poll_ok(
	$node,
	q{SELECT string_agg(queue, ' ' ORDER BY queue) = 'handled renamed' FROM done},
	'executors keep running, and jobs see the new name');

# --------------------------------------------- dropped while it is renamed

$node->sql(
	q{SELECT jobq.create_queue('kept'); SELECT jobq.enqueue('kept') FROM generate_series(1, 3)});
my $renamer = start_session($node);
ask($renamer, q{BEGIN; SELECT jobq.rename_queue('kept', 'saved')});
my $dropper =
  start_order($node, q{SELECT jobq.drop_queue('kept', force => true, if_exists => true)});
poll_ok(
	$node,
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT jobq.drop_queue%'
		AND wait_event_type = 'Lock'},
	'a queue is being renamed while another session wants to drop it');
ask($renamer, 'COMMIT');
end_session($renamer);
like(last_answer($dropper), qr/ERROR:  42704/, 'the renamed queue is not dropped');
is($node->sql(q{SELECT count(*) FROM jobq.jobs WHERE queue = 'saved'}),
	'3', 'the queue that was not dropped keeps its jobs');

# ---------------------------------------------------------- two-phase commit

# who has waited for a prepared transaction sees what it has done, though its
# commit tells others only a moment later
$node->sql(
	q{CREATE ROLE alice LOGIN; SELECT jobq.grant_usage('alice');
	SELECT jobq.grant_queue('other', 'alice', 'enqueue', 'manage')});
foreach my $call (q{pause('other')}, q{enqueue('other', unique_key => 'k')})
{
	$node->sql(q{SELECT jobq.grant_queue('other', 'alice', 'enqueue', 'manage')});
	$node->sql(
		q{BEGIN; SELECT jobq.enqueue('other', unique_key => 'k');
		SELECT jobq.revoke_queue('other', 'alice', 'enqueue', 'manage');
		PREPARE TRANSACTION 'revoke'});
	my $alice = start_order($node, "SET SESSION AUTHORIZATION alice; SELECT jobq.$call");
	poll_ok($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'},
		"$call waits");
	$node->sql(q{COMMIT PREPARED 'revoke'});
	like(last_answer($alice), qr/ERROR:  42501/, "$call fails when the privilege was revoked");
	$node->sql('TRUNCATE jobq_store.job');
}

# Both names of a role's queue for commands are taken, by roles of former names.
$node->sql(q{CREATE ROLE first LOGIN; CREATE ROLE second LOGIN});
my $second = $node->sql(q{SELECT 'second'::regrole::oid});
$node->sql(
	qq{CREATE ROLE "first:$second" LOGIN;
	SELECT jobq.grant_usage(r::regrole, true)
	FROM unnest('{first,second,"\\"first:$second\\""}'::text[]) AS r;
	SET SESSION AUTHORIZATION "first:$second"; SELECT jobq.run('SELECT 1');
	SET SESSION AUTHORIZATION first; SELECT jobq.run('SELECT 1')});
$node->sql(q{ALTER ROLE first RENAME TO former; ALTER ROLE second RENAME TO first});
$node->sql(
	q{SET statement_timeout = '20s'; SET SESSION AUTHORIZATION first; SELECT jobq.run('SELECT 1')});
is($node->sql(qq{SELECT queue FROM jobq.queues WHERE owner = 'first'::regrole}),
	"run:first:$second:2", 'run() finds a name where both of the usual ones are taken');

$node->stop;
done_testing();
