# t/076_privilege_races.pl: a privilege is checked when the change is made,
# after every wait.
#
# Each function that changes something is called by a role that may call it,
# while another session holds a lock that the call must wait for. Before that
# is released, the role loses the privilege; the call must fail. A function
# that is not in the tables below fails the test: a new one is one line there.

use strict;
use warnings;

use JobqSession;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

# --------------------------------------------------------------- the tables

# Role alice is a member of team, which owns queue q, schedule s and limit l, and
# has nothing else. Limit m is keeper's, of which team is a member. boss is a
# member of the extension's owner.

# What holds up a call: how it is locked, in a transaction of a superuser.
my %hold = (
	queue => q{SELECT FROM jobq_store.queue WHERE name = 'q' FOR UPDATE},
	changed => q{SELECT jobq.alter_queue('q', description => 'x')},
	drop => q{SELECT jobq.drop_queue('q', force => true)},
	key => q{SELECT jobq.enqueue('q', unique_key => 'k')},
	new_queue => q{SELECT jobq.create_queue('new')},
	limit => q{SELECT FROM jobq_store.limit_def WHERE name = 'l' FOR UPDATE},
	limit_drop => q{SELECT jobq.drop_limit('m')},
	new_limit => q{SELECT jobq.create_limit('new')},
	new_schedule => q{SELECT jobq.schedule('new', '@yearly', 'SELECT 1')},
	first_run => q{SET LOCAL ROLE alice; SELECT jobq.run('SELECT 1'); RESET ROLE},
	jobs => 'LOCK TABLE jobq_store.job',
	leased => 'SELECT FROM jobq_store.job WHERE id = :leased FOR UPDATE',
	ready => 'UPDATE jobq_store.job SET priority = priority WHERE id IN (:ready, :scheduled)',
	dead => 'SELECT FROM jobq_store.history WHERE id = :dead FOR UPDATE',
	revived => q{SELECT jobq.enqueue('q', unique_key => 'dead')},
	request => 'SELECT FROM jobq_store.job WHERE id = :ready FOR UPDATE;'
	  . ' INSERT INTO jobq_store.cancel_request VALUES (:ready, NULL, now(), 0, 0)',
	schedule => q{SELECT FROM jobq_store.schedule WHERE name = 's' FOR UPDATE},
	usage => q{SELECT jobq.grant_usage('stranger')},
	service => 'SELECT FROM jobq_store.service FOR UPDATE');

# How alice loses the privilege meanwhile. "owner" and "limit_owner" wait for the
# row of the queue or limit where that is what is locked, and are the first to get it.
my %loss = (
	team => 'REVOKE team FROM alice',
	keeper => 'REVOKE keeper FROM team',
	owner => q{SELECT jobq.alter_queue('q', owner => 'postgres')},
	limit_owner => q{SELECT jobq.alter_limit('l', owner => 'postgres')},
	usage => q{SELECT jobq.revoke_usage('alice'), jobq.revoke_usage('team'),
		jobq.revoke_usage('keeper')},
	boss => 'REVOKE extowner FROM boss');

