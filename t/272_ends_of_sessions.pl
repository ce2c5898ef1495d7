# t/272_ends_of_sessions.pl: the jobs of a session that ends are started again when
# its transaction is over, and a claim that fails leaves nothing behind.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main',
	conf => [ 'jobq.max_workers = 2', "jobq.log_jobs = 'none'", 'log_statement = none' ]);

# ---------------------------------------------------------- a session that ends

# Its transaction takes long to abort: it has very many subtransactions. Another session
# tries to claim the job all the time, and then to get a lock of that transaction.
my $depth = 20_000;
$node->sql(
	q{
	SELECT jobq.create_queue('q', max_running => 1, session_bound => true,
		backoff_base => '0 s', max_attempts => 100);
	SELECT jobq.enqueue('q');
	CREATE FUNCTION claim_and_lock() RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			WHILE NOT EXISTS (SELECT FROM jobq.dequeue('q')) LOOP
				PERFORM pg_sleep(0.0005);
			END LOOP;
			RETURN pg_try_advisory_xact_lock(1);
		END$$});
my $first = start_session($node);
my $second = start_session($node);
is(ask($first, q{SELECT count(*) FROM jobq.dequeue('q')}), "1\n", 'a session has the job');
my $pid = ask($first,
		'BEGIN; SELECT pg_advisory_xact_lock(1);'
	  . 'SAVEPOINT s;' x $depth
	  . 'SELECT pg_backend_pid()');
$pid =~ s/^\s+|\s+$//g;
order($second, 'SELECT claim_and_lock()');
poll_ok(
	$node,
	q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT claim_and_lock()%'
		AND wait_event = 'PgSleep'},
	'another one waits for it',
	expected => '1');
$node->sql("SELECT pg_terminate_backend($pid)");
is(answer($second), "t\n", 'it has the job when the transaction of the first one is over');
eval { $first->{run}->finish };
end_session($second);
limits_settled($node, 'a session has ended');

# ------------------------------------------------------------ a claim that fails

# A procedure's job is claimed before it runs, and the claim raises an error.
$node->sql(
	q{
	CREATE FUNCTION refuse(state smallint, queue integer) RETURNS integer IMMUTABLE
		LANGUAGE plpgsql AS $$
		BEGIN
			IF state = 1 AND current_setting('claims.fail', true) = 'on' THEN
				RAISE 'no claim today';
			END IF;
			RETURN 1;
		END$$;
	CREATE INDEX refuse ON jobq_store.job (refuse(state, queue));
	CREATE TABLE ran (id bigint);
	CREATE PROCEDURE work(j jobq.job) LANGUAGE sql AS 'INSERT INTO ran VALUES (j.id)'});
$node->append_conf('postgresql.conf', 'claims.fail = on');
$node->reload;
poll_query($node, 'SHOW claims.fail', expected => 'on') or die "the setting is not there\n";
my $from = log_position($node);
$node->sql(
	q{SELECT jobq.create_queue('p', 'work(jobq.job)', max_running => 1); SELECT jobq.enqueue('p')});
ok(poll_until(sub { log_since($node, $from) =~ /no claim today.*no claim today/s }),
	'an executor cannot claim, and tries again');
$node->append_conf('postgresql.conf', 'claims.fail = off');
$node->reload;
poll_ok($node, 'SELECT count(*) FROM ran', 'the job runs at last', expected => '1');
limits_settled($node, 'claims have failed');

$node->stop;
done_testing();
