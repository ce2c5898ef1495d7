# t/066_copies.pl: copies of a server, and of tables: a base backup that is
# started beside its original, a standby that is read from and promoted, and
# logical replication of an application's tables beside jobq. A copy runs
# nothing that its original runs.
#
# t/061 has copies of a database (pg_dump, CREATE DATABASE ... TEMPLATE), t/062
# pg_upgrade, t/064 a standby without a load.

use strict;
use warnings;

use JobqLoad;
use JobqNode;
use JobqTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = jobq_node(
	'primary',
	streaming => 'logical',
	conf => [ 'jobq.max_workers = 3', 'log_statement = none', 'fsync = off' ]);

# What the schedule has enqueued counts as placed.
sub adopt_ticks
{
	my ($node) = @_;
	$node->sql(
		q{
		SELECT jobq.unschedule('tick');
		INSERT INTO load.placed
		SELECT id FROM jobq_store.job WHERE headers ? 'schedule'
		UNION SELECT id FROM jobq_store.history WHERE headers ? 'schedule'});
	return;
}

load_set_up($primary);
$primary->sql(
	q{
	CREATE TABLE orders (id int PRIMARY KEY, job bigint, shipped boolean);
	CREATE FUNCTION ship(p jsonb) RETURNS void LANGUAGE sql AS
	  'UPDATE orders SET shipped = true WHERE id = $1::int';
	SELECT jobq.create_queue('ship', 'ship(jsonb)');
	SELECT jobq.schedule('tick', '@every 1s', queue => 'load_h');
	SELECT jobq.create_queue('ext'), jobq.create_limit('few');
	SELECT jobq.enqueue('ext', unique_key => 'first');
	SELECT jobq.enqueue('ext', unique_key => 'second')});
my ($held, $lease) =
  split(/\|/, $primary->sql(q{SELECT id, lease FROM jobq.dequeue('ext', lease => '1 h')}));

my $load = load_start($primary);
load_goes_on_ok($primary, 'primary');
load_place($primary, 'load_h', 2, sleep => 3);

# ------------------------------------------------------------ base backups

$primary->backup('backup');
load_goes_on_ok($primary, 'primary, after the backup');
load_place($primary, 'load_h', 100);

my $clone = JobqNode->new('clone');
$clone->init_from_backup($primary, 'backup');
$clone->append_conf('postgresql.conf', "jobq.enabled = off\n");
$clone->start;
wait_for_worker($clone, 'jobq launcher');
my $jobs = $clone->sql('SELECT count(*) FROM jobq_store.job');
my $done = $clone->sql('SELECT count(*) FROM load.effects');
cmp_ok($jobs, '>', 1, 'clone: the jobs are there');
load_place($clone, 'load_h', 2);
pass('clone: new jobs can be enqueued');
# Reading the settings again is the last thing that could start something.
my $position = log_position($clone);
$clone->append_conf('postgresql.conf', "log_checkpoints = off\n");
$clone->reload;
poll_until(sub { log_since($clone, $position) =~ /"log_checkpoints" changed/ })
  or die "the settings are not read\n";
poll_ok(
	$clone, q{SELECT wait_event_type = 'Extension' FROM pg_stat_activity
	WHERE backend_type = 'jobq launcher'}, 'clone: the launcher sleeps');
is( $clone->sql(
		q{SELECT count(*) FROM pg_stat_activity
	WHERE backend_type IN ('jobq coordinator', 'jobq executor')}),
	'0',
	'clone: jobq.enabled = off keeps it quiet');
is( $clone->sql('SELECT count(*) FROM jobq_store.job') . ' '
	  . $clone->sql('SELECT count(*) FROM load.effects'),
	($jobs + 2) . " $done",
	'clone: nothing has run');