# Function => [ a call, what holds it up, the losses that matter ] ...
my %races = (
	'alter_limit' => [
		[ q{alter_limit('l', max_running => 1)}, 'limit', 'limit_owner team' ],
		[ q{alter_limit('l', owner => 'alice')}, 'limit', 'limit_owner team usage' ],
		[ q{alter_limit('l', owner => 'keeper')}, 'limit', 'keeper usage' ]
	],
	'alter_queue' => [
		[ q{alter_queue('q', handler => 'alices(jsonb)')}, 'queue', 'owner team' ],
		[ q{alter_queue('q', owner => 'alice')}, 'queue', 'owner team' ],
		[ q{alter_queue('q', handler => 'alices(jsonb)')}, 'changed', 'team' ],
		[ q{alter_queue('q', shared_limit => 'm')}, 'limit_drop', 'team keeper' ],
		[ q{alter_queue('q', shared_limit => 'm')}, 'queue', 'team keeper' ]
	],
	'alter_schedule' => [ [ q{alter_schedule('s', keep_runs => 'errors')}, 'schedule', 'team' ] ],
	'backfill' => [
		[ q{backfill('s', now() - interval '5 s', now())}, 'schedule', 'team' ],
		[ q{backfill('s', now() - interval '5 s', now())}, 'drop', 'team' ]
	],
	'cancel' =>
	  [ [ 'cancel(:ready)', 'request', 'owner team' ], [ 'cancel(:ready)', 'jobs', 'owner team' ] ],
	'complete' => [
		[ 'complete(:leased, :lease)', 'leased', 'owner team' ],
		[ 'complete(:leased, :lease)', 'jobs', 'owner team' ]
	],
	'complete_many' => [ [ q{complete_many('{:leased}', :lease)}, 'leased', 'owner team' ] ],
	'create_limit' => [ [ q{create_limit('new')}, 'new_limit', 'usage' ] ],
	'create_queue' => [
		[
			q{create_queue('new', owner => 'team', shared_limit => 'm')},
			'limit_drop', 'team keeper'
		],
		[
			q{create_queue('new', owner => 'team', shared_limit => 'm')}, 'new_queue',
			'team keeper'
		],
		[
			q{create_queue('q', shared_limit => 'm', or_replace => true)},
			'limit_drop', 'team keeper'
		],
		[ q{create_queue('new', owner => 'team')}, 'new_queue', 'team' ],
		[ q{create_queue('new')}, 'new_queue', 'usage' ],
		[ q{create_queue('q', or_replace => true)}, 'queue', 'owner team' ]
	],
	'delete' =>
	  [ [ 'delete(:ready)', 'ready', 'owner team' ], [ 'delete(:dead)', 'dead', 'owner team' ] ],
	'dequeue' => [ [ q{dequeue('q')}, 'jobs', 'owner team' ] ],
	'dequeue_any' => [ [ q{dequeue_any('{q}')}, 'jobs', 'owner team' ] ],
	'drop_limit' => [ [ q{drop_limit('l')}, 'limit', 'limit_owner team' ] ],
	'drop_queue' => [
		[ q{drop_queue('q')}, 'queue', 'owner team' ],
		[ q{drop_queue('q', true, true)}, 'queue', 'owner team' ]
	],
	'enable_schedule' => [ [ q{enable_schedule('s', false)}, 'schedule', 'team' ] ],
	'enqueue' => [
		[ q{enqueue('q', unique_key => 'k')}, 'key', 'owner team' ],
		[ q{enqueue('q')}, 'drop', 'team' ],
		[ q{enqueue('q')}, 'jobs', 'owner team' ]
	],
	'enqueue_many' => [
		[ q{enqueue_many('q', '{1}', unique_key => 'k')}, 'key', 'owner team' ],
		[ q{enqueue_many('q', '{1, 2}', unique_keys => '{j, k}')}, 'key', 'owner team' ],
		[ q{enqueue_many('q', '{1, 2}')}, 'drop', 'team' ]
	],
	'fail' => [ [ q{fail(:leased, :lease, 'x')}, 'leased', 'owner team' ] ],
	'grant_queue' => [ [ q{grant_queue('q', 'stranger', 'read')}, 'queue', 'owner team' ] ],
	'grant_usage' => [ [ q{grant_usage('stranger')}, 'usage', 'boss' ] ],
	'heartbeat' => [ [ 'heartbeat(:leased, :lease)', 'leased', 'owner team' ] ],
	'next' => [
		[ q{next('q', '{:leased}', :lease)}, 'leased', 'owner team' ],
		[ q{next('q', NULL, NULL)}, 'jobs', 'owner team' ]
	],
	'drain' => [ [ q{drain('q')}, 'queue', 'owner team' ] ],
	'pause' =>
	  [ [ q{pause('q')}, 'queue', 'owner team' ], [ q{pause('q', 'g')}, 'queue', 'owner team' ] ],
	'promote' => [ [ 'promote(:scheduled)', 'ready', 'owner team' ] ],
	'release' => [ [ 'release(:leased, :lease)', 'leased', 'owner team' ] ],
	'rename_queue' => [
		[ q{rename_queue('q', 'r')}, 'queue', 'owner team' ],
		[ q{rename_queue('q', 'new')}, 'new_queue', 'team' ]
	],
	'reschedule' => [ [ 'reschedule(:ready, now())', 'ready', 'owner team' ] ],
	'reset_group' => [ [ q{reset_group('q', 'g')}, 'queue', 'owner team' ] ],
	'reset_key' => [
		[ q{reset_key('q', 'dead')}, 'dead', 'owner team' ],
		[ q{reset_key('q', 'dead')}, 'drop', 'team' ]
	],
	'reset_limit' => [ [ q{reset_limit('l', 'max_running')}, 'limit', 'limit_owner team' ] ],
	'reset_queue' => [ [ q{reset_queue('q', 'ttl')}, 'queue', 'owner team' ] ],
	'reset_schedule' => [ [ q{reset_schedule('s', 'catch_up_window')}, 'schedule', 'team' ] ],
	'resume' => [ [ q{resume('q')}, 'queue', 'owner team' ] ],
	'retry' => [
		[ 'retry(:dead)', 'dead', 'owner team' ],
		[ 'retry(:dead)', 'drop', 'team' ],
		[ 'retry(:dead)', 'revived', 'owner team' ]
	],
	'revoke_queue' => [ [ q{revoke_queue('q', 'stranger', 'read')}, 'queue', 'owner team' ] ],
	'revoke_usage' => [ [ q{revoke_usage('stranger')}, 'usage', 'boss' ] ],
	'run' => [ [ q{run('SELECT 1')}, 'first_run', 'usage' ] ],
	'run_schedule' =>
	  [ [ q{run_schedule('s')}, 'schedule', 'team' ], [ q{run_schedule('s')}, 'drop', 'team' ] ],
	'schedule' => [
		[ q{schedule('s', '@daily', queue => 'q')}, 'schedule', 'owner team' ],
		[ q{schedule('new', '@daily', queue => 'q')}, 'new_schedule', 'owner team' ],
		[ q{schedule('new', '@daily', 'SELECT 1')}, 'new_schedule', 'usage' ]
	],
	'set_group' => [ [ q{set_group('q', 'g', 1)}, 'queue', 'owner team' ] ],
	'set_payload' => [ [ q{set_payload(:ready, '{}')}, 'ready', 'owner team' ] ],
	'set_priority' => [ [ 'set_priority(:ready, 1)', 'ready', 'owner team' ] ],
	'start' => [ [ 'start()', 'service', 'boss' ] ],
	'stop' => [ [ 'stop()', 'service', 'boss' ] ],
	'take' => [ [ q{take('q')}, 'jobs', 'owner team' ] ],
	'unschedule' => [ [ q{unschedule('s')}, 'schedule', 'team' ] ]);

