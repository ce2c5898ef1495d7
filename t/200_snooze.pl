# t/200_snooze.pl: a job that asks to be run later: what it did is undone, it
# comes back after the delay, and the attempt does not count.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'jobq.max_workers = 2', 'jobq.log_jobs = all' ]);

$node->sql(
	q{
	CREATE TABLE done (id bigint, what text);
	CREATE SEQUENCE calls;
	-- the third call succeeds
	CREATE FUNCTION nap(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO done VALUES ((jobq.current_job()).id, 'nap');
		IF nextval('calls') < 3 THEN PERFORM jobq.snooze('1 ms', 'not yet'); END IF;
		RETURN to_jsonb((jobq.current_job()).attempt); END$$;
	CREATE PROCEDURE nap_in_pieces(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO done VALUES ((p ->> 'id')::bigint, 'piece');
		COMMIT;
		INSERT INTO done VALUES ((p ->> 'id')::bigint, 'undone');
		IF nextval('calls') < 3 THEN PERFORM jobq.snooze('1 ms'); END IF; END$$;
	CREATE FUNCTION nap_long(p jsonb) RETURNS void LANGUAGE plpgsql
		AS $$BEGIN PERFORM jobq.snooze('1 hour', 'come back'); END$$;
	CREATE FUNCTION caught(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.snooze('1 hour');
		EXCEPTION WHEN SQLSTATE 'JQ103' THEN RETURN 'caught'; END$$;
	CREATE FUNCTION other_error(p jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.snooze('1 hour');
		EXCEPTION WHEN SQLSTATE 'JQ103' THEN RAISE 'no' USING ERRCODE = p ->> 'code'; END$$;
	SELECT jobq.create_queue('nap', 'nap(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('pieces', 'nap_in_pieces(jsonb)', max_attempts => 1);
	SELECT jobq.create_queue('long', 'nap_long(jsonb)', ttl => '1 day');
	SELECT jobq.create_queue('caught', 'caught(jsonb)');
	SELECT jobq.create_queue('other', 'other_error(jsonb)', max_attempts => 1)});

# Enqueues a job and waits until it has ended.
sub end_of
{
	my ($queue, $payload) = @_;
	my $id = $node->sql("SELECT jobq.enqueue('$queue', '$payload')");
	poll_query($node, "SELECT count(*) = 1 FROM jobq_store.history WHERE id = $id")
	  or die "job $id of $queue has not ended\n";
	return ($id,
		$node->sql("SELECT concat_ws(' ', state, attempt, sqlstate) FROM jobq.jobs WHERE id = $id")
	);
}

# ------------------------------------------------------- it is not an attempt

my ($id, $end) = end_of('nap', '{}');
is($end, 'completed 1', 'a job with one attempt may be snoozed twice');
is($node->sql("SELECT result FROM jobq.jobs WHERE id = $id"), '1', 'its attempt stays the first');
is($node->sql(q{SELECT last_value FROM calls}), '3', 'it was called three times');
is($node->sql(q{SELECT count(*) FROM done WHERE what = 'nap'}),
	'1', 'what it did before it was snoozed was undone');
is($node->sql("SELECT count(*) FROM jobq.attempts WHERE job_id = $id"),
	'0', 'it has no failed attempt');
ok( poll_until(
		sub { log_since($node, 0) =~ qr/job $id of queue "nap" was snoozed for 0\.001 s: not yet/ }
	),
	'the log has the message');

$node->sql(q{ALTER SEQUENCE calls RESTART});
($id, $end) = end_of('pieces', '{"id": 1}');
is($end, 'completed 1', 'so may a procedure that commits');
is( $node->sql(q{SELECT string_agg(what, ' ' ORDER BY what) FROM done WHERE what <> 'nap'}),
	'piece piece piece undone',
	'what it had committed stays');

# ---------------------------------------------------------------- the delay

$id = $node->sql(q{SELECT jobq.enqueue('long')});
ok(poll_query($node, "SELECT state = 'scheduled' FROM jobq.jobs WHERE id = $id"),
	'a snoozed job is scheduled');
is( $node->sql(
		"SELECT attempt, run_at > now() + interval '58 min', run_at < now() + interval '61 min',
		expires_at, worker, error FROM jobq.jobs WHERE id = $id"),
	'0|t|t|||',
	'for its delay, with all its attempts, and does not expire');
is($node->sql("SELECT jobq.cancel($id)"), 't', 'it can be cancelled');

# ------------------------------------------------------ what is not a snooze

(undef, $end) = end_of('caught', '{}');
is($end, 'completed 1', 'a handler that catches the error and returns has succeeded');
(undef, $end) = end_of('other', '{"code": "XX001"}');
is($end, 'dead 1 XX001', 'one that raises another error has failed');
(undef, $end) = end_of('other', '{"code": "JQ101"}');
is($end, 'dead 1 JQ101', 'the delay of snooze() is not that of a retry');
my $run = $node->sql(
	q{SELECT jobq.run($$DO 'BEGIN RAISE ''x'' USING ERRCODE = ''JQ103''; END'$$,
	max_attempts => 1)});
ok(poll_query($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $run"),
	'JQ103 without snooze() is a failure like others');

$node->stop;
done_testing();
