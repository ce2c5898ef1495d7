# t/093_neighbours.pl: jobq among others: libraries that hook into the same
# places, databases that must be left alone, an install script that must not
# take over existing objects; and what its processes show in pg_stat_activity,
# in the log, and in their use of memory.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	start => 0,
	conf => [
		'jobq.max_workers = 1',
		'jobq.worker_idle_timeout = 1h',
		'max_prepared_transactions = 5',
		'log_statement = none',
		'fsync = off'
	]);

# ------------------------------------------------------------ other libraries

# In either order of loading, each library sees its commands, and has its
# memory.
my $started = 0;
my $other = -e $node->config_data('--pkglibdir') . '/pg_stat_statements.so';
foreach my $libraries ($other ? ('pg_stat_statements,jobq', 'jobq,pg_stat_statements') : ('jobq'))
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'");
	$started ? $node->restart : $node->start;
	if (!$started++)
	{
		$node->sql('CREATE EXTENSION jobq');
		$node->sql('CREATE EXTENSION pg_stat_statements') if $other;
		$node->sql(
			q{
			CREATE TABLE done (payload jsonb);
			CREATE FUNCTION work(payload jsonb) RETURNS void
				LANGUAGE sql AS 'INSERT INTO done VALUES ($1)';
			SELECT jobq.create_queue('work', 'work(jsonb)')});
	}
	$node->sql('SELECT pg_stat_statements_reset()') if $other;
	$node->sql(
		qq{BEGIN; SELECT jobq.enqueue('work', '"$libraries"'); PREPARE TRANSACTION 'p';
		COMMIT PREPARED 'p'});
	poll_ok(
		$node,
		qq{SELECT count(*) = 1 FROM done WHERE payload = '"$libraries"'},
		"$libraries: COMMIT PREPARED wakes the workers");
  SKIP:
	{
		skip 'there is no pg_stat_statements', 1 unless $other;
		is( $node->sql(
				q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'COMMIT PREPARED%'
					AND calls = 1}
			),
			'1',
			"$libraries: COMMIT PREPARED is counted");
	}
}
is(join("\n", unexpected_log_lines($node, 0, qr/terminating background worker/)),
	'', 'the libraries do not disturb each other');

# ----------------------------------------------------- what the processes show

my $marker = 'tell-nobody';
$node->sql(
	q{
	CREATE TABLE gate (n int);
	CREATE FUNCTION loud(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	  RAISE WARNING 'here I am';
	  LOCK TABLE gate IN SHARE MODE;
	END $$;
	CREATE FUNCTION fails(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ123'; END $$;
	CREATE PROCEDURE commits(payload jsonb) LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO done VALUES (payload); COMMIT; END $$;
	SELECT jobq.create_queue('loud', 'loud(jsonb)'), jobq.create_queue('commits', 'commits(jsonb)'),
	  jobq.create_queue('fails', 'fails(jsonb)', max_attempts => 2, backoff => 'fixed',
	  	backoff_base => '1 ms')}
);
my $position = log_position($node);
my $gate = $node->background_psql('postgres');
$gate->query_safe('BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE');
my $id = $node->sql(qq{SELECT jobq.enqueue('loud', '"$marker"')});
poll_query(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event_type = 'Lock'});
is( $node->sql(
		q{SELECT concat_ws(' ', usename, application_name, state, query) FROM pg_stat_activity
		WHERE backend_type = 'jobq executor'}),
	'postgres jobq executor active public.loud(jsonb)',
	'pg_stat_activity shows which process runs what');
my $pid = $node->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'jobq executor'});
SKIP:
{
	open(my $fh, '<', "/proc/$pid/cmdline") or skip 'there is no /proc', 1;
	like(<$fh>, qr/jobq executor.*loud/, 'ps shows which process runs what');
	close($fh);
}
$gate->quit;
poll_ok($node, "SELECT state = 'completed' FROM jobq.jobs WHERE id = $id", 'the job ends');
like(
	log_since($node, $position),
	qr/WARNING:  here I am\n.*CONTEXT:  .*job $id of queue "loud"/s,
	'the log names the job of a message');

# a payload is neither in the log nor in pg_stat_activity
$gate = $node->background_psql('postgres');
$gate->query_safe('BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE');
$id = $node->sql(qq{SELECT jobq.run('LOCK TABLE gate IN SHARE MODE', '"$marker"')});
my $failing = $node->sql(qq{SELECT jobq.enqueue('fails', '"$marker"')});
poll_query(
	$node, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'jobq executor' AND wait_event_type = 'Lock'});
is( $node->sql(
		qq{SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE backend_type LIKE 'jobq%'
			AND state = 'active'}
	),
	'LOCK TABLE gate IN SHARE MODE',
	'a command is shown without its parameters');
$gate->quit;
poll_ok($node, "SELECT state = 'dead' FROM jobq.jobs WHERE id = $failing", 'a job has failed');
unlike(log_since($node, $position), qr/$marker/, 'no payload is in the log');

# ------------------------------------------------------------ memory they take

