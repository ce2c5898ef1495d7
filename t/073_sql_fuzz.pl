# t/073_sql_fuzz.pl: calls every function of schema jobq with random values of
# its arguments' types, from several sessions of several roles at once, in and
# out of transactions, while executors run what comes of it. The server must not
# crash, no error may be an internal one, and the tables must be in order
# afterwards.
#
# Functions are found in pg_proc, values are chosen by the type and the name of
# the argument. What a session sends depends on the seed and the number of its
# script only; what it meets depends on the others, too.
#
# JOBQ_FUZZ_SECONDS is for how long (15), JOBQ_FUZZ_SEED where it begins.

use strict;
use warnings;

use IPC::Run ();
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{JOBQ_FUZZ_SECONDS} || 15;
my $seed = $ENV{JOBQ_FUZZ_SEED} || int(rand(1_000_000)) + 1;

# for one script; one that takes longer hangs: its statements have a time limit
my $script_limit = 600;
my $statements = 120;
my @sessions = qw(postgres alice bob carol postgres alice dave);

my $node = jobq_node(
	'main',
	conf => [
		'log_statement = none',
		'log_min_messages = warning',
		"log_line_prefix = '%m [%p] %b <%e> %q%u '",
		'max_prepared_transactions = 20',
		'jobq.max_workers = 5',
		'jobq.worker_idle_timeout = 2s',
		'jobq.log_jobs = none',
		'autovacuum_naptime = 1s',
		'temp_buffers = 1MB'
	]);
$node->create_clock;

# ------------------------------------------------------------------- set-up

