# t/072_privilege_matrix.pl: every function and view of schema jobq against
# every kind of role.
#
# The two tables below are the contract. A function, procedure, overload or
# view that is not in them fails the test: a new one is one line there.

use strict;
use warnings;

use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# ------------------------------------------------------------- the contract

# Kinds of roles. All but "nobody" and "noinherit" may use jobq. The privileges
# are on queue "q", which "owner" owns, and with it schedule "s". "extowner"
# owns the extension and is no superuser any more. "member" and "noinherit"
# are members of "group", which has all four privileges on q; "set_role" is
# the latter after SET ROLE. "reads_all" may see all queues and schedules.
my @kinds = qw(super extowner owner enqueue consume manage read usage creator reads_all
  nobody group member owner_member noinherit set_role);

# Who may do what, besides super and extowner, who may do everything.
my %set = (
	admin => [],
	creator => ['creator'],
	owner => [qw(owner owner_member)],
	enqueue => [qw(owner owner_member enqueue group member set_role)],
	consume => [qw(owner owner_member consume group member set_role)],
	manage => [qw(owner owner_member manage group member set_role)],
	see => [qw(owner owner_member consume manage read group member set_role)],
	user => [qw(owner owner_member enqueue consume manage read reads_all group member set_role)],
	usage => [ grep { !/^(?:super|extowner|nobody|noinherit)$/ } @kinds ]);

