# t/246_shared_limits_kills.pl: shared limits over kills, restarts, prepared
# transactions, the extension's end, and too little memory: no limit is exceeded,
# and none of its slots is lost.

use strict;
use warnings;

use JobqLimits;
use JobqSession;
use JobqTest;
use Test::More;

my $node = limits_node(4, 'max_prepared_transactions = 5');

# How many jobs of the queues run that share the limit.
sub running
{
	my ($limit) = @_;
	return $node->sql(
		"SELECT count(*) FROM jobq.jobs AS j JOIN jobq.queues AS q USING (queue)
		WHERE j.state = 'running' AND q.shared_limit = '$limit'");
}

# The limit is filled exactly, by both queues, and what it ran is ended.
sub fills
{
	my ($limit, $max, $name) = @_;
	poll_until(
		sub {
			$node->sql(
				"SELECT count(*) FROM jobq.dequeue_any('{${limit}1,${limit}2}', 99,
				lease => '1 h')");
			return running($limit) >= $max;
		},
		30);
	is(running($limit), $max, "$name: exactly $max run");
	limits_settled($node, $name);
	is($node->sql("SELECT running FROM jobq.limits WHERE name = '$limit'"),
		$max, "$name: they are counted");
	return;
}

sub end_all
{
	$node->sql('SELECT jobq.complete(id, lease) FROM jobq_store.job WHERE state = 1 ORDER BY id');
	return;
}

# ------------------------------------------------------ kills at random moments

# Each job takes a place of its limit for as long as its transaction runs, and finds
# one free, if no more run than may. A transaction that jobs share has one place.
$node->sql(
	q{CREATE TABLE place (lim text, n int, xact xid8);
	INSERT INTO place SELECT 'one', 1 UNION ALL SELECT 'three', n FROM generate_series(1, 3) AS n;
	CREATE TABLE effect (job bigint, lim text);
	CREATE SEQUENCE overlap_number;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		PERFORM FROM public.place
			WHERE lim = j.payload ->> 'limit' AND xact = pg_current_xact_id();
		IF NOT FOUND THEN
			-- places are looked at one after the other: others may change theirs meanwhile
			FOR i IN 1 .. 5 LOOP
				UPDATE public.place SET xact = pg_current_xact_id()
				WHERE lim = j.payload ->> 'limit' AND n = (
					SELECT n FROM public.place WHERE lim = j.payload ->> 'limit'
					FOR UPDATE SKIP LOCKED LIMIT 1);
				EXIT WHEN FOUND;
			END LOOP;
			IF NOT FOUND THEN PERFORM nextval('public.overlap_number'); END IF;
		END IF;
		PERFORM pg_sleep(random() * 0.01);
		INSERT INTO public.effect VALUES (j.id, j.payload ->> 'limit');
	END$$;
	CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS $$ BEGIN
		PERFORM public.work(j); COMMIT; END$$});
my $jobs = 0;
foreach my $limit ([ one => 1 ], [ three => 3 ])
{
	my ($name, $max) = @$limit;
	$node->sql(
		qq{SELECT jobq.create_limit('$name', max_running => $max);
		SELECT jobq.create_queue('$name' || n, CASE n WHEN 1 THEN 'work(jobq.job)' ELSE
			'work_alone(jobq.job)' END::regprocedure, shared_limit => '$name', max_attempts => 1000,
			backoff => 'fixed', backoff_base => '1 ms', jitter => 0, lease => '500 ms')
			FROM generate_series(1, 2) AS n});
}

seed_random();
for my $round (1 .. 12)
{
	my @sessions;
	$node->sql(
		q{SELECT count(*) FROM unnest('{one,three}'::text[]) AS l, generate_series(1, 2) AS n,
			jobq.enqueue_many(l || n, array_fill(jsonb_build_object('limit', l), '{25}'))});
	$jobs += 100;
	foreach my $limit ('one', 'three')
	{
		push(@sessions, start_session($node, name => "taker$_")) for 1 .. 2;
		order($_, take_all($limit)) foreach @sessions[ -2, -1 ];
	}
	disturb($node, 0.1, $round);
	foreach my $session (@sessions)
	{
		eval { answer($session); end_session($session) };
	}
	all_jobs_run($node, "round $round");
	limits_settled($node, "round $round");
	poll_ok(
		$node,
		q{SELECT string_agg(running::text, ' ') FROM jobq.limits},
		"round $round: all slots are back",
		expected => '0 0');
	is($node->sql('SELECT is_called FROM overlap_number'),
		'f', "round $round: no more ran than a limit lets in");
}
is($node->sql('SELECT count(DISTINCT job) FROM effect'), $jobs, 'each job has had its effect');

# --------------------------------------------- leases over kills and restarts

$node->sql(
	q{SELECT jobq.create_limit('l', max_running => 3);
	SELECT jobq.create_queue('l' || n, shared_limit => 'l', max_attempts => 1000)
		FROM generate_series(1, 2) AS n;
	SELECT count(*) FROM jobq.enqueue_many('l1', array_fill('1'::jsonb, '{300}'));
	SELECT count(*) FROM jobq.enqueue_many('l2', array_fill('1'::jsonb, '{300}'));
	SELECT count(*) FROM jobq.dequeue('l1', 1, lease => '1 h');
	SELECT count(*) FROM jobq.dequeue('l2', 1, lease => '1 h')});
my %kill = claimers_killed($node);
foreach my $who (sort keys %kill)
{
	$kill{$who}->();
	fills('l', 3, $who);
	$node->sql(
		q{SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
		WHERE state = 1 ORDER BY id LIMIT 1) AS j});
	limits_settled($node, "$who, one less");
}