# These change nothing that needs a privilege, or wait for nothing.
my %harmless = map { $_ => 1 }
  qw(channel cron_describe cron_next cron_times current_job discard fail_job listen retry_in
  snooze throttle unlisten version wait);
# needs pg_cron; what it calls is schedule()
$harmless{import_pg_cron} = 1;

# ------------------------------------------------------------------- set-up

my $node = jobq_node('main', extension => 0, conf => ['jobq.max_workers = 2']);
my %made;

$node->sql(q{CREATE ROLE extowner SUPERUSER LOGIN; SET ROLE extowner; CREATE EXTENSION jobq});
$node->sql(
	q{ALTER ROLE extowner NOSUPERUSER;
	CREATE ROLE alice LOGIN; CREATE ROLE team LOGIN; CREATE ROLE boss LOGIN;
		CREATE ROLE keeper LOGIN;
		CREATE ROLE stranger LOGIN;
	CREATE FUNCTION alices(jsonb) RETURNS void LANGUAGE sql AS ''});

my ($holder, $admin, $caller) =
  map { start_session($node, name => $_, verbosity => 'sqlstate') } qw(holder admin caller);

# Recreates what the races are about.
sub set_up
{
	my $made = ask(
		$admin,
		q{SELECT jobq.stop();
		SELECT jobq.drop_queue(queue, force => true) FROM jobq.queues;
		SELECT jobq.unschedule(name) FROM jobq.schedules;
		SELECT jobq.drop_limit(name) FROM jobq.limits;
		GRANT team TO alice; GRANT extowner TO boss; GRANT keeper TO team;
		SELECT jobq.grant_usage('alice', true), jobq.grant_usage('team', true),
			jobq.grant_usage('keeper', true);
		SELECT jobq.create_queue('q', owner => 'team', max_attempts => 1, ttl => '1 day');
		SELECT jobq.grant_queue('q', 'stranger', 'read');
		SET ROLE team;
		SELECT jobq.schedule('s', '@every 1 second', queue => 'q',
			starts_at => now() - interval '1 hour', enabled => false);
		SELECT jobq.enable_schedule('s', true), jobq.create_limit('l');
		SET ROLE keeper;
		SELECT jobq.create_limit('m');
		RESET ROLE;
		SELECT jobq.enqueue('q', unique_key => 'dead');
		SELECT 'dead=' || id FROM jobq.dequeue('q') WHERE jobq.fail(id, lease, 'x') IS NOT NULL;
		SELECT jobq.enqueue('q');
		SELECT 'leased=' || id || ' lease=' || lease FROM jobq.dequeue('q', lease => '1 day');
		SELECT 'ready=' || jobq.enqueue('q');
		SELECT 'scheduled=' || jobq.enqueue('q', delay => '1 day')});
	%made = $made =~ /([a-z]+)=(\d+)/g;
	die "it is not set up: $made\n" if keys %made != 5;
	return;
}

