# t/191_max_running_kills.pl: max_running over kills, restarts, prepared
# transactions, the extension's end, too little memory, and without a
# coordinator: the limit is never exceeded, and none of its places is lost.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4, 'max_prepared_transactions = 5');
$node->create_clock;

# How many of the queue's jobs are running.
sub running
{
	my ($queue) = @_;
	return $node->sql(
		"SELECT count(*) FROM jobq.jobs WHERE queue = '$queue' AND state = 'running'");
}

# The queue is filled exactly up to its limit, and what it ran is ended.
sub fills
{
	my ($queue, $limit, $name) = @_;
	poll_until(
		sub {
			$node->sql("SELECT count(*) FROM jobq.dequeue('$queue', 99, lease => '1 h')");
			return running($queue) >= $limit;
		},
		30);
	is(running($queue), $limit, "$name: exactly $limit run");
	limits_settled($node, $name);
	return;
}

sub end_all
{
	my ($queue) = @_;
	$node->sql(
		"SELECT jobq.complete(j.id, j.lease) FROM jobq_store.job AS j JOIN jobq_store.queue AS q
		ON q.id = j.queue AND q.name = '$queue' WHERE j.state = 1 ORDER BY j.id");
	return;
}

# "q" and its leases stay over all that follows.
$node->sql(
	q{SELECT jobq.create_queue('q', max_running => 3, max_attempts => 100);
	SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, '{300}'));
	SELECT count(*) FROM jobq.dequeue('q', 2, lease => '1 h');
	CREATE FUNCTION nap(j jobq.job) RETURNS void LANGUAGE sql AS
		'SELECT pg_sleep((j.payload)::text::float8)';
	CREATE PROCEDURE nap_alone(j jobq.job) LANGUAGE plpgsql AS $$
		BEGIN PERFORM public.nap(j); END$$;
	CREATE TABLE claim (id bigint, lease bigint)});

# Kills.
my %kill = (
	'a client' => sub {
		my $session = start_session($node);
		my $pid = ask(
			$session, q{BEGIN; SELECT count(*) FROM jobq.take('q', 1);
			SAVEPOINT s; SELECT count(*) FROM jobq.dequeue('q'); SELECT pg_backend_pid()});
		$pid =~ s/\s*\z//;
		kill_9($node, $pid =~ s/.*\n//sr);
		eval { $session->{run}->finish };
	},
	'the coordinator' => sub { kill_9($node, wait_for_worker($node, 'jobq coordinator')); },
	'immediate stop' => sub { $node->stop('immediate'); $node->start; },
	'restart' => sub { $node->restart; });
foreach my $who (sort keys %kill)
{
	$kill{$who}->();
	is(running('q') >= 2, 1, "$who: the leases are still there");
	fills('q', 3, $who);
	$node->sql(
		q{SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
		WHERE state = 1 ORDER BY id LIMIT 1) AS j});
	limits_settled($node, "$who, one less");
}

# Executors: killed, and terminated.
foreach my $handler ('nap', 'nap_alone')
{
	foreach my $way ('kill', 'terminate')
	{
		my $queue = "${handler}_$way";
		my $sleeping = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'jobq executor'"
		  . " AND wait_event = 'PgSleep'";
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', '$handler(jobq.job)', max_running => 2,
				max_attempts => 5,
				backoff => 'fixed', backoff_base => '0 s');
			SELECT jobq.enqueue('$queue', '600') FROM generate_series(1, 3)}
		);
		poll_ok($node, $sleeping, "$queue: two run", expected => '2');
		my $pid = $node->sql($sleeping =~ s/count\(\*\)/pid/r . ' LIMIT 1');
		if   ($way eq 'kill') { kill_9($node, $pid); }
		else                  { $node->sql("SELECT pg_terminate_backend($pid, 60000)"); }
		poll_ok($node, "$sleeping AND pid <> $pid", "$queue: two run again", expected => '2');

		if ($handler eq 'nap_alone')
		{
			is(running($queue), 2, "$queue: not more than the limit");
		}
		$node->sql("SELECT jobq.drop_queue('$queue', force => true)");
		poll_ok($node, $sleeping, "$queue: none runs", expected => '0');
		limits_settled($node, $queue);
	}
}
fills('q', 3, 'another queue meanwhile');

# Prepared ends of jobs, finished before and after restarts.
foreach my $restart ('', 'fast', 'immediate')
{
	foreach my $end ('COMMIT', 'ROLLBACK')
	{
		my $name = "$end PREPARED" . ($restart ? " after $restart stop" : '');
		$node->sql(
			q{BEGIN; SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
			WHERE state = 1 ORDER BY id LIMIT 1) AS j; PREPARE TRANSACTION 'x'});
		if ($restart) { $node->stop($restart); $node->start; }
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}), '0', "$name: not yet");
		limits_settled($node, "$name, prepared");
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}), '0', "$name: not yet");
		$node->sql("$end PREPARED 'x'");
		limits_settled($node, $name);
		fills('q', 3, $name);
	}
}

