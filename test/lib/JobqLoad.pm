# JobqLoad.pm
#
# A load for the tests of faults, and the account of it. Jobs are placed, run
# by handlers, taken, and dequeued, by clients that connect again when they
# are thrown out. Each job leaves one row in table effects, in the transaction
# that finishes it; placed jobs are in table placed. So in the end both tables
# must have the same jobs, each of them once, whatever has happened meanwhile.
#
#   load_set_up($node);
#   my $load = load_start($node);
#   ... break something ...
#   load_stop($load);
#   load_account_ok($node, 'what was broken');

package JobqLoad;

use strict;
use warnings;

use Exporter 'import';
use JobqClients;
use JobqTest;
use Test::More;
use Time::HiRes qw(time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  load_set_up load_place load_start load_stop load_account_ok
  load_runs_ok load_goes_on_ok jobq_log_lines quiet_log_ok
);

my %script = (
	place => q{
\set r random(1, 10)
BEGIN;
INSERT INTO load.placed SELECT jobq.enqueue((array['load_h', 'load_t', 'load_d'])[1 + :r % 3],
	priority => :r);
SAVEPOINT s;
INSERT INTO load.placed SELECT jobq.enqueue((array['load_t', 'load_d', 'load_h'])[1 + :r % 3]);
\if :r <= 2
ROLLBACK TO s;
\endif
\if :r = 10
ROLLBACK;
\else
COMMIT;
\endif
\sleep 5 ms
},
	take => q{
\set r random(1, 10)
BEGIN;
INSERT INTO load.effects SELECT id FROM jobq.take('load_t', 3);
\if :r = 10
ROLLBACK;
\else
COMMIT;
\endif
\sleep 5 ms
},
	dequeue => q{
SELECT coalesce(max(id), 0) AS id, coalesce(max(lease), 0) AS lease
	FROM jobq.dequeue('load_d') \gset
SELECT load.finish(:id, :lease) WHERE :id > 0;
\sleep 5 ms
});