# Function and the types of the arguments without default => who may call it,
# a call, the SQLSTATE of those who may, where that is not success, and of
# others who may use jobq, where that is not 42501. :name is replaced by what
# the set-up below has made.
my %functions = (
	'alter_limit(text)' => [ 'owner', q{alter_limit('l', max_running => 3)} ],
	'alter_queue(text)' => [ 'owner', q{alter_queue('q', max_attempts => 3)} ],
	'alter_schedule(text)' => [ 'owner', q{alter_schedule('s', keep_runs => 'errors')} ],
	'backfill(text, timestamp with time zone, timestamp with time zone)' =>
	  [ 'owner', q{backfill('s', now() - interval '2 s', now())} ],
	'cancel(bigint)' => [ 'manage', 'cancel(:ready)' ],
	'channel(text)' => [ 'user', q{channel('q')}, undef, '42704' ],
	'complete(bigint, bigint)' => [ 'consume', 'complete(:leased, :lease)' ],
	'complete_many(bigint[], bigint)' => [ 'consume', q{complete_many('{:leased}', :lease)} ],
	'create_limit(text)' => [ 'creator', q{create_limit('new')} ],
	'create_queue(text)' => [ 'creator', q{create_queue('new')} ],
	'cron_describe(text)' => [ 'usage', q{cron_describe('@daily')} ],
	'cron_next(text)' => [ 'usage', q{cron_next('@daily')} ],
	'cron_times(text, timestamp with time zone, integer)' =>
	  [ 'usage', q{cron_times('@daily', now(), 2)} ],
	'current_job()' => [ 'usage', 'current_job()' ],
	'delete(bigint)' => [ 'manage', 'delete(:ready)' ],
	'dequeue(text)' => [ 'consume', q{dequeue('q')} ],
	'dequeue_any(text[])' => [ 'consume', q{dequeue_any('{q}')} ],
	'discard()' => [ 'usage', 'discard()', 'JQ102' ],
	'drain(text)' => [ 'manage', q{drain('q')} ],
	'drop_limit(text)' => [ 'owner', q{drop_limit('l')} ],
	'drop_queue(text)' => [ 'owner', q{drop_queue('q', true)} ],
	'enable_schedule(text)' => [ 'owner', q{enable_schedule('s', false)} ],
	'enqueue(text)' => [ 'enqueue', q{enqueue('q')} ],
	'enqueue_many(text, jsonb[])' => [ 'enqueue', q{enqueue_many('q', '{1, 2}')} ],
	'fail(bigint, bigint, text)' => [ 'consume', q{fail(:leased, :lease, 'x')} ],
	'fail_job(bigint, text)' => [ 'usage', q{fail_job(1, 'x')}, '55000' ],
	'grant_queue(text, regrole, text[])' => [ 'owner', q{grant_queue('q', 'nobody', 'read')} ],
	'grant_usage(regrole)' => [ 'admin', q{grant_usage('nobody')} ],
	'heartbeat(bigint, bigint)' => [ 'consume', 'heartbeat(:leased, :lease)' ],
	'import_pg_cron()' => [ 'admin', 'import_pg_cron()', '55000' ],
	'listen(text)' => [ 'consume', q{listen('q')} ],
	'next(text, bigint[], bigint)' => [ 'consume', q{next('q', '{:leased}', :lease)} ],
	'pause(text)' => [ 'manage', q{pause('q')} ],
	'promote(bigint)' => [ 'manage', 'promote(:scheduled)' ],
	'release(bigint, bigint)' => [ 'consume', 'release(:leased, :lease)' ],
	'rename_queue(text, text)' => [ 'owner', q{rename_queue('q', 'q2')} ],
	'reschedule(bigint, timestamp with time zone)' => [ 'manage', 'reschedule(:ready, now())' ],
	'reset_key(text, text)' => [ 'manage', q{reset_key('q', 'k')} ],
	'reset_limit(text, text[])' => [ 'owner', q{reset_limit('l', 'max_running')} ],
	'reset_group(text, text)' => [ 'manage', q{reset_group('q', 'g')} ],
	'reset_queue(text, text[])' => [ 'owner', q{reset_queue('q', 'ttl')} ],
	'reset_schedule(text, text[])' => [ 'owner', q{reset_schedule('s', 'catch_up_window')} ],
	'resume(text)' => [ 'manage', q{resume('q')} ],
	'retry(bigint)' => [ 'manage', 'retry(:dead)' ],
	'retry_in(interval)' => [ 'usage', q{retry_in('1 s')}, 'JQ101' ],
	'revoke_queue(text, regrole, text[])' => [ 'owner', q{revoke_queue('q', 'group', 'read')} ],
	'revoke_usage(regrole)' => [ 'admin', q{revoke_usage('usage')} ],
	'run(text)' => [ 'creator', q{run('SELECT 1')} ],
	'run_schedule(text)' => [ 'owner', q{run_schedule('s')} ],
	'schedule(text, text)' => [ 'creator', q{schedule('new', '@daily', 'SELECT 1')} ],
	'set_payload(bigint, jsonb)' => [ 'manage', q{set_payload(:ready, '{}')} ],
	'set_priority(bigint, integer)' => [ 'manage', 'set_priority(:ready, 1)' ],
	'set_group(text, text)' => [ 'manage', q{set_group('q', 'g', 1)} ],
	'snooze(interval)' => [ 'usage', q{snooze('1 s')}, 'JQ103' ],
	'start()' => [ 'admin', 'start()' ],
	'stop()' => [ 'admin', 'stop()' ],
	'take(text)' => [ 'consume', q{take('q')} ],
	'throttle(text, interval)' => [ 'consume', q{throttle('q', '0', 'g')} ],
	'unlisten(text)' => [ 'usage', q{unlisten('q')} ],
	'unschedule(text)' => [ 'owner', q{unschedule('s')} ],
	'version()' => [ 'usage', 'version()' ],
	'wait(text[], interval)' => [ 'consume', q{CALL jobq.wait('{q}', '0')} ]);

# View => who sees what belongs to q or its owner, an expression that tells
# what a row belongs to, and what others with usage see. Administrators see
# what belongs to another queue or owner, too: "zz" and its "stranger".
my %views = (
	'attempts' => [ 'see', 'queue' ],
	'dead_letters' => [ 'see', 'queue' ],
	'groups' => [ 'see', 'queue' ],
	'health' => [ 'owner', q{CASE topic WHEN 'paused' THEN substr(object, 9) END} ],
	'jobs' => [ 'see', 'queue' ],
	'limits' => [ 'owner', q{name || ''} ],
	'queues' => [ 'see', 'queue' ],
	'schedule_runs' => [ 'owner', 'schedule' ],
	'schedules' => [ 'owner', 'name' ],
	'workers' => [ 'owner', q{coalesce(role::text, '-')}, '-' ]);
my %seen_of = (
	'queue' => [ 'q', 'q zz' ],
	'schedule' => [ 's', 's zs' ],
	'name' => [ 's', 's zs' ],
	q{name || ''} => [ 'l', 'l zl' ],
	q{CASE topic WHEN 'paused' THEN substr(object, 9) END} => [ 'p', 'p zp' ],
	q{coalesce(role::text, '-')} => [ '- owner', '- owner stranger' ]);

