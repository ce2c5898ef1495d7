# t/257_group_options.pl: groups that are paused, or have options of their own: what
# is said of them holds for executors, too, and over restarts and dumps; workers are
# woken when it ends.  There are no sweeps.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(2, 'max_prepared_transactions = 5', 'fsync = off');
$node->sql(
	q{
	CREATE TABLE done (grp text, n int);
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE sql AS $$
		INSERT INTO public.done VALUES (j.group_key, (j.payload)::int) $$;
	SELECT jobq.create_queue('q', 'work(jobq.job)')});

# How many jobs of a group are done.
sub done
{
	my ($group) = @_;
	return $node->sql("SELECT count(*) FROM done WHERE grp = '$group'");
}

sub add
{
	my ($group, $n) = @_;
	$node->sql(
		"SELECT count(jobq.enqueue('q', to_jsonb(i), group_key => '$group'))
		FROM generate_series(1, $n) AS i"
	);
	return;
}

# Jobs of another group run, although those of the paused one came first.
sub others_run
{
	my ($what) = @_;
	my $before = done('other');
	add('other', 3);
	ok(poll_query($node, "SELECT count(*) = $before + 3 FROM done WHERE grp = 'other'"),
		"$what: others run");
	return;
}

$node->sql(q{SELECT jobq.pause('q', 'a')});
add('a', 5);
others_run('paused');
is(done('a'), 0, 'paused: no job of the group has started');
$node->restart;
others_run('after a restart');
is(done('a'), 0, 'after a restart: no job of the group has started');
add('a', 1);
$node->sql(q{SELECT jobq.resume('q', 'a')});
ok(poll_query($node, q{SELECT count(*) = 6 FROM done WHERE grp = 'a'}),
	'resumed: workers are woken, and find all jobs');

# pause() that is rolled back, and one that is prepared
$node->sql(q{BEGIN; SELECT jobq.pause('q', 'b'); ROLLBACK});
add('b', 1);
ok(poll_query($node, q{SELECT count(*) = 1 FROM done WHERE grp = 'b'}), 'rolled back: it runs');
$node->sql(q{BEGIN; SELECT jobq.pause('q', 'b'); PREPARE TRANSACTION 'p'});
add('b', 1);
ok(poll_query($node, q{SELECT count(*) = 2 FROM done WHERE grp = 'b'}), 'prepared: it runs');
$node->sql(q{COMMIT PREPARED 'p'});
add('b', 2);
others_run('prepared');
is(done('b'), 2, 'prepared: it runs until the commit, and not then');
$node->sql(q{BEGIN; SELECT jobq.resume('q', 'b'); PREPARE TRANSACTION 'r'});
$node->sql(q{COMMIT PREPARED 'r'});
ok(poll_query($node, q{SELECT count(*) = 4 FROM done WHERE grp = 'b'}),
	'resumed by COMMIT PREPARED');

# a waiting session is woken
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query ~ '^CALL' AND wait_event_type = 'Extension'};
$node->sql(
	q{SELECT jobq.create_queue('ext', lease => '1 day', max_running_per_group => 1);
	SELECT jobq.pause('ext', 'a');
	SELECT jobq.enqueue('ext', group_key => 'a'), jobq.enqueue('ext', group_key => 'a')});
my $session = start_session($node);
order($session, q{CALL jobq.wait('{ext}', '5 min')});
poll_query($node, $waits);
$node->sql(q{SELECT jobq.resume('ext', 'a')});
answer($session);
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 10)}), 1, 'one may run');

# a higher limit lets in more at once
order($session, q{CALL jobq.wait('{ext}', '5 min')});
poll_query($node, $waits);
$node->sql(q{SELECT jobq.set_group('ext', 'a', max_running => 2)});
answer($session);
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 10)}), 1, 'two may run');
end_session($session);
is($node->sql('SELECT count(*) FROM jobq_store.flow_check()'), 0, 'flow_check');

done_testing();
