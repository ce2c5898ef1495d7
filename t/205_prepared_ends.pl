# t/205_prepared_ends.pl: the end of a job by COMMIT PREPARED gives its place of
# max_running back, even if another session claims the job at once; and a job whose row
# such a heartbeat moves is counted.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node =
  jobq_node('main', conf => [ 'max_prepared_transactions = 5', 'jobq.sweep_interval = 0' ]);
$node->sql(
	q{SELECT jobq.create_queue('q', max_running => 4, lease => '1h');
	SELECT count(jobq.enqueue('q')) FROM generate_series(1, 3)});

# Each claims a job, if there is one, and releases it.
my $claim = q{SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease
	FROM jobq.dequeue('q') \gset};
my $dir = PostgreSQL::Test::Utils::tempdir();
my %script = (
	plain => "$claim
\\if :id
SELECT jobq.release(:id, :lease);
\\endif
",
	prepared => "$claim
\\if :id
BEGIN;
SELECT jobq.release(:id, :lease);
PREPARE TRANSACTION 'release';
COMMIT PREPARED 'release';
\\endif
");
foreach my $name (keys %script)
{
	append_to_file("$dir/$name", $script{$name});
}
my @runs = map {
	my ($name, $clients, $transactions) = @$_;
	my ($out, $err) = ('', '');
	{
		name => $name,
		err => \$err,
		handle => IPC::Run::start(
			[
				'pgbench', '-n', '-f', "$dir/$name", '-c', $clients,
				'-t', $transactions, '-h', $node->host, '-p', $node->port,
				'postgres'
			],
			'>',
			\$out,
			'2>',
			\$err)
	}
} ([ 'prepared', 1, 4000 ], [ 'plain', 2, 12000 ]);
foreach my $run (@runs)
{
	ok($run->{handle}->finish, "$run->{name} ends of jobs") or diag(${ $run->{err} });
}
poll_ok(
	$node,
	'SELECT count(*) = 0 FROM jobq_store.flow_check()',
	'the gate counts what is running');
$node->sql(q{SELECT count(jobq.enqueue('q')) FROM generate_series(1, 10)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 10)}), '4', 'all places are left');

# A heartbeat that moves the row to another block: a count that is under way may
# miss the job, so it has the job listed, with the places in the queue and the limit.
$node->sql(
	q{SELECT jobq.create_limit('shared', max_running => 2);
	SELECT jobq.create_queue('m', max_running => 2, lease => '1h', shared_limit => 'shared');
	CREATE TABLE held (id bigint, lease bigint);
	SELECT jobq.enqueue('m', to_jsonb(repeat('x', 1500)));
	INSERT INTO held SELECT id, lease FROM jobq.dequeue('m')});
my $waiter = start_session($node, name => 'waiter');
order($waiter, q{CALL jobq.wait('{m}', '1 h')});
my $sleeps = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waiter'
	AND wait_event_type = 'Extension' AND backend_xmin IS NULL};
poll_ok($node, $sleeps, 'a session waits', expected => '1');
my $block = q{SELECT (j.ctid::text::point)[0] FROM jobq_store.job AS j JOIN held USING (id)};
my $before = $node->sql($block);
$node->sql(
	q{BEGIN; SELECT jobq.heartbeat(id, lease) FROM held, generate_series(1, 9);
	PREPARE TRANSACTION 'heartbeat'});
$node->sql(q{COMMIT PREPARED 'heartbeat'});
isnt($node->sql($block), $before, 'the row has moved');
is( $node->sql(
		q{SELECT g.counted FROM jobq_store.gates() AS g
		JOIN jobq_store.queue AS q ON q.id = g.queue WHERE q.name = 'm'}
	),
	't',
	'the job counts for the queue');
is( $node->sql(
		q{SELECT jobq_store.limit_running(id) IS NULL FROM jobq_store.limit_def
		WHERE name = 'shared'}
	),
	'f',
	'the job counts for the limit');
is($node->sql($sleeps), '1', 'the session still waits');
$node->sql(q{SELECT jobq.enqueue('m')});
ok(poll_until(sub { $waiter->{run}->pump_nb; $waiter->{out} =~ /done\n/ }, 30),
	'a commit wakes it for its job');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('m', 9)}), '1', 'the limits hold');
end_session($waiter);
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.flow_check()', 'nothing is lost');

# -------------------------------------------- a lease that a heartbeat shortens

$node->sql(
	q{SELECT jobq.create_queue('short', lease => '10 min'); SELECT jobq.enqueue('short');
	CREATE TABLE shortened AS SELECT id, lease FROM jobq.dequeue('short')});
$node->sql(
	q{BEGIN; SELECT jobq.heartbeat(id, lease, '300 ms') FROM shortened;
	PREPARE TRANSACTION 'shortened'});
$node->sql(q{COMMIT PREPARED 'shortened'});
poll_ok(
	$node,
	q{SELECT state = 'ready' FROM jobq.jobs WHERE queue = 'short'},
	'a lease that a prepared heartbeat has shortened ends');

$node->stop;
done_testing();