# ------------------------------------------------------------------- set-up

my $node = jobq_node(
	'main',
	extension => 0,
	conf => [ 'jobq.max_workers = 4', 'jobq.worker_idle_timeout = 1h' ]);

# The beginning of a session of a kind of role.
sub become
{
	my ($kind) = @_;
	return '' if $kind eq 'super';
	return "SET SESSION AUTHORIZATION noinherit; SET ROLE \"group\";\n" if $kind eq 'set_role';
	return "SET SESSION AUTHORIZATION \"$kind\";\n";
}

$node->sql(q{CREATE ROLE extowner SUPERUSER LOGIN; SET ROLE extowner; CREATE EXTENSION jobq});
$node->sql(qq{CREATE ROLE "$_" LOGIN})
  foreach (grep { !/^(?:super|extowner|set_role)$/ } @kinds, 'stranger');
$node->sql(qq{SELECT jobq.grant_usage('"$_"', may_create => '$_' = 'creator')})
  foreach (qw(owner enqueue consume manage read usage creator group));
$node->sql(q{SELECT jobq.grant_usage('reads_all', may_read => true)});
$node->sql(
	q{
	-- from PostgreSQL 16 on it is what the role is like now that counts
	ALTER ROLE noinherit NOINHERIT;
	GRANT "group" TO member, noinherit;
	GRANT owner TO owner_member;
	SELECT jobq.grant_usage('owner_member');
	-- a call that leaves nothing behind; its SQLSTATE
	CREATE FUNCTION attempt(sql text) RETURNS text LANGUAGE plpgsql AS $$BEGIN
		EXECUTE sql;
		RAISE EXCEPTION SQLSTATE 'OK000';
	EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END$$;
	-- what a query returns, or its SQLSTATE
	CREATE FUNCTION answer(sql text) RETURNS text LANGUAGE plpgsql AS $$DECLARE result text; BEGIN
		EXECUTE sql INTO result;
		RETURN coalesce(result, '');
	EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END$$;
	CREATE FUNCTION quick() RETURNS void LANGUAGE sql AS '';
	SELECT jobq.create_queue('q', owner => 'owner', max_attempts => 1), jobq.create_queue('zz',
		max_attempts => 1);
});
my %made;
foreach my $queue ('zz', 'q')
{
	$node->sql("SELECT jobq.enqueue('$queue')");
	$node->sql("SELECT jobq.fail(id, lease, 'x') FROM jobq.dequeue('$queue')");
	$node->sql("SELECT jobq.enqueue('$queue')");
	@made{qw(leased lease)} =
	  split(/\|/, $node->sql("SELECT id, lease FROM jobq.dequeue('$queue', lease => '1 day')"));
	$made{ready} = $node->sql("SELECT jobq.enqueue('$queue')");
	$made{scheduled} = $node->sql("SELECT jobq.enqueue('$queue', delay => '1 day')");
	$node->sql("SELECT jobq.enqueue('$queue', delay => '1 day', group_key => 'g')");
}
$made{dead} = $node->sql(q{SELECT id FROM jobq.dead_letters WHERE queue = 'q'});
$node->sql(
	q{SELECT jobq.grant_queue('q', r::regrole, r) FROM unnest(ARRAY['enqueue', 'consume',
		'manage', 'read']) AS r;
	SELECT jobq.grant_queue('q', '"group"', 'enqueue', 'consume', 'manage', 'read')});

