# t/081_crash_rounds.pl: the full guarantee, under crashes. Clients place orders
# and enqueue a job for each in the same transaction, and roll some back;
# background workers and clients work four queues; the server is stopped with -m
# immediate in the middle, and started again. When all is done every order that
# was committed has exactly one effect or exactly one dead letter, no other has
# any, and no job is left.
#
# The queues, by orders.kind:
#   1  a function as handler: effects and completion are one commit
#   2  a procedure as handler that commits by itself: at least once, so that
#      it must look whether its work has been done
#   3  clients that take() a job, and roll back now and then
#   4  clients that dequeue() it, work, and complete() or fail() it
#
# JOBQ_ROUNDS=20 for the full proof (2 by default). JOBQ_ROUND_SECONDS is the
# longest time that a round works before the crash (2).

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{JOBQ_ROUNDS} || 2;
my $round_seconds = $ENV{JOBQ_ROUND_SECONDS} || 2;
my $rate = $ENV{JOBQ_ROUND_RATE} || 400;    # orders per second

my $node = jobq_node('main',
	conf =>
	  [ 'fsync = on', 'log_statement = none', 'jobq.max_workers = 3', 'max_wal_size = 256MB', ]);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigint, kind int, bad boolean);
	CREATE TABLE effects (id bigint, kind int, job bigint, attempt int);
	CREATE INDEX ON effects (id);
	CREATE TABLE runs (id bigint);
	CREATE SEQUENCE placed;

	CREATE FUNCTION kind_1(job jobq.job) RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
	  INSERT INTO effects
	  VALUES ((job.payload ->> 'order')::bigint, 1, job.id, job.attempt);
	  PERFORM pg_sleep(0.02 * random());
	  IF (job.payload ->> 'bad')::boolean THEN
	    RAISE 'order % is bad', job.payload ->> 'order';
	  END IF;
	  RETURN 'true';
	END $$;

	CREATE PROCEDURE kind_2(job jobq.job) LANGUAGE plpgsql AS $$
	DECLARE
	  this bigint := (job.payload ->> 'order')::bigint;
	BEGIN
	  IF (job.payload ->> 'bad')::boolean THEN
	    INSERT INTO effects VALUES (this, 2, job.id, job.attempt);
	    RAISE 'order % is bad', this;
	  END IF;
	  IF NOT EXISTS (SELECT FROM effects WHERE id = this) THEN
	    INSERT INTO effects VALUES (this, 2, job.id, job.attempt);
	  END IF;
	  COMMIT;
	  PERFORM pg_sleep(0.02 * random());
	  INSERT INTO runs VALUES (this);
	END $$;

	SELECT jobq.create_queue('kind_1', 'kind_1(jobq.job)', max_attempts => 3,
	  backoff_base => '50 ms', backoff_max => '200 ms', lease => '5 s');
	SELECT jobq.create_queue('kind_2', 'kind_2(jobq.job)', max_attempts => 4,
	  backoff_base => '50 ms', backoff_max => '200 ms', lease => '5 s');
	SELECT jobq.create_queue('kind_3');
	SELECT jobq.create_queue('kind_4', max_attempts => 4,
	  backoff_base => '50 ms', backoff_max => '200 ms', lease => '1 s');

	-- called in a transaction that the client ends
	CREATE FUNCTION place_order(this bigint, kind int, bad boolean)
	RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
	  PERFORM nextval('placed');
	  -- nobody refuses a job that was taken
	  bad := bad AND kind <> 3;
	  INSERT INTO orders VALUES (this, kind, bad);
	  RETURN jobq.enqueue('kind_' || kind,
	    jsonb_build_object('order', this, 'bad', bad));
	END $$;

	CREATE FUNCTION take_orders() RETURNS bigint LANGUAGE sql AS $$
	  WITH taken AS (
	    INSERT INTO effects
	    SELECT (payload ->> 'order')::bigint, 3, id, attempt
	    FROM jobq.take('kind_3', 5)
	    RETURNING 1)
	  SELECT count(*) FROM taken
	$$;

	-- what a client does with a job that it holds by lease
	CREATE FUNCTION work_order(job bigint, lease bigint, this bigint, bad int)
	RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
	  IF bad = 1 THEN
	    RETURN jobq.fail(job, lease, 'bad');
	  END IF;
	  INSERT INTO effects VALUES (this, 4, job, NULL);
	  PERFORM jobq.complete(job, lease);
	  RETURN 'completed';
	EXCEPTION WHEN SQLSTATE 'JQ001' THEN
	  RETURN 'lost';
	END $$;
});