sub load_sql
{
	my ($node, $sql, %opt) = @_;
	return $node->safe_psql($opt{db} // 'postgres', $sql);
}

# load_set_up($node, %options): tables, handlers and queues in schema load.
# Options: db.
sub load_set_up
{
	my ($node, %opt) = @_;
	load_sql(
		$node, q{
		CREATE SCHEMA load;
		CREATE TABLE load.placed (job bigint PRIMARY KEY);
		CREATE TABLE load.effects (job bigint);
		CREATE INDEX ON load.effects (job);
		CREATE FUNCTION load.effect(job jobq.job) RETURNS void
		LANGUAGE plpgsql AS $$
		BEGIN
		  INSERT INTO load.effects VALUES (job.id);
		  IF job.payload ? 'sleep' THEN
		    PERFORM pg_sleep((job.payload ->> 'sleep')::float8);
		  END IF;
		END $$;
		CREATE FUNCTION load.finish(job bigint, lease bigint) RETURNS void
		LANGUAGE plpgsql AS $$
		BEGIN
		  INSERT INTO load.effects VALUES (job);
		  PERFORM jobq.complete(job, lease);
		EXCEPTION WHEN SQLSTATE 'JQ001' THEN NULL;
		END $$;
		SELECT jobq.create_queue('load_h', 'load.effect(jobq.job)',
		  max_attempts => 1000, backoff => 'fixed', backoff_base => '10 ms');
		SELECT jobq.create_queue(q, max_attempts => 1000, backoff => 'fixed',
		  backoff_base => '10 ms', lease => '1 s')
		FROM unnest('{load_t,load_d}'::text[]) AS q;
	}, %opt);
	return;
}

# load_place($node, $queue, $n, %options): $n jobs at once. Options: db, sleep.
sub load_place
{
	my ($node, $queue, $n, %opt) = @_;
	my $payload = $opt{sleep} ? qq({"sleep": $opt{sleep}}) : '{}';
	load_sql(
		$node, "INSERT INTO load.placed
		SELECT jobq.enqueue('$queue', '$payload') FROM generate_series(1, $n)",
		%opt);
	return;
}

# load_start($node, %options): starts the clients; returns what load_stop()
# wants. Options: db.
sub load_start
{
	my ($node, %opt) = @_;
	return [
		map { client_start($node, $_, $script{$_}, clients => 2, transactions => 40, %opt) }
		sort keys %script
	];
}

# load_stop($load): ends the clients.
sub load_stop
{
	my ($load) = @_;
	client_finish(@$load);
	return;
}

# load_runs_ok($node, $name, %options): a new job of the handler's queue is
# run. How long that took, from the call or from `since` on, is noted. Options:
# db, seconds, since.
sub load_runs_ok
{
	my ($node, $name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $since = $opt{since} // time();
	my $id;
	poll_until(
		sub {
			my ($status, $out) = $node->psql(
				$opt{db} // 'postgres',
				q{INSERT INTO load.placed SELECT jobq.enqueue('load_h', priority => -9)
				  RETURNING job});
			$id = $out if $status == 0;
			return $id;
		},
		$opt{seconds});
	return ok(0, "$name: jobs can be enqueued") unless $id;
	my $result = poll_ok(
		$node,
		"SELECT count(*) = 1 FROM load.effects WHERE job = $id",
		"$name: jobs run", %opt);
	note(sprintf('%s: a new job has run after %.0f ms', $name, 1000 * (time() - $since)));
	return $result;
}

# load_goes_on_ok($node, $name, %options): clients and handlers finish more
# jobs of each kind from now on. Options: db, seconds.
sub load_goes_on_ok
{
	my ($node, $name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $last = load_sql($node, 'SELECT coalesce(max(job), 0) FROM load.placed', %opt);
	return poll_ok(
		$node,
		"SELECT count(DISTINCT h.queue) = 3
		   FROM load.effects AS e JOIN jobq_store.history AS h ON h.id = e.job
		  WHERE e.job > $last",
		"$name: each kind of worker runs jobs",
		%opt);
}

# load_account_ok($node, $name, %options): works off what is left, then
# compares what was placed to what was done. Options: db, seconds.
sub load_account_ok
{
	my ($node, $name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $db = $opt{db} // 'postgres';
	my $left = '';
	my $done = poll_until(
		sub {
			$node->psql(
				$db, q{
				INSERT INTO load.effects SELECT id FROM jobq.take('load_t', 1000);
				SELECT count(load.finish(id, lease)) FROM jobq.dequeue('load_d', 100)});
			(undef, $left) = $node->psql(
				$db,
				q{SELECT count(*) FROM jobq_store.job AS j
				   JOIN jobq_store.queue AS q ON q.id = j.queue
				  WHERE q.name LIKE 'load%'});
			return defined $left && $left eq '0';
		},
		$opt{seconds});
	ok($done, "$name: no job is left")
	  or diag(
		load_sql(
			$node, 'SELECT queue, state, attempt, count(*) FROM jobq.jobs
			WHERE finished_at IS NULL GROUP BY 1, 2, 3 LIMIT 20;
			SELECT * FROM jobq.workers', %opt));
	my $account = load_sql(
		$node, q{
		WITH done AS (SELECT job, count(*) AS n FROM load.effects GROUP BY job)
		SELECT 'lost', p.job FROM load.placed AS p LEFT JOIN done USING (job)
		 WHERE done.job IS NULL
		UNION ALL
		SELECT 'done twice', job FROM done WHERE n > 1
		UNION ALL
		SELECT 'rolled back, but done', job FROM done
		 WHERE NOT EXISTS (SELECT FROM load.placed AS p WHERE p.job = done.job)
		UNION ALL
		SELECT 'not completed once', job FROM load.placed AS p
		 WHERE 1 <> (SELECT count(*) FILTER (WHERE h.state = 3)
			+ 2 * count(*) FILTER (WHERE h.state <> 3)
		   FROM jobq_store.history AS h WHERE h.id = p.job)
		UNION ALL
		SELECT 'twice in history', id FROM jobq_store.history GROUP BY id HAVING count(*) > 1
		LIMIT 20}, %opt);
	note("$name: " . load_sql($node, 'SELECT count(*) FROM load.placed', %opt) . ' jobs');
	return is($account, '', "$name: each job has been done once");
}

# jobq_log_lines($node, $position): what jobq's processes, and the postmaster
# about them, have written to the log since then; not what they say of each
# attempt that failed, as jobq.log_jobs wants.
sub jobq_log_lines
{
	my ($node, $position) = @_;
	return grep {
			 (/\] jobq (?:launcher|coordinator|executor) / || /background worker "jobq/)
		  && !/LOG:  (?:\w{5}: )?job \d+ of queue "[^"]*" failed/
		  && !/DETAIL:  SQLSTATE \w{5} in database|LOCATION:  jobq_outcome_log/
	} split(/\n/, log_since($node, $position));
}

# quiet_log_ok($node, $position, $limit, $name): at most $limit such lines.
sub quiet_log_ok
{
	my ($node, $position, $limit, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @lines = jobq_log_lines($node, $position);
	return cmp_ok(scalar(@lines), '<=', $limit, "$name: the log is not flooded")
	  || diag(join("\n", @lines[ 0 .. ($#lines < 30 ? $#lines : 30) ]));
}

1;