sub fill_in
{
	my ($sql) = @_;
	$sql =~ s/(?<!:):([a-z]+)\b/$made{$1} \/\/ ":$1"/ge;
	return $sql;
}

# ---------------------------------------------------------------- the races

is( $node->sql(
		q{SELECT string_agg(DISTINCT proname::text, ' ' ORDER BY proname::text) FROM pg_proc
	WHERE pronamespace = 'jobq'::regnamespace}),
	join(' ', sort keys %races, keys %harmless),
	'every function is in the tables');

sub race
{
	my ($call, $hold, $loss, $isolation) = @_;
	my $name = "$call, held up by $hold, loses $loss, $isolation";
	my $queued = $hold =~ /^(?:queue|limit)$/ && $loss =~ /owner$/;

	set_up();
	# a queue with jobs could not be dropped for another reason
	ask($admin, 'TRUNCATE jobq_store.job') if $call =~ /^drop_queue/;
	# whether the run queue is there is what the first run waits for
	ask($caller, 'RESET SESSION AUTHORIZATION');
	ask($caller, 'SET SESSION AUTHORIZATION ' . ($loss eq 'boss' ? 'boss' : 'alice'));
	ask($caller, "BEGIN ISOLATION LEVEL $isolation; SELECT count(*) FROM pg_class");
	ask($holder, 'BEGIN; ' . fill_in($hold{$hold}));
	if ($queued)
	{
		order($admin, $loss{$loss});
		waits_for_lock($node, $admin) or fail("$name: the administrator waits");
	}
	order($caller, fill_in("SELECT jobq.$call"));
	waits_for_lock($node, $caller) or fail("$name: the call waits") or diag($caller->{out});
	ask($admin, $loss{$loss}) if !$queued;
	ask($holder, 'ROLLBACK');
	answer($admin) if $queued;
	my $answer = answer($caller);
	my $expected = $isolation eq 'READ COMMITTED' ? qr/ERROR:  42501/ : qr/ERROR:  (?:42501|40001)/;
	like($answer, $expected, $name);
	ask($caller, 'COMMIT');
	return;
}

