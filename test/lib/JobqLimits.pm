# JobqLimits.pm
#
# What the tests of limits, rates and groups share: servers for them, jobs that tell
# when they run, and how many start, or run, at the same time.
#
#   my $node = limits_node(4);
#   create_work($node, 'queue' => 'j.queue');
#   is($node->sql("SELECT n FROM most WHERE queue = 'q'"), '2', 'two ran at most');

package JobqLimits;

use strict;
use warnings;

use Exporter 'import';
use JobqSession;
use JobqTest;
use Test::More;

our @EXPORT = qw(
  limits_node small_node create_idle_work create_work create_most
  starts_in is_within claim_jobs end_running hold_uncounted gate
  take_all take_group_room claimers_killed
);

# limits_node($workers, @conf): a server without sweeps, the executors of which do not
# end: nothing but the protocol wakes anybody.
sub limits_node
{
	my ($workers, @conf) = @_;
	return jobq_node(
		'main',
		conf => [
			"jobq.max_workers = $workers",
			'jobq.worker_idle_timeout = 1h',
			'jobq.sweep_interval = 0',
			"jobq.log_jobs = 'none'",
			@conf
		]);
}

# small_node($workers): the least shared memory, which is room for some 300 groups, of
# which one role gets half. There are no sweeps.
sub small_node
{
	my ($workers) = @_;
	return jobq_node(
		'main',
		conf => [
			"jobq.max_workers = $workers",
			'jobq.shared_memory = 1MB',
			'jobq.sweep_interval = 0',
			"jobq.log_jobs = 'none'",
			'fsync = off'
		]);
}

# create_idle_work($node): work(jobq.job), which does nothing.
sub create_idle_work
{
	my ($node) = @_;
	return $node->sql(
		q{CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END$$});
}

# create_most($node, $columns): a table "begun" with these columns, in which each run of
# a job leaves a row and its transaction's time of commit; and a view "most": how many
# ran at the same time, by these columns. The server must track the times of commits.
sub create_most
{
	my ($node, $columns) = @_;
	my $declared = $columns =~ s/(\w+)/$1 text/gr;
	return $node->sql(
		qq{CREATE TABLE begun ($declared, at timestamptz DEFAULT clock_timestamp(),
			xact xid DEFAULT pg_current_xact_id()::xid);
		CREATE VIEW most AS
		WITH run AS (SELECT $columns, min(at) AS at, pg_xact_commit_timestamp(xact) AS until
				FROM begun GROUP BY $columns, xact),
			step AS (SELECT $columns, at, 1 AS n FROM run
				UNION ALL SELECT $columns, until, -1 FROM run),
			depth AS (SELECT $columns,
				sum(n) OVER (PARTITION BY $columns ORDER BY at, n) AS n FROM step)
		SELECT $columns, max(n) AS n FROM depth GROUP BY $columns});
}

# create_work($node, $columns, $values): the same, and functions work() and work_alone()
# that add such a row, with these values of job j. The latter commits. The payload may say
# how many "ms" the job takes, which advisory lock it is to "wait_for", and that its first
# attempt is to "fail".
sub create_work
{
	my ($node, $columns, $values) = @_;
	create_most($node, $columns);
	return $node->sql(
		qq{CREATE FUNCTION work(j jobq.job) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN
			INSERT INTO public.begun VALUES ($values);
			PERFORM pg_sleep(coalesce((j.payload ->> 'ms')::float8 / 1000, 0));
			IF j.payload ? 'wait_for' THEN
				PERFORM pg_advisory_xact_lock_shared((j.payload ->> 'wait_for')::int);
			END IF;
			IF j.payload ? 'fail' AND j.attempt = 1 THEN RAISE 'no'; END IF;
		END\$\$;
		CREATE PROCEDURE work_alone(j jobq.job) LANGUAGE plpgsql AS \$\$ BEGIN
			PERFORM public.work(j); COMMIT; END\$\$});
}

# starts_in($node, $queues, $period, $of): the most starts in a window of that length, its
# end excluded, and the number of all. The queues are a regular expression; the starts are
# counted by the column $of of jobq.jobs, or all together.
sub starts_in
{
	my ($node, $queues, $period, $of) = @_;
	my $partition = defined $of ? "PARTITION BY $of" : '';
	return split /\|/, $node->sql(
		qq{SELECT max(n), count(*) FROM (
			SELECT count(*) OVER ($partition ORDER BY started_at RANGE BETWEEN CURRENT ROW
				AND interval '$period' - interval '1 us' FOLLOWING) AS n
			FROM jobq.jobs WHERE queue ~ '^($queues)\$' AND started_at IS NOT NULL) AS w});
}

# is_within($node, $queues, $limit, $period, $jobs, $of): that many jobs are run, each has
# started once, and not more than the limit in any window.
sub is_within
{
	my ($node, $queues, $limit, $period, $jobs, $of) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	poll_ok(
		$node,
		"SELECT count(*) FROM jobq.jobs WHERE queue ~ '^($queues)\$' AND state = 'completed'",
		"$queues: all jobs are run",
		expected => $jobs);
	my ($most, $all) = starts_in($node, $queues, $period, $of);
	is($all, $jobs, "$queues: each has its start");
	return cmp_ok($most, '<=', $limit,
		"$queues: not more than $limit in $period" . (defined $of ? " by $of" : ''));
}