# ------------------------------------------------------------- the clients

my %script = (
	produce => q{
\set id random(1, 9000000000000000000)
\set kind random(1, 4)
\set bad random(1, 10)
\set back random(1, 10)
BEGIN;
SELECT place_order(:id, :kind, :bad = 1);
\if :back <= 3
ROLLBACK;
\else
COMMIT;
\endif
},
	take => q{
\set back random(1, 10)
BEGIN;
SELECT take_orders() AS n \gset
\if :back <= 3
ROLLBACK;
\else
COMMIT;
\endif
\if :n = 0
\sleep 20 ms
\endif
},
	dequeue => q{
SELECT count(*) AS n, coalesce(max(id), 0) AS job, coalesce(max(lease), 0) AS lease,
	coalesce(max((payload ->> 'order')::bigint), 0) AS this,
	coalesce(max((payload ->> 'bad')::boolean::int), 0) AS bad FROM jobq.dequeue('kind_4') \gset
\if :n = 1
SELECT work_order(:job, :lease, :this, :bad);
\else
\sleep 20 ms
\endif
});

my %file;
foreach my $name (keys %script)
{
	$file{$name} = "${PostgreSQL::Test::Utils::tmp_check}/060_$name.sql";
	open(my $fh, '>', $file{$name}) or die "$file{$name}: $!";
	print $fh $script{$name};
	close($fh);
}

my @running;

# Starts pgbench with these options, in the background.
sub start_clients
{
	my (@options) = @_;
	my %client = (out => '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	$client{run} =
	  IPC::Run::start([ 'pgbench', '-n', @options, 'postgres' ], '<', \undef, '>&', \$client{out});
	push @running, \%client;
	return \%client;
}

sub start_producers
{
	my ($seconds) = @_;
	return start_clients('-c', 4, '-j', 2, '-T', $seconds, '-R', $rate, '-f', $file{produce});
}

sub start_consumers
{
	return (
		start_clients('-c', 2, '-T', 600, '-f', $file{take}),
		start_clients('-c', 2, '-T', 600, '-f', $file{dequeue}));
}

# Ends a client; returns what it has said.
sub end_client
{
	my ($client) = @_;
	@running = grep { $_ != $client } @running;
	$client->{run}->kill_kill(grace => 2);
	return $client->{out};
}

# Waits until a client has ended by itself, which takes a server that is gone
# or the time it was given.
sub wait_for_client
{
	my ($client, $seconds) = @_;
	my $done = poll_until(
		sub {
			$client->{run}->pump_nb if $client->{run}->pumpable;
			return !$client->{run}->pumpable;
		},
		$seconds);
	die "a client did not end: $client->{out}\n" unless $done;
	$client->{run}->finish;
	@running = grep { $_ != $client } @running;
	return $client->{out};
}

END
{
	my $status = $?;
	end_client($_) foreach @running;
	$? = $status;
}

# --------------------------------------------------------------- the proof

# Names and numbers of what must all be zero at the end.
my @laws = (
	'jobs left' => 'SELECT count(*) FROM jobq_store.job',
	'committed orders without effect or dead letter' => q{
		SELECT count(*) FROM orders AS o
		WHERE NOT EXISTS (SELECT FROM effects AS e WHERE e.id = o.id)
		  AND NOT EXISTS (SELECT FROM dead AS d WHERE d.id = o.id)},
	'orders with two effects' => q{
		SELECT count(*) FROM
		  (SELECT FROM effects GROUP BY id HAVING count(*) > 1) AS t},
	'orders with two dead letters' => q{
		SELECT count(*) FROM
		  (SELECT FROM dead GROUP BY id HAVING count(*) > 1) AS t},
	'orders with an effect and a dead letter' =>
	  'SELECT count(*) FROM effects JOIN dead USING (id)',
	'effects of orders that were not committed' => q{
		SELECT count(*) FROM effects AS e
		WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.id = e.id)},
	'dead letters of orders that were not committed' => q{
		SELECT count(*) FROM dead AS d
		WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.id = d.id)},
	'bad orders with an effect' => 'SELECT count(*) FROM orders JOIN effects USING (id) WHERE bad',
	'good orders of background workers that died' => q{
		SELECT count(*) FROM orders JOIN dead USING (id)
		WHERE NOT bad AND kind < 4},
	'orders in the wrong queue' =>
	  'SELECT count(*) FROM orders AS o JOIN effects AS e USING (id) WHERE o.kind <> e.kind',
	'effects of jobs that history does not have' => q{
		SELECT count(*) FROM effects AS e
		WHERE NOT EXISTS (SELECT FROM jobq_store.history AS h
		  WHERE h.id = e.job AND h.state = 3)},
	'jobs that finished twice' => q{
		SELECT count(*) FROM
		  (SELECT FROM jobq_store.history GROUP BY id HAVING count(*) > 1) AS t},
	'procedures that began and did not end' => q{
		SELECT count(*) FROM effects AS e
		WHERE kind = 2 AND NOT EXISTS (SELECT FROM runs AS r WHERE r.id = e.id)},);

