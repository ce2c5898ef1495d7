# t/061_dump_restore.pl: copies of a database, by pg_dump and by CREATE DATABASE
# ... TEMPLATE: they are complete, nothing runs before jobq.start(), and
# everything does afterwards.
#
# To show that a copy runs nothing, it gets a queue of its own, with a job that
# is due only after all the others: when that has run, the others have not.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node('main', extension => 0, conf => ['jobq.max_workers = 4']);
my $dir = PostgreSQL::Test::Utils::tempdir();

my @tables = (
	qw(queue limit_def queue_grant job cancel_request history attempt schedule schedule_run
	  rate_start gone_queue group_option group_stop));

# What is in jobq's tables, as a hash of text.  Where a row is at home is left
# out, since start() changes it.
sub contents
{
	my ($db) = @_;
	my %text;
	foreach my $table (@tables)
	{
		$text{$table} = $node->safe_psql(
			$db, "SELECT (to_jsonb(t) - 'system_identifier' - 'database')::text
			FROM jobq_store.$table AS t ORDER BY 1");
	}
	return \%text;
}

sub same_contents
{
	my ($db, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $got = contents($db);
	foreach my $table (@tables)
	{
		is($got->{$table}, $expected->{$table}, "$name: $table");
	}
	return;
}

# Runs a program of PostgreSQL; returns its exit status and what it said.
sub run_program
{
	my (@command) = @_;
	my $out = '';
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	note("running: @command");
	IPC::Run::run(\@command, '<', \undef, '>&', \$out);
	return ($? >> 8, $out);
}

sub run_ok
{
	my ($name, @command) = @_;
	my ($status, $out) = run_program(@command);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status, 0, $name) or diag($out);
	return;
}

# Makes a queue in a copy and has it run a job that is due later than whatever
# else the copy could have run.
sub run_own_job
{
	my ($db) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql(
		$db, q{
		SELECT jobq.create_queue('own', 'app.send(jsonb)');
		SELECT jobq.enqueue('own', '{"n": 99}', delay => '2500 ms')});
	poll_ok(
		$node,
		'SELECT count(*) = 1 FROM app.sent WHERE n = 99',
		"$db: jobs of a new queue run",
		db => $db);
	return;
}

# A copy does nothing with what came with it.
sub inert_ok
{
	my ($db, $sent) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	run_own_job($db);
	is($node->safe_psql($db, 'SELECT count(*) FROM app.sent WHERE n <> 99'),
		$sent, "$db: no job was run");
	is( $node->safe_psql($db, "SELECT count(*) FROM app.ticks"),
		$node->safe_psql($db, "SELECT runs FROM jobq.schedules WHERE name = 'tick'"),
		"$db: no schedule has fired");
	my $error = sql_error($node, "SELECT * FROM jobq.dequeue('ext')", $db);
	like($error, qr/55000/, "$db: dequeue() refuses");
	like($error, qr/HINT: .*jobq\.start\(\)/, "$db: the error of dequeue() has a hint");
	like(sql_error($node, "SELECT * FROM jobq.take('ext')", $db), qr/55000/, "$db: take() refuses");
	like(sql_error($node, "CALL jobq.wait('{ext}', '0 s')", $db), qr/55000/, "$db: wait() refuses");
	return;
}

# After start() all of it works.
sub active_ok
{
	my ($db, $sent, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql($db, 'SELECT jobq.start()');
	poll_ok(
		$node,
		"SELECT count(*) = $sent FROM app.sent WHERE n <> 99",
		"$db: start() makes the jobs run",
		db => $db);
	poll_ok(
		$node,
		"SELECT count(*) > $expected->{ticks} FROM app.ticks",
		"$db: schedules fire",
		db => $db);

	# what was running is held until its lease is over
	is($node->safe_psql($db, "SELECT state FROM jobq.jobs WHERE id = $expected->{held}"),
		'running', "$db: the lease of a claimed job is valid");
	$node->safe_psql($db, "SELECT jobq.complete($expected->{held}, $expected->{held_lease})");
	poll_ok(
		$node,
		"SELECT state = 'ready' AND attempt = 1 FROM jobq.jobs WHERE id = $expected->{lost}",
		"$db: a lease that ran out meanwhile is over",
		db => $db);

	poll_ok(
		$node, q{SELECT string_agg(group_key, ',') FROM jobq.dequeue('grouped', 5)},
		"$db: groups have their options",
		db => $db,
		expected => 'b');
	is($node->safe_psql($db, q{SELECT count(*) FROM jobq.dequeue('grouped', 5)}),
		'0', "$db: none other starts");

	# identifiers go on where the original's ended
	cmp_ok($node->safe_psql($db, "SELECT jobq.enqueue('ext', '\"new\"')"),
		'>', $expected->{id}, "$db: a new job has a new id");
	is( $node->safe_psql(
			$db,
			"SELECT count(*), bool_and(lease > $expected->{lease}), count(DISTINCT lease),
				(array_agg(id))[1]"
			  . " FROM jobq.dequeue('ext', 3)"),
		"3|t|1|$expected->{lost}",
		"$db: a new lease is larger");
	is( $node->safe_psql(
			$db, "SELECT max_running, running, queues FROM jobq.limits WHERE name = 'lim'"),
		'4|3|{ext}',
		"$db: the limit counts them");
	is( $node->safe_psql(
			$db, "SELECT jobq.create_limit('another');
			SELECT count(DISTINCT id), count(*) FROM jobq_store.limit_def"),
		"\n3|3",
		"$db: a new limit has a new id");
	is($node->safe_psql($db, "SELECT jobq.enqueue('ext', unique_key => 'one')"),
		$expected->{unique}, "$db: unique keys hold");

	is( $node->safe_psql(
			$db, "SELECT jobq.create_queue('another');
			SELECT count(*) FROM (SELECT FROM jobq_store.queue
			  GROUP BY id HAVING count(*) > 1) AS t"),
		"\n0",
		"$db: a new queue has a new id");
	return;
}

# ------------------------------------------------------------- the original

$node->safe_psql(
	'postgres', q{
	CREATE ROLE jobq_app LOGIN;
	CREATE ROLE jobq_reader LOGIN;
	CREATE DATABASE original OWNER jobq_app});
$node->safe_psql(
	'original', q{
	CREATE EXTENSION jobq;
	CREATE SCHEMA app;
	CREATE TABLE app.sent (n int);
	CREATE TABLE app.ticks (at timestamptz);
	CREATE FUNCTION app.send(payload jsonb) RETURNS jsonb LANGUAGE plpgsql
	AS $$
	BEGIN
	  INSERT INTO app.sent VALUES ((payload ->> 'n')::int);
	  IF payload ? 'fail' THEN
	    RAISE 'it fails' USING DETAIL = 'a detail', HINT = 'a hint';
	  END IF;
	  RETURN jsonb_build_object('sent', payload -> 'n');
	END $$;
	GRANT USAGE ON SCHEMA app TO jobq_app;
	GRANT ALL ON ALL TABLES IN SCHEMA app TO jobq_app;

	SELECT jobq.grant_usage('jobq_app', may_create => true);
	SELECT jobq.grant_usage('jobq_reader');
	SELECT jobq.create_queue('mail', 'app.send(jsonb)', owner => 'jobq_app',
	  description => 'it''s mail', max_attempts => 2, backoff => 'fixed',
	  backoff_base => '10 ms', backoff_steps => '{10 ms,20 ms}',
	  jitter => 0.5, timeout => '1 min', priority => 7, keep_dead => '1 year',
	  payload_path => 'exists($.n) || exists($.leap)', payload_max_bytes => 1000,
	  forbid_keys => '{password,"x y"}');
	SELECT jobq.grant_queue('mail', 'jobq_reader', 'enqueue', 'read');
	SELECT jobq.create_limit('none'), jobq.create_limit('lim', max_running => 4);
	SELECT jobq.create_queue('ext', lease => '1 hour', notify => false,
	  backoff_base => '1 ms', on_dead => 'mail', shared_limit => 'lim');
	SELECT jobq.grant_queue('ext', 'jobq_reader', 'consume', 'manage');
	SELECT jobq.create_queue('paused', 'app.send(jsonb)');
	SELECT jobq.pause('paused');
	SELECT jobq.enqueue('paused', '{"n": 77}');
	SELECT jobq.create_queue('grouped', lease => '1 hour');
	SELECT jobq.pause('grouped', 'a');
	SELECT jobq.set_group('grouped', 'b', max_running => 1, weight => 5);
	SELECT jobq.alter_queue('grouped', group_on_failure => 'stop', max_running_per_group => 1);
	SELECT jobq.enqueue('grouped', group_key => 'stopped');
	SELECT jobq.fail(id, lease, 'no', retryable => false) FROM jobq.dequeue('grouped');
	SELECT count(*) FROM jobq.enqueue_many('grouped', '{1,2,3,4,5}',
		group_keys => '{a,a,b,b,stopped}');

	-- history: completed, dead, cancelled
	SELECT jobq.enqueue('mail', jsonb_build_object('n', n),
	  tags => '{x,y}', headers => '{"h": 1}') FROM generate_series(1, 5) AS n;
	SELECT jobq.enqueue('mail', '{"n": 6, "fail": true}');
	SELECT jobq.cancel(jobq.enqueue('mail', '{"n": 7}', delay => '1 day'), 'not wanted');
});
poll_ok(
	$node,
	"SELECT string_agg(state || ' ' || n, ',' ORDER BY state)
	 FROM (SELECT state, count(*) AS n FROM jobq.jobs WHERE queue = 'mail' GROUP BY state) AS t",
	'original: history',
	db => 'original',
	expected => 'cancelled 1,completed 5,dead 1');
is($node->safe_psql('original', 'SELECT count(*) FROM jobq.attempts'), '3', 'original: attempts');

# a schedule that has fired, and one that is disabled
$node->safe_psql(
	'original', q{
	SELECT jobq.schedule('tick', '@every 1s',
	  command => 'INSERT INTO app.ticks VALUES (now())');
	SELECT jobq.schedule('off', '0 0 29 2 *', queue => 'ext',
	  payload => '{"leap": true}', timezone => 'Europe/Berlin', enabled => false);
	SELECT jobq.alter_schedule('off', keep_runs => 'errors', catch_up_window => '3 days')
});
poll_ok(
	$node,
	'SELECT count(*) > 0 FROM app.ticks',
	'original: the schedule fires',
	db => 'original');

# from here on the original stands still, so that it can be compared
$node->safe_psql('original', 'SELECT jobq.stop()');
poll_ok(
	$node,
	"SELECT count(*) = 0 FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE q.is_run",
	'original: no job is running',
	db => 'original'
) or diag($node->safe_psql('original', 'SELECT * FROM jobq.jobs WHERE finished_at IS NULL'));
my %expected;
$node->safe_psql(
	'original', q{
	SELECT jobq.enqueue('mail', jsonb_build_object('n', 10 + n), priority => n)
	FROM generate_series(1, 3) AS n;
	SELECT jobq.enqueue('mail', '{"n": 20}', delay => '1 second');
	SELECT jobq.enqueue('mail', '{"n": 21}', delay => '10 years')});
$expected{unique} =
  $node->safe_psql('original', "SELECT jobq.enqueue('ext', unique_key => 'one', ttl => '1 year')");
$node->safe_psql('original',
	"SELECT jobq.enqueue('ext', to_jsonb(n)) FROM generate_series(1, 5) AS n");
$node->safe_psql(
	'original',
	"SELECT jobq.enqueue('ext', '\"held\"', priority => -2);
	 SELECT jobq.enqueue('ext', '\"lost\"', priority => -1)");
($expected{held}, $expected{held_lease}) = split(/\|/,
	$node->safe_psql('original', "SELECT id, lease FROM jobq.dequeue('ext', worker => 'me')"));
($expected{lost}, $expected{lease}) = split(/\|/,
	$node->safe_psql('original', "SELECT id, lease FROM jobq.dequeue('ext', lease => '10 min')"));
$node->safe_psql(
	'original', q{
	SELECT jobq.create_queue('slow', rate_limit => 1, rate_period => '1 day');
	SELECT jobq.enqueue('slow');
	SELECT count(*) FROM jobq.take('slow')});
$expected{id} = $node->safe_psql('original', 'SELECT max(id) FROM jobq_store.job');
$expected{ticks} = $node->safe_psql('original', 'SELECT count(*) FROM app.ticks');
is( $expected{ticks},
	$node->safe_psql('original', "SELECT runs FROM jobq.schedules WHERE name = 'tick'"),
	'original: each time the schedule fired it ran');
my $original = contents('original');

# The claim of "lost" is to be over when the copies start.
sub let_lease_run_out
{
	my ($db) = @_;
	$node->safe_psql($db,
		"UPDATE jobq_store.job SET lease_until = now() - interval '1 s' WHERE id = $expected{lost}"
	);
	return;
}

# -------------------------------------------------------------- restoring

# as a whole, compressed, by several processes
run_ok('pg_dump -Fc', 'pg_dump', '-Fc', '-f', "$dir/whole", 'original');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
run_ok('pg_restore -j', 'pg_restore', '-e', '-j', 2, '-d', 'restored', "$dir/whole");
same_contents('restored', $original, 'restored');
is($node->safe_psql('restored', 'SELECT stopped FROM jobq_store.service'),
	'f', 'restored: the service has a state of its own');
is( $node->safe_psql('restored', "SELECT last_value FROM jobq_store.job_id_seq"),
	$node->safe_psql('original', "SELECT last_value FROM jobq_store.job_id_seq"),
	'restored: sequences');
inert_ok('restored', 5);
like(
	$node->safe_psql('restored', "SELECT jobq.enqueue('mail', '{\"n\": 22}', delay => '10 years')"),
	qr/^\d+$/,
	'restored: jobs may be added before start()');
$node->safe_psql('restored',
	"SELECT jobq.delete(max(id)) FROM jobq.jobs WHERE payload = '{\"n\": 22}'");
let_lease_run_out('restored');
active_ok('restored', 9, \%expected);
is( $node->safe_psql(
		'restored', "SELECT state, attempt, result FROM jobq.jobs WHERE payload = '{\"n\": 11}'"),
	'completed|1|{"sent": 11}',
	'restored: a job of its past is finished');
is( $node->safe_psql(
		'restored',
		"SELECT count(*) FROM jobq.jobs WHERE payload = '{\"n\": 21}' AND state = 'scheduled'"),
	'1',
	'restored: a job of the far future is not finished');
is($node->safe_psql('restored', "SELECT state FROM jobq.jobs WHERE payload = '{\"n\": 77}'"),
	'ready', 'restored: a paused queue is paused');
my $dead =
  $node->safe_psql('restored', q{SELECT min(id) FROM jobq.dead_letters WHERE queue = 'mail'});
is($node->safe_psql('restored', "SELECT jobq.retry($dead, '{\"n\": 66}')"),
	$dead, 'restored: a dead job is tried again');
poll_ok(
	$node,
	'SELECT count(*) = 1 FROM app.sent WHERE n = 66',
	'restored: the retried job runs',
	db => 'restored');

# who may do what
is( $node->safe_psql(
		'restored',
		"SET ROLE jobq_reader; SELECT jobq.enqueue('mail', '{\"n\": 30}', delay => '1 day') > 0"),
	't',
	'restored: a privilege on a queue');
like(sql_error($node, "SET ROLE jobq_reader; SELECT jobq.take('mail')", 'restored'),
	qr/42501/, 'restored: and no more than that');
is( $node->safe_psql(
		'restored',
		"SET ROLE jobq_app; SELECT jobq.alter_queue('mail', priority => 8);
		 RESET ROLE; SELECT priority FROM jobq.queues WHERE queue = 'mail'"),
	"\n8",
	"restored: the owner");

# a plain dump, over what is there
run_ok(
	'pg_dump -Fp --clean', 'pg_dump', '--clean', '--if-exists',
	'-f', "$dir/clean.sql", 'original');
run_ok('restoring over a database at work',
	'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', "$dir/out", '-f',
	"$dir/clean.sql", 'restored');
same_contents('restored', $original, 'restored again');
inert_ok('restored', 5);

# dump_part($part, $file), restore_part($name, $file): by pg_dump and psql.
sub dump_part
{
	my ($part, $file) = @_;
	run_ok("pg_dump $part", 'pg_dump', $part, '-f', "$dir/$file", 'original');
	return;
}

sub restore_part
{
	my ($name, $file) = @_;
	run_ok(
		$name, 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
		'-o', "$dir/out", '-f', "$dir/$file", 'empty');
	return;
}

# the definitions only: an empty service that works
dump_part('--schema-only', 'schema.sql');
$node->safe_psql('postgres', 'CREATE DATABASE empty');
restore_part('restoring the definitions', 'schema.sql');
is( $node->safe_psql(
		'empty', 'SELECT count(*) FROM jobq.queues UNION ALL SELECT count(*) FROM jobq.jobs'),
	"0\n0",
	'empty: no queues, no jobs');
run_own_job('empty');

# the data only, into a new extension
dump_part('--data-only', 'data.sql');
$node->safe_psql('empty', 'DROP EXTENSION jobq CASCADE; CREATE EXTENSION jobq; TRUNCATE app.sent');
restore_part('restoring the data', 'data.sql');
same_contents('empty', $original, 'data only');
like(sql_error($node, "SELECT * FROM jobq.dequeue('ext')", 'empty'), qr/55000/, 'data only: inert');

# a role that may not read jobq's tables is told so, and can leave them out
my ($status, $out) = run_program('pg_dump', '-U', 'jobq_app', '-f', "$dir/no", 'original');
isnt($status, 0, 'pg_dump of a role without privileges fails');
like(
	$out,
	qr/permission denied for (?:schema|table|sequence)|may lack SELECT privilege/,
	'pg_dump says which privilege is missing');
run_ok('pg_dump of another schema needs none',
	'pg_dump', '-U', 'jobq_app', '-n', 'app', '-f', "$dir/app.sql", 'original');
unlike(slurp_file("$dir/app.sql"),
	qr/jobq_store/, 'a dump without the extension has nothing of jobq');

# ---------------------------------------------------------------- template

# of a database at work
$node->safe_psql('original', 'SELECT jobq.start()');
poll_ok(
	$node,
	'SELECT count(*) = 9 FROM app.sent',
	'original: jobs run after the dump',
	db => 'original');
my ($coordinator) = worker_pids($node, 'jobq coordinator', 'original');
within(
	30,
	'CREATE DATABASE with a database at work as its template',
	sub { $node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE original') });
wait_for_worker(
	$node, 'jobq coordinator',
	db => 'original',
	not => $coordinator);
my $runs = $node->safe_psql('original', "SELECT runs FROM jobq.schedules WHERE name = 'tick'");
poll_ok(
	$node,
	"SELECT runs > $runs FROM jobq.schedules WHERE name = 'tick'",
	'original: jobs run after the copy was made',
	db => 'original');

# A tick that was enqueued when the copy was made is the original's to run.
my $ticks = $node->safe_psql('copy', 'SELECT count(*) FROM app.ticks');
run_own_job('copy');
is($node->safe_psql('copy', 'SELECT count(*) FROM app.ticks'),
	$ticks, 'copy: no schedule has fired');
like(
	sql_error($node, "SELECT * FROM jobq.dequeue('ext')", 'copy'),
	qr/55000.*HINT: .*jobq\.start/s,
	'copy: dequeue() refuses');
is( $node->safe_psql('copy', 'SELECT count(*) FROM jobq.jobs WHERE state = \'completed\''),
	$node->safe_psql('copy', 'SELECT count(*) FROM jobq_store.history WHERE state = 3'),
	'copy: history');
let_lease_run_out('copy');
$expected{ticks} = $ticks;
active_ok('copy', 9, \%expected);

# ---------------------------------------------------- drop and create again

within(
	30,
	'DROP EXTENSION in a copy',
	sub { $node->safe_psql('copy', 'DROP EXTENSION jobq CASCADE') });
is($node->safe_psql('copy', "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jobq%'"),
	'0', 'copy: DROP EXTENSION leaves nothing');
$node->safe_psql('copy', 'TRUNCATE app.sent; CREATE EXTENSION jobq');
is($node->safe_psql('copy', 'SELECT count(*) FROM jobq.queues'),
	'0', 'copy: a new extension is empty');
run_own_job('copy');
is($node->safe_psql('original', 'SELECT count(*) > 0 FROM jobq.queues'),
	't', 'original: untouched');

# a dump of the original that is made while it works, and a third copy
run_ok('pg_dump of a database at work', 'pg_dump', '-Fc', '-f', "$dir/live", 'original');
$node->safe_psql('postgres', 'CREATE DATABASE third');
run_ok('restoring it', 'pg_restore', '-e', '-d', 'third', "$dir/live");
is( $node->safe_psql(
		'third', 'SELECT count(*) FROM jobq_store.job AS j JOIN jobq_store.history AS h USING (id)'
	),
	'0',
	'third: no job is live and finished');

is( join(
		"\n",
		unexpected_log_lines(
			$node, 0,
			qr/permission denied/,
			qr/belongs to another database/,
			qr/terminating background worker/,
			qr/it fails/, qr/terminating connection due to administrator/)),
	'',
	'nothing unexpected in the log');

$node->stop;
done_testing();
