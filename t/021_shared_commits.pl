# t/021_shared_commits.pl: jobs that share a transaction are still isolated from
# each other.
#
# Short jobs share for jobq.shared_commit_time, which has its maximum here. If
# the machine was too slow for them to share, a test runs them again; what must
# be true of all jobs is checked in each run.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	conf => [
		'jobq.max_workers = 1',
		'jobq.worker_idle_timeout = 1h',
		'jobq.shared_commit_time = 1s',
		"jobq.log_jobs = 'failures'"
	]);

# history.state
my ($completed, $dead, $cancelled) = (3, 4, 5);

# A job does what its payload says, and writes down in which transaction.
$node->sql(
	q{
	CREATE TABLE effects (n int, job bigint, attempt int, xid xid8 DEFAULT pg_current_xact_id(),
		note text,
		begun timestamptz DEFAULT now());
	CREATE TABLE gate (n int);
	INSERT INTO gate VALUES (0);
	CREATE SEQUENCE numbers;
	SELECT nextval('numbers');
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE strict_child (id int REFERENCES parent DEFERRABLE);
	CREATE ROLE other;
	GRANT ALL ON effects TO other;
	CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE note text; BEGIN
		IF j.payload ? 'check' THEN EXECUTE j.payload ->> 'check' INTO note; END IF;
		INSERT INTO public.effects(n, job, attempt, note) VALUES ((j.payload ->> 'n')::int, j.id,
			j.attempt, note);
		IF j.payload ? 'sql' THEN EXECUTE j.payload ->> 'sql'; END IF;
		IF j.payload ? 'once' AND j.attempt = 1 THEN EXECUTE j.payload ->> 'once'; END IF;
	END$$;
});

# A queue's first jobs run alone (JOBQ_UNSHARED_AT_FIRST).
my $alone_at_first = 8;

my $queues = 0;
my $queue;

sub drained
{
	return poll_query($node, "SELECT count(*) = 0 FROM jobq_store.job", seconds => 120);
}

# Runs jobs, given by their payloads without "n", that are ready at once.
# Returns when $until is true, without one when they have ended.
sub run_batch
{
	my ($jobs, %opt) = @_;
	my $n = 0;
	my $options = $opt{options} // '';
	$node->sql("TRUNCATE effects; SELECT jobq.pause('$queue')");
	$node->sql(
		join(
			';',
			map {
				$n++;
				"SELECT jobq.enqueue('$queue', \$_p\$$_\$_p\$::jsonb || '{\"n\": $n}'$options)"
			} @$jobs));
	$node->sql("SELECT jobq.resume('$queue')");
	return $opt{until} ? poll_query($node, $opt{until}) : drained();
}

sub transactions
{
	return $node->sql('SELECT count(DISTINCT xid) FROM effects');
}

