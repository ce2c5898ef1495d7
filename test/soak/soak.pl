# test/soak/soak.pl: a server's long day, in short. Producers and every kind of
# worker run at full speed, and every few seconds something happens to them:
# processes die, the server crashes or is stopped, tables are rewritten, an old
# snapshot is held, settings change. Nothing may be lost or done twice,
# everything must recover each time, and neither memory nor tables may grow.
#
# The queues, and who works them:
#   plain, failing, committing   handlers in executors: a function; one that
#                                fails half of the time, and whose doomed jobs
#                                go to on_dead's queue buried; a procedure
#   ticks                        a handler, for the jobs of schedules
#   single, batch, chained       dequeue and complete of 1 and of 20 jobs; next
#   taken, bound, told           take; claims that are bound to the session;
#                                CALL jobq.wait, and somebody who listens
#   narrow, joint, rated,        handlers: max_running and lifo; a limit, shared
#   bounded                      with lent; a rate; batches, of a queue with
#                                max_running and max_queued
#   lent                         next, which lends its place in the shared limit
#   fair, serial                 handlers, of jobs in groups: with at most two of each
#                                at a time, and a rate; and with one, in order
#   lined                        dequeue and complete of jobs in serial groups
#
# Producers add to a queue only while it has room (max_backlog), so that only
# the faults, or jobq itself, can make the tables grow.
#
# The account. A client that places a job writes it to table placed, a worker
# that has done it to table effects, each in the transaction that places or
# ends the job. So in every snapshot a placed job is either unfinished and has
# no effect, or has ended and has exactly one.  audit() looks at that after
# each fault, in one snapshot, writes errors to table broken, with the rows
# that show them, and forgets finished jobs; if one of them comes back, its
# effect belongs to no job. Schedules have counted a run for each job that
# exists or has left its row in table slots. What is known of the times at which
# jobs started and ended shows that limits and rates were kept, and what jobs of serial
# groups have seen while they ran shows that none was overtaken.
#
# The first three fifths of the time are stormy.  After that nothing happens
# that ends a process, which shows whether those that live grow.
#
# JOBQ_SOAK_SECONDS says how long it runs (20); "make soak SECONDS=900" is
# the full proof. JOBQ_SEED repeats the order of the faults.

use strict;
use warnings;