# Prepared claims, of a queue without a limit: they count when one is set.
foreach my $restart ('', 'immediate')
{
	my $queue = "p$restart";
	$node->sql(
		qq{SELECT jobq.create_queue('$queue');
		SELECT jobq.enqueue('$queue') FROM generate_series(1, 9);
		BEGIN; SELECT count(*) FROM jobq.dequeue('$queue', 2, lease => '1 h');
		PREPARE TRANSACTION 'p'});
	if ($restart) { $node->stop($restart); $node->start; }
	$node->sql("COMMIT PREPARED 'p'");
	$node->sql("SELECT jobq.alter_queue('$queue', max_running => 3)");
	fills($queue, 3, "prepared claims $restart");
	end_all($queue);
}

# The extension is dropped with leases out, and made again: the old tickets are
# not the new queue's, which has the same id.
my $holder = start_session($node);
ask($holder, q{SELECT count(*) FROM jobq.dequeue('q', 1)});
$node->sql('DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq');
$node->sql(
	q{SELECT jobq.create_queue('q', max_running => 2);
	SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, '{50}'))});
fills('q', 2, 'another extension');
end_all('q');
limits_settled($node, 'another extension, at rest');
is($node->sql(q{SELECT running FROM jobq_store.gates()}), '0', 'no ticket is out');
end_session($holder);

# The same in one transaction: what it ends and claims is of its own installation.
$node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 1)});
$node->sql(
	q{BEGIN; SELECT count(*) FROM jobq.take('q', 1); DROP EXTENSION jobq CASCADE; ROLLBACK;
	BEGIN; DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq; ROLLBACK});
fills('q', 2, 'a drop that is rolled back');
$node->sql(
	q{BEGIN; DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq;
	SELECT jobq.create_queue('q', max_running => 2);
	SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, '{50}'));
	SELECT count(*) FROM jobq.dequeue('q', 1, lease => '1 h'); COMMIT});
fills('q', 2, 'a drop, and a new one with a claim');
end_all('q');
limits_settled($node, 'the new one, at rest');

# A dropped database, and one of the same name.
for my $round (1, 2)
{
	$node->sql('CREATE DATABASE d');
	create_extension($node, 'd');
	is( $node->sql(
			q{SELECT jobq.create_queue('q', max_running => 2);
			SELECT jobq.enqueue('q') FROM generate_series(1, 5);
			SELECT 'claimed ' || count(*) FROM jobq.dequeue('q', 9)}, 'd') =~ s/.*\n//sr,
		'claimed 2',
		"database $round: no more than the limit");
	$node->sql('DROP DATABASE d WITH (FORCE)');
}

# No coordinator: claims count, and end leases, by themselves.
$node->append_conf('postgresql.conf', 'jobq.enabled = off');
$node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 1, lease => '1 h')});
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9, lease => '1 min')}),
	'1', 'no coordinator: what runs is counted');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}),
	'0', 'no coordinator: the gate is shut');
$node->advance_clock('2 min');
ok( poll_until(
		sub {
			return $node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9, lease => '1 h')}) eq '1';
		}),
	'no coordinator: a lease that is over is ended');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 9)}), '0', 'no coordinator: one place');
end_all('q');
limits_settled($node, 'no coordinator');

# As little memory as there can be.
$node->append_conf('postgresql.conf', "jobq.enabled = on\njobq.shared_memory = 0");
my $least = $node->sql(q{SELECT min_val FROM pg_settings WHERE name = 'jobq.shared_memory'});
$node->append_conf('postgresql.conf', "jobq.shared_memory = $least");
$node->restart;
$node->sql(
	q{SELECT jobq.alter_queue('q', max_running => 100000);
	SELECT count(*) FROM jobq.enqueue_many('q', array_fill('1'::jsonb, '{40000}'))});
my $err = sql_error(
	$node, q{SELECT count(*) FROM jobq.dequeue('q', 10000, lease => '1 h')
	UNION ALL SELECT count(*) FROM jobq.dequeue('q', 10000, lease => '1 h')
	UNION ALL SELECT count(*) FROM jobq.dequeue('q', 10000, lease => '1 h')});
like($err, qr/53200.*no shared memory left for a claim/, 'no room for leases');
limits_settled($node, 'no room');
# jobs without places in the registry, of before the limit
$node->sql(
	q{SELECT jobq.reset_queue('q', 'max_running');
	SELECT count(*) FROM jobq.dequeue('q', 10000, lease => '30 min');
	SELECT count(*) FROM jobq.dequeue('q', 10000, lease => '30 min');
	SELECT jobq.alter_queue('q', max_running => 20001)});
my $more = $node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 10)});
diag("with $least kB: $more");
cmp_ok(running('q'), '<=', 20001, 'no more than the limit, whatever is listed');
$node->sql(q{SELECT jobq.alter_queue('q', max_running => 1)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('q', 10)}), '0', 'nothing starts');
end_all('q');
fills('q', 1, 'when they have ended');

$node->stop;
done_testing();