# the same one as a server that takes over: it goes on where the backup was
adopt_ticks($clone);
$clone->append_conf('postgresql.conf', "jobq.enabled = on\n");
$clone->reload;
load_account_ok($clone, 'clone, let loose');
is( $clone->sql(
		"SELECT jobq.complete($held, $lease); SELECT state FROM jobq.jobs WHERE id = $held"),
	"\ncompleted",
	'clone: a lease that was in the backup is good');
cmp_ok($clone->sql(q{SELECT lease FROM jobq.dequeue('ext')}),
	'>', $lease, 'clone: a new lease is larger');
$clone->stop;

# ----------------------------------------------------------------- standby

my $standby = JobqNode->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

foreach my $view (
	split(
		/\n/,
		$standby->sql(
			q{SELECT oid::regclass FROM pg_class WHERE relkind = 'v'
	  AND relnamespace = 'jobq'::regnamespace ORDER BY 1})))
{
	like($standby->sql("SELECT count(*) FROM $view"), qr/^\d+$/, "standby: $view can be read");
}

# Every function that is not known to be harmless is called, with arguments
# that would do on the primary.
my %harmless = map { $_ => 1 }
  qw(version channel unlisten cron_next cron_times cron_describe current_job retry_in discard
  snooze fail_job);
my %arguments = (
	enqueue => "'ext'",
	enqueue_many => q{'ext', '{1}'},
	run => q{'SELECT 1'},
	dequeue => "'ext'",
	dequeue_any => "'{ext}'",
	take => "'ext'",
	next => "'ext', '{1}', 1",
	complete => '1, 1',
	complete_many => "'{1}', 1",
	fail => "1, 1, 'x'",
	release => '1, 1',
	heartbeat => '1, 1',
	wait => "'{ext}', '1 min'",
	cancel => '1',
	retry => '1',
	promote => '1',
	reschedule => '1, now()',
	set_priority => '1, 1',
	set_payload => "1, '1'",
	reset_key => "'ext', 'first'",
	delete => '1',
	create_queue => "'new'",
	alter_queue => "'ext', priority => 1",
	reset_queue => "'ext', 'priority'",
	drop_queue => "'ext'",
	rename_queue => "'ext', 'other'",
	drain => "'ext'",
	pause => "'ext'",
	set_group => "'ext', 'g', weight => 2",
	reset_group => "'ext', 'g'",
	throttle => "'ext', '1 min'",
	create_limit => "'new', max_running => 1",
	alter_limit => "'few', max_running => 2",
	reset_limit => "'few', 'max_running'",
	drop_limit => "'few'",
	resume => "'ext'",
	grant_usage => "'pg_monitor'",
	revoke_usage => "'pg_monitor'",
	grant_queue => "'ext', 'pg_monitor', 'read'",
	revoke_queue => "'ext', 'pg_monitor', 'read'",
	listen => "'ext'",
	schedule => "'s', '\@daily', 'SELECT 1'",
	alter_schedule => "'tick', keep_runs => 'all'",
	reset_schedule => "'tick', 'keep_runs'",
	unschedule => "'tick'",
	enable_schedule => "'tick'",
	run_schedule => "'tick'",
	backfill => "'tick', now(), now()",
	import_pg_cron => '',
	start => '',
	stop => '');
