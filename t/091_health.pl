# t/091_health.pl: jobq.health, with each problem really provoked. Findings
# that need only one session are in sql/health.sql.

use strict;
use warnings;

use JobqNode;
use JobqTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobq_node(
	'main',
	streaming => 1,
	conf => [
		'jobq.max_workers = 2',
		'jobq.shared_memory = 2MB',
		'max_prepared_transactions = 5',
		'max_worker_processes = 8',
		'autovacuum = off'
	]);
$node->create_clock;
wait_for_worker($node, 'jobq coordinator');

# The view's rows, without times.
my $findings =
  "SELECT string_agg(concat_ws('|', severity, topic, object), ' ')" . " FROM jobq.health";

# The findings become these, and stay nothing else.
sub health_ok
{
	my ($expected, $name, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return poll_ok($opt{on} // $node, "SELECT coalesce(($findings), '')",
		$name, expected => $expected);
}

sub message_like
{
	my ($topic, $regex, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like(
		$node->sql(
				"SELECT concat_ws(' # ', message, hint) FROM jobq.health WHERE topic = '$topic'"
			  . " ORDER BY object"),
		$regex, $name);
}

sub reload
{
	my ($setting, $value) = @_;
	$node->sql("ALTER SYSTEM SET $setting = $value");
	$node->sql('SELECT pg_reload_conf()');
	return;
}

sub reset_setting
{
	my ($setting) = @_;
	$node->sql("ALTER SYSTEM RESET $setting");
	$node->sql('SELECT pg_reload_conf()');
	return;
}

$node->sql(
	q{
	CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN; CREATE ROLE cid LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
	CREATE ROLE nobody LOGIN;
	SELECT jobq.grant_usage(r, true) FROM unnest('{ann,ben,cid,watcher,nobody}'::regrole[]) AS r;
	CREATE FUNCTION work(p jsonb) RETURNS void LANGUAGE sql AS
		'SELECT pg_sleep(($1 #>> ''{}'')::float8)';
	SELECT jobq.create_queue(r, 'work(jsonb)', owner => r::regrole)
	FROM unnest('{ann,ben,cid}'::text[]) AS r;
	SELECT jobq.create_queue('ext');
});
health_ok('', 'health has no findings at first');

# ------------------------------------------------------------ the service

reload('jobq.enabled', 'off');
health_ok('critical|disabled|jobq.enabled', 'jobq.enabled is off');
reset_setting('jobq.enabled');
health_ok('', 'health has no findings when jobq.enabled is on again');
reload('jobq.databases', "'template1, other'");
health_ok('critical|disabled|jobq.databases', 'jobq.databases has others');
reset_setting('jobq.databases');
health_ok('', 'health has no findings when jobq.databases has this database again');
$node->sql('SELECT jobq.stop()');
health_ok('critical|stopped', 'stop()');
$node->sql('SELECT jobq.start()');
health_ok('', 'start()');

# the launcher serves no templates
$node->sql("ALTER DATABASE postgres IS_TEMPLATE true; SELECT pg_reload_conf()");
health_ok('critical|coordinator', 'no coordinator');
message_like(
	'coordinator',
	qr/^no coordinator is running.*template/,
	'no coordinator: the hint has possible reasons');
$node->sql("ALTER DATABASE postgres IS_TEMPLATE false; SELECT pg_reload_conf()");
health_ok('', 'health has no findings when there is a coordinator again');

$node->sql("UPDATE pg_extension SET extversion = '0.0.0' WHERE extname = 'jobq'");
is( $node->sql($findings),
	'critical|version|' . $node->sql('SELECT jobq.version()'),
	'the extension has another version');
$node->sql("UPDATE pg_extension SET extversion = jobq.version() WHERE extname = 'jobq'");
$node->sql('SELECT jobq.start()');
health_ok('', 'the extension has the right version again');

# ------------------------------------------------------------ worker slots

my $busy = q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'jobq executor'
	AND wait_event = 'PgSleep'};
$node->sql("SELECT jobq.enqueue('ann', '600'), jobq.enqueue('ben', '600')");
poll_ok($node, $busy, 'two jobs take all workers');
$node->sql("SELECT jobq.enqueue('cid', '0')");
health_ok('warning|worker slots|jobq.max_workers', 'jobq.max_workers is used up');
my $increase = qr/Increase jobq.max_workers/;
message_like(
	'worker slots',
	qr/2 workers of the server are busy, \d of them with jobs of role "\w+" # $increase/,
	'jobq.max_workers is used up: the hint');

# more are allowed, but other processes have all slots
reload('max_parallel_workers_per_gather', '0');
my @others;

sub take_slots
{
	my $free = 8 - $node->sql(
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type NOT IN
		('client backend', 'walsender', 'checkpointer', 'background writer', 'walwriter',
		 'archiver', 'autovacuum launcher', 'autovacuum worker', 'startup', 'walreceiver',
		 'io worker', 'slotsync worker')});
	# other databases' coordinators are good for that
	for my $i (1 .. $free)
	{
		$node->sql("CREATE DATABASE other_$i");
		create_extension($node, "other_$i");
		$node->sql("SELECT jobq.create_queue('q')", "other_$i");
		wait_for_worker($node, 'jobq coordinator', db => "other_$i");
		push @others, "other_$i";
	}
	return;
}
take_slots();
reload('jobq.max_workers', '6');
health_ok('warning|worker slots|max_worker_processes', 'max_worker_processes is used up');
message_like(
	'worker slots',
	qr/all 8 are in use; \d of them by the coordinators of databases .*"other_\d".* # Increase/,
	'max_worker_processes is used up: the hint');