use File::Basename qw(basename);
use JobqClients;
use JobqMemory;
use JobqTest;
use List::Util qw(max min shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $here = source_dir() . '/test/soak';
my $seconds = $ENV{JOBQ_SOAK_SECONDS} || 20;
my $seed = $ENV{JOBQ_SEED} || int(rand(1e9)) + 1;

my $max_backlog = 1000;    # of a queue, before producers pause
my $sample_every = 3;      # seconds
my $turn_every = 5;        # seconds that a segment of history is written to

# Growth of a process that is allowed, and from which length of the run on
# there are enough samples of those that live for a minute.
my $max_growth = 8192;    # kilobytes
my $long_run = 300;       # seconds

srand($seed);
note("JOBQ_SEED=$seed");

my $node = jobq_node(
	'main',
	extension => 0,
	conf => [
		'fsync = off',
		'log_statement = none',
		"log_line_prefix = '%m [%p] %b %e %q%a '",
		'max_wal_size = 512MB',
		'autovacuum_naptime = 1s',
		'jobq.max_workers = 3',
		'jobq.sweep_interval = 1s',
	]);
$node->safe_psql('postgres', 'CREATE DATABASE soak');
create_extension($node, 'soak');

sub sql
{
	my ($query) = @_;
	return $node->sql($query, 'soak');
}

sql(slurp_file("$here/schema.sql"));

# ---------------------------------------------------------------- the account

sql(slurp_file("$here/account.sql"));

# The faults that there were, by name: { times, lost, twice, other,
# recoveries => [milliseconds] }.
my %toll;
my $all_goes_on = 1;

# The clients that are at work, by script.
my %client;

# Makes the account, and books what is wrong on the fault.  Evidence is shown
# at once: what comes later may cover it up.  The clients stall meanwhile, since
# with this many of them the account would get too little CPU, and some leases
# should run out.
sub audit
{
	my ($name) = @_;
	my $found = client_freeze(
		sub {
			return sql(
				q{
				SELECT soak.audit();
				UPDATE soak.broken SET told = true WHERE NOT told
				RETURNING split_part(law, ':', 1), law, job, evidence});
		},
		map { @$_ } values %client);
	foreach my $line (grep { $_ } split(/\n/, $found))
	{
		my ($kind, $law, $job, $evidence) = split(/\|/, $line, 4);
		$toll{$name}{$kind}++;
		diag("after \"$name\", JOBQ_SEED=$seed: $law: job $job\n$evidence");
	}
	return;
}

# ---------------------------------------------------------------- the clients

# How many there are, where it is not one.
my %clients_of = (producer => 2, single => 2, batch => 2, lined => 2);

# Each script in clients/ as a pgbench of its own, so that one of them can die alone.
sub start_clients
{
	foreach my $file (sort glob("$here/clients/*.sql"))
	{
		my $name = basename($file, '.sql');
		$client{$name} = [
			map {
				client_start(
					$node,
					"soak $name",
					slurp_file($file),
					db => 'soak',
					variables => {
						max_backlog => $max_backlog,
						ids => '{}',
						lease => 0
					})
			} 1 .. ($clients_of{$name} // 1)
		];
	}
	# psql says what it was told when it has got an answer
	$client{listener} = [
		client_start(
			$node, 'soak listener', "SELECT jobq.listen('told');\n",
			db => 'soak',
			command => q[{ cat $0; while sleep 0.2 && echo 'SELECT;'; do :; done; } | psql -XqAt])
	];
	return;
}

sub kill_clients
{
	my (@names) = @_;
	client_kill($node, map { @{ delete $client{$_} } } @names);
	return;
}

sub notifications
{
	my $said = client_output($client{listener}[0]);
	return scalar(() = $said =~ /Asynchronous notification/g);
}

# --------------------------------------------------------------- what is seen

my $memory = memory_watch();
my @sizes;          # samples: { what => bytes or number }
my $last_sample = 0;
my $last_turn = time();
my @turns = (0);    # jobs that were done when history went to a new segment

my $sizes_sql = q{
	SELECT 'job table', pg_relation_size('jobq_store.job')
	UNION ALL SELECT 'job indexes', pg_indexes_size('jobq_store.job')
	UNION ALL SELECT 'attempt', pg_total_relation_size('jobq_store.attempt')
	UNION ALL SELECT 'history',
	  sum(pg_total_relation_size(('jobq_store.history_' || i)::regclass))
	    FROM generate_series(0, 7) AS i
	UNION ALL SELECT 'live jobs', count(*) FROM jobq_store.job};

sub sample
{
	my %kind_of = map { split(/\|/) } split(
		/\n/,
		sql(q{
		SELECT pid, CASE WHEN backend_type LIKE 'jobq%' THEN backend_type
		            ELSE application_name END
		  FROM pg_stat_activity
		 WHERE backend_type LIKE 'jobq%' OR application_name LIKE 'soak %'}));
	memory_sample($memory, \%kind_of);
	push @sizes, { map { split(/\|/) } split(/\n/, sql($sizes_sql)) };
	$last_sample = time();
	return;
}

sub jobs_done
{
	return sql('SELECT coalesce(sum(jobs), 0) FROM soak.settled');
}

# Lets things go on, and looks at them, until it is so late.
sub watch_until
{
	my ($end) = @_;
	poll_until(
		sub {
			sample() if time() >= $last_sample + $sample_every;
			return time() >= $end;
		},
		max($end - time(), 0) + 1);
	return;
}

# Lets history go on to its next segment. One is written to for four hours, a
# sixth of what the jobs of jobq.run() are kept for: this one looks as if it had
# been. It is emptied seven turns later, when the account is through with it.
# If the segment to be emptied is locked, the coordinator comes back in a minute,
# or when a queue's retention is changed.
sub turn_history
{
	return if time() < $last_turn + $turn_every;
	my $segment = sql(
		q{
		UPDATE jobq_store.service
		   SET history_since = history_since - interval '1 day'
		RETURNING history_segment});
	poll_until(
		sub {
			return sql(
				q{
				SELECT jobq.alter_queue('ticks',
					keep_dead => '30 days'::interval + random() * interval '1 h');
				SELECT history_segment FROM jobq_store.service}) ne "\n$segment";
		}) or die "history does not go on\n";
	push @turns, jobs_done();
	$last_turn = time();
	return;
}

# ----------------------------------------------------------------- the faults

# Processes of a kind, in the database or in none.
sub pids_of
{
	my ($kind) = @_;
	my $like = $kind eq 'client' ? 'application_name' : 'backend_type';
	my $pattern = $kind eq 'client' ? 'soak %' : "jobq $kind";
	return split(/\n/, sql("SELECT pid FROM pg_stat_activity WHERE $like LIKE '$pattern'"));
}

# Does something to a process of a kind; tries others if one was gone already.
sub strike
{
	my ($kind, $code) = @_;
	poll_until(
		sub {
			my @pids = pids_of($kind);
			return @pids && $code->($pids[ rand(@pids) ]);
		}) or die "there is no $kind\n";
	return;
}

# When the server said that it takes connections, since that position.
sub ready_since
{
	my ($position) = @_;
	my @times = log_since($node, $position) =~
	  /^(\S+ \S+ \S+) .*database system is ready to accept connections/mg;
	return $times[-1];
}

# After a crash VACUUM does not know what there is to do: the statistics are
# lost.
sub vacuum
{
	sql('VACUUM jobq_store.job, jobq_store.attempt, soak.placed, soak.effects');
	return;
}

sub now
{
	return sql('SELECT clock_timestamp()');
}

sub kill_one
{
	my ($kind) = @_;
	my $position = log_position($node);
	strike($kind, sub { return kill('KILL', $_[0]) });
	wait_for_recovery($node, $position);
	vacuum();
	return ready_since($position);
}

sub terminate_one
{
	my ($kind) = @_;
	my $since = now();
	my $old;
	strike(
		$kind,
		sub {
			($old) = @_;
			return sql("SELECT pg_terminate_backend($old)") eq 't';
		});
	poll_until(sub { return !kill(0, $old) }) or die "$kind stays\n";
	# there is always another one
	poll_until(
		sub {
			return grep { $_ != $old } pids_of($kind);
		}) or die "no $kind comes back\n";
	return $since;
}

sub stop_server
{
	my ($how) = @_;
	my $position = log_position($node);
	$node->stop($how);
	$node->start;
	vacuum();
	return ready_since($position);
}

# For at most a sixth of the time, in short runs.
sub for_a_while
{
	watch_until(time() + min(2 + rand(3), $seconds / 6));
	return;
}

# What can happen.  Each returns since when all should be well again, by the
# server's clock.
my %stormy = (
	(   map {
			my $kind = $_;
			("kill $kind" => sub { kill_one($kind) })
		} ('launcher', 'coordinator', 'executor', 'client')),
	(   map {
			my $kind = $_;
			("terminate $kind" => sub { terminate_one($kind) })
		} ('launcher', 'coordinator', 'executor', 'client')),
	'immediate shutdown' => sub { stop_server('immediate') },
	'fast shutdown' => sub { stop_server('fast') },
	'copy the database' => sub {
		kill_clients(keys %client);
		$node->safe_psql('postgres', 'CREATE DATABASE soak_copy TEMPLATE soak');
		start_clients();
		my $since = now();
		is($node->safe_psql('soak_copy', q{SELECT topic FROM jobq.health WHERE topic = 'copy'}),
			'copy', 'a copy is at rest');
		$node->safe_psql('postgres', 'DROP DATABASE soak_copy');
		return $since;
	},
	'change max_workers' => sub {
		my $n = 2 + int(rand(3));
		sql("ALTER SYSTEM SET jobq.max_workers = $n");
		sql('SELECT pg_reload_conf()');
		return now();
	},
	'stop() and start()' => sub {
		sql('SELECT jobq.stop()');
		poll_until(sub { return !pids_of('executor') })
		  or die "executors stay after stop()\n";
		sql('SELECT jobq.start()');
		return now();
	});
my %gentle = (
	'hold a snapshot' => sub {
		my $session = $node->background_psql('soak');
		$session->query_safe(
			'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobq.jobs');
		my $since = now();
		for_a_while();
		$session->quit;
		return $since;
	},
	'VACUUM FULL' => sub {
		sql('VACUUM FULL jobq_store.job');
		return now();
	},
	'REINDEX CONCURRENTLY' => sub {
		sql('REINDEX TABLE CONCURRENTLY jobq_store.job');
		return now();
	},
	'pause and resume' => sub {
		sql('SELECT jobq.pause(name) FROM soak.queue');
		for_a_while();
		sql('SELECT jobq.resume(name) FROM soak.queue');
		return now();
	},
	'pause and resume groups' => sub {
		sql(q{SELECT jobq.pause(name, 'g1'), jobq.set_group(name, 'g2', weight => 5)
			FROM soak.queue WHERE ngroups > 0});
		for_a_while();
		sql(q{SELECT jobq.resume(name, 'g1'), jobq.reset_group(name, 'g2')
			FROM soak.queue WHERE ngroups > 0});
		return now();
	});

# All of them in turn, in a new random order each time.
my @deck;

sub draw
{
	my (%faults) = @_;
	@deck = shuffle(sort keys %faults) if !grep { $faults{$_} } @deck;
	my $name;
	do { $name = shift(@deck) } until $faults{$name};
	return $name;
}

# Each queue and schedule is worked since then; says how soon executors and
# clients had both done something.
sub goes_on
{
	my ($name, $since) = @_;
	my $done = poll_query(
		$node, qq{
		SELECT NOT EXISTS (SELECT name FROM soak.queue
		                   EXCEPT SELECT queue FROM soak.effects
		                           WHERE at > '$since')
		   AND (SELECT count(DISTINCT schedule) FROM soak.slots
		         WHERE at > '$since') = 3},
		db => 'soak');
	if (!$done)
	{
		$all_goes_on = 0;
		diag(
			"not everybody goes on after \"$name\", JOBQ_SEED=$seed\n" . sql(
				qq{
				SELECT queue, count(*), max(at) FROM soak.effects
				 WHERE at > '$since' GROUP BY queue;
				SELECT queue, ready, scheduled, running, paused FROM jobq.queues;
				SELECT * FROM jobq.workers;
				SELECT * FROM jobq.health;
				SELECT pid, application_name, backend_type, state,
				       wait_event_type, wait_event, pg_blocking_pids(pid), query
				  FROM pg_stat_activity WHERE datname = 'soak'}));
		return;
	}
	return sql(
		qq{
		SELECT round(extract(epoch FROM
		  max(first) - '$since'::timestamptz) * 1000)
		FROM (SELECT min(at) AS first FROM soak.effects JOIN soak.queue AS q
		        ON q.name = effects.queue
		       WHERE at > '$since' GROUP BY executed) AS t});
}

# ---------------------------------------------------------------------- a day

start_clients();
goes_on('start', now());
my $start = time();
my $end = $start + $seconds;

sub note_time
{
	my ($what) = @_;
	note(sprintf('%5.1f s: %s', time() - $start, $what));
	return;
}

while ($all_goes_on && time() < $end)
{
	my $storm = time() < $start + 0.6 * $seconds;
	my %faults = (%gentle, $storm ? %stormy : ());
	my $name = draw(%faults);

	my $next = time() + ($storm ? rand(5) : 5 + rand(5));
	note_time($name);
	my $since = $faults{$name}->();
	note_time('is done');
	my $recovery = goes_on($name, $since);
	note_time('all go on');
	$toll{$name}{times}++;
	push @{ $toll{$name}{recoveries} }, $recovery if defined $recovery;
	audit($name);
	note_time('account made');
	turn_history();
	watch_until(min($next, $end));
}
my $lasted = time() - $start;
ok($all_goes_on, 'everybody goes on after each fault');

# ------------------------------------------------------------ the end of it

sql('SELECT jobq.enable_schedule(name, false) FROM jobq.schedules');
kill_clients('producer');
ok(poll_query($node, 'SELECT count(*) = 0 FROM jobq_store.job', db => 'soak'),
	'all that was placed comes to an end')
  or diag(
	sql(q{
		SELECT soak.evidence(id) FROM jobq_store.job ORDER BY id LIMIT 20;
		SELECT * FROM jobq.workers;
		SELECT * FROM jobq.health}));

my $told = notifications();
sql(q{SELECT soak.place('told', 'one')});
ok(poll_until(sub { return notifications() > $told }), 'a listener is told of a job');
poll_query($node, 'SELECT count(*) = 0 FROM jobq_store.job', db => 'soak');
kill_clients(keys %client);

audit('the end');
is(sql('SELECT count(*) FROM soak.broken'),
	'0', 'each job was done once, and each run of a schedule');
is(sql('SELECT soak.evidence(job) FROM soak.placed LIMIT 20'),
	'', 'the account is through with all jobs');
is(sql('SELECT * FROM jobq.health'), '', 'jobq.health has nothing to say');
is(sql('SELECT * FROM jobq_store.flow_check()'), '', 'memory agrees with the tables');

sample();
my $done = jobs_done();
my $rate = $done / $lasted;
my %most = map {
	my $what = $_;
	$what => max(map { $_->{$what} } @sizes)
} keys %{ $sizes[0] };

# A queue may get more than it has room for, from each producer one call's jobs.
my $most_live =
  sql('SELECT count(*) FROM soak.queue') * ($max_backlog + $clients_of{producer} * 250) + 100;
cmp_ok($most{'live jobs'}, '<=', $most_live, 'the backlog is bounded');

# Dead rows are there until VACUUM comes, which old snapshots keep from it for
# some seconds; a row takes half a kilobyte of a page that has room for the next
# versions of its rows.
my $most_rows = $most_live + 20 * $rate;
cmp_ok(
	$most{'job table'} + $most{'job indexes'},
	'<=',
	1000 * $most_rows,
	'the table of jobs is bounded');

# History has what was finished in eight turns and this one.
push @turns, $done;
my $most_kept = max(map { $turns[$_] - $turns[ max($_ - 10, 0) ] } 1 .. $#turns);
cmp_ok($most{history} + $most{attempt}, '<=', 500 * $most_kept + 2**20, 'history is bounded');

# while somebody else has the table VACUUM does not truncate it
ok( poll_until(
		sub {
			sql('VACUUM (TRUNCATE on, INDEX_CLEANUP on) jobq_store.job');
			return sql(q{SELECT pg_relation_size('jobq_store.job')}) eq '0';
		}),
	'VACUUM leaves nothing in the table of jobs');

# --------------------------------------------------------------- the summary

sub table
{
	my ($head, @rows) = @_;
	my $n = @$head - 1;
	return join("\n", map { sprintf("  %-22s" . ' %9s' x $n, @$_) } $head, @rows);
}

sub megabytes
{
	return sprintf('%.1f', $_[0] / 1024);
}

sub summary
{
	my @faults = map {
		my $fault = $toll{$_};
		my @times = @{ $fault->{recoveries} || [] };
		[
			$_,
			map({ $fault->{$_} // 0 } qw(times lost twice other)),
			@times ? (median(@times), max(@times)) : ('', '')
		]
	} sort keys %toll;
	my @jobs = map { [ split(/\|/) ] } split(
		/\n/,
		sql(qq{
		SELECT queue, sum(jobs), round(sum(jobs) / $lasted) FROM soak.settled
		 GROUP BY queue ORDER BY queue}));
	my @memory = map {
		[
			$_->{kind}, $_->{processes},
			int($_->{lived}), map({ megabytes($_) } @$_{qw(first median last growth slope)})
		]
	} memory_summary($memory, min(60, $seconds / 5));
	my @most = map {
		my $what = $_;
		my @all = map { $_->{$what} } @sizes;
		[ $what, $all[0], median(@all), max(@all), $all[-1] ]
	} sort keys %most;
	return join(
		"\n",
		sprintf('JOBQ_SEED=%d, %d s: %d jobs, %d per second', $seed, $lasted, $done, $rate),
		table([ 'jobs of queue', 'done', 'per s' ], @jobs),
		table([ 'fault', 'times', 'lost', 'twice', 'other', 'median ms', 'max ms' ], @faults),
		table(
			[
				'memory, MB', 'processes', 'lived s', 'first', 'median', 'last',
				'growth', 'per min'
			],
			@memory),
		table([ 'sizes', 'first', 'median', 'most', 'last' ], @most));
}

diag(summary());

if ($seconds > $long_run)
{
	my @watched = memory_summary($memory, 60);
	is( join(', ',
			map  { "$_->{kind}: $_->{growth} kB" }
			grep { $_->{growth} > $max_growth } @watched),
		'',
		'no process has grown');
	my %seen = map { $_->{kind} => 1 } @watched;
	is(join(', ', grep { !$seen{$_} } ('jobq launcher', 'jobq coordinator', 'jobq executor')),
		'', 'each kind of process was watched for a minute');
}

# Recovery goes through the end of a database that is gone already.
my @from_recovery = (
	qr/could not open directory "base\/\d+"/,
	qr/some useless files may be left behind in old database directory/);

is( join(
		"\n",
		unexpected_log_lines(
			$node,
			0,
			qr/terminating (?:connection|background worker|autovacuum)/,
			qr/the database system is/,
			qr/connection to client lost/,
			qr/is not a PostgreSQL (?:backend|server) process/,
			@from_recovery)),
	'',
	'nothing unexpected in the log');

# These are bad at any level.  Processes die of SIGKILL and SIGQUIT only.
my $bad = qr/could not|PANIC|XX000|TRAP|missing from shared memory|jobq failed|signal (?!9:|3:)/;
my $harmless = qr/could not (?:send data to|receive data from) client/;
is( join(
		"\n",
		grep {
			my $line = $_;
			$line =~ $bad && !grep { $line =~ $_ } ($harmless, @from_recovery)
		} split(/\n/, log_since($node, 0))),
	'',
	'nothing in the log that must not be there');

$node->stop;
done_testing();