# an idle executor of q's owner and one of a stranger, and a run of a schedule
foreach my $owner ('owner', 'stranger')
{
	$node->sql(
		"SELECT jobq.create_queue('handled by $owner', 'quick()', owner => '$owner');
		SELECT jobq.enqueue('handled by $owner')");
	poll_query($node, "SELECT state = 'idle' FROM jobq.workers WHERE role::text = '$owner'");
}
$node->sql(
	q{SELECT jobq.create_queue('handled p', owner => 'owner'), jobq.create_queue('handled zp');
	SELECT jobq.enqueue(q), jobq.pause(q) FROM unnest('{handled p,handled zp}'::text[]) AS q});
$node->sql(
	q{SELECT jobq.grant_usage('owner', true);
	SET SESSION AUTHORIZATION owner;
	SELECT jobq.schedule('s', '@every 1 second', queue => 'q'), jobq.create_limit('l');
	RESET SESSION AUTHORIZATION;
	SELECT jobq.create_limit('zl');
	SELECT jobq.schedule('zs', '@every 1 second', queue => 'zz');
});
poll_query($node, 'SELECT count(DISTINCT schedule) = 2 FROM jobq.schedule_runs');
$node->sql(
	q{SELECT jobq.schedule('zs', '@yearly', queue => 'zz');
	SET SESSION AUTHORIZATION owner;
	SELECT jobq.schedule('s', '@yearly', queue => 'q');
	RESET SESSION AUTHORIZATION;
	SELECT jobq.revoke_usage('owner'), jobq.grant_usage('owner');
	ALTER ROLE extowner NOSUPERUSER;
});
is( $node->sql('SELECT count(*) FROM jobq_store.schedule_run'),
	$node->sql('SELECT count(*) FROM jobq.schedule_runs'),
	'the runs of the schedules are kept');

# ------------------------------------------------------ nothing is left out

is( join(
		"\n",
		sort split(
			/\n/,
			$node->sql(
				q{SELECT p.proname || '(' || array_to_string(ARRAY(
		SELECT format_type(p.proargtypes[i], NULL)
		FROM generate_series(0, p.pronargs - p.pronargdefaults - 1) AS i), ', ') || ')'
		FROM pg_proc AS p WHERE p.pronamespace = 'jobq'::regnamespace}))),
	join("\n", sort keys %functions),
	'every function is in the matrix, with every overload');
is( $node->sql(
		q{SELECT string_agg(relname, E'\n' ORDER BY relname) FROM pg_class
			WHERE relnamespace = 'jobq'::regnamespace
		AND relkind <> 'c'}),
	join("\n", sort keys %views),
	'every view is in the matrix');

# --------------------------------------------------------------- the matrix

my %allowed;
foreach my $name (keys %set)
{
	$allowed{$name} = { map { $_ => 1 } 'super', 'extowner', @{ $set{$name} } };
}

# The SQLSTATE that a kind of role gets from a call.
sub expected
{
	my ($kind, $function) = @_;
	my ($who, undef, $state, $others) = @{ $functions{$function} };
	return $state // 'OK000' if $allowed{$who}{$kind};
	return $others && $allowed{usage}{$kind} ? $others : '42501';
}

# Views first: executors leave when somebody calls stop(), and rolls back.
foreach my $kind (@kinds)
{
	my $script = become($kind);
	my @expected;
	foreach my $view (sort keys %views)
	{
		my ($who, $expression, $others) = @{ $views{$view} };
		$script .=
			"SELECT answer(\$_\$SELECT string_agg(DISTINCT $expression, ' ' ORDER BY $expression)"
		  . " FROM jobq.$view WHERE $expression !~ '^handled'\$_\$);\n";
		push @expected, $allowed{admin}{$kind} || $kind eq 'reads_all' ? $seen_of{$expression}[1]
		  : $allowed{$who}{$kind}                                      ? $seen_of{$expression}[0]
		  : $allowed{usage}{$kind}                                     ? $others // ''
		  :                                                              '42501';
	}
	is($node->sql($script), join("\n", @expected),
		"views as $kind: " . join(' ', sort keys %views));
}

my $before =
  $node->sql(q{SELECT count(*), sum(hashtext(j::text)::bigint) FROM jobq_store.job AS j});
foreach my $kind (@kinds)
{
	my @calls = grep { $functions{$_}[1] !~ /^CALL/ } sort keys %functions;
	my $script = become($kind);
	foreach my $function (@calls)
	{
		my $call = $functions{$function}[1];
		$call =~ s/:(\w+)/$made{$1} \/\/ ":$1"/ge;
		$script .= "SELECT \$_\$$function\$_\$, attempt(\$_\$SELECT jobq.$call\$_\$);\n";
	}
	is( $node->sql($script),
		join("\n", map { "$_|" . expected($kind, $_) } @calls),
		"functions as $kind");

	foreach my $function (grep { $functions{$_}[1] =~ /^CALL/ } sort keys %functions)
	{
		my $error = sql_error($node, become($kind) . $functions{$function}[1]);
		my $state = $error =~ /ERROR:  (.{5}):/ ? $1 : $error || 'OK000';
		is($state, expected($kind, $function), "$function as $kind");
	}
}
is($node->sql(q{SELECT count(*), sum(hashtext(j::text)::bigint) FROM jobq_store.job AS j}),
	$before, 'refused calls have changed nothing');

# ------------------------------------------------- grants in the catalogs

# what CREATE EXTENSION gives away: nothing; NULL would be the default, which
# for functions and types is something. Row types of relations go with them.
is( $node->sql(
		q{
	WITH object AS (
		SELECT oid::regclass::text AS name, coalesce(relacl, acldefault('r', relowner)) AS acl,
			relnamespace AS schema
		FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S', 'm', 'f')
		UNION ALL SELECT attrelid::regclass || '.' || attname, attacl, relnamespace
		FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
		UNION ALL SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)),
			pronamespace FROM pg_proc
		UNION ALL SELECT oid::regtype::text, coalesce(typacl, acldefault('T', typowner)),
			typnamespace
		FROM pg_type AS t WHERE typelem = 0
			AND NOT EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind <> 'c')
		UNION ALL SELECT oid::regnamespace::text, nspacl, oid FROM pg_namespace)
	SELECT string_agg(name || ' ' || privilege_type, ', ') FROM object, aclexplode(acl)
	WHERE schema IN ('jobq'::regnamespace, 'jobq_store'::regnamespace) AND grantee = 0}),
	'',
	'PUBLIC has no privileges');