foreach my $function (
	split(
		/\n/,
		$standby->sql(
			q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace
				ORDER BY 1}
		)))
{
	next if $harmless{$function};
	my $verb = $function eq 'wait' ? 'CALL' : 'SELECT';
	like(
		sql_error(
			$standby,
			"SET statement_timeout = '10 s'; $verb jobq.$function("
			  . ($arguments{$function} // '') . ')'),
		qr/ERROR:  25006: .*HINT: .*primary/s,
		"standby: $function() is refused, with a hint");
}

# a publication of all tables does not disturb jobq's
$primary->sql('CREATE PUBLICATION everything FOR ALL TABLES');
load_goes_on_ok($primary, 'primary, with a publication of all tables');
$primary->sql('DROP PUBLICATION everything');

# ----------------------------------------------------- logical replication

my $subscriber = jobq_node('subscriber', conf => [ 'jobq.max_workers = 2', 'fsync = off' ]);
$subscriber->sql(
	q{
	CREATE TABLE orders (id int PRIMARY KEY, job bigint, shipped boolean);
	CREATE TABLE ran (n int);
	CREATE FUNCTION ship(p jsonb) RETURNS void LANGUAGE sql AS
	  'INSERT INTO ran VALUES ($1::int)';
	SELECT jobq.create_queue('ship', 'ship(jsonb)')});
$primary->sql('CREATE PUBLICATION orders FOR TABLE orders');
$primary->sql(
	q{INSERT INTO orders SELECT i, jobq.enqueue('ship', to_jsonb(i)), false
	FROM generate_series(1, 10) AS i});
my $connection = $primary->connstr('postgres');
$connection =~ s/'/''/g;
$subscriber->sql("CREATE SUBSCRIPTION orders CONNECTION '$connection' PUBLICATION orders");
$primary->sql(
	q{INSERT INTO orders SELECT i, jobq.enqueue('ship', to_jsonb(i)), false
	FROM generate_series(11, 50) AS i});
$primary->sql(
	q{BEGIN; INSERT INTO orders VALUES (51, jobq.enqueue('ship', '51'), false); ROLLBACK});
poll_ok(
	$subscriber,
	'SELECT count(*) = 50 FROM orders WHERE shipped',
	'subscriber: orders arrive, and what the jobs of the publisher did to them');
is($subscriber->sql('SELECT count(*) FROM jobq.jobs'),
	'0', "subscriber: the publisher's jobs do not arrive");

# a trigger there makes jobs of its own of what arrives
$subscriber->sql(
	q{
	CREATE FUNCTION enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	  PERFORM jobq.enqueue('ship', to_jsonb(new.id));
	  RETURN NULL;
	END $$;
	CREATE TRIGGER enqueue AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION enqueue();
	ALTER TABLE orders ENABLE ALWAYS TRIGGER enqueue});
$primary->sql('INSERT INTO orders SELECT i FROM generate_series(101, 110) AS i');
poll_ok(
	$subscriber,
	'SELECT count(*) = 10 AND count(DISTINCT n) = 10 AND min(n) = 101 FROM ran',
	'subscriber: its own jobs run, each once');
is($subscriber->sql('SELECT count(*) FROM ran WHERE n <= 100'),
	'0', "subscriber: the publisher's jobs do not run");
$subscriber->sql('DROP SUBSCRIPTION orders');
is( join(
		"\n",
		unexpected_log_lines(
			$subscriber, 0,
			qr/terminating logical replication/,
			qr/terminating connection/)),
	'',
	'subscriber: nothing unexpected in the log');
$subscriber->stop;

# --------------------------------------------------------------- promotion

# The primary dies in the middle of the load; what the standby has of it is
# consistent, and it goes on from there.
load_goes_on_ok($primary, 'primary, at its end');
poll_query($standby, 'SELECT count(*) > ' . $done . ' FROM load.effects')
  or die "the standby does not follow\n";
$primary->stop('immediate');
load_stop($load);
$standby->sql('SELECT count(*) FROM load.placed');
$position = log_position($standby);
$standby->promote;
load_runs_ok($standby, 'promoted', seconds => 30);
adopt_ticks($standby);
load_account_ok($standby, 'promoted');
is( $standby->sql(
		"SELECT jobq.complete($held, $lease); SELECT state FROM jobq.jobs WHERE id = $held"),
	"\ncompleted",
	'promoted: a lease of the old primary is good');
cmp_ok($standby->sql(q{SELECT lease FROM jobq.dequeue('ext')}),
	'>', $lease, 'promoted: a new lease is larger');
quiet_log_ok($standby, $position, 10, 'promoted');

$standby->stop;
done_testing();