$node->sql(
	q{
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE dave LOGIN;
	GRANT alice TO carol;
	CREATE SCHEMA fuzz;
	GRANT USAGE, CREATE ON SCHEMA fuzz TO PUBLIC;
	CREATE FUNCTION fuzz.ok(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT $1';
	CREATE FUNCTION fuzz.fails(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
		RAISE EXCEPTION USING MESSAGE = repeat('no ', (random() * 9)::int), ERRCODE =
			(ARRAY['P0001', '40001', 'JQ101', 'JQ102', '57014',
				'22012'])[1 + (random() * 5)::int]; END$$;
	CREATE FUNCTION fuzz.job(j jobq.job) RETURNS SETOF jobq.job LANGUAGE sql AS 'SELECT $1';
	CREATE FUNCTION fuzz.calls(j jobq.job) RETURNS jobq.job
		LANGUAGE plpgsql AS $$DECLARE c jobq.job; BEGIN
		c := jobq.current_job();
		PERFORM jobq.enqueue('ext', c.payload, unique_key => 'k' || c.id % 3,
			on_conflict => 'replace');
		IF random() < 0.2 THEN PERFORM jobq.discard('x'); END IF;
		IF random() < 0.2 THEN PERFORM jobq.retry_in('1 s', 'x'); END IF;
		IF random() < 0.2 THEN PERFORM jobq.snooze('1 s', 'x'); END IF;
		PERFORM jobq.complete(id, lease) FROM jobq.dequeue('ext');
		PERFORM count(*) FROM jobq.jobs;
		RETURN c; END$$;
	CREATE PROCEDURE fuzz.commits(p jsonb) LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.enqueue('ext', p); COMMIT; PERFORM jobq.take('ext'); ROLLBACK;
		IF random() < 0.3 THEN PERFORM 1 / 0; END IF; END$$;
	CREATE FUNCTION fuzz.checks(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
		PERFORM jobq.enqueue('ext', p); RETURN p IS DISTINCT FROM '[]'; END$$;
	CREATE FUNCTION fuzz.backs_off(attempt int, error jsonb) RETURNS interval LANGUAGE sql AS
		$$SELECT (ARRAY['0', '1 s', '-1 s', '178000000 years', NULL])[1 + attempt % 5]::interval$$;
	-- some job, or one that is not there; one that is held by a lease
	CREATE FUNCTION fuzz.id() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
		SELECT coalesce((SELECT id FROM (SELECT id FROM jobq_store.job UNION ALL SELECT id
			FROM jobq_store.history) AS j
			OFFSET (random() * 100)::int LIMIT 1), (random() * 1000)::bigint)$$;
	CREATE FUNCTION fuzz.held(OUT id bigint, OUT lease bigint) LANGUAGE sql SECURITY DEFINER AS $$
		SELECT id, lease FROM jobq_store.job WHERE state = 1 OFFSET (random() * 5)::int LIMIT 1$$;
});

# What the functions may have taken away. Failing is fine: it may be there.
my @restore = (
	'SELECT jobq.start()',
	(   map { "SELECT jobq.grant_usage('$_', " . ($_ eq 'alice' ? 'true' : 'false') . ')' }
		  qw(alice bob carol)),
	q{SELECT jobq.create_queue('ext', owner => 'alice', keep_completed_count => 100)},
	q{SELECT jobq.create_queue('dead', owner => 'alice')},
	q{SELECT jobq.create_queue('plain', 'fuzz.ok(jsonb)', owner => 'alice', on_dead => 'dead')},
	q{SELECT jobq.create_queue('fails', 'fuzz.fails(jsonb)', owner => 'bob', max_attempts => 2,
		on_dead => 'ext')},
	q{SELECT jobq.create_queue('calls', 'fuzz.calls(jobq.job)', owner => 'alice',
		backoff_base => '10 ms')},
	q{SELECT jobq.create_queue('commits', 'fuzz.commits(jsonb)', owner => 'alice',
		timeout => '1 s')},
	q{SELECT jobq.create_queue('checked', owner => 'bob', payload_check => 'fuzz.checks(jsonb)',
		payload_path => '!($.n < 0)', forbid_keys => '{secret,"b"}',
		backoff_function => 'fuzz.backs_off(int, jsonb)', lease => '100 ms', ttl => '10 s')},
	q{SELECT jobq.grant_queue('ext', 'bob', 'enqueue', 'consume'), jobq.grant_queue('plain',
		'bob', 'manage')},
	q{SELECT jobq.schedule('each', '@every 1 second', queue => 'ext')},
	(   map { "SELECT jobq.resume('$_'), jobq.throttle('$_', '0')" }
		  qw(ext plain fails calls commits checked)));

# --------------------------------------------------------------- the values

sub pick { return $_[ int(rand(scalar @_)) ] }

my @queues = (
	qw(ext ext ext plain fails calls commits checked dead new1 new2 new3),
	'run:alice', 'run:postgres');
my @strings = (
	q{''}, q{' '}, q{'x'}, q{E'a\nb'},
	q{'"'}, q{''''}, q{'%s%n'}, q{E'\\\\'},
	q{'{}'}, q{'NULL'}, q{'жäß€😀'}, q{repeat('x', 63)},
	q{repeat('x', 64)}, q{repeat('ж', 128)}, q{repeat('x', 2705)}, q{repeat('x', 1000000)},
	q{E'\u0001'});
my @json = (
	q{'{}'},
	q{'{}'},
	q{'{"a": [1, {"b": null}]}'},
	q{'[]'},
	q{'null'},
	q{'1e300'},
	q{'"x"'},
	q{(repeat('[', 2000) || repeat(']', 2000))::jsonb},
	q{to_jsonb(repeat('x', 20000))},
	q{(SELECT jsonb_object_agg(i::text, md5(i::text)) FROM generate_series(1, 300) AS i)},
	q{'{"schedule": 1, "jobq_dead_job": {}}'},
	q{'{"schedule": "each", "slot": "x"}'});
my @commands = (
	'SELECT 1',
	'SELECT 1 / 0',
	'SELECT $1',
	'SELECT $2',
	'SELECT pg_sleep(0.02)',
	'VACUUM fuzz.t',
	'nonsense',
	'',
	';',
	'BEGIN',
	'SELECT 1; SELECT 2',
	'CREATE TABLE IF NOT EXISTS fuzz.t (i int)',
	'CALL fuzz.commits($1)',
	q{SELECT jobq.enqueue('ext', $1)},
	'SELECT pg_terminate_backend(pg_backend_pid())',
	'SELECT pg_cancel_backend(pg_backend_pid())',
	'RESET ALL',
	'SET ROLE bob',
	'LISTEN x',
	'SELECT jobq.cancel((jobq.current_job()).id)',
	'DROP TABLE fuzz.t',
	'SELECT * FROM jobq.jobs');
my @crons = (
	'* * * * *', '@every 1 second',
	'@daily', '*/2 * * * * *',
	'0 0 30 2 *', '0 0 L * *', '99 * * * *', '@every 0 s', '', '@', 'x',
	'0 0 29 2 1#5', '59 23 31 12 * 2099');

# By the name of the argument, before its type.
my %by_name = (
	queue => sub { rand() < 0.9 ? q{'} . pick(@queues) . q{'} : text() },
	on_dead => sub { q{'} . pick(@queues) . q{'} },
	new_name => sub { rand() < 0.8 ? q{'} . pick(@queues) . q{'} : text() },
	name => sub { rand() < 0.9 ? pick(q{'each'}, q{'s1'}, q{'s2'}) : text() },
	cron => sub { rand() < 0.9 ? q{'} . pick(@crons) . q{'} : text() },
	command => sub { '$c$' . pick(@commands) . '$c$' },
	timezone =>
	  sub { pick(q{'UTC'}, q{'Europe/Berlin'}, q{'America/New_York'}, q{'Nowhere/x'}, text()) },
	on_conflict => sub { pick(q{'keep'}, q{'replace'}, q{'error'}, text()) },
	missed => sub { pick(q{'skip'}, q{'once'}, q{'all'}, text()) },
	overlap => sub { pick(q{'skip'}, q{'allow'}, q{'queue'}, q{'cancel'}, text()) },
	backoff => sub { pick(q{'exponential'}, q{'linear'}, q{'fixed'}, text()) },
	unique_key => sub { rand() < 0.8 ? pick(q{'k1'}, q{'k2'}, q{'k3'}) : text() },
	job_id => sub { rand() < 0.9 ? 'fuzz.id()' : bigint() },
	lease_bigint => sub { bigint() },
	privileges => sub {
		pick(map({ "ARRAY['$_']" } qw(enqueue consume manage read x)),
			q{'{enqueue,read}'}, array('text'));
	},
	keep_runs => sub { pick(q{'all'}, q{'errors'}, text()) },
	options => sub {
		pick(
			map({ "ARRAY['$_']" }
				qw(ttl lease on_dead handler owner jitter keep_runs catch_up_window x)),
			array('text'));
	},
	job_ids => sub { pick('ARRAY(SELECT fuzz.id() FROM generate_series(1, 5))', array('bigint')) },
	done =>
	  sub { pick('ARRAY(SELECT (fuzz.held()).id FROM generate_series(1, 3))', array('bigint')) },
	queues => sub { pick(q{'{ext,checked}'}, q{'{ext}'}, q{'{}'}, array('text')) },
	max_jobs => sub { pick(1, 1, 2, 10, 1000, integer()) },
	run_at => sub { rand() < 0.7 ? q{now() + '200 ms'} : timestamptz() },
	delay => sub { rand() < 0.7 ? q{'100 ms'} : interval() },
	# a schedule of a year of seconds takes its time
	to_time => sub { rand() < 0.8 ? q{now() + '10 s'} : timestamptz() },
	from_time => sub { rand() < 0.8 ? q{now() - '10 s'::interval} : timestamptz() });

sub text { return pick(@strings) }

sub integer
{
	return pick(0, 1, 2, 3, 10, 100, -1, 2147483647, '(-2147483648)', 32767, -32768, 32768, 1000,
		1001);
}

sub bigint
{
	return pick('fuzz.id()', '(fuzz.held()).lease', 0, 1, -1, '9223372036854775807',
		'(-9223372036854775808)');
}

sub interval
{
	return 'interval '
	  . pick(
		q{'0'},
		q{'1 us'},
		q{'1 ms'},
		q{'50 ms'},
		q{'1 s'},
		q{'1 minute'},
		q{'1 day'},
		q{'1 month'},
		q{'-1 s'},
		q{'-1 month 40 days'},
		q{'178000000 years'},
		q{'-178000000 years'},
		q{'2147483647 months 2147483647 days'},
		q{'2562047788 hours'},
		q{'366 days'},
		q{'10 years'});
}

sub timestamptz
{
	return 'timestamptz '
	  . pick(
		q{'now'}, q{'2000-01-01 UTC'},
		q{'infinity'}, q{'-infinity'},
		q{'294276-12-31 23:59:59.999999 UTC'}, q{'4714-11-24 00:00:00 BC UTC'},
		q{'2100-02-29 UTC'}, q{'tomorrow'},
		q{'yesterday'});
}

my %by_type = (
	'text' => \&text,
	'integer' => \&integer,
	'bigint' => \&bigint,
	'interval' => \&interval,
	'timestamp with time zone' => \&timestamptz,
	'boolean' => sub { pick('true', 'false') },
	'double precision' =>
	  sub { pick(0, 0.5, 1, 2, -1, q{'NaN'}, q{'Infinity'}, q{'-Infinity'}, '1e308', '1e-308') },
	'jsonb' => sub { pick(@json) },
	'jsonpath' => sub {
		pick(
			map({ "'$_'::jsonpath" } '$',
				'$.a', '$.a > 1', '$.a == "x"', '$.* ? (@ > 0)',
				'strict $.b.c', '$[*] starts with "a"',
				'1 == 1', '1 == 2', '$.a.datetime() < "2020-01-01".datetime()'));
	},
	'regprocedure' => sub {
		pick(
			map({ "'$_'::regprocedure" } 'fuzz.ok(jsonb)',
				'fuzz.fails(jsonb)', 'fuzz.job(jobq.job)',
				'fuzz.calls(jobq.job)', 'fuzz.commits(jsonb)',
				'fuzz.checks(jsonb)', 'fuzz.backs_off(int, jsonb)',
				'now()', 'count(*)',
				'0', '4294967295'));
	},
	'regrole' => sub {
		pick(map({ "'$_'::regrole" } qw(alice bob carol dave postgres pg_monitor 0 4294967295)));
	},
	'text[]' => sub { array('text') },
	'bigint[]' => sub { array('bigint') },
	'jsonb[]' => sub { array('jsonb') },
	'interval[]' => sub { array('interval') });

sub array
{
	my ($type) = @_;
	my @elements = map { rand() < 0.05 ? 'NULL' : $by_type{$type}->() } 1 .. pick(1, 1, 2, 3, 8);
	my $list = join(', ', @elements);
	return pick(
		"'{}'::$type\[]",
		"'{NULL}'::$type\[]",
		"ARRAY[$list]::$type\[]",
		"ARRAY[$list]::$type\[]",
		"ARRAY[$list]::$type\[]",
		"ARRAY[ARRAY[$list], ARRAY[$list]]::$type\[]",
		"array_fill($elements[0]::$type, ARRAY[2], ARRAY[-3])");
}

# ----------------------------------------------------------- the statements

my @functions;
foreach my $line (
	split(
		/\n/,
		$node->sql(
			q{
	SELECT p.proname, p.prokind, p.pronargs - p.pronargdefaults, p.provariadic <> 0,
		coalesce(array_to_string(ARRAY(
		SELECT p.proargnames[i + 1] || ':' || format_type(p.proargtypes[i], NULL)
		FROM generate_series(0, p.pronargs - 1) AS i), ','), '')
	FROM pg_proc AS p WHERE pronamespace = 'jobq'::regnamespace ORDER BY p.proname, p.oid})))
{
	my ($name, $kind, $required, $variadic, $arguments) = split(/\|/, $line, 5);
	my @arguments = map { [ split(/:/, $_, 2) ] } split(/,/, $arguments);
	foreach my $argument (@arguments)
	{
		die "no values for arguments of type $argument->[1]: see %by_type\n"
		  unless $by_type{ $argument->[1] };
	}
	push @functions,
	  {
		name => $name,
		kind => $kind,
		required => $required,
		variadic => $variadic eq 't',
		arguments => \@arguments
	  };
}

# These undo the work of the others, or stand in their way.
my %seldom = map { $_ => 1 } qw(stop drop_queue rename_queue revoke_usage pause unschedule drain
  throttle drop_limit);
my %often = map { $_ => 1 } qw(enqueue enqueue_many dequeue complete fail take next run);

# values that make sense often enough to get somewhere
sub value
{
	my ($argument) = @_;
	my ($name, $type) = @$argument;
	my $special = $by_name{$name};
	return 'NULL' if rand() < 0.03;
	return $special->() if $special && ($name ne 'lease' || $type ne 'bigint');
	return $by_type{$type}->();
}

sub call
{
	my ($function) = @_;
	my @arguments = @{ $function->{arguments} };
	my %names = map { $_->[0] => $_->[1] } @arguments;
	my $held = exists $names{job_id} && ($names{lease} // '') eq 'bigint' && rand() < 0.8;
	my @list;

	for my $i (0 .. $#arguments)
	{
		my ($name, $type) = @{ $arguments[$i] };
		next if $i >= $function->{required} && rand() < 0.8 && !($function->{kind} eq 'p');
		my $value =
		  $held && $name =~ /^(?:job_id|lease)$/
		  ? 'h.' . ($name eq 'lease' ? 'lease' : 'id')
		  : value($arguments[$i]);
		my $variadic = $function->{variadic} && $i == $#arguments ? 'VARIADIC ' : '';
		push @list, "$variadic$name => $value" . ($value eq 'NULL' ? "::$type" : '');
	}
	return ("jobq.$function->{name}(" . join(', ', @list) . ')',
		$held ? ' FROM fuzz.held() AS h' : '');
}

sub statement
{
	my $function;
	do { $function = pick(@functions) }
	  until (
		rand() < ($often{ $function->{name} } ? 1 : $seldom{ $function->{name} } ? 0.05 : 0.4));
	my ($call, $from) = call($function);
	return "CALL $call" if $function->{kind} eq 'p';
	return pick(
		"SELECT $call$from",
		"SELECT $call$from",
		"SELECT $call$from",
		"SELECT count(*) FROM (SELECT $call" . ($from || ' FROM generate_series(1, 3)') . ') AS s',
		"DO \$d\$BEGIN PERFORM $call$from; EXCEPTION WHEN OTHERS THEN NULL; END\$d\$",
		"DO \$d\$BEGIN PERFORM $call$from; PERFORM 1 / 0; "
		  . "EXCEPTION WHEN division_by_zero THEN NULL; END\$d\$",
		"EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT $call$from",
		"BEGIN;\nDECLARE c CURSOR FOR SELECT $call$from;\nFETCH 1 FROM c;\n"
		  . pick('CLOSE c;', '')
		  . "\nCOMMIT");
}

my @looks = (
	(   map { "SELECT count(*), min(v::text) FROM jobq.$_ AS v" }
		  qw(jobs queues attempts dead_letters schedules schedule_runs workers)),
	q{SELECT * FROM jobq.jobs WHERE id = fuzz.id() OR queue = 'ext' LIMIT 5});

sub block
{
	my ($role, $n) = @_;
	my $superuser = $role eq 'postgres';
	my @body = map { rand() < 0.1 ? pick(@looks) : statement() } 1 .. pick(1, 2, 3, 5);
	my $kind = rand();

	return "@{[ pick('SELECT pg_terminate_backend(pid)', 'SELECT pg_cancel_backend(pid)') ]}
		FROM pg_stat_activity"
	  . " WHERE backend_type LIKE 'jobq executor%' ORDER BY random() LIMIT 1;"
	  if $superuser && $kind < 0.02;
	return 'SELECT clock.advance(' . pick(q{'10 s'}, q{'1 minute'}, q{'2 hours'}) . ');'
	  if $superuser && $kind < 0.03;
	return pick(
		'DISCARD ALL;',
		'SET search_path = fuzz, pg_temp, pg_catalog;',
		'SET ROLE NONE;',
		'UNLISTEN *;',
		'SET enable_indexscan = off;',
		'SET min_parallel_table_scan_size = 0; '
		  . 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;',
		'RESET ALL;') if $kind < 0.06;
	return "$body[0];" if $kind < 0.5;

	my $text = 'BEGIN'
	  . pick(
		'', '',
		' ISOLATION LEVEL REPEATABLE READ',
		' ISOLATION LEVEL SERIALIZABLE',
		' READ ONLY') . ";\n";
	foreach my $i (0 .. $#body)
	{
		$text .= "SAVEPOINT s$i;\n" if $kind < 0.8;
		$text .= "$body[$i];\n";
		$text .= pick("ROLLBACK TO s$i;\n", "RELEASE s$i;\n", '') if $kind < 0.8;
	}
	return $text . pick('ROLLBACK;', 'COMMIT;', 'COMMIT;', 'COMMIT;') if $kind < 0.97;
	return $text . "PREPARE TRANSACTION '$n';\n" . pick('COMMIT', 'ROLLBACK') . " PREPARED '$n';";
}

sub script
{
	my ($role, $number) = @_;
	srand($seed * 100_003 + $number);
	return join("\n",
		"\\set QUIET on",
		'SET client_min_messages = error;',
		"SELECT setseed(0.@{[ $number % 1000 ]});",
		map({ block($role, "$number.$_") } 1 .. $statements))
	  . "\n";
}

# ------------------------------------------------------------------ the run

my $end = time() + $seconds;
my $number = 0;
my @hung;
my @lost;
diag("seed $seed");
while (time() < $end && !@hung)
{
	$node->psql('postgres', $_) foreach (@restore);
	my @running;
	foreach my $role (@sessions)
	{
		my $script = script($role, ++$number);
		my $psql = {
			number => $number,
			role => $role,
			out => '',
			file => "$PostgreSQL::Test::Utils::log_path/fuzz_$role.$number.sql"
		};
		PostgreSQL::Test::Utils::append_to_file($psql->{file}, $script);
		$psql->{handle} = IPC::Run::start(
			[
				'psql',
				'-XAtq',
				'-d',
				$node->connstr('postgres')
				  . " user=$role options='-c statement_timeout=3s -c lock_timeout=2s'",
				'-f',
				$psql->{file}
			],
			'>',
			'/dev/null',
			'2>',
			\$psql->{out},
			IPC::Run::timeout($script_limit));
		push @running, $psql;
	}
	foreach my $psql (@running)
	{
		my $done = eval { $psql->{handle}->finish; 1 };
		push @hung, $psql->{file} unless $done;
		$psql->{handle}->kill_kill unless $done;
		push @lost, $psql->{file}
		  if $psql->{out} =~ /connection to server was lost|server closed the connection/;
	}
	foreach my $gid (split(/\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts')))
	{
		$node->psql('postgres', "ROLLBACK PREPARED '$gid'");
	}
	unlink map { $_->{file} } @running
	  unless @hung
	  || @lost
	  || log_since($node, 0) =~ /PANIC:|TRAP:|<XX...>|was terminated by signal/;
}
note("$number scripts of $statements statements");
is("@hung", '', 'no session hangs');
is("@lost", '', 'no session loses its connection');

# ------------------------------------------------------------ the inspection

$node->psql('postgres', $_) foreach (@restore);
my $log = log_since($node, 0);
my @bad = grep { /PANIC:|TRAP:|<XX...>|was terminated by signal|was terminated by exception/ }
  split(/\n/, $log);
is(join("\n", @bad[ 0 .. ($#bad > 9 ? 9 : $#bad) ]),
	'', 'no crash, no failed assertion, no internal error')
  or diag("seed $seed, the scripts are $PostgreSQL::Test::Utils::log_path/fuzz_*");

is($node->sql($_->[1]), '', $_->[0])
  foreach (
	[
		'jobs belong to queues',
		'SELECT id FROM jobq_store.job WHERE queue NOT IN (SELECT id FROM jobq_store.queue)'
	],
	[
		'a job is live or finished',
		q{SELECT id FROM jobq_store.job JOIN jobq_store.history USING (id)}
	],
	[
		'a job is finished once',
		q{SELECT id FROM jobq_store.history GROUP BY id HAVING count(*) > 1}
	],
	[
		'ids are unique',
		'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SELECT id FROM jobq_store.job GROUP BY id HAVING count(*) > 1'
	],
	[
		'keys are unique',
		'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SELECT unique_key FROM jobq_store.job WHERE unique_key IS NOT NULL
			GROUP BY queue, unique_key HAVING count(*) > 1'
	],
	[
		'a running job has a lease', q{SELECT id FROM jobq_store.job WHERE state NOT IN (0, 1)
		OR state = 1 AND (lease = 0 OR lease_until = '-infinity' OR started_at = '-infinity'
			OR attempt < 1)}
	],
	[
		'finished jobs are in a final state',
		'SELECT id, state FROM jobq_store.history WHERE state NOT BETWEEN 3 AND 6'
	],
	[
		'attempts are counted',
		'SELECT id FROM jobq_store.job WHERE attempt < 0 OR max_attempts < 0'
	],
	[
		'nobody finds a time that is not one',
		q{SELECT id FROM jobq_store.job WHERE run_at IN ('infinity', '-infinity')
		OR enqueued_at IN ('infinity', '-infinity')}
	],
	[
		'privileges are on queues', 'SELECT queue FROM jobq_store.queue_grant
		WHERE queue NOT IN (SELECT id FROM jobq_store.queue) OR privileges <= 0'
	],
	[
		'runs belong to schedules', 'SELECT schedule FROM jobq_store.schedule_run
		WHERE schedule NOT IN (SELECT id FROM jobq_store.schedule)'
	],
	[
		'queues of commands have the commands',
		q{SELECT j.id FROM jobq_store.job AS j JOIN jobq_store.queue AS q ON q.id = j.queue
		WHERE is_run <> (command IS NOT NULL)}
	]);

SKIP:
{
	skip 'amcheck is not installed', 1
	  unless $node->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
	is( $node->sql(
			q{CREATE EXTENSION amcheck;
		SELECT bt_index_check(c.oid, true) FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
		WHERE c.relnamespace = 'jobq_store'::regnamespace AND a.amname = 'btree'
			AND c.relkind = 'i';
		SELECT c.relname, h.* FROM pg_class AS c, verify_heapam(c.oid) AS h
		WHERE c.relnamespace = 'jobq_store'::regnamespace AND c.relkind = 'r'}) =~ s/\n//gr,
		'',
		'amcheck finds nothing');
}

# and everything is still at work
$node->sql(
	q{SELECT jobq.create_queue('after', 'fuzz.ok(jsonb)', owner => 'alice'),
		jobq.schedule('after', '@every 1 second', queue => 'after');
	SELECT jobq.enqueue('after', '{"n": 1}')});
poll_ok(
	$node, q{SELECT count(*) > 2 FROM jobq_store.history WHERE state = 3 AND queue =
	(SELECT id FROM jobq_store.queue WHERE name = 'after')}, 'jobs and schedules run afterwards');
poll_ok(
	$node, q{SELECT count(*) = 0 FROM jobq_store.job WHERE state = 1
	AND lease_until < (SELECT now()
		FROM clock.advance('0'))}, 'leases that have run out are ended');
poll_ok(
	$node, q{SELECT count(*) = 0 FROM jobq_store.cancel_request AS c WHERE NOT EXISTS
	(SELECT FROM jobq_store.job WHERE id = c.job_id)}, 'no cancel_request is left');

done_testing();