my $roles = join(',', map { qq{'"$_"'} } grep { !/^(?:super|extowner|set_role)$/ } @kinds);
is( $node->sql(
		qq{SELECT string_agg(DISTINCT r || ' ' || c.oid::regclass, ', ')
	FROM unnest(ARRAY[$roles]::regrole[]) AS r, pg_class AS c
	WHERE c.relnamespace = 'jobq_store'::regnamespace AND (
		c.relkind IN ('r', 'p', 'v') AND (
			has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
			OR has_table_privilege(r, c.oid,
				'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))
		OR c.relkind = 'S' AND has_sequence_privilege(r, c.oid, 'USAGE, SELECT, UPDATE'))}),
	'',
	'no role has a right on a table');
is( $node->sql(
		qq{SELECT string_agg(DISTINCT r::text, ', ') FROM unnest(ARRAY[$roles]::regrole[]) AS r
	WHERE has_schema_privilege(r, 'jobq_store', 'USAGE, CREATE') OR has_schema_privilege(r,
		'jobq', 'CREATE')}
	),
	'',
	'nobody may use schema jobq_store, or create anything in jobq');
is( $node->sql(
		qq{SELECT string_agg(DISTINCT p.proname, ' ' ORDER BY p.proname)
	FROM unnest(ARRAY[$roles]::regrole[]) AS r, pg_proc AS p
	WHERE p.pronamespace = 'jobq_store'::regnamespace AND has_function_privilege(r, p.oid,
		'EXECUTE')}
	),
	'groups health_findings is_kept job_state limit_running may_name may_read may_read_all '
	  . 'may_see_role readable_queues real_run_at visible_roles worker_slots',
	'roles may execute only those functions of jobq_store that views call');
is( $node->sql(
		qq{SELECT string_agg(DISTINCT r || ' ' || c.relname, ', ')
	FROM unnest(ARRAY[$roles]::regrole[]) AS r, pg_class AS c
		WHERE c.relnamespace = 'jobq'::regnamespace
	AND c.relkind = 'v' AND has_table_privilege(r, c.oid,
		'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')}
	),
	'',
	'views are for reading only');

# functions that are granted one by one check for themselves what they do
$node->sql(
	q{GRANT USAGE ON SCHEMA jobq TO nobody; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA jobq TO nobody;
	GRANT SELECT ON ALL TABLES IN SCHEMA jobq TO nobody});
foreach my $function (sort keys %functions)
{
	my ($who, $call, undef, $others) = @{ $functions{$function} };
	next if $call =~ /^CALL/ || $who eq 'usage' || $who eq 'creator';
	$call =~ s/:(\w+)/$made{$1} \/\/ ":$1"/ge;
	is( $node->sql("SET SESSION AUTHORIZATION nobody; SELECT attempt(\$_\$SELECT jobq.$call\$_\$)"),
		$others // '42501',
		"$function does not rely on EXECUTE");
}

done_testing();