# Prepared ends of jobs, finished before and after restarts.
foreach my $restart ('', 'immediate')
{
	foreach my $end ('COMMIT', 'ROLLBACK')
	{
		my $name = "$end PREPARED" . ($restart ? " after $restart stop" : '');
		fills('l', 3, $name);
		$node->sql(
			q{BEGIN; SELECT jobq.complete(j.id, j.lease) FROM (SELECT id, lease FROM jobq_store.job
			WHERE state = 1 ORDER BY id LIMIT 1) AS j; PREPARE TRANSACTION 'x'});
		if ($restart) { $node->stop($restart); $node->start; }
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue('l2', 9)}), '0', "$name: not yet");
		limits_settled($node, "$name, prepared");
		is($node->sql(q{SELECT count(*) FROM jobq.dequeue('l1', 9)}), '0',
			"$name: not yet counted");
		$node->sql("$end PREPARED 'x'");
		limits_settled($node, $name);
		fills('l', 3, "after $name");
	}
}

# A prepared drop, and a prepared creation, over a restart.
foreach my $end ('COMMIT', 'ROLLBACK')
{
	$node->sql(
		q{SELECT jobq.create_limit('p', max_running => 1);
		BEGIN; SELECT jobq.drop_limit('p'), jobq.create_limit('p2', max_running => 1);
		PREPARE TRANSACTION 'x'});
	$node->restart;
	$node->sql("$end PREPARED 'x'");
	my $name = $end eq 'COMMIT' ? 'p2' : 'p';
	is($node->sql(q{SELECT name FROM jobq.limits WHERE name ~ '^p'}),
		$name, "$end PREPARED of a drop and a creation");
	$node->sql(
		qq{SELECT jobq.create_queue('p1', shared_limit => '$name'),
			jobq.create_queue('p2', shared_limit => '$name');
		SELECT jobq.enqueue('p1'), jobq.enqueue('p2')});
	$node->sql(qq{SELECT jobq.alter_queue('p1', shared_limit => '$name')});
	poll_ok(
		$node,
		q{SELECT count(*) FROM jobq.dequeue_any('{p1,p2}', 9, lease => '1 h')},
		"$end PREPARED: one may run",
		expected => '1');
	is($node->sql(q{SELECT count(*) FROM jobq.dequeue_any('{p1,p2}', 9)}),
		'0', "$end PREPARED: no other one");
	$node->sql(
		qq{SELECT jobq.drop_queue('p1', force => true), jobq.drop_queue('p2', force => true);
		SELECT jobq.drop_limit('$name')});
}
end_all();

