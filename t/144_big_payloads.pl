# t/144_big_payloads.pl: one role's large or failing jobs do not hold up others'
# schedules, leases and times to live: a transaction of the coordinator handles
# some of them, then others have their turn.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', conf => [ 'autovacuum = off', 'log_statement = none' ]);

# Text of this many kB that does not compress.
$node->sql(
	q{
	CREATE FUNCTION noise(kilobytes int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT to_jsonb(string_agg(encode(sha512((random()::text || i)::bytea), 'base64'), ''))
		FROM generate_series(1, $1 * 11) AS i $$;
	CREATE ROLE mallory LOGIN; CREATE ROLE alice LOGIN;
	SELECT jobq.grant_usage(r, may_create => true) FROM unnest('{mallory,alice}'::regrole[]) AS r;
	GRANT CREATE ON SCHEMA public TO mallory;
	SET SESSION AUTHORIZATION mallory;
	SELECT jobq.create_queue('big'), jobq.create_queue('reports'),
		jobq.create_queue('dies', max_attempts => 1, lease => '1 s', on_dead => 'reports');
	SET SESSION AUTHORIZATION alice;
	SELECT jobq.create_queue('small', max_attempts => 1, lease => '1 s')});

# ------------------------------------------------------------------- schedules

foreach my $call ("jobq.schedule('s', '* * * * *', queue => 'big', payload => noise(1100))",
	"jobq.alter_schedule('t', payload => noise(1100))")
{
	$node->sql(
		q{SELECT jobq.schedule('t', '* * * * *', queue => 'big', payload => '{"a": 1}',
			enabled => false)}
	);
	like(sql_error($node, "SELECT $call"), qr/54000/, "$call: refused");
}
is($node->sql(q{SELECT string_agg(name || payload, ' ') FROM jobq.schedules}),
	't{"a": 1}', 'nothing is changed');
$node->sql(q{SELECT jobq.unschedule('t')});

# All are due at the same time, and the small one is the last of them.
$node->sql(
	q{SELECT jobq.stop();
	SET SESSION AUTHORIZATION mallory;
	SELECT jobq.schedule('big' || i, '* * * * * *', queue => 'big', payload => p, max_runs => 1)
		FROM noise(900) AS p, generate_series(1, 12) AS i;
	SET SESSION AUTHORIZATION alice;
	SELECT jobq.schedule('small', '* * * * * *', queue => 'small', max_runs => 1);
	RESET SESSION AUTHORIZATION;
	UPDATE jobq_store.schedule SET next_run = date_trunc('second', now()),
		anchor = date_trunc('second', now());
	SELECT jobq.start()});
poll_ok($node, 'SELECT count(*) = 13 FROM jobq_store.job', 'all schedules have run');
cmp_ok($node->sql(q{SELECT count(DISTINCT xmin::text) FROM jobq_store.job}),
	'>=', 5, 'schedules: not in one transaction');
is( $node->sql(
		q{SELECT count(*) FROM jobq_store.job
			WHERE xmin::text::bigint < (SELECT xmin::text::bigint FROM jobq_store.job
	WHERE queue = (SELECT id FROM jobq_store.queue WHERE name = 'small'))
		AND octet_length(payload::text) > 100000}
	) < 3 ? 'yes' : 'no',
	'yes',
	'schedules: the other one has its turn among the first');
$node->sql(
	q{SELECT count(jobq.unschedule(name)) FROM jobq.schedules;
		SELECT count(jobq.delete(id)) FROM jobq.jobs}
);

# ---------------------------------------------------------------------- leases

my $big = $node->sql(q{SELECT jobq.enqueue('dies', noise(350))});
my $small = $node->sql(q{SELECT jobq.enqueue('dies', '{"a": 2}')});
$node->sql(q{SELECT jobq.enqueue('dies', p) FROM noise(900) AS p, generate_series(1, 6)});
$node->sql(q{SELECT count(*) FROM jobq.dequeue('dies', 8)});
poll_ok(
	$node,
	q{SELECT count(*) = 8 FROM jobq.jobs WHERE queue = 'dies' AND state = 'dead'},
	'all leases have ended');
cmp_ok($node->sql(q{SELECT count(DISTINCT xmin::text) FROM jobq_store.history}),
	'>=', 4, 'leases: not in one transaction');
is( $node->sql(
		"SELECT payload->>'payload', (payload->>'payload_bytes')::int > 300000 FROM jobq.jobs
	WHERE queue = 'reports' AND payload->'job_id' = '$big'"),
	'|t',
	'a report without a payload that is big');
is( $node->sql(
		"SELECT payload->>'payload', payload ? 'payload_bytes' FROM jobq.jobs
	WHERE queue = 'reports' AND payload->'job_id' = '$small'"),
	'{"a": 2}|f',
	'a report with a payload that is not');
$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq.jobs});

# ---------------------------------------------------------------- times to live

$node->sql(
	q{SELECT jobq.enqueue('big', p, ttl => '1 s') FROM noise(1000) AS p, generate_series(1, 24)});
poll_ok($node, q{SELECT count(*) = 24 FROM jobq.jobs WHERE state = 'expired'}, 'all have expired');
cmp_ok($node->sql(q{SELECT count(DISTINCT xmin::text) FROM jobq_store.history}),
	'>=', 3, 'times to live: not in one transaction');
$node->sql(q{SELECT count(jobq.delete(id)) FROM jobq.jobs});

# -------------------------------------------------------- a job that cannot end

# The error comes from an index on an expression.
my $bad = $node->sql(q{SELECT jobq.enqueue('dies')});
$node->sql(
	qq{
	CREATE FUNCTION refuse(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN
		IF \$1 = $bad THEN RAISE 'it is not to be' USING ERRCODE = '54000'; END IF;
		RETURN \$1; END \$\$;
	SELECT jobq.stop()});
$node->sql("CREATE INDEX refused_$_ ON jobq_store.history_$_ (refuse(id))") foreach 0 .. 7;
$node->sql(q{SELECT jobq.start()});
my $position = log_position($node);
my $other = $node->sql(q{SELECT jobq.enqueue('small')});
is( $node->sql(
		q{SELECT count(*) FROM (SELECT jobq.dequeue('dies')
			UNION ALL SELECT jobq.dequeue('small')) AS d}
	),
	'2',
	'two leases');
poll_ok(
	$node,
	"SELECT state = 'dead' FROM jobq.jobs WHERE id = $other",
	'the lease of another role ends');
is($node->sql("SELECT state FROM jobq.jobs WHERE id = $bad"),
	'running', 'the lease of the large job does not end yet');
like(
	log_since($node, $position),
	qr/could not end the lease of job $bad: it is not to be/,
	'the log has the job');
$node->sql("DROP INDEX jobq_store.refused_$_") foreach 0 .. 7;

$node->stop;
done_testing();