sub summary
{
	return $node->safe_psql(
		'postgres', q{
		SELECT format('%s placed, %s committed (%s), %s effects, %s dead, '
		  '%s attempts that crashed, %s leases lost, %s procedures run again',
		  (SELECT last_value FROM placed),
		  (SELECT count(*) FROM orders),
		  (SELECT string_agg(format('kind %s: %s', kind, n), ', ' ORDER BY kind)
		   FROM (SELECT kind, count(*) AS n FROM orders GROUP BY kind) AS t),
		  (SELECT count(*) FROM effects),
		  (SELECT count(*) FROM jobq.dead_letters),
		  (SELECT count(*) FROM jobq.attempts WHERE outcome = 'crashed'),
		  (SELECT count(*) FROM jobq.attempts
		   WHERE outcome NOT IN ('crashed', 'failed')),
		  (SELECT count(*) - count(DISTINCT id) FROM runs))});
}

sub check_laws
{
	my ($round) = @_;
	my @broken;

	for (my $i = 0; $i < @laws; $i += 2)
	{
		my $n = $node->safe_psql(
			'postgres', "CREATE TEMP TABLE dead AS
			SELECT (payload ->> 'order')::bigint AS id FROM jobq.dead_letters;
			CREATE INDEX ON dead (id); ANALYZE dead, orders, effects;
			$laws[$i + 1]");
		push @broken, "$laws[$i]: $n" if $n ne '0';
	}
	is(join("\n", @broken), '', "round $round: each order ended exactly once");
	return;
}

my $longest = 0;
for my $round (1 .. $rounds)
{
	my $start = time();
	my $position = log_position($node);
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM effects');

	# work, and crash in the middle of it
	my @clients =
	  (start_producers($round_seconds + 30), start_consumers());
	poll_query($node, "SELECT count(*) > $before + 200 FROM effects", seconds => 30)
	  or die "nothing is done\n";
	usleep(int(1e6 * rand($round_seconds * 0.7)));
	$node->stop('immediate');
	wait_for_client($_, 30) foreach @clients;

	# and on
	my $started = time();
	$node->start;
	my $up = time() - $started;
	my $producers = start_producers(1);
	my @consumers = start_consumers();
	wait_for_client($producers, 30);
	my $produced = time();
	my $drained = poll_query($node, 'SELECT count(*) = 0 FROM jobq_store.job', seconds => 60);
	ok($drained, "round $round: no job is left");
	my $drain = time() - $produced;
	my @complaints = grep { /ERROR|error/ } map { end_client($_) } @consumers;
	is("@complaints", '', "round $round: the clients had no errors");

	if (!$drained)
	{
		diag(
			$node->safe_psql(
				'postgres', 'SELECT * FROM jobq.jobs WHERE finished_at IS NULL LIMIT 10'));
		diag($node->safe_psql('postgres', 'SELECT * FROM jobq.workers'));
	}
	check_laws($round);
	is( join(
			"\n",
			unexpected_log_lines(
				$node,
				$position,
				qr/immediate shutdown/,
				qr/not properly shut down/,
				qr/the database system is/,
				qr/terminating connection/,
				qr/canceling statement/,
				qr/connection to client lost/)),
		'',
		"round $round: nothing unexpected in the log");
	note(
		sprintf(
			"round %d: %.1f s, of which start %.1f s, drain %.1f s; so far: %s",
			$round, time() - $start,
			$up, $drain, summary()));
	$longest = $drain if $drain > $longest;
}
diag(sprintf('%d rounds, longest drain %.1f s: %s', $rounds, $longest, summary()));

$node->stop;
done_testing();
