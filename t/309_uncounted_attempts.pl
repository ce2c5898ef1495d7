# t/309_uncounted_attempts.pl: a job's executor was terminated, or the server has crashed,
# and before that is counted, somebody cancels and revives the job, or claims it.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 1', 'max_prepared_transactions = 2' ]);

# Executions count in a sequence, whatever becomes of their transactions.
$node->sql(
	q{CREATE SEQUENCE begun;
	CREATE TABLE go_on (id bigint);
	CREATE TABLE skew_a (n int); CREATE TABLE skew_b (n int);
	CREATE FUNCTION once(p jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		PERFORM nextval('begun');
		WHILE NOT EXISTS (SELECT FROM go_on) LOOP PERFORM pg_sleep(0.01); END LOOP; END$$;
	SELECT jobq.create_queue('once', 'once(jsonb)', max_attempts => 1)});

# What becomes of a job whose executor is terminated; $do->($id) comes before anybody can
# count the attempt. Its state, attempt and executions.
sub terminated
{
	my ($do, $options) = @_;
	$options = $options ? ", $options" : '';
	$node->sql(q{TRUNCATE go_on; SELECT setval('begun', 1, false)});
	my $id = $node->sql(qq{SELECT jobq.enqueue('once'$options)});
	my $running = qq{SELECT count(*) FROM jobq.workers WHERE job_id = $id};
	poll_query($node, $running, expected => '1');
	poll_query($node, 'SELECT is_called FROM begun');
	my $coordinator = wait_for_worker($node, 'jobq coordinator', db => 'postgres');
	kill('STOP', $coordinator);
	$node->sql(qq{SELECT pg_terminate_backend(pid) FROM jobq.workers WHERE job_id = $id});
	poll_query($node, $running, expected => '0');
	$do->($id);
	$node->sql('INSERT INTO go_on VALUES (1)');
	kill('CONT', $coordinator);
	poll_query($node, qq{SELECT state IN ('dead', 'completed') FROM jobq.jobs WHERE id = $id});
	return $node->sql(
		qq{SELECT concat_ws(' ', state, attempt, last_value) FROM jobq.jobs, begun WHERE id = $id});
}

# As a job in a transaction that ends with $end
sub revived
{
	my ($end) = @_;
	return terminated(
		sub {
			my ($id) = @_;
			my $revived =
			  $node->sql("BEGIN; SELECT jobq.cancel($id), jobq.retry($id) IS NOT NULL; $end");
			is($revived, 't|t', "cancelled and revived, then: $end");
		});
}

is(terminated(sub { }), 'dead 1 1', 'the attempt counts');
is(revived('ROLLBACK'), 'dead 1 1', 'the attempt counts after a rollback');
is( terminated(
		sub {
			my ($id) = @_;
			$node->sql(
				"BEGIN; SAVEPOINT s; SELECT jobq.cancel($id), jobq.retry($id);
				ROLLBACK TO s; COMMIT"
			);
		}),
	'dead 1 1',
	'the attempt counts after the rollback of a savepoint');
is(revived('COMMIT'), 'completed 1 2', 'it does not count in the life of the revived job');

is( terminated(
		sub {
			my ($id) = @_;
			like(
				sql_error(
					$node,
					"BEGIN; SELECT jobq.cancel($id), jobq.retry($id); PREPARE TRANSACTION 'p'"),
				qr/0A000: cannot PREPARE a transaction that has revived job $id now/,
				'a transaction that revives such a job cannot be prepared');
		}),
	'dead 1 1',
	'the attempt counts when PREPARE has failed');

is( terminated(
		sub {
			my ($id) = @_;
			my $session = start_session($node);

			order(
				$session,
				"BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM skew_b;
				INSERT INTO skew_a VALUES (1);
				SELECT jobq.cancel($id), jobq.retry($id) IS NOT NULL");
			like(answer($session), qr/^t\|t$/m, 'cancelled and revived, serializable');
			$node->sql(
				q{BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM skew_a;
				INSERT INTO skew_b VALUES (1); COMMIT});
			order($session, 'COMMIT');
			like(answer($session), qr/40001|could not serialize/, 'the COMMIT fails');
			end_session($session);
		}),
	'dead 1 1',
	'the attempt counts after a commit that failed');

# What ran had the old payload, and so has what is dead.
is( terminated(
		sub {
			my ($id) = @_;
			is($node->sql(qq{SELECT jobq.set_payload($id, '"new"')}),
				'f', 'the payload of a job with such an attempt stays');
		}),
	'dead 1 1',
	'the attempt counts in spite of set_payload()');
my @payloads;
is( terminated(
		sub {
			my ($id) = @_;
			is( $node->sql(
					q{SELECT jobq.enqueue('once', '"new"', unique_key => 'k',
						on_conflict => 'replace')}
				),
				$id,
				'such a job is not replaced');
			push @payloads, $id;
		},
		q{'"old"', unique_key => 'k'}),
	'dead 1 1',
	'the attempt counts in spite of replace');
is($node->sql("SELECT payload FROM jobq.jobs WHERE id = $payloads[0]"),
	'"old"', 'the dead job has the payload that it ran with');

# After a crash, sessions may be faster than the coordinator: here there is none.
sub crashed
{
	my ($max_attempts, @claims) = @_;
	my @answers;
	$node->sql(
		qq{TRUNCATE go_on; SELECT setval('begun', 1, false);
		SELECT jobq.alter_queue('once', max_attempts => $max_attempts)});
	my $id = $node->sql(q{SELECT jobq.enqueue('once')});
	poll_query($node, 'SELECT is_called FROM begun');
	$node->stop('immediate');
	$node->append_conf('postgresql.conf', 'jobq.enabled = off');
	$node->start;
	push @answers, $node->sql($_) foreach @claims;
	$node->append_conf('postgresql.conf', 'jobq.enabled = on');
	$node->reload;
	$node->sql('INSERT INTO go_on VALUES (1)');
	poll_query($node, qq{SELECT state IN ('dead', 'completed') FROM jobq.jobs WHERE id = $id});
	return join ' ', @answers, $node->sql(
		qq{SELECT concat_ws(' ', state, attempt, (SELECT string_agg(outcome, ' ')
		FROM jobq.attempts WHERE job_id = $id)) FROM jobq.jobs WHERE id = $id});
}

foreach my $claim ("dequeue('once')", "dequeue('once', 10)", "take('once')")
{
	my $count = "SELECT count(*) FROM jobq.$claim";
	is(crashed(1, $count), '0 dead 1 crashed', "$claim does not get a job's last attempt again");
	is( crashed(1, "BEGIN; $count; ROLLBACK", $count),
		'0 0 dead 1 crashed',
		"$claim does not after a rollback");
}
$node->sql(
	q{CREATE FUNCTION revive() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
		PERFORM jobq.retry(id) FROM (SELECT max(id) AS id FROM jobq.jobs) AS j
			WHERE jobq.cancel(id);
		RETURN 'revived';
		EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN 'refused'; END$$});
is(crashed(1, 'SELECT revive()'), 'refused dead 1 crashed', 'such a job cannot be revived');
is( crashed(2, q{SELECT count(*) FROM jobq.dequeue('once')}),
	'0 completed 2 crashed',
	'the next attempt is counted as the second');

$node->stop;
done_testing();