# used($type): what a process has allocated, in bytes.
sub used
{
	my ($type) = @_;
	my ($worker) = worker_pids($node, $type);
	my $from = log_position($node);
	my $used;
	$node->sql("SELECT pg_log_backend_memory_contexts($worker)");
	poll_until(
		sub {
			($used) = log_since($node, $from) =~ /\[$worker\] .*Grand total: .*; (\d+) used/;
			return defined $used;
		}) or die "$type: no report of its memory\n";
	return $used;
}

# Jobs of each kind, and what has a coordinator and a launcher look around.
sub keep_busy
{
	my ($n) = @_;
	$node->sql(
		qq{
		SELECT count(*) FROM jobq.enqueue_many('work', array_fill('1'::jsonb, '{$n}'));
		SELECT count(jobq.enqueue(q, '2'))
			FROM generate_series(1, $n / 3), unnest('{fails,commits}'::text[]) AS q;
		SELECT count(jobq.run('SELECT ' || i)) FROM generate_series(1, $n / 3) AS i;
		SELECT count(jobq.enqueue('outside', delay => '1 ms')) FROM generate_series(1, $n / 10)});
	foreach (1 .. $n / 10)
	{
		$node->sql(
			q{SELECT pg_reload_conf(); SELECT jobq.dequeue('outside', lease => '1 ms');
			SELECT jobq.cancel(id) FROM jobq.jobs WHERE queue = 'outside' AND finished_at IS NULL
				LIMIT 1});
	}
	poll_query(
		$node,
		q{SELECT count(*) = 0 FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE q.name <> 'outside'}) or die "the jobs do not end\n";
	return;
}

$node->sql(
	q{SELECT jobq.create_queue('outside', max_attempts => 1);
	SELECT jobq.schedule('seconds', '* * * * * *', queue => 'outside')});
my @types = ('jobq launcher', 'jobq coordinator', 'jobq executor');
my $same = join(' ', map { worker_pids($node, $_) } @types);
keep_busy(300);
my %before = map { $_ => used($_) } @types;
keep_busy(1500);
foreach my $type (@types)
{
	my $grown = used($type) - $before{$type};
	cmp_ok($grown, '<', 50_000, "$type: takes no more memory after some thousand jobs");
	note("$type: $before{$type} bytes, $grown more");
}
is(join(' ', map { worker_pids($node, $_) } @types),
	$same, 'the processes were not replaced meanwhile');
$node->sql(q{SELECT jobq.unschedule('seconds')});

# ------------------------------------------------------- databases of no concern

$node->sql("CREATE DATABASE $_") foreach qw(open closed pattern wreck);
foreach my $db (qw(open closed pattern wreck))
{
	create_extension($node, $db);
	$node->sql("SELECT jobq.create_queue('q')", $db);
	wait_for_worker($node, 'jobq coordinator', db => $db);
}
$node->sql(
	q{ALTER DATABASE closed ALLOW_CONNECTIONS false; ALTER DATABASE pattern IS_TEMPLATE true;
	UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'wreck'});
$position = log_position($node);
$node->restart;
wait_for_worker($node, 'jobq coordinator', db => 'open');
my $databases = q{SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity
	WHERE backend_type = 'jobq coordinator'};
poll_ok(
	$node, $databases,
	'databases that take no connections, templates and wrecks are left alone',
	expected => 'open postgres');
$node->sql(q{ALTER DATABASE closed ALLOW_CONNECTIONS true; SELECT pg_reload_conf()});
poll_ok(
	$node, $databases,
	'a database that takes connections again is served',
	expected => 'closed open postgres');
is(join("\n", grep { !/terminating/ } unexpected_log_lines($node, $position)),
	'', 'no worker has failed to connect');

# ------------------------------------------------------------ the install script

$node->sql('CREATE DATABASE empty');
$node->sql('CREATE SCHEMA jobq; CREATE TABLE jobq.mine (n int)', 'empty');
like(
	sql_error($node, 'CREATE EXTENSION jobq', 'empty'),
	qr/ERROR:  42P06/,
	'CREATE EXTENSION does not take over an existing schema');
is($node->sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'jobq'}, 'empty'),
	'0', 'a refused CREATE EXTENSION leaves nothing');
is( $node->sql(
		q{SELECT concat_ws(' ', superuser, trusted, relocatable, schema)
			FROM pg_available_extension_versions
		WHERE name = 'jobq'}),
	't f f pg_catalog',
	'the extension is for superusers, and not relocatable');
my ($installed) = glob($node->config_data('--sharedir') . '/extension/jobq--*.sql');
like(
	slurp_file($installed),
	qr/\A\\echo Use "CREATE EXTENSION jobq"[^\n]* \\quit\n/,
	'psql does not run its script');
my $script = join("\n", map { slurp_file($_) } glob(source_dir() . '/extension/*.sql'));
$script =~ s/--.*//g;
unlike(
	$script,
	qr/CREATE\s+OR\s+REPLACE|IF\s+NOT\s+EXISTS|SECURITY\s+DEFINER|\bEXECUTE\s+format/i,
	'the install script replaces nothing and has no SECURITY DEFINER');

done_testing();
