# test/stress/stress.pl: no job is lost and none runs twice, whatever is done to
# the queues. Clients that do everything at random work on six queues: they
# enqueue (with delays, priorities and keys, one or many), take and dequeue,
# finish, fail, release and lose jobs, change, cancel, retry and delete them,
# pause queues; in transactions of all isolation levels, with savepoints, that
# commit, roll back or are prepared and ended by somebody else; some of them are
# cancelled and terminated in the middle, others get no CPU for a moment. Shared
# memory's knowledge of ready jobs must stay right through all of this, and
# there is no sweep here to repair it.
#
# The load comes in waves. A wave chooses at random what is done to each queue
# at all, since many later events would make an overlooked job visible again.
# After a wave the clients exit, and one consumer per queue works off the rest,
# which must be complete and in order. Then the accounts are checked: the table
# "placed" has the jobs that were committed, "effects" what was done, each in
# the transaction that enqueued, took or completed the job. No two clients
# hold the same job, which "holding" shows, and an expired lease is of no use.
#
# "make stress" is the full proof, of 50 rounds (JOBQ_ROUNDS; 1 by default, as
# in "make test").  JOBQ_SEED repeats the choices of a round, which says its
# seed (not the order in which the clients get on with them).  JOBQ_STRESS_SIZE
# is for transactions per client and wave (100).

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $here = source_dir() . '/test/stress';
my $rounds = $ENV{JOBQ_ROUNDS} || 1;
my $first_seed = $ENV{JOBQ_SEED} || int(rand(1e6)) * 1000 + 1;
my $size = $ENV{JOBQ_STRESS_SIZE} || 100;
my $waves = 8;
my $clients = 6;

# The jobs' own times are some tenths of a second.
my $drain_limit = 10;

my $node = jobq_node(
	'main',
	conf => [
		'fsync = off',
		'log_statement = none',
		'log_min_error_statement = panic',
		'deadlock_timeout = 20ms',
		'autovacuum_naptime = 1s',
		'max_prepared_transactions = 100',
		'jobq.max_workers = 2',
		'jobq.sweep_interval = 0',
	]);

$node->sql(slurp_file("$here/schema.sql"));

# ------------------------------------------------------------- the clients

my @running;

# Starts pgbench with one of the scripts in clients/, in the background.
sub start_clients
{
	my ($name, $seed, %opt) = @_;
	my %client = (name => $name, out => '', victim => defined $opt{as});
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGAPPNAME} = $opt{as} || $name;
	$client{run} = IPC::Run::start(
		[
			'pgbench', '-n',
			"--random-seed=$seed", '-c',
			$opt{clients} || 1, '-t',
			$opt{transactions} || 1_000_000, '-D',
			'victim=' . ($opt{as}   ? 'true' : 'false'), '-D',
			'calm=' .   ($opt{calm} ? 'true' : 'false'), '-D',
			"who=$seed", '-f',
			"$here/clients/$name.sql", 'postgres'
		],
		'<',
		\undef,
		'>&',
		\$client{out});
	push @running, \%client;
	return \%client;
}

# Whether a client has ended; gathers what it says.
sub has_ended
{
	my ($client) = @_;
	return 1 if $client->{ended};
	# it may end between the question and the pump, which dies then
	eval { $client->{run}->pump_nb if $client->{run}->pumpable; };
	return 0 if $client->{run}->pumpable;
	$client->{run}->finish;
	@running = grep { $_ != $client } @running;
	return $client->{ended} = 1;
}

# The complaints of a client: of a victim, those that were not provoked.
sub complaints
{
	my ($client) = @_;
	my @lines = grep { /pgbench: error|ERROR:/ } split(/\n/, $client->{out});
	# one that is still being prepared is there already
	return grep { !/is busy|Run was abo/ } @lines
	  if $client->{name} eq 'resolve';
	return @lines unless $client->{victim};
	# it may be hit while it connects
	return grep {
			 !/terminating connection|canceling statement|backend died/
		  && !/could not create connection|Run was abo/
	} @lines;
}

# Ends a client; returns its complaints.
sub end_client
{
	my ($client) = @_;
	if (!$client->{ended})
	{
		@running = grep { $_ != $client } @running;
		$client->{run}->kill_kill(grace => 2);
		$client->{ended} = 1;
	}
	return complaints($client);
}

END
{
	my $status = $?;
	end_client($_) foreach @running;
	$? = $status;
}

# A random subset, with one element at least.
sub some_of
{
	my (@list) = @_;
	my @some = grep { rand() < 0.5 } @list;
	return @some ? @some : ($list[ rand(@list) ]);
}