$node->sql("DROP DATABASE $_") foreach @others;
health_ok('', 'health has no findings when worker slots are free again');
$node->sql('SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE finished_at IS NULL');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'the long jobs are cancelled');

# -------------------------------------------------------- jobs that wait

# none at all
reload('jobq.max_workers', '0');
poll_ok($node, 'SHOW jobq.max_workers', 'jobq.max_workers is 0', expected => '0');
$node->sql("SELECT jobq.enqueue('ann', '600'), jobq.enqueue('ext')");
$node->advance_clock('6 minutes');
health_ok('critical|not worked|ann warning|not worked|ext', 'jobs that nobody runs');
is( $node->sql(
		"SELECT string_agg(topic || ' ' || object, ',') FROM jobq.health WHERE since < now()"),
	'not worked ann,not worked ext',
	'jobs that nobody runs: the time since when');

# each role sees what concerns its queues
is($node->sql("SET ROLE ann; $findings"), 'critical|not worked|ann', 'the owner sees it');
is($node->sql("SET ROLE ben; $findings"), '', 'others do not');

reset_setting('jobq.max_workers');
poll_ok($node,
	q{SELECT count(*) = 1 FROM jobq.workers WHERE kind = 'executor' AND state = 'running'},
	'the job runs');
$node->sql("SELECT jobq.delete(id) FROM jobq.jobs WHERE queue = 'ext'");
health_ok('', 'health has no findings when no job waits');
$node->sql(q{SELECT count(jobq.enqueue('ann', '600')) FROM generate_series(1, 3)});
poll_ok($node, $busy, 'all workers are busy');
$node->advance_clock('6 minutes');
health_ok('info|backlog|ann', 'there are more jobs than workers');
$node->sql('SELECT count(jobq.cancel(id)) FROM jobq.jobs WHERE finished_at IS NULL');
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'the jobs are cancelled');

# limits
$node->sql(
	q{SELECT jobq.create_queue('lim0', 'work(jsonb)', owner => 'ann', max_running => 0);
	SELECT jobq.create_queue('lim1', 'work(jsonb)', owner => 'ann', max_running => 1);
	SELECT jobq.create_queue('out0', max_running => 0);
	SELECT jobq.create_queue('out1', max_running => 1);
	SELECT jobq.enqueue(q, '600') FROM unnest('{lim0,lim1,lim1,out0,out1,out1}'::text[]) AS q;
	SELECT jobq.dequeue('out1', 1, '1 day')});