# A queue whose next jobs may share transactions.
sub new_queue
{
	my ($options) = @_;
	$queue = 'q' . ++$queues;
	$node->sql(
		"SELECT jobq.create_queue('$queue', 'work(jobq.job)', backoff_base => '1 ms',
			backoff => 'fixed', jitter => 0" . ($options // '') . ')');
	run_batch([ ('{}') x $alone_at_first ]);
	return;
}

# Whether the jobs took so long that one of them may have been a long one, for
# which a fifth of jobq.shared_commit_time is enough.
sub were_slow
{
	return $node->sql(
		q{SELECT max(finished_at) - min(started_at) > '0.15 s' FROM jobq.jobs
		WHERE id IN (SELECT job FROM effects)}) eq 't';
}

# shared($code): runs the code, with the number of the run, until it returns
# true: jobs have shared a transaction. False if they were not slow, and have not.
sub shared
{
	my ($code) = @_;
	foreach my $run (1 .. 20)
	{
		return 1 if $code->($run);
		return 0 if !were_slow();
		note("slow jobs: run $run");
	}
	return 0;
}

# shared_ok($numbers, $jobs, $name, @asks): the jobs with these numbers share a
# transaction. Each of @asks is a query, what it returns after each run, and the
# name of the test of that.
sub shared_ok
{
	my ($numbers, $jobs, $name, @asks) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($n, $list) = (scalar(@$numbers), join(',', @$numbers));
	my @answers;

	ok( shared(
			sub {
				my ($run) = @_;
				new_queue() if $run > 1;
				run_batch($jobs);
				@answers = map { $node->sql($_->[0]) } @asks;
				return 1 if grep { $answers[$_] ne $asks[$_][1] } 0 .. $#asks;
				return $node->sql(
					"SELECT count(DISTINCT xid) = 1 AND count(DISTINCT n) = $n
						FROM effects WHERE n IN ($list)") eq 't';
			}),
		$name);
	is($answers[$_], $asks[$_][1], $asks[$_][2]) foreach 0 .. $#asks;
	return;
}

# ------------------------------------------------------------- they do share

new_queue();
is(transactions(), $alone_at_first, 'the first jobs of a queue run alone');
ok( shared(
		sub {
			new_queue() if $_[0] > 1;
			run_batch([ ('{}') x 30 ]);
			return transactions() == 1;
		}),
	'short jobs share a transaction');
ok( shared(
		sub {
			new_queue() if $_[0] > 1;
			run_batch([ ('{}') x 300 ]);
			return transactions() == 5;
		}),
	'300 jobs share five transactions');
is($node->sql('SELECT count(*), count(DISTINCT n), max(attempt) FROM effects'),
	'300|300|1', 'each job runs once');
is($node->sql('SELECT max(count) FROM (SELECT count(*) FROM effects GROUP BY xid) x'),
	'60', 'no more than 60 jobs share a transaction');
is( $node->sql(
		q{SELECT count(*) FROM effects e JOIN jobq_store.history h ON h.id = e.job
	WHERE begun < h.enqueued_at OR begun < h.run_at}),
	'0',
	'now() is not before a job was enqueued');

run_batch([ ('{}') x 30 ], options => ', max_attempts => 1');
is(transactions(), '30', 'a job with a single attempt shares no transaction');

# --------------------------------------------------------- one of them fails

shared_ok(
	[ 1, 3 ],
	[ '{}', '{"once": "SELECT 1/0"}', '{}' ],
	'the jobs before and after one that fails share their transaction',
	[
		q{SELECT string_agg(n || '/' || attempt, ' ' ORDER BY n) FROM effects},
		'1/1 2/2 3/1', 'a job that fails rolls back alone'
	]);
is( $node->sql(
		q{SELECT a.sqlstate FROM jobq_store.attempt a JOIN effects e ON e.n = 1
			AND a.xmin::text = e.xid::text}
	),
	'22012',
	'a failure is recorded in the shared transaction');

# ---------------------------------------------------- nothing is left to the next

# what a job does, and what the next one asks; both share the transaction
my @undone = (
	[ 'SET work_mem = 77777', q{SELECT current_setting('work_mem')}, '4MB' ],
	[ 'SET LOCAL work_mem = 77777', q{SELECT current_setting('work_mem')}, '4MB' ],
	[
		q{SELECT set_config('my.own', 'x', true)},
		q{SELECT coalesce(current_setting('my.own', true), '')},
		''
	],
	[ q{SET search_path = pg_temp}, q{SELECT current_setting('search_path')}, '"$user", public' ],
	[ 'SET TRANSACTION READ ONLY', q{SELECT current_setting('transaction_read_only')}, 'off' ],
	[ 'SET ROLE other', 'SELECT current_user', 'postgres' ],
	[ 'SET LOCAL ROLE other', 'SELECT current_user', 'postgres' ],
	[ 'SET SESSION AUTHORIZATION other', 'SELECT session_user', 'postgres' ],
	[ 'PREPARE p AS SELECT 1', 'SELECT count(*) FROM pg_prepared_statements', '0' ],
	[ 'DECLARE c CURSOR FOR SELECT 1', q{SELECT count(*) FROM pg_cursors WHERE name = 'c'}, '0' ],
	[
		'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
		q{SELECT count(*) FROM pg_cursors WHERE name = 'c'},
		'0'
	],
	[
		q{SELECT nextval('numbers')},
		q{DO $$BEGIN PERFORM currval('numbers'); RAISE 'there is a value';
		EXCEPTION WHEN object_not_in_prerequisite_state THEN END$$}, undef
	]);
foreach my $case (@undone)
{
	my ($does, $asks, $expected) = @$case;
	my $check = defined $expected ? qq{"check"} : qq{"sql"};
	$_ = s/(["\\])/\\$1/gr =~ s/\s+/ /gr foreach ($does, $asks);
	shared_ok(
		[ 1, 2, 3 ],
		[ '{}', qq({"sql": "$does"}), qq({$check: "$asks"}) ],
		"shares its transaction: $does",
		[
			q{SELECT note FROM effects WHERE n = 3},
			$expected // '',
			"the next job finds nothing of: $does"
		]);
}

# and these are the last ones of their transactions
my @last = (
	[ 'SET CONSTRAINTS ALL DEFERRED', q{SELECT count(*) FROM effects WHERE n = 4}, '0' ],
	[ 'SET CONSTRAINTS ALL IMMEDIATE', 'SELECT 1', '1' ],
	[
		'INSERT INTO parent VALUES (1) ON CONFLICT DO NOTHING; INSERT INTO child VALUES (1)',
		'SELECT 1', '1'
	],
	[ 'CREATE TEMP TABLE t (i int)', q{SELECT coalesce(to_regclass('pg_temp.t')::text, '')}, '' ],
	[
		'CREATE TEMP TABLE t (i int) ON COMMIT DROP',
		q{SELECT coalesce(to_regclass('pg_temp.t')::text, '')},
		''
	],
	[
		'CREATE TEMP TABLE t AS SELECT 1',
		q{SELECT coalesce(to_regclass('pg_temp.t')::text, '')}, ''
	],
	[ 'NOTIFY c', 'SELECT 1', '1' ],
	[ q{SELECT pg_notify('c', 'x')}, 'SELECT 1', '1' ],
	[
		'SELECT pg_advisory_lock(1)',
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, '0'
	],
	[
		'SELECT pg_advisory_xact_lock(1)',
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, '0'
	],
	[
		'SELECT pg_try_advisory_xact_lock_shared(1, 2)',
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'},
		'0'
	],
	[ q{SELECT lo_open(lo_create(0), 131072)}, q{SELECT lo_open(lo_create(0), 131072)}, '0' ],
	[ 'LOCK TABLE gate', q{SELECT count(*) FROM pg_locks WHERE relation = 'gate'::regclass}, '0' ],
	[ 'COPY parent TO PROGRAM $$cat >/dev/null$$', 'SELECT 1', '1' ]);
foreach my $case (@last)
{
	my ($does, $asks, $expected) = @$case;
	shared_ok(
		[ 1, 2 ],
		[ '{}', qq({"sql": "$does"}), qq({"check": "$asks"}) ],
		"shares its transaction with the job before it only: $does",
		[
			q{SELECT note || '/' || (xid <> (SELECT xid FROM effects WHERE n = 2))
				FROM effects WHERE n = 3},
			"$expected/true",
			"the next job finds nothing of: $does"
		]);
}
shared_ok(
	[1],
	[
		'{}',
		q({"once": "SELECT 1 / length(pg_advisory_lock(1)::text)"}),
		q({"check": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"})
	],
	'a session lock of a job that failed',
	[
		q{SELECT note || '/' || (xid <> (SELECT xid FROM effects WHERE n = 1))
			FROM effects WHERE n = 3},
		'0/true',
		'the next job finds no lock of a job that failed'
	]);
is($node->sql(q{SELECT count(*) FROM jobq_store.history WHERE state <> 3}),
	'0', 'all these jobs completed');

# a constraint that a job has deferred is none of the next one's
run_batch(
	[
		'{"sql": "SET CONSTRAINTS ALL DEFERRED"}',
		'{"once": "INSERT INTO strict_child VALUES (77)"}'
	]);
is( $node->sql(
		q{SELECT message ~ 'violates foreign key' AND context ~ 'INSERT INTO strict_child'
	FROM jobq_store.attempt ORDER BY finished_at DESC LIMIT 1}),
	't',
	'constraints are immediate for a job');

# equal notifications of two jobs are two
{
	my $listener = $node->background_psql('postgres', on_error_stop => 0);
	$listener->query('LISTEN twice');
	run_batch([ ('{"sql": "NOTIFY twice"}') x 2 ]);
	my $heard = '';
	ok( poll_until(
			sub {
				$heard .= $listener->query('SELECT 1') // '';
				return scalar(() = $heard =~ /notification "twice"/g) == 2;
			},
			30),
		'equal notifications of two jobs are two');
	$listener->quit;
}

# a job that pauses its queue
run_batch(
	[ "{\"sql\": \"SELECT jobq.pause('$queue')\"}", '{}' ],
	until => 'SELECT count(*) = 1 FROM jobq_store.job');
is($node->sql('SELECT string_agg(n::text, $$ $$) FROM effects'),
	'1', 'a job that pauses its queue is the last one');
$node->sql("SELECT jobq.resume('$queue')");
drained();

# -------------------------------------------------------------- a slow job

my $holder;
my $waiting = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND wait_event_type = 'Lock'};
my $at_gate = '{"once": "UPDATE gate SET n = n + 1"}';

sub close_gate
{
	$holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN');
	$holder->query_safe('SELECT n FROM gate FOR UPDATE');
	return;
}

sub open_gate
{
	$holder->quit;
	return drained();
}

# Has the second of three jobs wait, in the transaction of the first.
sub wait_at_gate
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(
		shared(
			sub {
				new_queue();
				close_gate();
				run_batch([ '{}', $at_gate, '{}' ], until => $waiting);
				return 1 if $node->sql('SELECT count(*) FROM effects') eq '0';
				open_gate();
				return 0;
			}),
		'a job waits, and the one before it with it');
}

wait_at_gate();
is( $node->sql(
		q{SELECT count(*) FROM jobq.workers WHERE job_id = (SELECT max(id) - 1 FROM jobq_store.job)}
	),
	'1',
	'jobq.workers shows the job that is running');
poll_query(
	$node, q{SELECT clock_timestamp() > xact_start + interval '1.1 s' FROM pg_stat_activity
	WHERE backend_type = 'jobq executor'});
open_gate();
is( $node->sql(
		q{SELECT (SELECT xid FROM effects WHERE n = 1) = (SELECT xid FROM effects WHERE n = 2),
	(SELECT xid FROM effects WHERE n = 2) = (SELECT xid FROM effects WHERE n = 3)}),
	't|f',
	'the jobs commit when the slow one has ended, before others run');
run_batch([ ('{}') x 30 ]);
is(transactions(), '30', 'after a slow job each one has a transaction of its own');

# ------------------------------------------------------ cancel and timeout

wait_at_gate();
my $job = $node->sql('SELECT id FROM jobq_store.job ORDER BY id OFFSET 1 LIMIT 1');
is($node->sql("SELECT jobq.cancel($job)"), 't', 'the slow job is cancelled');
drained();
open_gate();
is($node->sql(q{SELECT string_agg(n::text, ' ' ORDER BY n), max(attempt) FROM effects}),
	'1 3|1', 'the jobs that share its transaction complete');
is( $node->sql(
		"SELECT state, xmin::text = (SELECT xid::text FROM effects WHERE n = 1)
			FROM jobq_store.history WHERE id = $job"
	),
	"$cancelled|t",
	'the cancellation is recorded with what the job before it did');

my $timed_out = q{FROM jobq_store.attempt a WHERE outcome = 'timed out'};
my $end;
ok( shared(
		sub {
			my ($run) = @_;
			new_queue();
			close_gate();
			run_batch(
				[ '{}', $at_gate, '{}' ],
				options => ", timeout => '200 ms'",
				until => "SELECT count(*) >= $run $timed_out");
			open_gate();
			$end =
			  $node->sql(q{SELECT string_agg(n || '/' || attempt, ' ' ORDER BY n) FROM effects});
			return 1 if $end !~ qr{^1/1 2/\d+ 3/1$};
			return $node->sql(
				"SELECT count(*) $timed_out
					AND xmin::text = (SELECT xid::text FROM effects WHERE n = 1)") eq '1';
		}),
	'a timeout is recorded with what the job before it did');
like($end, qr{^1/1 2/\d+ 3/1$}, 'a timeout applies to one job');

# -------------------------------------------------------- commits that fail

$node->sql(
	q{
	CREATE TABLE trap (i int);
	CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		SET CONSTRAINTS ALL DEFERRED; INSERT INTO child VALUES (77); RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION spring();
});
my @ends;
ok( shared(
		sub {
			new_queue(', max_attempts => 2');
			my $position = log_position($node);
			run_batch([ '{}', '{"sql": "INSERT INTO trap VALUES (1)"}', '{}' ]);
			@ends = (
				$node->sql(q{SELECT string_agg(n || '/' || attempt, ' ' ORDER BY n) FROM effects}),
				$node->sql(
					qq{SELECT h.state || ' ' || h.attempt || ' ' || h.sqlstate || ' ' ||
						(SELECT count(*) FROM jobq_store.attempt a WHERE a.job_id = h.id
							AND a.outcome <> 'interrupted')
					FROM jobq_store.history h JOIN jobq_store.queue q ON q.id = h.queue
					WHERE q.name = '$queue' AND h.payload ? 'sql'}));
			return 1 if "@ends" ne "1/1 3/1 $dead 2 23503 2";
			return log_since($node, $position) =~
			  /could not commit 2 jobs together.*DETAIL:  They will be run again/s;
		}),
	'the log says that jobs which could not be committed together are run again');
is($ends[0], '1/1 3/1', 'a job that cannot be committed: each other job runs once');
is($ends[1], "$dead 2 23503 2", 'a job that cannot be committed uses up its own attempts');
poll_ok(
	$node,
	qq{SELECT count(*) = 2 FROM jobq.attempts WHERE queue = '$queue' AND outcome = 'interrupted'
	AND attempt = 1}, 'the attempts of jobs that are run again were interrupted');
run_batch([ ('{}') x 30 ]);
is(transactions(), '30', 'interrupted jobs run again in transactions of their own');

# -------------------------------------------------- the end of the process

foreach my $how ('terminated', 'killed')
{
	wait_at_gate();
	my ($executor) = worker_pids($node, 'jobq executor');
	if ($how eq 'killed')
	{
		kill_9($node, $executor);
		$holder->quit;
		drained();
	}
	else
	{
		$node->sql("SELECT pg_terminate_backend($executor)");
		poll_query($node, 'SELECT count(*) = 1 FROM effects WHERE n = 1');
		open_gate();
	}
	is( $node->sql(q{SELECT string_agg(n || '/' || attempt, ' ' ORDER BY n) FROM effects}),
		'1/1 2/2 3/1',
		"$how: nothing is lost or done twice, and only the job that ran has lost an attempt");
	is( $node->sql(
			q{SELECT string_agg(a.outcome || ' ' || a.sqlstate, ' ') FROM jobq_store.attempt a
				JOIN effects e ON e.job = a.job_id}
		),
		$how eq 'killed' ? 'crashed 57P02' : 'crashed 57P01',
		"$how: the attempt is recorded");
}

# under load
new_queue();
$node->sql(q{TRUNCATE effects});
$node->sql(
	qq{SELECT count(*) FROM (SELECT jobq.enqueue('$queue', jsonb_build_object('n', g))
		FROM generate_series(1, 3000) g) x}
);
foreach my $round (1 .. 3)
{
	poll_ok($node, "SELECT count(*) > $round * 300 FROM effects", 'jobs are run');
	my ($executor) = worker_pids($node, 'jobq executor');
	if ($round == 2) { $node->sql("SELECT pg_terminate_backend($executor)") if defined $executor; }
	else             { kill_9($node, $executor) if defined $executor; }
}
ok(drained(), 'all jobs end');
is($node->sql('SELECT count(*), count(DISTINCT n) FROM effects'),
	'3000|3000', 'each job has done its work once');

# ------------------------------------------------------------- whose turn it is

# Jobs that may not join are not left behind by those that may.
new_queue();
$node->sql("SELECT jobq.create_queue('last', 'work(jobq.job)')");
$queue = 'last';
run_batch([ ('{}') x $alone_at_first ]);
$node->sql("SELECT jobq.alter_queue('last', max_attempts => 1)");
$queue = "q$queues";
$node->sql("TRUNCATE effects; SELECT jobq.pause('$queue'), jobq.pause('last')");
$node->sql(
	qq{SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('{"n": 1}'::jsonb, '{3000}'));
	SELECT count(*) FROM jobq.enqueue_many('last', array_fill('{"n": 2}'::jsonb, '{5}'))});
$node->sql("SELECT jobq.resume('$queue'), jobq.resume('last')");
ok(drained(), 'jobs with one attempt and others are run');
is( $node->sql(
		'SELECT max(begun) FILTER (WHERE n = 2) < max(begun) FILTER (WHERE n = 1) FROM effects'),
	't',
	'jobs with one attempt and others are run in turn');

# now() is not before run_at, though executors look for jobs in a transaction
# that has begun before that.
$node->sql('TRUNCATE effects');
$node->sql(
	qq{SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('{"n": 0}'::jsonb, '{6000}'));
	SELECT count(jobq.enqueue('$queue', jsonb_build_object('n', 1, 'check',
		format('SELECT now() < %L::timestamptz', due)), run_at => due))
	FROM (SELECT clock_timestamp() + i * interval '1 ms' AS due
		FROM generate_series(1, 1500) i) x});
ok(drained(), 'jobs that become due while others run are run');
is($node->sql("SELECT count(*) FROM effects WHERE n = 1 AND note <> 'false'"),
	'0', 'jobs that became due run in a later transaction');

# ------------------------------------------------------------ who shares none

$node->sql(
	q{
	CREATE ROLE careful LOGIN;
	CREATE ROLE careless LOGIN;
	ALTER ROLE careful SET default_transaction_isolation = 'serializable';
	GRANT ALL ON effects TO careful, careless;
	SELECT jobq.grant_usage('careful'), jobq.grant_usage('careless');
});
ok( shared(
		sub {
			new_queue(", owner => 'careless'");
			run_batch([ ('{}') x 30 ]);
			return transactions() == 1;
		}),
	'jobs of a role with ordinary settings share a transaction');
$queue = 'careful';
$node->sql("SELECT jobq.create_queue('careful', 'work(jobq.job)', owner => 'careful')");
run_batch([ ('{}') x 100 ]);
is(transactions(), '100', 'jobs of a role whose transactions are serializable share none');
$queue = 'backoff';
$node->sql(
	q{CREATE FUNCTION delay(int, jsonb) RETURNS interval
		LANGUAGE sql AS $$SELECT '1 ms'::interval$$;
	SELECT jobq.create_queue('backoff', 'work(jobq.job)',
		backoff_function => 'delay(int, jsonb)')});
run_batch([ ('{}') x 100 ]);
is(transactions(), '100', 'jobs of a queue with a backoff_function share no transaction');

# A group that may start no more jobs would wait for those of other queues.
$node->sql(
	q{TRUNCATE effects;
	SELECT jobq.create_queue(q, 'work(jobq.job)'), jobq.pause(q)
		FROM unnest('{grouped,other1,other2}'::text[]) AS q;
	SELECT jobq.alter_queue('grouped', max_running_per_group => 1);
	SELECT jobq.enqueue(q, jsonb_build_object('n', n, 'check', 'SELECT ' || quote_literal(q)),
			group_key => CASE q WHEN 'grouped' THEN 'g' || n END)
		FROM unnest('{grouped,other1,other2}'::text[]) AS q, generate_series(1, 200) AS n;
	SELECT jobq.resume(q) FROM unnest('{grouped,other1,other2}'::text[]) AS q});
ok(drained(), 'jobs of a queue whose groups are limited, and of others, are run');
is( $node->sql(
		q{SELECT count(*) FROM (SELECT FROM effects GROUP BY xid
		HAVING bool_or(note = 'grouped') AND bool_or(note <> 'grouped')) AS t}),
	'0',
	'they share no transaction');
new_queue();
$node->sql('ALTER SYSTEM SET jobq.shared_commit_time = 0');
$node->reload;
poll_query($node, q{SELECT current_setting('jobq.shared_commit_time') = '0'});
run_batch([ ('{}') x 100 ]);
is(transactions(), '100', 'no jobs share a transaction if that is turned off');

done_testing();