# What is done to the queues in the next wave.
sub draw_mix
{
	my @values;
	foreach my $queue ('a', 'b', 'c', 'd', 'h1', 'h2')
	{
		my @producers = some_of('enqueue', 'late', 'many', 'unique');
		my @consumers = some_of('take', 'work', 'dequeue', 'dequeue', 'any', 'bound');
		my @finishers =
		  ('complete', some_of('complete_many', 'next', 'fail', 'release', 'heartbeat', 'fence'));
		my @managers = some_of(
			'pause', 'cancel', 'promote', 'reschedule', 'priority', 'payload',
			'retry', 'delete', 'alter');
		my @acts = (
			(@producers) x (1 + rand(3)),
			(@consumers) x (1 + rand(3)),
			(@finishers) x (1 + rand(2)),
			rand() < 0.6 ? @managers : ());
		my $priorities = ('0', '0', '0,1', '-5,0,7')[ rand(4) ];
		my $lease = (10, 50, 300)[ rand(3) ];
		push @values,
		  sprintf(
			"(%d, '%s', '{%s}', '{%s}', '%d ms')",
			scalar(@values), $queue, join(',', @acts),
			$priorities, $lease);
	}
	return join(",\n", @values);
}

# One of these backends gets no CPU for some milliseconds, wherever it is.
sub interrupt_for_a_moment
{
	my @pids = @_;
	my $pid = @pids ? $pids[ rand(@pids) ] : 0;

	kill('STOP', $pid) if $pid;
	usleep(2_000 + int(rand(10_000)));
	kill('CONT', $pid) if $pid;
	return;
}