poll_ok($node, q{SELECT running = 1 FROM jobq.queues WHERE queue = 'lim1'}, 'one of two runs');
$node->advance_clock('6 minutes');
health_ok(
	'warning|max_running|lim0 warning|max_running|out0 '
	  . 'info|max_running|lim1 info|max_running|out1',
	'limits keep jobs from starting');
message_like(
	'max_running',
	qr/max_running is 0.*reset_queue\('lim0', 'max_running'\)/s,
	'a limit of 0: the hint');
$node->sql(
	q{SELECT jobq.drop_queue(q, force => true) FROM unnest('{lim0,lim1,out0,out1}'::text[]) AS q});
health_ok('', 'health has no findings without limits');
$node->sql(
	q{SELECT jobq.create_limit('service', max_running => 0);
	SELECT jobq.create_queue('out2', shared_limit => 'service'), jobq.enqueue('out2')});
$node->advance_clock('6 minutes');
health_ok('warning|max_running|out2', 'a shared limit keeps jobs from starting');
message_like(
	'max_running',
	qr/limit "service".*alter_limit\('service'/s,
	'a shared limit: the hint');
$node->sql(q{SELECT jobq.drop_queue('out2', force => true); SELECT jobq.drop_limit('service')});

# the queue is shut
$node->sql(
	q{SELECT jobq.create_queue('slow', rate_limit => 1, rate_period => '1 day');
	SELECT jobq.enqueue('slow') FROM generate_series(1, 2);
	SELECT count(*) FROM jobq.take('slow')});
$node->advance_clock('6 minutes');
health_ok('info|rate|slow', 'a queue is shut by its rate');
message_like(
	'rate',
	qr/next start at 20.* # .*increase rate_limit/,
	'a queue is shut by its rate: the message');
$node->sql(
	q{SELECT jobq.reset_queue('slow', 'rate_limit'); SELECT jobq.throttle('slow', '1 hour')});
health_ok('info|throttled|slow', 'a queue is throttled');
$node->sql(q{SELECT jobq.throttle('slow', '0')});
health_ok('warning|not worked|slow', 'a queue is no longer throttled');
$node->sql(q{SELECT jobq.drop_queue('slow', force => true)});

$node->sql(
	q{SELECT jobq.create_limit('hourly', rate_limit => 1, rate_period => '1 day'),
		jobq.create_queue('slow', shared_limit => 'hourly');
	SELECT jobq.enqueue('slow') FROM generate_series(1, 2);
	SELECT count(*) FROM jobq.take('slow')});
$node->advance_clock('6 minutes');
health_ok('info|rate|slow', 'a queue is shut by the rate of its limit');
message_like(
	'rate',
	qr/limit "hourly".*next start at 20.* # .*alter_limit\('hourly'/,
	'a queue is shut by the rate of its limit: the message');
$node->sql(q{SELECT jobq.drop_queue('slow', force => true); SELECT jobq.drop_limit('hourly')});

# the owner is gone
$node->sql(
	q{SELECT jobq.create_queue('orphan', 'work(jsonb)', owner => 'nobody');
	SELECT jobq.enqueue('orphan', '0', delay => '1 day');
	SELECT jobq.revoke_usage('nobody'); DROP ROLE nobody});
health_ok('warning|owner|orphan', 'the owner of a queue was dropped');
message_like('owner', qr/has no owner/, 'the owner of a queue was dropped: the message says so');
$node->sql("SELECT jobq.drop_queue('orphan', force => true)");
health_ok('', 'the queue as well');

# -------------------------------------------------------------- schedules

$node->sql(q{SELECT jobq.schedule('daily', '0 0 * * *', 'SELECT 1'); SELECT jobq.stop()});
$node->advance_clock('25 hours');
health_ok('critical|stopped warning|schedule late|daily', 'a schedule is late');
is( $node->sql(
			"SELECT h.since = s.next_run AND s.next_run < now() + interval '26 hours'"
		  . " FROM jobq.health AS h JOIN jobq.schedules AS s ON s.name = h.object"),
	't',
	'a schedule is late: the time since when');
is($node->sql("SET ROLE ben; $findings"), 'critical|stopped', 'another role does not see it');
$node->sql('SELECT jobq.start()');
health_ok('', 'health has no findings when the late schedule has run');

$node->sql(
	q{SET SESSION AUTHORIZATION ben;
	SELECT jobq.schedule('slow', '0 0 * * *', 'SELECT pg_sleep(600)', overlap => 'queue');
	SELECT jobq.run_schedule('slow')});
$node->advance_clock('25 hours');
health_ok('info|schedule waits|slow', 'a run waits for the previous one');
is($node->sql("SET ROLE ben; $findings"), 'info|schedule waits|slow', 'its owner sees it');
$node->sql(
	q{SELECT jobq.unschedule('slow'), count(jobq.cancel(id)) FROM jobq.jobs
		WHERE finished_at IS NULL}
);
poll_ok($node, 'SELECT count(*) = 0 FROM jobq_store.job', 'the jobs are cancelled');

$node->sql(
	q{SET SESSION AUTHORIZATION cid;
	SELECT jobq.schedule('revoked', '0 0 * * *', queue => 'cid', payload => '0')});
$node->sql(q{SELECT jobq.alter_queue('cid', owner => 'ben')});
$node->advance_clock('25 hours');
health_ok('warning|schedule disabled|revoked', 'a schedule was disabled');
message_like(
	'schedule disabled',
	qr/was disabled: .*privilege/,
	'a schedule was disabled: the reason');
$node->sql("SELECT jobq.unschedule('revoked'), jobq.unschedule('daily')");
health_ok('', 'health has no findings when the schedule is gone');

# ------------------------------------------------- what holds the horizon

# a transaction counts as old at once
reload('jobq.health_transaction_age', '0');

sub everybody_sees
{
	my ($topic, $object, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	health_ok("warning|$topic|$object", $name);
	is($node->sql("SET ROLE watcher; $findings"),
		"warning|$topic|$object", "$name: seen by members of pg_read_all_stats");
	is($node->sql("SET ROLE ben; $findings"), "warning|$topic", "$name: others are told no names");
	is( $node->sql(
			"SET ROLE ben; SELECT message ~ '(pid|role|slot|application) ' FROM jobq.health"),
		'f',
		"$name: the message has no names for others");
	return;
}

my $session = $node->background_psql('postgres');
my $pid = $session->query_safe(
	"SET application_name = 'holder'; BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT pg_backend_pid()"
);
everybody_sees('horizon', "pid $pid", 'an old snapshot');
message_like(
	'horizon',
	qr/role "postgres", application "holder", idle in transaction, keeps dead rows/,
	'an old snapshot: the session');
is($node->sql("SELECT since < now() FROM jobq.health"), 't',
	'an old snapshot: the time since when');
$session->query_safe('ROLLBACK');

# of one's own
$session->query_safe('SET ROLE ben; RESET ROLE');
my $own = $node->background_psql('postgres', extra_params => [ '-U', 'ben' ]);
my $own_pid = $own->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_backend_pid()');
is($node->sql("SET ROLE ben; $findings"), "warning|horizon|pid $own_pid", 'one\'s own is told');
$own->quit;
health_ok('', 'health has no findings when the old snapshots are gone');

$node->sql(q{BEGIN; SELECT jobq.enqueue('ext'); PREPARE TRANSACTION 'with jobs'});
health_ok('warning|prepared transaction|with jobs', 'a prepared transaction');
message_like(
	'prepared transaction',
	qr/holds jobs, and keeps dead rows/,
	'a prepared transaction: the message says that it holds jobs');
is( $node->sql("SET ROLE ben; $findings"),
	'warning|prepared transaction',
	'others are told no names');
$node->sql("ROLLBACK PREPARED 'with jobs'");
$node->sql(q{BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'without'});
health_ok('warning|prepared transaction|without', 'a prepared transaction without jobs');
message_like(
	'prepared transaction',
	qr/is prepared, and keeps dead rows/,
	'a prepared transaction without jobs: the message');
$node->sql("ROLLBACK PREPARED 'without'");
health_ok('', 'health has no findings when the prepared transactions are gone');

# a standby with feedback through a slot, and without
sub advance_xids
{
	$node->sql(
		q{CREATE TEMP TABLE t (); DO $$ BEGIN FOR i IN 1..100000 LOOP
		BEGIN INSERT INTO t DEFAULT VALUES; EXCEPTION WHEN division_by_zero THEN NULL; END;
		END LOOP; END $$});
	return;
}
$node->backup('backup');
my $standby = JobqNode->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf',
	"hot_standby_feedback = on\nwal_receiver_status_interval = 1s");
$standby->start;
$node->wait_for_catchup($standby);
health_ok('info|standby', 'a standby is a finding', on => $standby);
my $reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobq.jobs');
poll_ok(
	$node,
	'SELECT count(*) = 1 FROM pg_stat_replication WHERE backend_xmin IS NOT NULL',
	'a standby sends feedback');
advance_xids();
everybody_sees('horizon', 'standby standby', 'a standby\'s query');
message_like(
	'horizon',
	qr/^a standby \(pid \d+, application "standby"\)/,
	'an old snapshot of a standby: the message names it');

$node->sql("SELECT pg_create_physical_replication_slot('slot')");
$standby->append_conf('postgresql.conf', "primary_slot_name = 'slot'");
$standby->reload;
poll_ok($node, 'SELECT xmin IS NOT NULL FROM pg_replication_slots', 'feedback by a slot');
health_ok('warning|horizon|slot slot', 'a standby\'s query, by a slot');
message_like(
	'horizon',
	qr/^an active replication slot "slot"/,
	"a standby's query, by a slot: the message says that the slot is active");
$reader->quit;
$standby->stop('immediate');
poll_ok($node, 'SELECT NOT active FROM pg_replication_slots', 'the standby is gone');
everybody_sees('horizon', 'slot slot', 'the slot is still there');
message_like('horizon', qr/^an inactive replication slot/, 'an inactive slot: the message says so');
$node->sql("SELECT pg_drop_replication_slot('slot')");
health_ok('', 'the slot is gone');

# ---------------------------------------------------------------- history

# somebody has locks, but neither a snapshot nor a transaction id
$node->sql(q{SELECT jobq.enqueue('ann', '0')});
poll_ok($node, 'SELECT count(*) > 0 FROM jobq_store.history',
	'the old segment of history has rows');
$session->query_safe('BEGIN; LOCK TABLE jobq_store.history IN ACCESS SHARE MODE');
$node->advance_clock('30 days');
health_ok("warning|history|pid $pid", 'a segment of history cannot be emptied');
is($node->sql("SET ROLE ben; $findings"), 'warning|history', 'others are told no names');
$session->query_safe('ROLLBACK');
health_ok('', 'the segment of history can be emptied');
$session->quit;

# ---------------------------------------------------------- shared memory

$node->sql(q{SELECT count(jobq.enqueue('ext')) FROM generate_series(1, 20000)});
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 2000, lease => '50 min')}),
	'2000', '2000 jobs are leased');
health_ok('', 'health has no findings with 2000 leases');
is($node->sql(q{SELECT count(*) FROM jobq.dequeue('ext', 10000, lease => '50 min')}),
	'10000', '10000 more jobs are leased');
health_ok('warning|shared memory|leases', 'no room for all leases');
message_like('shared memory', qr/# Increase jobq.shared_memory/,
	'no room for all leases: the hint');
$node->sql(
	q{SELECT jobq.drop_queue('ext', force => true);
	SELECT count(jobq.create_queue('many_' || n)) FROM generate_series(1, 5000) AS n});
health_ok('warning|shared memory|queues', 'no room for all queues');
message_like(
	'shared memory',
	qr/no room for \d+ queues.*# Increase jobq.shared_memory/,
	'no room for all queues: the hint');
message_like(
	'shared memory',
	qr/role "postgres" has \d+ of the \d+ entries/,
	'no room for all queues: the role with most entries');
is($node->sql("SET ROLE ben; $findings"), '', 'a role whose own queues have room is not told');

$node->stop;
done_testing();