# claim_jobs($node, $queue, $n): the payloads of the jobs that dequeue() gives.
sub claim_jobs
{
	my ($node, $queue, $n) = @_;
	return $node->sql(
		"SELECT coalesce(string_agg(payload #>> '{}', ' '), '') FROM jobq.dequeue('$queue', $n)");
}

# end_running($node, $queue, $call): calls a function of (j.id, j.lease, ...) for the
# running jobs j of the queue.
sub end_running
{
	my ($node, $queue, $call) = @_;
	return $node->sql(
		"SELECT jobq.$call FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE j.state = 1 AND q.name = '$queue'");
}

# hold_uncounted($node, @queues): in each queue a job is claimed, the row of which is in
# the first blocks of the table. These are almost full, so that a heartbeat with a large
# progress moves the row. The leases end late, so that they are not listed; table "held"
# has them.
sub hold_uncounted
{
	my ($node, @queues) = @_;
	foreach my $queue (@queues, 'filler')
	{
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', lease => '2 h');
			SELECT jobq.enqueue('$queue', group_key => 'g') FROM generate_series(1, 2)}
		);
	}
	$node->sql(
		q{SELECT jobq.create_queue('rest');
		SELECT count(*) FROM
			jobq.enqueue_many('rest', array_fill('1'::jsonb, '{500}'), delay => '1 y');
		CREATE TABLE held (queue text, id bigint, lease bigint)});
	$node->sql("INSERT INTO held SELECT queue, id, lease FROM jobq.dequeue('$_')")
	  foreach (@queues, 'filler');
	return;
}

# gate($node, $queue): how many of the queue's jobs are counted, and the state of the gate.
sub gate
{
	my ($node, $queue) = @_;
	return $node->sql(
		"SELECT g.running, g.counted FROM jobq_store.gates() AS g
		JOIN jobq_store.queue AS q ON q.id = g.queue WHERE q.name = '$queue'");
}

# take_all($limit): what an external worker of the queues "<limit>1" and "<limit>2" does,
# for some time: it calls work() in the transaction of take().
sub take_all
{
	my ($limit) = @_;
	return q{DO $$ DECLARE job record; BEGIN
		FOR i IN 1 .. 40 LOOP
			FOR job IN SELECT * FROM jobq.take('L' || (1 + i % 2)) LOOP
				PERFORM public.work(job); END LOOP;
			COMMIT;
			PERFORM pg_sleep(random() * 0.01);
		END LOOP; END$$} =~ s/L/$limit/r;
}

# take_group_room($node, $name): makes queues "<name>1", "<name>2" and so on, of which jobs
# of as many groups run as their owner has room for. One queue alone does not get all of it.
sub take_group_room
{
	my ($node, $name) = @_;
	my $wanted = 1000;
	my $queues = 0;
	my $all = 0;
	my $n;

	while (!defined $n || $n > 0)
	{
		my $queue = $name . ++$queues;
		$node->sql(
			qq{SELECT jobq.create_queue('$queue', max_running_per_group => 1,
				lease => '366 days');
			SELECT count(*) FROM jobq.enqueue_many('$queue', array_fill('1'::jsonb, '{$wanted}'),
				group_keys => ARRAY(SELECT 'g' || n FROM generate_series(1, $wanted) AS n))});
		$n = $node->sql(qq{SELECT count(*) FROM jobq.dequeue('$queue', $wanted)});
		die "memory has room for all of $n groups\n" if $n >= $wanted;
		$node->sql(
			qq{SELECT count(jobq.delete(id)) FROM jobq.jobs
			WHERE queue = '$queue' AND state = 'ready'});
		$all += $n;
	}
	note("$all groups of $queues queues");
	return;
}

# claimers_killed($node): by name, what kills who has claimed jobs of the queues l1 and l2,
# or counts them.
sub claimers_killed
{
	my ($node) = @_;
	return (
		'a client' => sub {
			my $session = start_session($node);
			my $pid = ask(
				$session, q{BEGIN; SELECT count(*) FROM jobq.take('l1', 1);
				SAVEPOINT s; SELECT count(*) FROM jobq.dequeue('l2'); SELECT pg_backend_pid()});
			$pid =~ s/\s*\z//;
			kill_9($node, $pid =~ s/.*\n//sr);
			eval { $session->{run}->finish };
		},
		'a client whose claims are bound to it' => sub {
			my $session = start_session($node);
			my $pid = ask(
				$session, q{SELECT count(*) FROM jobq.dequeue('l1', 9, session_bound => true);
				SELECT pg_backend_pid()});
			$pid =~ s/\s*\z//;
			$node->sql('SELECT pg_terminate_backend(' . ($pid =~ s/.*\n//sr) . ', 60000)');
			eval { $session->{run}->finish };
		},
		'the coordinator' => sub { kill_9($node, wait_for_worker($node, 'jobq coordinator')); },
		'immediate stop' => sub { $node->stop('immediate'); $node->start; },
		'restart' => sub { $node->restart; });
}

1;