# One wave of load; returns the complaints of the clients.
sub run_wave
{
	my ($seed) = @_;
	my $snapshot;

	# What is rolled back makes everybody look again, and may hide that
	# somebody has overlooked a job.  So some waves have less of that.
	my $calm = rand() < 0.4;
	my $victims = $calm ? 0 : 2;

	# In some waves somebody holds back the horizon of VACUUM.
	if (rand() < 0.5)
	{
		$snapshot = $node->background_psql('postgres');
		$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	}
	my $mix = start_clients(
		'mix', $seed,
		clients => $clients,
		transactions => $size,
		calm => $calm);
	my @helpers = map { start_clients($_, $seed) } ('strike', 'vacuum');
	my @pids = split(
		/\n/,
		$node->safe_psql(
			'postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'mix'}));
	my $resolver = start_clients('resolve', $seed);
	my @victims;
	my @said;
	my $next = 1;
	my $keep_resolving = sub {
		return if !has_ended($resolver);
		push @said, complaints($resolver);
		$resolver = start_clients('resolve', $seed + $next++);
	};
	my $done = poll_until(
		sub {
			my $end = time() + 0.1;
			while (time() < $end)
			{
				return 1 if has_ended($mix);
				$keep_resolving->();
				push @said, map { complaints($_) } grep { has_ended($_) } @victims;
				@victims = grep { !$_->{ended} } @victims;
				push @victims, start_clients('mix', $seed + 1000 * $next++, as => 'victim')
				  while @victims < $victims;
				interrupt_for_a_moment(@pids);
			}
			return 0;
		});
	push @said, map { end_client($_) } @victims, @helpers;
	if (!$done)
	{
		diag('the clients got stuck');
		diag(
			$node->safe_psql(
				'postgres',
				q{SELECT pid, application_name, state, wait_event_type,
				         wait_event, pg_blocking_pids(pid), query
				    FROM pg_stat_activity WHERE datname = 'postgres'}));
	}
	push @said, end_client($mix);
	$snapshot->quit if $snapshot;

	# Nothing of them is left, once what they have prepared has its end.
	poll_query(
		$node, q{
		SELECT count(*) = 0 FROM pg_stat_activity
		 WHERE application_name IN ('mix', 'victim', 'strike', 'vacuum')},
		seconds => 20);
	poll_until(
		sub {
			$keep_resolving->();
			return $node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts') eq '0';
		},
		20) or push @said, 'prepared transactions are left';
	push @said, end_client($resolver);

	return @said;
}

# Works off what is left: true if that is everything.
sub drain
{
	$node->safe_psql('postgres', 'SELECT jobq.resume(queue) FROM jobq.queues WHERE paused');
	my $calls = join(' ', map { "CALL drain('$_');" } 'a' .. 'd');
	return poll_until(
		sub {
			$node->safe_psql('postgres', $calls);
			return $node->safe_psql(
				'postgres', q{
				SELECT (SELECT count(*) FROM jobq_store.job)
				     + (SELECT count(*) FROM jobq_store.cancel_request)}) eq '0';
		},
		$drain_limit);
}

# What there must be none of after a wave, and the query for such jobs.  The
# wave's first job has the id :first.  State 3 is completed.
my @laws = (
	'committed jobs that did not end' => 'SELECT job FROM p WHERE state IS NULL AND NOT deleted',
	'completed jobs without effect' => 'SELECT job FROM p WHERE effects < (state = 3)::int + again',
	'jobs with an effect too many' =>
	  'SELECT job FROM p WHERE effects > (state = 3 OR deleted)::int + again',
	'effects of jobs that were not committed' =>
	  'SELECT job FROM effects EXCEPT SELECT job FROM placed',
	'ends of jobs that were not committed' => q{
		SELECT id FROM jobq_store.history WHERE id >= :first
		EXCEPT SELECT job FROM placed},
	'jobs with two ends' => q{
		SELECT id FROM jobq_store.history WHERE id >= :first
		GROUP BY id HAVING count(*) > 1},
	'handlers called for a job that somebody holds' => q{
		SELECT job_id FROM jobq_store.attempt
		WHERE job_id >= :first AND message LIKE '%two holders%'},
	# one whose lease runs out meanwhile comes back in its old place
	'jobs that the last consumer got out of order' => q{
		SELECT job FROM
		  (SELECT run_at, job, lag(run_at) OVER w AS run_at_before,
		          lag(job) OVER w AS job_before
		     FROM drained WHERE attempt = 1 WINDOW w AS
		       (PARTITION BY queue, priority ORDER BY n)) AS t
		WHERE (run_at, job) < (run_at_before, job_before)},);

sub broken_laws
{
	my ($first) = @_;
	my $sql = q{
		SET client_min_messages = warning;
		CREATE TEMP TABLE p AS
		SELECT job, h.state, coalesce(e.n, 0) AS effects,
		       coalesce(a.n, 0) AS again, d.job IS NOT NULL AS deleted
		  FROM (SELECT DISTINCT job FROM placed) AS p
		  LEFT JOIN jobq_store.history AS h ON h.id = job
		  LEFT JOIN (SELECT job, count(*) AS n FROM effects GROUP BY job) AS e
		    USING (job)
		  LEFT JOIN (SELECT job, count(*) AS n FROM again GROUP BY job) AS a
		    USING (job)
		  LEFT JOIN (SELECT DISTINCT job FROM deleted) AS d USING (job);
		ANALYZE p, placed, effects;
	};
	for (my $i = 0; $i < @laws; $i += 2)
	{
		$sql .=
			"SELECT '$laws[$i]: ' || count(*) || ', as '"
		  . " || ((array_agg(job ORDER BY job))[1:5])::text"
		  . " FROM ($laws[$i + 1]) AS t (job) HAVING count(*) > 0;\n";
	}
	$sql =~ s/:first/$first/g;
	return $node->safe_psql('postgres', $sql);
}

my %total = (placed => 0, effects => 0, actions => 0, seconds => 0);
my $ok = 1;

ROUND: for my $round (1 .. $rounds)
{
	my $seed = $first_seed + $round - 1;
	my $position = log_position($node);
	my %this = (longest => 0);

	note("round $round: JOBQ_SEED=$seed");
	srand($seed);
	for my $wave (1 .. $waves)
	{
		my $mix = draw_mix();
		my $first = $node->safe_psql(
			'postgres', qq{
			SET client_min_messages = warning;
			TRUNCATE placed, effects, deleted, again, holding, drained, mix;
			INSERT INTO mix VALUES $mix;
			SELECT nextval('jobq_store.job_id_seq')});
		my $start = time();
		my @complaints = run_wave(1_000_000 * $seed + 1000 * $wave);
		$total{seconds} += time() - $start;

		$start = time();
		my $drained = drain();
		my $drain = time() - $start;
		$this{longest} = $drain if $drain > $this{longest};
		my $broken = broken_laws($first);
		my ($placed, $effects) = split(
			/\|/,
			$node->safe_psql(
				'postgres', 'SELECT (SELECT count(*) FROM placed), (SELECT count(*) FROM effects)')
		);
		$total{placed}  += $placed;
		$total{effects} += $effects;

		next if $drained && !@complaints && $broken eq '';
		$ok = 0;
		fail("round $round, wave $wave");
		diag("JOBQ_SEED=$seed repeats it; the queues were\n$mix");
		diag("the clients say:\n" . join("\n", @complaints)) if @complaints;
		diag("broken: $broken") if $broken ne '';
		diag(
			"left behind:\n" . $node->safe_psql(
				'postgres', q{
				SELECT id, queue, priority, run_at, state, attempt
				  FROM jobq.jobs WHERE id IN (SELECT id FROM jobq_store.job)
				 ORDER BY queue, priority, run_at, id LIMIT 20})) if !$drained;
		last ROUND;
	}
	pass("round $round: every job had its one end");
	is( join(
			"\n",
			unexpected_log_lines(
				$node,
				$position,
				qr/terminating connection/,
				qr/terminating (?:background|autovacuum)/,
				qr/canceling (?:statement|autovacuum task)/,
				qr/deadlock detected/,
				qr/could not serialize access/,
				qr/connection to client lost/,
				qr/queue "h\d" has a handler/,
				qr/jobq.sweep_interval/,
				qr/prepared transaction .* is busy/,
				qr/is not a PostgreSQL backend process/)),
		'',
		"round $round: nothing unexpected in the log");
}
$total{actions} = $node->safe_psql('postgres', 'SELECT last_value FROM actions');
diag(
	sprintf(
		'seed %d, %d rounds: %d actions in %.1f s of load (%d per second), '
		  . '%d jobs placed, %d effects',
		$first_seed, $rounds, $total{actions},
		$total{seconds}, $total{actions} / $total{seconds}, $total{placed},
		$total{effects}));

$node->stop;
done_testing();