foreach my $function (sort keys %races)
{
	foreach my $race (@{ $races{$function} })
	{
		my ($call, $hold, $losses) = @$race;
		foreach my $loss (split(/ /, $losses))
		{
			race($call, $hold, $loss, $_) foreach ('READ COMMITTED', 'REPEATABLE READ');
		}
	}
}

# ---------------------------------------------------------------- the tables

# A table can be locked as a whole, too, by VACUUM FULL or REINDEX: each one that a
# call locks is locked before it. What the role loses meanwhile is the last in the
# tables above; and the queue gets another owner while its grants are waited for.

# The tables in jobq_store that a call locks.
sub tables_of
{
	my ($call, $user) = @_;

	ask($caller, 'RESET SESSION AUTHORIZATION');
	ask($caller, "SET SESSION AUTHORIZATION $user");
	ask($caller, 'BEGIN');
	ask($caller, fill_in("SELECT jobq.$call"));
	my @tables = split(
		/\n/,
		ask($admin,
			qq{SELECT c.oid::regclass FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
			JOIN pg_stat_activity AS a ON a.pid = l.pid AND a.application_name = 'caller'
			WHERE c.relkind = 'r' AND c.relnamespace = 'jobq_store'::regnamespace
				AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			ORDER BY 1}));
	ask($caller, 'ROLLBACK');
	return @tables;
}

sub race_for_table
{
	my ($call, $user, $table, $loss) = @_;
	my $name = "$call, held up by table $table, loses $loss";

	set_up();
	ask($admin, 'TRUNCATE jobq_store.job') if $call =~ /^drop_queue/;
	ask($caller, 'RESET SESSION AUTHORIZATION');
	ask($caller, "SET SESSION AUTHORIZATION $user");
	ask($caller, 'BEGIN');
	ask($holder, "BEGIN; LOCK TABLE $table");
	order($caller, fill_in("SELECT jobq.$call"));
	if (waits_for_lock($node, $caller))
	{
		# unless that waits for the table, too
		my $lost = ask($admin, "SET lock_timeout = '100ms'; $loss{$loss}; RESET lock_timeout");
		ask($holder, 'ROLLBACK');
		my $answer = answer($caller);
		like($answer, qr/ERROR:  42501/, $name) if $lost !~ /ERROR/;
	}
	else
	{
		answer($caller);
		ask($holder, 'ROLLBACK');
	}
	ask($caller, 'ROLLBACK');
	return;
}

race_for_table("throttle('q', '1 s')", 'alice', 'jobq_store.queue_grant', 'owner');
my %table_calls = (
	%races,
	'delete finished' => [ [ 'delete(:dead)', 'dead', 'team' ] ],
	'fail for good' => [ [ q{fail(:leased, :lease, 'x', retryable => false)}, '', 'team' ] ],
	'throttle' => [ [ q{throttle('q', '1 s')}, '', 'team' ] ]);
foreach my $function (sort keys %table_calls)
{
	my ($call, undef, $losses) = @{ $table_calls{$function}[0] };
	my $user = $losses eq 'boss' ? 'boss' : 'alice';
	set_up();
	foreach my $table (tables_of($call, $user))
	{
		race_for_table($call, $user, $table, (split(/ /, $losses))[-1]);
	}
}

# With nothing lost the calls go through: it is the loss that they fail for.
foreach my $function (sort keys %races)
{
	my ($call, $hold, $losses) = @{ $races{$function}[0] };
	set_up();
	ask($admin, 'TRUNCATE jobq_store.job') if $call =~ /^drop_queue/;
	ask($caller, 'RESET SESSION AUTHORIZATION');
	ask($caller, 'SET SESSION AUTHORIZATION ' . ($losses eq 'boss' ? 'boss' : 'alice'));
	ask($holder, 'BEGIN; ' . fill_in($hold{$hold}));
	order($caller, fill_in("SELECT jobq.$call"));
	waits_for_lock($node, $caller) or fail("$call: waits");
	ask($holder, 'ROLLBACK');
	unlike(answer($caller), qr/ERROR/, "$call: succeeds with the privilege");
}

end_session($_) foreach ($holder, $admin, $caller);
done_testing();