# The extension is dropped with slots out, and made again: the old ones are not the
# new limit's, which has the same id.
my $holder = start_session($node);
ask($holder, q{SELECT count(*) FROM jobq.dequeue('l1', 2, lease => '1 h')});
$node->sql('DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq');
my $again = q{SELECT jobq.create_limit('l', max_running => 2);
	SELECT jobq.create_queue('l' || n, shared_limit => 'l') FROM generate_series(1, 2) AS n;
	SELECT count(*) FROM jobq.enqueue_many('l1', array_fill('1'::jsonb, '{50}'));
	SELECT count(*) FROM jobq.enqueue_many('l2', array_fill('1'::jsonb, '{50}'))};
$node->sql($again);
fills('l', 2, 'another extension');
end_all();
limits_settled($node, 'another extension, at rest');
is($node->sql('SELECT running FROM jobq.limits'), '0', 'no slot is out');
end_session($holder);
$node->sql(
	q{BEGIN; SELECT count(*) FROM jobq.take('l1', 1); DROP EXTENSION jobq CASCADE; ROLLBACK;
	BEGIN; DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq; ROLLBACK});
fills('l', 2, 'a drop that is rolled back');
$node->sql(
	"BEGIN; DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq; $again;
	SELECT count(*) FROM jobq.dequeue('l2', 1, lease => '1 h'); COMMIT");
fills('l', 2, 'a drop, and a new one with a claim');
end_all();
limits_settled($node, 'the new one, at rest');

# A dropped database, and one of the same name.
for my $round (1, 2)
{
	$node->sql('CREATE DATABASE d');
	create_extension($node, 'd');
	is( $node->sql(
			"$again; SELECT 'claimed ' || count(*) FROM jobq.dequeue_any('{l1,l2}', 9)", 'd'
		) =~ s/.*\n//sr,
		'claimed 2',
		"database $round: no more than the limit");
	$node->sql('DROP DATABASE d WITH (FORCE)');
}

# No coordinator: claims count by themselves.
$node->append_conf('postgresql.conf', 'jobq.enabled = off');
$node->sql(q{SELECT count(*) FROM jobq.dequeue('l1', 1, lease => '1 h')});
$node->restart;
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('l2', 9, lease => '1 h')}),
	'1', 'no coordinator: what runs is counted');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('l1', 9)}),
	'0', 'no coordinator: the limit is shut');
end_all();
limits_settled($node, 'no coordinator');

# As little memory as there can be: some limits have no entry, and what shares them
# does not start, until there is room again.
$node->append_conf('postgresql.conf', "jobq.enabled = on\njobq.shared_memory = 0");
my $least = $node->sql(q{SELECT min_val FROM pg_settings WHERE name = 'jobq.shared_memory'});
$node->append_conf('postgresql.conf', "jobq.shared_memory = $least");
$node->restart;
$node->sql(
	q{SELECT jobq.create_limit('m' || n, max_running => 1) FROM generate_series(1, 100) AS n;
	SELECT jobq.create_queue('m', shared_limit => 'm100'), jobq.enqueue('m'), jobq.enqueue('m')});
like(
	sql_error($node, q{SELECT count(*) FROM jobq.dequeue('m', 9, lease => '1 h')}),
	qr/53200.*no shared memory left for the limit that queue "m" shares/,
	'no room for the limit: nothing starts');
is( $node->sql(
		q{SELECT object, severity FROM jobq.health
			WHERE topic = 'shared memory' AND object = 'limits'}
	),
	'limits|warning',
	'jobq.health says it');
my $waiter = start_session($node, name => 'waiter');
order($waiter, q{CALL jobq.wait('{m}', '1 h')});
sleeps_in_wait($node, $waiter);
$node->sql(q{SELECT jobq.drop_limit('m' || n) FROM generate_series(1, 99) AS n});
is(within(30, 'it is woken', sub { answer($waiter) }), "t\n", 'room for the limit: it is woken');
end_session($waiter);
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('m', 9, lease => '1 h')}),
	'1', 'room for the limit: one starts');
is($node->sql(q{SELECT count(*) FROM jobq.health WHERE object = 'limits'}),
	'0', 'jobq.health has nothing more to say');
end_all();
limits_settled($node, 'at the end');

$node->stop;
done_testing();
